/* The queue between the loop thread and the writer thread, and the writer's own loop. */
#include "collect/file.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "collect/part.h"

/* Each open file adds its end and its release to the blocks that may be queued. */
#define QUEUE_MAX (CAPTURE_BLOCK_COUNT + 2 * CAPTURE_OPEN_MAX)
/* Room is told when half of the blocks are free, so that a slow disk does not make the loop pause
 * and resume for every block. */
#define ROOM_BLOCKS (CAPTURE_BLOCK_COUNT / 2)

_Static_assert(ROOM_BLOCKS + CAPTURE_OPEN_MAX <= CAPTURE_BLOCK_COUNT,
    "half-filled blocks must not keep the loop from ever being resumed");

enum action {
    ACTION_WRITE,   /* a block of the file */
    ACTION_FINISH,  /* the end of the file */
    ACTION_RELEASE, /* the loop thread has let go: the writer frees the file */
};

struct entry {
    enum action action;
    struct capture_file *file;
    char *block; /* ACTION_WRITE */
    size_t count;
};

struct capture_file {
    struct capture_writer *writer;
    struct part *part; /* the writer thread's, from the first entry on */
    void (*room)(void *arg);
    void (*done)(void *arg, const struct capture_result *r, const struct err *why);
    void *arg;
    char *path; /* owned; final name */

    /* Loop thread only */
    char *block; /* being filled; NULL between blocks */
    size_t used;
    int64_t bytes;    /* committed */
    bool finishing;   /* capture_file_finish was called */
    int64_t began_us; /* monotonic */
    int64_t ended_us; /* when capture_file_finish was called */

    /* Writer thread only */
    bool closed; /* sealed or failed: what still comes is dropped */

    /* Under the writer's lock */
    bool wants_room;
    bool settled;  /* result or failure is there, done() is due */
    bool released; /* ACTION_RELEASE is queued: the loop thread does not touch the file again */
    struct capture_result result;
    struct err failure; /* code 0: result holds */
};

struct capture_writer {
    void (*wake)(void *arg);
    void *wake_arg;
    pthread_t thread;
    bool stopping; /* loop thread only */

    pthread_mutex_t lock;
    pthread_cond_t work;    /* the writer waits for entries */
    pthread_cond_t settled; /* capture_writer_stop waits for finishing files */
    /* Under the lock */
    struct entry queue[QUEUE_MAX]; /* ring */
    size_t queue_head, queue_count;
    char *free_blocks[CAPTURE_BLOCK_COUNT]; /* a stack: the block used last is warm in the cache */
    size_t free_count;
    struct capture_file *files[CAPTURE_OPEN_MAX]; /* NULL: free slot */
    bool room_asked;                              /* somebody was told ERR_FULL */
    bool room_due;
    bool quit;

    char *memory; /* owned; all blocks */
};

static void push(struct capture_writer *w, struct entry entry)
{
    assert(w->queue_count < QUEUE_MAX);
    w->queue[(w->queue_head + w->queue_count) % QUEUE_MAX] = entry;
    w->queue_count++;
    pthread_cond_signal(&w->work);
}

static bool pop(struct capture_writer *w, struct entry *ret)
{
    pthread_mutex_lock(&w->lock);
    while (w->queue_count == 0 && !w->quit)
        pthread_cond_wait(&w->work, &w->lock);
    bool any = w->queue_count > 0;
    if (any) {
        *ret = w->queue[w->queue_head];
        w->queue_head = (w->queue_head + 1) % QUEUE_MAX;
        w->queue_count--;
    }
    pthread_mutex_unlock(&w->lock);
    return any;
}

static void give_block_back(struct capture_writer *w, char *block)
{
    assert(w->free_count < CAPTURE_BLOCK_COUNT);
    w->free_blocks[w->free_count++] = block;
    if (w->room_asked && w->free_count >= ROOM_BLOCKS) {
        w->room_asked = false;
        w->room_due = true;
    }
}

static void free_file(struct capture_file *f)
{
    if (!f)
        return;
    part_free(f->part);
    free(f->path);
    free(f);
}

/* ---- the writer thread ---- */

static void settle(struct capture_file *f, const struct part_result *r, const struct err *failure)
{
    struct capture_writer *w = f->writer;
    part_free(f->part);
    f->part = NULL;
    f->closed = true;
    pthread_mutex_lock(&w->lock);
    if (r) {
        int64_t now = clock_monotonic_us();
        f->result = (struct capture_result){.path = f->path,
            .bytes = r->bytes,
            .content_bytes = r->content_bytes,
            .nodes = r->nodes,
            .edges = r->edges,
            .elapsed_us = now - f->began_us,
            .sync_us = now - f->ended_us};
        memcpy(f->result.sha256, r->sha256, sizeof f->result.sha256);
    } else {
        f->failure = *failure;
    }
    f->settled = true;
    bool tell = !f->released;
    pthread_cond_broadcast(&w->settled);
    pthread_mutex_unlock(&w->lock);
    if (tell)
        w->wake(w->wake_arg);
}

