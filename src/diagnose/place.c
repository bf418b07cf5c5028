/* Places in the source. */
#include "diagnose/place.h"

#include "base/own.h"
#include "diagnose/blocks.h"
#include "diagnose/declaration.h"
#include "diagnose/frontier.h"
#include "diagnose/naming.h"
#include "heap/allocations.h"

#include <stdlib.h>
#include <string.h>

/* Of variables: the functions that use them, and whatever waits in those. */
#define IN_EDGES       (1u << 20)
#define HUNT_BYTES_MAX (64u << 20) /* of scripts that are searched */

static int no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory for a place in the source");
}

int place_of_node(struct heap *h, uint32_t node, struct diagnosis_place **ret, struct err *e)
{
    struct heap_location l;
    struct buf url = buf_new(NAMING_BYTES), name = buf_new(NAMING_BYTES);
    *ret = NULL;
    if (!heap_find_location(h, node, &l))
        return 0;
    struct diagnosis_place *place = calloc(1, sizeof *place);
    int rc = place ? heap_add_script_url(h, l.script_id, &url, e) : no_memory(e);
    if (rc == ERR_FULL)
        rc = 0;
    if (rc == 0 && heap_add_node_name(h, node, &name) == ERR_NOMEM)
        rc = no_memory(e);
    if (rc == 0) {
        place->url = diagnosis_text(url.data ? url.data : "", url.length);
        place->function = diagnosis_text(name.data ? name.data : "", name.length);
        place->line = l.line + 1;
        place->column = l.column + 1;
        if (!place->url || !place->function)
            rc = no_memory(e);
    }
    buf_free(&url);
    buf_free(&name);
    if (rc == 0)
        *ret = place;
    else
        diagnosis_place_free(place);
    return rc;
}

/* ---- who has the name ---- */

/* The function among those that share a context that begins first: it stands nearest to the
 * variable's declaration. */
static int function_of_context(struct heap *h, uint32_t context, uint32_t *ret, struct err *e)
{
    const uint32_t *edges;
    uint32_t count;
    struct heap_location least = {0};
    int rc = heap_incoming(h, context, &edges, &count, e);
    *ret = HEAP_NONE;
    for (uint32_t i = 0; rc == 0 && i < count && i < IN_EDGES; i++) {
        struct heap_location l;
        uint32_t source = heap_edge_source(h, edges[i]);
        if (heap_columns(h)->kind[source] != HEAP_CLOSURE || !heap_find_location(h, source, &l))
            continue;
        if (*ret == HEAP_NONE || l.line < least.line ||
            (l.line == least.line && l.column < least.column)) {
            *ret = source;
            least = l;
        }
    }
    return rc;
}

/* What runs a module: it stays in its generator after it has run. */
static uint32_t function_of_module(struct heap *h, uint32_t module)
{
    const struct heap_columns *c = heap_columns(h);
    for (uint32_t k = c->first_edge[module]; k < c->first_edge[module + 1]; k++) {
        struct heap_location l;
        uint32_t to = heap_edge_to(c->edge[k]);
        uint32_t function = c->kind[to] == HEAP_OBJECT ? naming_property(h, to, "function") : to;
        if (function != HEAP_NONE && c->kind[function] == HEAP_CLOSURE &&
            heap_find_location(h, function, &l))
            return function;
    }
    return HEAP_NONE;
}

static int node_of_owner(struct heap *h, uint32_t owner, uint32_t *ret, struct err *e)
{
    *ret = owner;
    if (frontier_rank(h, owner) == FRONTIER_CONTEXT)
        return function_of_context(h, owner, ret, e);
    if (heap_columns(h)->kind[owner] == HEAP_HIDDEN)
        *ret = function_of_module(h, owner);
    return 0;
}

static enum place_side side_of_url(const char *url)
{
    if (!*url || allocations_is_own(url))
        return PLACE_PROGRAM;
    return strstr(url, "/node_modules/") ? PLACE_PACKAGE : PLACE_RUNTIME;
}

/* "" where the snapshot does not tell. */
static void add_url(struct heap *h, uint32_t node, struct buf *out)
{
    struct heap_location l;
    struct err ignored = ERR_NONE;
    uint32_t at = HEAP_NONE;
    if (node_of_owner(h, node, &at, &ignored) != 0 || at == HEAP_NONE ||
        !heap_find_location(h, at, &l) || heap_add_script_url(h, l.script_id, out, &ignored) != 0)
        buf_clear(out);
}

enum place_side place_side(struct heap *h, uint32_t node)
{
    struct buf url = buf_new(NAMING_BYTES);
    add_url(h, node, &url);
    enum place_side side = url.length ? side_of_url(url.data) : PLACE_PROGRAM;
    buf_free(&url);
    return side;
}

bool place_is_in(struct heap *h, uint32_t node, const char *file)
{
    struct buf url = buf_new(NAMING_BYTES);
    add_url(h, node, &url);
    bool is = url.length && naming_text_is(&url, file);
    buf_free(&url);
    return is;
}

/* ---- the line that declares it ---- */

