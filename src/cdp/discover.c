/* What an endpoint is and which targets it offers: name to addresses, /json/version of the first
 * address that answers, /json/list of the same. */
#include "cdp/discover.h"

#include "base/array.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include "cdp/http.h"
#include "cdp/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VERSION_MAX (64 * 1024) /* bytes; Node's answer has 60, Chromium's 500 */
#define LIST_MAX    (4 << 20)   /* bytes; 512 entries with data: URLs of favicons fit */
#define LISTED_MAX  12          /* entries that an error names */

struct discover {
    struct loop *loop;
    struct address address;
    int64_t deadline_us; /* monotonic */
    discover_fn fn;
    void *arg;
    struct resolve *resolve;
    struct http *http;
    struct resolved ips;
    size_t tried; /* of ips */
    bool have_version;
    struct discovery *found; /* owned until it is handed over */
    struct loop_discard discard;
};

const char *runtime_name(enum runtime_kind kind)
{
    static const char *const names[] = {"unknown", "node", "deno", "chromium"};
    return names[kind];
}

static void free_entry(struct discover_entry *entry)
{
    free(entry->id);
    free(entry->type);
    free(entry->title);
    free(entry->url);
    free(entry->path);
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        free_entry(&d->entries[i]);
    }
    free(d->entries);
    free(d);
}

/* ---- judging what came ---- */

/* Reads the runtime out of "node.js/v20.20.2", "Deno/2.9.6", "HeadlessChrome/156.0.8078.79". */
static void read_browser(const char *text, struct discovery *d)
{
    const char *slash = strchr(text, '/');
    const char *version = slash ? slash + 1 : "";
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    version += *version == 'v';
    if (length == 7 && strncasecmp(text, "node.js", 7) == 0)
        d->runtime = RUNTIME_NODE;
    else if (length == 4 && strncasecmp(text, "Deno", 4) == 0)
        d->runtime = RUNTIME_DENO;
    else if (memmem(text, length, "Chrom", 5) || (length == 3 && memcmp(text, "Edg", 3) == 0))
        d->runtime = RUNTIME_CHROMIUM;
    else
        d->runtime = RUNTIME_UNKNOWN;
    snprintf(d->browser, sizeof d->browser, "%s", text);
    snprintf(d->version, sizeof d->version, "%s", version);
    int64_t major = 0;
    char digits[8];
    snprintf(digits, sizeof digits, "%.*s", (int)strspn(version, "0123456789"), version);
    d->major = text_parse_integer(digits, 0, 100000, &major, NULL) == 0 ? (int)major : 0;
}

int discover_read_version(const char *text, size_t length, struct discovery *d, struct err *e)
{
    static const struct json_at at = {NULL, "/json/version"};
    cJSON *tree = NULL;
    const char *browser = NULL;
    int rc = json_parse(text, length, &tree, e);
    if (!rc)
        rc = json_is_object(&at, tree, e);
    if (!rc)
        rc = json_string(&at, tree, "Browser", &browser, NULL, e);
    if (!rc)
        read_browser(browser, d);
    cJSON_Delete(tree);
    return rc;
}

static int copy_text(const char *text, char **ret_copy, struct err *e)
{
    *ret_copy = strdup(text);
    return *ret_copy ? 0 : err_set(e, ERR_NOMEM, "out of memory for a list of targets");
}

static int read_entry(const cJSON *item, struct discover_entry *entry, struct err *e)
{
    static const struct json_at at = {NULL, "/json/list"};
    const char *id = "", *type = "", *title = "", *url = "", *socket_url = NULL;
    struct address address;
    int rc = json_is_object(&at, item, e);
    if (!rc)
        rc = json_string(&at, item, "id", &id, NULL, e);
    if (!rc)
        rc = json_string(&at, item, "type", &type, NULL, e);
    if (!rc)
        rc = json_string(&at, item, "title", &title, JSON_OPTIONAL, e);
    if (!rc)
        rc = json_string(&at, item, "url", &url, JSON_OPTIONAL, e);
    if (!rc)
        rc = json_string(&at, item, "webSocketDebuggerUrl", &socket_url, JSON_OPTIONAL, e);
    if (!rc && socket_url &&
        (address_parse(socket_url, &address, NULL) != 0 || address.kind != ADDRESS_URL))
        rc = err_set(e, ERR_PROTOCOL, "/json/list.webSocketDebuggerUrl is no WebSocket URL");
    if (!rc)
        rc = copy_text(id, &entry->id, e);
    if (!rc)
        rc = copy_text(type, &entry->type, e);
    if (!rc)
        rc = copy_text(title, &entry->title, e);
    if (!rc)
        rc = copy_text(url, &entry->url, e);
    if (!rc && socket_url)
        rc = copy_text(address.path, &entry->path, e);
    return rc;
}

