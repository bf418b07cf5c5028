/* The streaming check: a JSON automaton over bytes that knows the sections of a snapshot. */
#include "heap/whole.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/text.h"
#include "heap/whole_scan.h"

/* Top-level keys and those below "head" are compared up to here; longer ones are nobody we know. */
#define KEY_MAX 32
/* Numbers a row; V8 has had at most 7. */
#define FIELDS_MAX 64
/* Behind a byte that stopped the scanner, so many bytes are looked at one by one before it is asked
 * again. */
#define SCAN_PAUSE 64

enum lex {
    LEX_VALUE,        /* a value must follow */
    LEX_VALUE_OR_END, /* just after [ */
    LEX_KEY,          /* after a comma in an object */
    LEX_KEY_OR_END,   /* just after { */
    LEX_COLON,
    LEX_AFTER,   /* after a value: a comma or the end of what holds it */
    LEX_STRING,  /* in a string or a key */
    LEX_ESCAPE,  /* behind a backslash */
    LEX_HEX,     /* in \uXXXX */
    LEX_NUMBER,  /* behind the first byte of a number */
    LEX_LITERAL, /* in true, false, null */
    LEX_END,     /* after the whole */
};

enum section {
    SECTION_OTHER,
    SECTION_SNAPSHOT,
    SECTION_NODES,
    SECTION_EDGES,
    SECTION_TRACE_FUNCTIONS,
    SECTION_TRACE_TREE,
    SECTION_SAMPLES, /* of a timeline: numbers; of a profile: objects */
    SECTION_LOCATIONS,
    SECTION_STRINGS,
    SECTION_HEAD, /* of a profile */
    SECTION_COUNT,
};

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_SNAPSHOT] = "snapshot",
    [SECTION_NODES] = "nodes",
    [SECTION_EDGES] = "edges",
    [SECTION_TRACE_FUNCTIONS] = "trace_function_infos",
    [SECTION_TRACE_TREE] = "trace_tree",
    [SECTION_SAMPLES] = "samples",
    [SECTION_LOCATIONS] = "locations",
    [SECTION_STRINGS] = "strings",
    [SECTION_HEAD] = "head",
};

/* What the head of a snapshot says about a section of rows. */
struct rows {
    int64_t fields; /* numbers a row, 0 while unknown */
    int64_t count;  /* rows promised, -1 without a promise */
    int64_t found;  /* numbers (strings) seen */
};

struct whole {
    const struct whole_scanner *scanner;
    enum whole_kind kind;

    enum lex lex;
    bool in_key;                                /* the string is a key */
    unsigned hex_left;                          /* LEX_HEX */
    const char *literal;                        /* LEX_LITERAL: what must still come */
    unsigned depth;                             /* open arrays and objects */
    uint64_t objects[WHOLE_DEPTH_MAX / 64 + 1]; /* bit d: the container at depth d is an object */

    enum section section; /* of the top-level key in force */
    bool seen[SECTION_COUNT];
    char key[KEY_MAX];
    size_t key_length; /* may pass KEY_MAX: then the rest was not kept */
    bool has_call_frame;
    struct rows rows[SECTION_COUNT];
    struct buf meta; /* the bytes of "snapshot" */

    int64_t offset;     /* bytes taken */
    struct err failure; /* code 0 while all is well */
    enum whole_verdict verdict;
};

struct whole *whole_new(void)
{
    struct whole *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->scanner = whole_scanner_best();
    w->meta = buf_new(WHOLE_META_MAX);
    w->failure = ERR_NONE;
    for (size_t i = 0; i < SECTION_COUNT; i++)
        w->rows[i].count = -1;
    return w;
}

void whole_free(struct whole *w)
{
    if (!w)
        return;
    buf_free(&w->meta);
    free(w);
}

void whole_set_scanner(struct whole *w, const struct whole_scanner *scanner)
{
    w->scanner = scanner;
}

/* ---- failures ---- */

static int fail(struct whole *w, enum whole_verdict verdict, const char *format, ...)
    PRINTF_LIKE(3, 4);

