/* The usual culprits. */
#include "diagnose/culprits.h"

#include "base/buf.h"
#include "diagnose/callback.h"
#include "diagnose/naming.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX     4000 /* of the example that are looked at */
#define NAME_BYTES    4096
#define ANCESTORS_MAX 8 /* of a class */

const char *const culprits_names[] = {"query-client", "context-provider", "event-listener",
    "closure", "stream", "database-pool", "redis-client", "winston-logger", "timer", "promise",
    "cache", "buffer", NULL};

/* A client or logger of a package: any of the classes or packages, or all of the fields. */
struct signature {
    const char *name, *advice;
    const char *classes[8], *packages[8], *fields[4];
};

static const struct signature signatures[] = {
    {"query-client",
        "Make one QueryClient a request and call its clear() when the response ends, or set gcTime "
        "to a finite value; never keep it where later requests find it.",
        {"QueryClient", "QueryCache", "MutationCache"},
        {"@tanstack/query-core", "@tanstack/react-query", "react-query"},
        {"#queryCache", "#mutationCache"}},
    {"winston-logger",
        "Make the logger once for the process and use child loggers; a logger or transport that is "
        "made for each request must be closed, and transports removed again.",
        {"DerivedLogger"}, {"winston", "winston-transport", "logform"},
        {"exceptions", "rejections", "profilers"}},
    {"redis-client",
        "Make one client for the process; one that is made for each request must be ended with "
        "quit() or disconnect(), also when a command fails.",
        {"Redis", "RedisClient", "RedisSocket"}, {"ioredis", "redis", "@redis/client"},
        {"offlineQueue", "commandQueue"}},
    {"database-pool",
        "Make one pool or client for the process, release each connection in a finally block, and "
        "bound the queue of those that wait.",
        {"PrismaClient", "BoundPool"},
        {"pg", "pg-pool", "mysql2", "@prisma/client", "mongodb", "knex", "tedious"},
        {"_clients", "_idle", "_pendingQueue"}},
};

#define SIGNATURES (sizeof signatures / sizeof *signatures)

/* What the example unit is made of. */
struct traits {
    unsigned fields[SIGNATURES]; /* bits */
    bool named[SIGNATURES];
    bool stream, react_context;
    bool awaited;  /* the unit itself settles a promise that waits */
    bool in_scope; /* most of its bytes hang on a function's variables */
};

static bool is_one_of(const char *text, size_t length, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count && list[i]; i++)
        if (strlen(list[i]) == length && memcmp(list[i], text, length) == 0)
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The package of a script: what stands behind the last node_modules in its URL. */
static const char *package_of(const char *url, size_t *ret_length)
{
    const char *at = NULL;
    for (const char *next = url; (next = strstr(next, "node_modules/")) != NULL; next++)
        at = next + strlen("node_modules/");
    if (!at)
        return NULL;
    size_t length = strcspn(at, "/");
    if (at[0] == '@' && at[length])
        length += 1 + strcspn(at + length + 1, "/");
    *ret_length = length;
    return at;
}

/* The package that a constructor stands in: of an object's own, or a closure. */
static int see_package(struct heap *h, uint32_t node, struct traits *t, struct err *e)
{
    struct heap_location l;
    if (!heap_find_location(h, node, &l))
        return 0;
    struct buf url = buf_new(NAME_BYTES);
    size_t length = 0;
    int rc = heap_add_script_url(h, l.script_id, &url, e);
    const char *package = rc == 0 && url.length ? package_of(url.data, &length) : NULL;
    for (size_t i = 0; i < SIGNATURES && package; i++)
        t->named[i] |=
            is_one_of(package, length, signatures[i].packages, COUNT(signatures[i].packages));
    buf_free(&url);
    return rc == ERR_FULL ? 0 : rc;
}

static int see_class(struct heap *h, uint32_t node, struct traits *t, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    const char *class = frontier_class_name(h, c->class_of[node]);
    if (c->kind[node] != HEAP_OBJECT)
        return 0;
    for (size_t i = 0; i < SIGNATURES; i++)
        t->named[i] |=
            is_one_of(class, strlen(class), signatures[i].classes, COUNT(signatures[i].classes));
    return see_package(h, node, t, e);
}

/* The classes that the unit's class extends, whose constructors may be a package's. */
static int see_ancestors(struct heap *h, uint32_t unit, struct traits *t, struct err *e)
{
    uint32_t prototype = naming_property(h, unit, "__proto__");
    int rc = 0;
    for (int i = 0; i < ANCESTORS_MAX && prototype != HEAP_NONE && rc == 0; i++) {
        uint32_t constructor = naming_property(h, prototype, "constructor");
        if (constructor != HEAP_NONE)
            rc = see_package(h, constructor, t, e);
        prototype = naming_property(h, prototype, "__proto__");
    }
    return rc;
}

