/* What a C program needs to read a heap snapshot with heaptap's engine: the ten classes that retain
 * most, and the way from the roots to the largest object of the first.
 *
 * After scripts/build, in the tree's own folder, BUILD being build/release:
 *
 *     cc -I src examples/library/biggest.c BUILD/libheap.a BUILD/libbase.a \
 *         -lcjson -lzstd -lz -lpthread -lm -o biggest
 *     ./biggest server.heapsnapshot */
#include "base/text.h"
#include "heap/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names come from the program that was looked at: never print them as they are. */
static void print_safely(const char *text, size_t length)
{
    struct buf out = buf_new(1 << 20);
    if (text_add_visible(&out, text, length) == 0)
        fwrite(out.data ? out.data : "", 1, out.length, stdout);
    buf_free(&out);
}

static int print_way(struct heap *h, uint32_t node, struct err *e)
{
    struct heap_path path = {0};
    struct buf text = buf_new(1 << 20);
    int r = heap_path(h, node, &path, e);
    if (r == 0)
        r = heap_add_path(h, &path, false, &text);
    if (r == 0) {
        printf("\n@%u: ", heap_columns(h)->id[node]);
        print_safely(text.data, text.length);
        putchar('\n');
    }
    heap_path_free(&path);
    buf_free(&text);
    return r;
}

static uint32_t largest_of(const struct heap *h, uint32_t class)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t best = HEAP_NONE;
    for (uint32_t i = 0; i < c->node_count; i++)
        if (c->class_of[i] == class && c->self[i] &&
            (best == HEAP_NONE || c->retained[i] > c->retained[best]))
            best = i;
    return best;
}

int main(int argc, char **argv)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    const struct heap_class *classes;
    if (argc != 2) {
        fprintf(stderr, "usage: biggest FILE.heapsnapshot\n");
        return 2;
    }
    int r = heap_open(argv[1], NULL, &h, &e);
    if (r == 0) {
        uint32_t count = heap_classes(h, &classes);
        for (uint32_t i = 0; i < count && i < 10; i++) {
            char size[TEXT_SHORT];
            printf(
                "%10s  %8u  ", text_size(size, (double)classes[i].retained_size), classes[i].count);
            print_safely(classes[i].name, classes[i].name_length);
            putchar('\n');
        }
        if (count)
            r = print_way(h, largest_of(h, 0), &e);
    }
    if (r < 0)
        fprintf(stderr, "biggest: %s\n", e.text);
    heap_close(h);
    return err_exit_code(r);
}
