/* metrics: the questions to the record, from whichever database is in use. */
#include "command/metrics.h"
#include "command/answer.h"
#include "command/sink.h"
#include "command/metrics_requests.h"

#include "base/clock.h"
#include "show/fill.h"
#include "show/json.h"
#include "show/plot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS(array)  array, sizeof(array) / sizeof *(array)
#define FEW_MINUTES     15
#define PLOT_POINTS_MAX 1440 /* a day of minutes; more than a terminal has columns */

static const struct show_column latest_columns[] = {
    {"time", "created_at", SHOW_TIME, 0},
    {"target", "target_id", SHOW_COUNT, 0},
    {"label", "label", SHOW_WORD, 0},
    {"heap used MB", "heap_used", SHOW_NUMBER, 2},
    {"heap total MB", "heap_total", SHOW_NUMBER, 2 | SHOW_SPARE},
    {"external MB", "external", SHOW_NUMBER, 2 | SHOW_SPARE},
    {"buffers MB", "array_buffers", SHOW_NUMBER, 2 | SHOW_SPARE},
    {"rss MB", "rss", SHOW_NUMBER, 2},
    {"method", "request_method", SHOW_WORD, SHOW_SPARE},
    {"url", "request_url", SHOW_NAME, SHOW_SPARE},
};

static const struct show_column trend_columns[] = {
    {"minute", "minute", SHOW_TIME, 0},
    {"target", "target_id", SHOW_COUNT, 0},
    {"avg heap MB", "avg_heap_used", SHOW_NUMBER, 2},
    {"min heap MB", "min_heap_used", SHOW_NUMBER, 2 | SHOW_SPARE},
    {"max heap MB", "max_heap_used", SHOW_NUMBER, 2},
    {"avg external MB", "avg_external", SHOW_NUMBER, 2 | SHOW_SPARE},
    {"avg rss MB", "avg_rss", SHOW_NUMBER, 2},
    {"samples", "samples", SHOW_COUNT, SHOW_SPARE},
};

static const struct show_column compare_columns[] = {
    {"label", "label", SHOW_NAME, 0},
    {"avg heap MB", "avg_heap_used", SHOW_NUMBER, 2},
    {"max heap MB", "max_heap_used", SHOW_NUMBER, 2},
    {"avg external MB", "avg_external", SHOW_NUMBER, 2},
    {"avg rss MB", "avg_rss", SHOW_NUMBER, 2},
    {"count", "count", SHOW_COUNT, 0},
};

static const struct show_column requests_columns[] = {
    {"method", "request_method", SHOW_WORD, 0},
    {"route", "route", SHOW_NAME, 0},
    {"recorded", "recorded", SHOW_COUNT, SHOW_SPARE},
    {"alone", "requests_alone", SHOW_COUNT, SHOW_SPARE},
    {"avg heap delta MB", "avg_heap_delta", SHOW_NUMBER, 3 | SHOW_SPARE},
    {"alone MB", "avg_heap_delta_alone", SHOW_NUMBER, 3 | SHOW_SPARE},
    {"max MB", "max_heap_delta", SHOW_NUMBER, 3 | SHOW_SPARE},
    {"avg rss delta MB", "avg_rss_delta", SHOW_NUMBER, 3 | SHOW_SPARE},
    {"avg ms", "avg_duration_ms", SHOW_NUMBER, 1 | SHOW_SPARE},
    /* from floors */
    {"requests", "requests", SHOW_COUNT, 0},
    {"kept a request", "bytes_per_request", SHOW_SIZE, 0},
    {"at least", "low", SHOW_SIZE, 0},
    {"at most", "high", SHOW_SIZE, 0},
    {"leaks", "leaks", SHOW_WORD, 0},
};

static const struct show_column classes_columns[] = {
    {"class", "class", SHOW_NAME, 0},
    {"target", "target_id", SHOW_COUNT, SHOW_SPARE},
    {"first", "first_count", SHOW_COUNT, 0},
    {"last", "last_count", SHOW_COUNT, 0},
    {"growth", "count_growth", SHOW_DELTA, 0},
    {"first retained", "first_retained", SHOW_SIZE, SHOW_SPARE},
    {"last retained", "last_retained", SHOW_SIZE, SHOW_SPARE},
    {"retained growth", "retained_growth", SHOW_GROWTH, 0},
    {"self growth", "self_growth", SHOW_GROWTH, SHOW_SPARE},
};

