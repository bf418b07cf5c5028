/* The report as Markdown for a ticket. Whatever comes from the target stands in code spans, where
 * it is neither a link nor a mention nor markup. */
#include "show/report.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_SHOWN     15 /* of a table: a ticket is read, not searched */
#define SUSPECTS_SHOWN 3
#define COLUMNS_MAX    10

/* ---- the document ---- */

static const cJSON *get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(get(object, key));
    return text && *text ? text : NULL;
}

/* NAN: not there. Large integers stand in a tree as raw digits (show/json.h). */
static double value_of(const cJSON *item)
{
    if (cJSON_IsNumber(item))
        return item->valuedouble;
    return cJSON_IsRaw(item) && item->valuestring ? strtod(item->valuestring, NULL) : NAN;
}

static double number_of(const cJSON *object, const char *key)
{
    return value_of(get(object, key));
}

/* Which column of {"columns":[…],"rows":[[…]]} has that name; -1: none. */
static int find_column(const cJSON *answer, const char *name)
{
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, get(answer, "columns"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            return index;
        index++;
    }
    return -1;
}

/* A cell of a row of an answer, or of an object of a list. */
static const cJSON *cell(const cJSON *answer, const cJSON *row, const char *name)
{
    int column = cJSON_IsArray(row) ? find_column(answer, name) : -1;
    return column >= 0 ? cJSON_GetArrayItem(row, column) : get(row, name);
}

/* ---- words ---- */

/* A code span: its fence is longer than any in the text. in_table: pipes end cells even there. */
static void put_code(struct words *w, const char *text, bool in_table)
{
    struct buf visible = buf_new(REPORT_MAX);
    size_t fence = 0, ticks = 0;
    int rc = text_add_visible(&visible, text, strlen(text));
    if (rc && w->rc == 0)
        w->rc = rc;
    const char *c = visible.data ? visible.data : "";
    for (const char *at = c; *at; at++) {
        ticks = *at == '`' ? ticks + 1 : 0;
        fence = ticks > fence ? ticks : fence;
    }
    if (!*c) {
        buf_free(&visible);
        return;
    }
    for (size_t i = 0; i <= fence; i++)
        words_add(w, "`");
    words_add(w, fence ? " " : "");
    while (*c) {
        size_t plain = in_table ? strcspn(c, "|") : strlen(c);
        words_add(w, "%.*s", (int)plain, c);
        c += plain;
        if (*c) {
            words_add(w, "\\|");
            c++;
        }
    }
    words_add(w, fence ? " " : "");
    for (size_t i = 0; i <= fence; i++)
        words_add(w, "`");
    buf_free(&visible);
}

/* Sentences of ours with names of the target in them: no character of theirs is markup. */
static void put_text(struct words *w, const char *text)
{
    struct buf visible = buf_new(REPORT_MAX);
    int rc = text_add_visible(&visible, text, strlen(text));
    if (rc && w->rc == 0)
        w->rc = rc;
    for (const char *c = visible.data ? visible.data : ""; *c; c++) {
        if (strchr("\\*_[]<>&#|~!$", *c))
            words_add(w, "\\%c", *c);
        else if (*c == '@') /* or it would call somebody */
            words_add(w, "@\xe2\x80\x8b");
        else if (*c == ':' && c[1] == '/') /* or it would become a link */
            words_add(w, "&#58;");
        else
            words_add(w, "%c", *c);
    }
    buf_free(&visible);
}

static void put_size(struct words *w, double bytes)
{
    char text[TEXT_SHORT];
    words_add(w, "%s", isnan(bytes) ? "" : text_size(text, bytes));
}

static void put_signed_size(struct words *w, double bytes)
{
    words_add(w, bytes > 0 ? "+" : "");
    put_size(w, bytes);
}

static void put_count(struct words *w, double count)
{
    char text[TEXT_SHORT];
    words_add(w, "%s", isnan(count) ? "" : text_count(text, (int64_t)count));
}

static void put_duration(struct words *w, double seconds)
{
    char text[TEXT_SHORT];
    bool fits = isfinite(seconds) && fabs(seconds) < 1e11;
    words_add(w, "%s", fits ? text_duration(text, (int64_t)(seconds * 1e6)) : "");
}

