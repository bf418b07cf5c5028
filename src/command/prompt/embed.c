/* Commands of the shell that run in the prompt. They read snapshots in a thread of their own, so
 * that the connection is served; the two snapshots used last stay open. */
#include "command/prompt/embed.h"

#include "command/reading.h"
#include "command/sites.h"
#include "heap/heap.h"

#include <stdlib.h>
#include <string.h>

struct hosted {
    struct session *session;
    const struct invocation *in;
    const char *path; /* of sites; NULL: the command itself */
};

static struct open_heap *find_open(struct session *s, const char *path)
{
    for (size_t i = 0; i < SESSION_OPEN_HEAPS; i++)
        if (s->heaps[i].path && strcmp(s->heaps[i].path, path) == 0)
            return &s->heaps[i];
    return NULL;
}

static void close_heap(struct open_heap *h)
{
    heap_close(h->heap);
    free(h->path);
    *h = (struct open_heap){.path = NULL};
}

/* The place that was used longest ago and is not in use. */
static struct open_heap *find_place(struct session *s)
{
    struct open_heap *oldest = NULL;
    for (size_t i = 0; i < SESSION_OPEN_HEAPS; i++)
        if (s->heaps[i].users == 0 && (!oldest || s->heaps[i].used < oldest->used))
            oldest = &s->heaps[i];
    return oldest;
}

/* Only what makes no difference to what is read may come from what is open. */
static bool is_plain(const struct invocation *in, const char *path)
{
    return strcmp(path, "-") != 0 && !settings_flag(in->settings, SET_PARTIAL) &&
           in->command != &command_allocations && in->command != &command_timeline;
}

static int open_heap(
    void *arg, const struct invocation *in, const char *path, struct heap **ret, struct err *e)
{
    struct session *s = arg;
    struct open_heap *h = is_plain(in, path) ? find_open(s, path) : NULL;
    if (h) {
        h->users++;
        h->used = ++s->heap_clock;
        *ret = h->heap;
        return 0;
    }
    struct open_heap *place = is_plain(in, path) ? find_place(s) : NULL;
    if (place)
        close_heap(place); /* before the other takes its memory */
    int rc = reading_open_fresh(in, path, ret, e);
    if (rc)
        return rc;
    if (place && (place->path = strdup(path))) {
        place->heap = *ret;
        place->users = 1;
        place->used = ++s->heap_clock;
    }
    vocabulary_set_classes(s->vocabulary, *ret);
    return 0;
}

static void leave_heap(void *arg, struct heap *heap)
{
    struct session *s = arg;
    for (size_t i = 0; i < SESSION_OPEN_HEAPS; i++) {
        if (s->heaps[i].heap == heap) {
            s->heaps[i].users--;
            return;
        }
    }
    heap_close(heap);
}

void embed_close_all(struct session *s)
{
    for (size_t i = 0; i < SESSION_OPEN_HEAPS; i++)
        close_heap(&s->heaps[i]);
}

static int work(void *arg, struct err *e)
{
    struct hosted *h = arg;
    return h->path ? sites_show(h->in, h->path, e) : h->in->command->run(h->in, e);
}

static int host(
    struct session *s, struct prompt_call *c, const char *path, bool foreign_ids, struct err *e)
{
    struct embedding embedding = {.out = &c->out,
        .open = open_heap,
        .close = leave_heap,
        .cancelled = session_interrupted,
        .arg = s,
        .foreign_ids = foreign_ids};
    struct hosted h = {s, &c->in, path};
    c->in.embedding = &embedding;
    int rc = session_apart(s, work, &h, e);
    c->in.embedding = NULL;
    if (rc == ERR_CANCELLED && session_interrupted(s))
        err_set(e, rc, "ended by Ctrl-C");
    return rc;
}

int embed_run(struct session *s, struct prompt_call *c, struct err *e)
{
    return host(s, c, NULL, false, e);
}

int embed_run_words(struct session *s, struct prompt_call *c, char **words, int count,
    bool foreign_ids, struct err *e)
{
    c->in.words = words;
    c->in.word_count = count;
    return host(s, c, NULL, foreign_ids, e);
}

int embed_sites(struct session *s, struct prompt_call *c, const char *path, struct err *e)
{
    return host(s, c, path, false, e);
}