static int see_fields(struct heap *h, uint32_t node, bool is_unit, struct traits *t)
{
    const struct heap_columns *c = heap_columns(h);
    unsigned fields[SIGNATURES] = {0};
    struct buf name = buf_new(NAME_BYTES);
    int rc = 0;
    for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1] && rc == 0; k++) {
        if (heap_edge_kind(c->edge[k]) != HEAP_PROPERTY)
            continue;
        buf_clear(&name);
        rc = heap_add_edge_name(h, k, &name);
        rc = rc == ERR_FULL ? 0 : rc;
        if (rc != 0 || !name.data)
            continue;
        for (size_t i = 0; i < SIGNATURES; i++)
            for (size_t f = 0; f < COUNT(signatures[i].fields) && signatures[i].fields[f]; f++)
                if (strcmp(name.data, signatures[i].fields[f]) == 0)
                    fields[i] |= 1u << f;
        if (is_unit &&
            (strcmp(name.data, "_readableState") == 0 || strcmp(name.data, "_writableState") == 0))
            t->stream = true;
        if (strcmp(name.data, "_context") == 0 || strcmp(name.data, "_currentValue") == 0)
            t->react_context = true;
    }
    for (size_t i = 0; i < SIGNATURES; i++) /* all on one object */
        if (fields[i] && signatures[i].fields[0]) {
            size_t wanted = 0;
            while (wanted < COUNT(signatures[i].fields) && signatures[i].fields[wanted])
                wanted++;
            if (fields[i] == (1u << wanted) - 1)
                t->fields[i] = 1;
        }
    buf_free(&name);
    return rc;
}

/* Breadth first over what hangs on the unit within its group. */
static int see_unit(struct heap *h, const struct frontier *f, uint32_t group, uint32_t unit,
    struct traits *t, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t *queue = calloc(NODES_MAX, sizeof *queue);
    size_t from = 0, to = 0;
    int rc = queue ? see_ancestors(h, unit, t, e) : err_set(e, ERR_NOMEM, "out of memory");
    t->awaited = callback_is_awaited(h, unit);
    if (queue)
        queue[to++] = unit;
    for (; from < to && rc == 0; from++) {
        uint32_t node = queue[from];
        rc = see_class(h, node, t, e);
        if (frontier_rank(h, node) == FRONTIER_CONTEXT && 2 * c->retained[node] > c->retained[unit])
            t->in_scope = true;
        if (rc == 0 && c->kind[node] == HEAP_OBJECT &&
            (rc = see_fields(h, node, node == unit, t)) < 0)
            rc = err_set(e, rc, "out of memory");
        for (uint32_t k = c->first_edge[node]; k < c->first_edge[node + 1]; k++) {
            uint32_t child = heap_edge_to(c->edge[k]);
            /* What the node dominates: each child once. */
            if (to < NODES_MAX && child != node && c->dominator[child] == node &&
                frontier_group_of(f, child) == group && (to == 0 || queue[to - 1] != child))
                queue[to++] = child;
        }
    }
    free(queue);
    return rc;
}

static const char provider_advice[] = "Make the provider's value within the render or request and "
                                      "let it go with it; what is kept by id "
                                      "must be deleted when its user is gone.";

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (; text && *text; text++)
        if (strncasecmp(text, word, length) == 0)
            return true;
    return false;
}

static bool is_told_name(const char *name)
{
    return has_word(name, "listener") || has_word(name, "observer") || has_word(name, "subscriber");
}

/* A list of those that are told, by what programs call such lists: the holder, or the property that
 * it is of an object with a name of its own. */
static bool is_told(const struct diagnosis_suspect *s)
{
    size_t steps = s->holder.path_count;
    return is_told_name(s->holder.name) || (steps && is_told_name(s->holder.path[steps - 1].edge));
}

static bool is_buffer(const struct heap *h, const struct frontier_group *g)
{
    static const char *const names[] = {"Buffer", "FastBuffer", "ArrayBuffer", "Uint8Array",
        "SharedArrayBuffer", "Float64Array", "Float32Array", "Uint32Array", "DataView"};
    const char *class = frontier_class_name(h, g->class);
    return is_one_of(class, strlen(class), names, COUNT(names));
}

