/* targets: what could be watched. */
#include "command/conduct.h"

#include "collect/survey.h"
#include "command/sink.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>

struct asking {
    struct loop *loop;
    struct show_table *table;
    struct err why;
    size_t rows;
};

static const struct show_column columns[] = {
    {"TITLE", "title", SHOW_NAME, 0},
    {"TARGET", "target", SHOW_PATH, 0},
    {"KIND", "kind", SHOW_WORD, 0},
    {"PID", "pid", SHOW_NUMBER, 0},
    {"VERSION", "runtime_version", SHOW_WORD, SHOW_SPARE},
    {"HEAP", "heap_used", SHOW_SIZE, 0},
    {"RSS", "rss", SHOW_SIZE, SHOW_SPARE},
    {"STATE", "state", SHOW_WORD, 0},
};

static void add_bytes(struct show_table *t, double bytes)
{
    if (isnan(bytes))
        show_add_none(t);
    else
        show_add_integer(t, (int64_t)bytes);
}

static void answered(void *arg, const struct survey_row *rows, size_t count, const struct err *why)
{
    struct asking *a = arg;
    for (size_t i = 0; i < count; i++) {
        const struct survey_row *row = &rows[i];
        show_add_word(a->table, row->title && *row->title ? row->title : row->url);
        if (*row->address)
            show_add_word(a->table, row->address);
        else
            show_add_none(a->table);
        show_add_word(a->table, target_kind_name(row->kind));
        if (row->pid)
            show_add_number(a->table, (double)row->pid);
        else
            show_add_none(a->table);
        show_add_word(a->table, row->version);
        add_bytes(a->table, row->heap_used);
        add_bytes(a->table, row->rss);
        show_add_word(a->table, survey_state_name(row->state));
    }
    a->rows = count;
    if (why)
        a->why = *why;
    loop_stop(a->loop);
}

static int print(const struct show_out *out, struct show_table *table, struct err *e)
{
    if (out->format != SHOW_JSON)
        return show_table(out, table, e);
    cJSON *rows = NULL;
    int rc = show_table_json(table, &rows, e);
    if (rc)
        return rc;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.targets/1", &rc);
    show_json_add(root, "targets", rows, &rc);
    return show_json(out, root, rc, e);
}

static int run(const struct invocation *in, struct err *e)
{
    struct asking a = {.why = ERR_NONE};
    struct survey *survey = NULL;
    struct address *addresses = NULL;
    struct show_out out;
    size_t count = 0;
    int rc = sink_open(in->settings, &out, e);
    if (rc == 0 && in->word_count)
        rc = conduct_addresses(in, &addresses, &count, e);
    if (rc == 0)
        rc = loop_new(&a.loop, e);
    if (rc)
        goto out;
    a.table = show_table_new(columns, sizeof columns / sizeof *columns);
    rc = survey_start(a.loop, addresses, count, settings_flag(in->settings, SET_ALLOW_REMOTE),
        answered, &a, &survey, e);
    if (rc == 0)
        rc = loop_run(a.loop, e);
    if (rc == 0 && a.why.code && a.rows == 0) {
        *e = a.why;
        rc = a.why.code;
    }
    if (rc == 0 && a.rows == 0 && out.format == SHOW_TEXT)
        fprintf(stderr, "no Node process is running here that you may look at\n");
    else if (rc == 0)
        rc = print(&out, a.table, e);
    if (rc == 0 && a.why.code) {
        *e = a.why;
        rc = a.why.code;
    }
    if (rc == 0)
        rc = show_out_finish(&out, e);
out:
    survey_free(survey);
    show_table_free(a.table);
    loop_free(a.loop);
    free(addresses);
    return rc;
}

static const enum setting_id accepted[] = {SET_CSV, SET_ALLOW_REMOTE, SET_END};

const struct command command_targets = {
    .name = "targets",
    .arguments = "[ADDRESS...]",
    .summary = "which targets there are: Node processes of this host, or those at ADDRESS",
    .examples = "  heaptap targets                 every Node process here, inspector or not\n"
                "  heaptap targets 9229            what listens there, with its workers\n"
                "  heaptap targets --json localhost:9222\n",
    .details = "A process with no inspector is opened with pid:N (SIGUSR1).\n",
    .settings = accepted,
    .words_max = -1,
    .run = run,
};
