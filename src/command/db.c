/* db: the databases themselves: making, looking, updating, shipping, pruning. */
#include "command/answer.h"

#include "base/clock.h"
#include "base/text.h"
#include "show/json.h"
#include "store/prune.h"
#include "store/ship.h"
#include "store/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLUMNS(array) array, sizeof(array) / sizeof *(array)
#define RUNS_SHOWN     10
#define CAPTURES_SHOWN 20

/* ---- init and migrate ---- */

static int bring_up(const struct invocation *in, const struct database *database,
    const struct show_out *out, bool must_exist, struct err *e)
{
    struct upkeep done;
    int json_rc = 0;
    int rc = upkeep_run(
        database, must_exist, settings_flag(in->settings, SET_ADOPT) && !must_exist, &done, e);
    if (rc != 0)
        return rc;
    if (out->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &json_rc);
        show_json_word(root, "schema", "heaptap.db/1", &json_rc);
        show_json_word(root, "sqlite", database_path(database), &json_rc);
        show_json_integer(root, "sqlite_version", done.lite_version, &json_rc);
        show_json_integer(root, "sqlite_migrations", done.lite_ran, &json_rc);
        show_json_word(root, "postgres", database_destination(database), &json_rc);
        show_json_integer(root, "postgres_version", done.postgres_version, &json_rc);
        show_json_integer(root, "postgres_migrations", done.postgres_ran, &json_rc);
        return show_json(out, root, json_rc, e);
    }
    fprintf(out->file, "%s: version %d, %d migration%s run\n", database_path(database),
        done.lite_version, done.lite_ran, done.lite_ran == 1 ? "" : "s");
    if (database_is_postgres(database))
        fprintf(out->file, "PostgreSQL %s: version %d, %d migration%s run\n",
            database_destination(database), done.postgres_version, done.postgres_ran,
            done.postgres_ran == 1 ? "" : "s");
    return 0;
}

/* ---- status ---- */

static const struct show_column tables_columns[] = {
    {"table", "name", SHOW_NAME, 0},
    {"rows", "count", SHOW_COUNT, 0},
};

static const struct show_column runs_columns[] = {
    {"run", "run_id", SHOW_NAME, 0}, /* --run takes its beginning */
    {"label", "label", SHOW_NAME, SHOW_SPARE},
    {"state", "state", SHOW_WORD, 0},
    {"started", "started_at", SHOW_TIME, 0},
    {"ended", "ended_at", SHOW_TIME, SHOW_SPARE},
    {"metrics", "metrics_rows", SHOW_COUNT, 0},
    {"lost", "lost_rows", SHOW_COUNT, 0},
    {"parked", "rows_parked", SHOW_COUNT, 0},
    {"missing", "missing", SHOW_COUNT, 0},
};

static const struct show_column captures_columns[] = {
    {"run", "run", SHOW_NAME, 0}, /* --run takes its beginning */
    {"capture", "snapshot_id", SHOW_COUNT, 0},
    {"target", "target_id", SHOW_COUNT, 0},
    {"state", "state", SHOW_WORD, 0},
    {"trigger", "trigger", SHOW_WORD, SHOW_SPARE},
    {"forecast by", "forecast_by", SHOW_WORD, SHOW_SPARE},
    {"pause foreseen ms", "forecast_pause_ms", SHOW_MEAN, 0},
    {"pause ms", "pause_ms", SHOW_MEAN, 0},
    {"memory foreseen", "forecast_memory", SHOW_SIZE, SHOW_SPARE},
    {"memory", "memory", SHOW_SIZE, SHOW_SPARE},
    {"file", "bytes", SHOW_SIZE, 0},
    {"reason", "reason", SHOW_NAME, 0},
};

static const struct show_column waiting_columns[] = {
    {"waits for", "destination", SHOW_NAME, 0},
    {"run", "run_id", SHOW_WORD, 0},
    {"rows", "waiting", SHOW_COUNT, 0},
};

static const struct part {
    const char *key;
    const char *title;
    const char *query;
    const struct show_column *columns;
    size_t column_count;
    int64_t limit;
    bool only_file; /* a question to the outbox, not to PostgreSQL */
} parts[] = {
    {"tables", NULL, "status_tables", COLUMNS(tables_columns), 0, false},
    {"runs", "latest runs", "status_runs", COLUMNS(runs_columns), RUNS_SHOWN, false},
    {"captures", "latest captures: foreseen and measured", "status_captures",
        COLUMNS(captures_columns), CAPTURES_SHOWN, false},
    {"waiting", "not in PostgreSQL yet", "status_waiting", COLUMNS(waiting_columns), 0, true},
};

