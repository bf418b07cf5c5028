/* What a probe has found. */
#include "command/probe_report.h"

#include "base/text.h"
#include "command/told_routes.h"
#include "diagnose/probed.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES (5 * REQUESTS_TEXT_MAX) /* escaped: four bytes for one */
#define SERVED_SHARE   0.05 /* of what was sent; one worker of a cluster has more */
#define ROUTES_SHOWN   10   /* beside those that leak */
#define TICKS_A_SECOND (1000.0 / PROBED_TICK_MS)

/* ---- judging ---- */

/* Floors as the record has them, of all threads together; owned. */
static int copy_floors(const struct probe_facts *facts, struct floors *ret, struct err *e)
{
    size_t routes = facts->route_count, room = 2 * facts->round_count + 1;
    struct floors f = {.route_count = routes,
        .probed = true,
        .wall_ms = calloc(room, sizeof *f.wall_ms),
        .bytes = calloc(room, sizeof *f.bytes),
        .base = calloc(room, sizeof *f.base),
        .counts = calloc(room * routes + 1, sizeof *f.counts),
        .routes = calloc(routes + 1, sizeof *f.routes)};
    *ret = f;
    if (!f.wall_ms || !f.bytes || !f.base || !f.counts || !f.routes)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < facts->round_count; i++) {
        const struct probe_round *round = &facts->rounds[i];
        for (int again = 0; again < (round->next_ms ? 2 : 1); again++) {
            double *counts = &f.counts[ret->count * routes];
            for (size_t j = 0; j < routes; j++)
                counts[j] = (ret->count ? counts[j - routes] : 0) +
                            (again || i == 0 ? 0 : (double)round->counts[j]);
            f.wall_ms[ret->count] = again ? round->next_ms : round->wall_ms;
            f.bytes[ret->count] = again ? round->next_bytes : round->floor_bytes;
            f.base[ret->count++] = again;
        }
    }
    return 0;
}

static void free_floors(struct floors *f)
{
    free(f->wall_ms);
    free(f->bytes);
    free(f->base);
    free(f->counts);
    free(f->routes);
}

