/* The load: libcurl's multi interface in a thread.
 *
 *   idle ──(load_send)──> sending ──(all ended, cut)──> told ──(the loop took it)──> idle
 *
 * The lock guards what both threads touch; while a batch is sent, its order and tallies are the
 * thread's alone. */
#include "collect/load.h"

#include "base/clock.h"
#include "collect/mix.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define POLL_MS     1000
#define MS_US       1000
#define FILLED_MAX  (2 * LOAD_BODY_MAX)
#define JSON_HEADER "Content-Type: application/json"

enum state { IDLE, SENDING, TOLD };

struct slot { /* a request that is on its way */
    CURL *easy;
    struct buf url, body;
    char why[CURL_ERROR_SIZE];
    size_t kind;
    bool busy;
};

struct load {
    struct load_options options;
    struct curl_slist *headers, *json_headers; /* owned */
    load_fn fn;
    void *arg;
    struct wake *wake;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t work;
    enum state state;
    bool quit;
    CURLM *multi; /* of the batch that is sent; under the lock, for its wake-up */
    atomic_bool cut;
    _Atomic int64_t done;
    /* the thread's while it sends */
    struct slot *slots;
    uint16_t *order;
    int64_t total, next, number;
    struct load_tally *tallies;
    int64_t began_us, elapsed_us;
};

/* ---- one request ---- */

static size_t ignore_body(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static void note_failure(struct load_tally *tally, const char *why)
{
    tally->failed++;
    if (!*tally->why)
        snprintf(tally->why, sizeof tally->why, "%s", why);
}

static bool set_up(struct load *load, struct slot *s, const struct load_request *q)
{
    CURL *easy = s->easy;
    const struct curl_slist *headers =
        q->json ? load->json_headers : load->headers; /* json_headers begin with the others */
    bool head = strcmp(q->method, "HEAD") == 0;
    curl_easy_reset(easy);
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, s->url.data);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, s->why);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore_body);
    rc = rc ? rc
            : curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(load->options.timeout_us / MS_US));
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_PRIVATE, s);
    if (rc == CURLE_OK && load->options.insecure) {
        rc = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (rc == CURLE_OK && q->body) {
        rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->body.length);
        rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, s->body.data);
    }
    if (rc == CURLE_OK && head)
        rc = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (rc == CURLE_OK)
        rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
    return rc == CURLE_OK;
}

/* A request that cannot even begin has failed. */
static void begin(struct load *load, struct slot *s)
{
    struct err e = ERR_NONE;
    s->kind = load->order[load->next++];
    const struct load_request *q = &load->options.requests[s->kind];
    struct load_tally *tally = &load->tallies[s->kind];
    buf_clear(&s->url);
    buf_clear(&s->body);
    s->why[0] = '\0';
    int rc = load_request_fill(q->url, ++load->number, &s->url, &e);
    if (rc == 0 && q->body)
        rc = load_request_fill(q->body, load->number, &s->body, &e);
    tally->sent++;
    if (rc == 0 && set_up(load, s, q) && curl_multi_add_handle(load->multi, s->easy) == CURLM_OK) {
        s->busy = true;
        return;
    }
    note_failure(tally, rc ? e.text : "it cannot be sent");
    load->done++;
}

static void end(struct load *load, struct slot *s, CURLcode result)
{
    struct load_tally *tally = &load->tallies[s->kind];
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK) {
        note_failure(tally, *s->why ? s->why : curl_easy_strerror(result));
    } else {
        tally->answers[status >= 100 && status < 600 ? status / 100 : 0]++;
        if (status >= 400)
            tally->last_status = (int)status;
    }
    curl_multi_remove_handle(load->multi, s->easy);
    s->busy = false;
    load->done++;
}

/* ---- one batch ---- */

static void take_answers(struct load *load)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(load->multi, &left))) {
        struct slot *s = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        end(load, s, result);
    }
}

