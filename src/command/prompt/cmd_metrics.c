/* metrics, gc and their sparkline: what the target's memory is now. */
#include "command/prompt/table.h"

#include "base/clock.h"
#include "base/text.h"
#include "cdp/proto.h"
#include "command/prompt/embed.h"
#include "command/prompt/session.h"
#include "command/prompt/spark.h"
#include "show/fill.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GC_DEADLINE_US (120 * 1000000LL) /* about 1 ms a MB */
#define SPARK_COLUMNS  40

static const struct {
    const char *title, *key;
    size_t offset;
} sizes[] = {
    {"heap used", "heap_used", offsetof(struct sample, heap_used)},
    {"heap total", "heap_total", offsetof(struct sample, heap_total)},
    {"heap limit", "heap_limit", offsetof(struct sample, heap_limit)},
    {"external", "external", offsetof(struct sample, external)},
    {"array buffers", "array_buffers", offsetof(struct sample, array_buffers)},
    {"resident set", "rss", offsetof(struct sample, rss)},
};

static double field(const struct sample *sample, size_t offset)
{
    double value;
    memcpy(&value, (const char *)sample + offset, sizeof value);
    return value;
}

static int put_json(const struct show_out *o, const struct sample *sample, bool line, struct err *e)
{
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.reading/1", &rc);
    show_json_time(root, "time", sample->wall_ms, &rc);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double value = field(sample, sizes[i].offset);
        if (isnan(value))
            show_json_null(root, sizes[i].key, &rc);
        else
            show_json_integer(root, sizes[i].key, (int64_t)value, &rc);
    }
    show_json_number(root, "gc_count", sample->gc_count, &rc);
    show_json_number(root, "gc_ms", sample->gc_ms, &rc);
    show_json_number(root, "loop_delay_ms", sample->loop_delay_ms, &rc);
    show_json_number(root, "loop_delay_max_ms", sample->loop_delay_max_ms, &rc);
    show_json_number(root, "loop_utilization", sample->loop_utilization, &rc);
    return line ? show_json_line(o, root, rc, e) : show_json(o, root, rc, e);
}

static void put_spark(const struct session *s, const struct show_out *o)
{
    double values[SESSION_READINGS];
    if (s->current >= s->told_count)
        return;
    const struct told *told = &s->told[s->current];
    size_t count = told->count < SESSION_READINGS ? told->count : SESSION_READINGS;
    for (size_t i = 0; i < count; i++)
        values[i] = told->heap[(told->count - count + i) % SESSION_READINGS];
    if (count < 2)
        return;
    fprintf(o->file, "\nheap used, readings so far: ");
    spark_print(o, values, count, SPARK_COLUMNS);
    fputc('\n', o->file);
}

static int put_pauses(const struct show_out *o, const struct sample *sample, struct err *e)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%.0f collections since attached took %.0f ms",
        sample->gc_count, sample->gc_ms);
    if (!isnan(sample->loop_delay_max_ms)) /* it is not known right after attaching */
        snprintf(text + length, sizeof text - (size_t)length,
            "; event loop delayed %.1f ms on average, %.1f ms at most", sample->loop_delay_ms,
            sample->loop_delay_max_ms);
    fputc('\n', o->file);
    return show_fill(o, text, strlen(text), 0, 0, e);
}

static int put_table(
    const struct session *s, const struct show_out *o, const struct sample *sample, struct err *e)
{
    static const struct show_column columns[] = {{"MEMORY", "memory", SHOW_NAME, 0},
        {"NOW", "now", SHOW_SIZE, 0}, {"SINCE ATTACHED", "growth", SHOW_WORD, 0}};
    const struct run_target *t = session_facts(s);
    struct show_table *table = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double value = field(sample, sizes[i].offset);
        double first = sizes[i].offset == offsetof(struct sample, heap_used) ? t->first_heap
                       : sizes[i].offset == offsetof(struct sample, rss)     ? t->first_rss
                                                                             : NAN;
        char growth[TEXT_SHORT + 1], size[TEXT_SHORT];
        if (isnan(value))
            continue;
        show_add_word(table, sizes[i].title);
        show_add_integer(table, (int64_t)value);
        snprintf(growth, sizeof growth, "%s%s", value < first ? "" : "+",
            text_size(size, value - first));
        show_add_word(table, isnan(first) ? NULL : growth);
    }
    int rc = show_table(o, table, e);
    show_table_free(table);
    if (rc == 0 && o->format == SHOW_TEXT && !isnan(sample->gc_count))
        rc = put_pauses(o, sample, e);
    if (rc == 0 && o->format == SHOW_TEXT)
        put_spark(s, o);
    return rc;
}

