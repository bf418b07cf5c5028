/* A survey: one probe an address or process, all at once; one passive attachment a target. */
#include "collect/survey.h"

#include "base/text.h"
#include "collect/host.h"
#include "collect/local.h"
#include "cdp/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISCOVER_DEADLINE_US (5 * 1000000LL)
#define USAGE_DEADLINE_US    (3 * 1000000LL)
#define SETTLE_US            (3 * 1000000LL) /* a worker may be too busy to be got to know */
#define ROWS_MAX             4096
#define LOOKS_MAX            DISCOVER_ENTRIES_MAX /* of one endpoint */

struct look { /* at one target of an endpoint, and its workers */
    struct probe *probe;
    struct attachment *attachment;
    struct address address;
    struct discover_entry entry; /* copied: what is shown if it does not answer */
    struct timer *timer;
    size_t asking; /* for heap use */
    bool seen;     /* its row is made */
    bool settled;  /* no more targets will come */
};

struct probe { /* one address or process */
    struct survey *survey;
    bool asked;             /* for, by the user; else it is one of the host's processes */
    struct address address; /* a process' until its inspector is found */
    pid_t pid;
    struct local_find *find;
    struct discover *discover;
    struct look *looks;
    size_t look_count, looks_open;
    bool done;
};

struct usage { /* a question for heap use that is on its way */
    struct look *look;
    size_t row;
};

struct survey {
    struct loop *loop;
    struct probe *probes;
    size_t probe_count, probes_open; /* open: one more until all are started */
    struct survey_row *rows;
    size_t row_count;
    bool allow_remote;
    struct err why;
    survey_done_fn done;
    void *arg;
    struct timer *started; /* done never comes within survey_start */
};

const char *survey_state_name(enum survey_state state)
{
    static const char *const names[] = {
        "ready", "waiting for debugger", "no answer", "no inspector"};
    return names[state];
}

/* ---- rows ---- */

static struct survey_row *add_row(struct survey *s, enum survey_state state)
{
    if (s->row_count == ROWS_MAX)
        return NULL;
    struct survey_row *row = &s->rows[s->row_count++];
    *row = (struct survey_row){
        .state = state, .heap_used = NAN, .heap_total = NAN, .rss = NAN, .kind = TARGET_OTHER};
    return row;
}

static void fill_from_identity(
    struct survey_row *row, const struct look *look, const struct target *t)
{
    const struct target_identity *id = target_identity(t);
    struct address address = look->address;
    if (address.network) /* where nobody else can connect to it */
        address = (struct address){
            .kind = ADDRESS_PROCESS, .pid = address.network, .pick_number = address.pick_number};
    int64_t rss;
    int number = target_worker_number(t);
    if (number)
        address.pick_number = number;
    row->kind = id->kind;
    row->title = strdup(id->title);
    row->url = strdup(id->url);
    row->version = strdup(id->runtime_version);
    row->v8 = strdup(id->v8_version);
    row->pid = id->pid;
    row->worker_number = number;
    address_format(&address, row->address);
    if (id->host_pid && id->kind != TARGET_WORKER && host_rss(id->host_pid, &rss) == 0)
        row->rss = (double)rss;
    if (id->waiting)
        row->state = SURVEY_WAITING;
}

static void free_rows(struct survey *s)
{
    for (size_t i = 0; i < s->row_count; i++) {
        struct survey_row *row = &s->rows[i];
        free(row->title);
        free(row->url);
        free(row->version);
        free(row->v8);
        free(row->reason);
    }
    free(s->rows);
}

/* ---- ends ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct survey_row *x = a, *y = b;
    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    return x->worker_number - y->worker_number;
}

static void close_probe(void *arg)
{
    struct survey *s = arg;
    if (--s->probes_open > 0)
        return;
    qsort(s->rows, s->row_count, sizeof *s->rows, compare_rows);
    s->done(s->arg, s->rows, s->row_count, s->why.code ? &s->why : NULL);
}

static void finish_probe(struct probe *p)
{
    if (p->done)
        return;
    p->done = true;
    close_probe(p->survey);
}

static void finish_look(struct look *look)
{
    if (--look->probe->looks_open == 0)
        finish_probe(look->probe);
}

static void note(struct survey *s, const struct err *why)
{
    if (s->why.code == 0)
        s->why = *why;
}

/* That one of the host's processes ended meanwhile is nobody's error. */
static void fail_probe(struct probe *p, const struct err *why)
{
    int64_t start;
    if (p->asked || host_start_time(p->pid, &start) == 0)
        note(p->survey, why);
    finish_probe(p);
}

/* ---- one target ---- */

