/* Host names to IP literals, on a thread of their own.
 *
 * getaddrinfo cannot be cancelled, so the thread and the loop share a job with two owners: whoever
 * leaves last frees it. A cancelled lookup runs to its end unheard. */
#include "cdp/resolve.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    pthread_mutex_t lock;
    int owners;        /* the thread and the resolve */
    struct wake *wake; /* NULL once the resolve has left */
    char *host;
    bool done;
    int status; /* of getaddrinfo */
    struct resolved found;
};

struct resolve {
    struct loop *loop;
    struct job *job;
    struct wake *wake;
    struct timer *timer; /* the deadline; for a literal, the next turn */
    bool literal, over;
    resolve_fn fn;
    void *arg;
    char *host;
    struct resolved found;
    struct loop_discard discard;
};

static void leave(struct job *j)
{
    pthread_mutex_lock(&j->lock);
    int left = --j->owners;
    pthread_mutex_unlock(&j->lock);
    if (left > 0)
        return;
    pthread_mutex_destroy(&j->lock);
    free(j->host);
    free(j);
}

static void add_found(struct resolved *r, const struct addrinfo *ai)
{
    char ip[RESOLVE_IP_SIZE];
    if (r->count == RESOLVE_MAX ||
        getnameinfo(ai->ai_addr, ai->ai_addrlen, ip, sizeof ip, NULL, 0, NI_NUMERICHOST) != 0)
        return;
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->ip[i], ip) == 0)
            return;
    strcpy(r->ip[r->count++], ip);
}

static void *look_up(void *arg)
{
    struct job *j = arg;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    struct resolved found = {0};
    int status = getaddrinfo(j->host, NULL, &hints, &list);
    if (status == 0) {
        /* IPv4 first: an inspector listens on 127.0.0.1 unless it was told otherwise */
        for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
            if (ai->ai_family == AF_INET)
                add_found(&found, ai);
        for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
            if (ai->ai_family == AF_INET6)
                add_found(&found, ai);
        freeaddrinfo(list);
    }
    pthread_mutex_lock(&j->lock);
    j->found = found;
    j->status = status;
    j->done = true;
    if (j->wake)
        wake_send(j->wake);
    pthread_mutex_unlock(&j->lock);
    leave(j);
    return NULL;
}

static void delete_resolve(void *object)
{
    struct resolve *r = object;
    free(r->host);
    free(r);
}

static void end(struct resolve *r)
{
    r->over = true;
    if (r->job) {
        pthread_mutex_lock(&r->job->lock);
        r->job->wake = NULL;
        pthread_mutex_unlock(&r->job->lock);
        leave(r->job);
        r->job = NULL;
    }
    wake_free(r->wake);
    timer_free(r->timer);
    loop_discard(r->loop, &r->discard, delete_resolve, r);
}

static void on_done(void *arg)
{
    struct resolve *r = arg;
    struct err why = ERR_NONE;
    pthread_mutex_lock(&r->job->lock);
    bool done = r->job->done;
    int status = r->job->status;
    r->found = r->job->found;
    pthread_mutex_unlock(&r->job->lock);
    if (!done || r->over)
        return;
    if (status != 0)
        err_set(&why, ERR_UNREACHABLE, "no address is known for the host name \"%s\": %s", r->host,
            gai_strerror(status));
    else if (r->found.count == 0)
        err_set(&why, ERR_UNREACHABLE, "the host name \"%s\" has no IP address", r->host);
    r->fn(r->arg, why.code ? NULL : &r->found, why.code ? &why : NULL);
    end(r);
}

static void on_timer(void *arg)
{
    struct resolve *r = arg;
    struct err why = ERR_NONE;
    if (r->literal) {
        r->fn(r->arg, &r->found, NULL);
    } else {
        err_set(&why, ERR_UNREACHABLE, "looking up the host name \"%s\" takes too long", r->host);
        r->fn(r->arg, NULL, &why);
    }
    end(r);
}

static bool is_literal(const char *host)
{
    struct in_addr in;
    struct in6_addr in6;
    char bare[RESOLVE_IP_SIZE];
    if (strlen(host) >= sizeof bare)
        return false;
    strcpy(bare, host);
    bare[strcspn(bare, "%")] = '\0';
    return inet_pton(AF_INET, host, &in) == 1 || inet_pton(AF_INET6, bare, &in6) == 1;
}

static int start_thread(struct resolve *r, struct err *e)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j || !(j->host = strdup(r->host))) {
        free(j);
        return err_set(e, ERR_NOMEM, "out of memory for looking up \"%s\"", r->host);
    }
    pthread_mutex_init(&j->lock, NULL);
    j->owners = 2;
    j->wake = r->wake;
    r->job = j;
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, look_up, j);
    if (failed) {
        leave(j); /* the thread's share; ours is left in end() */
        return err_set_errno(e, ERR_INTERNAL, failed, "a thread for looking up \"%s\"", r->host);
    }
    pthread_detach(thread);
    return 0;
}

int resolve_start(struct loop *l, const char *host, int64_t deadline_us, resolve_fn fn, void *arg,
    struct resolve **ret_resolve, struct err *e)
{
    struct resolve *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "out of memory for looking up \"%s\"", host);
    r->loop = l;
    r->fn = fn;
    r->arg = arg;
    r->literal = is_literal(host);
    r->host = strdup(host);
    int rc = r->host ? 0 : err_set(e, ERR_NOMEM, "out of memory for looking up \"%s\"", host);
    if (!rc)
        rc = timer_new(l, on_timer, r, &r->timer, e);
    if (!rc && r->literal) {
        strcpy(r->found.ip[0], host);
        r->found.count = 1;
    } else if (!rc) {
        rc = wake_new(l, on_done, r, &r->wake, e);
        if (!rc)
            rc = start_thread(r, e);
    }
    if (rc) {
        end(r);
        return rc;
    }
    timer_start(r->timer, r->literal ? 0 : deadline_us);
    *ret_resolve = r;
    return 0;
}

void resolve_cancel(struct resolve *r)
{
    if (r)
        end(r);
}
