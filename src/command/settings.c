/* Settings: one table, four sources in a fixed order. */
#include "command/settings.h"

#include "base/text.h"
#include "command/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LINE_MAX  4096
#define FIRST_LONG     256 /* above every short option's character */
#define FIRST_NEGATION 1024

static const struct setting table[SET_COUNT] = {
    [SET_JSON] = {"json", 0, true, SETTING_FLAG, "false", NULL, NULL,
        "print JSON; run prints JSON Lines, each with a type"},
    [SET_CSV] = {"csv", 0, false, SETTING_FLAG, "false", NULL, NULL, "print tables as CSV"},
    [SET_OUTPUT] = {"output", 'o', false, SETTING_TEXT, NULL, NULL, "FILE",
        "write to FILE in place of the usual one"},
    [SET_QUIET] = {"quiet", 'q', true, SETTING_FLAG, "false", NULL, NULL,
        "no progress, and log lines only for errors"},
    [SET_VERBOSE] = {"verbose", 'v', true, SETTING_FLAG, "false", NULL, NULL,
        "log what happens on the wire, too"},
    [SET_COLOR] = {"color", 0, true, SETTING_TEXT, "auto", NULL, "auto|always|never",
        "colour in tables; NO_COLOR is heard"},
    [SET_CONFIG] = {"config", 0, true, SETTING_TEXT, NULL, NULL, "FILE",
        "read settings from FILE, default $XDG_CONFIG_HOME/heaptap/config"},
    [SET_TIMEOUT] = {"timeout", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "give up after DURATION with exit code 124"},
    [SET_WAIT] = {"wait", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "wait that long for a target that is not there yet"},
    [SET_GIVE_UP] = {"give-up", 0, false, SETTING_DURATION, "5m", NULL, "DURATION",
        "end with exit code 3 when every target has been gone for that long"},
    [SET_MATCH] = {"match", 0, false, SETTING_TEXT, NULL, NULL, "RE",
        "of several processes that COMMAND starts, watch those whose command line matches RE"},
    [SET_ALLOW_REMOTE] = {"allow-remote", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "attach to an address that is not this host's; inspector access is code execution"},
    [SET_DURATION] = {"duration", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "how long it goes on after the first attach; default: run until Ctrl-C, others 30s"},
    [SET_METRICS_INTERVAL] = {"metrics-interval", 0, false, SETTING_DURATION, "10s", NULL,
        "DURATION", "time between two memory readings"},
    [SET_SNAPSHOTS] = {"snapshots", 0, false, SETTING_FLAG, "true", "ENABLE_HEAP_SNAPSHOTS", NULL,
        "take heap snapshots on a schedule"},
    [SET_SNAPSHOT_INTERVAL] = {"snapshot-interval", 0, false, SETTING_MS, "60s",
        "HEAP_SNAPSHOT_INTERVAL", "DURATION", "time between two snapshots"},
    [SET_MAX_SNAPSHOTS] = {"max-snapshots", 0, false, SETTING_INTEGER, NULL, NULL, "N",
        "take at most N snapshots of each target, and N before and after its requests (40)"},
    [SET_LABEL] = {"label", 0, false, SETTING_TEXT, NULL, NULL, "TEXT",
        "a word for file names and the record"},
    [SET_SAMPLE_EVERY] = {"sample-every", 0, false, SETTING_SIZE, "32KB", NULL, "SIZE",
        "one sample of so many allocated bytes: less is finer, and costs more"},
    [SET_COLLAPSED] = {"collapsed", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "print stacks as flame graph tools and speedscope read them"},
    [SET_TREE] = {"tree", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "the same as --view top-down"},
    [SET_VIEW] = {"view", 0, false, SETTING_TEXT, NULL, NULL, "VIEW",
        "sites, flat (functions), top-down (callers first) or bottom-up; default: sites"},
    [SET_INTERVAL] = {"interval", 0, false, SETTING_TEXT, NULL, NULL, "N..M",
        "what lives of intervals N to M of a timeline, or of a time such as 1.5s..3s: its classes "
        "and who holds them"},
    [SET_DIFF] = {"diff", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "print what has grown from OLD to NEW"},
    [SET_TIMELINE_INTERVAL] = {"timeline-interval", 0, false, SETTING_DURATION, NULL, NULL,
        "DURATION", "record an allocation timeline that often; default: none"},
    [SET_TIMELINE_DURATION] = {"timeline-duration", 0, false, SETTING_DURATION, "30s", NULL,
        "DURATION", "how long each of them records"},
    [SET_STACKS] = {"stacks", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "record who allocates: allocation is 36 to 50 times slower meanwhile"},
    [SET_YES] = {"yes", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "agree to that without a question"},
    [SET_LIVE_PROFILE] = {"live-profile", 0, false, SETTING_TEXT, "512KB", NULL, "SIZE|off|steal",
        "sample what is allocated every SIZE bytes; steal takes over another's sampling"},
    [SET_LIVE_PROFILE_INTERVAL] = {"live-profile-interval", 0, false, SETTING_DURATION, "60s", NULL,
        "DURATION", "time between two readings of it; each forces a full GC"},
    [SET_REQUESTS] = {"requests", 0, false, SETTING_FLAG, "false", "ENABLE_MEMORY_MONITORING", NULL,
        "follow HTTP requests: memory before and after each, counts by route"},
    [SET_REQUESTS_SAMPLE] = {"requests-sample", 0, false, SETTING_SHARE, "100%", NULL, "SHARE",
        "record SHARE of the requests; all are counted"},
    [SET_REQUESTS_MATCH] = {"requests-match", 0, false, SETTING_TEXT, NULL, NULL, "RE",
        "record requests whose \"GET /path\" matches RE, a JavaScript expression; all are counted"},
    [SET_REQUESTS_OVERHEAD] = {"requests-overhead", 0, false, SETTING_SHARE, "5%", NULL, "SHARE",
        "record fewer requests when following them takes more than SHARE of a thread"},
    [SET_KEEP_QUERY] = {"keep-query", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "record the query strings of requests, too; they often hold secrets"},
    [SET_REQUEST_SNAPSHOTS] = {"request-snapshots", 0, false, SETTING_FLAG, "false",
        "TAKE_HEAP_SNAPSHOT", NULL,
        "a heap snapshot before and after each followed request, which waits for them"},
    [SET_HOLD] = {"hold", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "for those, hold the one request while others flow; else the whole process pauses"},
    [SET_GC_FLOOR] = {"gc-floor", 0, false, SETTING_TEXT, "auto", NULL, "auto|DURATION",
        "read the heap after the target's own full collections, or force one that often"},
    [SET_DIR] = {"dir", 0, false, SETTING_TEXT, "/tmp", NULL, "FOLDER", "where snapshots go"},
    [SET_COMPRESS] = {"compress", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "compress snapshots with zstd as they stream"},
    [SET_ANALYZE] = {"analyze", 0, false, SETTING_TEXT, "auto", NULL, "auto|off",
        "read each snapshot when it is complete: growth by class goes into the record"},
    [SET_KEEP] = {"keep", 0, false, SETTING_INTEGER, NULL, NULL, "N",
        "keep N snapshots of each target, the first and the latest always; delete the oldest "
        "others"},
    [SET_MAX_DISK] = {"max-disk", 0, false, SETTING_SIZE, NULL, NULL, "SIZE",
        "delete old snapshots of all runs in the folder so that they take no more than SIZE"},
    [SET_MIN_FREE] = {"min-free", 0, false, SETTING_SIZE, "256MB", NULL, "SIZE",
        "take no snapshot that would leave less free disk than SIZE"},
    [SET_MAX_PAUSE] = {"max-pause", 0, false, SETTING_DURATION, "10s", NULL, "DURATION",
        "refuse a capture that would stall the target longer"},
    [SET_MAX_PAUSE_SHARE] = {"max-pause-share", 0, false, SETTING_SHARE, "10%", NULL, "SHARE",
        "space scheduled snapshots out so that their stalls stay under SHARE of the time"},
    [SET_FORCE] = {"force", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "capture even if the guard refuses; the record says so"},
    [SET_DB] = {"db", 0, false, SETTING_TEXT, NULL, NULL, "DATABASE",
        "sqlite:PATH, postgres://… or a libpq connection string"},
    [SET_NO_MIGRATE] = {"no-migrate", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "do not create or update the tables"},
    [SET_SCHEMA] = {"schema", 0, false, SETTING_TEXT, NULL, NULL, "NAME",
        "the schema of the tables in PostgreSQL, in place of the connection's search_path"},
    [SET_ADOPT] = {"adopt", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "add nullable columns to a memory_metrics that heaptap did not make"},
    [SET_DRAIN] = {"drain", 0, false, SETTING_DURATION, "10s", NULL, "DURATION",
        "at the end, wait that long for PostgreSQL to take what is left"},
    [SET_LOCAL_KEEP] = {"local-keep", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "remove rows from SQLite that long after they were measured, once they are shipped"},
    [SET_OUTBOX_SIZE] = {"outbox-size", 0, false, SETTING_SIZE, "4GB", NULL, "SIZE",
        "bound on SQLite's file while PostgreSQL is away; the oldest request rows go first"},
    [SET_RUN] = {"run", 0, false, SETTING_TEXT, "latest", NULL, "ID",
        "which run: its id or latest"},
    [SET_SINCE] = {"since", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "only what is not older than DURATION"},
    [SET_OLDER] = {"older", 0, false, SETTING_DURATION, NULL, NULL, "DURATION",
        "only what is older than DURATION"},
    [SET_TOP] = {"top", 0, false, SETTING_INTEGER, NULL, NULL, "N", "only the first N rows"},
    [SET_PARTIAL] = {"partial", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "take what is there of a file that ends too early"},
    [SET_CLASS] = {"class", 0, false, SETTING_TEXT, NULL, NULL, "RE",
        "only classes whose name matches RE; {names} and (names) stand for themselves"},
    [SET_NAME] = {"name", 0, false, SETTING_TEXT, NULL, NULL, "RE",
        "only objects whose name matches RE"},
    [SET_KIND] = {"kind", 0, false, SETTING_TEXT, NULL, NULL, "KIND",
        "only objects of a kind such as object, closure, string, array, native"},
    [SET_MIN_SIZE] = {"min-size", 0, false, SETTING_SIZE, "0", NULL, "SIZE",
        "only classes that retain SIZE or more"},
    [SET_ONLY] = {"only", 0, false, SETTING_TEXT, NULL, NULL, "WHAT",
        "only what contexts, detached-dom, event-handlers or console alone retain, or duplicates, "
        "or shared-native-context, no-native-context, native-context=@ID"},
    [SET_AFTER] = {"after", 0, false, SETTING_TEXT, NULL, NULL, "FILE",
        "only objects allocated after that snapshot was taken"},
    [SET_BEFORE] = {"before", 0, false, SETTING_TEXT, NULL, NULL, "FILE",
        "only objects allocated before that snapshot was taken"},
    [SET_OBJECTS] = {"objects", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "name new objects of each class, with the way to them"},
    [SET_DEPTH] = {"depth", 0, false, SETTING_INTEGER, "6", NULL, "N", "go N steps down the tree"},
    [SET_SHARE] = {"share", 0, false, SETTING_SHARE, "1%", NULL, "SHARE",
        "cut branches that hold less than SHARE of the total size"},
    [SET_LONGEST] = {"longest", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "the strings that take most, in place of those with copies"},
    [SET_EXIT_CODE] = {"exit-code", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "end with 1 when it is a leak"},
    [SET_JSON_FILE] = {"json-file", 0, false, SETTING_TEXT, NULL, NULL, "FILE",
        "write the JSON there, too"},
    [SET_TARGET] = {"target", 0, false, SETTING_INTEGER, NULL, NULL, "N",
        "of a run with several targets, that one; default: the one that grows most"},
    [SET_DIAGNOSIS] = {"diagnosis", 0, false, SETTING_FLAG, "true", NULL, NULL,
        "end with the diagnosis, by a process of its own"},
    [SET_MARKDOWN] = {"markdown", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "text in Markdown, without pictures"},
    [SET_REQUEST] = {"request", 0, false, SETTING_TEXTS, NULL, NULL, "'METHOD URL [BODY]'",
        "send that; {n} is a running number, {uuid} a random one; give it several times"},
    [SET_BASE] = {"base", 0, false, SETTING_TEXT, NULL, NULL, "URL",
        "where a request goes that is only a path; default: where the one before goes"},
    [SET_HEADER] = {"header", 0, false, SETTING_TEXTS, NULL, NULL, "'NAME: VALUE'",
        "send that header with each request; give it several times"},
    [SET_BODY] = {"body", 0, false, SETTING_TEXT, NULL, NULL, "TEXT",
        "the body of requests that may have one and say none themselves"},
    [SET_REQUEST_COUNT] = {"count", 0, false, SETTING_INTEGER, NULL, NULL, "N",
        "requests a round; default: 100 for each --request, at least 300"},
    [SET_ROUNDS] = {"rounds", 0, false, SETTING_INTEGER, NULL, NULL, "N",
        "rounds; default: as many as tell the requests apart"},
    [SET_CONCURRENCY] = {"concurrency", 0, false, SETTING_INTEGER, "4", NULL, "N",
        "requests at a time"},
    [SET_REQUEST_TIMEOUT] = {"request-timeout", 0, false, SETTING_DURATION, "10s", NULL, "DURATION",
        "how long a request may take"},
    [SET_INSECURE] = {"insecure", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "take any certificate of an https:// server"},
    [SET_SETTLE] = {"settle", 0, false, SETTING_DURATION, "200ms", NULL, "DURATION",
        "let sockets close and timers pass for that long after a round"},
    [SET_PROBE_SNAPSHOTS] = {"snapshots", 0, false, SETTING_TEXT, "3", "HEAPTAP_PROBE_SNAPSHOTS",
        "N", "heap snapshots from the start to the end; 0 for none"},
    [SET_MAX_BYTES_PER_REQUEST] = {"max-bytes-per-request", 0, false, SETTING_SIZE, NULL, NULL,
        "SIZE", "with --exit-code: end with 1 only if a route keeps more than SIZE a request"},
    [SET_COMMANDS] = {"commands", 'c', false, SETTING_TEXT, NULL, NULL, "COMMANDS",
        "run COMMANDS, with ; between them, in place of asking"},
    [SET_SCRIPT] = {"script", 'f', false, SETTING_TEXT, NULL, NULL, "FILE",
        "run the commands of FILE"},
    [SET_STRICT] = {"strict", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "end a script with its first failure, and with that one's exit code"},
    [SET_DEADLINE] = {"deadline", 0, false, SETTING_DURATION, "10s", NULL, "DURATION",
        "how long to wait for an answer of the target"},
    [SET_WATCH] = {"watch", 0, false, SETTING_FLAG, "false", NULL, NULL,
        "read again and again, until Ctrl-C"},
    [SET_EVERY] = {"every", 0, false, SETTING_DURATION, "1s", NULL, "DURATION",
        "time between two readings"},
    [SET_TIMES] = {"times", 0, false, SETTING_INTEGER, NULL, NULL, "N", "end after N readings"},
};

