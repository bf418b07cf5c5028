/* The document of a report: answers of the record, long series cut down by the queries, and the
 * diagnosis. */
#include "command/report_data.h"

#include "base/clock.h"
#include "cdp/json.h"
#include "command/metrics.h"
#include "command/verdict.h"
#include "diagnose/diagnosis_json.h"
#include "show/json.h"

#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 100 /* the queries of readings and floors say the same number */
/* Buckets of all targets together: with the others below, what keeps a page under 3 MB. A reading
 * is about 110 bytes of JSON, a floor 60, a point of a class or site 120 to 200. */
#define READINGS_MAX 8000
#define FLOORS_MAX   4000
#define BUCKETS_MIN  20
#define BUCKETS_MAX  1000 /* of one target; a wide screen has no more columns */
#define SERIES_MAX   3000 /* points of classes, and of sites, of one series of all targets */
#define SERIES_MIN   5
#define POINTS_MAX   120 /* of one series */

static const struct part {
    const char *key, *query;
    int64_t total; /* rows of all targets, shared out among them; 0: most is of the answer */
    int64_t least, most;
} parts[] = {
    {"memory", "report_memory", READINGS_MAX, BUCKETS_MIN, BUCKETS_MAX},
    {"floors", "report_floors", FLOORS_MAX, BUCKETS_MIN, BUCKETS_MAX},
    {"captures", "report_captures", 0, 0, 400},
    {"capture_totals", "report_capture_totals", 0, 0, 0},
    {"class_series", "report_class_series", SERIES_MAX / 16, SERIES_MIN, POINTS_MAX},
    {"site_series", "report_site_series", SERIES_MAX / 6, SERIES_MIN, POINTS_MAX},
    {"intervals", "report_intervals", 0, 0, 400},
    {"events", "report_events", 0, 0, 200},
};

static const struct question {
    const char *word;
    int64_t limit;
} questions[] = {{"classes", 100}, {"requests", 100}, {"sites", 100}};

/* ---- answers ---- */

static void add_value(cJSON *to, const char *key, struct reader_rows *rows, int column, int *rc)
{
    struct reader_value value = reader_value(rows, column);
    switch (value.type) {
    case READER_NULL: show_json_null(to, key, rc); break;
    case READER_INTEGER: show_json_integer(to, key, value.integer, rc); break;
    case READER_REAL: show_json_number(to, key, value.real, rc); break;
    case READER_TEXT: show_json_text(to, key, value.text, value.length, rc); break;
    }
}

/* {"columns":[…],"rows":[[…],…]}: names once, as the series are long. */
static int add_rows(struct reader *reader, const char *query, const struct reader_filter *filter,
    cJSON *to, const char *key, struct err *e)
{
    struct reader_rows *rows = NULL;
    bool row = false;
    int json_rc = 0;
    int rc = reader_ask(reader, query, filter, &rows, e);
    if (rc)
        return rc;
    cJSON *object = show_json_object(to, key, &json_rc);
    cJSON *columns = show_json_array(object, "columns", &json_rc);
    cJSON *list = show_json_array(object, "rows", &json_rc);
    for (int i = 0; i < reader_columns(rows); i++)
        show_json_word(columns, NULL, reader_column_name(rows, i), &json_rc);
    while (json_rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        cJSON *line = show_json_array(list, NULL, &json_rc);
        for (int i = 0; i < reader_columns(rows); i++)
            add_value(line, NULL, rows, i, &json_rc);
    }
    reader_rows_free(rows);
    return rc ? rc : json_rc ? err_set(e, json_rc, "out of memory") : 0;
}

static int add_parts(struct reader *reader, const char *run_id, cJSON *document, struct err *e)
{
    struct reader_filter filter = {.run_id = run_id, .limit = TARGETS_MAX};
    int rc = add_rows(reader, "report_run", &filter, document, "run", e);
    if (rc == 0)
        rc = add_rows(reader, "report_targets", &filter, document, "targets", e);
    const cJSON *targets = cJSON_GetObjectItemCaseSensitive(document, "targets");
    int64_t count = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(targets, "rows"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts && rc == 0; i++) {
        const struct part *p = &parts[i];
        int64_t share = p->total ? p->total / (count > 0 ? count : 1) : p->most;
        filter.limit = share < p->least ? p->least : share > p->most ? p->most : share;
        rc = add_rows(reader, p->query, &filter, document, p->key, e);
    }
    return rc;
}

static int add_questions(struct reader *reader, const char *run_id, cJSON *document, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions && rc == 0; i++) {
        struct reader_filter filter = {.run_id = run_id, .limit = questions[i].limit};
        struct show_table *table = NULL;
        char note[METRICS_NOTE_SIZE];
        cJSON *rows = NULL;
        int json_rc = 0;
        rc = metrics_table(reader, questions[i].word, &filter, &table, note, e);
        if (rc == 0)
            rc = show_table_json(table, &rows, e);
        if (rc == 0)
            show_json_add(document, questions[i].word, rows, &json_rc);
        if (rc == 0 && note[0])
            show_json_text(document, "requests_note", note, strcspn(note, "\n"), &json_rc);
        show_table_free(table);
        if (json_rc)
            rc = err_set(e, json_rc, "out of memory");
    }
    return rc;
}

/* ---- the diagnosis ---- */

