/* The end of a run in words or JSON: what was collected, and what grew. */
#include "command/recap.h"

#include "base/clock.h"
#include "base/text.h"
#include "command/recap_requests.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROWN_SHOWN   8       /* classes */
#define NOTABLE_BYTES 1048576 /* growth under this, or under */
#define NOTABLE_SHARE 0.05    /* this share, is noise: it gets no pace */

const char *recap_name(const struct run_target *t, char out[RECAP_NAME_SIZE])
{
    const struct target_identity *id = &t->identity;
    const char *title = id->title;
    const char *slash = strrchr(title, '/');
    if (slash && slash[1])
        title = slash + 1;
    if (id->kind == TARGET_WORKER)
        snprintf(out, RECAP_NAME_SIZE, "%.100s of pid %lld", title, (long long)id->pid);
    else if (id->pid)
        snprintf(out, RECAP_NAME_SIZE, "%.100s, pid %lld", title, (long long)id->pid);
    else
        snprintf(out, RECAP_NAME_SIZE, "%.100s at %.50s", title, id->address);
    return out;
}

const char *recap_runtime(const struct run_target *t, char out[RECAP_RUNTIME_SIZE])
{
    bool worker = t->identity.kind == TARGET_WORKER;
    snprintf(out, RECAP_RUNTIME_SIZE, "%s %s",
        worker ? "worker, node" : target_kind_name(t->identity.kind), t->identity.runtime_version);
    return out;
}

/* "12.1 MB -> 30.2 MB  +18.1 MB, 2.1 GB an hour at this pace"; ms: over what time, 0: no pace. */
static void print_growth(
    const struct show_out *out, const char *what, double first, double last, int64_t ms)
{
    char a[TEXT_SHORT], b[TEXT_SHORT], by[TEXT_SHORT], hourly[TEXT_SHORT];
    if (isnan(first) || isnan(last))
        return;
    double growth = last - first;
    fprintf(out->file, "    %-22s %10s  ->  %10s   %s%s", what, text_size(a, first),
        text_size(b, last), growth < 0 ? "" : "+", text_size(by, growth));
    if (ms > 0 && growth >= NOTABLE_BYTES && growth >= NOTABLE_SHARE * first)
        fprintf(out->file, ", %s an hour at this pace",
            text_size(hourly, growth * 3600000 / (double)ms));
    fprintf(out->file, "\n");
}

/* Whether another thread of the target's process has had requests. */
static bool serves_elsewhere(const struct run *r, const struct run_target *t)
{
    for (size_t i = 0; i < run_target_count(r); i++) {
        const struct run_target *other = run_target_at(r, i);
        if (other == t || !t->identity.pid || other->identity.pid != t->identity.pid)
            continue;
        for (size_t k = 0; k < other->requests.route_count; k++)
            if (other->requests.routes[k].requests)
                return true;
    }
    return false;
}

