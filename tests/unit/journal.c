/* The journal: what a user would lose if rows got lost, doubled or bent on their way to SQLite. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/journal.h"
#include "store/lite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000

static char folder[64];
static char path[128];
static char logged[8192];

static void keep_log(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    strncat(logged, line, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/heaptap-journal-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/deep/er/heaptap.db", folder);
    logged[0] = '\0';
    log_open(LOG_DEBUG, keep_log, NULL);
    return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

static int remove_folder(void **state)
{
    (void)state;
    log_close();
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct journal *open_journal(size_t queue_bytes)
{
    struct err e = ERR_NONE;
    struct journal *j = NULL;
    struct journal_options options = {.path = path, .queue_bytes = queue_bytes};
    if (journal_open(&options, &j, &e) != 0)
        fail_msg("%s", e.text);
    return j;
}

static struct journal *begin(size_t queue_bytes)
{
    struct err e = ERR_NONE;
    struct journal *j = open_journal(queue_bytes);
    struct store_run run;
    store_row_clear(STORE_RUNS, &run);
    run.label = "test";
    if (journal_begin_run(j, &run, &e) != 0)
        fail_msg("%s", e.text);
    return j;
}

static void end(struct journal *j)
{
    struct err e = ERR_NONE;
    struct store_run run;
    store_row_clear(STORE_RUNS, &run);
    run.exit_reason = "done";
    run.exit_code = 0;
    journal_end_run(j, &run);
    if (journal_close(j, 10 * SECOND, &e) != 0)
        fail_msg("%s", e.text);
}

static void post_metrics(struct journal *j, const char *label, double heap_used)
{
    struct store_metrics row;
    store_row_clear(STORE_MEMORY_METRICS, &row);
    row.target_id = 1;
    row.label = label;
    row.heap_used = heap_used;
    journal_metrics(j, &row);
}

static int64_t query(const char *sql)
{
    struct lite *db = NULL;
    struct err e = ERR_NONE;
    int64_t value = -1;
    if (lite_open(path, LITE_READ, 1000, &db, &e) != 0 ||
        lite_get_integer(db, sql, -1, &value, &e) != 0)
        fail_msg("%s: %s", sql, e.text);
    lite_close(db);
    return value;
}

static void rows_arrive_as_posted(void **state)
{
    (void)state;
    struct journal *j = begin(0);
    struct store_target target;
    store_row_clear(STORE_TARGETS, &target);
    target.pid = 42;
    target.title = "server.js";
    assert_int_equal(journal_add_target(j, &target), 1);
    assert_int_equal(journal_add_target(j, &target), 2);
    post_metrics(j, "interval", 3 * 1048576.0);
    struct store_metrics row;
    store_row_clear(STORE_MEMORY_METRICS, &row);
    row.created_at_ms = 1767225599123;
    row.request_url = "/a\xff\x01";
    journal_metrics(j, &row);
    end(j);
    assert_int_equal(query("SELECT count(*) FROM memory_metrics"), 2);
    assert_int_equal(query("SELECT heap_used = 3 AND rss IS NULL AND label = 'interval' AND "
                           "status IS NULL FROM memory_metrics WHERE seq = 1"),
        1);
    assert_int_equal(query("SELECT created_at = '2025-12-31T23:59:59.123Z' AND request_url = "
                           "'/a\\xff' || char(1) FROM memory_metrics WHERE seq = 2"),
        1);
    assert_int_equal(
        query("SELECT count(*) FROM targets WHERE pid = 42 AND title = 'server.js'"), 2);
    assert_int_equal(query("SELECT count(*) FROM runs WHERE state = 'ended' AND exit_code = 0 AND "
                           "exit_reason = 'done' AND label = 'test' AND ended_at >= started_at"),
        1);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_state_keeps_what_it_does_not_change(void **state)
{
    (void)state;
    struct journal *j = begin(0);
    char run_id[64];
    strcpy(run_id, journal_run_id(j));
    struct store_snapshot row;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.created_at_ms = 1000;
    row.file = "/tmp/x.heapsnapshot";
    row.state = "running";
    int64_t id = journal_add_snapshot(j, &row);
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.snapshot_id = id;
    row.state = "complete";
    row.bytes = 77;
    journal_update_snapshot(j, &row);
    end(j);
    j = begin(0);
    journal_snapshot_state(j, run_id, id, "deleted", "--keep 3");
    end(j);
    assert_int_equal(query("SELECT count(*) FROM heap_snapshots"), 1);
    assert_int_equal(query("SELECT bytes = 77 AND file = '/tmp/x.heapsnapshot' AND state = "
                           "'deleted' AND reason = '--keep 3' AND seq = 3 AND created_at = "
                           "'1970-01-01T00:00:01.000Z' FROM heap_snapshots"),
        1);
}

/* max(seq) = count + losses, whatever was lost. */
static void assert_complete(void)
{
    assert_int_equal(
        query("SELECT count(*) FROM runs r WHERE (SELECT coalesce(max(seq), 0) - count(*) FROM "
              "memory_metrics m WHERE m.run_id = r.run_id) <> coalesce(r.lost_memory_metrics, 0)"),
        0);
}