/* "`shop.js:12:3`, with its function in front" */
static void put_place(struct words *w, const cJSON *place)
{
    const char *function = text_of(place, "function"), *name = text_of(place, "name");
    const char *url = text_of(place, "url");
    double line = number_of(place, "line"), column = number_of(place, "column");
    function = function ? function : name;
    if (function)
        put_code(w, function, false);
    if (!url)
        return;
    char *text = line > 0 && column > 0 ? text_format("%s:%.0f:%.0f", url, line, column)
                 : line > 0             ? text_format("%s:%.0f", url, line)
                                        : strdup(url);
    words_add(w, function ? " at " : "");
    if (text)
        put_code(w, text, false);
    else
        w->rc = ERR_NOMEM;
    free(text);
}

/* ---- tables ---- */

enum form {
    FORM_CODE,
    FORM_WORD,
    FORM_ID,
    FORM_COUNT,
    FORM_DELTA,
    FORM_SIZE,
    FORM_SIZE_DELTA,
    FORM_MS
};

struct column {
    const char *title, *key;
    enum form form;
};

static void put_cell(struct words *w, const cJSON *item, enum form form)
{
    const char *text = cJSON_GetStringValue(item);
    double value = value_of(item);
    switch (form) {
    case FORM_CODE:
    case FORM_WORD:
        if (text)
            put_code(w, text, true);
        break;
    case FORM_ID:
        if (isfinite(value))
            words_add(w, "%.0f", value);
        break;
    case FORM_COUNT: put_count(w, value); break;
    case FORM_DELTA:
        words_add(w, value > 0 ? "+" : "");
        put_count(w, value);
        break;
    case FORM_SIZE: put_size(w, value); break;
    case FORM_SIZE_DELTA: put_signed_size(w, value); break;
    case FORM_MS: put_duration(w, value / 1000); break;
    }
}

/* rows: a list of objects, or the rows of answer. The last ROWS_SHOWN if newest, else the first. */
static void put_table(struct words *w, const char *title, const cJSON *answer, const cJSON *rows,
    const struct column *columns, size_t count, bool newest)
{
    int total = cJSON_GetArraySize(rows), index = 0, shown = 0;
    const cJSON *row;
    if (total == 0)
        return;
    words_add(w, "\n## %s\n\n|", title);
    for (size_t i = 0; i < count; i++)
        words_add(w, " %s |", columns[i].title);
    words_add(w, "\n|");
    for (size_t i = 0; i < count; i++)
        words_add(w, columns[i].form <= FORM_WORD ? " --- |" : " ---: |");
    words_add(w, "\n");
    cJSON_ArrayForEach(row, rows)
    {
        if (newest ? index++ < total - ROWS_SHOWN : shown == ROWS_SHOWN)
            continue;
        words_add(w, "|");
        for (size_t i = 0; i < count; i++) {
            words_add(w, " ");
            put_cell(w, cell(answer, row, columns[i].key), columns[i].form);
            words_add(w, " |");
        }
        words_add(w, "\n");
        shown++;
    }
    if (shown < total)
        words_add(w, "\n%d of %d rows.\n", shown, total);
}

#define COLUMNS(array) array, sizeof(array) / sizeof *(array)