struct value {
    char *text;   /* owned; as written, NULL: unset */
    char *source; /* owned */
    char **texts; /* owned, as each of them; of SETTING_TEXTS */
    size_t text_count;
    bool given;     /* not from the default */
    int64_t number; /* µs, bytes, integer, flag */
    double share;
};

struct settings {
    struct value values[SET_COUNT];
};

const struct setting *setting_get(enum setting_id id)
{
    return &table[id];
}

const char *setting_variable(enum setting_id id, char out[SETTING_VARIABLE_SIZE])
{
    if (table[id].variable)
        return table[id].variable;
    snprintf(out, SETTING_VARIABLE_SIZE, "HEAPTAP_%s", table[id].name);
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return out;
}

static void clear_value(struct value *v)
{
    for (size_t i = 0; i < v->text_count; i++)
        free(v->texts[i]);
    free(v->texts);
    free(v->text);
    free(v->source);
    *v = (struct value){0};
}

/* Puts v's text behind those that were given as options before. */
static int add_text(const struct value *old, struct value *v, struct err *e)
{
    bool more =
        old->text_count && strcmp(old->source, "option") == 0 && strcmp(v->source, "option") == 0;
    size_t kept = more ? old->text_count : 0;
    v->texts = calloc(kept + 1, sizeof *v->texts);
    for (size_t i = 0; v->texts && i <= kept; i++) {
        v->texts[i] = strdup(i < kept ? old->texts[i] : v->text);
        if (!v->texts[i])
            break;
        v->text_count++;
    }
    return v->text_count == kept + 1 ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* Where a bare number is milliseconds. */
static int read_plain_ms(const char *text, int64_t *ret_us, struct err *e)
{
    if (!text_is_digits(text) && text_parse_duration(text, ret_us, NULL) == 0)
        return 0;
    if (!text_is_digits(text))
        return err_set(e, ERR_USAGE,
            "\"%s\" is no number of milliseconds, such as 30000 (30s is fine, too)", text);
    int rc = text_parse_integer(text, 1, INT64_C(31536000000), ret_us, e);
    if (rc == 0)
        *ret_us *= 1000;
    return rc;
}

/* Checks text by the setting's type and keeps it. plain_ms: a bare number is milliseconds. */
static int set_value(struct settings *s, enum setting_id id, const char *text, bool plain_ms,
    const char *source, struct err *e)
{
    struct value v = {.given = true};
    bool flag = false;
    int rc = 0;
    switch (table[id].type) {
    case SETTING_TEXT:
    case SETTING_TEXTS: break;
    case SETTING_FLAG:
        rc = text_parse_bool(text, &flag, e);
        v.number = flag;
        break;
    case SETTING_MS:
    case SETTING_DURATION:
        rc = plain_ms && table[id].type == SETTING_MS ? read_plain_ms(text, &v.number, e)
                                                      : text_parse_duration(text, &v.number, e);
        if (rc == 0 && v.number <= 0)
            rc = err_set(e, ERR_USAGE, "\"%s\" must be longer than nothing", text);
        break;
    case SETTING_SIZE: rc = text_parse_size(text, &v.number, e); break;
    case SETTING_SHARE: rc = text_parse_share(text, &v.share, e); break;
    case SETTING_INTEGER: rc = text_parse_integer(text, 1, INT32_MAX, &v.number, e); break;
    }
    if (rc)
        return strcmp(source, "option") == 0 ? err_context(e, "--%s", table[id].name)
                                             : err_context(e, "%s (%s)", table[id].name, source);
    v.text = strdup(text);
    v.source = strdup(source);
    if (!v.text || !v.source)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    else if (table[id].type == SETTING_TEXTS)
        rc = add_text(&s->values[id], &v, e);
    clear_value(rc ? &v : &s->values[id]);
    if (rc == 0)
        s->values[id] = v;
    return rc;
}

static int read_defaults(struct settings *s, struct err *e)
{
    for (int id = SET_END + 1; id < SET_COUNT; id++) {
        if (!table[id].fallback)
            continue;
        int rc = set_value(s, (enum setting_id)id, table[id].fallback, false, "default", e);
        if (rc)
            return rc;
        s->values[id].given = false;
    }
    return 0;
}

static int read_environment(struct settings *s, struct err *e)
{
    for (int id = SET_END + 1; id < SET_COUNT; id++) {
        char own[SETTING_VARIABLE_SIZE], source[SETTING_VARIABLE_SIZE + 16];
        const char *name = setting_variable((enum setting_id)id, own);
        const char *text = getenv(name);
        if (!text || !*text)
            continue;
        snprintf(source, sizeof source, "environment %s", name);
        int rc = set_value(s, (enum setting_id)id, text, true, source, e);
        if (rc)
            return rc;
    }
    return 0;
}

static enum setting_id find_by_name(const char *name)
{
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (strcmp(table[id].name, name) == 0)
            return (enum setting_id)id;
    return SET_END;
}

/* Cuts spaces off both ends, in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

static int read_file_line(
    struct settings *s, char *line, const char *path, unsigned number, struct err *e)
{
    char *key = trim(line);
    if (*key == '\0' || *key == '#')
        return 0;
    char *equals = strchr(key, '=');
    if (!equals)
        return err_set(e, ERR_USAGE, "%s:%u: expected \"name = value\"", path, number);
    *equals = '\0';
    key = trim(key);
    enum setting_id id = find_by_name(key);
    if (id == SET_END || id == SET_CONFIG)
        return err_set(e, ERR_USAGE, "%s:%u: there is no setting \"%s\"", path, number, key);
    char *source = text_format("file %s:%u", path, number);
    if (!source)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = set_value(s, id, trim(equals + 1), false, source, e);
    free(source);
    return rc;
}

/* A file that was asked for must be there; the usual one need not. */
static int read_file(struct settings *s, const char *path, bool asked_for, struct err *e)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT && !asked_for)
            return 0;
        int reason = errno;
        return err_set(
            e, ERR_USAGE, "cannot read the configuration file %s: %s", path, strerror(reason));
    }
    char line[FILE_LINE_MAX];
    unsigned number = 0;
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, file)) {
        number++;
        if (!strchr(line, '\n') && !feof(file))
            rc = err_set(e, ERR_USAGE, "%s:%u: the line is longer than %d bytes", path, number,
                FILE_LINE_MAX - 2);
        else
            rc = read_file_line(s, line, path, number, e);
    }
    if (rc == 0 && ferror(file))
        rc = err_set(e, ERR_USAGE, "cannot read the configuration file %s", path);
    fclose(file);
    return rc;
}

