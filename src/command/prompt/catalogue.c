/* The protocol that the target in use speaks. */
#include "command/prompt/catalogue.h"

#include "cdp/address.h"

#define FETCH_DEADLINE_US (10 * 1000000LL)

static void fetched(void *arg, const struct http_reply *r, const struct err *why)
{
    struct session *s = arg;
    s->fetch = NULL;
    s->fetched = true;
    s->fetch_why = ERR_NONE;
    if (why)
        s->fetch_why = *why;
    else if (r->status != 200)
        err_set(&s->fetch_why, ERR_PROTOCOL, "the target does not tell its protocol (status %d)",
            r->status);
    else if (protocol_read(r->body, r->length, &s->protocol, &s->fetch_why) == 0)
        vocabulary_set_protocol(s->vocabulary, s->protocol);
    session_stir(s);
}

void catalogue_fetch(struct session *s)
{
    const struct run_target *t = session_facts(s);
    struct address address;
    if (!t || s->fetch || s->fetched ||
        address_parse(t->identity.address, &address, &s->fetch_why) != 0)
        return;
    struct http_request q = {.ip = address.host,
        .port = address.port,
        .network = t->identity.network,
        .path = "/json/protocol",
        .max_bytes = PROTOCOL_MAX,
        .deadline_us = FETCH_DEADLINE_US};
    if (http_get(s->loop, &q, fetched, s, &s->fetch, &s->fetch_why) != 0)
        s->fetched = true;
}

void catalogue_forget(struct session *s)
{
    http_cancel(s->fetch);
    s->fetch = NULL;
    s->fetched = false;
    vocabulary_set_protocol(s->vocabulary, NULL);
    protocol_free(s->protocol);
    s->protocol = NULL;
}

int catalogue_get(struct session *s, const struct protocol **ret, struct err *e)
{
    catalogue_fetch(s);
    if (s->fetch) {
        int rc = session_wait(s, &s->fetched, e);
        if (rc)
            return rc;
    }
    if (!s->protocol) {
        if (s->fetch_why.code == 0)
            return err_set(e, ERR_UNREACHABLE, "there is no target to ask for its protocol");
        *e = s->fetch_why;
        return e->code;
    }
    *ret = s->protocol;
    return 0;
}