/* Room for one more behind the entries. */
static int reserve_entry(struct discovery *d, struct err *e)
{
    if (d->count == DISCOVER_ENTRIES_MAX)
        return err_set(e, ERR_PROTOCOL, "there are more than %d targets", DISCOVER_ENTRIES_MAX);
    if (!array_more(&d->entries, d->count))
        return err_set(e, ERR_NOMEM, "out of memory for a list of targets");
    return 0;
}

/* An empty entry behind the others, which is filled in place: what fails half-way is freed with
 * them. */
static int add_entry(struct discovery *d, struct discover_entry **ret, struct err *e)
{
    int rc = reserve_entry(d, e);
    if (rc)
        return rc;
    *ret = &d->entries[d->count++];
    **ret = (struct discover_entry){0};
    return 0;
}

int discover_read_list(const char *text, size_t length, struct discovery *d, struct err *e)
{
    cJSON *tree = NULL;
    int rc = json_parse(text, length, &tree, e);
    if (!rc && !cJSON_IsArray(tree))
        rc = err_set(e, ERR_PROTOCOL, "/json/list is not an array");
    const cJSON *item = rc ? NULL : tree->child;
    for (; item && !rc; item = item->next) {
        struct discover_entry *entry;
        rc = add_entry(d, &entry, e);
        if (!rc)
            rc = read_entry(item, entry, e);
    }
    cJSON_Delete(tree);
    return rc;
}

/* ---- the steps ---- */

static void delete_discover(void *object)
{
    free(object);
}

static void discard(struct discover *d)
{
    resolve_cancel(d->resolve);
    http_cancel(d->http);
    d->resolve = NULL;
    d->http = NULL;
    discovery_free(d->found);
    d->found = NULL;
    loop_discard(d->loop, &d->discard, delete_discover, d);
}

static void fail(struct discover *d, const struct err *why)
{
    d->fn(d->arg, NULL, why);
    discard(d);
}

static void succeed(struct discover *d)
{
    struct discovery *found = d->found;
    d->found = NULL;
    d->fn(d->arg, found, NULL);
    discard(d);
}

/* A URL names its target itself: no list is needed. */
static void succeed_by_url(struct discover *d)
{
    struct err e = ERR_NONE;
    struct discover_entry *entry;
    int rc = add_entry(d->found, &entry, &e);
    if (!rc)
        rc = copy_text(d->address.path + 1, &entry->id, &e);
    if (!rc)
        rc = copy_text("unknown", &entry->type, &e);
    if (!rc)
        rc = copy_text("", &entry->title, &e);
    if (!rc)
        rc = copy_text("", &entry->url, &e);
    if (!rc)
        rc = copy_text(d->address.path, &entry->path, &e);
    if (rc)
        fail(d, &e);
    else
        succeed(d);
}

static void on_reply(void *arg, const struct http_reply *r, const struct err *why);

static void get(struct discover *d)
{
    struct err e = ERR_NONE;
    int64_t left_us = d->deadline_us - clock_monotonic_us();
    const struct http_request q = {
        .ip = d->ips.ip[d->tried],
        .port = d->address.port,
        .network = d->address.network,
        .tls_name = d->address.tls ? d->address.host : NULL,
        .path = d->have_version ? "/json/list" : "/json/version",
        .max_bytes = d->have_version ? LIST_MAX : VERSION_MAX,
        .deadline_us = left_us > 0 ? left_us : 1,
    };
    if (http_get(d->loop, &q, on_reply, d, &d->http, &e))
        fail(d, &e);
}

