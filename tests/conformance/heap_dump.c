/* Prints what the snapshot engine found, for comparison with DevTools' own code (compare.mjs).
 *
 *     heap_dump nodes FILE OUT     28-byte little-endian records: u32 id, u32 self, f64 retained,
 *                                  u32 dominator, i32 distance, u32 class; then a line a class
 *     heap_dump retainers FILE     for each ordinal on stdin a line of JSON: name, and retainers as
 *                                  edge indexes of the file, in the pane's order
 *     heap_dump times FILE         counts, classes, phase times and peak memory */
#include "heap/heap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define EDGE_FIELDS 3 /* numbers a row, as every V8 writes them */

static int fail(const struct err *e)
{
    fprintf(stderr, "heap_dump: %s\n", e->text);
    return err_exit_code(e->code);
}

static int dump_nodes(const struct heap *h, const char *path)
{
    const struct heap_columns *c = heap_columns(h);
    FILE *f = fopen(path, "wb");
    if (!f)
        return 1;
    for (uint32_t i = 0; i < c->node_count; i++) {
        double retained = (double)c->retained[i];
        uint32_t head[2] = {c->id[i], c->self[i]};
        uint32_t tail[3] = {c->dominator[i], (uint32_t)c->distance[i], c->class_of[i]};
        fwrite(head, sizeof head, 1, f);
        fwrite(&retained, sizeof retained, 1, f);
        fwrite(tail, sizeof tail, 1, f);
    }
    return fclose(f) == 0 ? 0 : 1;
}

static void print_text(const char *text, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        uint8_t b = (uint8_t)text[i];
        if (b == 0xed && i + 2 < length && (uint8_t)text[i + 1] >= 0xa0) {
            printf("\\u%04x", 0xd000u | (text[i + 1] & 0x3fu) << 6 | (text[i + 2] & 0x3fu));
            i += 2;
        } else if (b == '"' || b == '\\') {
            printf("\\%c", b);
        } else if (b < ' ') {
            printf("\\u%04x", b);
        } else {
            putchar(b);
        }
    }
    putchar('"');
}

static void print_summary(const struct heap *h)
{
    const struct heap_statistics *s = heap_statistics(h);
    const struct heap_class *k;
    uint32_t count = heap_classes(h, &k);
    printf("{\"nodes\":%u,\"edges\":%u,\"total\":%" PRIu64 ",\"max_object_id\":%u,\n",
        heap_columns(h)->node_count, heap_columns(h)->edge_count, heap_total_size(h),
        heap_max_object_id(h));
    printf("\"statistics\":{\"total\":%" PRIu64 ",\"native_total\":%" PRIu64
           ",\"typed_arrays\":%" PRIu64 ",\"v8_total\":%" PRIu64 ",\"code\":%" PRIu64
           ",\"js_arrays\":%" PRIu64 ",\"strings\":%" PRIu64 ",\"system\":%" PRIu64 "},\n",
        s->total, s->native_total, s->typed_arrays, s->v8_total, s->code, s->js_arrays, s->strings,
        s->system);
    printf("\"classes\":[");
    for (uint32_t i = 0; i < count; i++) {
        printf("%s\n{\"key\":", i ? "," : "");
        print_text(k[i].key, strlen(k[i].key));
        printf(",\"name\":");
        print_text(k[i].name, k[i].name_length);
        printf(",\"count\":%u,\"distance\":%d,\"self\":%" PRIu64 ",\"maxRet\":%" PRIu64 "}",
            k[i].count, k[i].distance, k[i].self_size, k[i].retained_size);
    }
    printf("]}\n");
}

static int dump_retainers(struct heap *h, struct err *e)
{
    unsigned node;
    struct buf name = buf_new(UINT32_MAX);
    while (scanf("%u", &node) == 1 && node < heap_columns(h)->node_count) {
        struct heap_retainer *list;
        size_t count, total;
        buf_clear(&name);
        if (heap_add_node_name(h, node, &name) < 0 ||
            heap_retainers(h, node, SIZE_MAX, &list, &count, &total, e) < 0) {
            buf_free(&name);
            return 1;
        }
        printf("{\"name\":");
        print_text(name.data ? name.data : "", name.length);
        printf(",\"retainers\":[");
        for (size_t i = 0; i < count; i++)
            printf("%s%u", i ? "," : "", list[i].edge * EDGE_FIELDS);
        printf("]}\n");
        free(list);
    }
    buf_free(&name);
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = ERR_NONE;
    struct heap *h = NULL;
    int64_t times[HEAP_TIMES];
    struct heap_options o = {.phase_us = times,
        .threads = getenv("HEAP_THREADS") ? atoi(getenv("HEAP_THREADS")) : 0,
        .instructions = getenv("HEAP_INSTRUCTIONS"),
        .partial = getenv("HEAP_PARTIAL") != NULL};
    if (argc < 3) {
        fprintf(stderr, "usage: heap_dump nodes|retainers|times FILE [OUT]\n");
        return 2;
    }
    if (heap_open(argv[2], &o, &h, &e) < 0)
        return fail(&e);
    int status = 0;
    if (strcmp(argv[1], "nodes") == 0 && argc == 4) {
        status = dump_nodes(h, argv[3]);
        print_summary(h);
    } else if (strcmp(argv[1], "retainers") == 0) {
        status = dump_retainers(h, &e);
    } else if (strcmp(argv[1], "times") == 0) {
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        const struct heap_class *k;
        uint32_t count = heap_classes(h, &k);
        const struct heap_columns *c = heap_columns(h);
        printf("%u nodes, %u edges, %u classes, total %" PRIu64 "\n", c->node_count, c->edge_count,
            count, heap_total_size(h));
        for (int t = 0; t < HEAP_TIMES; t++)
            printf("  %-14s %8.1f ms\n", heap_time_name((enum heap_time)t), (double)times[t] / 1e3);
        printf("  peak %.1f MB, %.1f bytes a node or edge beyond 32 MB\n",
            (double)u.ru_maxrss / 1024,
            ((double)u.ru_maxrss * 1024 - 32 * 1048576.0) /
                ((double)c->node_count + c->edge_count));
        if (heap_damage(h))
            printf("  damaged: %s\n", heap_damage(h));
    }
    heap_close(h);
    return status;
}