static int read_usual_file(struct settings *s, struct err *e)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    char *path = NULL;
    if (base && base[0] == '/')
        path = text_format("%s/heaptap/config", base);
    else if (home && *home)
        path = text_format("%s/.config/heaptap/config", home);
    else
        return 0;
    if (!path)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = read_file(s, path, false, e);
    free(path);
    return rc;
}

static bool is_allowed(const enum setting_id *allowed, enum setting_id id)
{
    if (table[id].everywhere)
        return true;
    for (; allowed && *allowed != SET_END; allowed++)
        if (*allowed == id)
            return true;
    return false;
}

/* getopt's two tables, made from ours for one command. */
struct option_tables {
    char letters[2 * SET_COUNT + 8];
    struct option longs[2 * SET_COUNT + 2];
    char negations[SET_COUNT][64]; /* "no-NAME" */
};

static void build_tables(struct option_tables *t, const enum setting_id *allowed)
{
    size_t letters = 0, longs = 0;
    memset(t, 0, sizeof *t);
    t->letters[letters++] = ':'; /* tell a missing value from an unknown option */
    t->letters[letters++] = 'h';
    for (int id = SET_END + 1; id < SET_COUNT; id++) {
        const struct setting *setting = &table[id];
        if (!is_allowed(allowed, (enum setting_id)id))
            continue;
        bool flag = setting->type == SETTING_FLAG;
        if (setting->letter) {
            t->letters[letters++] = setting->letter;
            if (!flag)
                t->letters[letters++] = ':';
        }
        t->longs[longs++] = (struct option){
            setting->name, flag ? optional_argument : required_argument, NULL, FIRST_LONG + id};
        if (flag && strncmp(setting->name, "no-", 3) != 0) {
            snprintf(t->negations[id], sizeof t->negations[id], "no-%s", setting->name);
            t->longs[longs++] =
                (struct option){t->negations[id], no_argument, NULL, FIRST_NEGATION + id};
        }
    }
    t->longs[longs] = (struct option){"help", no_argument, NULL, 'h'};
}

