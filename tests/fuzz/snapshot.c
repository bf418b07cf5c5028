/* Any bytes as a snapshot: an error or an answer, the same from every instruction set, and every
 * question answered without a crash. The first byte chooses options and is no part of the file. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int open_bytes(const uint8_t *data, size_t size, const char *instructions, bool partial,
    struct heap **ret, struct err *e)
{
    struct heap_options o = {
        .threads = 1, .partial = partial, .instructions = instructions, .max_unpacked = 1 << 20};
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t written = write(fd, data, size);
    assert(written == (ssize_t)size);
    int r = heap_open_fd(fd, "snapshot", &o, ret, e);
    close(fd);
    assert((r == 0) == (*ret != NULL) && (r == 0 || (e->code == r && e->text[0])));
    return r;
}

static void ask_node(struct heap *h, uint32_t node)
{
    struct err e = ERR_NONE;
    struct buf text = buf_new(1 << 20);
    struct heap_retainer *list = NULL;
    struct heap_path path = {0};
    uint32_t *dominated = NULL;
    size_t count, total;
    struct heap_location where;
    (void)!heap_add_node_name(h, node, &text);
    (void)heap_find_location(h, node, &where);
    if (heap_retainers(h, node, 10, &list, &count, &total, &e) == 0)
        assert(count <= total);
    if (heap_path(h, node, &path, &e) == 0)
        (void)!heap_add_path(h, &path, true, &text);
    if (heap_dominated(h, node, &dominated, &count, &e) == 0)
        for (size_t i = 0; i < count; i++)
            assert(heap_columns(h)->dominator[dominated[i]] == node);
    free(list);
    heap_path_free(&path);
    free(dominated);
    buf_free(&text);
}

static void ask(struct heap *h)
{
    struct err e = ERR_NONE;
    const struct heap_columns *c = heap_columns(h);
    const struct heap_class *classes;
    struct heap_duplicate *duplicates = NULL;
    struct heap_diff_class *diff = NULL;
    size_t count;
    uint64_t sum = 0;
    uint32_t step = c->node_count / 16 + 1;
    for (uint32_t i = 0; i < heap_classes(h, &classes); i++)
        sum += classes[i].self_size;
    uint64_t self = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        self += c->self[i];
    assert(sum == self && c->retained[c->root] == self);
    for (uint32_t i = 0; i < c->node_count; i += step)
        ask_node(h, i);
    if (heap_duplicates(h, &duplicates, &count, &e) == 0)
        free(duplicates);
    for (int f = HEAP_FILTER_CONTEXTS; f <= HEAP_FILTER_DUPLICATES; f++) {
        uint64_t *bits = NULL;
        struct heap_class *part = NULL;
        uint32_t parts;
        if (heap_filter_nodes(h, (enum heap_filter)f, &bits, &e) == 0 &&
            heap_classes_of(h, bits, &part, &parts, &e) == 0)
            free(part);
        free(bits);
    }
    uint32_t *realm = NULL;
    struct heap_realms realms = {0};
    if (heap_realms(h, &realm, &e) == 0 && heap_realm_sizes(h, realm, &realms, &e) == 0) {
        uint64_t attributed = realms.shared + realms.none;
        for (size_t i = 0; i < realms.count; i++)
            attributed += realms.list[i].attributed;
        assert(attributed == self);
    }
    free(realm);
    free(realms.list);
    if (heap_diff(h, h, &diff, &count, &e) == 0)
        heap_diff_free(diff, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap *a = NULL, *b = NULL;
    struct err e = ERR_NONE, other = ERR_NONE;
    if (size < 2)
        return 0;
    bool partial = data[0] & 1;
    int r = open_bytes(data + 1, size - 1, NULL, partial, &a, &e);
    int s = open_bytes(data + 1, size - 1, data[0] & 2 ? "avx2" : "portable", partial, &b, &other);
    assert(r == s);
    if (r == 0) {
        const struct heap_columns *x = heap_columns(a), *y = heap_columns(b);
        assert(x->node_count == y->node_count && x->edge_count == y->edge_count);
        assert(memcmp(x->retained, y->retained, 8 * (size_t)x->node_count) == 0);
        assert(memcmp(x->distance, y->distance, 4 * (size_t)x->node_count) == 0);
        ask(a);
    }
    heap_close(a);
    heap_close(b);
    return 0;
}