/* The place becomes that of the declaration where the source is at hand and has it. */
static void move_to_declaration(
    struct diagnosis_place *p, enum declaration_kind kind, const char *name)
{
    struct buf source = buf_new(DECLARATION_SOURCE_MAX + 1);
    struct declaration_place from = {p->line, p->column}, found;
    if (declaration_read(p->url, &source) &&
        declaration_find(source.data, source.length, kind, name, from, &found)) {
        p->line = found.line;
        p->column = found.column;
    }
    buf_free(&source);
}

int place_of_name(
    struct heap *h, uint32_t owner, const char *name, struct diagnosis_place **ret, struct err *e)
{
    uint32_t node;
    *ret = NULL;
    int rc = node_of_owner(h, owner, &node, e);
    if (rc == 0 && node != HEAP_NONE)
        rc = place_of_node(h, node, ret, e);
    if (rc != 0 || !*ret)
        return rc;
    if (side_of_url((*ret)->url) == PLACE_RUNTIME) {
        diagnosis_place_free(*ret);
        *ret = NULL;
        return 0;
    }
    bool variable = node != owner;
    if (name && (*ret)->line)
        move_to_declaration(*ret, variable ? DECLARATION_VARIABLE : DECLARATION_PROPERTY, name);
    return 0;
}

int place_of_export(const char *file, const char *name, struct diagnosis_place **ret, struct err *e)
{
    struct diagnosis_place *p = calloc(1, sizeof *p);
    if (p) {
        p->url = diagnosis_text(file, strlen(file));
        p->function = diagnosis_text("", 0);
        p->line = p->column = 1;
    }
    if (!p || !p->url || !p->function) {
        diagnosis_place_free(p);
        return no_memory(e);
    }
    move_to_declaration(p, DECLARATION_EXPORT, name);
    *ret = p;
    return 0;
}

/* The scripts that are searched, and what was found in them. */
struct hunt {
    enum globals_kind kind;
    const char *name;
    size_t found, bytes;
    char *url; /* of the one; owned */
    struct declaration_place at;
    bool failed; /* out of memory */
};

static bool search_script(void *arg, const char *url)
{
    struct hunt *hunt = arg;
    struct declaration_place at;
    struct buf source = buf_new(DECLARATION_SOURCE_MAX + 1);
    bool readable = side_of_url(url) == PLACE_PROGRAM && !own_is_url(url) &&
                    !(hunt->url && strcmp(hunt->url, url) == 0) && declaration_read(url, &source);
    size_t found =
        readable ? globals_find(source.data, source.length, hunt->kind, hunt->name, &at) : 0;
    hunt->bytes += source.length;
    buf_free(&source);
    hunt->found += found;
    if (found == 1 && hunt->found == 1) {
        hunt->at = at;
        hunt->url = diagnosis_text(url, strlen(url));
        hunt->failed = !hunt->url;
    }
    return !hunt->failed && hunt->found < 2 && hunt->bytes < HUNT_BYTES_MAX;
}

int place_of_global(struct heap *h, enum globals_kind kind, const char *name,
    struct diagnosis_place **ret, struct err *e)
{
    struct hunt hunt = {.kind = kind, .name = name};
    *ret = NULL;
    int rc = heap_each_script(h, search_script, &hunt, e);
    bool only = hunt.found == 1 && hunt.bytes < HUNT_BYTES_MAX;
    struct diagnosis_place *p = rc == 0 && only && hunt.url ? calloc(1, sizeof *p) : NULL;
    if (p) {
        *p =
            (struct diagnosis_place){diagnosis_text("", 0), hunt.url, hunt.at.line, hunt.at.column};
        hunt.url = NULL;
    }
    free(hunt.url);
    if (rc == 0 && (hunt.failed || (p && !p->function))) {
        diagnosis_place_free(p);
        return no_memory(e);
    }
    *ret = p;
    return rc;
}

int place_default_name(struct heap *h, uint32_t module, struct buf *out)
{
    struct buf source = buf_new(DECLARATION_SOURCE_MAX + 1), name = buf_new(NAMING_BYTES);
    struct diagnosis_place *place = NULL;
    struct err ignored = ERR_NONE;
    uint32_t function = function_of_module(h, module);
    int rc = function == HEAP_NONE ? 0 : place_of_node(h, function, &place, &ignored);
    if (rc == 0 && place && declaration_read(place->url, &source) &&
        declaration_default(source.data, source.length, &name)) {
        buf_clear(out);
        rc = buf_add(out, name.data, name.length);
    }
    diagnosis_place_free(place);
    buf_free(&source);
    buf_free(&name);
    return rc;
}

int place_block_name(struct heap *h, uint32_t context, const char *class, struct buf *out)
{
    struct buf source = buf_new(DECLARATION_SOURCE_MAX + 1), name = buf_new(NAMING_BYTES);
    struct diagnosis_place *place = NULL;
    struct err ignored = ERR_NONE;
    int rc = place_of_name(h, context, NULL, &place, &ignored);
    buf_clear(out);
    if (rc == 0 && place && side_of_url(place->url) == PLACE_PROGRAM &&
        declaration_read(place->url, &source) &&
        blocks_find(source.data, source.length,
            (struct declaration_place){place->line, place->column}, class, &name))
        rc = buf_add(out, name.data, name.length);
    diagnosis_place_free(place);
    buf_free(&source);
    buf_free(&name);
    return rc == ERR_NOMEM ? ERR_NOMEM : 0;
}
