/* Where scripts come from: a snapshot's locations hold numbers of scripts, and the way to a name
 * leads from a function in it over its shared information to the script's node. */
#include "base/array.h"
#include "heap/inside.h"

#include <stdlib.h>

#define URL_MAX 4096

static uint32_t script_of(const struct heap *h, uint32_t closure)
{
    uint32_t shared = heap_first_internal(h, closure, KNOWN_SHARED);
    if (shared == HEAP_NONE)
        return HEAP_NONE;
    uint32_t script = heap_first_internal(h, shared, KNOWN_SCRIPT);
    return script != HEAP_NONE ? script : heap_first_internal(h, shared, KNOWN_OLD_SCRIPT);
}

static int script_order(const void *a, const void *b)
{
    const struct script *x = a, *y = b;
    return (x->script_id > y->script_id) - (x->script_id < y->script_id);
}

static const struct script *find_script(const struct heap *h, uint32_t script_id)
{
    const struct script key = {.script_id = script_id};
    return h->scripts ? bsearch(&key, h->scripts, h->script_count, sizeof key, script_order) : NULL;
}

/* Every script with a function that has a location; the places are sorted by node, not by script,
 * so the list is kept short as it grows. */
static int build_scripts(struct heap *h, struct err *e)
{
    uint32_t latest = HEAP_NONE;
    for (uint32_t i = 0; i < h->place_count; i++) {
        const struct place *p = &h->places[i];
        if (h->kind[p->node] != HEAP_CLOSURE || p->script_id == latest ||
            find_script(h, p->script_id))
            continue;
        uint32_t script = script_of(h, p->node);
        if (script == HEAP_NONE)
            continue;
        if (!array_more(&h->scripts, h->script_count))
            return err_set(e, ERR_NOMEM, "out of memory for the names of scripts");
        latest = p->script_id;
        /* New scripts have the larger numbers, most often: this moves little. */
        size_t at = h->script_count;
        for (; at > 0 && h->scripts[at - 1].script_id > p->script_id; at--)
            h->scripts[at] = h->scripts[at - 1];
        h->scripts[at] = (struct script){p->script_id, h->name[script]};
        h->script_count++;
    }
    return 0;
}

static int know_scripts(struct heap *h, struct err *e)
{
    int r = 0;
    pthread_mutex_lock(&h->lazy);
    if (!h->scripts_known) {
        r = build_scripts(h, e);
        h->scripts_known = r == 0;
    }
    pthread_mutex_unlock(&h->lazy);
    return r;
}

int heap_each_script(
    struct heap *h, bool (*each)(void *arg, const char *url), void *arg, struct err *e)
{
    struct buf url = buf_new(URL_MAX);
    int r = know_scripts(h, e);
    bool more = true;
    for (size_t i = 0; r == 0 && more && i < h->script_count; i++) {
        buf_clear(&url);
        r = heap_add_string(h, h->scripts[i].name, &url);
        if (r == 0 && url.length)
            more = each(arg, url.data);
        else if (r == ERR_FULL)
            r = 0;
        if (r)
            err_set(e, r, "out of memory for the name of a script");
    }
    buf_free(&url);
    return r;
}

int heap_add_script_url(struct heap *h, uint32_t script_id, struct buf *out, struct err *e)
{
    int r = know_scripts(h, e);
    const struct script *script = r == 0 ? find_script(h, script_id) : NULL;
    if (script && (r = heap_add_string(h, script->name, out)) < 0)
        err_set(e, r, "out of memory for the name of a script");
    return r;
}