static bool is_released(struct capture_file *f)
{
    pthread_mutex_lock(&f->writer->lock);
    bool released = f->released;
    pthread_mutex_unlock(&f->writer->lock);
    return released;
}

static void do_write(const struct entry *entry)
{
    struct capture_file *f = entry->file;
    struct capture_writer *w = f->writer;
    struct err e = ERR_NONE;
    if (!f->closed && part_write(f->part, entry->block, entry->count, &e) != 0)
        settle(f, NULL, &e);
    pthread_mutex_lock(&w->lock);
    give_block_back(w, entry->block);
    bool tell = w->room_due;
    pthread_mutex_unlock(&w->lock);
    if (tell)
        w->wake(w->wake_arg);
}

static void do_finish(struct capture_file *f)
{
    struct part_result r;
    struct err e = ERR_NONE;
    if (f->closed || is_released(f)) /* failed before, or cancelled: no need to wait for the disk */
        return;
    if (part_seal(f->part, &r, &e) == 0)
        settle(f, &r, NULL);
    else
        settle(f, NULL, &e);
}

static void do_release(struct capture_file *f)
{
    struct capture_writer *w = f->writer;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < CAPTURE_OPEN_MAX; i++)
        if (w->files[i] == f)
            w->files[i] = NULL;
    pthread_mutex_unlock(&w->lock);
    free_file(f);
}

static void *writer_main(void *arg)
{
    struct capture_writer *w = arg;
    struct entry entry;
    pthread_setname_np(pthread_self(), "heaptap-writer");
    while (pop(w, &entry)) {
        switch (entry.action) {
        case ACTION_WRITE: do_write(&entry); break;
        case ACTION_FINISH: do_finish(entry.file); break;
        case ACTION_RELEASE: do_release(entry.file); break;
        }
    }
    return NULL;
}

/* ---- the loop thread ---- */

static void free_writer(struct capture_writer *w)
{
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->settled);
    pthread_mutex_destroy(&w->lock);
    free(w->memory);
    free(w);
}

