/* probe: the controlled experiment. */
#include "collect/probe.h"

#include "base/log.h"
#include "base/text.h"
#include "command/conduct.h"
#include "command/live.h"
#include "command/probe_report.h"
#include "command/sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE_SIZE 1024
#define SNAPSHOTS_MAX   100
#define HEADERS_MAX     64
#define ONCE_A_DAY_US   (24 * 3600 * 1000000LL)

struct probing {
    const struct settings *settings;
    struct probe_options options;
    struct load_request *requests; /* owned, as each of them */
    struct probe *probe;
};

/* ---- the load ---- */

/* "@FILE" is what stands in the file. Owned by the caller; *ret NULL: no body was given. */
static int read_body(const struct settings *s, char **ret, struct err *e)
{
    const char *text = settings_text(s, SET_BODY);
    if (!text || text[0] != '@') {
        *ret = text ? strdup(text) : NULL;
        return text && !*ret ? err_set(e, ERR_NOMEM, "out of memory") : 0;
    }
    FILE *file = fopen(text + 1, "re");
    struct buf body = buf_new(LOAD_BODY_MAX);
    int rc = 0;
    if (!file)
        return err_set_errno(e, ERR_IO, errno, "cannot read the body from %s", text + 1);
    for (size_t got = 1; got && rc == 0;) {
        rc = buf_reserve(&body, 65536);
        got = rc == 0 ? fread(body.data + body.length, 1, 65536, file) : 0;
        body.length += got;
    }
    if (rc == ERR_FULL)
        err_set(e, ERR_USAGE, "%s is longer than the %d MB that a body may have", text + 1,
            LOAD_BODY_MAX >> 20);
    else if (rc)
        err_set(e, rc, "out of memory for the body from %s", text + 1);
    else if (ferror(file))
        rc = err_set_errno(e, ERR_IO, errno, "cannot read the body from %s", text + 1);
    fclose(file);
    if (rc == 0 && body.length && memchr(body.data, '\0', body.length))
        rc = err_set(e, ERR_USAGE, "%s holds a NUL byte: bodies are text", text + 1);
    if (rc == 0)
        rc = buf_add(&body, "", 0);
    if (rc == 0 && !(*ret = buf_take(&body)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    buf_free(&body);
    return rc;
}

static int parse_requests(
    struct probing *p, const char *const *texts, size_t count, const char *body, struct err *e)
{
    const char *given = settings_text(p->settings, SET_BASE);
    char *base = NULL;
    int rc = given ? load_base_parse(given, &base, e) : 0;
    if (rc)
        return err_context(e, "--base");
    p->requests = calloc(count, sizeof *p->requests);
    if (!p->requests)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = load_request_parse(texts[i], base, body, &p->requests[i], e);
        if (rc) {
            err_context(e, "--request '%.200s'", texts[i]);
            break;
        }
        p->options.load.request_count = i + 1;
        if (!given) {
            free(base);
            base = load_request_base(&p->requests[i]);
        }
    }
    p->options.load.requests = p->requests;
    free(base);
    return rc;
}

static int read_load(struct probing *p, const struct invocation *in, struct err *e)
{
    const struct settings *s = p->settings;
    struct load_options *load = &p->options.load;
    size_t count;
    const char *const *texts = settings_texts(s, SET_REQUEST, &count);
    char *body = NULL;
    load->headers = settings_texts(s, SET_HEADER, &load->header_count);
    load->concurrency = (int)settings_number(s, SET_CONCURRENCY);
    load->timeout_us = settings_number(s, SET_REQUEST_TIMEOUT);
    load->insecure = settings_flag(s, SET_INSECURE);
    p->options.command = in->after;
    if (count && in->after)
        return err_set(e, ERR_USAGE, "either --request or a command behind \"--\", not both");
    if (in->after && !in->after[0])
        return err_set(e, ERR_USAGE, "no command behind \"--\"");
    if (!count && !in->after)
        return err_set(e, ERR_USAGE,
            "what should be requested? --request 'GET http://127.0.0.1:3000/page', once for each "
            "route, or -- COMMAND...");
    if (count > LOAD_REQUESTS_MAX)
        return err_set(e, ERR_USAGE, "more than %d requests", LOAD_REQUESTS_MAX);
    if (load->header_count > HEADERS_MAX)
        return err_set(e, ERR_USAGE, "more than %d headers", HEADERS_MAX);
    if (load->concurrency > LOAD_CONCURRENCY_MAX)
        return err_set(
            e, ERR_USAGE, "--concurrency %d: at most %d", load->concurrency, LOAD_CONCURRENCY_MAX);
    if (load->timeout_us < 1000)
        return err_set(e, ERR_USAGE, "--request-timeout: at least 1ms");
    int rc = read_body(s, &body, e);
    if (rc == 0 && count)
        rc = parse_requests(p, texts, count, body, e);
    free(body);
    return rc;
}

static int read_plan(struct probing *p, struct err *e)
{
    const struct settings *s = p->settings;
    struct probe_options *o = &p->options;
    int rc = text_parse_integer(
        settings_text(s, SET_PROBE_SNAPSHOTS), 0, SNAPSHOTS_MAX, &o->snapshots, e);
    if (rc)
        return err_context(e, "--snapshots");
    o->rounds = settings_given(s, SET_ROUNDS) ? settings_number(s, SET_ROUNDS) : 0;
    o->count = settings_given(s, SET_REQUEST_COUNT) ? settings_number(s, SET_REQUEST_COUNT) : 0;
    o->settle_us = settings_number(s, SET_SETTLE);
    if (settings_given(s, SET_SNAPSHOT_INTERVAL) && o->snapshots)
        o->snapshot_interval_us = settings_number(s, SET_SNAPSHOT_INTERVAL);
    if (o->rounds > PROBE_ROUNDS_MAX)
        return err_set(
            e, ERR_USAGE, "--rounds %lld: at most %d", (long long)o->rounds, PROBE_ROUNDS_MAX);
    if (o->count > LOAD_BATCH_MAX)
        return err_set(
            e, ERR_USAGE, "--count %lld: at most %d", (long long)o->count, LOAD_BATCH_MAX);
    return 0;
}

static void say_what_is_on(const struct probing *p, char out[FIRST_LINE_SIZE])
{
    const struct settings *s = p->settings;
    int used = 0;
    if (p->options.load.request_count)
        used = snprintf(out, FIRST_LINE_SIZE, "probe with %zu request%s, %d at a time; ",
            p->options.load.request_count, p->options.load.request_count == 1 ? "" : "s",
            p->options.load.concurrency);
    else
        used = snprintf(
            out, FIRST_LINE_SIZE, "probe with the load of \"%.100s\"; ", p->options.command[0]);
    if (p->options.snapshots)
        snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
            "%lld snapshots to %.200s (--snapshots 0 turns them off); live profile %s",
            (long long)p->options.snapshots, settings_text(s, SET_DIR),
            settings_text(s, SET_LIVE_PROFILE));
    else
        snprintf(out + used, FIRST_LINE_SIZE - (size_t)used,
            "no snapshots (--snapshots 3); live profile %s", settings_text(s, SET_LIVE_PROFILE));
}

