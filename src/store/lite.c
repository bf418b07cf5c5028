/* SQLite behind one door. */
#include "store/lite.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#define MARK_PAUSE_US 2000  /* between two tries to turn WAL on */
#define STOP_STEPS    10000 /* of SQLite's machine between two looks: about a millisecond */

struct lite {
    sqlite3 *handle; /* owned */
    char *path;      /* owned */
    int last;        /* SQLite's code of the last failure */
};

struct lite_statement {
    sqlite3_stmt *handle; /* owned */
    struct lite *db;      /* borrowed */
    int bind_failure;     /* first code of a bind since the last reset */
};

/* SQLite counts its memory under a lock of the whole process, which nobody here asks for, at each
 * of the dozen allocations of a row. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int fail(struct lite *db, int code, struct err *e)
{
    db->last = code;
    const char *path = db->path;
    /* A full disk that is met in the shared memory beside the file is told as an I/O error. */
    if (code == SQLITE_IOERR_SHMSIZE ||
        ((code & 0xff) == SQLITE_IOERR && sqlite3_system_errno(db->handle) == ENOSPC))
        code = SQLITE_FULL;
    switch (code & 0xff) {
    case SQLITE_NOTADB: return err_set(e, ERR_DB, "%s is not a database", path);
    case SQLITE_CORRUPT:
        return err_set(e, ERR_DB, "database %s is damaged (%s)", path, sqlite3_errmsg(db->handle));
    case SQLITE_FULL: return err_set(e, ERR_DB, "database %s: the disk is full", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return err_set(e, ERR_DB, "database %s is locked by another process", path);
    case SQLITE_READONLY: return err_set(e, ERR_DB, "database %s is not writable", path);
    case SQLITE_CANTOPEN:
        return err_set_errno(
            e, ERR_DB, sqlite3_system_errno(db->handle), "cannot open database %s", path);
    case SQLITE_INTERRUPT: return err_set(e, ERR_CANCELLED, "ended before it was answered");
    case SQLITE_NOMEM: return err_set(e, ERR_NOMEM, "database %s: out of memory", path);
    default: return err_set(e, ERR_DB, "database %s: %s", path, sqlite3_errmsg(db->handle));
    }
}

/* SQLite would make the file with the umask's mode; texts of a target are nobody else's business.
 */
static int make_private_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(e, ERR_DB, errno, "cannot open database %s", path);
    close(fd);
    return 0;
}

/* Both are written into the file: only into one that has no table yet, never into a foreign. The
 * change to WAL gives up its shared lock for an exclusive one, for which SQLite does not wait: of
 * two processes that make a file together one is told "busy" at once. */
static int mark_new_file(struct lite *db, int busy_ms, struct err *e)
{
    int64_t until = clock_monotonic_us() + (int64_t)busy_ms * 1000;
    for (;;) {
        struct err why = ERR_NONE;
        int rc = lite_exec(db, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL", &why);
        if (rc == 0 || (db->last & 0xff) != SQLITE_BUSY || clock_monotonic_us() >= until) {
            if (rc != 0)
                *e = why;
            return rc;
        }
        usleep(MARK_PAUSE_US);
    }
}

int lite_open(
    const char *path, enum lite_mode mode, int busy_ms, struct lite **ret_db, struct err *e)
{
    static const int flags[] = {
        [LITE_READ] = SQLITE_OPEN_READONLY,
        [LITE_WRITE] = SQLITE_OPEN_READWRITE,
        [LITE_CREATE] = SQLITE_OPEN_READWRITE,
    };
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    int rc = 0;
    pthread_once(&configured, configure);
    struct lite *db = calloc(1, sizeof *db);
    if (!db || !(db->path = strdup(path))) {
        rc = err_set(e, ERR_NOMEM, "no memory for database %s", path);
        goto out;
    }
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = err_set(e, ERR_DB, "database %s: that is a folder", path);
        goto out;
    }
    if (mode == LITE_CREATE && (rc = make_private_file(path, e)) != 0)
        goto out;
    int code = sqlite3_open_v2(path, &db->handle, flags[mode] | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        rc = db->handle ? fail(db, code, e) : err_set(e, ERR_NOMEM, "no memory for %s", path);
        goto out;
    }
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, busy_ms);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Reads the head of the file, so that a foreign one is found here. */
    int64_t schema = 0;
    if ((rc = lite_get_integer(db, "PRAGMA schema_version", 0, &schema, e)) != 0)
        goto out;
    if (mode == LITE_CREATE && schema == 0 && (rc = mark_new_file(db, busy_ms, e)) != 0)
        goto out;
    if (mode == LITE_CREATE && (rc = lite_exec(db, "PRAGMA synchronous=NORMAL", e)) != 0)
        goto out;
    *ret_db = db;
    db = NULL;
out:
    lite_close(db);
    return rc;
}

void lite_close(struct lite *db)
{
    if (!db)
        return;
    sqlite3_close_v2(db->handle);
    free(db->path);
    free(db);
}

const char *lite_path(const struct lite *db)
{
    return db->path;
}

void lite_set_busy(struct lite *db, int busy_ms)
{
    sqlite3_busy_timeout(db->handle, busy_ms);
}