static int watch(struct session *s, struct prompt_call *c, struct err *e)
{
    int64_t every_us = settings_number(c->in.settings, SET_EVERY);
    int64_t times = settings_number(c->in.settings, SET_TIMES);
    struct spark spark = {.count = 0};
    int rc = 0;
    for (int64_t i = 0; rc == 0 && (times == 0 || i < times); i++) {
        struct sample sample;
        char heap[TEXT_SHORT], rss[TEXT_SHORT];
        if (i > 0)
            rc = session_pause(s, every_us, e);
        if (rc == 0)
            rc = session_read(s, &sample, e);
        if (rc)
            break;
        spark_add(&spark, sample.heap_used);
        if (c->out.format == SHOW_JSON) {
            rc = put_json(&c->out, &sample, true, e);
            continue;
        }
        fprintf(c->out.file, "heap %10s  rss %10s  ", text_size(heap, sample.heap_used),
            isnan(sample.rss) ? "-" : text_size(rss, sample.rss));
        spark_put(&c->out, &spark, SPARK_COLUMNS);
        fputc('\n', c->out.file);
        fflush(c->out.file);
    }
    return rc == ERR_CANCELLED && !s->timed_out && s->terminal ? 0 : rc; /* as it is meant to end */
}

static int run_metrics(struct session *s, struct prompt_call *c, struct err *e)
{
    struct sample sample;
    if (c->in.word_count > 0) {
        int flushed = journal_flush(s->logbook.journal, LOGBOOK_FLUSH_US, e);
        return flushed ? flushed : embed_run(s, c, e);
    }
    if (settings_flag(c->in.settings, SET_WATCH))
        return watch(s, c, e);
    int rc = session_read(s, &sample, e);
    if (rc)
        return rc;
    return c->out.format == SHOW_JSON ? put_json(&c->out, &sample, false, e)
                                      : put_table(s, &c->out, &sample, e);
}

static const enum setting_id metrics_settings[] = {SET_WATCH, SET_EVERY, SET_TIMES, SET_TOP,
    SET_CSV, SET_RUN, SET_SINCE, SET_LABEL, SET_DB, SET_SCHEMA, SET_OUTPUT, SET_END};

const struct prompt_command prompt_metrics = {
    .name = "metrics",
    .aliases = "mem",
    .usage = "[QUESTION]",
    .heading = "Memory",
    .summary = "the target's memory now, with a curve, or as the record has it",
    .help = "  metrics\n"
            "  metrics --watch --every 2s          a line and a curve each, until Ctrl-C\n"
            "  metrics trend                       from the record\n"
            "The record answers latest, trend, compare, requests, classes and sites, as heaptap\n"
            "metrics does in a shell.\n",
    .json = "heaptap.reading/1",
    .choices = "latest trend compare requests classes sites",
    .shell = &command_metrics,
    .settings = metrics_settings,
    .words_max = 1,
    .streams = true,
    .run = run_metrics,
};

/* ---- gc ---- */

static int run_gc(struct session *s, struct prompt_call *c, struct err *e)
{
    struct sample before, after;
    cJSON *answer = NULL;
    char was[TEXT_SHORT], is[TEXT_SHORT], freed[TEXT_SHORT], took[TEXT_SHORT];
    int rc = session_read(s, &before, e);
    int64_t began_us = clock_monotonic_us();
    if (rc == 0)
        rc = session_call(s, PROTO_HEAP_PROFILER_COLLECT_GARBAGE, NULL, GC_DEADLINE_US, &answer, e);
    int64_t took_us = clock_monotonic_us() - began_us;
    cJSON_Delete(answer);
    if (rc == 0)
        rc = session_read(s, &after, e);
    if (rc)
        return rc;
    if (c->out.format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.gc/1", &rc);
        show_json_integer(root, "before", (int64_t)before.heap_used, &rc);
        show_json_integer(root, "after", (int64_t)after.heap_used, &rc);
        show_json_number(root, "duration_ms", (double)took_us / 1000, &rc);
        return show_json(&c->out, root, rc, e);
    }
    double less = before.heap_used - after.heap_used;
    fprintf(c->out.file, "heap %s, was %s: %s %s in %s\n", text_size(is, after.heap_used),
        text_size(was, before.heap_used), text_size(freed, less < 0 ? -less : less),
        less < 0 ? "more" : "freed", text_duration(took, took_us));
    return 0;
}

const struct prompt_command prompt_gc = {
    .name = "gc",
    .aliases = "collect",
    .usage = "",
    .summary = "collects garbage in the target: what is left is in use",
    .json = "heaptap.gc/1",
    .run = run_gc,
};