static const struct show_column sites_columns[] = {
    {"function", "function", SHOW_NAME, 0},
    {"url", "url", SHOW_NAME, 0},
    {"line", "line_number", SHOW_COUNT, 0},
    {"column", "column_number", SHOW_COUNT, SHOW_SPARE},
    {"target", "target_id", SHOW_COUNT, SHOW_SPARE},
    {"source", "source", SHOW_WORD, SHOW_SPARE},
    {"first", "first_bytes", SHOW_SIZE, SHOW_SPARE},
    {"last", "last_bytes", SHOW_SIZE, SHOW_SPARE},
    {"growth", "growth_bytes", SHOW_GROWTH, SHOW_SPARE},
    {"an hour", "bytes_per_hour", SHOW_SIZE, 0},
    {"at least", "low", SHOW_SIZE, 0},
    {"at most", "high", SHOW_SIZE, 0},
    {"readings", "readings", SHOW_COUNT, SHOW_SPARE},
};

static const char no_readings[] = "no such reading is in the record";

static const struct question {
    const char *word;
    const char *query;
    const struct show_column *columns;
    size_t column_count;
    int64_t limit; /* without --top */
    const char *note;
    const char *nothing; /* where there are no rows */
} questions[] = {
    {"latest", "metrics_latest", COLUMNS(latest_columns), 100, NULL, no_readings},
    {"trend", "metrics_trend", COLUMNS(trend_columns), PLOT_POINTS_MAX, NULL, no_readings},
    {"compare", "metrics_compare", COLUMNS(compare_columns), 0, NULL, no_readings},
    {"requests", "metrics_requests", COLUMNS(requests_columns), 0,
        "The differences are mostly garbage that a GC takes back; they show where memory is used,\n"
        "not what leaks. What a request keeps is told by the heap's floors after full "
        "collections.\n",
        "no such request is in the record; run --requests follows them, probe sends its own"},
    {"classes", "metrics_classes", COLUMNS(classes_columns), 50, NULL,
        "no such class is in the record: it takes two analysed snapshots"},
    {"sites", "metrics_sites", COLUMNS(sites_columns), 50, NULL,
        "no such line is in the record: run --live-profile, survivors and timeline --stacks bring "
        "them"},
};

static const struct question *find_question(const char *word)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (strcmp(questions[i].word, word) == 0)
            return &questions[i];
    return NULL;
}

struct curve {
    struct show_point points[PLOT_POINTS_MAX];
    int64_t targets[PLOT_POINTS_MAX]; /* whose point it is; INT64_MIN: drawn */
    size_t count;
};

/* Reads times, targets and heaps from an answer's columns 0, 1 and `heap`. */
static int read_curve(struct reader *reader, const char *query, int heap,
    const struct reader_filter *filter, struct curve *c, struct err *e)
{
    struct reader_rows *rows = NULL;
    bool row = false;
    int rc = reader_ask(reader, query, filter, &rows, e);
    c->count = 0;
    while (rc == 0 && c->count < PLOT_POINTS_MAX && (rc = reader_next(rows, &row, e)) == 0 && row) {
        struct reader_value time = reader_value(rows, 0);
        struct show_point *point = &c->points[c->count];
        point->wall_ms = time.type == READER_TEXT ? clock_read_iso(time.text) : 0;
        c->targets[c->count] = reader_value(rows, 1).integer;
        struct reader_value value = reader_value(rows, heap);
        point->value = value.type == READER_NULL ? NAN : value.real * 1048576;
        c->count++;
    }
    reader_rows_free(rows);
    return rc;
}

static void reverse_curve(struct curve *c)
{
    for (size_t i = 0, k = c->count; i + 1 < k; i++) {
        k--;
        struct show_point point = c->points[i];
        int64_t target = c->targets[i];
        c->points[i] = c->points[k];
        c->targets[i] = c->targets[k];
        c->points[k] = point;
        c->targets[k] = target;
    }
}