static void put_tables(struct words *w, const cJSON *document)
{
    static const struct column classes[] = {{"class", "class", FORM_CODE},
        {"first", "first_count", FORM_COUNT}, {"last", "last_count", FORM_COUNT},
        {"growth", "count_growth", FORM_DELTA}, {"retained", "last_retained", FORM_SIZE},
        {"retained growth", "retained_growth", FORM_SIZE_DELTA}};
    static const struct column routes[] = {{"method", "request_method", FORM_WORD},
        {"route", "route", FORM_CODE}, {"requests", "requests", FORM_COUNT},
        {"kept a request", "bytes_per_request", FORM_SIZE}, {"at least", "low", FORM_SIZE},
        {"at most", "high", FORM_SIZE}, {"leaks", "leaks", FORM_WORD},
        {"mean time", "avg_duration_ms", FORM_MS}};
    static const struct column sites[] = {{"function", "function", FORM_CODE},
        {"url", "url", FORM_CODE}, {"line", "line_number", FORM_ID},
        {"live", "last_bytes", FORM_SIZE}, {"growth", "growth_bytes", FORM_SIZE_DELTA},
        {"an hour", "bytes_per_hour", FORM_SIZE_DELTA}, {"readings", "readings", FORM_COUNT}};
    static const struct column captures[] = {{"no.", "snapshot_id", FORM_ID},
        {"target", "target_id", FORM_ID}, {"at", "at", FORM_WORD}, {"kind", "kind", FORM_WORD},
        {"state", "state", FORM_WORD}, {"stall", "pause_ms", FORM_MS},
        {"forecast", "forecast_pause_ms", FORM_MS}, {"size", "bytes", FORM_SIZE},
        {"why", "reason", FORM_CODE}};
    static const struct column events[] = {{"at", "at", FORM_WORD},
        {"target", "target_id", FORM_ID}, {"kind", "kind", FORM_WORD}, {"what", "text", FORM_CODE}};
    static const struct column targets[] = {{"no.", "target_id", FORM_ID},
        {"title", "title", FORM_CODE}, {"pid", "pid", FORM_ID}, {"runtime", "runtime", FORM_WORD},
        {"version", "runtime_version", FORM_WORD}, {"attached", "attached_at", FORM_WORD},
        {"gone", "gone_at", FORM_WORD}, {"state", "state", FORM_WORD},
        {"why", "reason", FORM_CODE}};
    const cJSON *answer;
    put_table(w, "Classes that grew", NULL, get(document, "classes"), COLUMNS(classes), false);
    put_table(w, "Requests by route", NULL, get(document, "requests"), COLUMNS(routes), false);
    put_table(w, "Allocating lines", NULL, get(document, "sites"), COLUMNS(sites), false);
    answer = get(document, "captures");
    put_table(w, "Captures", answer, get(answer, "rows"), COLUMNS(captures), true);
    answer = get(document, "events");
    put_table(w, "Events", answer, get(answer, "rows"), COLUMNS(events), true);
    answer = get(document, "targets");
    put_table(w, "Processes", answer, get(answer, "rows"), COLUMNS(targets), true);
}

/* ---- the answer ---- */

static void put_holder(struct words *w, const cJSON *holder)
{
    const char *text = text_of(holder, "text"), *class_name = text_of(holder, "class");
    const char *name = text_of(holder, "name");
    const cJSON *step;
    if (!text && !class_name && !name)
        return;
    words_add(w, "- held by ");
    if (text) {
        put_text(w, text);
    } else {
        put_code(w, class_name ? class_name : "", false);
        words_add(w, class_name && name ? " " : "");
        put_code(w, name ? name : "", false);
    }
    if (get(holder, "location") && text_of(get(holder, "location"), "url")) {
        words_add(w, ", from ");
        put_place(w, get(holder, "location"));
    }
    words_add(w, "\n");
    if (cJSON_GetArraySize(get(holder, "path")) == 0)
        return;
    words_add(w, "- path: ");
    cJSON_ArrayForEach(step, get(holder, "path"))
    {
        const char *edge = text_of(step, "edge"), *class_of = text_of(step, "class");
        words_add(w, step->prev && step != get(holder, "path")->child ? " → " : "");
        put_code(w, edge ? edge : "", false);
        words_add(w, edge && class_of ? " " : "");
        if (class_of) {
            words_add(w, "(");
            put_code(w, class_of, false);
            words_add(w, ")");
        }
    }
    words_add(w, "\n");
}

static void put_routes(struct words *w, const cJSON *routes)
{
    const cJSON *route;
    cJSON_ArrayForEach(route, routes)
    {
        const char *method = text_of(route, "method"), *path = text_of(route, "route");
        words_add(w, "- ");
        put_code(w, method ? method : "", false);
        words_add(w, " ");
        put_code(w, path ? path : "", false);
        words_add(w, " keeps ");
        put_size(w, number_of(route, "bytes_per_request"));
        words_add(w, " a request");
        if (isfinite(number_of(route, "low")) && isfinite(number_of(route, "high"))) {
            words_add(w, " (");
            put_size(w, number_of(route, "low"));
            words_add(w, " to ");
            put_size(w, number_of(route, "high"));
            words_add(w, ")");
        }
        words_add(w, "\n");
    }
}