static void got_usage(void *arg, const cJSON *result, const struct err *why)
{
    struct usage *u = arg;
    struct proto_runtime_get_heap_usage_result r;
    struct err e = ERR_NONE;
    struct survey_row *row = &u->look->probe->survey->rows[u->row];
    if (!why && proto_runtime_get_heap_usage_result_decode(result, &r, &e) == 0) {
        row->heap_used = r.used_size;
        row->heap_total = r.total_size;
    }
    if (--u->look->asking == 0 && u->look->settled)
        timer_start(u->look->timer, 0);
    free(u);
}

static void on_attached(void *arg, struct target *t)
{
    struct look *look = arg;
    struct err e = ERR_NONE;
    struct survey *s = look->probe->survey;
    struct survey_row *row = add_row(s, SURVEY_READY);
    if (row)
        fill_from_identity(row, look, t);
    if (!look->seen) { /* the main target, or the worker that was picked */
        look->seen = true;
        timer_start(look->timer, SETTLE_US);
    }
    struct usage *u = row ? malloc(sizeof *u) : NULL;
    if (!u)
        return;
    *u = (struct usage){look, (size_t)(row - s->rows)};
    if (cdp_call(target_session(t), PROTO_RUNTIME_GET_HEAP_USAGE, NULL, USAGE_DEADLINE_US,
            got_usage, u, &e) == 0)
        look->asking++;
    else
        free(u);
}

static void on_detached(void *arg, struct target *t, const struct err *why)
{
    (void)arg;
    (void)t;
    (void)why;
}

static void on_down(void *arg, const struct err *why, int64_t next_try_us)
{
    struct look *look = arg;
    struct survey *s = look->probe->survey;
    (void)next_try_us;
    if (look->seen)
        return;
    look->seen = true;
    bool picked_none = why->code == ERR_USAGE;
    if (picked_none)
        note(s, why);
    struct survey_row *row = picked_none ? NULL : add_row(s, SURVEY_NO_ANSWER);
    if (row) {
        row->title = strdup(look->entry.title);
        row->url = strdup(look->entry.url);
        row->reason = strdup(why->text);
        row->pid = look->probe->pid;
        address_format(&look->address, row->address);
    }
    timer_start(look->timer, 0);
}

static void on_closed(void *arg)
{
    struct look *look = arg;
    attachment_free(look->attachment);
    look->attachment = NULL;
    finish_look(look);
}

/* Questions for heap use that are on their way are answered before the close. */
static void on_settled(void *arg)
{
    struct look *look = arg;
    look->settled = true;
    if (look->asking == 0)
        timer_start(look->timer, 0);
}

static const struct attachment_handlers look_handlers = {.settled = on_settled,
    .attached = on_attached,
    .detached = on_detached,
    .down = on_down,
    .closed = on_closed};

static void end_look(void *arg)
{
    struct look *look = arg;
    if (look->attachment)
        attachment_close(look->attachment);
}

/* pick: what the user wants of the endpoint, NULL: all its workers. */
static int start_look(struct probe *p, struct look *look, const struct discovery *d, size_t index,
    const struct address *pick, struct err *e)
{
    const struct discover_entry *entry = &d->entries[index];
    look->probe = p;
    look->address = (struct address){
        .kind = ADDRESS_ENDPOINT, .port = d->port, .tls = d->tls, .network = d->network};
    memcpy(look->address.host, d->host, sizeof look->address.host);
    if (d->count > 1)
        look->address.pick_number = (int)index + 1;
    look->entry.title = strdup(entry->title);
    look->entry.url = strdup(entry->url);
    bool of_worker = pick && discovery_asks_for_worker(d, pick);
    struct attachment_options options = {.address = of_worker ? *pick : look->address,
        .workers = !pick,
        .passive = true,
        .allow_remote = p->survey->allow_remote};
    int rc = look->entry.title && look->entry.url ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = timer_new(p->survey->loop, end_look, look, &look->timer, e);
    if (rc == 0)
        rc = attachment_new(p->survey->loop, &options, &look_handlers, look, &look->attachment, e);
    return rc;
}

/* ---- one address or process ---- */

