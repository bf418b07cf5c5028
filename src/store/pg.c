/* PostgreSQL behind one door. Every wait is a poll of the socket in slices, so that a stop is heard
 * and a silent server is noticed. */
#include "store/pg.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#define SLICE_MS         50       /* how late a stop may be heard */
#define PATIENCE_US      30000000 /* a server under load may need long for a commit */
#define COPY_MESSAGE_MAX ((size_t)1 << 16)

struct pg {
    PGconn *connection;      /* owned */
    const atomic_bool *stop; /* borrowed, may be NULL */
    int64_t patience_us;
    enum pg_trouble trouble;
    char sqlstate[6];
};

/* ---- options ---- */

void pg_options_free(struct pg_options *o)
{
    for (size_t i = 0; i < o->count; i++) {
        free(o->keyword[i]);
        free(o->value[i]);
    }
    memset(o, 0, sizeof *o);
}

static size_t find_option(const struct pg_options *o, const char *keyword)
{
    size_t i = 0;
    while (i < o->count && strcmp(o->keyword[i], keyword) != 0)
        i++;
    return i;
}

int pg_options_set(struct pg_options *o, const char *keyword, const char *value, struct err *e)
{
    size_t at = find_option(o, keyword);
    char *copy = strdup(value);
    char *name = at == o->count ? strdup(keyword) : NULL;
    if (!copy || (at == o->count && !name) || at == PG_OPTIONS_MAX) {
        free(copy);
        free(name);
        return err_set(e, ERR_NOMEM, "no memory for connection parameter %s", keyword);
    }
    if (at == o->count) {
        o->keyword[at] = name;
        o->count++;
    } else {
        free(o->value[at]);
    }
    o->value[at] = copy;
    return 0;
}

const char *pg_options_get(const struct pg_options *o, const char *keyword)
{
    size_t at = find_option(o, keyword);
    return at < o->count ? o->value[at] : NULL;
}

/* libpq ends its messages with a newline and may put several lines into one. */
static void one_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
}

int pg_options_parse(const char *text, struct pg_options *ret, struct err *e)
{
    char *message = NULL;
    int rc = 0;
    struct pg_options options = {0};
    PQconninfoOption *list = PQconninfoParse(text, &message);
    if (!list) {
        if (message)
            one_line(message);
        rc = err_set(
            e, ERR_USAGE, "not a PostgreSQL connection: %s", message ? message : "out of memory");
        PQfreemem(message);
        return rc;
    }
    for (PQconninfoOption *o = list; o->keyword && rc == 0; o++)
        if (o->val)
            rc = pg_options_set(&options, o->keyword, o->val, e);
    PQconninfoFree(list);
    if (rc == 0)
        *ret = options;
    else
        pg_options_free(&options);
    return rc;
}

char *pg_options_default(const char *keyword)
{
    char *found = NULL;
    PQconninfoOption *list = PQconndefaults();
    for (PQconninfoOption *o = list; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val && *o->val)
            found = strdup(o->val);
    PQconninfoFree(list);
    return found;
}

bool pg_knows_option(const char *keyword)
{
    bool known = false;
    PQconninfoOption *list = PQconndefaults();
    for (PQconninfoOption *o = list; o && o->keyword; o++)
        known = known || strcmp(o->keyword, keyword) == 0;
    PQconninfoFree(list);
    return known;
}

/* ---- troubles ---- */

static bool in_class(const char *state, const char *class)
{
    return strncmp(state, class, strlen(class)) == 0;
}

/* The classes of PostgreSQL's manual, appendix A. */
static enum pg_trouble classify(const char *state)
{
    /* 22 data, 23 constraint, 54 a value too large for an index or a row */
    if (in_class(state, "22") || in_class(state, "23") || in_class(state, "54"))
        return PG_ROW;
    if (in_class(state, "42P01") || in_class(state, "42703") || in_class(state, "3F"))
        return PG_MISSING;
    if (in_class(state, "28") || in_class(state, "3D") || in_class(state, "42501"))
        return PG_DENIED;
    /* connection, resources, operator intervention, deadlock and serialization, read-only,
     * system error */
    if (in_class(state, "08") || in_class(state, "53") || in_class(state, "57") ||
        in_class(state, "40") || in_class(state, "25006") || in_class(state, "55") ||
        in_class(state, "58"))
        return PG_LATER;
    return PG_OTHER;
}

