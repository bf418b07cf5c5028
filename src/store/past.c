/* Earlier captures, read once before a run begins, on a connection of its own. */
#include "store/past.h"

#include "base/array.h"
#include "store/lite.h"
#include "store/sql.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 1000

/* Columns of store/past_captures.sql. */
enum {
    RUN_ID,
    SNAPSHOT_ID,
    TARGET_ID,
    RUN_IS_OPEN,
    CITED,
    FILE_PATH,
    BYTES,
    TAKEN_MS,
    TITLE,
    RUNTIME_VERSION,
    NODES,
    HEAP_USED,
    PAUSE_MS,
    RSS_BEFORE,
    RSS_PEAK,
};

struct past {
    struct past_capture *captures; /* owned, the newest first */
    size_t count;
};

static void free_capture(struct past_capture *c)
{
    free(c->run_id);
    free(c->file);
    free(c->title);
    free(c->runtime_version);
}

void past_free(struct past *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free_capture(&p->captures[i]);
    free(p->captures);
    free(p);
}

static char *copy(struct lite_statement *s, int column)
{
    const char *text = lite_text(s, column, NULL);
    return strdup(text ? text : "");
}

static int add_row(struct past *p, struct lite_statement *s, struct err *e)
{
    if (!array_more(&p->captures, p->count))
        return err_set(e, ERR_NOMEM, "out of memory");
    bool has_file = lite_type(s, FILE_PATH) == LITE_TEXT;
    struct past_capture c = {.run_id = copy(s, RUN_ID),
        .snapshot_id = lite_integer(s, SNAPSHOT_ID),
        .target_id = lite_integer(s, TARGET_ID),
        .run_is_open = lite_integer(s, RUN_IS_OPEN) != 0,
        .cited = lite_integer(s, CITED) != 0,
        .file = has_file ? copy(s, FILE_PATH) : NULL,
        .bytes = lite_integer(s, BYTES),
        .taken_ms = lite_integer(s, TAKEN_MS),
        .title = copy(s, TITLE),
        .runtime_version = copy(s, RUNTIME_VERSION),
        .nodes = lite_integer(s, NODES),
        .heap_used = lite_integer(s, HEAP_USED),
        .pause_ms = lite_real(s, PAUSE_MS),
        .rss_before = lite_integer(s, RSS_BEFORE),
        .rss_peak = lite_integer(s, RSS_PEAK)};
    if (!c.run_id || (has_file && !c.file) || !c.title || !c.runtime_version) {
        free_capture(&c);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    p->captures[p->count++] = c;
    return 0;
}

int past_load(const char *path, struct past **ret, struct err *e)
{
    struct lite *db = NULL;
    struct lite_statement *s = NULL;
    bool row = false;
    struct past *p = calloc(1, sizeof *p);
    int rc = p ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = lite_open(path, LITE_READ, BUSY_MS, &db, e);
    if (rc == 0)
        rc = lite_prepare(db, sql_find("store/past_captures.sql"), &s, e);
    if (rc == 0)
        lite_bind_integer(s, 1, PAST_MAX);
    while (rc == 0 && (rc = lite_step(s, &row, e)) == 0 && row)
        rc = add_row(p, s, e);
    lite_finalize(s);
    lite_close(db);
    if (rc == 0)
        *ret = p;
    else
        past_free(p);
    return rc;
}

size_t past_count(const struct past *p)
{
    return p ? p->count : 0;
}

const struct past_capture *past_at(const struct past *p, size_t index)
{
    return &p->captures[p->count - 1 - index];
}

const struct past_capture *past_find(
    const struct past *p, const char *title, const char *runtime_version)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct past_capture *c = &p->captures[i];
        if (c->nodes > 0 && c->heap_used > 0 && c->pause_ms > 0 && strcmp(c->title, title) == 0 &&
            strcmp(c->runtime_version, runtime_version) == 0)
            return c;
    }
    return NULL;
}