static void put_suspect(struct words *w, const cJSON *suspect)
{
    const char *class_name = text_of(suspect, "class"), *advice = text_of(suspect, "advice");
    const char *culprit = text_of(suspect, "culprit");
    const cJSON *instances = get(suspect, "instances"), *bytes = get(suspect, "bytes"), *site;
    double share = number_of(bytes, "share_of_growth");
    double confidence = number_of(suspect, "confidence");
    bool stands = cJSON_IsFalse(get(suspect, "grown"));
    words_add(w, "\n### ");
    put_code(w, class_name ? class_name : "class unknown", false);
    words_add(w, "\n\n");
    if (get(suspect, "function") && !cJSON_IsNull(get(suspect, "function"))) {
        words_add(w, "- function ");
        put_place(w, get(suspect, "function"));
        words_add(w, "\n");
    }
    if (isfinite(number_of(instances, "last"))) {
        words_add(w, "- ");
        if (!stands) {
            put_count(w, number_of(instances, "first"));
            words_add(w, ", then ");
        }
        put_count(w, number_of(instances, "last"));
        words_add(w, stands ? " objects, retain " : " objects; retains ");
        if (stands)
            put_size(w, number_of(bytes, "retained_growth"));
        else
            put_signed_size(w, number_of(bytes, "retained_growth"));
        if (isfinite(share))
            words_add(w, ", %.0f %% of the %s", share * 100, stands ? "heap" : "growth");
        words_add(w, "\n");
    }
    put_holder(w, get(suspect, "holder"));
    put_routes(w, get(suspect, "routes"));
    cJSON_ArrayForEach(site, get(suspect, "allocated_at"))
    {
        words_add(w, "- allocated by ");
        put_place(w, site);
        words_add(w, ", ");
        put_size(w, number_of(site, "live_bytes"));
        words_add(w, " live\n");
    }
    if (culprit) {
        words_add(w, "- kind: ");
        put_code(w, culprit, false);
        words_add(w, "\n");
    }
    if (advice && !stands) {
        words_add(w, "- ");
        put_text(w, advice);
        words_add(w, "\n");
    }
    if (isfinite(confidence))
        words_add(w, "- confidence %.0f %%\n", confidence * 100);
}

static void put_growth(struct words *w, const cJSON *growth)
{
    double low = number_of(growth, "low"), high = number_of(growth, "high");
    double limit = number_of(growth, "seconds_to_limit");
    double hourly = number_of(growth, "heap_bytes_per_hour");
    if (isnan(hourly))
        return;
    words_add(w, "- growth ");
    put_size(w, hourly);
    words_add(w, " an hour");
    if (isfinite(low) && isfinite(high)) {
        words_add(w, " (");
        put_size(w, low);
        words_add(w, " to ");
        put_size(w, high);
        words_add(w, ", 95 %%)");
    }
    if (isfinite(limit)) {
        words_add(w, "; at that pace the limit is met in ");
        put_duration(w, limit);
    }
    words_add(w, "\n");
}

static void put_answer(struct words *w, const cJSON *document)
{
    const cJSON *diagnosis = get(document, "diagnosis"), *item;
    const cJSON *evidence = get(diagnosis, "evidence");
    const char *headline = text_of(document, "headline"),
               *memory = text_of(diagnosis, "memory_kind");
    const char *verdict = text_of(diagnosis, "verdict"), *problem;
    int shown = 0;
    words_add(w, "# ");
    put_text(w, headline ? headline : verdict ? verdict : "Memory of a run");
    words_add(w, "\n\n");
    if (verdict) {
        words_add(w, "- verdict ");
        put_code(w, verdict, false);
        words_add(w, "\n");
    }
    if (memory && strcmp(memory, "none") != 0) {
        words_add(w, "- memory ");
        put_code(w, memory, false);
        words_add(w, "\n");
    }
    put_growth(w, get(diagnosis, "growth"));
    if (evidence) {
        words_add(w, "- evidence: ");
        put_count(w, number_of(evidence, "snapshots"));
        words_add(w, " snapshots, ");
        put_count(w, number_of(evidence, "floors"));
        words_add(w, " readings after full collections over ");
        put_duration(w, number_of(evidence, "span_seconds"));
        words_add(w, "\n");
    }
    if ((problem = text_of(document, "diagnosis_problem"))) {
        words_add(w, "- it could not be diagnosed now: ");
        put_text(w, problem);
        words_add(w, "\n");
    }
    if (cJSON_IsTrue(get(document, "suspects_stored")))
        words_add(w,
            "- the suspects are those that were stored with the run: what is still there does "
            "not name "
            "their holder\n");
    cJSON_ArrayForEach(item, get(diagnosis, "suspects"))
    {
        if (shown++ < SUSPECTS_SHOWN)
            put_suspect(w, item);
    }
}

