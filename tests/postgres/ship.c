/* The shipper against a real PostgreSQL: what a team would lose if a row were lost or doubled on
 * the way. Runs under with-postgres. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/journal.h"
#include "store/lite.h"
#include "store/pg.h"
#include "store/pgschema.h"
#include "store/reader.h"
#include "store/ship.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000

static char folder[64];
static char schema[32];
static char logged[65536];
static struct database *database;
static const struct shipper_options no_bounds;

static void keep_log(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static void control(const char *what)
{
    char command[256];
    snprintf(command, sizeof command, "\"$TEST_POSTGRES\" %s", what);
    assert_int_equal(system(command), 0);
}

static void use_database(const char *text)
{
    struct err e = ERR_NONE;
    database_free(database);
    database = NULL;
    if (database_choose(text, schema, &database, &e) != 0)
        fail_msg("%s", e.text);
}

/* Each test has its own folder, SQLite file and schema. */
static int set_up(void **state)
{
    static int number;
    (void)state;
    strcpy(folder, "/tmp/heaptap-ship-XXXXXX");
    assert_non_null(mkdtemp(folder));
    setenv("XDG_STATE_HOME", folder, 1);
    snprintf(schema, sizeof schema, "Test %d", ++number);
    logged[0] = '\0';
    log_open(LOG_INFO, keep_log, NULL);
    use_database("postgresql://");
    return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

static int tear_down(void **state)
{
    (void)state;
    log_close();
    database_free(database);
    database = NULL;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- asking both sides ---- */

static struct pg *connect_pg(void)
{
    struct err e = ERR_NONE;
    struct pg_options options = {0};
    struct pg *pg = NULL;
    if (pg_connect(&options, 10 * SECOND, NULL, &pg, &e) != 0)
        fail_msg("%s", e.text);
    return pg;
}

/* One value, in the test's schema. */
static int64_t ask_pg(const char *sql)
{
    struct err e = ERR_NONE;
    struct pg *pg = connect_pg();
    struct pg_result *result = NULL;
    if (pgschema_begin(pg, schema, PGSCHEMA_WRITE, &e) != 0 ||
        pg_query(pg, sql, 0, NULL, NULL, &result, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    const char *text = pg_rows(result) ? pg_value(result, 0, 0) : NULL;
    int64_t value = text ? strcmp(text, "t") == 0 ? 1 : strtoll(text, NULL, 10) : 0;
    pg_result_free(result);
    pg_close(pg);
    return value;
}

static void run_pg(const char *sql)
{
    struct err e = ERR_NONE;
    struct pg *pg = connect_pg();
    if (pgschema_begin(pg, schema, PGSCHEMA_WRITE, &e) != 0 || pg_exec(pg, sql, &e) != 0 ||
        pg_exec(pg, "COMMIT", &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    pg_close(pg);
}

static int64_t ask_lite(const char *sql)
{
    struct lite *db = NULL;
    struct err e = ERR_NONE;
    int64_t value = -1;
    if (lite_open(database_path(database), LITE_READ, 1000, &db, &e) != 0 ||
        lite_get_integer(db, sql, -1, &value, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    lite_close(db);
    return value;
}

static void run_lite(const char *sql)
{
    struct lite *db = NULL;
    struct err e = ERR_NONE;
    if (lite_open(database_path(database), LITE_WRITE, 5000, &db, &e) != 0 ||
        lite_exec(db, sql, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    lite_close(db);
}

/* The sequence rule for every table that has one, and no row twice. */
static void assert_complete(void)
{
    static const char *const tables[] = {"memory_metrics", "heap_classes", "allocation_sites",
        "allocation_intervals", "gc_events", "suspects", "events", NULL};
    for (int i = 0; tables[i]; i++) {
        char sql[512];
        snprintf(sql, sizeof sql,
            "SELECT count(*) FROM runs r WHERE (SELECT coalesce(max(seq), 0) - count(*) FROM %s m "
            "WHERE m.run_id = r.run_id) <> coalesce(r.lost_%s, 0) OR EXISTS (SELECT 1 FROM %s m "
            "WHERE m.run_id = r.run_id GROUP BY seq HAVING count(*) > 1)",
            tables[i], tables[i], tables[i]);
        assert_int_equal(ask_pg(sql), 0);
    }
}

/* ---- running ---- */

struct team {
    struct journal *journal;
    struct shipper *shipper;
};

static struct team start_with(const struct shipper_options *options)
{
    struct err e = ERR_NONE;
    struct team t = {0};
    struct store_run run;
    struct journal_options journal_options = {.path = database_path(database)};
    store_row_clear(STORE_RUNS, &run);
    run.label = "test";
    run.destination = database_destination(database);
    if (shipper_check(database, false, &e) != 0 ||
        journal_open(&journal_options, &t.journal, &e) != 0 ||
        journal_begin_run(t.journal, &run, &e) != 0 ||
        shipper_start(database, options, journal_run_id(t.journal), &t.shipper, &e) != 0)
        fail_msg("%s", e.text);
    return t;
}

static struct team start(void)
{
    return start_with(&no_bounds);
}

/* Ends the run as the command does. Returns what shipper_stop says. */
static int finish(struct team *t, int64_t drain_us, struct err *e)
{
    struct store_run end;
    store_row_clear(STORE_RUNS, &end);
    end.exit_reason = "done";
    journal_end_run(t->journal, &end);
    if (journal_flush(t->journal, 20 * SECOND, e) != 0)
        fail_msg("%s", e->text);
    int rc = shipper_stop(t->shipper, drain_us, e);
    struct err unwanted;
    assert_int_equal(journal_close(t->journal, 10 * SECOND, &unwanted), 0);
    return rc;
}

static void finish_well(struct team *t)
{
    struct err e = ERR_NONE;
    if (finish(t, 30 * SECOND, &e) != 0)
        fail_msg("%s\n%s", e.text, logged);
}

static void post(struct journal *j, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        struct store_metrics row;
        store_row_clear(STORE_MEMORY_METRICS, &row);
        row.target_id = 1;
        row.label = "interval";
        row.heap_used = i * 1048576.0;
        row.created_at_ms = clock_wall_ms() + i; /* no two at once, so that order is sure */
        journal_metrics(j, &row);
    }
}

static void wait_shipped(struct team *t, uint64_t rows)
{
    struct shipper_counts counts = {0};
    for (int i = 0; i < 400 && counts.shipped < rows; i++) {
        usleep(50000);
        shipper_counts(t->shipper, &counts);
    }
    if (counts.shipped < rows)
        fail_msg("only %llu of %llu rows were shipped\n%s", (unsigned long long)counts.shipped,
            (unsigned long long)rows, logged);
}

/* ---- tests ---- */

static void every_row_of_every_table_arrives_as_it_is(void **state)
{
    (void)state;
    struct team t = start();
    struct store_target target;
    store_row_clear(STORE_TARGETS, &target);
    target.title = "tab\there, newline\nthere, back\\slash \\N";
    journal_add_target(t.journal, &target);
    struct store_snapshot snapshot;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &snapshot);
    snapshot.state = "running";
    snapshot.snapshot_id = journal_add_snapshot(t.journal, &snapshot);
    snapshot.state = "complete";
    journal_update_snapshot(t.journal, &snapshot);
    post(t.journal, 0, 25000);
    struct store_class class;
    store_row_clear(STORE_HEAP_CLASSES, &class);
    class.snapshot_id = 1;
    class.ordinal = 0;
    class.class_name = "Gr\xc3\xb6\xc3\x9f"
                       "e\r\n";
    class.key = "k";
    class.count = INT64_MAX;
    journal_class(t.journal, &class);
    struct store_gc gc;
    store_row_clear(STORE_GC_EVENTS, &gc);
    gc.duration_ms = 1.0 / 3;
    gc.created_at_ms = 1767225599123;
    journal_gc(t.journal, &gc);
    struct store_event event;
    store_row_clear(STORE_EVENTS, &event);
    event.kind = "refused";
    journal_event(t.journal, &event);
    struct store_site site;
    store_row_clear(STORE_ALLOCATION_SITES, &site);
    site.function = "f";
    journal_site(t.journal, &site);
    struct store_interval interval;
    store_row_clear(STORE_ALLOCATION_INTERVALS, &interval);
    interval.start_ms = 5;
    journal_interval(t.journal, &interval);
    struct store_suspect suspect;
    store_row_clear(STORE_SUSPECTS, &suspect);
    suspect.rank = 1;
    journal_suspect(t.journal, &suspect);
    finish_well(&t);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 25000);
    assert_int_equal(ask_pg("SELECT sum(heap_used) FROM memory_metrics"), 24999LL * 25000 / 2);
    assert_int_equal(ask_pg("SELECT count(*) FROM targets WHERE title = E'tab\\there, newline\\n"
                            "there, back\\\\slash \\\\N'"),
        1);
    assert_int_equal(ask_pg("SELECT count(*) FROM heap_snapshots WHERE state = 'complete'"), 1);
    assert_int_equal(ask_pg("SELECT count(*) FROM heap_classes WHERE class = E'Größe\\r\\n' AND "
                            "count = 9223372036854775807"),
        1);
    assert_int_equal(
        ask_pg("SELECT count(*) FROM gc_events WHERE duration_ms = 1.0::float8 / 3 AND "
               "created_at = '2025-12-31 23:59:59.123+00'"),
        1);
    assert_int_equal(
        ask_pg("SELECT count(*) FROM runs WHERE state = 'ended' AND label = 'test'"), 1);
    assert_int_equal(ask_pg("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM "
                            "allocation_sites) + (SELECT count(*) FROM allocation_intervals) + "
                            "(SELECT count(*) FROM suspects)"),
        4);
}

static void a_server_that_is_away_costs_no_row_and_no_time(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    control("stop");
    struct team t = start();
    int64_t slowest = 0;
    for (int i = 0; i < 200; i++) {
        int64_t before = clock_monotonic_us();
        post(t.journal, i * 50, 50);
        int64_t took = clock_monotonic_us() - before;
        slowest = took > slowest ? took : slowest;
        usleep(2000);
    }
    assert_true(slowest < SECOND / 4);
    control("start");
    wait_shipped(&t, 10000);
    control("kill"); /* in the middle of it */
    post(t.journal, 10000, 20000);
    usleep(300000);
    control("start");
    wait_shipped(&t, 30000);
    control("stop");
    post(t.journal, 30000, 10);
    assert_int_equal(finish(&t, SECOND, &e), ERR_DB);
    assert_non_null(strstr(e.text, "heaptap db ship"));
    control("start");
    struct shipper_counts counts;
    if (shipper_ship_all(database, 20 * SECOND, &counts, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(counts.shipped >= 11); /* and the run's last state */
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 30010);
    if (shipper_ship_all(database, 20 * SECOND, &counts, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(counts.shipped, 0);
}

static void a_row_that_the_server_refuses_holds_up_no_other(void **state)
{
    (void)state;
    struct team t = start();
    run_pg("ALTER TABLE memory_metrics ADD CHECK (heap_used <> 777 AND heap_used <> 3333)");
    post(t.journal, 0, 5000);
    assert_int_equal(journal_flush(t.journal, 10 * SECOND, NULL), 0);
    run_lite("UPDATE memory_metrics SET request_url = CAST(X'2fff' AS TEXT) WHERE seq = 4242");
    run_lite("UPDATE memory_metrics SET route = CAST(X'2f0061' AS TEXT) WHERE seq = 17");
    post(t.journal, 5000, 10);
    struct store_class class;
    store_row_clear(STORE_HEAP_CLASSES, &class);
    char *name = malloc((1 << 20) + 1);
    memset(name, 'x', 1 << 20);
    name[1 << 20] = '\0';
    class.snapshot_id = 1;
    class.ordinal = 0;
    class.class_name = class.key = name;
    journal_class(t.journal, &class);
    free(name);
    finish_well(&t);
    assert_complete();
    int64_t parked = ask_lite("SELECT count(*) FROM ship_parked");
    assert_true(parked >= 2 && parked <= 4); /* the two of the UPDATEs may have been faster away */
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 5010 - parked);
    assert_int_equal(ask_pg("SELECT rows_parked FROM runs"), parked);
    assert_int_equal(ask_pg("SELECT lost_memory_metrics FROM runs"), parked);
    assert_int_equal(ask_lite("SELECT coalesce(lost_memory_metrics, 0) FROM runs"), 0);
    assert_int_equal(ask_pg("SELECT length(class) FROM heap_classes"), 1 << 20);
    assert_non_null(strstr(logged, "refuses row 778 of memory_metrics"));
}

static void rights_to_insert_are_enough(void **state)
{
    (void)state;
    char sql[512];
    struct err e = ERR_NONE;
    struct team t = start();
    finish_well(&t);
    snprintf(sql, sizeof sql,
        "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA \"%s\" TO "
        "clerk; "
        "GRANT INSERT ON ALL TABLES IN SCHEMA \"%s\" TO clerk",
        schema, schema);
    run_pg(sql);
    use_database("user=clerk");
    t = start();
    post(t.journal, 0, 100);
    finish_well(&t);
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 100);
    assert_complete();
    /* And without the tables it says so at once. */
    strcpy(schema, "nowhere");
    use_database("user=clerk");
    assert_int_equal(shipper_check(database, false, &e), ERR_DB);
}

static void pgbouncer_in_transaction_mode_is_fine(void **state)
{
    (void)state;
    char text[128];
    snprintf(text, sizeof text, "postgresql://127.0.0.1:%s/?pgbouncer=true&connection_limit=1",
        getenv("TEST_BOUNCER_PORT"));
    use_database(text);
    assert_non_null(
        strstr(logged, "dropped what libpq does not know: pgbouncer, connection_limit"));
    struct team a = start(), b = start();
    for (int i = 0; i < 20; i++) {
        post(a.journal, i * 500, 500);
        post(b.journal, i * 500, 500);
        usleep(20000);
    }
    finish_well(&a);
    finish_well(&b);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 20000);
    assert_int_equal(ask_pg("SELECT count(*) FROM runs"), 2);
}

static void a_partitioned_table_of_somebody_else_is_adopted_only_when_asked(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    char sql[1024];
    snprintf(sql, sizeof sql,
        "CREATE SCHEMA \"%s\"; SET LOCAL search_path = \"%s\"; CREATE TABLE memory_metrics (id "
        "bigserial, heap_used double precision, heap_total double precision, external double "
        "precision, rss double precision, label text NOT NULL, request_method text, request_url "
        "text, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at); CREATE TABLE "
        "now_on "
        "PARTITION OF memory_metrics FOR VALUES FROM ('2020-01-01') TO ('2100-01-01'); "
        "INSERT INTO memory_metrics (label, created_at) VALUES ('theirs', now())",
        schema, schema);
    run_pg(sql);
    assert_int_equal(shipper_check(database, false, &e), ERR_DB);
    assert_non_null(strstr(e.text, "--adopt"));
    assert_non_null(strstr(e.text, "--schema"));
    struct pg *pg = connect_pg();
    int ran = 0;
    if (pgschema_migrate(pg, schema, true, &ran, &e) != 0)
        fail_msg("%s", e.text);
    pg_close(pg);
    struct team t = start();
    post(t.journal, 0, 100);
    finish_well(&t);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM now_on"), 101);
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics WHERE run_id IS NULL"), 1);
}

static void a_table_that_cannot_hold_our_rows_is_not_adopted(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    char sql[512];
    int ran = 0;
    snprintf(sql, sizeof sql,
        "CREATE SCHEMA \"%s\"; SET LOCAL search_path = \"%s\"; CREATE TABLE memory_metrics "
        "(heap_used integer, tenant text NOT NULL)",
        schema, schema);
    run_pg(sql);
    struct pg *pg = connect_pg();
    assert_int_equal(pgschema_migrate(pg, schema, true, &ran, &e), ERR_DB);
    pg_close(pg);
    assert_non_null(strstr(e.text, "heap_used is int4"));
    assert_non_null(strstr(e.text, "tenant must not be null"));
    assert_int_equal(ask_pg("SELECT to_regclass('run_states') IS NULL"), 1);
}

static void troubles_of_the_server_pass(void **state)
{
    (void)state;
    struct team t = start();
    /* read-only */
    run_pg("ALTER DATABASE postgres SET default_transaction_read_only = on");
    run_pg("SET LOCAL transaction_read_only = off; SELECT pg_terminate_backend(pid) FROM "
           "pg_stat_activity WHERE application_name = 'heaptap'");
    post(t.journal, 0, 100);
    usleep(1200000);
    struct shipper_counts counts;
    shipper_counts(t.shipper, &counts);
    assert_true(counts.shipped < 100);
    assert_non_null(strstr(logged, "read-only"));
    struct err e = ERR_NONE;
    struct pg *pg = connect_pg();
    assert_int_equal(pg_exec(pg, "SET default_transaction_read_only = off", &e), 0);
    assert_int_equal(
        pg_exec(pg, "ALTER DATABASE postgres RESET default_transaction_read_only", &e), 0);
    pg_close(pg);
    wait_shipped(&t, 100);
    /* out of connections: for everybody but superusers, so ship as another role */
    finish_well(&t);
    char sql[512];
    snprintf(sql, sizeof sql,
        "DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 0; GRANT ALL ON SCHEMA "
        "\"%s\" TO few; GRANT ALL ON ALL TABLES IN SCHEMA \"%s\" TO few",
        schema, schema);
    run_pg(sql);
    use_database("user=few");
    t = start();
    post(t.journal, 0, 50);
    usleep(700000);
    assert_non_null(strstr(logged, "too many connections"));
    run_pg("ALTER ROLE few CONNECTION LIMIT 5");
    wait_shipped(&t, 50);
    /* a role that may no longer log in, as with a wrong password */
    run_pg("ALTER ROLE few NOLOGIN");
    run_pg("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'");
    post(t.journal, 50, 50);
    usleep(2000000);
    assert_non_null(strstr(logged, "not permitted to log in"));
    run_pg("ALTER ROLE few LOGIN");
    finish_well(&t);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics"), 200);
}

static void a_wrong_password_costs_no_row_and_is_never_printed(void **state)
{
    (void)state;
    char sql[512];
    struct team t = start();
    finish_well(&t);
    snprintf(sql, sizeof sql,
        "DROP ROLE IF EXISTS guarded; CREATE ROLE guarded LOGIN PASSWORD 'right'; GRANT ALL ON "
        "SCHEMA "
        "\"%s\" TO guarded; GRANT ALL ON ALL TABLES IN SCHEMA \"%s\" TO guarded",
        schema, schema);
    run_pg(sql);
    use_database("user=guarded password=mellon");
    t = start();
    post(t.journal, 0, 50);
    usleep(700000);
    assert_non_null(strstr(logged, "password authentication failed"));
    run_pg("ALTER ROLE guarded PASSWORD 'mellon'");
    wait_shipped(&t, 50);
    finish_well(&t);
    assert_complete();
    assert_null(strstr(logged, "mellon"));
    assert_int_equal(
        ask_lite("SELECT count(*) FROM run_states WHERE destination LIKE '%mellon%'"), 0);
}

static void the_outbox_stays_within_its_bound(void **state)
{
    (void)state;
    struct shipper_options options = {.outbox_bytes = 4 << 20};
    control("stop");
    struct team t = start_with(&options);
    struct store_metrics before, after;
    store_row_clear(STORE_MEMORY_METRICS, &before);
    before.label = "before-GET";
    before.request_url = "/a/long/url/of/somebody?and=its&query=string";
    for (int i = 0; i < 30000; i++) {
        before.created_at_ms = clock_wall_ms();
        before.request_id = i;
        after = before;
        after.label = "after-GET";
        journal_request(t.journal, &before, &after);
        if (i % 100 == 0)
            post(t.journal, i, 1);
    }
    struct shipper_counts counts = {0};
    for (int i = 0; i < 200 && counts.dropped == 0; i++) {
        usleep(50000);
        shipper_counts(t.shipper, &counts);
    }
    assert_true(counts.dropped > 10000);
    control("start");
    finish_well(&t);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM memory_metrics WHERE label = 'interval'"), 300);
    assert_int_equal(ask_pg("SELECT lost_memory_metrics FROM runs"), (int64_t)counts.dropped);
    assert_int_equal(ask_pg("SELECT count(*) FROM (SELECT request_id FROM memory_metrics WHERE "
                            "request_id IS NOT NULL GROUP BY 1 HAVING count(*) <> 2) odd"),
        0);
}

/* A process that posts and ships until it is killed. */
static void ship_until_killed(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of the test */
    struct team t = start();
    for (int i = 0;; i++) {
        post(t.journal, i * 100, 100);
        usleep(3000);
    }
}

static void kills_lose_and_double_nothing(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    const char *wanted = getenv("TEST_KILLS");
    int kills = wanted ? atoi(wanted) : 8;
    struct team t = start();
    finish_well(&t);
    srand((unsigned)clock_monotonic_us());
    for (int i = 0; i < kills; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            ship_until_killed();
        usleep((useconds_t)(100000 + rand() % 900000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
    }
    struct shipper_counts counts;
    if (shipper_ship_all(database, 60 * SECOND, &counts, &e) != 0)
        fail_msg("%s", e.text);
    assert_complete();
    assert_int_equal(ask_pg("SELECT count(*) FROM runs WHERE ended_at IS NULL"), 0);
    assert_int_equal(ask_lite("SELECT count(*) FROM memory_metrics"),
        ask_pg("SELECT count(*) FROM memory_metrics"));
    assert_int_equal(ask_lite("SELECT count(*) FROM ship_batches"), 0);
    assert_true(ask_pg("SELECT count(*) FROM memory_metrics") > kills * 100);
}

static void questions_get_the_same_answers_from_both(void **state)
{
    (void)state;
    static const char *const names[] = {"latest", "labels", "requests", "minutes", "metrics_latest",
        "metrics_trend", "metrics_compare", "metrics_requests", "metrics_classes", "metrics_sites",
        "status_tables", "status_runs", "status_captures", NULL};
    struct team t = start();
    struct store_metrics before, after;
    store_row_clear(STORE_MEMORY_METRICS, &before);
    before.target_id = 1;
    before.created_at_ms = clock_wall_ms() - 60000;
    before.label = "before-GET";
    before.request_method = "GET";
    before.request_url = "/products/1";
    before.route = "/products/:n";
    before.in_flight = 1;
    before.request_id = 1;
    before.heap_used = 10 * 1048576.0;
    after = before;
    after.label = "after-GET";
    after.created_at_ms += 5;
    after.heap_used += 1048576;
    journal_request(t.journal, &before, &after);
    post(t.journal, 0, 3);
    finish_well(&t);
    struct err e = ERR_NONE;
    struct reader *readers[2];
    char run_id[UUID_TEXT_SIZE];
    if (reader_open(database, &readers[0], &e) != 0 ||
        reader_open_file(database_path(database), &readers[1], &e) != 0 ||
        reader_find_run(readers[0], "latest", run_id, &e) != 0)
        fail_msg("%s", e.text);
    for (int i = 0; names[i]; i++) {
        struct reader_filter filter = {.limit = 100};
        struct reader_rows *rows[2];
        if (strncmp(names[i], "metrics", 7) == 0)
            filter.run_id = run_id;
        for (int side = 0; side < 2; side++)
            if (reader_ask(readers[side], names[i], &filter, &rows[side], &e) != 0)
                fail_msg("%s: %s", names[i], e.text);
        assert_int_equal(reader_columns(rows[0]), reader_columns(rows[1]));
        bool row[2] = {true, true};
        int count = 0;
        while (row[0]) {
            for (int side = 0; side < 2; side++)
                assert_int_equal(reader_next(rows[side], &row[side], &e), 0);
            assert_int_equal(row[0], row[1]);
            for (int c = 0; row[0] && c < reader_columns(rows[0]); c++) {
                struct reader_value a = reader_value(rows[0], c), b = reader_value(rows[1], c);
                bool time = a.text && strchr(a.text, 'Z') && strchr(a.text, 'T');
                if ((a.type == READER_NULL) != (b.type == READER_NULL) ||
                    (a.type == READER_TEXT && !time && strcmp(a.text, b.text) != 0) ||
                    (a.type != READER_TEXT && fabs(a.real - b.real) > 1e-9))
                    fail_msg("%s, column %s: %s and %s", names[i], reader_column_name(rows[0], c),
                        a.text ? a.text : "null", b.text ? b.text : "null");
            }
            count += row[0];
        }
        bool may_be_empty = strstr(names[i], "classes") || strstr(names[i], "sites") ||
                            strstr(names[i], "captures");
        assert_true(count > 0 || may_be_empty);
        reader_rows_free(rows[0]);
        reader_rows_free(rows[1]);
    }
    reader_close(readers[0]);
    reader_close(readers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(every_row_of_every_table_arrives_as_it_is),
        TEST(questions_get_the_same_answers_from_both),
        TEST(a_row_that_the_server_refuses_holds_up_no_other),
        TEST(rights_to_insert_are_enough),
        TEST(pgbouncer_in_transaction_mode_is_fine),
        TEST(a_partitioned_table_of_somebody_else_is_adopted_only_when_asked),
        TEST(a_table_that_cannot_hold_our_rows_is_not_adopted),
        TEST(troubles_of_the_server_pass),
        TEST(a_wrong_password_costs_no_row_and_is_never_printed),
        TEST(the_outbox_stays_within_its_bound),
        TEST(a_server_that_is_away_costs_no_row_and_no_time),
        TEST(kills_lose_and_double_nothing),
    };
    if (getenv("TEST_ONLY"))
        cmocka_set_test_filter(getenv("TEST_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