/* ---- the job ---- */

static int start(void *arg, struct loop *l, const struct run_options *o,
    const struct run_handlers *h, void *handlers_arg, struct run **ret, struct err *e)
{
    struct probing *p = arg;
    int rc = probe_start(l, o, &p->options, h, handlers_arg, &p->probe, e);
    if (rc == 0)
        *ret = probe_run(p->probe);
    return rc;
}

/* What passed nothing through is no gate: neither open nor shut. */
static int gate(const struct probe_report *report, double most)
{
    enum probe_failing failing = probe_report_failing(report);
    if (failing == PROBE_MEASURED)
        return probe_report_exceeds(report, most) ? 1 : 0;
    log_error("%s, and --exit-code asks for an answer",
        failing == PROBE_UNSERVED
            ? "nothing was measured: the target has served none of the requests"
            : "the rounds were too few to tell anything");
    return err_exit_code(ERR_UNREACHABLE);
}

static int answer(void *arg, const struct recap_end *end, const cJSON *diagnosis, struct err *e)
{
    struct probing *p = arg;
    struct show_out out;
    struct probe_report report;
    int rc = sink_open(p->settings, &out, e);
    if (rc == 0)
        rc = probe_report_make(p->probe, &report, e);
    if (rc)
        return rc;
    if (out.format == SHOW_JSON)
        rc = probe_report_json(&out, &report, end, diagnosis, e);
    else
        rc = probe_report_text(&out, &report, end, e);
    if (rc == 0 && settings_flag(p->settings, SET_EXIT_CODE)) {
        double most = settings_given(p->settings, SET_MAX_BYTES_PER_REQUEST)
                          ? (double)settings_number(p->settings, SET_MAX_BYTES_PER_REQUEST)
                          : 0;
        rc = gate(&report, most);
    }
    probe_report_clear(&report);
    return rc;
}

static void free_run(void *arg)
{
    struct probing *p = arg;
    probe_free(p->probe);
    p->probe = NULL;
}