static void print_target(
    const struct show_out *out, const struct run *r, const struct run_target *t)
{
    char name[RECAP_NAME_SIZE], pause[TEXT_SHORT], runtime[RECAP_RUNTIME_SIZE];
    struct err e = ERR_NONE;
    recap_name(t, name);
    fprintf(out->file, "\n  ");
    (void)!show_text(out, name, strlen(name), &e);
    fprintf(out->file, " (%s)%s\n", recap_runtime(t, runtime), t->attached ? "" : ", gone");
    fprintf(out->file, "    %lld reading%s, %lld snapshot%s", (long long)t->readings,
        t->readings == 1 ? "" : "s", (long long)t->snapshots, t->snapshots == 1 ? "" : "s");
    if (t->snapshots)
        fprintf(out->file, " (stalls of %s in all)",
            text_duration(pause, (int64_t)(t->pause_ms * 1000)));
    if (t->refused)
        fprintf(out->file, ", %lld refused by the guard", (long long)t->refused);
    if (t->turned_away)
        fprintf(out->file, ", %lld not begun (another capture on this host had not ended)",
            (long long)t->turned_away);
    if (t->failed)
        fprintf(out->file, ", %lld failed", (long long)t->failed);
    fprintf(out->file, "\n");
    bool floors = t->snapshots > 1; /* the only figures whose pace means anything, if they exist */
    print_growth(out, "heap", t->first_heap, t->last_heap, floors ? 0 : t->last_ms - t->first_ms);
    if (floors)
        print_growth(out, "heap without garbage", t->first_floor, t->last_floor,
            t->last_floor_ms - t->first_floor_ms);
    if (t->identity.kind != TARGET_WORKER) /* it is the whole process' */
        print_growth(out, "resident memory", t->first_rss, t->last_rss, 0);
    recap_requests_text(out, &t->requests, serves_elsewhere(r, t), "--gc-floor 30s");
    for (int i = 0; i < 2; i++) {
        const char *path = i == 0 ? t->first_file : t->last_file;
        if (!path)
            continue;
        fprintf(out->file, "    %s ", i == 0 ? "first snapshot" : "last snapshot ");
        (void)!show_text(out, path, strlen(path), &e);
        fprintf(out->file, "\n");
    }
}

/* The classes that grew, under the target that they belong to. */
static int print_grown(const struct show_out *out, const struct run *r, size_t index, struct err *e)
{
    static const struct show_column columns[] = {{"    what grew", "class", SHOW_NAME, 0},
        {"objects", "count", SHOW_COUNT, 0}, {"change", "count_delta", SHOW_DELTA, 0},
        {"retained", "retained_size", SHOW_SIZE, 0}, {"grew by", "size_delta", SHOW_SIZE, 0}};
    struct class_change grown[GROWN_SHOWN];
    size_t count = run_grown_classes(r, index, grown, GROWN_SHOWN);
    if (count == 0)
        return 0;
    struct show_table *table = show_table_new(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        char *name = text_format("    %s", grown[i].name);
        show_add_word(table, name);
        show_add_integer(table, grown[i].now.count);
        show_add_integer(table, grown[i].now.count - grown[i].before.count);
        show_add_integer(table, grown[i].now.retained_size);
        show_add_integer(table, grown[i].now.retained_size - grown[i].before.retained_size);
        free(name);
    }
    int rc = show_table(out, table, e);
    show_table_free(table);
    return rc;
}

/* They are no targets of the record, and their one warning is long past. */
static void print_absent(const struct show_out *out, const struct run *r)
{
    const char *name = run_absent(r, 0);
    if (!name)
        return;
    fprintf(out->file, "never there: %s", name);
    for (size_t i = 1; (name = run_absent(r, i)); i++)
        fprintf(out->file, ", %s", name);
    fprintf(out->file, "\n");
}

static int summary_text(
    const struct show_out *out, const struct run *r, const struct recap_end *end, struct err *e)
{
    char elapsed[TEXT_SHORT], rows[TEXT_SHORT];
    int64_t snapshots = 0;
    size_t count = run_target_count(r);
    for (size_t i = 0; i < count; i++)
        snapshots += run_target_at(r, i)->snapshots;
    fprintf(out->file, "%s: %zu target%s, %lld snapshot%s, %s rows",
        text_duration(elapsed, end->elapsed_us), count, count == 1 ? "" : "s", (long long)snapshots,
        snapshots == 1 ? "" : "s", text_count(rows, end->rows));
    if (end->lost)
        fprintf(out->file, " (%lld more were lost)", (long long)end->lost);
    if (end->record)
        fprintf(out->file, " in %s\nrun %s", end->record, end->run_id);
    fprintf(out->file, "\n");
    if (end->unwritten > 0)
        fprintf(out->file, "%s more rows could not be written there\n",
            text_count(rows, end->unwritten));
    print_absent(out, r);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        print_target(out, r, run_target_at(r, i));
        rc = print_grown(out, r, i, e);
    }
    return rc ? rc : show_out_finish(out, e);
}

