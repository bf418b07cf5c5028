/* Tokens of JavaScript. */
#include "diagnose/tokens.h"

#include <string.h>

struct tokens tokens_new(const char *text, size_t length)
{
    struct tokens s = {.text = text, .length = length};
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        s.at = 3;
    if (length >= s.at + 2 && memcmp(text + s.at, "#!", 2) == 0)
        while (s.at < length && text[s.at] != '\n')
            s.at++;
    return s;
}

bool tokens_is(const struct tokens *s, struct token token, const char *name)
{
    return token.kind == TOKEN_NAME && token.length == strlen(name) &&
           memcmp(s->text + token.at, name, token.length) == 0;
}

bool tokens_is_one_of(
    const struct tokens *s, struct token token, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tokens_is(s, token, names[i]))
            return true;
    return false;
}

static char peek(const struct tokens *s, size_t ahead)
{
    return s->at + ahead < s->length ? s->text[s->at + ahead] : '\0';
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80);
}

/* ---- what is passed over ---- */

static void skip_comment(struct tokens *s, bool line)
{
    const char *from = s->text + s->at, *end = line ? memchr(from, '\n', s->length - s->at)
                                                    : memmem(from, s->length - s->at, "*/", 2);
    s->at = end ? (size_t)(end - s->text) + (line ? 0 : 2) : s->length;
}

/* Returns whether a line has ended. */
static bool skip_space(struct tokens *s)
{
    bool line = s->at == 0;
    while (s->at < s->length) {
        char c = s->text[s->at];
        if (c == '\n' || c == '\r')
            line = true;
        if (c == '/' && peek(s, 1) == '/') {
            skip_comment(s, true);
        } else if (c == '/' && peek(s, 1) == '*') {
            s->at += 2;
            skip_comment(s, false);
        } else if (c == ' ' || (c >= '\t' && c <= '\r')) {
            s->at++;
        } else {
            break;
        }
    }
    return line;
}

static void skip_string(struct tokens *s, char quote)
{
    for (s->at++; s->at < s->length && s->text[s->at] != '\n'; s->at++) {
        if (s->text[s->at] == '\\')
            s->at++;
        else if (s->text[s->at] == quote) {
            s->at++;
            return;
        }
    }
}

/* From within a template to its end, or behind the ${ of an expression. */
static void skip_template(struct tokens *s)
{
    for (; s->at < s->length; s->at++) {
        char c = s->text[s->at];
        if (c == '\\') {
            s->at++;
        } else if (c == '`') {
            s->at++;
            return;
        } else if (c == '$' && peek(s, 1) == '{') {
            s->at += 2;
            if (s->templates == TOKEN_TEMPLATES_MAX)
                s->at = s->length;
            else
                s->braces[s->templates++] = 0;
            return;
        }
    }
}

/* False: the line ends before it does, so that it was a division. */
static bool skip_regex(struct tokens *s)
{
    bool set = false;
    for (size_t i = s->at + 1; i < s->length && s->text[i] != '\n'; i++) {
        char c = s->text[i];
        if (c == '\\')
            i++;
        else if (c == '[' || c == ']')
            set = c == '[';
        else if (c == '/' && !set) {
            s->at = i + 1;
            return true;
        }
    }
    return false;
}

/* ---- tokens ---- */

static bool may_be_regex(const struct tokens *s)
{
    static const char *const words[] = {"return", "typeof", "case", "in", "of", "delete", "void",
        "throw", "new", "else", "do", "instanceof", "yield", "await"};
    if (s->last.kind == TOKEN_SIGN)
        return !strchr(")]}", s->last.sign);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (tokens_is(s, s->last, words[i]))
            return true;
    return s->last.kind == TOKEN_END;
}

static void read_sign(struct tokens *s, struct token *t)
{
    static const struct {
        const char *text;
        char sign;
    } signs[] = {{"...", TOKEN_REST}, {"===", TOKEN_COMPARE}, {"!==", TOKEN_COMPARE}, {"||=", '='},
        {"&&=", '='}, {"?\?=", '='}, {"=>", TOKEN_ARROW}, {"==", TOKEN_COMPARE},
        {"!=", TOKEN_COMPARE}, {"<=", TOKEN_COMPARE}, {">=", TOKEN_COMPARE}, {"+=", TOKEN_COMPARE},
        {"-=", TOKEN_COMPARE}, {"*=", TOKEN_COMPARE}, {"/=", TOKEN_COMPARE}, {"%=", TOKEN_COMPARE},
        {"|=", TOKEN_COMPARE}, {"&=", TOKEN_COMPARE}, {"^=", TOKEN_COMPARE}, {"?.", '.'}};
    t->kind = TOKEN_SIGN;
    t->sign = s->text[s->at];
    size_t length = 1;
    for (size_t i = 0; i < sizeof signs / sizeof *signs && length == 1; i++) {
        size_t more = strlen(signs[i].text);
        if (s->length - s->at >= more && memcmp(s->text + s->at, signs[i].text, more) == 0) {
            t->sign = signs[i].sign;
            length = more;
        }
    }
    s->at += length;
}

/* Braces within ${ }: its own closing one is no token, the template goes on. True: it was that. */
static bool close_template(struct tokens *s, char c)
{
    if (!s->templates)
        return false;
    unsigned *open = &s->braces[s->templates - 1];
    if (c == '{')
        ++*open;
    if (c != '}' || (*open)-- > 0)
        return false;
    s->templates--;
    s->at++;
    skip_template(s);
    return true;
}

struct token tokens_next(struct tokens *s)
{
    bool first = skip_space(s);
    struct token t = {.kind = TOKEN_END, .first = first, .at = s->at};
    char c = peek(s, 0);
    if (s->at >= s->length) {
        s->last = t;
        return t;
    }
    if (is_name_byte(c) || (c == '#' && is_name_byte(peek(s, 1)))) {
        t.kind = c >= '0' && c <= '9' ? TOKEN_VALUE : TOKEN_NAME;
        for (s->at++; is_name_byte(peek(s, 0));)
            s->at++;
    } else if (c == '"' || c == '\'') {
        t.kind = TOKEN_VALUE;
        skip_string(s, c);
    } else if (c == '`') {
        t.kind = TOKEN_VALUE;
        s->at++;
        skip_template(s);
    } else if (close_template(s, c)) {
        t.kind = TOKEN_VALUE;
    } else if (c == '/' && may_be_regex(s) && skip_regex(s)) {
        t.kind = TOKEN_VALUE;
    } else {
        read_sign(s, &t);
    }
    if (s->at > s->length)
        s->at = s->length;
    t.length = s->at - t.at;
    s->last = t;
    return t;
}
