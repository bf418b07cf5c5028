/* Opening a snapshot: the phases in their order, two threads at work, and the plain questions. */
#include "heap/heap.h"

#include "base/clock.h"
#include "heap/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 2

const char *heap_time_name(enum heap_time t)
{
    static const char *const names[HEAP_TIMES] = {
        [HEAP_TIME_NODES] = "nodes",
        [HEAP_TIME_EDGES] = "edges",
        [HEAP_TIME_STRINGS] = "strings",
        [HEAP_TIME_MARK] = "mark",
        [HEAP_TIME_OWNERS] = "owners",
        [HEAP_TIME_DISTANCES] = "distances",
        [HEAP_TIME_DEPTH_FIRST] = "depth first",
        [HEAP_TIME_PREDECESSORS] = "predecessors",
        [HEAP_TIME_DOMINATORS] = "dominators",
        [HEAP_TIME_CLASSES] = "classes",
        [HEAP_TIME_RETAINED] = "retained",
        [HEAP_TIME_AGGREGATE] = "aggregate",
    };
    return names[t];
}

static int analyse_step(
    struct heap *h, enum heap_time t, int (*fn)(struct heap *, struct err *), struct err *e)
{
    int64_t begun = clock_monotonic_us();
    int r = fn(h, e);
    h->phase_us[t] = clock_monotonic_us() - begun;
    return r;
}

/* Two rounds with a thread each for what takes about as long: the walk for dominators beside what
 * needs no order, then dominators beside classes. */
static int analyse_walk(void *arg, int thread, struct err *e)
{
    struct heap *h = arg;
    int r = thread == 0 ? heap_dominate_walk(h, e) : 0;
    if (r == 0 && (thread == 1 || h->threads < 2)) {
        r = analyse_step(h, HEAP_TIME_OWNERS, heap_own, e);
        if (r == 0)
            r = analyse_step(h, HEAP_TIME_DISTANCES, heap_measure_distances, e);
    }
    return r;
}

static int analyse_dominate(void *arg, int thread, struct err *e)
{
    struct heap *h = arg;
    int r = thread == 0 ? heap_dominate_end(h, e) : 0;
    if (r == 0 && (thread == 1 || h->threads < 2))
        r = analyse_step(h, HEAP_TIME_CLASSES, heap_classify, e);
    return r;
}

static int analyse_say(struct heap *h, double done, struct err *e)
{
    const struct heap_options *o = &h->options;
    if (o->progress && o->progress(o->arg, HEAP_PHASE_ANALYSE, done) != 0)
        return err_set(e, ERR_CANCELLED, "%s: stopped while analysing", h->source.name);
    return 0;
}

static int analyse(struct heap *h, struct err *e)
{
    int r = analyse_say(h, 0, e);
    if (r == 0)
        r = heap_detach(h, e);
    if (r == 0)
        r = analyse_step(h, HEAP_TIME_MARK, heap_mark, e);
    if (r == 0)
        r = parallel_run(h->threads, analyse_walk, h, e);
    if (r == 0)
        r = heap_dominate_group(h, e);
    if (r == 0)
        r = parallel_run(h->threads, analyse_dominate, h, e);
    if (r == 0)
        r = analyse_say(h, 0.8, e);
    return r < 0 ? r : heap_aggregate(h, e);
}

static void columns_show(struct heap *h)
{
    h->columns = (struct heap_columns){.node_count = h->nodes,
        .edge_count = h->edges,
        .root = h->root,
        .kind = h->kind,
        .detachedness = h->detachedness,
        .name = h->name,
        .id = h->id,
        .self = h->self,
        .first_edge = h->first_edge,
        .edge = h->edge,
        .edge_name = h->edge_name,
        .dominator = h->dominator,
        .retained = h->retained,
        .distance = h->distance,
        .class_of = h->classing.of};
}

static int heap_open_source(int fd, bool owned, const char *name,
    const struct heap_options *options, struct heap **ret_heap, struct err *e)
{
    struct heap *h = calloc(1, sizeof *h);
    if (!h || !(h->pool = pool_new())) {
        free(h);
        if (owned)
            close(fd);
        return err_set(e, ERR_NOMEM, "%s: out of memory", name);
    }
    if (options)
        h->options = *options;
    pthread_mutex_init(&h->lazy, NULL);
    h->source.fd = -1;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    h->threads = h->options.threads > 0 ? h->options.threads : (int)processors;
    h->threads = h->threads < 1 ? 1 : h->threads > THREADS_MAX ? THREADS_MAX : h->threads;
    int r = source_open(&h->source, fd, owned, name, &h->options, e);
    if (r == 0)
        r = heap_read(h, e);
    if (r == 0)
        r = analyse(h, e);
    if (r < 0) {
        heap_close(h);
        return r;
    }
    pool_trim(h->pool);
    columns_show(h);
    h->source.name = "snapshot"; /* the caller's text may not last */
    if (h->options.phase_us)
        memcpy(h->options.phase_us, h->phase_us, sizeof h->phase_us);
    h->options = (struct heap_options){0};
    *ret_heap = h;
    return 0;
}

int heap_open_fd(int fd, const char *name, const struct heap_options *options,
    struct heap **ret_heap, struct err *e)
{
    return heap_open_source(fd, false, name, options, ret_heap, e);
}

int heap_open(
    const char *path, const struct heap_options *options, struct heap **ret_heap, struct err *e)
{
    if (strcmp(path, "-") == 0)
        return heap_open_source(STDIN_FILENO, false, "standard input", options, ret_heap, e);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "%s: cannot open it", path);
    return heap_open_source(fd, true, path, options, ret_heap, e);
}

void heap_close(struct heap *h)
{
    if (!h)
        return;
    heap_dominate_free(h);
    classing_free(h, &h->classing);
    shapes_free(&h->shapes);
    free(h->weak_pairs);
    free(h->places);
    free(h->scripts);
    list32_free(&h->renamed);
    list32_free(&h->scan.weak_names);
    layout_free(&h->layout);
    source_close(&h->source);
    pthread_mutex_destroy(&h->lazy);
    pool_free(h->pool);
    free(h->damage);
    free(h);
}

const struct heap_columns *heap_columns(const struct heap *h)
{
    return &h->columns;
}

const struct heap_statistics *heap_statistics(const struct heap *h)
{
    return &h->statistics;
}

uint64_t heap_total_size(const struct heap *h)
{
    return h->total_size;
}

uint32_t heap_max_object_id(const struct heap *h)
{
    return h->max_object_id;
}

const char *heap_damage(const struct heap *h)
{
    return h->damage;
}

uint32_t heap_unreachable_count(const struct heap *h)
{
    return h->unreachable;
}

uint32_t heap_classes(const struct heap *h, const struct heap_class **ret_classes)
{
    *ret_classes = h->classing.classes;
    return h->classing.live;
}

uint32_t heap_edge_source(const struct heap *h, uint32_t edge)
{
    uint32_t low = 0, high = h->nodes;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (h->first_edge[middle] <= edge)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool heap_find_location(const struct heap *h, uint32_t node, struct heap_location *ret_location)
{
    uint32_t low = 0, high = h->place_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->places[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == h->place_count || h->places[low].node != node)
        return false;
    *ret_location = (struct heap_location){
        h->places[low].script_id, h->places[low].line, h->places[low].column};
    return true;
}