/* The suspects that were stored with the run, each as it was then, or NULL for none. */
static int read_stored(struct reader *reader, const char *run_id, cJSON **ret_suspects,
    char **ret_verdict, struct err *e)
{
    struct reader_filter filter = {.run_id = run_id, .limit = DIAGNOSE_SUSPECTS};
    struct reader_rows *rows = NULL;
    cJSON *list = NULL;
    char *verdict = NULL;
    bool row = false;
    int json_rc = 0;
    int rc = reader_ask(reader, "report_suspects", &filter, &rows, e);
    while (rc == 0 && json_rc == 0 && (rc = reader_next(rows, &row, e)) == 0 && row) {
        struct reader_value word = reader_value(rows, 2), detail = reader_value(rows, 3);
        cJSON *suspect = NULL;
        struct err ignored = ERR_NONE;
        if (!verdict && word.type == READER_TEXT && !(verdict = strdup(word.text)))
            json_rc = ERR_NOMEM;
        if (detail.type != READER_TEXT ||
            json_parse(detail.text, detail.length, &suspect, &ignored) != 0)
            continue; /* the record may come from another hand */
        if (!list)
            list = show_json_array(NULL, NULL, &json_rc);
        show_json_add(list, NULL, suspect, &json_rc);
    }
    reader_rows_free(rows);
    if (rc == 0 && json_rc)
        rc = err_set(e, json_rc, "out of memory");
    if (rc) {
        cJSON_Delete(list);
        free(verdict);
        return rc;
    }
    *ret_suspects = list;
    *ret_verdict = verdict;
    return 0;
}

static bool has_holder(const cJSON *suspects)
{
    const cJSON *holder =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(suspects, 0), "holder");
    return cJSON_IsString(cJSON_GetObjectItemCaseSensitive(holder, "text")) ||
           cJSON_IsString(cJSON_GetObjectItemCaseSensitive(holder, "class"));
}

/* What was stored then stands in for suspects that cannot be found now, or whose holder only the
 * snapshots could tell that are gone. */
static int add_stored(
    struct reader *reader, const char *run_id, cJSON *document, cJSON *diagnosis, struct err *e)
{
    cJSON *suspects = NULL;
    char *verdict = NULL;
    int json_rc = 0;
    int rc = read_stored(reader, run_id, &suspects, &verdict, e);
    if (rc)
        return rc;
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(diagnosis, "suspects");
    if (suspects && cJSON_GetArraySize(found) > 0 && !has_holder(suspects)) {
        cJSON_Delete(suspects); /* it says no more */
        suspects = NULL;
    }
    if (suspects) {
        if (!diagnosis)
            diagnosis = show_json_object(document, "diagnosis", &json_rc);
        if (!cJSON_GetObjectItemCaseSensitive(diagnosis, "verdict"))
            show_json_word(diagnosis, "verdict", verdict, &json_rc);
        cJSON_DeleteItemFromObjectCaseSensitive(diagnosis, "suspects");
        show_json_add(diagnosis, "suspects", suspects, &json_rc);
        show_json_bool(document, "suspects_stored", true, &json_rc);
    }
    free(verdict);
    return json_rc ? err_set(e, json_rc, "out of memory") : 0;
}

static int add_diagnosis(struct reader *reader, const char *run_id,
    const struct diagnose_options *options, cJSON *document, struct err *e)
{
    struct diagnosis *d = NULL;
    struct err why = ERR_NONE;
    cJSON *json = NULL;
    int json_rc = 0;
    int rc = diagnose_run(reader, run_id, options, &d, &why);
    if (rc == ERR_CANCELLED || rc == ERR_NOMEM || rc == ERR_DB) {
        *e = why;
        return rc;
    }
    if (rc) {
        show_json_word(document, "diagnosis_problem", why.text, &json_rc);
    } else {
        char *headline = verdict_headline(d);
        json = diagnosis_json(d);
        if (!json || !headline)
            json_rc = ERR_NOMEM;
        show_json_word(document, "headline", headline, &json_rc);
        show_json_add(document, "diagnosis", json, &json_rc);
        free(headline);
    }
    rc = json_rc ? err_set(e, json_rc, "out of memory") : 0;
    if (rc == 0 && !has_holder(cJSON_GetObjectItemCaseSensitive(json, "suspects")))
        rc = add_stored(reader, run_id, document, json, e);
    diagnosis_free(d);
    return rc;
}

int report_gather(struct reader *reader, const char *run_id, const struct diagnose_options *options,
    cJSON **ret, struct err *e)
{
    int json_rc = 0;
    cJSON *document = show_json_object(NULL, NULL, &json_rc);
    show_json_word(document, "schema", "heaptap.report/1", &json_rc);
    show_json_word(document, "version", HEAPTAP_VERSION, &json_rc);
    show_json_time(document, "made_at", clock_wall_ms(), &json_rc);
    int rc = json_rc ? err_set(e, json_rc, "out of memory") : 0;
    if (rc == 0)
        rc = add_diagnosis(reader, run_id, options, document, e);
    if (rc == 0)
        rc = add_parts(reader, run_id, document, e);
    if (rc == 0)
        rc = add_questions(reader, run_id, document, e);
    if (rc)
        cJSON_Delete(document);
    else
        *ret = document;
    return rc;
}