int capture_writer_start(
    void (*wake)(void *arg), void *wake_arg, struct capture_writer **ret, struct err *e)
{
    struct capture_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "out of memory");
    w->wake = wake;
    w->wake_arg = wake_arg;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->settled, NULL);
    w->memory = aligned_alloc(64, (size_t)CAPTURE_BLOCK_COUNT * CAPTURE_BLOCK_SIZE);
    if (!w->memory) {
        free_writer(w);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < CAPTURE_BLOCK_COUNT; i++)
        w->free_blocks[w->free_count++] = w->memory + i * CAPTURE_BLOCK_SIZE;

    /* Signals are the loop thread's business. With SIGXFSZ blocked a file size limit is an error of
     * write and not the end of the process. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, writer_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free_writer(w);
        return err_set_errno(e, ERR_NOMEM, failed, "cannot start the writer thread");
    }
    *ret = w;
    return 0;
}

static int take_slot(struct capture_writer *w, struct capture_file *f, struct err *e)
{
    int rc = err_set(e, ERR_FULL, "%d captures are being written already", CAPTURE_OPEN_MAX);
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < CAPTURE_OPEN_MAX && rc != 0; i++) {
        if (!w->files[i]) {
            w->files[i] = f;
            rc = 0;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

int capture_file_open(struct capture_writer *w, const struct capture_file_options *o,
    struct capture_file **ret, struct err *e)
{
    int rc = 0;
    if (w->stopping)
        return err_set(e, ERR_CANCELLED, "heaptap is ending");
    struct capture_file *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "out of memory");
    f->writer = w;
    f->room = o->room;
    f->done = o->done;
    f->arg = o->arg;
    f->began_us = clock_monotonic_us();
    rc = part_create(o->path, o->kind, o->compress, &f->part, e);
    if (rc == 0) {
        f->path = strdup(part_path(f->part));
        if (!f->path)
            rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    if (rc == 0)
        rc = take_slot(w, f, e);
    if (rc == 0)
        *ret = f;
    else
        free_file(f);
    return rc;
}

static void queue_block(struct capture_file *f)
{
    if (!f->block)
        return;
    struct entry entry = {.action = ACTION_WRITE, .file = f, .block = f->block, .count = f->used};
    pthread_mutex_lock(&f->writer->lock);
    if (f->used > 0)
        push(f->writer, entry);
    else
        give_block_back(f->writer, f->block);
    pthread_mutex_unlock(&f->writer->lock);
    f->block = NULL;
    f->used = 0;
}

static int take_block(struct capture_file *f)
{
    struct capture_writer *w = f->writer;
    pthread_mutex_lock(&w->lock);
    if (w->free_count > 0)
        f->block = w->free_blocks[--w->free_count];
    else
        f->wants_room = w->room_asked = true;
    pthread_mutex_unlock(&w->lock);
    return f->block ? 0 : ERR_FULL;
}

int capture_file_space(struct capture_file *f, size_t least, char **ret_space, size_t *ret_size)
{
    assert(!f->finishing && least <= CAPTURE_BLOCK_SIZE);
    if (f->block && CAPTURE_BLOCK_SIZE - f->used < (least ? least : 1))
        queue_block(f);
    int rc = f->block ? 0 : take_block(f);
    if (rc != 0)
        return rc;
    *ret_space = f->block + f->used;
    *ret_size = CAPTURE_BLOCK_SIZE - f->used;
    return 0;
}

void capture_file_commit(struct capture_file *f, size_t count)
{
    assert(f->block && count <= CAPTURE_BLOCK_SIZE - f->used);
    f->used += count;
    f->bytes += (int64_t)count;
    if (f->used == CAPTURE_BLOCK_SIZE)
        queue_block(f);
}

int capture_file_write(struct capture_file *f, const void *bytes, size_t count, size_t *ret_taken)
{
    size_t taken = 0;
    int rc = 0;
    while (taken < count) {
        char *space;
        size_t size;
        rc = capture_file_space(f, 1, &space, &size);
        if (rc != 0)
            break;
        size_t step = size < count - taken ? size : count - taken;
        memcpy(space, (const char *)bytes + taken, step);
        capture_file_commit(f, step);
        taken += step;
    }
    *ret_taken = taken;
    return rc;
}

void capture_file_finish(struct capture_file *f)
{
    assert(!f->finishing);
    f->finishing = true;
    queue_block(f);
    pthread_mutex_lock(&f->writer->lock);
    f->ended_us = clock_monotonic_us();
    push(f->writer, (struct entry){.action = ACTION_FINISH, .file = f});
    pthread_mutex_unlock(&f->writer->lock);
}

void capture_file_cancel(struct capture_file *f)
{
    if (!f)
        return;
    struct capture_writer *w = f->writer;
    pthread_mutex_lock(&w->lock);
    assert(!f->released);
    if (f->block)
        give_block_back(w, f->block);
    f->block = NULL;
    f->released = true;
    push(w, (struct entry){.action = ACTION_RELEASE, .file = f});
    bool tell = w->room_due;
    pthread_mutex_unlock(&w->lock);
    if (tell)
        w->wake(w->wake_arg);
}

int64_t capture_file_bytes(const struct capture_file *f)
{
    return f->bytes;
}

const char *capture_file_path(const struct capture_file *f)
{
    return f->path;
}

/* The file in a slot if it waits for one of its callbacks. */
static struct capture_file *due_in_slot(
    struct capture_writer *w, size_t slot, bool room_due, bool *ret_settled)
{
    pthread_mutex_lock(&w->lock);
    struct capture_file *f = w->files[slot];
    if (f && f->released)
        f = NULL;
    *ret_settled = f && f->settled;
    bool room = f && !f->settled && room_due && f->wants_room;
    if (room)
        f->wants_room = false;
    pthread_mutex_unlock(&w->lock);
    return *ret_settled || room ? f : NULL;
}

void capture_writer_dispatch(struct capture_writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool room_due = w->room_due;
    w->room_due = false;
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < CAPTURE_OPEN_MAX; i++) {
        bool settled;
        struct capture_file *f = due_in_slot(w, i, room_due, &settled);
        if (f && settled) {
            bool ok = f->failure.code == 0;
            f->done(f->arg, ok ? &f->result : NULL, ok ? NULL : &f->failure);
            capture_file_cancel(f); /* gives back its block and lets the writer free it */
        } else if (f && f->room) {
            f->room(f->arg);
        }
    }
}

static bool any_finishing(const struct capture_writer *w)
{
    for (size_t i = 0; i < CAPTURE_OPEN_MAX; i++) {
        const struct capture_file *f = w->files[i];
        if (f && !f->released && f->finishing && !f->settled)
            return true;
    }
    return false;
}

void capture_writer_stop(struct capture_writer *w)
{
    if (!w)
        return;
    w->stopping = true;
    pthread_mutex_lock(&w->lock);
    while (any_finishing(w))
        pthread_cond_wait(&w->settled, &w->lock);
    pthread_mutex_unlock(&w->lock);
    capture_writer_dispatch(w);
    for (size_t i = 0; i < CAPTURE_OPEN_MAX; i++) {
        pthread_mutex_lock(&w->lock);
        struct capture_file *f = w->files[i];
        if (f && f->released)
            f = NULL;
        pthread_mutex_unlock(&w->lock);
        capture_file_cancel(f);
    }
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    free_writer(w);
}
