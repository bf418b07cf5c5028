/* Ids of earlier snapshots. */
#include "diagnose/births.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLES    2048 /* nodes that are compared by name to tell whether ids mean the same */
#define NAME_BYTES (1u << 16)

struct big {
    uint32_t id, self;
    uint64_t retained;
};

struct sample {
    uint32_t id;
    uint8_t kind;
    uint64_t name;
};

/* Odd ids are V8's, counted up: bits. Even ids are native nodes, on Node 18 and 20 hashes: a list.
 */
struct earlier {
    uint64_t *odd;
    uint32_t odd_words;
    uint32_t *even; /* sorted */
    size_t even_count;
    struct big *big; /* sorted by id */
    size_t big_count;
};

struct births {
    struct earlier list[BIRTHS_MAX];
    size_t count;
    struct sample *samples; /* of the first */
    size_t sample_count;
};

struct births *births_new(void)
{
    return calloc(1, sizeof(struct births));
}

void births_free(struct births *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++) {
        free(b->list[i].odd);
        free(b->list[i].even);
        free(b->list[i].big);
    }
    free(b->samples);
    free(b);
}

size_t births_count(const struct births *b)
{
    return b->count;
}

static int id_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int big_order(const void *a, const void *b)
{
    return id_order(&((const struct big *)a)->id, &((const struct big *)b)->id);
}

/* FNV-1a of a node's name. */
static int name_hash(const struct heap *h, uint32_t node, struct buf *text, uint64_t *ret_hash)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    buf_clear(text);
    int rc = heap_add_string(h, heap_columns(h)->name[node], text);
    if (rc == ERR_FULL)
        rc = 0;
    for (size_t i = 0; i < text->length; i++)
        hash = (hash ^ (uint8_t)text->data[i]) * UINT64_C(1099511628211);
    *ret_hash = hash;
    return rc;
}

static bool may_sample(const struct heap_columns *c, uint32_t node)
{
    return (c->id[node] & 1) && (c->kind[node] == HEAP_OBJECT || c->kind[node] == HEAP_CLOSURE ||
                                    c->kind[node] == HEAP_STRING);
}

static int take_samples(struct births *b, const struct heap *h)
{
    const struct heap_columns *c = heap_columns(h);
    uint32_t step = c->node_count / SAMPLES + 1;
    struct buf text = buf_new(NAME_BYTES);
    int rc = 0;
    b->samples = calloc(SAMPLES + 1, sizeof *b->samples);
    if (!b->samples)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->node_count && rc == 0 && b->sample_count < SAMPLES; i++) {
        if (i % step || !may_sample(c, i))
            continue;
        struct sample *s = &b->samples[b->sample_count];
        rc = name_hash(h, i, &text, &s->name);
        s->id = c->id[i];
        s->kind = c->kind[i];
        b->sample_count += rc == 0;
    }
    buf_free(&text);
    return rc;
}

int births_add(struct births *b, const struct heap *h, struct err *e)
{
    const struct heap_columns *c = heap_columns(h);
    if (b->count == BIRTHS_MAX)
        return err_set(e, ERR_FULL, "more than %d snapshots", BIRTHS_MAX);
    struct earlier *list = &b->list[b->count++];
    uint32_t most = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (c->id[i] & 1)
            most = c->id[i] > most ? c->id[i] : most;
        else
            list->even_count++;
        list->big_count += c->retained[i] >= BIRTHS_BIG;
    }
    list->odd_words = most / 128 + 1;
    list->odd = calloc(list->odd_words, sizeof *list->odd);
    list->even = calloc(list->even_count + 1, sizeof *list->even);
    list->big = calloc(list->big_count + 1, sizeof *list->big);
    if (!list->odd || !list->even || !list->big)
        return err_set(e, ERR_NOMEM, "out of memory for the ids of a snapshot");
    list->even_count = list->big_count = 0;
    for (uint32_t i = 0; i < c->node_count; i++) {
        uint32_t id = c->id[i];
        if (id & 1)
            list->odd[id / 128] |= UINT64_C(1) << (id / 2 % 64);
        else
            list->even[list->even_count++] = id;
        if (c->retained[i] >= BIRTHS_BIG)
            list->big[list->big_count++] = (struct big){id, c->self[i], c->retained[i]};
    }
    qsort(list->even, list->even_count, sizeof *list->even, id_order);
    qsort(list->big, list->big_count, sizeof *list->big, big_order);
    if (b->count == 1 && take_samples(b, h) < 0)
        return err_set(e, ERR_NOMEM, "out of memory for the ids of a snapshot");
    return 0;
}

static bool has_id(const struct earlier *list, uint32_t id)
{
    if (id & 1)
        return id / 128 < list->odd_words && list->odd[id / 128] >> (id / 2 % 64) & 1;
    return bsearch(&id, list->even, list->even_count, sizeof id, id_order) != NULL;
}

static int measure_kin(
    const struct births *b, const struct heap *last, double *ret_kin, struct err *e)
{
    const struct heap_columns *c = heap_columns(last);
    struct buf text = buf_new(NAME_BYTES);
    size_t shared = 0, same = 0;
    int rc = 0;
    for (size_t i = 0; i < b->sample_count && rc == 0; i++) {
        const struct sample *s = &b->samples[i];
        uint32_t node = heap_find_id(last, s->id);
        uint64_t name = 0;
        if (node == HEAP_NONE)
            continue;
        shared++;
        rc = name_hash(last, node, &text, &name);
        same += c->kind[node] == s->kind && name == s->name;
    }
    buf_free(&text);
    /* Of one process most of what the first had is still there. */
    *ret_kin = shared * 4 < b->sample_count ? 0 : (double)same / (double)shared;
    return rc == 0 ? 0 : err_set(e, rc, "out of memory for the ids of a snapshot");
}

int births_mark(const struct births *b, const struct heap *last, uint8_t **ret_born,
    double *ret_kin, struct err *e)
{
    const struct heap_columns *c = heap_columns(last);
    double kin = 1;
    uint8_t *born = malloc((size_t)c->node_count + 1);
    if (!born)
        return err_set(e, ERR_NOMEM, "out of memory for the ids of a snapshot");
    int rc = b->count ? measure_kin(b, last, &kin, e) : 0;
    if (rc < 0) {
        free(born);
        return rc;
    }
    for (uint32_t i = 0; i < c->node_count; i++) {
        size_t k = 0;
        while (k < b->count && !has_id(&b->list[k], c->id[i]))
            k++;
        born[i] = (uint8_t)k;
    }
    *ret_born = born;
    *ret_kin = kin;
    return 0;
}

bool births_sizes(
    const struct births *b, size_t i, uint32_t id, uint64_t *ret_retained, uint32_t *ret_self)
{
    const struct big key = {.id = id};
    const struct big *found =
        bsearch(&key, b->list[i].big, b->list[i].big_count, sizeof key, big_order);
    if (!found)
        return false;
    *ret_retained = found->retained;
    *ret_self = found->self;
    return true;
}

void births_walk(const struct births *b, size_t i,
    void (*tell)(void *arg, uint32_t id, uint64_t retained, uint32_t self), void *arg)
{
    for (size_t k = 0; k < b->list[i].big_count; k++)
        tell(arg, b->list[i].big[k].id, b->list[i].big[k].retained, b->list[i].big[k].self);
}
