/* The floor that the engine is measured against: the least that loads a snapshot and finds retained
 * sizes, on one thread and without tricks. It maps the file, reads numbers digit by digit into flat
 * columns, turns the edges round, walks depth first, finds dominators (semi-NCA) and sums. No
 * strings, classes, ownership, page-owned rule or checks: its sizes are not DevTools'.
 *
 *     floor FILE */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *need(size_t count, size_t width)
{
    void *p = calloc(count ? count : 1, width);
    if (!p)
        abort();
    return p;
}

static const char *end_of_file;

static inline uint32_t number(const char **at)
{
    const char *p = *at;
    uint32_t v = 0;
    while (p < end_of_file && (unsigned char)(*p - '0') > 9)
        p++;
    while (p < end_of_file && (unsigned char)(*p - '0') <= 9)
        v = v * 10 + (uint32_t)(*p++ - '0');
    *at = p;
    return v;
}

static const char *behind(const char *from, const char *key)
{
    const char *p = memmem(from, (size_t)(end_of_file - from), key, strlen(key));
    if (!p) {
        fprintf(stderr, "floor: no %s\n", key);
        exit(6);
    }
    return p + strlen(key);
}

/* How many names the list behind `key` has. */
static int fields(const char *head, const char *key)
{
    const char *p = behind(head, key), *close = memchr(p, ']', 4096);
    int count = 1;
    for (; close && p < close; p++)
        count += *p == ',';
    return count;
}

static uint32_t n, m;
static uint32_t *self, *first, *to, *in_first, *in;
static uint8_t *edge_type;
static uint32_t weak = 6;

static void parse(const char *map)
{
    int width = fields(map, "\"node_fields\":[");
    const char *p = behind(map, "\"node_count\":");
    n = number(&p);
    p = behind(map, "\"edge_count\":");
    m = number(&p);
    self = need(n, 4);
    first = need((size_t)n + 1, 4);
    to = need(m, 4);
    edge_type = need(m, 1);
    uint32_t *name = need(n, 4), *id = need(n, 4), *edge_name = need(m, 4);
    uint8_t *type = need(n, 1);
    p = behind(map, "\"nodes\":[");
    for (uint32_t i = 0; i < n; i++) {
        type[i] = (uint8_t)number(&p);
        name[i] = number(&p);
        id[i] = number(&p);
        self[i] = number(&p);
        first[i + 1] = first[i] + number(&p);
        for (int k = 5; k < width; k++)
            (void)number(&p);
    }
    p = behind(p, "\"edges\":[");
    for (uint32_t i = 0; i < m; i++) {
        edge_type[i] = (uint8_t)number(&p);
        edge_name[i] = number(&p);
        to[i] = number(&p) / (uint32_t)width;
    }
    free(type);
    free(name);
    free(id);
    free(edge_name);
}

static void turn_round(void)
{
    in_first = need((size_t)n + 2, 4);
    in = need(m, 4);
    for (uint32_t i = 0; i < m; i++)
        in_first[to[i] + 2]++;
    for (uint32_t i = 2; i <= n; i++)
        in_first[i] += in_first[i - 1];
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = first[i]; k < first[i + 1]; k++)
            in[in_first[to[k] + 1]++] = i;
}

static uint32_t *order, *num, *parent, last;

static void depth_first(void)
{
    uint32_t *cursor = need(n, 4);
    order = need((size_t)n + 1, 4);
    num = need(n, 4);
    parent = need((size_t)n + 1, 4);
    num[0] = last = 1;
    order[1] = 0;
    cursor[0] = first[0];
    for (uint32_t v = 0;;) {
        if (cursor[v] < first[v + 1]) {
            uint32_t k = cursor[v]++, t = to[k];
            if (edge_type[k] == weak || num[t])
                continue;
            num[t] = ++last;
            order[last] = t;
            parent[last] = num[v];
            cursor[t] = first[t];
            v = t;
        } else if (v == 0) {
            break;
        } else {
            v = order[parent[num[v]]];
        }
    }
    free(cursor);
}

static uint32_t *dominator;

static void dominators(void)
{
    uint32_t *semi = need((size_t)last + 1, 4), *label = need((size_t)last + 1, 4);
    uint32_t *ancestor = need((size_t)last + 1, 4), *stack = need((size_t)last + 1, 4);
    for (uint32_t w = 1; w <= last; w++)
        semi[w] = label[w] = w;
    for (uint32_t w = last; w > 1; w--) {
        uint32_t v = order[w];
        for (uint32_t k = in_first[v]; k < in_first[v + 1]; k++) {
            uint32_t u = num[in[k]], depth = 0;
            if (!u)
                continue;
            if (ancestor[u]) {
                uint32_t x = u;
                while (ancestor[ancestor[x]]) {
                    stack[depth++] = x;
                    x = ancestor[x];
                }
                while (depth) {
                    x = stack[--depth];
                    if (semi[label[ancestor[x]]] < semi[label[x]])
                        label[x] = label[ancestor[x]];
                    ancestor[x] = ancestor[ancestor[x]];
                }
            }
            if (semi[label[u]] < semi[w])
                semi[w] = semi[label[u]];
        }
        ancestor[w] = parent[w];
    }
    dominator = parent;
    for (uint32_t w = 2; w <= last; w++)
        while (dominator[w] > semi[w])
            dominator[w] = dominator[dominator[w]];
    free(semi);
    free(label);
    free(ancestor);
    free(stack);
}

int main(int argc, char **argv)
{
    double t[6] = {now()};
    struct stat st;
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "usage: floor FILE\n");
        return 2;
    }
    const char *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return 1;
    end_of_file = map + st.st_size;
    parse(map);
    t[1] = now();
    turn_round();
    t[2] = now();
    depth_first();
    t[3] = now();
    dominators();
    t[4] = now();
    double *retained = need((size_t)last + 1, 8);
    for (uint32_t w = 1; w <= last; w++)
        retained[w] += self[order[w]];
    for (uint32_t w = last; w > 1; w--)
        retained[dominator[w]] += retained[w];
    t[5] = now();
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%u nodes, %u edges, %u reached, retained %.0f\n", n, m, last, retained[1]);
    printf("parse %.3f reverse %.3f dfs %.3f dominators %.3f sums %.3f: %.3f s, %ld MB\n",
        t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3], t[5] - t[4], t[5] - t[0],
        u.ru_maxrss / 1024);
    return 0;
}