/* By the kind of the holder and of the unit. */
static void recognise_structure(const struct heap *h, const struct frontier_group *g,
    const struct holder *holder, const struct diagnosis_suspect *s, const struct traits *t,
    const char **ret_name, const char **ret_advice)
{
    const char *class = frontier_class_name(h, g->class);
    if (holder->kind == HOLDER_LISTENERS || (!t->stream && is_told(s))) {
        *ret_name = "event-listener";
        *ret_advice = "Remove the listener when what it serves is over (off, once, or an "
                      "AbortSignal), or listen once for the process and look the request up.";
    } else if (holder->kind == HOLDER_TIMERS || strcmp(class, "Timeout") == 0 ||
               strcmp(class, "Immediate") == 0) {
        *ret_name = "timer";
        *ret_advice = "Clear the timer when what it serves is over: as long as it runs, it keeps "
                      "its callback and all that the callback can see.";
    } else if (holder->kind == HOLDER_PROMISE || strcmp(class, "Promise") == 0 ||
               (s->class_name && strcmp(s->class_name, "Promise") == 0) || t->awaited) {
        *ret_name = "promise";
        *ret_advice =
            "A promise that never settles keeps all that waits for it: settle it on every "
            "way out, with a timeout at the least.";
    } else if (has_word(class, "provider") || has_word(s->holder.name, "provider") ||
               has_word(s->class_name, "provider") || t->react_context) {
        *ret_name = "context-provider";
        *ret_advice = provider_advice;
    } else if (t->stream) {
        *ret_name = "stream";
        *ret_advice = "Consume or destroy every stream, also when the other side hangs up or an "
                      "error comes: pipeline() does both.";
    } else if (is_buffer(h, g)) {
        *ret_name = "buffer";
        *ret_advice = "Buffers lie outside the JS heap and stay as long as their small objects do: "
                      "drop the references, or keep copies of the parts that are needed.";
    } else if (strcmp(s->class_name ? s->class_name : class, "Function") == 0 ||
               (holder->kind == HOLDER_VARIABLE && t->in_scope)) {
        *ret_name = "closure";
        *ret_advice = "Functions that are kept keep every variable that any function of the same "
                      "scope uses: drop them, or keep only the values that they need.";
    } else if (holder->kind == HOLDER_MAP || holder->kind == HOLDER_SET ||
               strcmp(s->holder.class_name, "FinalizationRegistry") == 0 ||
               strcmp(s->holder.class_name, "Object") == 0 || s->holder.class_name[0] == '{' ||
               has_word(s->holder.class_name, "cache") || has_word(s->holder.name, "cache")) {
        *ret_name = "cache";
        *ret_advice = "Give the collection a bound or a time to live (an LRU), or delete the entry "
                      "where its owner ends.";
    }
}

int culprits_recognise(struct heap *h, const struct frontier *f, uint32_t group,
    const struct frontier_group *g, const struct holder *holder, const struct diagnosis_suspect *s,
    const char **ret_name, const char **ret_advice, struct err *e)
{
    struct traits traits = {0};
    *ret_name = *ret_advice = NULL;
    int rc = g->example == HEAP_NONE ? 0 : see_unit(h, f, group, g->example, &traits, e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < SIGNATURES; i++)
        if (traits.named[i] || traits.fields[i]) {
            *ret_name = signatures[i].name;
            *ret_advice = signatures[i].advice;
            return 0;
        }
    recognise_structure(h, g, holder, s, &traits, ret_name, ret_advice);
    if (!*ret_name && holder->kind == HOLDER_ARRAY) {
        *ret_name = "cache"; /* a collection without a bound, whatever it was meant for */
        *ret_advice = "Take entries out of the array again, or keep only the last ones.";
    }
    return 0;
}

int culprits_made_by_provider(struct diagnosis_suspect *s, struct err *e)
{
    static const char *const vague[] = {"cache", "closure"};
    if (s->culprit && !is_one_of(s->culprit, strlen(s->culprit), vague, COUNT(vague)))
        return 0;
    char *advice = diagnosis_text(provider_advice, strlen(provider_advice));
    if (!advice)
        return err_set(e, ERR_NOMEM, "out of memory");
    free(s->advice);
    s->advice = advice;
    s->culprit = "context-provider";
    return 0;
}

int culprits_rule_out(struct diagnosis *d, struct err *e)
{
    size_t count = 0;
    while (culprits_names[count])
        count++;
    free(d->ruled_out);
    d->ruled_out_count = 0;
    d->ruled_out = calloc(count + 1, sizeof *d->ruled_out);
    if (!d->ruled_out)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < d->suspect_count; k++)
            found |=
                d->suspects[k].culprit && strcmp(d->suspects[k].culprit, culprits_names[i]) == 0;
        if (!found)
            d->ruled_out[d->ruled_out_count++] = culprits_names[i];
    }
    return 0;
}