static int read_option(struct settings *s, int option, bool *ret_help, struct err *e)
{
    if (option == 'h') {
        *ret_help = true;
        return 0;
    }
    if (option >= FIRST_NEGATION)
        return set_value(
            s, (enum setting_id)(option - FIRST_NEGATION), "false", false, "option", e);
    if (option >= FIRST_LONG)
        return set_value(s, (enum setting_id)(option - FIRST_LONG), optarg ? optarg : "true", false,
            "option", e);
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (table[id].letter == option)
            return set_value(s, (enum setting_id)id, optarg ? optarg : "true", false, "option", e);
    return err_set(e, ERR_INTERNAL, "option %d is in no table", option);
}

static int no_such_option(
    const struct option_tables *tables, const char *word, const char *command, struct err *e)
{
    char name[64];
    const char *bare = word + strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    struct nearest nearest = nearest_begin(name);
    for (const struct option *o = tables->longs; o->name; o++)
        nearest_try(&nearest, o->name);
    return err_set(e, ERR_USAGE, "there is no option %s here%s%s%s; see heaptap %s --help", word,
        nearest.found ? ", did you mean --" : "", nearest.found ? nearest.found : "",
        nearest.found ? "?" : "", command);
}

static int read_options(struct settings *s, const enum setting_id *allowed, int argc, char **argv,
    bool *ret_help, struct err *e)
{
    struct option_tables *tables = malloc(sizeof *tables);
    if (!tables)
        return err_set(e, ERR_NOMEM, "out of memory");
    build_tables(tables, allowed);
    int rc = 0;
    opterr = 0;
    optind = 0;
    for (;;) {
        int at = optind ? optind : 1;
        int option = getopt_long(argc, argv, tables->letters, tables->longs, NULL);
        if (option == -1)
            break;
        const char *word =
            optopt && optopt < FIRST_LONG ? NULL : argv[optind > at ? optind - 1 : at];
        if (option == '?' && !word)
            rc = err_set(e, ERR_USAGE, "there is no option -%c here; see heaptap %s --help", optopt,
                argv[0]);
        else if (option == '?')
            rc = no_such_option(tables, word, argv[0], e);
        else if (option == ':')
            rc = err_set(
                e, ERR_USAGE, "%s needs a value; see heaptap %s --help", argv[optind - 1], argv[0]);
        else
            rc = read_option(s, option, ret_help, e);
        if (rc)
            break;
    }
    free(tables);
    return rc;
}

