/* Memory of the snapshot engine: columns, growing lists, texts seen once, and two threads at work.
 */
#include "base/array.h"
#include "heap/inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* From this size on a column is mapped by itself: what nobody touches of it takes no memory. Below
 * it malloc does, which the sanitizers watch. */
#define MAPPED_FROM (UINT64_C(4) << 20)
#define PAGE        4096

/* What is alive or idle at once; the phases have about thirty columns. */
#define BLOCKS_MAX 96

struct block {
    void *at;
    size_t bytes;
    bool used, mapped;
};

struct pool {
    pthread_mutex_t lock;
    struct block block[BLOCKS_MAX];
    bool closed; /* opening is over: what is freed goes back to the system */
};

struct pool *pool_new(void)
{
    struct pool *p = calloc(1, sizeof *p);
    if (p && pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

static void block_release(struct block *b)
{
    if (b->mapped)
        munmap(b->at, b->bytes);
    else
        free(b->at);
    *b = (struct block){0};
}

void pool_trim(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->closed = true;
    for (int i = 0; i < BLOCKS_MAX; i++)
        if (p->block[i].at && !p->block[i].used)
            block_release(&p->block[i]);
    pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    for (int i = 0; i < BLOCKS_MAX; i++)
        if (p->block[i].at)
            block_release(&p->block[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool block_make(struct block *b, size_t bytes)
{
    *b = (struct block){.bytes = bytes, .mapped = bytes >= MAPPED_FROM};
    if (!b->mapped) {
        b->at = calloc(1, bytes);
        return b->at != NULL;
    }
    void *at = mmap(
        NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return false;
    b->at = at;
    return true;
}

/* The smallest idle block that is large enough, or the largest one, made large enough: its pages
 * are in memory already, where a new block's would come on top. NULL: there is none. */
static struct block *block_idle(struct pool *p, size_t bytes)
{
    struct block *best = NULL, *largest = NULL;
    for (int i = 0; i < BLOCKS_MAX; i++) {
        struct block *b = &p->block[i];
        if (!b->at || b->used || !b->mapped)
            continue;
        if (b->bytes >= bytes && (!best || b->bytes < best->bytes))
            best = b;
        if (!largest || b->bytes > largest->bytes)
            largest = b;
    }
    if (best || !largest)
        return best;
    void *at = mremap(largest->at, largest->bytes, bytes, MREMAP_MAYMOVE);
    if (at == MAP_FAILED)
        return NULL;
    largest->at = at;
    largest->bytes = bytes;
    return largest;
}

/* Leaves the block the bytes that are needed; the rest, touched or not, is the next one's. */
static void block_split(struct pool *p, struct block *b, size_t bytes)
{
    if (b->bytes - bytes < MAPPED_FROM)
        return;
    for (int i = 0; i < BLOCKS_MAX; i++) {
        struct block *rest = &p->block[i];
        if (rest->at)
            continue;
        *rest =
            (struct block){.at = (char *)b->at + bytes, .bytes = b->bytes - bytes, .mapped = true};
        b->bytes = bytes;
        return;
    }
}

static void *column_make(struct pool *p, size_t count, size_t width, bool zero)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, width, &bytes) || bytes > SIZE_MAX - PAGE)
        return NULL;
    bytes = bytes >= MAPPED_FROM ? (bytes + PAGE - 1) & ~(size_t)(PAGE - 1) : bytes ? bytes : 1;
    void *at = NULL;
    pthread_mutex_lock(&p->lock);
    struct block *b = bytes >= MAPPED_FROM ? block_idle(p, bytes) : NULL;
    if (b) {
        at = b->at;
        b->used = true;
        block_split(p, b, bytes);
        pthread_mutex_unlock(&p->lock);
        if (zero)
            memset(at, 0, bytes);
        return at;
    }
    for (int i = 0; i < BLOCKS_MAX; i++) {
        b = &p->block[i];
        if (b->at)
            continue;
        if (block_make(b, bytes)) {
            at = b->at;
            b->used = true;
        } else {
            *b = (struct block){0};
        }
        break;
    }
    pthread_mutex_unlock(&p->lock);
    return at;
}

void *column_new(struct pool *p, size_t count, size_t width)
{
    return column_make(p, count, width, true);
}

void *column_dirty(struct pool *p, size_t count, size_t width)
{
    return column_make(p, count, width, false);
}

void column_free(struct pool *p, void *column)
{
    if (!column)
        return;
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < BLOCKS_MAX; i++)
        if (p->block[i].at == column) {
            if (p->closed || !p->block[i].mapped)
                block_release(&p->block[i]);
            else
                p->block[i].used = false;
            break;
        }
    pthread_mutex_unlock(&p->lock);
}

void column_cut(struct pool *p, void *column, size_t bytes)
{
    bytes = (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    pthread_mutex_lock(&p->lock);
    for (int i = 0; column && i < BLOCKS_MAX; i++) {
        struct block *b = &p->block[i];
        if (b->at != column || !b->mapped || bytes >= b->bytes)
            continue;
        if (bytes < MAPPED_FROM) {
            block_release(b);
        } else {
            munmap((char *)b->at + bytes, b->bytes - bytes);
            b->bytes = bytes;
        }
    }
    pthread_mutex_unlock(&p->lock);
}

int list32_add(struct list32 *l, uint32_t value)
{
    if (!array_grow(&l->at, &l->capacity, l->count + 1))
        return ERR_NOMEM;
    l->at[l->count++] = value;
    return 0;
}

void list32_free(struct list32 *l)
{
    free(l->at);
    *l = (struct list32){0};
}

uint64_t hash_bytes(const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15) ^ length;
    for (; length >= 8; length -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
    }
    uint64_t tail = 0;
    memcpy(&tail, p, length);
    h = (h ^ tail) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 29;
}

static int names_grow(struct names *n)
{
    uint32_t slots = n->slots ? 2 * n->slots : 64;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (!slot)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < n->count; i++) {
        uint32_t at = (uint32_t)n->hash[i] & (slots - 1);
        while (slot[at])
            at = (at + 1) & (slots - 1);
        slot[at] = i + 1;
    }
    free(n->slot);
    n->slot = slot;
    n->slots = slots;
    return 0;
}

static uint32_t names_slot(const struct names *n, uint64_t hash, const char *text, size_t length)
{
    uint32_t at = (uint32_t)hash & (n->slots - 1);
    while (n->slot[at]) {
        uint32_t i = n->slot[at] - 1;
        if (n->hash[i] == hash && n->length[i] == length && memcmp(n->text[i], text, length) == 0)
            break;
        at = (at + 1) & (n->slots - 1);
    }
    return at;
}

uint32_t names_find(const struct names *n, const char *text, size_t length)
{
    if (!n->slots)
        return HEAP_NONE;
    uint32_t at = names_slot(n, hash_bytes(text, length), text, length);
    return n->slot[at] ? n->slot[at] - 1 : HEAP_NONE;
}

int names_add(struct names *n, const char *text, size_t length, uint32_t *ret_number)
{
    if ((uint64_t)n->count * 2 >= n->slots && names_grow(n) < 0)
        return ERR_NOMEM;
    uint64_t hash = hash_bytes(text, length);
    uint32_t at = names_slot(n, hash, text, length);
    if (n->slot[at]) {
        *ret_number = n->slot[at] - 1;
        return 0;
    }
    if (!array_more(&n->text, n->count) || !array_more(&n->length, n->count) ||
        !array_more(&n->hash, n->count))
        return ERR_NOMEM;
    char *copy = malloc(length + 1);
    if (!copy)
        return ERR_NOMEM;
    memcpy(copy, text, length);
    copy[length] = '\0';
    n->text[n->count] = copy;
    n->length[n->count] = (uint32_t)length;
    n->hash[n->count] = hash;
    n->slot[at] = n->count + 1;
    *ret_number = n->count++;
    return 0;
}

void names_free(struct names *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        free(n->text[i]);
    free(n->text);
    free(n->length);
    free(n->hash);
    free(n->slot);
    *n = (struct names){0};
}

struct job {
    work fn;
    void *arg;
    int thread, code;
    struct err err;
};

static void *job_main(void *arg)
{
    struct job *j = arg;
    j->code = j->fn(j->arg, j->thread, &j->err);
    return NULL;
}

int parallel_run(int threads, work fn, void *arg, struct err *e)
{
    enum { MOST = 2 };
    struct job job[MOST] = {0};
    pthread_t id[MOST];
    int started = 1;
    for (int i = 0; i < threads && i < MOST; i++)
        job[i] = (struct job){.fn = fn, .arg = arg, .thread = i, .err = ERR_NONE};
    for (; started < threads && started < MOST; started++)
        if (pthread_create(&id[started], NULL, job_main, &job[started]) != 0)
            break;
    job_main(&job[0]);
    for (int i = 1; i < started; i++)
        pthread_join(id[i], NULL);
    for (int i = started; i < threads && i < MOST; i++)
        job_main(&job[i]); /* no thread to be had: one after the other */
    for (int i = 0; i < threads && i < MOST; i++)
        if (job[i].code < 0) {
            if (e)
                *e = job[i].err;
            return job[i].code;
        }
    return 0;
}