/* It answers, but not as an inspector does. */
static void not_an_inspector(struct discover *d, const char *detail)
{
    char where[ADDRESS_HOST_PORT_SIZE];
    struct err e = ERR_NONE;
    if (d->address.kind == ADDRESS_URL) {
        succeed_by_url(d);
        return;
    }
    err_set(&e, ERR_UNREACHABLE, "%s answers, but is not an inspector: %s",
        address_host_port(d->address.host, d->address.port, where), detail);
    fail(d, &e);
}

static void on_reply(void *arg, const struct http_reply *r, const struct err *why)
{
    struct discover *d = arg;
    d->http = NULL;
    if (!r && why->code == ERR_UNREACHABLE && !d->have_version && d->tried + 1 < d->ips.count) {
        d->tried++;
        get(d);
        return;
    }
    if (!r && why->code == ERR_PROTOCOL) {
        not_an_inspector(d, why->text);
        return;
    }
    if (!r) {
        fail(d, why);
        return;
    }
    struct err e = ERR_NONE;
    if (r->status != 200) {
        char text[64];
        snprintf(text, sizeof text, "/json/%s gives HTTP %d", d->have_version ? "list" : "version",
            r->status);
        not_an_inspector(d, text);
        return;
    }
    int rc = d->have_version ? discover_read_list(r->body, r->length, d->found, &e)
                             : discover_read_version(r->body, r->length, d->found, &e);
    if (rc == ERR_PROTOCOL) {
        not_an_inspector(d, e.text);
    } else if (rc) {
        fail(d, &e);
    } else if (d->have_version) {
        succeed(d);
    } else {
        d->have_version = true;
        strcpy(d->found->ip, d->ips.ip[d->tried]);
        get(d);
    }
}

static void on_resolved(void *arg, const struct resolved *r, const struct err *why)
{
    struct discover *d = arg;
    d->resolve = NULL;
    if (!r) {
        fail(d, why);
        return;
    }
    d->ips = *r;
    strcpy(d->found->ip, d->ips.ip[0]);
    get(d);
}

int discover_start(struct loop *l, const struct address *a, int64_t deadline_us, discover_fn fn,
    void *arg, struct discover **ret_discover, struct err *e)
{
    if (a->kind == ADDRESS_PROCESS)
        return err_set(e, ERR_INTERNAL, "a process has no address until its inspector is open");
    struct discover *d = calloc(1, sizeof *d);
    struct discovery *found = calloc(1, sizeof *found);
    if (!d || !found) {
        free(d);
        free(found);
        return err_set(e, ERR_NOMEM, "out of memory for looking at a target");
    }
    d->loop = l;
    d->address = *a;
    d->deadline_us = clock_monotonic_us() + deadline_us;
    d->fn = fn;
    d->arg = arg;
    d->found = found;
    strcpy(found->host, a->host);
    found->port = a->port;
    found->tls = a->tls;
    found->network = a->network;
    int rc = resolve_start(l, a->host, deadline_us, on_resolved, d, &d->resolve, e);
    if (rc) {
        discovery_free(found);
        free(d);
        return rc;
    }
    *ret_discover = d;
    return 0;
}

void discover_cancel(struct discover *d)
{
    if (d)
        discard(d);
}

/* ---- picking ---- */

/* ERR_USAGE that lists what there is. */
static int cannot_pick(const struct discovery *d, const char *why, struct err *e)
{
    struct buf list = buf_new(ERR_TEXT_MAX);
    int rc = 0;
    for (size_t i = 0; i < d->count && i < LISTED_MAX && !rc; i++)
        rc = buf_addf(&list, "%s#%zu %s \"%.60s\"", i ? ", " : "", i + 1, d->entries[i].type,
            d->entries[i].title);
    if (d->count > LISTED_MAX && !rc)
        rc = buf_addf(&list, ", and %zu more", d->count - LISTED_MAX);
    rc = err_set(e, ERR_USAGE, "%s; there %s: %s", why, d->count == 1 ? "is" : "are",
        list.length ? list.data : "none");
    buf_free(&list);
    return rc;
}

/* How well an entry's title fits what was typed. */
static int title_fit(const struct discover_entry *entry, const char *typed)
{
    if (strcmp(entry->title, typed) == 0)
        return 2;
    return strcasestr(entry->title, typed) ? 1 : 0;
}

