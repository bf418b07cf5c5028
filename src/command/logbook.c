/* The record of a command that watches targets. */
#include "command/logbook.h"

#include "base/clock.h"
#include "base/log.h"
#include "command/secrets.h"
#include "show/json.h"

#include <stdlib.h>

#define DRAIN_SLICE_MS 20

/* {"settings":{"metrics-interval":"1s",…},"given":["metrics-interval"]}: what is in force, and what
 * of it is no default, secrets hidden. The database and a script's words are left out altogether.
 * Owned by the caller. */
static char *describe_settings(const struct invocation *in)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    cJSON *all = show_json_object(root, "settings", &rc);
    cJSON *given = show_json_array(root, "given", &rc);
    for (const enum setting_id *id = in->command->settings; *id != SET_END; id++) {
        if (*id == SET_DB || *id == SET_COMMANDS || !settings_text(in->settings, *id))
            continue;
        char *value = secrets_hidden(in->settings, *id);
        show_json_word(all, setting_get(*id)->name, value, &rc);
        free(value);
        if (settings_given(in->settings, *id))
            show_json_word(given, NULL, setting_get(*id)->name, &rc);
    }
    char *json = rc == 0 ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return json;
}

int logbook_open(const struct invocation *in, struct logbook *r, struct err *e)
{
    const struct settings *s = in->settings;
    struct journal_options options = {.no_migrate = settings_flag(s, SET_NO_MIGRATE)};
    struct shipper_options shipping = {.outbox_bytes = settings_number(s, SET_OUTBOX_SIZE),
        .local_keep_us =
            settings_given(s, SET_LOCAL_KEEP) ? settings_number(s, SET_LOCAL_KEEP) : 0};
    int rc =
        database_choose(settings_text(s, SET_DB), settings_text(s, SET_SCHEMA), &r->database, e);
    if (rc)
        return rc;
    bool ships = database_is_postgres(r->database);
    if (ships)
        rc = shipper_check(r->database, options.no_migrate, e);
    options.path = database_path(r->database);
    if (rc == 0)
        rc = journal_open(&options, &r->journal, e);
    if (rc)
        return rc;
    struct store_run row;
    store_row_clear(STORE_RUNS, &row);
    row.label = settings_text(s, SET_LABEL);
    row.command_line = in->command->name;
    row.version = HEAPTAP_VERSION;
    row.destination = database_destination(r->database);
    char *settings = describe_settings(in);
    row.detail = settings;
    rc = settings ? journal_begin_run(r->journal, &row, e) : err_set(e, ERR_NOMEM, "out of memory");
    cJSON_free(settings);
    if (rc == 0 && ships)
        rc = shipper_start(r->database, &shipping, journal_run_id(r->journal), &r->shipper, e);
    return rc;
}

/* Waits until PostgreSQL has what is left, drain_us have passed, or the user wants to leave. */
static void drain(struct logbook *r, const struct logbook_end *end)
{
    int64_t until_us = clock_monotonic_us() + end->drain_us;
    bool hurried = false;
    shipper_drain(r->shipper);
    while (!hurried && !shipper_drained(r->shipper) && clock_monotonic_us() < until_us)
        hurried = end->hurried(end->arg, DRAIN_SLICE_MS);
}

int logbook_close(struct logbook *r, const struct logbook_end *end, struct err *e)
{
    struct store_run row;
    struct err shipping = ERR_NONE, flush = ERR_NONE;
    if (!r->journal)
        return 0;
    store_row_clear(STORE_RUNS, &row);
    row.state = "ended";
    row.exit_reason = end->reason;
    row.exit_code = end->exit_code;
    journal_end_run(r->journal, &row);
    if (r->shipper && journal_flush(r->journal, LOGBOOK_FLUSH_US, &flush) != 0)
        log_warn("%s", flush.text);
    if (r->shipper && end->drain_us > 0)
        drain(r, end);
    int shipped = shipper_stop(r->shipper, 0, &shipping);
    r->shipper = NULL;
    int rc = journal_close(r->journal, LOGBOOK_FLUSH_US, e);
    r->journal = NULL;
    if (rc == 0 && shipped != 0) {
        *e = shipping;
        rc = shipped;
    }
    return rc;
}

void logbook_free(struct logbook *r)
{
    database_free(r->database);
    r->database = NULL;
}