/* Draws the points of the first target that has not been drawn; *ret_more: there was one. */
static int draw_next(struct curve *c, struct show_point *own, const struct show_out *out,
    bool *ret_more, struct err *e)
{
    size_t count = 0;
    char title[64];
    int64_t target = INT64_MIN;
    for (size_t i = 0; i < c->count; i++) {
        if (c->targets[i] == INT64_MIN || (target != INT64_MIN && c->targets[i] != target))
            continue;
        target = c->targets[i];
        own[count++] = c->points[i];
        c->targets[i] = INT64_MIN;
    }
    *ret_more = count > 0;
    if (count == 0)
        return 0;
    snprintf(title, sizeof title, "heap used, target %lld", (long long)target);
    return show_plot(out, title, own, count, SHOW_SCALE_BYTES, 0, e);
}

/* The heap of each target: minute by minute, or reading by reading where there are few minutes. */
static int plot_trend(struct reader *reader, const struct reader_filter *filter,
    const struct show_out *out, struct err *e)
{
    struct curve *c = calloc(1, sizeof *c);
    struct show_point *own = calloc(PLOT_POINTS_MAX, sizeof *own);
    bool more = true;
    int rc = c && own ? read_curve(reader, "metrics_trend", 2, filter, c, e)
                      : err_set(e, ERR_NOMEM, "no memory for a plot");
    if (rc == 0 && c->count < FEW_MINUTES) {
        struct reader_filter readings = *filter;
        readings.limit = PLOT_POINTS_MAX;
        if (!readings.label)
            readings.label = "interval";
        rc = read_curve(reader, "metrics_latest", 3, &readings, c, e);
        reverse_curve(c); /* the newest came first */
    }
    while (rc == 0 && more)
        rc = draw_next(c, own, out, &more, e);
    free(c);
    free(own);
    return rc;
}

static void add_kept(void *arg, struct reader_rows *rows, struct show_table *table)
{
    struct reader_value method = reader_value(rows, 0), route = reader_value(rows, 1);
    kept_routes_cells(arg, method.type == READER_TEXT ? method.text : "",
        route.type == READER_TEXT ? route.text : "", reader_value(rows, 2).integer, table);
}

/* What requests measured, and beside it what they keep. */
static int ask_requests(const struct question *question, struct reader *reader,
    const struct reader_filter *filter, struct show_table **ret, char ret_note[METRICS_NOTE_SIZE],
    struct err *e)
{
    struct kept_routes *kept = NULL;
    int rc = kept_routes_read(reader, filter, &kept, e);
    const struct answer_question asked = {.query = question->query,
        .columns = question->columns,
        .count = question->column_count,
        .added = KEPT_ROUTES_CELLS,
        .more = add_kept,
        .arg = kept};
    if (rc == 0)
        rc = answer_table(reader, &asked, filter, ret, e);
    if (rc == 0) {
        kept_routes_rest(kept, filter->label, question->column_count, *ret);
        snprintf(ret_note, METRICS_NOTE_SIZE, "%s", kept_routes_note(kept));
    }
    kept_routes_free(kept);
    return rc;
}

static int ask_question(const struct question *question, struct reader *reader,
    const struct reader_filter *filter, struct show_table **ret, char ret_note[METRICS_NOTE_SIZE],
    struct err *e)
{
    ret_note[0] = '\0';
    if (question->columns == requests_columns)
        return ask_requests(question, reader, filter, ret, ret_note, e);
    const struct answer_question asked = {
        .query = question->query, .columns = question->columns, .count = question->column_count};
    return answer_table(reader, &asked, filter, ret, e);
}

int metrics_table(struct reader *reader, const char *word, const struct reader_filter *filter,
    struct show_table **ret, char ret_note[METRICS_NOTE_SIZE], struct err *e)
{
    const struct question *question = find_question(word);
    if (!question)
        return err_set(e, ERR_INTERNAL, "metrics has no question %s", word);
    return ask_question(question, reader, filter, ret, ret_note, e);
}

static void print_below(
    const struct question *question, const struct show_out *out, size_t rows, int64_t limit)
{
    if (rows == 0)
        show_page(out, question->nothing);
    else if (limit > 0 && rows >= (size_t)limit)
        fprintf(out->file, "… as far as --top %lld goes\n", (long long)limit);
    if (rows > 0 && question->note)
        show_page(out, question->note);
}