/* Of a word like -qv: what the last letter takes, and nothing follows it in the word. */
static bool letters_want_value(const char *letters)
{
    for (; *letters; letters++)
        for (int id = SET_END + 1; id < SET_COUNT; id++)
            if (table[id].letter == *letters && table[id].type != SETTING_FLAG)
                return letters[1] == '\0';
    return false;
}

static bool name_wants_value(const char *name)
{
    enum setting_id id = find_by_name(name);
    return id != SET_END && table[id].type != SETTING_FLAG;
}

static bool stands_for_command(const char *word)
{
    static const char *const words[] = {"-", "--", "-h", "--help", "-V", "--version"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

int settings_leading(int argc, char **argv)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-' && !stands_for_command(argv[at])) {
        bool is_long = argv[at][1] == '-';
        at += (is_long ? name_wants_value(argv[at] + 2) : letters_want_value(argv[at] + 1)) ? 2 : 1;
    }
    return (at < argc ? at : argc) - 1;
}

int settings_read(const enum setting_id *allowed, int argc, char **argv, struct settings **ret,
    char ***ret_words, int *ret_word_count, char ***ret_after, bool *ret_help, struct err *e)
{
    struct settings *s = calloc(1, sizeof *s);
    struct settings *options = calloc(1, sizeof *options);
    bool help = false;
    int end = 0;
    int rc = 0;
    if (!s || !options) {
        rc = err_set(e, ERR_NOMEM, "out of memory");
        goto out;
    }
    while (end < argc && strcmp(argv[end], "--") != 0)
        end++;
    rc = read_options(options, allowed, end, argv, &help, e);
    if (rc)
        goto out;
    const char *path = options->values[SET_CONFIG].text;
    if (!path)
        path = getenv("HEAPTAP_CONFIG");
    rc = read_defaults(s, e);
    if (rc == 0)
        rc = path && *path ? read_file(s, path, true, e) : read_usual_file(s, e);
    if (rc == 0)
        rc = read_environment(s, e);
    for (int id = SET_END + 1; id < SET_COUNT && rc == 0; id++)
        if (options->values[id].text) {
            clear_value(&s->values[id]);
            s->values[id] = options->values[id];
            options->values[id] = (struct value){0};
        }
    if (rc)
        goto out;
    *ret_words = argv + optind;
    *ret_word_count = end - optind;
    *ret_after = end < argc ? argv + end + 1 : NULL;
    *ret_help = help;
    *ret = s;
    s = NULL;
out:
    settings_free(s);
    settings_free(options);
    return rc;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (int id = 0; id < SET_COUNT; id++)
        clear_value(&s->values[id]);
    free(s);
}

bool settings_given(const struct settings *s, enum setting_id id)
{
    return s->values[id].given;
}

const char *settings_text(const struct settings *s, enum setting_id id)
{
    return s->values[id].text;
}

const char *const *settings_texts(const struct settings *s, enum setting_id id, size_t *ret_count)
{
    *ret_count = s->values[id].text_count;
    return (const char *const *)s->values[id].texts;
}

bool settings_flag(const struct settings *s, enum setting_id id)
{
    return s->values[id].number != 0;
}

int64_t settings_number(const struct settings *s, enum setting_id id)
{
    return s->values[id].number;
}

double settings_share(const struct settings *s, enum setting_id id)
{
    return s->values[id].share;
}

const char *settings_source(const struct settings *s, enum setting_id id)
{
    return s->values[id].source ? s->values[id].source : "default";
}
