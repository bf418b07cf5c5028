/* A diagnosis as JSON. */
#include "diagnose/diagnosis_json.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

#define SCHEMA "heaptap.diagnose/1"

struct writer {
    bool failed;
};

static void put(struct writer *w, cJSON *to, const char *key, cJSON *item)
{
    cJSON_bool ok = to && item &&
                    (cJSON_IsArray(to) ? cJSON_AddItemToArray(to, item)
                                       : cJSON_AddItemToObjectCS(to, key, item));
    if (ok)
        return;
    cJSON_Delete(item);
    w->failed = true;
}

static cJSON *put_new(struct writer *w, cJSON *to, const char *key, cJSON *item)
{
    bool before = w->failed;
    w->failed = false;
    put(w, to, key, item);
    bool failed = w->failed;
    w->failed = before || failed;
    return failed ? NULL : item;
}

static void put_text(struct writer *w, cJSON *to, const char *key, const char *text)
{
    put(w, to, key, text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

static void put_number(struct writer *w, cJSON *to, const char *key, double value)
{
    char digits[TEXT_SHORT];
    cJSON *item;
    if (!isfinite(value)) {
        item = cJSON_CreateNull();
    } else if (fabs(value) < 0x1p53 && value == floor(value)) {
        snprintf(digits, sizeof digits, "%" PRId64, (int64_t)value);
        item = cJSON_CreateRaw(digits); /* never 1e+15 */
    } else {
        item = cJSON_CreateNumber(value);
    }
    put(w, to, key, item);
}

static void put_line(struct writer *w, cJSON *to, const char *key, uint32_t value)
{
    put_number(w, to, key, value ? (double)value : NAN);
}

static void put_id(struct writer *w, cJSON *to, const char *key, uint32_t id)
{
    char text[TEXT_SHORT];
    snprintf(text, sizeof text, "@%u", id);
    put_text(w, to, key, id ? text : NULL);
}

static void put_location(struct writer *w, cJSON *to, const struct diagnosis_place *p)
{
    put_text(w, to, "url", p->url && *p->url ? p->url : NULL);
    put_line(w, to, "line", p->line);
    put_line(w, to, "column", p->column);
}

static void put_function(struct writer *w, cJSON *to, const struct diagnosis_place *p)
{
    if (!p) {
        put(w, to, "function", cJSON_CreateNull());
        return;
    }
    cJSON *o = put_new(w, to, "function", cJSON_CreateObject());
    put_text(w, o, "name", p->function ? p->function : "");
    put_location(w, o, p);
}

static void put_place(struct writer *w, cJSON *to, const struct diagnosis_place *p)
{
    if (!p) {
        put(w, to, "location", cJSON_CreateNull());
        return;
    }
    cJSON *location = put_new(w, to, "location", cJSON_CreateObject());
    put_location(w, location, p);
}

static void put_holder(struct writer *w, cJSON *to, const struct diagnosis_suspect *s)
{
    cJSON *o = put_new(w, to, "holder", cJSON_CreateObject());
    put_text(w, o, "class", s->holder.class_name);
    put_text(w, o, "name", s->holder.name);
    put_id(w, o, "id", s->holder.id);
    put_text(w, o, "text", s->holder.text);
    cJSON *path = put_new(w, o, "path", cJSON_CreateArray());
    for (size_t i = 0; i < s->holder.path_count; i++) {
        const struct diagnosis_step *step = &s->holder.path[i];
        cJSON *item = put_new(w, path, NULL, cJSON_CreateObject());
        put_text(w, item, "edge", step->edge);
        put_text(w, item, "type", step->type);
        put_text(w, item, "class", step->class_name);
        put_id(w, item, "id", step->id);
    }
    put_place(w, o, s->holder.place);
    cJSON *also = put_new(w, o, "also", cJSON_CreateArray());
    for (size_t i = 0; i < s->holder.also_count; i++) {
        const struct diagnosis_coholder *other = &s->holder.also[i];
        cJSON *item = put_new(w, also, NULL, cJSON_CreateObject());
        put_text(w, item, "class", other->class_name);
        put_text(w, item, "name", other->name);
        put_id(w, item, "id", other->id);
        put_text(w, item, "text", other->text);
        put_place(w, item, other->place);
    }
}

static void put_routes(struct writer *w, cJSON *to, const struct diagnosis_suspect *s)
{
    cJSON *list = put_new(w, to, "routes", cJSON_CreateArray());
    for (size_t i = 0; i < s->route_count; i++) {
        const struct diagnosis_route *r = &s->routes[i];
        cJSON *o = put_new(w, list, NULL, cJSON_CreateObject());
        put_text(w, o, "method", r->method);
        put_text(w, o, "route", r->route);
        put_number(w, o, "bytes_per_request", round(r->bytes));
        put_number(w, o, "low", round(r->low));
        put_number(w, o, "high", round(r->high));
        put_number(w, o, "instances_per_request", r->instances);
        put(w, o, "other_thread", cJSON_CreateBool(r->elsewhere));
    }
}

static void put_sites(struct writer *w, cJSON *to, const struct diagnosis_suspect *s)
{
    cJSON *list = put_new(w, to, "allocated_at", cJSON_CreateArray());
    for (size_t i = 0; i < s->site_count; i++) {
        cJSON *o = put_new(w, list, NULL, cJSON_CreateObject());
        put_text(w, o, "function", s->sites[i].place.function);
        put_location(w, o, &s->sites[i].place);
        put_number(w, o, "live_bytes", (double)s->sites[i].live_bytes);
    }
}

static cJSON *make_suspect(struct writer *w, const struct diagnosis_suspect *s, size_t rank)
{
    cJSON *o = cJSON_CreateObject();
    put_number(w, o, "rank", (double)rank);
    put_text(w, o, "class", s->class_name);
    put_function(w, o, s->function);
    put_holder(w, o, s);
    bool counted = s->class_name != NULL; /* else no snapshot has counted them */
    cJSON *instances = put_new(w, o, "instances", cJSON_CreateObject());
    put_number(w, instances, "first", counted ? (double)s->first : NAN);
    put_number(w, instances, "last", counted ? (double)s->last : NAN);
    put_number(w, instances, "growth", counted ? (double)(s->last - s->first) : NAN);
    cJSON *bytes = put_new(w, o, "bytes", cJSON_CreateObject());
    put_number(w, bytes, "self_growth", counted ? (double)s->self_growth : NAN);
    put_number(w, bytes, "retained_growth", (double)s->retained_growth);
    put_number(w, bytes, "share_of_growth", s->share);
    put_routes(w, o, s);
    put_sites(w, o, s);
    put_text(w, o, "culprit", s->culprit);
    put_text(w, o, "advice", s->advice);
    put_number(w, o, "confidence", s->confidence);
    put(w, o, "grown", cJSON_CreateBool(!s->stands));
    return o;
}

static cJSON *finish(struct writer *w, cJSON *root)
{
    if (!w->failed)
        return root;
    cJSON_Delete(root);
    return NULL;
}

cJSON *diagnosis_suspect_json(const struct diagnosis_suspect *s, size_t rank)
{
    struct writer w = {false};
    return finish(&w, make_suspect(&w, s, rank));
}

static void put_evidence(struct writer *w, cJSON *to, const struct diagnosis *d)
{
    cJSON *o = put_new(w, to, "evidence", cJSON_CreateObject());
    put_number(w, o, "snapshots", (double)d->snapshots);
    put_number(w, o, "span_seconds", round(d->span_seconds * 1000) / 1000);
    put_text(w, o, "supports", diagnosis_support_name(d->supports));
    put_number(w, o, "floors", (double)d->floors);
    put_text(w, o, "run_id", d->run_id[0] ? d->run_id : NULL);
    put_number(w, o, "target_id", d->target_id ? (double)d->target_id : NAN);
    cJSON *files = put_new(w, o, "files", cJSON_CreateArray());
    for (size_t i = 0; i < d->file_count; i++) {
        cJSON *file = put_new(w, files, NULL, cJSON_CreateObject());
        int64_t id = d->files[i].snapshot_id;
        put_number(w, file, "snapshot_id", id ? (double)id : NAN);
        put_text(w, file, "file", d->files[i].path);
    }
}

cJSON *diagnosis_json(const struct diagnosis *d)
{
    struct writer w = {false};
    cJSON *root = cJSON_CreateObject();
    put_text(&w, root, "schema", SCHEMA);
    put_text(&w, root, "verdict", diagnosis_verdict_name(d->verdict));
    put_text(&w, root, "memory_kind", diagnosis_memory_name(d->memory));
    put_evidence(&w, root, d);
    cJSON *growth = put_new(&w, root, "growth", cJSON_CreateObject());
    put_number(&w, growth, "heap_bytes_per_hour", round(d->bytes_per_hour));
    put_number(&w, growth, "low", round(d->low));
    put_number(&w, growth, "high", round(d->high));
    put_number(&w, growth, "seconds_to_limit", round(d->seconds_to_limit));
    cJSON *suspects = put_new(&w, root, "suspects", cJSON_CreateArray());
    for (size_t i = 0; i < d->suspect_count; i++)
        put(&w, suspects, NULL, make_suspect(&w, &d->suspects[i], i + 1));
    cJSON *ruled_out = put_new(&w, root, "ruled_out", cJSON_CreateArray());
    for (size_t i = 0; i < d->ruled_out_count; i++)
        put_text(&w, ruled_out, NULL, d->ruled_out[i]);
    cJSON *notes = put_new(&w, root, "notes", cJSON_CreateArray());
    for (size_t i = 0; i < d->note_count; i++)
        put_text(&w, notes, NULL, d->notes[i]);
    return finish(&w, root);
}