/* Describes what the connection says went wrong. */
static int fail(struct pg *pg, const char *message, const char *state, struct err *e)
{
    char text[ERR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", message && *message ? message : "no answer");
    one_line(text);
    snprintf(pg->sqlstate, sizeof pg->sqlstate, "%s", state ? state : "");
    if (PQstatus(pg->connection) == CONNECTION_BAD)
        pg->trouble = PG_LOST;
    else
        pg->trouble = state ? classify(state) : PG_OTHER;
    return err_set(e, ERR_DB, "PostgreSQL: %s", text);
}

static int fail_lost(struct pg *pg, int code, const char *text, struct err *e)
{
    pg->trouble = PG_LOST;
    pg->sqlstate[0] = '\0';
    return err_set(e, code, "PostgreSQL: %s", text);
}

enum pg_trouble pg_trouble(const struct pg *pg)
{
    return pg->trouble;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

/* ---- waiting ---- */

/* Waits until the socket is ready or the time is up. */
static int wait_socket(struct pg *pg, short events, int64_t until_us, struct err *e)
{
    for (;;) {
        if (pg->stop && atomic_load(pg->stop))
            return fail_lost(pg, ERR_CANCELLED, "ended before the server answered", e);
        if (clock_monotonic_us() >= until_us)
            return fail_lost(pg, ERR_TIMEOUT, "the server does not answer", e);
        struct pollfd fd = {.fd = PQsocket(pg->connection), .events = events};
        if (fd.fd < 0)
            return fail(pg, PQerrorMessage(pg->connection), NULL, e);
        int ready = poll(&fd, 1, SLICE_MS);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return err_set_errno(e, ERR_DB, errno, "PostgreSQL: poll");
    }
}

static int64_t patience_end(const struct pg *pg)
{
    return clock_monotonic_us() + pg->patience_us;
}

/* Sends what libpq has buffered. */
static int flush(struct pg *pg, struct err *e)
{
    int left;
    while ((left = PQflush(pg->connection)) > 0) {
        int rc = wait_socket(pg, POLLIN | POLLOUT, patience_end(pg), e);
        if (rc != 0)
            return rc;
        if (!PQconsumeInput(pg->connection))
            return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    }
    return left < 0 ? fail(pg, PQerrorMessage(pg->connection), NULL, e) : 0;
}

/* The next result of what was sent, NULL behind the last. */
static int next_result(struct pg *pg, PGresult **ret, struct err *e)
{
    while (PQisBusy(pg->connection)) {
        int rc = wait_socket(pg, POLLIN, patience_end(pg), e);
        if (rc != 0)
            return rc;
        if (!PQconsumeInput(pg->connection))
            return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    }
    *ret = PQgetResult(pg->connection);
    return 0;
}

static bool is_good(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_IN: return true;
    default: return false;
    }
}

/* Reads results to the end; the last good one goes to *ret, the first failure is described. */
static int collect(struct pg *pg, PGresult **ret, struct err *e)
{
    PGresult *kept = NULL, *result = NULL;
    int outcome = 0;
    for (;;) {
        int rc = next_result(pg, &result, e);
        if (rc != 0) {
            PQclear(kept);
            return rc;
        }
        if (!result)
            break;
        if (!is_good(result) && outcome == 0)
            outcome = fail(
                pg, PQresultErrorMessage(result), PQresultErrorField(result, PG_DIAG_SQLSTATE), e);
        bool copies = PQresultStatus(result) == PGRES_COPY_IN;
        PQclear(kept);
        kept = result;
        if (copies) /* more results come only when the copy has ended */
            break;
    }
    if (outcome != 0) {
        PQclear(kept);
        return outcome;
    }
    pg->trouble = PG_NONE;
    *ret = kept;
    return 0;
}

/* ---- a connection ---- */

/* Notices go nowhere: this program says what it has to say itself. */
static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

int pg_connect(const struct pg_options *options, int64_t deadline_us, const atomic_bool *stop,
    struct pg **ret_pg, struct err *e)
{
    int64_t until = clock_monotonic_us() + deadline_us;
    struct pg *pg = calloc(1, sizeof *pg);
    if (!pg)
        return err_set(e, ERR_NOMEM, "no memory for a connection to PostgreSQL");
    pg->stop = stop;
    pg->patience_us = PATIENCE_US;
    pg->connection = PQconnectStartParams(
        (const char *const *)options->keyword, (const char *const *)options->value, 0);
    int rc = pg->connection ? 0 : err_set(e, ERR_NOMEM, "no memory for libpq");
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    if (rc == 0 && PQstatus(pg->connection) == CONNECTION_BAD)
        state = PGRES_POLLING_FAILED;
    while (rc == 0 && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
        rc = wait_socket(pg, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until, e);
        if (rc == 0)
            state = PQconnectPoll(pg->connection);
    }
    if (rc == 0 && state == PGRES_POLLING_FAILED)
        rc = fail(pg, PQerrorMessage(pg->connection), NULL, e);
    if (rc == 0 && PQsetnonblocking(pg->connection, 1) != 0)
        rc = fail(pg, PQerrorMessage(pg->connection), NULL, e);
    if (rc == 0) {
        PQsetNoticeReceiver(pg->connection, ignore_notice, NULL);
        *ret_pg = pg;
    } else {
        pg_close(pg);
    }
    return rc;
}

void pg_close(struct pg *pg)
{
    if (!pg)
        return;
    PQfinish(pg->connection);
    free(pg);
}

void pg_set_stop(struct pg *pg, const atomic_bool *stop)
{
    pg->stop = stop;
}

void pg_set_patience(struct pg *pg, int64_t us)
{
    pg->patience_us = us;
}

static int exec(struct pg *pg, const char *sql, PGresult **ret, struct err *e)
{
    if (!PQsendQuery(pg->connection, sql))
        return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    int rc = flush(pg, e);
    return rc ? rc : collect(pg, ret, e);
}

int pg_exec(struct pg *pg, const char *sql, struct err *e)
{
    PGresult *result = NULL;
    int rc = exec(pg, sql, &result, e);
    PQclear(result);
    return rc;
}

void pg_rollback(struct pg *pg)
{
    struct err unwanted;
    enum pg_trouble trouble = pg->trouble;
    if (trouble != PG_LOST && pg_exec(pg, "ROLLBACK", &unwanted) == 0)
        pg->trouble = trouble;
}

int pg_query(struct pg *pg, const char *sql, int count, const enum pg_type *types,
    const char *const *values, struct pg_result **ret_result, struct err *e)
{
    Oid numbers[16] = {0};
    PGresult *result = NULL;
    if (count > (int)(sizeof numbers / sizeof *numbers))
        return err_set(e, ERR_INTERNAL, "too many parameters");
    for (int i = 0; types && i < count; i++)
        numbers[i] = (Oid)types[i];
    if (!PQsendQueryParams(
            pg->connection, sql, count, types ? numbers : NULL, values, NULL, NULL, 0))
        return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    int rc = flush(pg, e);
    if (rc == 0)
        rc = collect(pg, &result, e);
    if (rc == 0 && ret_result)
        *ret_result = (struct pg_result *)result;
    else
        PQclear(result);
    return rc;
}

/* A result is libpq's own, under a name that keeps its header in here. */
static const PGresult *as_pq(const struct pg_result *r)
{
    return (const PGresult *)r;
}

void pg_result_free(struct pg_result *r)
{
    PQclear((PGresult *)r);
}

int pg_rows(const struct pg_result *r)
{
    return PQntuples(as_pq(r));
}

int pg_columns(const struct pg_result *r)
{
    return PQnfields(as_pq(r));
}

int64_t pg_affected(const struct pg_result *r)
{
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)r), NULL, 10);
}

