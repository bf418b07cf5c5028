/* A request of the load as a user writes it: "GET http://127.0.0.1:3000/page", "/page" behind an
 * earlier one, 'POST /items {"name":"{uuid}"}'. Pure text. */
#ifndef HEAPTAP_COLLECT_LOAD_REQUEST_H
#define HEAPTAP_COLLECT_LOAD_REQUEST_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define LOAD_REQUESTS_MAX 200 /* as many routes as the hook tells apart */
#define LOAD_METHOD_MAX   32
#define LOAD_URL_MAX      4096
#define LOAD_BODY_MAX     (16 * 1024 * 1024)

/* All texts are owned; those with placeholders are filled by load_request_fill. */
struct load_request {
    char *method;
    char *url;   /* whole, with placeholders */
    char *body;  /* with placeholders; NULL: none */
    char *route; /* its path, without the query, placeholders as :n and :uuid */
    bool json;   /* the body is JSON */
};

/* base: what a path is appended to, such as "http://127.0.0.1:3000", NULL: a whole URL is needed.
 * body: for a request whose method takes one and that has none of its own; NULL: none.
 * ERR_USAGE. */
int load_request_parse(const char *text, const char *base, const char *body,
    struct load_request *ret, struct err *e) MUST_USE;
void load_request_clear(struct load_request *q);

/* Checks "http://host[:port]" or "https://…", with a path perhaps, and returns it without a slash
 * at its end; owned by the caller. */
int load_base_parse(const char *text, char **ret, struct err *e) MUST_USE;
/* Scheme, host and port of a request's URL; owned by the caller, NULL when memory is out. */
char *load_request_base(const struct load_request *q);

/* Appends text with {n} as number and {uuid} as a random one. */
int load_request_fill(const char *text, int64_t number, struct buf *out, struct err *e) MUST_USE;

#endif