/* Looks at what there is, or at the one entry that the address picks. */
static int start_looks(struct probe *p, const struct discovery *d, struct err *e)
{
    const struct address *a = &p->address;
    bool picks = a->pick_number || a->pick_title[0];
    size_t first = 0, end = d->count;
    int rc = 0;
    if (picks ? !discovery_asks_for_worker(d, a) : a->kind == ADDRESS_URL) {
        char name[ADDRESS_TEXT_SIZE];
        rc = discovery_pick(d, a, &first, e);
        if (rc)
            err_context(e, "%s", address_format(a, name));
        end = first + 1;
    }
    if (rc == 0 && first < end && !(p->looks = calloc(end - first, sizeof *p->looks)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = first; i < end && rc == 0; i++) {
        rc = start_look(p, &p->looks[p->look_count++], d, i, picks ? a : NULL, e);
        p->looks_open += rc == 0;
    }
    return p->looks_open ? 0 : rc;
}

static void discovered(void *arg, struct discovery *d, const struct err *why)
{
    struct probe *p = arg;
    struct err e = ERR_NONE;
    p->discover = NULL;
    if (!d) {
        fail_probe(p, why);
        return;
    }
    if (!p->survey->allow_remote && !d->network && !host_is_local(d->ip))
        err_set(&e, ERR_USAGE, "%s is another host: that needs --allow-remote", d->host);
    else
        (void)!start_looks(p, d, &e);
    if (p->looks_open == 0 && e.code)
        fail_probe(p, &e);
    else if (p->looks_open == 0)
        finish_probe(p);
    discovery_free(d);
}

static void ask_endpoint(struct probe *p, const struct address *a)
{
    struct err e = ERR_NONE;
    p->address = *a;
    if (!p->survey->allow_remote && !a->network && host_is_foreign(a->host)) {
        err_set(&e, ERR_USAGE, "%s is another host: that needs --allow-remote", a->host);
        fail_probe(p, &e);
        return;
    }
    if (discover_start(p->survey->loop, a, DISCOVER_DEADLINE_US, discovered, p, &p->discover, &e) !=
        0)
        fail_probe(p, &e);
}

static void found(void *arg, const struct address *a, const struct err *why)
{
    struct probe *p = arg;
    p->find = NULL;
    if (a) {
        struct address endpoint = *a;
        endpoint.pick_number = p->address.pick_number;
        memcpy(endpoint.pick_title, p->address.pick_title, sizeof endpoint.pick_title);
        ask_endpoint(p, &endpoint);
        return;
    }
    bool is_node = host_is_node(p->pid);
    if (p->asked && !is_node && !host_catches_sigusr1(p->pid)) {
        fail_probe(p, why);
        return;
    }
    char command[HOST_COMMAND_SIZE];
    int64_t rss;
    struct survey_row *row =
        host_command_line(p->pid, command) == 0 ? add_row(p->survey, SURVEY_NO_INSPECTOR) : NULL;
    if (row) {
        row->kind = is_node ? TARGET_NODE : TARGET_OTHER;
        row->pid = p->pid;
        row->title = strdup(command);
        row->reason = strdup(why->text);
        if (host_rss(p->pid, &rss) == 0)
            row->rss = (double)rss;
    }
    finish_probe(p);
}

static void start_probe(struct probe *p, const struct address *a)
{
    struct err e = ERR_NONE;
    p->asked = a != NULL;
    if (a && a->kind != ADDRESS_PROCESS) {
        ask_endpoint(p, a);
        return;
    }
    if (a) {
        p->address = *a;
        p->pid = a->pid;
    }
    if (local_find_start(p->survey->loop, p->pid, false, found, p, &p->find, &e) != 0)
        fail_probe(p, &e);
}

static size_t list_node_processes(pid_t *pids)
{
    size_t all = host_processes(pids, HOST_PROCESSES_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < all; i++)
        if (pids[i] != getpid() && host_is_node(pids[i]))
            pids[kept++] = pids[i];
    return kept;
}

int survey_start(struct loop *l, const struct address *addresses, size_t count, bool allow_remote,
    survey_done_fn done, void *arg, struct survey **ret, struct err *e)
{
    struct survey *s = calloc(1, sizeof *s);
    pid_t *pids = calloc(HOST_PROCESSES_MAX, sizeof *pids);
    int rc = s && pids ? timer_new(l, close_probe, s, &s->started, e)
                       : err_set(e, ERR_NOMEM, "out of memory");
    if (rc)
        goto out;
    s->loop = l;
    s->allow_remote = allow_remote;
    s->why = ERR_NONE;
    s->done = done;
    s->arg = arg;
    s->probe_count = count ? count : list_node_processes(pids);
    s->probes_open = s->probe_count + 1;
    s->rows = calloc(ROWS_MAX, sizeof *s->rows);
    s->probes = calloc(s->probe_count + 1, sizeof *s->probes);
    if (!s->rows || !s->probes) {
        rc = err_set(e, ERR_NOMEM, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < s->probe_count; i++) {
        s->probes[i].survey = s;
        s->probes[i].pid = count ? 0 : pids[i];
    }
    *ret = s;
    for (size_t i = 0; i < s->probe_count; i++)
        start_probe(&s->probes[i], count ? &addresses[i] : NULL);
    timer_start(s->started, 0);
    s = NULL;
out:
    free(pids);
    survey_free(s);
    return rc;
}

void survey_free(struct survey *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->probes && i < s->probe_count; i++) {
        struct probe *p = &s->probes[i];
        for (size_t j = 0; j < p->look_count; j++) {
            timer_free(p->looks[j].timer);
            free(p->looks[j].entry.title);
            free(p->looks[j].entry.url);
        }
        free(p->looks);
    }
    timer_free(s->started);
    free(s->probes);
    free_rows(s);
    free(s);
}
