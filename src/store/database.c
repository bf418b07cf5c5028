/* Which databases are in use, from what users and ORMs write. */
#include "store/database.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "store/pg.h"
#include "store/place.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX ((size_t)16 << 10) /* longer than any browser's; a certificate path fits often */

struct database {
    char *path;
    bool postgres;
    struct pg_options options;
    char *schema;
    char *destination;
};

void database_free(struct database *d)
{
    if (!d)
        return;
    free(d->path);
    pg_options_free(&d->options);
    free(d->schema);
    free(d->destination);
    free(d);
}

/* ---- URLs ---- */

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Undoes %XX; owned, NULL when memory is out. */
static char *decode(const char *text, size_t length)
{
    char *out = malloc(length + 1);
    char *to = out;
    for (size_t i = 0; out && i < length; i++) {
        if (text[i] == '%' && i + 2 < length && isxdigit((unsigned char)text[i + 1]) &&
            isxdigit((unsigned char)text[i + 2])) {
            *to++ = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            *to++ = text[i];
        }
    }
    if (out)
        *to = '\0';
    return out;
}

static bool key_is(const char *key, size_t length, const char *name)
{
    return strlen(name) == length && strncmp(key, name, length) == 0;
}

static bool value_is(const char *value, const char *end, const char *word)
{
    return value < end && (size_t)(end - value) == strlen(word) &&
           strncasecmp(value, word, strlen(word)) == 0;
}

/* One "key=value" of a URL's query: kept for libpq, understood, or named in *dropped. */
static int take_parameter(
    struct database *d, const char *from, const char *end, struct buf *kept, struct buf *dropped)
{
    const char *equals = memchr(from, '=', (size_t)(end - from));
    size_t length = (size_t)((equals ? equals : end) - from);
    const char *value = equals ? equals + 1 : end;
    char key[64];
    const char *join = kept->length ? "&" : "?";
    if (length == 0)
        return 0;
    if (key_is(from, length, "schema")) { /* Prisma's word for the search_path */
        free(d->schema);
        d->schema = decode(value, (size_t)(end - value));
        return d->schema ? 0 : ERR_NOMEM;
    }
    if (key_is(from, length, "ssl")) /* node-postgres; libpq knows ssl=true alone */
        return value_is(value, end, "true") || value_is(value, end, "1")
                   ? buf_addf(kept, "%ssslmode=require", join)
                   : 0;
    if (key_is(from, length, "sslmode") && value_is(value, end, "no-verify"))
        return buf_addf(kept, "%ssslmode=require", join); /* require verifies nothing */
    snprintf(key, sizeof key, "%.*s", (int)length, from);
    if (length < sizeof key && pg_knows_option(key))
        return buf_addf(kept, "%s%.*s", join, (int)(end - from), from);
    return buf_addf(dropped, "%s%s", dropped->length ? ", " : "", key);
}

/* Puts the URL together anew without what libpq does not know. */
static int parse_url(struct database *d, const char *url, const char *source, struct err *e)
{
    struct buf clean = buf_new(URL_MAX), kept = buf_new(URL_MAX), dropped = buf_new(URL_MAX);
    const char *rest = strstr(url, "://");
    const char *question = strchr(rest, '?');
    int base = question ? (int)(question - rest) : (int)strcspn(rest, "#");
    int rc = buf_addf(&clean, "postgresql%.*s", base, rest);
    const char *at = question ? question + 1 : "";
    while (rc == 0 && *at && *at != '#') {
        const char *end = at + strcspn(at, "&#");
        rc = take_parameter(d, at, end, &kept, &dropped);
        at = *end == '&' ? end + 1 : end;
    }
    if (rc == 0 && kept.length)
        rc = buf_add(&clean, kept.data, kept.length);
    if (rc != 0)
        rc = err_set(e, rc == ERR_FULL ? ERR_USAGE : rc, "%s is too long", source);
    else
        rc = pg_options_parse(clean.data, &d->options, e);
    if (rc == 0 && dropped.length)
        log_info("%s: dropped what libpq does not know: %s", source, dropped.data);
    buf_free(&clean);
    buf_free(&kept);
    buf_free(&dropped);
    return rc;
}

static bool is_postgres_scheme(const char *text)
{
    size_t length = strcspn(text, "+:");
    return (length == 8 && strncasecmp(text, "postgres", 8) == 0) ||
           (length == 10 && strncasecmp(text, "postgresql", 10) == 0);
}