static void grown_json(cJSON *to, const struct run *r, size_t index, int *rc)
{
    struct class_change grown[GROWN_SHOWN];
    size_t count = run_grown_classes(r, index, grown, GROWN_SHOWN);
    cJSON *list = show_json_array(to, "grown_classes", rc);
    for (size_t i = 0; i < count; i++) {
        cJSON *row = show_json_object(list, NULL, rc);
        show_json_word(row, "key", grown[i].key, rc);
        show_json_word(row, "class", grown[i].name, rc);
        show_json_integer(row, "count", grown[i].now.count, rc);
        show_json_integer(row, "count_delta", grown[i].now.count - grown[i].before.count, rc);
        show_json_integer(row, "retained_size", grown[i].now.retained_size, rc);
        show_json_integer(
            row, "size_delta", grown[i].now.retained_size - grown[i].before.retained_size, rc);
    }
}

static void target_json(cJSON *list, const struct run *r, size_t index, int *rc)
{
    const struct run_target *t = run_target_at(r, index);
    cJSON *o = show_json_object(list, NULL, rc);
    show_json_integer(o, "target_id", t->id, rc);
    show_json_word(o, "kind", target_kind_name(t->identity.kind), rc);
    show_json_word(o, "title", t->identity.title, rc);
    show_json_integer(o, "pid", t->identity.pid, rc);
    show_json_word(o, "runtime_version", t->identity.runtime_version, rc);
    show_json_integer(o, "readings", t->readings, rc);
    show_json_integer(o, "snapshots", t->snapshots, rc);
    show_json_integer(o, "refused", t->refused, rc);
    show_json_integer(o, "turned_away", t->turned_away, rc);
    show_json_integer(o, "failed", t->failed, rc);
    show_json_number(o, "pause_ms", t->pause_ms, rc);
    const struct {
        const char *key;
        double first, last;
    } series[] = {{"heap_used", t->first_heap, t->last_heap},
        {"heap_floor", t->first_floor, t->last_floor}, {"rss", t->first_rss, t->last_rss}};
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        cJSON *pair = show_json_object(o, series[i].key, rc);
        show_json_number(pair, "first_bytes", series[i].first, rc);
        show_json_number(pair, "last_bytes", series[i].last, rc);
    }
    show_json_word(o, "first_snapshot", t->first_file, rc);
    show_json_word(o, "last_snapshot", t->last_file, rc);
    recap_requests_json(o, &t->requests, rc);
    grown_json(o, r, index, rc);
}

static int summary_json(
    const struct show_out *out, const struct run *r, const struct recap_end *end, struct err *e)
{
    int rc = 0;
    cJSON *line = show_json_object(NULL, NULL, &rc);
    show_json_word(line, "type", "summary", &rc);
    show_json_time(line, "time", clock_wall_ms(), &rc);
    show_json_word(line, "schema", "heaptap.run/1", &rc);
    show_json_word(line, "run_id", end->run_id, &rc);
    show_json_word(line, "reason", end->reason, &rc);
    show_json_number(line, "seconds", (double)end->elapsed_us / 1e6, &rc);
    show_json_word(line, "record", end->record, &rc);
    show_json_integer(line, "rows", end->rows, &rc);
    show_json_integer(line, "unwritten", end->unwritten, &rc);
    show_json_integer(line, "lost", end->lost, &rc);
    cJSON *targets = show_json_array(line, "targets", &rc);
    for (size_t i = 0; i < run_target_count(r); i++)
        target_json(targets, r, i, &rc);
    cJSON *absent = show_json_array(line, "never_there", &rc);
    for (size_t i = 0; run_absent(r, i); i++)
        show_json_add(absent, NULL, cJSON_CreateString(run_absent(r, i)), &rc);
    return show_json_line(out, line, rc, e);
}

int recap(
    const struct show_out *out, const struct run *r, const struct recap_end *end, struct err *e)
{
    return out->format == SHOW_JSON ? summary_json(out, r, end, e) : summary_text(out, r, end, e);
}