static void a_full_queue_counts_what_it_loses(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct lite *blocker = NULL;
    struct journal *j = begin(64 << 10);
    if (lite_open(path, LITE_WRITE, 1000, &blocker, &e) != 0 || lite_begin(blocker, &e) != 0)
        fail_msg("%s", e.text);
    int64_t started = clock_monotonic_us();
    for (int i = 0; i < 5000; i++)
        post_metrics(j, "interval", i);
    assert_true(clock_monotonic_us() - started < 2 * SECOND);
    for (int i = 0; i < 200 && !strstr(logged, "tried again"); i++)
        usleep(50000);
    struct journal_counts counts;
    journal_counts(j, &counts);
    assert_true(counts.failing);
    assert_true(counts.lost[STORE_MEMORY_METRICS] > 1000);
    assert_int_equal(counts.posted[STORE_MEMORY_METRICS] + counts.lost[STORE_MEMORY_METRICS], 5000);
    assert_int_equal(journal_flush(j, SECOND / 10, &e), ERR_TIMEOUT);
    assert_non_null(strstr(e.text, "locked"));
    lite_rollback(blocker);
    lite_close(blocker);
    assert_int_equal(journal_flush(j, 10 * SECOND, &e), 0);
    post_metrics(j, "interval", 1);
    end(j);
    assert_int_equal(query("SELECT max(seq) FROM memory_metrics"), 5001);
    assert_complete();
    assert_non_null(strstr(logged, "writing works again"));
}

static void losses_at_the_very_end_are_told(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct lite *blocker = NULL;
    struct journal *j = begin(64 << 10);
    if (lite_open(path, LITE_WRITE, 1000, &blocker, &e) != 0 || lite_begin(blocker, &e) != 0)
        fail_msg("%s", e.text);
    for (int i = 0; i < 5000; i++)
        post_metrics(j, "interval", i);
    lite_rollback(blocker);
    lite_close(blocker);
    end(j);
    assert_complete();
    assert_int_equal(query("SELECT count(*) FROM events WHERE kind = 'loss'"), 1);
}

static void a_request_has_both_rows_or_neither(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct lite *blocker = NULL;
    struct journal *j = begin(64 << 10);
    if (lite_open(path, LITE_WRITE, 1000, &blocker, &e) != 0 || lite_begin(blocker, &e) != 0)
        fail_msg("%s", e.text);
    struct store_metrics before, after;
    store_row_clear(STORE_MEMORY_METRICS, &before);
    before.created_at_ms = 1;
    before.label = "before-GET";
    before.request_url = "/";
    after = before;
    after.label = "after-GET";
    for (int i = 0; i < 3000; i++) {
        before.request_id = after.request_id = i;
        journal_request(j, &before, &after);
    }
    post_metrics(j, "interval", 1); /* the samples have their own part of the queue */
    lite_rollback(blocker);
    lite_close(blocker);
    end(j);
    assert_complete();
    assert_int_equal(query("SELECT count(*) FROM memory_metrics WHERE label = 'interval'"), 1);
    assert_int_equal(query("SELECT count(*) FROM (SELECT request_id FROM memory_metrics WHERE "
                           "request_id IS NOT NULL GROUP BY 1 HAVING count(*) <> 2)"),
        0);
    assert_true(query("SELECT count(*) FROM request_memory") > 10);
}

static void refuses(const char *contents, const char *words)
{
    struct err e = ERR_NONE;
    struct journal *j = NULL;
    struct journal_options options = {.path = path};
    if (contents) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(contents, file);
        fclose(file);
    }
    assert_int_equal(journal_open(&options, &j, &e), ERR_DB);
    if (!strstr(e.text, words) || !strstr(e.text, folder))
        fail_msg("\"%s\" does not say \"%s\" and the path", e.text, words);
}

static void foreign_and_newer_files_are_refused(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct lite *db = NULL;
    snprintf(path, sizeof path, "%s/h.db", folder);
    refuses("this is a letter to my grandmother, and long enough to be looked at as a database "
            "with its one hundred bytes of head",
        "is not a database");
    unlink(path);
    assert_int_equal(lite_open(path, LITE_CREATE, 0, &db, &e), 0);
    assert_int_equal(lite_exec(db, "CREATE TABLE recipes (name)", &e), 0);
    lite_close(db);
    refuses(NULL, "another program");
    unlink(path);
    end(begin(0));
    assert_int_equal(lite_open(path, LITE_WRITE, 0, &db, &e), 0);
    assert_int_equal(lite_exec(db, "PRAGMA user_version=999", &e), 0);
    lite_close(db);
    refuses(NULL, "newer");
    snprintf(path, sizeof path, "%s", folder);
    refuses(NULL, "that is a folder");
    snprintf(path, sizeof path, "%s/empty.db", folder);
    struct journal *j = NULL;
    struct journal_options options = {.path = path, .no_migrate = true};
    assert_int_equal(journal_open(&options, &j, &e), ERR_DB);
    assert_non_null(strstr(e.text, "heaptap db migrate"));
}