/* Adds one database's tables to root, or prints them. */
static int show_parts(struct reader *reader, const struct show_out *out, cJSON *root, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++) {
        struct show_table *table = NULL;
        struct reader_filter filter = {.limit = parts[i].limit};
        if (parts[i].only_file && reader_is_postgres(reader))
            continue;
        const struct answer_question asked = {
            .query = parts[i].query, .columns = parts[i].columns, .count = parts[i].column_count};
        rc = answer_table(reader, &asked, &filter, &table, e);
        if (rc == 0 && root) {
            cJSON *rows = NULL;
            rc = show_table_json(table, &rows, e);
            if (rc == 0)
                show_json_add(root, parts[i].key, rows, &rc);
        } else if (rc == 0 && show_table_rows(table) > 0) {
            fprintf(out->file, "%s%s%s", parts[i].title ? "\n" : "",
                parts[i].title ? parts[i].title : "", parts[i].title ? "\n" : "");
            rc = show_table(out, table, e);
        }
        show_table_free(table);
    }
    return rc;
}

static int show_file(
    const struct database *database, const struct show_out *out, cJSON *root, struct err *e)
{
    struct reader *reader = NULL;
    struct stat st;
    char size[TEXT_SHORT];
    int rc = reader_open_file(database_path(database), &reader, e);
    if (rc == 0 && stat(database_path(database), &st) != 0)
        st.st_size = 0;
    if (rc == 0 && root) {
        cJSON *file = show_json_object(root, "sqlite", &rc);
        show_json_word(file, "path", database_path(database), &rc);
        show_json_integer(file, "bytes", (int64_t)st.st_size, &rc);
        show_json_integer(file, "version", reader_version(reader), &rc);
        if (rc == 0)
            rc = show_parts(reader, out, file, e);
    } else if (rc == 0) {
        fprintf(out->file, "SQLite %s: %s, version %d\n", database_path(database),
            text_size(size, (double)st.st_size), reader_version(reader));
        rc = show_parts(reader, out, NULL, e);
    }
    reader_close(reader);
    return rc;
}

/* A server that cannot be reached is something that status has to tell, not its failure. */
static int show_postgres(
    const struct database *database, const struct show_out *out, cJSON *root, struct err *e)
{
    struct reader *reader = NULL;
    struct err failure = ERR_NONE;
    int rc = 0;
    bool reached = reader_open(database, &reader, &failure) == 0;
    cJSON *entry = root ? show_json_object(root, "postgres", &rc) : NULL;
    if (root) {
        show_json_word(entry, "destination", database_destination(database), &rc);
        show_json_word(entry, "error", reached ? NULL : failure.text, &rc);
        show_json_integer(entry, "version", reached ? reader_version(reader) : 0, &rc);
    } else {
        fprintf(out->file, "\nPostgreSQL %s: ", database_destination(database));
        if (reached)
            fprintf(out->file, "version %d\n", reader_version(reader));
        else if (show_text(out, failure.text, strlen(failure.text), e) == 0)
            fputc('\n', out->file);
    }
    if (rc == 0 && reached)
        rc = show_parts(reader, out, entry, e);
    reader_close(reader);
    return rc;
}

static int status(const struct invocation *in, const struct database *database,
    const struct show_out *out, struct err *e)
{
    (void)in;
    int rc = 0;
    cJSON *root = out->format == SHOW_JSON ? show_json_object(NULL, NULL, &rc) : NULL;
    if (root)
        show_json_word(root, "schema", "heaptap.db.status/1", &rc);
    if (rc == 0)
        rc = show_file(database, out, root, e);
    if (rc == 0 && database_is_postgres(database))
        rc = show_postgres(database, out, root, e);
    if (rc == 0 && root)
        return show_json(out, root, 0, e);
    cJSON_Delete(root);
    return rc;
}

/* ---- ship and prune ---- */

static int ship(const struct invocation *in, const struct database *database,
    const struct show_out *out, struct err *e)
{
    struct shipper_counts counts;
    char rows[TEXT_SHORT];
    int json_rc = 0;
    int64_t deadline_us =
        settings_given(in->settings, SET_TIMEOUT) ? settings_number(in->settings, SET_TIMEOUT) : 0;
    if (!database_is_postgres(database))
        return err_set(e, ERR_USAGE,
            "there is no PostgreSQL to ship to: name it with --db, or with DATABASE_URL and "
            "ENABLE_MEMORY_DB_LOGGING=true");
    int rc = shipper_ship_all(database, deadline_us, &counts, e);
    if (rc != 0)
        return rc;
    if (out->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &json_rc);
        show_json_word(root, "schema", "heaptap.db.ship/1", &json_rc);
        show_json_word(root, "postgres", database_destination(database), &json_rc);
        show_json_integer(root, "shipped", (int64_t)counts.shipped, &json_rc);
        show_json_integer(root, "parked", (int64_t)counts.parked, &json_rc);
        return show_json(out, root, json_rc, e);
    }
    fprintf(out->file, "%s rows shipped to %s\n", text_count(rows, (int64_t)counts.shipped),
        database_destination(database));
    if (counts.parked)
        fprintf(out->file, "%s rows were refused for ever and stay in %s\n",
            text_count(rows, (int64_t)counts.parked), database_path(database));
    return 0;
}

