/* Any bytes as a sampling profile ('p' in front) or as an allocation timeline: an error, or stacks
 * whose sites, functions and trees add up. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap/allocations.h"
#include "heap/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_timeline(const uint8_t *data, size_t size, struct allocations **ret, struct err *e)
{
    struct heap_options o = {.threads = 1, .traces = true, .max_unpacked = 1 << 20};
    struct heap *h = NULL;
    int fd = memfd_create("timeline", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t written = write(fd, data, size);
    assert(written == (ssize_t)size);
    int r = heap_open_fd(fd, "timeline", &o, &h, e);
    if (r == 0)
        r = allocations_from_heap(h, ret, e);
    heap_close(h);
    close(fd);
    return r;
}

static int open_profile(const uint8_t *data, size_t size, struct allocations **ret, struct err *e)
{
    cJSON *tree = cJSON_ParseWithLength((const char *)data, size);
    int r = tree ? allocations_from_profile(tree, ret, e) : err_set(e, ERR_FORMAT, "no JSON");
    cJSON_Delete(tree);
    return r;
}

/* The order of a tree: each branch below the nearest one above it that is a step less deep, and no
 * larger than it. */
static void check_tree(const struct allocations *a, enum allocation_way way, double share)
{
    struct allocation_cut cut = {share, 64};
    struct allocation_tree t;
    struct err e = ERR_NONE;
    if (allocations_tree(a, way, &cut, &t, &e) != 0)
        return;
    for (uint32_t i = 0; i < t.count; i++) {
        const struct allocation_branch *b = &t.list[i];
        assert(b->frame->function && b->frame->url && b->depth <= cut.depth);
        if (b->parent == ALLOCATION_NONE) {
            assert(b->depth == 0);
            continue;
        }
        assert(b->parent < i && t.list[b->parent].depth + 1 == b->depth);
        assert(b->live_bytes <= t.list[b->parent].live_bytes);
    }
    free(t.list);
}

static void tell(void *arg, const struct allocation_site *then, const struct allocation_site *now)
{
    assert(then && now && allocation_site_compare(then, now) == 0);
    ++*(size_t *)arg;
}

static void check(const struct allocations *a)
{
    struct allocation_sites sites = {0};
    struct allocation_function *functions = NULL;
    struct err e = ERR_NONE;
    uint32_t count;
    int64_t with_stack;
    for (uint32_t i = 0; i < allocations_count(a); i++) {
        uint32_t parent = allocations_node(a, i)->parent;
        assert(parent == ALLOCATION_NONE || parent < i);
        (void)allocations_frame(a, i)->function[0];
    }
    if (allocations_fold(a, &sites, &e) == 0) {
        size_t seen = 0;
        allocation_sites_walk(&sites, &sites, tell, &seen);
        assert(seen == sites.count);
        allocation_sites_rank(&sites);
        if (sites.count)
            cJSON_Delete(allocations_stack(a, sites.items[0].heaviest));
        allocation_sites_free(&sites);
    }
    if (allocations_functions(a, &functions, &count, &e) == 0)
        free(functions);
    check_tree(a, ALLOCATION_CALLERS_FIRST, 0);
    check_tree(a, ALLOCATION_CALLERS_FIRST, 0.1);
    check_tree(a, ALLOCATION_CALLEES_FIRST, 0);
    check_tree(a, ALLOCATION_CALLEES_FIRST, 0.1);
    assert(allocations_recorded(a, &with_stack) >= with_stack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct allocations *a = NULL;
    struct err e = ERR_NONE;
    if (size < 2)
        return 0;
    int r = data[0] == 'p' ? open_profile(data + 1, size - 1, &a, &e)
                           : open_timeline(data + 1, size - 1, &a, &e);
    assert((r == 0) == (a != NULL) && (r == 0 || e.text[0]));
    if (a)
        check(a);
    allocations_free(a);
    return 0;
}
