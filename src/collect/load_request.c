/* Requests of the load as text. */
#include "collect/load_request.h"

#include "base/text.h"
#include "base/uuid.h"
#include "cdp/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_MARK "{n}"
#define UUID_MARK   "{uuid}"

#define FORMS "expected 'METHOD URL [BODY]', such as 'GET http://127.0.0.1:3000/page'"

static const char *behind_scheme(const char *url)
{
    if (strncasecmp(url, "http://", 7) == 0)
        return url + 7;
    return strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

/* Printable ASCII without blanks: what a request line may hold; the rest has to be %-escaped. */
static int check_url(const char *url, size_t length, struct err *e)
{
    const char *host = behind_scheme(url);
    if (length >= LOAD_URL_MAX)
        return err_set(e, ERR_USAGE, "the URL is longer than %d bytes", LOAD_URL_MAX - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] > '~')
            return err_set(e, ERR_USAGE, "the URL has a character that must be written as %%%02X",
                (unsigned char)url[i]);
    size_t authority = host ? strcspn(host, "/?#") : 0;
    const char *at = authority ? memrchr(host, '@', authority) : NULL;
    const char *name = at ? at + 1 : host;
    if (!host || name == host + authority || *name == ':')
        return err_set(
            e, ERR_USAGE, "\"%.*s\" is no http:// or https:// URL with a host", (int)length, url);
    return 0;
}

int load_base_parse(const char *text, char **ret, struct err *e)
{
    size_t length = strlen(text);
    while (length && text[length - 1] == '/')
        length--;
    int rc = check_url(text, length, e);
    if (rc == 0 && memchr(text, '?', length))
        rc = err_set(e, ERR_USAGE, "\"%s\" has a query", text);
    if (rc)
        return rc;
    char *copy = strndup(text, length);
    if (!copy)
        return err_set(e, ERR_NOMEM, "out of memory");
    *ret = copy;
    return 0;
}

char *load_request_base(const struct load_request *q)
{
    const char *host = behind_scheme(q->url);
    return strndup(q->url, (size_t)(host - q->url) + strcspn(host, "/?#"));
}

static bool takes_body(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

/* A method is letters in capitals; anything else in its place is a URL. */
static size_t method_length(const char *text)
{
    size_t length = 0;
    while (isupper((unsigned char)text[length]) || (length && text[length] == '-'))
        length++;
    return isspace((unsigned char)text[length]) ? length : 0;
}

/* "/products/{n}?x=1" as "/products/:n"; owned by the caller, NULL when memory is out. */
static char *route_of(const char *url)
{
    const char *host = behind_scheme(url);
    const char *path = host + strcspn(host, "/?#");
    struct buf out = buf_new(LOAD_URL_MAX);
    int rc = *path == '/' ? 0 : buf_add_text(&out, "/");
    while (rc == 0 && *path && *path != '?' && *path != '#') {
        size_t digits = strspn(path, "0123456789");
        bool whole = digits && path[-1] == '/' && strchr("/?#", path[digits]);
        if (whole || strncmp(path, NUMBER_MARK, sizeof NUMBER_MARK - 1) == 0) {
            rc = buf_add_text(&out, ":n");
            path += whole ? digits : sizeof NUMBER_MARK - 1;
        } else if (strncmp(path, UUID_MARK, sizeof UUID_MARK - 1) == 0) {
            rc = buf_add_text(&out, ":uuid");
            path += sizeof UUID_MARK - 1;
        } else {
            rc = buf_add(&out, path++, 1);
        }
    }
    if (rc == 0)
        return buf_take(&out);
    buf_free(&out);
    return NULL;
}

static bool is_json(const char *body)
{
    struct err e = ERR_NONE;
    struct buf filled = buf_new(LOAD_BODY_MAX + LOAD_BODY_MAX / 2);
    cJSON *tree = NULL;
    bool json = load_request_fill(body, 0, &filled, &e) == 0 && filled.length &&
                json_parse(filled.data, filled.length, &tree, &e) == 0;
    cJSON_Delete(tree);
    buf_free(&filled);
    return json;
}

int load_request_parse(
    const char *text, const char *base, const char *body, struct load_request *ret, struct err *e)
{
    struct load_request q = {0};
    text += strspn(text, " \t\r\n");
    size_t length = method_length(text);
    if (length >= LOAD_METHOD_MAX)
        return err_set(e, ERR_USAGE, "no method has %zu letters", length);
    q.method = length ? strndup(text, length) : strdup("GET");
    text += length + strspn(text + length, " \t\r\n");
    length = strcspn(text, " \t\r\n");
    int rc = q.method ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && length == 0)
        rc = err_set(e, ERR_USAGE, "no URL; " FORMS);
    if (rc == 0 && *text == '/' && !base)
        rc = err_set(e, ERR_USAGE, "\"%.*s\" needs --base, or an earlier request with a whole URL",
            (int)length, text);
    if (rc)
        goto out;
    q.url = text_format("%s%.*s", *text == '/' ? base : "", (int)length, text);
    text += length + strspn(text + length, " \t\r\n");
    if (*text)
        q.body = strdup(text);
    else if (body && takes_body(q.method))
        q.body = strdup(body);
    if (!q.url || (!q.body && (*text || (body && takes_body(q.method)))))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = check_url(q.url, strlen(q.url), e);
    if (rc == 0 && q.body && !takes_body(q.method))
        rc = err_set(e, ERR_USAGE, "a %s has no body; " FORMS, q.method);
    if (rc == 0 && q.body && strlen(q.body) > LOAD_BODY_MAX)
        rc = err_set(e, ERR_USAGE, "the body is longer than %d MB", LOAD_BODY_MAX >> 20);
    if (rc == 0 && !(q.route = route_of(q.url)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    q.json = rc == 0 && q.body && is_json(q.body);
out:
    if (rc == 0)
        *ret = q;
    else
        load_request_clear(&q);
    return rc;
}

void load_request_clear(struct load_request *q)
{
    free(q->method);
    free(q->url);
    free(q->body);
    free(q->route);
    *q = (struct load_request){0};
}

int load_request_fill(const char *text, int64_t number, struct buf *out, struct err *e)
{
    int rc = 0;
    while (*text && rc == 0) {
        size_t plain = strcspn(text, "{");
        char uuid[UUID_TEXT_SIZE];
        rc = buf_add(out, text, plain);
        text += plain;
        if (rc || !*text)
            break;
        if (strncmp(text, NUMBER_MARK, sizeof NUMBER_MARK - 1) == 0) {
            rc = buf_addf(out, "%lld", (long long)number);
            text += sizeof NUMBER_MARK - 1;
        } else if (strncmp(text, UUID_MARK, sizeof UUID_MARK - 1) == 0) {
            rc = uuid_new(uuid, e);
            if (rc)
                return rc;
            rc = buf_add_text(out, uuid);
            text += sizeof UUID_MARK - 1;
        } else {
            rc = buf_add(out, text++, 1);
        }
    }
    return rc ? err_set(e, rc, "a request with its placeholders filled takes too much memory") : 0;
}