static int fail(struct whole *w, enum whole_verdict verdict, const char *format, ...)
{
    char text[256];
    char at[TEXT_SHORT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    w->verdict = verdict;
    err_set(&w->failure, ERR_FORMAT, "%s at byte %s: %s", whole_verdict_name(verdict),
        text_count(at, w->offset), text);
    w->failure.position = w->offset;
    return ERR_FORMAT;
}

static int foreign(struct whole *w)
{
    w->verdict = WHOLE_FOREIGN;
    err_set(&w->failure, ERR_FORMAT,
        "foreign: this is no heap snapshot, allocation timeline or sampling profile");
    w->failure.position = w->offset;
    return ERR_FORMAT;
}

/* A byte that JSON does not allow here. Before the first key it means that this is something else.
 */
static int unexpected(struct whole *w, unsigned char c, const char *wanted)
{
    if (w->kind == WHOLE_UNKNOWN)
        return foreign(w);
    const char *section = section_names[w->section];
    char shown[8];
    snprintf(shown, sizeof shown, c > 0x20 && c < 0x7f ? "'%c'" : "0x%02x", c);
    return fail(w, WHOLE_DAMAGED, "%s in place of %s%s%s%s", shown, wanted, section ? " in \"" : "",
        section ? section : "", section ? "\"" : "");
}

/* ---- sections ---- */

static bool is_rows(enum section s)
{
    return s == SECTION_NODES || s == SECTION_EDGES || s == SECTION_TRACE_FUNCTIONS ||
           s == SECTION_SAMPLES || s == SECTION_LOCATIONS;
}

static int begin_section(struct whole *w)
{
    enum section s = SECTION_OTHER;
    for (int i = SECTION_OTHER + 1; i < SECTION_COUNT; i++) {
        size_t length = strlen(section_names[i]);
        if (length == w->key_length && memcmp(w->key, section_names[i], length) == 0)
            s = (enum section)i;
    }
    if (w->kind == WHOLE_UNKNOWN) {
        if (s == SECTION_SNAPSHOT)
            w->kind = WHOLE_SNAPSHOT;
        else if (s == SECTION_HEAD || s == SECTION_SAMPLES)
            w->kind = WHOLE_PROFILE;
        else
            return foreign(w);
    }
    if (w->kind == WHOLE_PROFILE && s != SECTION_HEAD && s != SECTION_SAMPLES)
        s = SECTION_OTHER;
    if (s != SECTION_OTHER && w->seen[s])
        return fail(w, WHOLE_DAMAGED, "a second \"%s\"", section_names[s]);
    w->seen[s] = true;
    w->section = s;
    return 0;
}

/* The first byte of a top-level value or of an element right below it. */
static int check_value(struct whole *w, unsigned char c)
{
    if (w->depth == 1 && w->section != SECTION_OTHER) {
        bool object = w->section == SECTION_SNAPSHOT || w->section == SECTION_HEAD;
        if (c != (object ? '{' : '['))
            return unexpected(w, c, object ? "{" : "[");
    } else if (w->depth == 2 && w->kind == WHOLE_SNAPSHOT) {
        if (is_rows(w->section) && c != '-' && (c < '0' || c > '9'))
            return unexpected(w, c, "a number");
        if (w->section == SECTION_STRINGS && c != '"')
            return unexpected(w, c, "a string");
    }
    return 0;
}

/* A whole number of at least 0, or -1. */
static int64_t get_count(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 0x1p53)
        return -1;
    int64_t count = (int64_t)item->valuedouble;
    return (double)count == item->valuedouble ? count : -1;
}

static int64_t get_fields(const cJSON *meta, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(meta, name);
    int count = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 0;
    return count > 0 && count <= FIELDS_MAX ? count : 0;
}

static int end_meta(struct whole *w)
{
    cJSON *snapshot = cJSON_ParseWithLength(w->meta.data, w->meta.length);
    const cJSON *meta = cJSON_GetObjectItemCaseSensitive(snapshot, "meta");
    struct rows *r = w->rows;
    r[SECTION_NODES].fields = get_fields(meta, "node_fields");
    r[SECTION_NODES].count = get_count(snapshot, "node_count");
    r[SECTION_EDGES].fields = get_fields(meta, "edge_fields");
    r[SECTION_EDGES].count = get_count(snapshot, "edge_count");
    r[SECTION_TRACE_FUNCTIONS].fields = get_fields(meta, "trace_function_info_fields");
    /* trace_function_count is no promise: V8 writes it before it has written out the tree, and more
     * functions follow (72 told, 81 there on Node 18; likewise up to 26). */
    r[SECTION_SAMPLES].fields = get_fields(meta, "sample_fields");
    r[SECTION_LOCATIONS].fields = get_fields(meta, "location_fields");
    r[SECTION_STRINGS].fields = 1;
    cJSON_Delete(snapshot);
    buf_free(&w->meta);
    if (r[SECTION_NODES].fields == 0 || r[SECTION_EDGES].fields == 0)
        return fail(
            w, WHOLE_DAMAGED, "\"snapshot.meta\" does not tell the fields of a node and an edge");
    if (r[SECTION_NODES].count < 0 || r[SECTION_EDGES].count < 0)
        return fail(w, WHOLE_DAMAGED, "\"snapshot\" does not tell node_count and edge_count");
    return 0;
}