const char *pg_column_name(const struct pg_result *r, int column)
{
    return PQfname(as_pq(r), column);
}

unsigned pg_column_type(const struct pg_result *r, int column)
{
    return PQftype(as_pq(r), column);
}

const char *pg_value(const struct pg_result *r, int row, int column)
{
    return PQgetisnull(as_pq(r), row, column) ? NULL : PQgetvalue(as_pq(r), row, column);
}

/* ---- COPY ---- */

int pg_copy_begin(struct pg *pg, const char *sql, struct err *e)
{
    PGresult *result = NULL;
    int rc = exec(pg, sql, &result, e);
    if (rc == 0 && PQresultStatus(result) != PGRES_COPY_IN)
        rc = err_set(e, ERR_INTERNAL, "PostgreSQL: no COPY began");
    PQclear(result);
    return rc;
}

int pg_copy_data(struct pg *pg, const char *bytes, size_t length, struct err *e)
{
    while (length > 0) {
        size_t part = length < COPY_MESSAGE_MAX ? length : COPY_MESSAGE_MAX;
        int sent = PQputCopyData(pg->connection, bytes, (int)part);
        if (sent < 0)
            return fail(pg, PQerrorMessage(pg->connection), NULL, e);
        if (sent > 0) {
            bytes += part;
            length -= part;
        }
        int rc = flush(pg, e); /* or libpq would hold the whole batch in memory */
        if (rc != 0)
            return rc;
    }
    return 0;
}

int pg_copy_end(struct pg *pg, int64_t *ret_rows, struct err *e)
{
    PGresult *result = NULL;
    int sent;
    while ((sent = PQputCopyEnd(pg->connection, NULL)) == 0) {
        int rc = wait_socket(pg, POLLIN | POLLOUT, patience_end(pg), e);
        if (rc != 0)
            return rc;
        if (!PQconsumeInput(pg->connection))
            return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    }
    if (sent < 0)
        return fail(pg, PQerrorMessage(pg->connection), NULL, e);
    int rc = flush(pg, e);
    if (rc == 0)
        rc = collect(pg, &result, e);
    if (rc == 0)
        *ret_rows = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return rc;
}

char *pg_quote_name(struct pg *pg, const char *name)
{
    char *quoted = PQescapeIdentifier(pg->connection, name, strlen(name));
    char *copy = quoted ? strdup(quoted) : NULL;
    PQfreemem(quoted);
    return copy;
}
