/* How many rows a second the store takes: into SQLite by the journal, and all the way to PostgreSQL
 * beside COPY alone into the same server.
 *
 *      bench_store [ROWS]                    SQLite alone
 *      with-postgres bench_store [ROWS]      both
 */
#include "base/clock.h"
#include "store/journal.h"
#include "store/lite.h"
#include "store/outbox.h"
#include "store/pg.h"
#include "store/ship.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SECOND 1000000

static void die(const char *what)
{
    fprintf(stderr, "bench_store: %s\n", what);
    exit(1);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Posts request pairs as fast as the journal takes them without a loss. */
static void feed(struct journal *j, int rows)
{
    struct store_metrics before, after;
    store_row_clear(STORE_MEMORY_METRICS, &before);
    before.target_id = 1;
    before.label = "before-GET";
    before.request_method = "GET";
    before.request_url = "/products/17?colour=green";
    before.route = "/products/:n";
    before.heap_total = before.rss = 1e8;
    before.in_flight = 1;
    for (int i = 0; i < rows / 2; i++) {
        before.created_at_ms = clock_wall_ms();
        before.request_id = i;
        before.heap_used = 5e7 + i * 1000.0;
        after = before;
        after.label = "after-GET";
        after.status = 200;
        after.duration_ms = 1.5;
        journal_request(j, &before, &after);
        struct journal_counts counts;
        if (i % 1000 == 0)
            for (journal_counts(j, &counts); counts.queued_bytes > (16 << 20);
                 journal_counts(j, &counts))
                usleep(1000);
    }
}

static struct journal *begin(const struct database *database)
{
    struct err e = ERR_NONE;
    struct journal *j = NULL;
    struct journal_options options = {.path = database_path(database)};
    struct store_run run;
    store_row_clear(STORE_RUNS, &run);
    run.destination = database_destination(database);
    if (journal_open(&options, &j, &e) != 0 || journal_begin_run(j, &run, &e) != 0)
        die(e.text);
    return j;
}

static void finish(struct journal *j, int rows)
{
    struct err e = ERR_NONE;
    struct journal_counts counts;
    if (journal_flush(j, 60 * SECOND, &e) != 0)
        die(e.text);
    journal_counts(j, &counts);
    if (counts.lost[STORE_MEMORY_METRICS] || counts.posted[STORE_MEMORY_METRICS] != (uint64_t)rows)
        die("rows were lost");
}

static double bench_journal(const struct database *database, int rows)
{
    struct err e = ERR_NONE;
    struct journal *j = begin(database);
    double cpu = cpu_seconds();
    int64_t start = clock_monotonic_us();
    feed(j, rows);
    double posted = (double)(clock_monotonic_us() - start) / 1e6;
    finish(j, rows);
    double seconds = (double)(clock_monotonic_us() - start) / 1e6;
    printf(
        "journal to SQLite:        %8.0f rows/s (%d rows, %.2f s, %.2f s of CPU, posting %.2f s)\n",
        rows / seconds, rows, seconds, cpu_seconds() - cpu, posted);
    if (journal_close(j, SECOND, &e) != 0)
        die(e.text);
    return seconds;
}

/* ---- PostgreSQL ---- */

static void exec(struct pg *pg, const char *sql)
{
    struct err e = ERR_NONE;
    if (pg_exec(pg, sql, &e) != 0)
        die(e.text);
}

static struct pg *connect_pg(const struct database *database)
{
    struct err e = ERR_NONE;
    struct pg *pg = NULL;
    if (pg_connect(database_options(database), 10 * SECOND, NULL, &pg, &e) != 0)
        die(e.text);
    return pg;
}

/* The whole way: posting, journal, shipper and server at once. */
static double bench_way(const struct database *database, int rows)
{
    struct err e = ERR_NONE;
    struct shipper *shipper = NULL;
    struct shipper_options options = {0};
    struct journal *j = begin(database);
    if (shipper_start(database, &options, journal_run_id(j), &shipper, &e) != 0)
        die(e.text);
    double cpu = cpu_seconds();
    int64_t start = clock_monotonic_us();
    feed(j, rows);
    finish(j, rows);
    if (shipper_stop(shipper, 120 * (int64_t)SECOND, &e) != 0)
        die(e.text);
    double seconds = (double)(clock_monotonic_us() - start) / 1e6;
    printf("journal, shipper, server: %8.0f rows/s (%.2f s, %.2f s of CPU here)\n", rows / seconds,
        seconds, cpu_seconds() - cpu);
    if (journal_close(j, SECOND, &e) != 0)
        die(e.text);
    return seconds;
}

struct text {
    char *bytes;
    size_t length, capacity;
};

static int keep_piece(void *arg, const char *bytes, size_t length, struct err *e)
{
    struct text *t = arg;
    if (t->length + length > t->capacity) {
        t->capacity = (t->length + length) * 2;
        t->bytes = realloc(t->bytes, t->capacity);
        if (!t->bytes)
            return err_set(e, ERR_NOMEM, "no memory for the rows");
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
    return 0;
}

/* The same rows again, as one COPY out of memory: the best that the server can do. */
static double bench_copy(const struct database *database, int rows)
{
    struct err e = ERR_NONE;
    struct outbox *outbox = NULL;
    struct lite *lite = NULL;
    struct lite_statement *s = NULL;
    struct text text = {0};
    struct outbox_batch batch = {.table = STORE_MEMORY_METRICS, .first_seq = 1, .last_seq = rows};
    bool row = false;
    int64_t copied = 0;
    if (lite_open(database_path(database), LITE_READ, 1000, &lite, &e) != 0 ||
        lite_prepare(lite, "SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1", &s, &e) !=
            0 ||
        lite_step(s, &row, &e) != 0 || !row)
        die(e.text);
    snprintf(batch.run_id, sizeof batch.run_id, "%s", lite_text(s, 0, NULL));
    lite_finalize(s);
    lite_close(lite);
    if (outbox_open(database_path(database), database_destination(database), &outbox, &e) != 0 ||
        outbox_read(outbox, &batch, keep_piece, &text, &e) != 0)
        die(e.text);
    struct pg *pg = connect_pg(database);
    exec(pg, "TRUNCATE memory_metrics");
    int64_t start = clock_monotonic_us();
    if (pg_copy_begin(pg, outbox_copy_sql(outbox, STORE_MEMORY_METRICS), &e) != 0 ||
        pg_copy_data(pg, text.bytes, text.length, &e) != 0 || pg_copy_end(pg, &copied, &e) != 0)
        die(e.text);
    double seconds = (double)(clock_monotonic_us() - start) / 1e6;
    if (copied != rows)
        die("COPY took another number of rows");
    printf("COPY alone:               %8.0f rows/s (%.2f s, %.0f bytes a row)\n", rows / seconds,
        seconds, (double)text.length / rows);
    free(text.bytes);
    pg_close(pg);
    outbox_close(outbox);
    return seconds;
}

int main(int argc, char **argv)
{
    int rows = argc > 1 ? atoi(argv[1]) / 2 * 2 : 500000;
    char folder[] = "/tmp/heaptap-bench-XXXXXX", command[128];
    bool with_server = getenv("TEST_POSTGRES") != NULL;
    struct err e = ERR_NONE;
    struct database *database = NULL;
    if (rows < 2 || !mkdtemp(folder))
        die("bad arguments");
    setenv("XDG_STATE_HOME", folder, 1);
    if (database_choose(with_server ? "postgresql://" : NULL, NULL, &database, &e) != 0)
        die(e.text);
    if (with_server && shipper_check(database, false, &e) != 0)
        die(e.text);
    if (with_server) {
        double way = bench_way(database, rows);
        double copy = bench_copy(database, rows);
        printf("the whole way takes %.2f times as long as COPY alone\n", way / copy);
    }
    bench_journal(database, rows);
    database_free(database);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0;
}