static int carry_out(const struct invocation *in, struct probing *p, struct err *e)
{
    const struct settings *s = p->settings;
    struct address *addresses = NULL;
    size_t count = 0;
    char first_line[FIRST_LINE_SIZE];
    int64_t live_sample_every = 0;
    bool live_steal = false;
    int rc = live_read_settings(s, &live_sample_every, &live_steal, e);
    if (rc == 0)
        rc = conduct_addresses(in, &addresses, &count, e);
    if (rc)
        return rc;
    struct run_options options = {.addresses = addresses,
        .address_count = count,
        .metrics_interval_us = settings_number(s, SET_METRICS_INTERVAL),
        .duration_us = settings_number(s, SET_DURATION),
        .wait_us = settings_number(s, SET_WAIT),
        .folder = settings_text(s, SET_DIR),
        .label = settings_text(s, SET_LABEL) ? settings_text(s, SET_LABEL) : "probe",
        .analyze = true,
        .live_sample_every = live_sample_every,
        .live_interval_us = ONCE_A_DAY_US, /* it is read with each floor */
        .live_steal = live_steal,
        .limits = conduct_limits(s),
        .keep = settings_number(s, SET_KEEP),
        .max_disk = settings_number(s, SET_MAX_DISK),
        .max_pause_share = 1,
        .allow_remote = settings_flag(s, SET_ALLOW_REMOTE),
        .requests = true,
        .follow = {.sample = 0, .overhead = 1, .keep_code = true}};
    const struct conduct_job job = {p, start, answer, free_run};
    say_what_is_on(p, first_line);
    rc = conduct_job(in, &options, first_line, &job, e);
    free(addresses);
    return rc;
}

static int run(const struct invocation *in, struct err *e)
{
    struct probing p = {.settings = in->settings};
    int rc = read_load(&p, in, e);
    if (rc == 0)
        rc = read_plan(&p, e);
    if (rc == 0)
        rc = carry_out(in, &p, e);
    for (size_t i = 0; i < p.options.load.request_count; i++)
        load_request_clear(&p.requests[i]);
    free(p.requests);
    return rc;
}

static const enum setting_id accepted[] = {SET_REQUEST, SET_BASE, SET_HEADER, SET_BODY,
    SET_REQUEST_COUNT, SET_ROUNDS, SET_CONCURRENCY, SET_REQUEST_TIMEOUT, SET_INSECURE, SET_SETTLE,
    SET_PROBE_SNAPSHOTS, SET_SNAPSHOT_INTERVAL, SET_EXIT_CODE, SET_MAX_BYTES_PER_REQUEST,
    SET_DURATION, SET_METRICS_INTERVAL, SET_LIVE_PROFILE, SET_DIR, SET_LABEL, SET_COMPRESS, SET_DB,
    SET_SCHEMA, SET_DRAIN, SET_LOCAL_KEEP, SET_OUTBOX_SIZE, SET_NO_MIGRATE, SET_WAIT, SET_MAX_PAUSE,
    SET_KEEP, SET_MAX_DISK, SET_MIN_FREE, SET_FORCE, SET_ALLOW_REMOTE, SET_TIMEOUT, SET_DIAGNOSIS,
    SET_END};

const struct command command_probe = {
    .name = "probe",
    .arguments = "[TARGET] --request 'GET URL'... | [TARGET] -- COMMAND...",
    .summary = "the controlled experiment: which route keeps how many bytes a request",
    .examples = "  heaptap probe 9229 --request 'GET http://127.0.0.1:3000/page' --request /cart\n"
                "  heaptap probe --base https://localhost:8443 --insecure --request /page \\\n"
                "      --request 'POST /items {\"name\":\"{uuid}\"}' --header 'Authorization: x'\n"
                "  heaptap probe 9229 --request /page --base http://127.0.0.1:3000 --json\n"
                "  heaptap probe --exit-code --max-bytes-per-request 1KB --request http://...\n"
                "  heaptap probe 9229 --rounds 10 -- wrk -d 2s http://127.0.0.1:3000/page\n",
    .details =
        "A warm-up, then rounds in which one request after the other stands out, and quiet ones;\n"
        "after each the heap without garbage. What grows with which request is told with a 99 %\n"
        "interval; snapshots at the start, in the middle and at the end tell what it is. All of "
        "it\n"
        "is recorded as a run. In URL and body {n} is a running number, {uuid} a random one. A\n"
        "COMMAND is started once a round, without a shell, with HEAPTAP_ROUND and HEAPTAP_ROUNDS "
        "in\n"
        "its environment. --duration ends it early with what there is; with --snapshot-interval a\n"
        "snapshot is taken after the first round that ends so long after the one before.\n",
    .settings = accepted,
    .words_max = 1,
    .takes_command = true,
    .run = run,
};