static int is_stopped(void *stop)
{
    return atomic_load((const atomic_bool *)stop);
}

void lite_set_stop(struct lite *db, const atomic_bool *stop)
{
    sqlite3_progress_handler(db->handle, STOP_STEPS, stop ? is_stopped : NULL, (void *)stop);
}

int lite_exec(struct lite *db, const char *sql, struct err *e)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail(db, code, e);
}

int lite_get_integer(
    struct lite *db, const char *sql, int64_t fallback, int64_t *ret_value, struct err *e)
{
    struct lite_statement *s = NULL;
    bool row = false;
    int rc = lite_prepare(db, sql, &s, e);
    if (rc == 0)
        rc = lite_step(s, &row, e);
    if (rc == 0)
        *ret_value = row && lite_type(s, 0) != LITE_NULL ? lite_integer(s, 0) : fallback;
    lite_finalize(s);
    return rc;
}

int lite_begin(struct lite *db, struct err *e)
{
    return lite_exec(db, "BEGIN IMMEDIATE", e);
}

int lite_commit(struct lite *db, struct err *e)
{
    return lite_exec(db, "COMMIT", e);
}

void lite_rollback(struct lite *db)
{
    /* A failure that matters (full disk) has already rolled back by itself. */
    if (!sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool lite_may_pass(const struct lite *db)
{
    switch (db->last & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_READONLY: /* a file system that was remounted read-only may come back */
    case SQLITE_CANTOPEN: return true;
    default: return false;
    }
}

bool lite_is_constraint(const struct lite *db)
{
    int code = db->last & 0xff;
    return code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG || code == SQLITE_MISMATCH;
}

int lite_prepare(
    struct lite *db, const char *sql, struct lite_statement **ret_statement, struct err *e)
{
    struct lite_statement *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    s->db = db;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, NULL);
    if (code != SQLITE_OK) {
        free(s);
        return fail(db, code, e);
    }
    *ret_statement = s;
    return 0;
}

void lite_finalize(struct lite_statement *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->handle);
    free(s);
}

static void note_bind(struct lite_statement *s, int code)
{
    if (code != SQLITE_OK && s->bind_failure == SQLITE_OK)
        s->bind_failure = code;
}

void lite_bind_integer(struct lite_statement *s, int parameter, int64_t value)
{
    note_bind(s, sqlite3_bind_int64(s->handle, parameter, value));
}

void lite_bind_real(struct lite_statement *s, int parameter, double value)
{
    note_bind(s, sqlite3_bind_double(s->handle, parameter, value));
}

void lite_bind_text(struct lite_statement *s, int parameter, const char *text, size_t length)
{
    note_bind(
        s, sqlite3_bind_text64(s->handle, parameter, text, length, SQLITE_STATIC, SQLITE_UTF8));
}

void lite_bind_string(struct lite_statement *s, int parameter, const char *text)
{
    if (text)
        lite_bind_text(s, parameter, text, strlen(text));
    else
        lite_bind_null(s, parameter);
}

void lite_bind_null(struct lite_statement *s, int parameter)
{
    note_bind(s, sqlite3_bind_null(s->handle, parameter));
}

int lite_parameter(struct lite_statement *s, const char *name)
{
    return sqlite3_bind_parameter_index(s->handle, name);
}

int lite_step(struct lite_statement *s, bool *ret_row, struct err *e)
{
    if (s->bind_failure != SQLITE_OK)
        return fail(s->db, s->bind_failure, e);
    int code = sqlite3_step(s->handle);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(s->db, code, e);
    *ret_row = code == SQLITE_ROW;
    return 0;
}

int lite_run(struct lite_statement *s, struct err *e)
{
    bool row;
    int rc = lite_step(s, &row, e);
    lite_reset(s);
    return rc;
}

void lite_reset(struct lite_statement *s)
{
    sqlite3_reset(s->handle); /* its code repeats that of the step */
    s->bind_failure = SQLITE_OK;
}

int64_t lite_changes(struct lite *db)
{
    return sqlite3_changes64(db->handle);
}

int lite_columns(struct lite_statement *s)
{
    return sqlite3_column_count(s->handle);
}

const char *lite_column_name(struct lite_statement *s, int column)
{
    return sqlite3_column_name(s->handle, column);
}

enum lite_type lite_type(struct lite_statement *s, int column)
{
    switch (sqlite3_column_type(s->handle, column)) {
    case SQLITE_NULL: return LITE_NULL;
    case SQLITE_INTEGER: return LITE_INTEGER;
    case SQLITE_FLOAT: return LITE_REAL;
    default: return LITE_TEXT;
    }
}

int64_t lite_integer(struct lite_statement *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

double lite_real(struct lite_statement *s, int column)
{
    return sqlite3_column_double(s->handle, column);
}

const char *lite_text(struct lite_statement *s, int column, size_t *ret_length)
{
    const char *text = (const char *)sqlite3_column_text(s->handle, column);
    if (ret_length)
        *ret_length = text ? (size_t)sqlite3_column_bytes(s->handle, column) : 0;
    return text;
}
