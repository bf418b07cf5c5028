/* A team's day in minutes: several processes write request rows into one SQLite file and ship them
 * to one PostgreSQL, which is killed twice and stopped for a while. Every sequence must be complete
 * in the end, and posting must not become slower meanwhile.
 *
 *      with-postgres postgres_soak [SECONDS [ROWS_A_SECOND [PROCESSES]]]
 */
#include "base/clock.h"
#include "base/log.h"
#include "store/journal.h"
#include "store/pg.h"
#include "store/ship.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND      1000000
#define TICK_US     10000
#define WORKERS_MAX 16
#define SAMPLES_MAX (1 << 20)
#define DRAIN_US    (120 * (int64_t)SECOND)

static void die(const char *what)
{
    fprintf(stderr, "soak: %s\n", what);
    exit(1);
}

static void print_log(void *arg, enum log_level level, const char *line)
{
    (void)level;
    fprintf(stderr, "%6.1f s, process %d: %s\n",
        (double)clock_monotonic_us() / 1e6 - *(double *)arg, (int)getpid(), line);
}

static void control(const char *what)
{
    char command[256];
    fprintf(stderr, "soak: server: %s\n", what);
    snprintf(command, sizeof command, "\"$TEST_POSTGRES\" %s", what);
    if (system(command) != 0)
        die("cannot control the server");
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* One server's rows: pairs at an even pace, and how late each tick's posting was done. */
static void work(const struct database *database, int seconds, int rows_a_second)
{
    struct err e = ERR_NONE;
    struct journal *journal = NULL;
    struct shipper *shipper = NULL;
    struct journal_options journal_options = {.path = database_path(database)};
    struct shipper_options options = {0};
    struct store_run run, end;
    struct store_metrics before, after;
    store_row_clear(STORE_RUNS, &run);
    run.destination = database_destination(database);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (journal_open(&journal_options, &journal, &e) != 0 ||
        journal_begin_run(journal, &run, &e) != 0 ||
        shipper_start(database, &options, journal_run_id(journal), &shipper, &e) != 0)
        die(e.text);
    store_row_clear(STORE_MEMORY_METRICS, &before);
    before.target_id = 1;
    before.label = "before-GET";
    before.request_method = "GET";
    before.request_url = "/products/17?colour=green";
    before.route = "/products/:n";
    int64_t *took = calloc(SAMPLES_MAX, sizeof *took);
    size_t ticks = 0;
    int64_t start = clock_monotonic_us(), pairs = 0;
    while (took && ticks < SAMPLES_MAX) {
        int64_t now = clock_monotonic_us();
        if (now - start >= (int64_t)seconds * SECOND)
            break;
        int64_t due = (now - start) * rows_a_second / 2 / SECOND;
        for (; pairs < due; pairs++) {
            before.created_at_ms = clock_wall_ms();
            before.request_id = pairs;
            before.heap_used = 5e7 + (double)pairs;
            after = before;
            after.label = "after-GET";
            after.status = 200;
            after.duration_ms = 1.5;
            journal_request(journal, &before, &after);
        }
        took[ticks++] = clock_monotonic_us() - now;
        usleep(TICK_US);
    }
    qsort(took, ticks, sizeof *took, compare);
    struct journal_counts counts;
    journal_counts(journal, &counts);
    printf("process %d: %lld rows, %llu lost; a tick's posting took %lld us (median), %lld us "
           "(99 %%), %lld us (most)\n",
        (int)getpid(), (long long)pairs * 2, (unsigned long long)counts.lost[STORE_MEMORY_METRICS],
        (long long)took[ticks / 2], (long long)took[ticks * 99 / 100], (long long)took[ticks - 1]);
    free(took);
    store_row_clear(STORE_RUNS, &end);
    end.exit_reason = "duration";
    journal_end_run(journal, &end);
    if (journal_flush(journal, 30 * SECOND, &e) != 0 || shipper_stop(shipper, DRAIN_US, &e) != 0 ||
        journal_close(journal, SECOND, &e) != 0)
        die(e.text);
    exit(0);
}

static int64_t ask(const char *sql)
{
    struct err e = ERR_NONE;
    struct pg_options options = {0};
    struct pg *pg = NULL;
    struct pg_result *result = NULL;
    if (pg_connect(&options, 10 * SECOND, NULL, &pg, &e) != 0 ||
        pg_query(pg, sql, 0, NULL, NULL, &result, &e) != 0)
        die(e.text);
    int64_t value = pg_value(result, 0, 0) ? strtoll(pg_value(result, 0, 0), NULL, 10) : 0;
    pg_result_free(result);
    pg_close(pg);
    return value;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 60;
    int rows = argc > 2 ? atoi(argv[2]) : 5000;
    int processes = argc > 3 ? atoi(argv[3]) : 2;
    char folder[] = "/tmp/heaptap-soak-XXXXXX", command[128];
    double zero = (double)clock_monotonic_us() / 1e6;
    struct err e = ERR_NONE;
    struct database *database = NULL;
    pid_t workers[WORKERS_MAX];
    if (processes < 1 || processes > WORKERS_MAX || !mkdtemp(folder))
        die("bad arguments");
    setenv("XDG_STATE_HOME", folder, 1);
    log_open(LOG_INFO, print_log, &zero);
    if (database_choose("postgresql://", NULL, &database, &e) != 0 ||
        shipper_check(database, false, &e) != 0)
        die(e.text);
    for (int i = 0; i < processes; i++) {
        workers[i] = fork();
        if (workers[i] == 0)
            work(database, seconds, rows / processes);
    }
    /* Killed at a fifth and at two fifths; stopped from a half for three tenths. */
    usleep((useconds_t)seconds * SECOND / 5);
    control("kill");
    control("start");
    usleep((useconds_t)seconds * SECOND / 5);
    control("kill");
    control("start");
    usleep((useconds_t)seconds * SECOND / 10);
    control("stop");
    usleep((useconds_t)seconds * SECOND / 10 * 3);
    control("start");
    int failed = 0;
    for (int i = 0; i < processes; i++) {
        int status;
        failed |= waitpid(workers[i], &status, 0) != workers[i] || status != 0;
    }
    int64_t arrived = ask("SELECT count(*) FROM memory_metrics");
    int64_t incomplete =
        ask("SELECT count(*) FROM runs r WHERE (SELECT coalesce(max(seq), 0) - count(*) FROM "
            "memory_metrics m WHERE m.run_id = r.run_id) <> coalesce(r.lost_memory_metrics, 0)");
    int64_t doubled = ask("SELECT count(*) FROM (SELECT 1 FROM memory_metrics GROUP BY run_id, seq "
                          "HAVING count(*) > 1) d");
    int64_t ended = ask("SELECT count(*) FROM runs WHERE state = 'ended'");
    printf("%lld rows in PostgreSQL from %lld ended runs; %lld runs incomplete, %lld rows twice\n",
        (long long)arrived, (long long)ended, (long long)incomplete, (long long)doubled);
    database_free(database);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        failed = 1;
    return failed || incomplete || doubled || ended != processes;
}