static int end_rows(struct whole *w)
{
    const struct rows *r = &w->rows[w->section];
    const char *name = section_names[w->section];
    bool known = r->fields > 0;
    if (known && r->count >= 0 && r->found != r->count * r->fields)
        return fail(w, WHOLE_DAMAGED,
            "\"%s\" holds %" PRId64 " numbers, but \"snapshot\" tells of %" PRId64
            " rows of %" PRId64,
            name, r->found, r->count, r->fields);
    if (known && r->found % r->fields != 0)
        return fail(w, WHOLE_DAMAGED,
            "\"%s\" holds %" PRId64 " numbers, which are no rows of %" PRId64, name, r->found,
            r->fields);
    return 0;
}

static int end_section(struct whole *w)
{
    int rc = 0;
    if (w->kind == WHOLE_SNAPSHOT && w->section == SECTION_SNAPSHOT)
        rc = end_meta(w);
    else if (w->kind == WHOLE_SNAPSHOT && is_rows(w->section))
        rc = end_rows(w);
    else if (w->section == SECTION_HEAD && w->kind == WHOLE_PROFILE && !w->has_call_frame)
        rc = fail(w, WHOLE_DAMAGED, "\"head\" has no \"callFrame\"");
    w->section = SECTION_OTHER;
    return rc;
}

static int end_whole(struct whole *w)
{
    static const enum section needed[] = {SECTION_NODES, SECTION_EDGES, SECTION_STRINGS};
    w->lex = LEX_END;
    if (w->kind == WHOLE_UNKNOWN)
        return foreign(w);
    if (w->kind == WHOLE_PROFILE)
        return w->seen[SECTION_HEAD] ? 0 : fail(w, WHOLE_DAMAGED, "it has no \"head\"");
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!w->seen[needed[i]])
            return fail(w, WHOLE_DAMAGED, "it has no \"%s\"", section_names[needed[i]]);
    return 0;
}

/* ---- the automaton ---- */