static int prune(const struct invocation *in, const struct database *database,
    const struct show_out *out, struct err *e)
{
    struct prune_counts counts;
    char rows[TEXT_SHORT];
    int json_rc = 0;
    if (!settings_given(in->settings, SET_OLDER))
        return err_set(e, ERR_USAGE, "db prune needs --older DURATION, such as --older 30d");
    int64_t cutoff_ms = clock_wall_ms() - settings_number(in->settings, SET_OLDER) / 1000;
    int rc = prune_older(database, cutoff_ms, &counts, e);
    if (rc != 0)
        return rc;
    if (out->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &json_rc);
        show_json_word(root, "schema", "heaptap.db.prune/1", &json_rc);
        show_json_integer(root, "runs", counts.runs, &json_rc);
        show_json_integer(root, "rows", counts.rows, &json_rc);
        show_json_integer(root, "kept", counts.kept, &json_rc);
        show_json_integer(root, "files", counts.files, &json_rc);
        return show_json(out, root, json_rc, e);
    }
    fprintf(out->file, "removed %s rows", text_count(rows, counts.rows));
    fprintf(out->file, ", %s run%s altogether\n", text_count(rows, counts.runs),
        counts.runs == 1 ? "" : "s");
    if (counts.files) {
        fprintf(out->file, "%s capture%s of removed runs stay%s on disk, ",
            text_count(rows, counts.files), counts.files == 1 ? "" : "s",
            counts.files == 1 ? "s" : "");
        rc = show_text(out, counts.first_file, strlen(counts.first_file), e);
        fprintf(out->file, "%s\n", counts.files == 1 ? "" : " and so on");
    }
    if (counts.kept)
        fprintf(out->file, "%s old rows stay: they wait for PostgreSQL (heaptap db ship)\n",
            text_count(rows, counts.kept));
    return rc;
}

static int dispatch(const struct invocation *in, const struct database *database,
    const struct show_out *out, struct err *e)
{
    const char *word = in->words[0];
    if (strcmp(word, "init") == 0)
        return bring_up(in, database, out, false, e);
    if (strcmp(word, "migrate") == 0)
        return bring_up(in, database, out, true, e);
    if (strcmp(word, "status") == 0)
        return status(in, database, out, e);
    if (strcmp(word, "ship") == 0)
        return ship(in, database, out, e);
    if (strcmp(word, "prune") == 0)
        return prune(in, database, out, e);
    return err_set(
        e, ERR_USAGE, "\"%s\" is not one of init, status, migrate, ship and prune", word);
}

static int run(const struct invocation *in, struct err *e)
{
    struct database *database = NULL;
    struct show_out out;
    FILE *file = NULL;
    int rc = answer_choose(in->settings, &database, e);
    if (rc == 0)
        rc = answer_out(in->settings, &out, &file, e);
    if (rc == 0) {
        rc = dispatch(in, database, &out, e);
        if (rc == 0)
            rc = show_out_finish(&out, e);
        if (file && fclose(file) != 0 && rc == 0)
            rc = err_set(e, ERR_IO, "cannot write %s", settings_text(in->settings, SET_OUTPUT));
    }
    database_free(database);
    return rc;
}

static const enum setting_id accepted[] = {
    SET_DB, SET_SCHEMA, SET_ADOPT, SET_OLDER, SET_TIMEOUT, SET_CSV, SET_OUTPUT, SET_END};

const struct command command_db = {
    .name = "db",
    .arguments = "init|status|migrate|ship|prune",
    .summary = "the databases: make, look, update, ship, prune",
    .examples = "  heaptap db status\n"
                "  heaptap db init --db postgres://app@db.example/app\n"
                "  heaptap db init --adopt --db postgres://app@db.example/app\n"
                "  heaptap db ship --db postgres://app@db.example/app --timeout 5m\n"
                "  heaptap db prune --older 30d\n",
    .details = "  init     makes the tables; --adopt takes over a memory_metrics of others\n"
               "  status   what is there, what the guard foresaw and what came, what waits\n"
               "  migrate  brings tables of an older heaptap up\n"
               "  ship     sends rows that PostgreSQL does not have yet\n"
               "  prune    removes what is older than --older\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