static void put_limits(struct words *w, const cJSON *document)
{
    const cJSON *diagnosis = get(document, "diagnosis"), *item;
    const char *note = text_of(document, "requests_note");
    const cJSON *ruled_out = get(diagnosis, "ruled_out");
    const cJSON *run = get(document, "run");
    const cJSON *row = cJSON_GetArrayItem(get(run, "rows"), 0);
    double lost = value_of(cell(run, row, "lost_rows"));
    words_add(w, "\n## Evidence and its limits\n\n");
    cJSON_ArrayForEach(item, get(diagnosis, "notes"))
    {
        if (cJSON_IsString(item)) {
            words_add(w, "- ");
            put_text(w, item->valuestring);
            words_add(w, "\n");
        }
    }
    if (note) {
        words_add(w, "- ");
        put_text(w, note);
        words_add(w, "\n");
    }
    if (lost > 0) {
        words_add(w, "- ");
        put_count(w, lost);
        words_add(w, " rows of the record were lost\n");
    }
    if (cJSON_GetArraySize(ruled_out) > 0) {
        words_add(w, "- looked for and not found:");
        cJSON_ArrayForEach(item, ruled_out)
        {
            words_add(w, " ");
            put_code(w, cJSON_IsString(item) ? item->valuestring : "", false);
        }
        words_add(w, "\n");
    }
    words_add(w,
        "- the differences of single requests are mostly garbage; what a request keeps is told "
        "by the heap after full collections\n");
}

/* {"settings":{…},"given":[…]}: those that are no default. */
static void put_settings(struct words *w, const char *detail)
{
    cJSON *tree = detail ? cJSON_Parse(detail) : NULL;
    const cJSON *given;
    bool first = true;
    cJSON_ArrayForEach(given, get(tree, "given"))
    {
        const char *name = cJSON_GetStringValue(given);
        const char *value = name ? text_of(get(tree, "settings"), name) : NULL;
        char *text = value ? text_format("%s = %s", name, value) : NULL;
        if (!text)
            continue;
        words_add(w, first ? "- settings: " : ", ");
        put_code(w, text, false);
        free(text);
        first = false;
    }
    words_add(w, first ? "" : "\n");
    cJSON_Delete(tree);
}

static void put_run(struct words *w, const cJSON *document)
{
    static const struct {
        const char *key, *title;
    } facts[] = {{"run_id", "run"}, {"label", "label"}, {"command_line", "command"},
        {"version", "heaptap"}, {"host", "host"}, {"started_at", "began"}, {"ended_at", "ended"},
        {"state", "state"}, {"exit_reason", "ended by"}};
    const cJSON *run = get(document, "run");
    const cJSON *row = cJSON_GetArrayItem(get(run, "rows"), 0);
    words_add(w, "\n## The run\n\n");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const char *text = cJSON_GetStringValue(cell(run, row, facts[i].key));
        if (!text || !*text)
            continue;
        words_add(w, "- %s ", facts[i].title);
        put_code(w, text, false);
        words_add(w, "\n");
    }
    put_settings(w, cJSON_GetStringValue(cell(run, row, "detail")));
}

int report_markdown(const cJSON *document, struct buf *ret, struct err *e)
{
    struct words w = {.b = *ret};
    put_answer(&w, document);
    put_tables(&w, document);
    put_limits(&w, document);
    put_run(&w, document);
    *ret = w.b;
    return w.rc ? err_set(e, w.rc, w.rc == ERR_FULL ? "the report is too large" : "out of memory")
                : 0;
}