static bool fill_slots(struct load *load)
{
    bool busy = false;
    for (int i = 0; i < load->options.concurrency; i++) {
        struct slot *s = &load->slots[i];
        while (!s->busy && load->next < load->total && !load->cut)
            begin(load, s);
        busy = busy || s->busy;
    }
    return busy;
}

static void send_batch(struct load *load)
{
    int running;
    while (fill_slots(load) && !load->cut) {
        if (curl_multi_perform(load->multi, &running) != CURLM_OK)
            break;
        take_answers(load);
        /* Whatever has ended makes room at once; else there is something to wait for. */
        if (running == load->options.concurrency || (running && load->next == load->total))
            (void)curl_multi_poll(load->multi, NULL, 0, POLL_MS, NULL);
    }
    for (int i = 0; i < load->options.concurrency; i++) /* what was cut off */
        if (load->slots[i].busy) {
            curl_multi_remove_handle(load->multi, load->slots[i].easy);
            load->slots[i].busy = false;
            load->tallies[load->slots[i].kind].sent--;
        }
}

static CURLM *new_multi(const struct load *load)
{
    CURLM *multi = curl_multi_init();
    if (!multi)
        return NULL;
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)load->options.concurrency);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)load->options.concurrency);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return multi;
}

static void *serve(void *arg)
{
    struct load *load = arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_mutex_lock(&load->lock);
    for (;;) {
        while (load->state != SENDING && !load->quit)
            pthread_cond_wait(&load->work, &load->lock);
        if (load->quit)
            break;
        CURLM *multi = load->multi = new_multi(load);
        pthread_mutex_unlock(&load->lock);
        if (multi)
            send_batch(load);
        else
            note_failure(&load->tallies[0], "out of memory");
        pthread_mutex_lock(&load->lock);
        load->multi = NULL;
        load->elapsed_us = clock_monotonic_us() - load->began_us;
        load->state = TOLD;
        if (multi)
            curl_multi_cleanup(multi); /* closes the connections */
        wake_send(load->wake);
    }
    pthread_mutex_unlock(&load->lock);
    return NULL;
}

/* ---- for the owner ---- */

static void tell(void *arg)
{
    struct load *load = arg;
    pthread_mutex_lock(&load->lock);
    bool told = load->state == TOLD;
    if (told)
        load->state = IDLE;
    pthread_mutex_unlock(&load->lock);
    if (!told)
        return;
    struct load_result result = {
        .tallies = load->tallies, .elapsed_us = load->elapsed_us, .cut = load->cut};
    for (size_t i = 0; i < load->options.request_count; i++) {
        for (int class = 0; class < 6; class ++)
            result.answered += load->tallies[i].answers[class];
        result.failed += load->tallies[i].failed;
        result.refused += load->tallies[i].answers[5];
    }
    load->fn(load->arg, &result);
}

static int make_headers(struct load *load, struct err *e)
{
    const struct load_options *o = &load->options;
    bool typed = false;
    for (size_t i = 0; i < o->header_count; i++) {
        const char *colon = strchr(o->headers[i], ':');
        if (!colon || colon == o->headers[i] || strpbrk(o->headers[i], "\r\n"))
            return err_set(e, ERR_USAGE, "header \"%s\": expected \"Name: value\"", o->headers[i]);
        typed = typed || strncasecmp(o->headers[i], "content-type:", 13) == 0;
    }
    /* Expect: 100-continue costs a second with servers that do not know it. */
    for (int json = 0; json < 2; json++) {
        struct curl_slist **list = json ? &load->json_headers : &load->headers;
        for (size_t i = 0; i < o->header_count + 2; i++) {
            const char *line = i < o->header_count    ? o->headers[i]
                               : i == o->header_count ? "Expect:"
                               : json && !typed       ? JSON_HEADER
                                                      : NULL;
            struct curl_slist *longer = line ? curl_slist_append(*list, line) : *list;
            if (!longer)
                return err_set(e, ERR_NOMEM, "out of memory");
            *list = longer;
        }
    }
    return 0;
}