int probe_report_make(const struct probe *probe, struct probe_report *ret, struct err *e)
{
    struct probe_report r = {.probe = probe, .facts = probe_facts(probe)};
    struct floors floors = {.count = 0};
    r.estimates = calloc(r.facts.route_count + 1, sizeof *r.estimates);
    int rc =
        r.estimates ? copy_floors(&r.facts, &floors, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = floors_judge(&floors, FLOORS_HEAP, r.estimates, &r.summary, &r.beside, e);
    free_floors(&floors);
    if (rc == 0)
        *ret = r;
    else
        probe_report_clear(&r);
    return rc;
}

void probe_report_clear(struct probe_report *r)
{
    free(r->estimates);
    r->estimates = NULL;
}

/* Several routes that could not be told apart leak as one. */
static bool leaks(const struct probe_report *r, size_t route)
{
    return r->estimates[route].leaks;
}

/* Requests that ended in the rounds. */
static int64_t requests_of(const struct probe_report *r, size_t route)
{
    int64_t sum = 0;
    for (size_t i = 1; i < r->facts.round_count; i++)
        sum += r->facts.rounds[i].counts[route];
    return sum;
}

static int64_t requests_of_all(const struct probe_report *r)
{
    int64_t sum = 0;
    for (size_t i = 0; i < r->facts.route_count; i++)
        sum += requests_of(r, i);
    return sum;
}

/* A few requests in all are somebody else's: a health check, a look for inspectors. */
static bool is_unserved(const struct probe_report *r)
{
    double served = (double)requests_of_all(r), rounds = (double)r->facts.round_count - 1;
    double sent = r->facts.sent ? rounds * (double)r->facts.count : 0;
    return rounds > 0 && served < fmax(rounds, SERVED_SHARE * sent);
}

enum probe_failing probe_report_failing(const struct probe_report *r)
{
    if (is_unserved(r))
        return PROBE_UNSERVED;
    return r->summary.verdict == ROUTES_TOO_FEW ? PROBE_SHORT : PROBE_MEASURED;
}

bool probe_report_exceeds(const struct probe_report *r, double most)
{
    for (size_t i = 0; i < r->facts.route_count; i++)
        if (leaks(r, i) && r->estimates[i].bytes > most)
            return true;
    return false;
}

/* Those that were asked for, in order. Owned by the caller; NULL when memory is out. */
static struct told_route *told(const struct probe_report *r, size_t *ret_count)
{
    struct told_route *routes = calloc(r->facts.route_count + 1, sizeof *routes);
    size_t count = 0;
    for (size_t i = 0; routes && i < r->facts.route_count; i++)
        if (requests_of(r, i))
            routes[count++] = (struct told_route){r->facts.routes[i].method,
                r->facts.routes[i].path, (double)requests_of(r, i),
                leaks(r, i) ? r->estimates[i].bytes : NAN, &r->estimates[i]};
    if (routes)
        told_routes_sort(routes, count);
    *ret_count = count;
    return routes;
}

/* ---- JSON ---- */

static void target_json(cJSON *root, const struct run_target *t, int *rc)
{
    cJSON *o = show_json_object(root, "target", rc);
    show_json_integer(o, "target_id", t->id, rc);
    show_json_word(o, "kind", target_kind_name(t->identity.kind), rc);
    show_json_word(o, "title", t->identity.title, rc);
    show_json_word(o, "address", t->identity.address, rc);
    show_json_integer(o, "pid", t->identity.pid, rc);
    show_json_word(o, "runtime_version", t->identity.runtime_version, rc);
    show_json_word(o, "v8_version", t->identity.v8_version, rc);
}

/* The key is the target's words, so it is copied and made valid UTF-8. */
static void count_json(cJSON *to, const struct probe_route *route, int64_t count, int *rc)
{
    char *name = told_route_name(route->method, route->path);
    struct buf key = buf_new(NAME_MAX_BYTES);
    if (*rc == 0)
        *rc = name ? text_add_storable(&key, name, strlen(name)) : ERR_NOMEM;
    if (*rc == 0 && !cJSON_AddNumberToObject(to, key.data, (double)count))
        *rc = ERR_NOMEM;
    buf_free(&key);
    free(name);
}

static void rounds_json(cJSON *root, const struct probe_facts *facts, int *rc)
{
    cJSON *list = show_json_array(root, "rounds", rc);
    for (size_t i = 1; i < facts->round_count; i++) {
        const struct probe_round *round = &facts->rounds[i];
        cJSON *o = show_json_object(list, NULL, rc);
        cJSON *requests = show_json_object(o, "requests", rc);
        for (size_t j = 0; j < facts->route_count; j++)
            if (round->counts[j])
                count_json(requests, &facts->routes[j], round->counts[j], rc);
        show_json_number(o, "floor_bytes", round->floor_bytes, rc);
        show_json_number(o, "seconds", (double)round->elapsed_us / 1e6, rc);
        show_json_bool(o, "snapshot", round->snapshot, rc);
    }
}

static void routes_json(cJSON *root, const struct probe_report *r, int *rc)
{
    size_t count = 0;
    struct told_route *routes = told(r, &count);
    if (!routes)
        *rc = *rc ? *rc : ERR_NOMEM;
    told_routes_json(root, routes, count, rc);
    free(routes);
}

static void load_json(cJSON *root, const struct probe_facts *facts, int *rc)
{
    cJSON *o = show_json_object(root, "load", rc);
    show_json_integer(o, "sent", facts->sent, rc);
    show_json_integer(o, "answered", facts->answered, rc);
    show_json_integer(o, "failed", facts->failed, rc);
    show_json_integer(o, "server_errors", facts->refused, rc);
    show_json_integer(o, "warm_up_rounds", facts->warm_ups, rc);
    show_json_bool(o, "warm", facts->settled, rc);
}

int probe_report_json(const struct show_out *out, const struct probe_report *r,
    const struct recap_end *end, const cJSON *diagnosis, struct err *e)
{
    const struct probe_facts *facts = &r->facts;
    const struct run *run = probe_run(r->probe);
    const struct routes_estimate *time = &r->beside.time;
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.probe/1", &rc);
    show_json_word(root, "run_id", end->run_id, &rc);
    target_json(root, run_target_at(run, facts->target), &rc);
    show_json_word(root, "reason", end->reason, &rc);
    show_json_bool(root, "partial", facts->partial, &rc);
    show_json_word(root, "verdict",
        probe_report_failing(r) == PROBE_UNSERVED ? "unserved"
                                                  : routes_verdict_name(r->summary.verdict),
        &rc);
    show_json_word(root, "routes_from", facts->hooked ? "target" : "load", &rc);
    show_json_number(
        root, "base_floor_bytes", facts->round_count ? facts->rounds[0].next_bytes : NAN, &rc);
    rounds_json(root, facts, &rc);
    routes_json(root, r, &rc);
    show_json_number(
        root, "idle_bytes_per_second", time->leaks ? time->bytes * TICKS_A_SECOND : NAN, &rc);
    show_json_integer(root, "rounds_left_out", (int64_t)r->beside.left_out, &rc);
    load_json(root, facts, &rc);
    if (diagnosis)
        show_json_add(root, "diagnosis", cJSON_Duplicate(diagnosis, true), &rc);
    else
        show_json_null(root, "diagnosis", &rc);
    return show_json(out, root, rc, e);
}

/* ---- text ---- */

static int routes_table(const struct show_out *out, const struct probe_report *r, struct err *e)
{
    static const struct show_column columns[] = {{"route", "route", SHOW_NAME, 0},
        {"requests", "requests", SHOW_COUNT, 0},
        {"bytes a request", "bytes_per_request", SHOW_COUNT, 0}, {"at least", "low", SHOW_COUNT, 0},
        {"at most", "high", SHOW_COUNT, 0}, {"", "leaks", SHOW_WORD, 0}};
    size_t count = 0;
    struct told_route *routes = told(r, &count);
    struct show_table *table = show_table_new(columns, sizeof columns / sizeof *columns);
    size_t shown = 0;
    for (; routes && shown < count && (shown < ROUTES_SHOWN || routes[shown].estimate->leaks);
         shown++) {
        size_t i = shown;
        const struct routes_estimate *estimate = routes[i].estimate;
        char *name = told_route_name(routes[i].method, routes[i].path);
        bool known = !isnan(estimate->bytes);
        show_add_word(table, name);
        show_add_integer(table, (int64_t)routes[i].requests);
        if (estimate->leaks)
            show_add_integer(table, (int64_t)llround(estimate->bytes));
        else
            show_add_none(table);
        for (int high = 0; high < 2; high++)
            if (known)
                show_add_integer(table, (int64_t)llround(high ? estimate->high : estimate->low));
            else
                show_add_none(table);
        show_add_word(table, told_route_word(estimate));
        free(name);
    }
    int rc = routes ? show_table(out, table, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && shown < count)
        fprintf(out->file, "… and %zu more\n", count - shown);
    show_table_free(table);
    free(routes);
    return rc;
}

static void print_verdict(const struct show_out *out, const struct probe_report *r)
{
    char size[TEXT_SHORT], noise[TEXT_SHORT];
    const struct routes_summary *s = &r->summary;
    const struct routes_estimate *time = &r->beside.time;
    size_t rounds = r->facts.round_count ? r->facts.round_count - 1 : 0;
    if (probe_report_failing(r) == PROBE_UNSERVED) {
        fprintf(out->file,
            "Inconclusive: the target has served none of the requests in %zu round%s, so nothing "
            "was measured: is it the process behind that URL (a cluster's worker, a proxy)?\n",
            rounds, rounds == 1 ? "" : "s");
        return;
    }
    switch (s->verdict) {
    case ROUTES_TOO_FEW:
        fprintf(out->file, "Inconclusive: %zu round%s %s too few to tell, it takes %zu\n", rounds,
            rounds == 1 ? "" : "s", rounds == 1 ? "is" : "are",
            s->floors_needed ? s->floors_needed - 1 : 0);
        break;
    case ROUTES_NO_GROWTH:
        fprintf(out->file, "No route keeps anything that shows (noise from round to round: %s)\n",
            text_size(noise, s->noise));
        break;
    case ROUTES_NAMED: break;
    case ROUTES_TOGETHER:
        fprintf(out->file,
            "The heap grew by %s with the requests, but which of them keeps it cannot be told: "
            "more rounds (--rounds) or requests (--count) tell\n",
            text_size(size, s->growth));
        break;
    case ROUTES_UNEXPLAINED:
        fprintf(out->file, "The heap grew by %s, and no route accounts for it\n",
            text_size(size, s->growth));
        break;
    }
    if (time->leaks)
        fprintf(out->file, "It also grows without requests: %s a second\n",
            text_size(size, time->bytes * TICKS_A_SECOND));
}

int probe_report_text(const struct show_out *out, const struct probe_report *r,
    const struct recap_end *end, struct err *e)
{
    const struct probe_facts *facts = &r->facts;
    char elapsed[TEXT_SHORT], requests[TEXT_SHORT], name[RECAP_NAME_SIZE];
    char runtime[RECAP_RUNTIME_SIZE];
    const struct run_target *t = run_target_at(probe_run(r->probe), facts->target);
    int64_t rounds = facts->round_count ? (int64_t)facts->round_count - 1 : 0;
    recap_name(t, name);
    fprintf(out->file, "probe of ");
    int rc = show_text(out, name, strlen(name), e);
    bool sent = facts->sent > 0; /* else it is a command that sends them */
    int64_t count = sent ? facts->answered : requests_of_all(r);
    fprintf(out->file, " (%s): %lld of %lld round%s, %s request%s %s, %s%s\n",
        recap_runtime(t, runtime), (long long)rounds, (long long)facts->rounds_wanted,
        facts->rounds_wanted == 1 ? "" : "s", text_count(requests, count), count == 1 ? "" : "s",
        sent ? "answered" : "served", text_duration(elapsed, end->elapsed_us),
        facts->partial ? "; ended early" : "");
    if (facts->refused || facts->failed)
        fprintf(out->file, "%lld answer%s of the server, %lld request%s had no answer\n",
            (long long)facts->refused, facts->refused == 1 ? " was an error" : "s were errors",
            (long long)facts->failed, facts->failed == 1 ? "" : "s");
    if (rounds > 0 && !facts->settled)
        fprintf(
            out->file, "the warm-up did not settle in %lld rounds\n", (long long)facts->warm_ups);
    fprintf(out->file, "\n");
    if (rc == 0 && rounds > 0 && probe_report_failing(r) != PROBE_UNSERVED)
        rc = routes_table(out, r, e);
    print_verdict(out, r);
    if (r->beside.left_out)
        fprintf(out->file,
            "Left out: %zu round%s in which the heap rose or fell by much that no "
            "request explains\n",
            r->beside.left_out, r->beside.left_out == 1 ? "" : "s");
    if (!facts->hooked && rounds > 0)
        fprintf(out->file, "Requests are counted as they were sent: the target has no hook\n");
    if (end->record)
        fprintf(out->file, "run %s in %s\n", end->run_id, end->record);
    return rc ? rc : show_out_finish(out, e);
}
