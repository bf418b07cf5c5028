/* Passwords, headers, bodies and query strings stay out of what heaptap shows and records. */
#include "command/secrets.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define HIDDEN "***"
#define VALUE_MAX                                                                                  \
    (16 * 1024 * 1024) /* a word of a command has 128 KB; escaped, and several times */

/* A connection string or URL without its password; NULL when memory is out. Behind the first word
 * "password" (password=, sslpassword=) nothing is shown at all. */
static char *without_password(const char *text)
{
    const char *authority = strstr(text, "://");
    const char *at = authority ? strrchr(authority, '@') : NULL;
    const char *colon = authority ? strchr(authority + 3, ':') : NULL;
    bool in_authority = at && colon && colon < at;
    const char *rest = in_authority ? at : text;
    const char *word = strcasestr(rest, "password");
    return text_format("%.*s%s%.*s%s", in_authority ? (int)(colon - text) : 0, text,
        in_authority ? ":" HIDDEN : "", word ? (int)(word - rest) : (int)strlen(rest), rest,
        word ? HIDDEN : "");
}

/* "POST http://host/path?*** ***": what is sent, without its query and body. The method may be
 * missing. */
static char *without_query_and_body(const char *request)
{
    size_t word = strcspn(request, " ");
    size_t url = memchr(request, '/', word) ? 0 : word + strspn(request + word, " ");
    size_t path = url + strcspn(request + url, " ?");
    size_t end = path + strcspn(request + path, " ");
    size_t body = end + strspn(request + end, " ");
    char *shown = text_format("%.*s%s%s", (int)path, request, end > path ? "?" HIDDEN : "",
        request[body] ? " " HIDDEN : "");
    char *safe = shown ? without_password(shown) : NULL;
    free(shown);
    return safe;
}

/* A value as it may be seen by anyone who looks on; owned by the caller. */
static char *without_secrets(enum setting_id id, const char *text)
{
    switch (id) {
    case SET_HEADER: return text_format("%.*s: " HIDDEN, (int)strcspn(text, ": "), text);
    case SET_BODY: return strdup(HIDDEN);
    case SET_REQUEST: return without_query_and_body(text);
    default: return without_password(text);
    }
}

/* Of a setting that may be given several times all values, with commas between them. */
static int add_values(struct buf *out, const struct settings *s, enum setting_id id)
{
    size_t count = 0;
    const char *const *texts = settings_texts(s, id, &count);
    const char *only = settings_text(s, id);
    int rc = 0;
    if (count == 0) {
        texts = &only;
        count = 1;
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        char *value = without_secrets(id, texts[i]);
        rc = i ? buf_add_text(out, ", ") : 0;
        if (rc == 0)
            rc = value ? text_add_visible(out, value, strlen(value)) : ERR_NOMEM;
        free(value);
    }
    return rc;
}

char *secrets_hidden(const struct settings *s, enum setting_id id)
{
    struct buf out = buf_new(VALUE_MAX);
    char *value = NULL;
    if (settings_text(s, id) && add_values(&out, s, id) == 0)
        value = strdup(out.data ? out.data : "");
    buf_free(&out);
    return value;
}