/* A process that is killed half a second after its last row leaves all of them, and the next start
 * closes its run. */
static void a_killed_run_is_closed_by_the_next_start(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct journal *j = begin(0);
        struct store_snapshot row;
        for (int i = 0; i < 100; i++)
            post_metrics(j, "interval", i);
        store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
        row.state = "running";
        journal_add_snapshot(j, &row);
        usleep(500000);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(query("SELECT count(*) FROM runs WHERE ended_at IS NULL"), 1);
    struct journal *j = begin(0);
    assert_non_null(strstr(logged, "was interrupted"));
    assert_non_null(strstr(logged, "100 metrics rows"));
    end(j);
    assert_int_equal(query("SELECT count(*) FROM runs WHERE state = 'interrupted'"), 1);
    assert_int_equal(query("SELECT count(*) FROM runs WHERE state = 'ended'"), 1);
    assert_int_equal(query("SELECT count(*) FROM heap_snapshots WHERE state = 'failed'"), 1);
    assert_int_equal(query("SELECT count(*) FROM memory_metrics"), 100);
}

static void what_an_ended_run_left_running_is_closed_by_the_next_start(void **state)
{
    (void)state;
    struct journal *j = begin(0);
    struct store_snapshot row;
    store_row_clear(STORE_HEAP_SNAPSHOTS, &row);
    row.state = "running";
    journal_add_snapshot(j, &row);
    end(j);
    assert_int_equal(query("SELECT count(*) FROM heap_snapshots WHERE state = 'running'"), 1);
    end(begin(0));
    assert_int_equal(query("SELECT count(*) FROM heap_snapshots WHERE state = 'failed' AND reason "
                           "LIKE 'its run ended%'"),
        1);
    assert_int_equal(query("SELECT count(*) FROM heap_snapshots WHERE state = 'running'"), 0);
}

static void a_living_run_is_left_alone(void **state)
{
    (void)state;
    struct journal *first = begin(0);
    struct journal *second = begin(0);
    struct err e = ERR_NONE;
    for (int i = 0; i < 1000; i++) {
        post_metrics(first, "interval", i);
        post_metrics(second, "interval", i);
    }
    assert_int_equal(query("SELECT count(*) FROM runs WHERE ended_at IS NULL"), 2);
    struct journal *third = open_journal(0);
    assert_int_equal(journal_resume_run(third, journal_run_id(first), &e), ERR_DB);
    assert_int_equal(journal_resume_run(third, "none", &e), ERR_DB);
    assert_int_equal(journal_close(third, SECOND, &e), 0);
    char run_id[64];
    strcpy(run_id, journal_run_id(first));
    end(first);
    end(second);
    third = open_journal(0);
    assert_int_equal(journal_resume_run(third, run_id, &e), 0);
    post_metrics(third, "after-gc", 1);
    assert_int_equal(journal_close(third, SECOND, &e), 0);
    assert_int_equal(query("SELECT count(*) FROM memory_metrics WHERE seq = 1001"), 1);
    assert_complete();
}

/* Two runs that are started by one script, on a machine that has no record yet. */
static void runs_that_start_together_make_one_record(void **state)
{
    (void)state;
    enum { ROUNDS = 20, STARTERS = 6 };
    for (int round = 0; round < ROUNDS; round++) {
        int gate[2];
        pid_t children[STARTERS];
        snprintf(path, sizeof path, "%s/%d.db", folder, round);
        assert_int_equal(pipe(gate), 0);
        for (int i = 0; i < STARTERS; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                char byte;
                struct err e = ERR_NONE;
                struct journal *j = NULL;
                struct journal_options options = {.path = path};
                close(gate[1]);
                if (read(gate[0], &byte, 1) != 0) /* returns when the gate is closed */
                    _exit(2);
                int rc = journal_open(&options, &j, &e);
                if (rc != 0)
                    fprintf(stderr, "round %d: %s\n", round, e.text);
                _exit(rc != 0);
            }
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < STARTERS; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
    }
}

/* A limit on the size of files stands in for a full disk: both fail in write(2). */
static void a_full_disk_is_waited_out(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    struct journal *j = begin(0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 256 << 10;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 20000; i++)
        post_metrics(j, "interval", i);
    int flushed = journal_flush(j, SECOND, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(flushed, ERR_TIMEOUT);
    end(j);
    assert_int_equal(query("SELECT count(*) FROM memory_metrics"), 20000);
    assert_complete();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
        TEST(rows_arrive_as_posted),
        TEST(a_state_keeps_what_it_does_not_change),
        TEST(a_full_queue_counts_what_it_loses),
        TEST(losses_at_the_very_end_are_told),
        TEST(a_request_has_both_rows_or_neither),
        TEST(foreign_and_newer_files_are_refused),
        TEST(a_killed_run_is_closed_by_the_next_start),
        TEST(what_an_ended_run_left_running_is_closed_by_the_next_start),
        TEST(a_living_run_is_left_alone),
        TEST(runs_that_start_together_make_one_record),
        TEST(a_full_disk_is_waited_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
