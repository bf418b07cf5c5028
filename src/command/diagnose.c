/* diagnose: names the leak. */
#include "diagnose/diagnose.h"

#include "command/answer.h"
#include "command/verdict.h"
#include "command/waiting.h"
#include "diagnose/diagnosis_json.h"
#include "show/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXIT_LEAK 1

static int diagnose_record(const struct invocation *in, const struct diagnose_options *options,
    struct diagnosis **ret, struct err *e)
{
    struct database *database = NULL;
    struct reader *reader = NULL;
    char run_id[UUID_TEXT_SIZE] = "";
    int rc = answer_choose(in->settings, &database, e);
    if (rc == 0)
        rc = reader_open(database, &reader, e);
    if (rc == 0)
        rc = reader_find_run(reader, settings_text(in->settings, SET_RUN), run_id, e);
    if (rc == 0)
        rc = diagnose_run(reader, run_id, options, ret, e);
    reader_close(reader);
    database_free(database);
    return rc;
}

static int make(const struct invocation *in, struct diagnosis **ret, struct err *e)
{
    const struct settings *s = in->settings;
    struct waiting waiting;
    struct diagnose_options options = {.progress = waiting_progress,
        .arg = &waiting,
        .suspects_max = settings_given(s, SET_TOP) ? (size_t)settings_number(s, SET_TOP) : 0,
        .target_id = settings_given(s, SET_TARGET) ? settings_number(s, SET_TARGET) : 0};
    int rc = waiting_begin(&waiting, s, e);
    if (rc)
        return rc;
    rc = in->word_count ? diagnose_files((const char *const *)in->words, (size_t)in->word_count,
                              &options, ret, e)
                        : diagnose_record(in, &options, ret, e);
    waiting_end(&waiting);
    return rc;
}

/* The JSON into a file of its own, beside what is printed. */
static int write_json(const struct settings *s, const struct diagnosis *d, struct err *e)
{
    const char *path = settings_text(s, SET_JSON_FILE);
    if (!path)
        return 0;
    FILE *file = fopen(path, "we");
    if (!file)
        return err_set_errno(e, ERR_IO, errno, "cannot write %s", path);
    struct show_out out = show_out_new(file, SHOW_JSON, SHOW_COLOR_NEVER);
    cJSON *root = diagnosis_json(d);
    int rc = show_json_line(&out, root, root ? 0 : ERR_NOMEM, e);
    if (rc == 0)
        rc = show_out_finish(&out, e);
    if (fclose(file) != 0 && rc == 0)
        rc = err_set_errno(e, ERR_IO, errno, "cannot write %s", path);
    return rc;
}

static int print(const struct settings *s, const struct diagnosis *d, struct err *e)
{
    struct show_out out;
    FILE *file = NULL;
    int rc = answer_out(s, &out, &file, e);
    if (rc)
        return rc;
    if (out.format == SHOW_JSON) {
        cJSON *root = diagnosis_json(d);
        rc = show_json(&out, root, root ? 0 : ERR_NOMEM, e);
    } else {
        rc = verdict_print(&out, d, e);
    }
    if (rc == 0)
        rc = show_out_finish(&out, e);
    if (file && fclose(file) != 0 && rc == 0)
        rc = err_set(e, ERR_IO, "cannot write %s", settings_text(s, SET_OUTPUT));
    return rc;
}

static int run(const struct invocation *in, struct err *e)
{
    struct diagnosis *d = NULL;
    if (in->word_count && settings_given(in->settings, SET_RUN))
        return err_set(e, ERR_USAGE, "either files or --run, not both");
    int rc = make(in, &d, e);
    if (rc)
        return rc;
    rc = write_json(in->settings, d, e);
    if (rc == 0)
        rc = print(in->settings, d, e);
    if (rc == 0 && d->verdict == DIAGNOSIS_LEAK && settings_flag(in->settings, SET_EXIT_CODE))
        rc = EXIT_LEAK;
    diagnosis_free(d);
    return rc;
}

static const enum setting_id accepted[] = {SET_RUN, SET_TARGET, SET_TOP, SET_DB, SET_SCHEMA,
    SET_EXIT_CODE, SET_JSON_FILE, SET_OUTPUT, SET_END};

const struct command command_diagnose = {
    .name = "diagnose",
    .arguments = "[FILE... | --run ID]",
    .summary = "names the leak: class, holder, route, allocating line",
    .examples = "  heaptap diagnose                                     the run that began last\n"
                "  heaptap diagnose --run 3f2a --json\n"
                "  heaptap diagnose heap-*.heapsnapshot                 files of one process\n"
                "  heaptap diagnose --exit-code                         1 if it is a leak\n",
    .details =
        "Without files: from the record of a run (readings, floors after full collections, "
        "requests,\n"
        "allocating lines) and those of its snapshots that are still on disk. The words: leak "
        "(three\n"
        "or more points after a full collection, growth in the last half of them too, more than\n"
        "noise), growth (it grows, but two points or readings only), no-leak, inconclusive. One\n"
        "snapshot shows size, two show growth, three show retention.\n",
    .settings = accepted,
    .words_max = -1,
    .run = run,
};