static int ask(const struct invocation *in, const struct question *question, struct reader *reader,
    const struct show_out *out, struct err *e)
{
    char run_id[UUID_TEXT_SIZE] = "", note[METRICS_NOTE_SIZE];
    struct show_table *table = NULL;
    const char *run = settings_text(in->settings, SET_RUN);
    struct reader_filter filter = {.label = settings_text(in->settings, SET_LABEL)};
    filter.limit = settings_given(in->settings, SET_TOP) ? settings_number(in->settings, SET_TOP)
                                                         : question->limit;
    if (settings_given(in->settings, SET_SINCE))
        filter.since_ms = clock_wall_ms() - settings_number(in->settings, SET_SINCE) / 1000;
    int rc = 0;
    if (strcmp(run, "all") != 0) {
        rc = reader_find_run(reader, run, run_id, e);
        filter.run_id = run_id;
    }
    if (rc == 0)
        rc = ask_question(question, reader, &filter, &table, note, e);
    if (rc == 0 && out->format == SHOW_TEXT && show_table_rows(table) > 0)
        show_page(out, note);
    if (rc == 0 && strcmp(question->word, "trend") == 0 && out->format == SHOW_TEXT && out->tty)
        rc = plot_trend(reader, &filter, out, e);
    if (rc == 0 && out->format == SHOW_JSON) {
        cJSON *rows = NULL;
        int json_rc = 0;
        char schema[64];
        rc = show_table_json(table, &rows, e);
        if (rc == 0) {
            cJSON *root = show_json_object(NULL, NULL, &json_rc);
            snprintf(schema, sizeof schema, "heaptap.metrics.%s/1", question->word);
            show_json_word(root, "schema", schema, &json_rc);
            show_json_word(root, "run_id", filter.run_id, &json_rc);
            show_json_add(root, "rows", rows, &json_rc);
            rc = show_json(out, root, json_rc, e);
        }
    } else if (rc == 0) {
        rc = show_table(out, table, e);
    }
    if (rc == 0 && out->format == SHOW_TEXT)
        print_below(question, out, show_table_rows(table), filter.limit);
    show_table_free(table);
    return rc;
}

static int run(const struct invocation *in, struct err *e)
{
    struct database *database = NULL;
    struct reader *reader = NULL;
    struct show_out out;
    FILE *file = NULL;
    const struct question *question = find_question(in->words[0]);
    if (!question)
        return err_set(e, ERR_USAGE,
            "\"%s\" is not one of latest, trend, compare, requests, classes and sites",
            in->words[0]);
    int rc = answer_choose(in->settings, &database, e);
    if (rc == 0)
        rc = reader_open(database, &reader, e);
    if (rc == 0)
        rc = answer_out(in->settings, &out, &file, e);
    if (rc == 0 && in->embedding && !file)
        rc = sink_of(in, &out, e);
    if (rc == 0) {
        rc = ask(in, question, reader, &out, e);
        if (rc == 0)
            rc = show_out_finish(&out, e);
        if (file && fclose(file) != 0 && rc == 0)
            rc = err_set(e, ERR_IO, "cannot write %s", settings_text(in->settings, SET_OUTPUT));
    }
    reader_close(reader);
    database_free(database);
    return rc;
}

static const enum setting_id accepted[] = {
    SET_DB, SET_SCHEMA, SET_RUN, SET_LABEL, SET_SINCE, SET_TOP, SET_CSV, SET_OUTPUT, SET_END};

const struct command command_metrics = {
    .name = "metrics",
    .arguments = "latest|trend|compare|requests|classes|sites",
    .summary = "what was measured, from the database in use",
    .examples = "  heaptap metrics latest\n"
                "  heaptap metrics trend --since 2h\n"
                "  heaptap metrics compare --run all --json\n"
                "  heaptap metrics sites --top 10\n",
    .details = "  latest    the newest readings\n"
               "  trend     minute by minute, with a plot on a terminal\n"
               "  compare   the labels beside one another: before and after, floors after GC\n"
               "  requests  what requests of each route measured and keep; --label is a route\n"
               "  classes   which classes grew between analysed snapshots; --label is a class\n"
               "  sites     which allocating lines hold more and more, by bytes an hour with\n"
               "            their 95 % interval; --label is a source\n"
               "--run takes an id, its beginning, latest or all. The same questions stand as SQL "
               "files in sql/queries.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