static int make_slots(struct load *load, struct err *e)
{
    load->slots = calloc((size_t)load->options.concurrency, sizeof *load->slots);
    load->tallies = calloc(load->options.request_count, sizeof *load->tallies);
    if (!load->slots || !load->tallies)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = 0; i < load->options.concurrency; i++) {
        struct slot *s = &load->slots[i];
        s->url = buf_new(2 * LOAD_URL_MAX);
        s->body = buf_new(FILLED_MAX);
        s->easy = curl_easy_init();
        if (!s->easy)
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    return 0;
}

int load_new(struct loop *l, const struct load_options *o, load_fn fn, void *arg, struct load **ret,
    struct err *e)
{
    assert(o->request_count && o->request_count <= LOAD_REQUESTS_MAX);
    assert(o->concurrency > 0 && o->concurrency <= LOAD_CONCURRENCY_MAX);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_INTERNAL, "libcurl cannot be started");
    struct load *load = calloc(1, sizeof *load);
    int rc = load ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc) {
        curl_global_cleanup();
        return rc;
    }
    load->options = *o;
    load->fn = fn;
    load->arg = arg;
    pthread_mutex_init(&load->lock, NULL);
    pthread_cond_init(&load->work, NULL);
    rc = make_headers(load, e);
    if (rc == 0)
        rc = make_slots(load, e);
    if (rc == 0)
        rc = wake_new(l, tell, load, &load->wake, e);
    if (rc == 0) {
        int failed = pthread_create(&load->thread, NULL, serve, load);
        load->started = failed == 0;
        if (failed)
            rc = err_set_errno(e, ERR_NOMEM, failed, "cannot start a thread");
    }
    if (rc)
        load_free(load);
    else
        *ret = load;
    return rc;
}

int load_send(struct load *load, const int64_t *counts, uint64_t seed, struct err *e)
{
    int64_t total = 0;
    for (size_t i = 0; i < load->options.request_count; i++)
        total += counts[i];
    uint16_t *order = malloc((size_t)(total ? total : 1) * sizeof *order);
    if (!order)
        return err_set(
            e, ERR_NOMEM, "out of memory for a round of %lld requests", (long long)total);
    mix_order(counts, load->options.request_count, seed, order);
    pthread_mutex_lock(&load->lock);
    assert(load->state == IDLE);
    free(load->order);
    load->order = order;
    load->total = total;
    load->next = 0;
    load->done = 0;
    load->cut = false;
    load->began_us = clock_monotonic_us();
    memset(load->tallies, 0, load->options.request_count * sizeof *load->tallies);
    load->state = SENDING;
    pthread_cond_signal(&load->work);
    pthread_mutex_unlock(&load->lock);
    return 0;
}

int64_t load_done(const struct load *load)
{
    return load->done;
}

void load_cut(struct load *load)
{
    load->cut = true;
    pthread_mutex_lock(&load->lock);
    if (load->multi)
        (void)curl_multi_wakeup(load->multi);
    pthread_mutex_unlock(&load->lock);
}

void load_free(struct load *load)
{
    if (!load)
        return;
    if (load->started) {
        load_cut(load);
        pthread_mutex_lock(&load->lock);
        load->quit = true;
        pthread_cond_signal(&load->work);
        pthread_mutex_unlock(&load->lock);
        pthread_join(load->thread, NULL);
    }
    wake_free(load->wake);
    for (int i = 0; load->slots && i < load->options.concurrency; i++) {
        curl_easy_cleanup(load->slots[i].easy);
        buf_free(&load->slots[i].url);
        buf_free(&load->slots[i].body);
    }
    curl_slist_free_all(load->headers);
    curl_slist_free_all(load->json_headers);
    pthread_cond_destroy(&load->work);
    pthread_mutex_destroy(&load->lock);
    free(load->slots);
    free(load->tallies);
    free(load->order);
    free(load);
    curl_global_cleanup();
}