/* ---- choosing ---- */

static int add_quoted(struct buf *out, const char *key, const char *value)
{
    int rc = buf_addf(out, "%s%s='", out->length ? " " : "", key);
    for (const char *c = value; *c && rc == 0; c++)
        rc = buf_addf(out, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    return rc == 0 ? buf_add_text(out, "'") : rc;
}

/* "key=value" of what identifies a database, as libpq will resolve it; never a secret. */
static int describe(struct database *d, struct err *e)
{
    static const char *const keys[] = {
        "service", "host", "hostaddr", "port", "dbname", "user", NULL};
    struct buf out = buf_new(URL_MAX);
    int rc = 0;
    for (int i = 0; keys[i] && rc == 0; i++) {
        const char *given = pg_options_get(&d->options, keys[i]);
        char *usual = given ? NULL : pg_options_default(keys[i]);
        const char *value = given ? given : usual;
        if (value && *value)
            rc = add_quoted(&out, keys[i], value);
        free(usual);
    }
    if (rc == 0 && d->schema)
        rc = add_quoted(&out, "schema", d->schema);
    d->destination = rc == 0 ? buf_take(&out) : NULL;
    buf_free(&out);
    return d->destination ? 0 : err_set(e, ERR_NOMEM, "no memory for the database's name");
}

static int choose_postgres(struct database *d, const char *text, const char *source, struct err *e)
{
    int rc;
    d->postgres = true;
    if (strstr(text, "://") && !is_postgres_scheme(text))
        return err_set(e, ERR_USAGE,
            "%s names a database that is neither PostgreSQL nor SQLite (%.*s…)", source,
            (int)strcspn(text, ":"), text);
    if (strstr(text, "://"))
        rc = parse_url(d, text, source, e);
    else if (*text && !strchr(text, '='))
        return err_set(e, ERR_USAGE,
            "%s: \"%s\" is no database: write sqlite:PATH, postgres://… or host=… dbname=…", source,
            text);
    else
        rc = pg_options_parse(text, &d->options, e);
    if (rc != 0)
        return e ? err_context(e, "%s", source) : rc;
    if (!pg_options_get(&d->options, "fallback_application_name"))
        rc = pg_options_set(&d->options, "fallback_application_name", "heaptap", e);
    if (rc == 0)
        rc = pg_options_set(&d->options, "client_encoding", "UTF8", e);
    return rc;
}

static int choose_by_environment(struct database *d, struct err *e)
{
    const char *logging = getenv("ENABLE_MEMORY_DB_LOGGING");
    const char *url = getenv("DATABASE_URL");
    bool wanted = false;
    if (!logging || !*logging)
        return 0;
    int rc = text_parse_bool(logging, &wanted, e);
    if (rc != 0)
        return e ? err_context(e, "ENABLE_MEMORY_DB_LOGGING") : rc;
    if (!wanted)
        return 0;
    bool given = url && *url;
    return choose_postgres(d, given ? url : "", given ? "DATABASE_URL" : "PG* variables", e);
}

int database_choose(const char *text, const char *schema, struct database **ret, struct err *e)
{
    int rc = 0;
    const char *file = NULL;
    struct database *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for the database's name");
    if (text && strncmp(text, "sqlite:", 7) == 0) {
        file = text + 7;
        if (strncmp(file, "//", 2) == 0) /* sqlite:///absolute/path, as ORMs write it */
            file += 2;
        if (!*file)
            rc = err_set(e, ERR_USAGE, "--db sqlite: names no file");
    } else if (text && *text) {
        rc = choose_postgres(d, text, "--db", e);
    } else {
        rc = choose_by_environment(d, e);
    }
    if (rc == 0 && schema) {
        free(d->schema);
        d->schema = strdup(schema);
        if (!d->schema)
            rc = err_set(e, ERR_NOMEM, "no memory for the schema's name");
    }
    if (rc == 0 && d->postgres)
        rc = describe(d, e);
    if (rc == 0)
        rc = place_find(file, &d->path, e);
    if (rc == 0)
        *ret = d;
    else
        database_free(d);
    return rc;
}

const char *database_path(const struct database *d)
{
    return d->path;
}

bool database_is_postgres(const struct database *d)
{
    return d->postgres;
}

const char *database_destination(const struct database *d)
{
    return d->destination;
}

const struct pg_options *database_options(const struct database *d)
{
    return &d->options;
}

const char *database_schema(const struct database *d)
{
    return d->schema;
}
