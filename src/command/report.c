/* report: a run as one page, or as text for a ticket. */
#include "show/report.h"

#include "base/log.h"
#include "base/replace.h"
#include "base/text.h"
#include "command/answer.h"
#include "command/report_data.h"
#include "command/sink.h"
#include "command/waiting.h"
#include "show/json.h"

#include <stdio.h>
#include <string.h>

static int gather(const struct invocation *in, cJSON **ret, struct err *e)
{
    struct database *database = NULL;
    struct reader *reader = NULL;
    struct waiting waiting = {0};
    char run_id[UUID_TEXT_SIZE] = "";
    struct diagnose_options options = {.progress = waiting_progress,
        .arg = &waiting,
        .target_id = settings_given(in->settings, SET_TARGET)
                         ? settings_number(in->settings, SET_TARGET)
                         : 0};
    int rc = answer_choose(in->settings, &database, e);
    if (rc == 0)
        rc = reader_open(database, &reader, e);
    if (rc == 0)
        rc = reader_find_run(reader, settings_text(in->settings, SET_RUN), run_id, e);
    if (rc == 0)
        rc = waiting_begin(&waiting, in->settings, e);
    if (rc == 0)
        rc = report_gather(reader, run_id, &options, ret, e);
    waiting_end(&waiting);
    reader_close(reader);
    database_free(database);
    return rc;
}

static int print(const struct settings *s, const struct buf *text, struct err *e)
{
    struct show_out out;
    int rc = sink_open(s, &out, e);
    if (rc)
        return rc;
    fwrite(text->data, 1, text->length, out.file);
    return show_out_finish(&out, e);
}

static int make_text(
    const struct settings *s, const cJSON *document, struct buf *text, struct err *e)
{
    if (!settings_flag(s, SET_JSON))
        return settings_flag(s, SET_MARKDOWN) ? report_markdown(document, text, e)
                                              : report_page(document, text, e);
    char *json = cJSON_PrintUnformatted(document);
    int rc = json ? text_add_visible_json(text, json, strlen(json)) : ERR_NOMEM;
    if (rc == 0)
        rc = buf_add_text(text, "\n");
    cJSON_free(json);
    return rc ? err_set(e, rc, "out of memory") : 0;
}

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *s = in->settings;
    const char *path = settings_text(s, SET_OUTPUT);
    bool page = !settings_flag(s, SET_MARKDOWN) && !settings_flag(s, SET_JSON);
    char size[TEXT_SHORT];
    cJSON *document = NULL;
    struct buf text = buf_new(REPORT_MAX);
    if (settings_flag(s, SET_MARKDOWN) && settings_flag(s, SET_JSON))
        return err_set(e, ERR_USAGE, "--markdown and --json cannot both be had");
    if (page && !path)
        return err_set(
            e, ERR_USAGE, "say where the page goes: -o FILE.html, or -o - for standard output");
    int rc = gather(in, &document, e);
    if (rc == 0)
        rc = make_text(s, document, &text, e);
    if (rc == 0 && (!path || strcmp(path, "-") == 0)) {
        rc = print(s, &text, e);
    } else if (rc == 0) {
        rc = replace_file(path, text.data, text.length, e);
        if (rc == 0)
            log_info("%s: %s", path, text_size(size, (double)text.length));
    }
    buf_free(&text);
    cJSON_Delete(document);
    return rc;
}

static const enum setting_id accepted[] = {
    SET_RUN, SET_TARGET, SET_MARKDOWN, SET_DB, SET_SCHEMA, SET_OUTPUT, SET_END};

const struct command command_report = {
    .name = "report",
    .arguments = "[--run ID] -o FILE.html",
    .summary = "a run as one page with plots, or as text for a ticket",
    .examples = "  heaptap report -o memory.html                        the run that began last\n"
                "  heaptap report --run 3f2a -o - > memory.html\n"
                "  heaptap report --markdown                            for a ticket\n",
    .details =
        "One page that stands alone: the diagnosis first, then memory over time, growth by class,\n"
        "bytes a request by route, live bytes by allocating line, timelines, what the captures\n"
        "cost, and the tables behind them. It loads nothing from a network and can be mailed.\n"
        "Snapshots that are still on disk are read again; where they are gone, the suspects that\n"
        "were stored with the run are shown.\n",
    .settings = accepted,
    .run = run,
};