static int pick_by_title(
    const struct discovery *d, const char *typed, size_t *ret_index, struct err *e)
{
    for (int fit = 2; fit > 0; fit--) {
        size_t count = 0, index = 0;
        for (size_t i = d->count; i-- > 0;) {
            if (title_fit(&d->entries[i], typed) >= fit) {
                index = i;
                count++;
            }
        }
        if (count == 1) {
            *ret_index = index;
            return 0;
        }
        if (count > 1)
            return cannot_pick(d, "several targets have that title", e);
    }
    return cannot_pick(d, "no target has that title", e);
}

int discovery_pick(
    const struct discovery *d, const struct address *a, size_t *ret_index, struct err *e)
{
    char where[ADDRESS_HOST_PORT_SIZE];
    address_host_port(d->host, d->port, where);
    if (a->pick_number) {
        if ((size_t)a->pick_number > d->count)
            return cannot_pick(d, "no target has that number", e);
        *ret_index = (size_t)a->pick_number - 1;
        return 0;
    }
    if (a->pick_title[0])
        return pick_by_title(d, a->pick_title, ret_index, e);
    if (a->kind == ADDRESS_URL) {
        for (size_t i = 0; i < d->count; i++) {
            if (d->entries[i].path && strcmp(d->entries[i].path, a->path) == 0) {
                *ret_index = i;
                return 0;
            }
        }
        return err_set(e, ERR_UNREACHABLE,
            "%s has no target %s (any more): it may have been restarted; leave the ID away to "
            "follow it",
            where, a->path);
    }
    if (d->count == 0)
        return err_set(e, ERR_UNREACHABLE, "the inspector at %s offers no target", where);
    size_t usable = 0, index = 0;
    for (size_t i = d->count; i-- > 0;) {
        const char *type = d->entries[i].type;
        if (d->count == 1 || strcmp(type, "node") == 0 || strcmp(type, "page") == 0) {
            index = i;
            usable++;
        }
    }
    if (usable != 1)
        return cannot_pick(d, "several targets are there: pick one with #NUMBER or #TITLE", e);
    *ret_index = index;
    return 0;
}

/* ---- workers ---- */

static const char worker_type[] = "worker";

static bool is_worker(const struct discover_entry *entry)
{
    return strcmp(entry->type, worker_type) == 0;
}

static size_t find_worker(const struct discovery *d, const char *id)
{
    for (size_t i = 0; i < d->count; i++)
        if (is_worker(&d->entries[i]) && strcmp(d->entries[i].id, id) == 0)
            return i;
    return SIZE_MAX;
}

int discovery_add_worker(
    struct discovery *d, const char *id, const char *title, const char *url, struct err *e)
{
    struct discover_entry worker = {0};
    int rc = reserve_entry(d, e);
    if (!rc)
        rc = copy_text(id, &worker.id, e);
    if (!rc)
        rc = copy_text(worker_type, &worker.type, e);
    if (!rc)
        rc = copy_text(title, &worker.title, e);
    if (!rc)
        rc = copy_text(url, &worker.url, e);
    if (rc) {
        free_entry(&worker);
        return rc;
    }
    size_t at = d->count++;
    for (; at > 0 && is_worker(&d->entries[at - 1]) &&
           strverscmp(d->entries[at - 1].title, title) > 0;
         at--)
        d->entries[at] = d->entries[at - 1];
    d->entries[at] = worker;
    return 0;
}

void discovery_remove_worker(struct discovery *d, const char *id)
{
    size_t at = find_worker(d, id);
    if (at == SIZE_MAX)
        return;
    free_entry(&d->entries[at]);
    memmove(&d->entries[at], &d->entries[at + 1], (--d->count - at) * sizeof *d->entries);
}

int discovery_worker_number(const struct discovery *d, const char *id)
{
    size_t at = find_worker(d, id);
    return at == SIZE_MAX ? 0 : (int)at + 1;
}

bool discovery_asks_for_worker(const struct discovery *d, const struct address *a)
{
    size_t index;
    struct err e = ERR_NONE;
    bool has_workers = d->runtime == RUNTIME_NODE && d->count == 1;
    return has_workers && (a->pick_number || a->pick_title[0]) &&
           discovery_pick(d, a, &index, &e) != 0;
}
