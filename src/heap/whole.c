/* The streaming check: a JSON automaton over bytes. */
#include "heap/whole.h"

#include "base/text.h"
#include "heap/whole_inside.h"
#include "heap/whole_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind a byte that stopped the scanner, so many bytes are looked at one by one before it is asked
 * again. */
#define SCAN_PAUSE 64

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

int whole_fail(struct whole *w, enum whole_verdict verdict, const char *format, ...)
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

int whole_foreign(struct whole *w)
{
    w->verdict = WHOLE_FOREIGN;
    err_set(&w->failure, ERR_FORMAT,
        "foreign: this is no heap snapshot, allocation timeline or sampling profile");
    w->failure.position = w->offset;
    return ERR_FORMAT;
}

int whole_unexpected(struct whole *w, unsigned char c, const char *wanted)
{
    if (w->kind == WHOLE_UNKNOWN)
        return whole_foreign(w);
    const char *section = whole_section_name(w->section);
    char shown[8];
    snprintf(shown, sizeof shown, c > 0x20 && c < 0x7f ? "'%c'" : "0x%02x", c);
    return whole_fail(w, WHOLE_DAMAGED, "%s in place of %s%s%s%s", shown, wanted,
        section ? " in \"" : "", section ? section : "", section ? "\"" : "");
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
        return whole_fail(w, WHOLE_DAMAGED, "more than %d levels of brackets", WHOLE_DEPTH_MAX);
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
        return whole_unexpected(w, c, in_object(w) ? ", or }" : ", or ]");
    if (w->depth == 2 && !in_object(w) && w->lex != LEX_VALUE_OR_END)
        w->rows[w->section].found++;
    w->depth--;
    w->lex = LEX_AFTER;
    if (w->depth == 0)
        return whole_end(w);
    return w->depth == 1 ? whole_end_section(w) : 0;
}

static int begin_value(struct whole *w, unsigned char c)
{
    int rc = whole_check_value(w, c);
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
            return whole_unexpected(w, c, "a value");
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
        return whole_begin_section(w);
    if (w->depth == 2 && w->section == SECTION_HEAD && w->key_length == sizeof call_frame - 1 &&
        memcmp(w->key, call_frame, sizeof call_frame - 1) == 0)
        w->has_call_frame = true;
    return 0;
}

static int step_string(struct whole *w, unsigned char c)
{
    if (w->lex == LEX_ESCAPE) {
        if (c == '\0' || !strchr("\"\\/bfnrtu", c))
            return whole_unexpected(w, c, "an escape sequence");
        w->lex = c == 'u' ? LEX_HEX : LEX_STRING;
        w->hex_left = 4;
    } else if (w->lex == LEX_HEX) {
        if (!strchr("0123456789abcdefABCDEF", c) || c == '\0')
            return whole_unexpected(w, c, "a hexadecimal digit");
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
        return whole_unexpected(w, c, "text");
    }
    if (w->in_key && w->key_length++ < WHOLE_KEY_MAX)
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
        return whole_unexpected(w, c, "a key");
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
        return whole_foreign(w);
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
            return whole_unexpected(w, c, ":");
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
            return whole_unexpected(w, c, "true, false or null");
        w->lex = *++w->literal ? LEX_LITERAL : LEX_AFTER;
        return 0;
    case LEX_AFTER: return step_after(w, c);
    case LEX_END:
        return is_space(c) ? 0
                           : whole_fail(w, WHOLE_DAMAGED, "more bytes after the end of the %s",
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
    if (whole_is_rows(w->section) || w->section == SECTION_OTHER)
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
        return whole_fail(w, WHOLE_DAMAGED, "\"snapshot\" is longer than %d bytes", WHOLE_META_MAX);
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

int whole_finish(struct whole *w, struct whole_result *ret, struct err *e)
{
    int rc = w->failure.code;
    if (rc == 0 && w->lex != LEX_END)
        rc = whole_ends_early(w);
    *ret = (struct whole_result){.verdict = w->verdict,
        .kind = w->kind,
        .position = w->failure.position,
        .bytes = w->offset,
        .nodes = whole_rows_found(w, SECTION_NODES),
        .edges = whole_rows_found(w, SECTION_EDGES),
        .strings = whole_rows_found(w, SECTION_STRINGS),
        .samples = w->kind == WHOLE_SNAPSHOT ? whole_rows_found(w, SECTION_SAMPLES) : 0,
        .trace_functions = whole_rows_found(w, SECTION_TRACE_FUNCTIONS)};
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