static bool in_object(const struct whole *w)
{
    return w->objects[w->depth / 64] >> (w->depth % 64) & 1;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int open_container(struct whole *w, bool object)
{
    if (w->depth == WHOLE_DEPTH_MAX)
        return fail(w, WHOLE_DAMAGED, "more than %d levels of brackets", WHOLE_DEPTH_MAX);
    w->depth++;
    uint64_t bit = UINT64_C(1) << (w->depth % 64);
    if (object)
        w->objects[w->depth / 64] |= bit;
    else
        w->objects[w->depth / 64] &= ~bit;
    w->lex = object ? LEX_KEY_OR_END : LEX_VALUE_OR_END;
    return 0;
}

static int close_container(struct whole *w, unsigned char c)
{
    if (c != (in_object(w) ? '}' : ']'))
        return unexpected(w, c, in_object(w) ? ", or }" : ", or ]");
    if (w->depth == 2 && !in_object(w) && w->lex != LEX_VALUE_OR_END)
        w->rows[w->section].found++;
    w->depth--;
    w->lex = LEX_AFTER;
    if (w->depth == 0)
        return end_whole(w);
    return w->depth == 1 ? end_section(w) : 0;
}

static int begin_value(struct whole *w, unsigned char c)
{
    int rc = check_value(w, c);
    if (rc != 0)
        return rc;
    switch (c) {
    case '{':
    case '[': return open_container(w, c == '{');
    case '"':
        w->lex = LEX_STRING;
        w->in_key = false;
        return 0;
    case 't': w->literal = "rue"; break;
    case 'f': w->literal = "alse"; break;
    case 'n': w->literal = "ull"; break;
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return unexpected(w, c, "a value");
        w->lex = LEX_NUMBER;
        return 0;
    }
    w->lex = LEX_LITERAL;
    return 0;
}

static int end_key(struct whole *w)
{
    static const char call_frame[] = "callFrame";
    w->lex = LEX_COLON;
    if (w->depth == 1)
        return begin_section(w);
    if (w->depth == 2 && w->section == SECTION_HEAD && w->key_length == sizeof call_frame - 1 &&
        memcmp(w->key, call_frame, sizeof call_frame - 1) == 0)
        w->has_call_frame = true;
    return 0;
}

static int step_string(struct whole *w, unsigned char c)
{
    if (w->lex == LEX_ESCAPE) {
        if (c == '\0' || !strchr("\"\\/bfnrtu", c))
            return unexpected(w, c, "an escape sequence");
        w->lex = c == 'u' ? LEX_HEX : LEX_STRING;
        w->hex_left = 4;
    } else if (w->lex == LEX_HEX) {
        if (!strchr("0123456789abcdefABCDEF", c) || c == '\0')
            return unexpected(w, c, "a hexadecimal digit");
        if (--w->hex_left == 0)
            w->lex = LEX_STRING;
    } else if (c == '"') {
        if (w->in_key)
            return end_key(w);
        w->lex = LEX_AFTER;
        return 0;
    } else if (c == '\\') {
        w->lex = LEX_ESCAPE;
    } else if (c < 0x20) {
        return unexpected(w, c, "text");
    }
    if (w->in_key && w->key_length++ < KEY_MAX)
        w->key[w->key_length - 1] = (char)c;
    return 0;
}

static int step_after(struct whole *w, unsigned char c)
{
    if (is_space(c))
        return 0;
    if (c != ',')
        return close_container(w, c);
    if (w->depth == 2 && !in_object(w))
        w->rows[w->section].found++;
    w->lex = in_object(w) ? LEX_KEY : LEX_VALUE;
    return 0;
}

static int step_key(struct whole *w, unsigned char c)
{
    if (is_space(c))
        return 0;
    if (c == '}' && w->lex == LEX_KEY_OR_END)
        return close_container(w, c);
    if (c != '"')
        return unexpected(w, c, "a key");
    w->lex = LEX_STRING;
    w->in_key = true;
    w->key_length = 0;
    return 0;
}

static int step_value(struct whole *w, unsigned char c)
{
    if (is_space(c))
        return 0;
    if (w->depth == 0 && c != '{')
        return foreign(w);
    if (c == ']' && w->lex == LEX_VALUE_OR_END)
        return close_container(w, c);
    return begin_value(w, c);
}

static int step(struct whole *w, unsigned char c)
{
    switch (w->lex) {
    case LEX_VALUE:
    case LEX_VALUE_OR_END: return step_value(w, c);
    case LEX_KEY:
    case LEX_KEY_OR_END: return step_key(w, c);
    case LEX_COLON:
        if (is_space(c))
            return 0;
        if (c != ':')
            return unexpected(w, c, ":");
        w->lex = LEX_VALUE;
        return 0;
    case LEX_STRING:
    case LEX_ESCAPE:
    case LEX_HEX: return step_string(w, c);
    case LEX_NUMBER:
        /* Whether the number is well formed matters to the loader; here it is only of the right
         * bytes. */
        if (strchr("0123456789+-.eE", c) && c != '\0')
            return 0;
        w->lex = LEX_AFTER;
        return step_after(w, c);
    case LEX_LITERAL:
        if (c != (unsigned char)*w->literal)
            return unexpected(w, c, "true, false or null");
        w->lex = *++w->literal ? LEX_LITERAL : LEX_AFTER;
        return 0;
    case LEX_AFTER: return step_after(w, c);
    case LEX_END:
        return is_space(c) ? 0
                           : fail(w, WHOLE_DAMAGED, "more bytes after the end of the %s",
                                 whole_kind_name(w->kind));
    }
    return err_set(&w->failure, ERR_INTERNAL, "the wholeness check is in no state");
}

/* ---- the fast ways ---- */

static size_t scan_numbers(struct whole *w, const unsigned char *bytes, size_t count)
{
    enum number_state state = w->lex == LEX_NUMBER  ? NUMBER_DIGIT
                              : w->lex == LEX_AFTER ? NUMBER_GAP
                                                    : NUMBER_COMMA;
    size_t taken = w->scanner->numbers(bytes, count, &state, &w->rows[w->section].found);
    if (taken > 0)
        w->lex = state == NUMBER_DIGIT ? LEX_NUMBER : state == NUMBER_GAP ? LEX_AFTER : LEX_VALUE;
    return taken;
}

static size_t scan_strings(struct whole *w, const unsigned char *bytes, size_t count)
{
    static const enum lex after[] = {[STRING_INSIDE] = LEX_STRING,
        [STRING_ESCAPED] = LEX_ESCAPE,
        [STRING_AFTER] = LEX_AFTER,
        [STRING_COMMA] = LEX_VALUE};
    enum string_state state = w->lex == LEX_STRING  ? STRING_INSIDE
                              : w->lex == LEX_AFTER ? STRING_AFTER
                                                    : STRING_COMMA;
    size_t taken = w->scanner->strings(bytes, count, &state, &w->rows[w->section].found);
    if (taken > 0) {
        w->lex = after[state];
        w->in_key = false;
    }
    return taken;
}

/* Takes what a scanner can take of an array of numbers or strings right below a top-level key. */
static size_t scan(struct whole *w, const unsigned char *bytes, size_t count)
{
    if (w->depth != 2 || w->kind != WHOLE_SNAPSHOT || in_object(w))
        return 0;
    if (w->section == SECTION_STRINGS)
        return w->lex == LEX_STRING || w->lex == LEX_AFTER || w->lex == LEX_VALUE
                   ? scan_strings(w, bytes, count)
                   : 0;
    if (is_rows(w->section) || w->section == SECTION_OTHER)
        return w->lex == LEX_NUMBER || w->lex == LEX_AFTER || w->lex == LEX_VALUE
                   ? scan_numbers(w, bytes, count)
                   : 0;
    return 0;
}

static int keep_meta(struct whole *w, unsigned char c)
{
    if (w->section != SECTION_SNAPSHOT || (w->depth == 1 && w->lex == LEX_COLON))
        return 0;
    char byte = (char)c;
    int rc = buf_add(&w->meta, &byte, 1);
    if (rc == ERR_FULL)
        return fail(w, WHOLE_DAMAGED, "\"snapshot\" is longer than %d bytes", WHOLE_META_MAX);
    return rc == 0 ? 0 : err_set(&w->failure, rc, "out of memory");
}

int whole_feed(struct whole *w, const void *data, size_t count, struct err *e)
{
    const unsigned char *bytes = data;
    size_t i = 0, pause_until = 0;
    int rc = w->failure.code;
    while (i < count && rc == 0) {
        if (i >= pause_until) {
            size_t taken = scan(w, bytes + i, count - i);
            i += taken;
            w->offset += (int64_t)taken;
            pause_until = w->depth == 2 ? i + SCAN_PAUSE : i + 1;
            if (i == count)
                break;
        }
        rc = keep_meta(w, bytes[i]);
        if (rc == 0)
            rc = step(w, bytes[i]);
        if (rc == 0) {
            i++;
            w->offset++;
        }
    }
    if (rc != 0 && e)
        *e = w->failure;
    return rc;
}

/* What is missing, in words, for a file that ends too early. */
static int ends_early(struct whole *w)
{
    const struct rows *r = &w->rows[w->section];
    const char *name = section_names[w->section];
    if (w->offset == 0)
        return fail(w, WHOLE_TRUNCATED, "the file is empty");
    if (!name)
        return fail(w, WHOLE_TRUNCATED, "it ends %s",
            w->kind == WHOLE_UNKNOWN ? "before its first key" : "before the closing brace");
    if (r->fields > 0 && r->count >= 0) {
        char found[TEXT_SHORT], promised[TEXT_SHORT];
        return fail(w, WHOLE_TRUNCATED, "it ends in \"%s\", after %s of %s rows", name,
            text_count(found, r->found / r->fields), text_count(promised, r->count));
    }
    return fail(w, WHOLE_TRUNCATED, "it ends in \"%s\"", name);
}

static int64_t rows_found(const struct whole *w, enum section s)
{
    const struct rows *r = &w->rows[s];
    return r->fields > 0 ? r->found / r->fields : 0;
}

int whole_finish(struct whole *w, struct whole_result *ret, struct err *e)
{
    int rc = w->failure.code;
    if (rc == 0 && w->lex != LEX_END)
        rc = ends_early(w);
    *ret = (struct whole_result){.verdict = w->verdict,
        .kind = w->kind,
        .position = w->failure.position,
        .bytes = w->offset,
        .nodes = rows_found(w, SECTION_NODES),
        .edges = rows_found(w, SECTION_EDGES),
        .strings = rows_found(w, SECTION_STRINGS),
        .samples = w->kind == WHOLE_SNAPSHOT ? rows_found(w, SECTION_SAMPLES) : 0,
        .trace_functions = rows_found(w, SECTION_TRACE_FUNCTIONS)};
    if (rc != 0 && e)
        *e = w->failure;
    return rc;
}

const char *whole_verdict_name(enum whole_verdict v)
{
    static const char *const names[] = {[WHOLE_OK] = "whole",
        [WHOLE_TRUNCATED] = "truncated",
        [WHOLE_DAMAGED] = "damaged",
        [WHOLE_FOREIGN] = "foreign"};
    return names[v];
}

const char *whole_kind_name(enum whole_kind k)
{
    static const char *const names[] = {
        [WHOLE_UNKNOWN] = "unknown", [WHOLE_SNAPSHOT] = "snapshot", [WHOLE_PROFILE] = "profile"};
    return names[k];
}

const char *whole_scanner_name(void)
{
    return whole_scanner_best()->name;
}
