/* Declarations in a script. */
#include "diagnose/declaration.h"

#include "diagnose/tokens.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS_MAX  1024 /* brackets in brackets; a script that has more is not read further */
#define SEEN_MAX    64   /* declarations of the name around the place, and parameters that wait */
#define NOWHERE     SIZE_MAX
#define FILE_LEVEL  0
#define VOID_TOKENS 400 /* exports of a file, four tokens each */

struct level {
    char open;     /* ( [ { or 0: the file */
    size_t at;     /* its offset; of a class's body that of the keyword */
    bool list;     /* const a, b: names that follow a comma are declared */
    bool expect;   /* the next name is declared */
    bool pattern;  /* {a, b: c} or [a, b] of a declaration, or parameters */
    bool is_class; /* the body of a class */
    bool is_for;
    bool class_begun; /* the keyword has come, the body has not */
    size_t class_at;
    int params; /* level of the round brackets that are perhaps parameters; -1 */
};

enum rank { RANK_NONE, RANK_LITERAL, RANK_MEMBER, RANK_THIS, RANK_FIELD };

struct seen {
    size_t at;    /* of the name */
    size_t start; /* where it is seen from on */
    int level;    /* whose end ends that */
    enum rank rank;
};

struct search {
    struct tokens script;
    const char *name;
    size_t name_length, from;
    enum declaration_kind kind;
    bool of_file; /* what the file itself has, not its classes and functions */
    struct level levels[LEVELS_MAX];
    int depth; /* levels in use */
    struct seen list[SEEN_MAX], waiting[SEEN_MAX];
    int count, waits;
    struct seen only, after; /* the first of all; the first behind the place, of a property */
    size_t total;
    struct token before, previous, now;
};

static struct level *top(struct search *s)
{
    return &s->levels[s->depth - 1];
}

static bool is_now(const struct search *s, const char *word)
{
    return tokens_is(&s->script, s->now, word);
}

static bool is_previous(const struct search *s, const char *word)
{
    return tokens_is(&s->script, s->previous, word);
}

static bool previous_sign(const struct search *s, char sign)
{
    return s->previous.kind == TOKEN_SIGN && s->previous.sign == sign;
}

static bool is_name(const struct search *s)
{
    return s->now.kind == TOKEN_NAME && s->now.length == s->name_length &&
           memcmp(s->script.text + s->now.at, s->name, s->name_length) == 0;
}

/* ---- what has been seen ---- */

static void see(struct search *s, struct seen seen)
{
    if (s->total++ == 0)
        s->only = seen;
    bool nearer =
        s->after.rank == RANK_NONE || (s->after.rank < RANK_THIS && seen.rank >= RANK_THIS);
    if (seen.at >= s->from && nearer)
        s->after = seen;
    if (seen.start <= s->from && s->count < SEEN_MAX)
        s->list[s->count++] = seen;
}

static void close_level(struct search *s, int level, size_t at)
{
    int kept = 0;
    for (int i = 0; i < s->count; i++)
        if (s->list[i].level != level || at >= s->from) {
            s->list[kept] = s->list[i];
            if (s->list[kept].level == level)
                s->list[kept].level = -1; /* it is around the place, whatever follows */
            kept++;
        }
    s->count = kept;
}

static void declare(struct search *s)
{
    struct level *l = top(s);
    struct seen seen = {.at = s->now.at, .start = l->at, .level = s->depth - 1};
    if (l->params >= 0) {
        seen.level = l->params;
        if (s->waits < SEEN_MAX)
            s->waiting[s->waits++] = seen;
        return;
    }
    /* Within a pattern it is of the level around. */
    for (; seen.level > FILE_LEVEL && s->levels[seen.level].pattern;)
        seen.level--;
    seen.start = s->levels[seen.level].at;
    see(s, seen);
}

/* Round brackets have closed: parameters if a body or an arrow follows, the head of a loop. */
static void resolve(struct search *s, const struct level *closed)
{
    struct tokens ahead = s->script;
    struct token next = tokens_next(&ahead);
    bool block = next.kind == TOKEN_SIGN && next.sign == '{';
    bool arrow = next.kind == TOKEN_SIGN && next.sign == TOKEN_ARROW;
    int kept = 0;
    if (arrow) {
        next = tokens_next(&ahead);
        block = next.kind == TOKEN_SIGN && next.sign == '{';
    }
    for (int i = 0; i < s->waits; i++) {
        struct seen seen = s->waiting[i];
        if (seen.level < s->depth) {
            s->waiting[kept++] = seen;
            continue;
        }
        if (!block && !arrow && !closed->is_for)
            continue;
        seen.level = block ? s->depth : s->depth - 1;
        seen.start = block ? next.at : closed->at;
        see(s, seen);
    }
    s->waits = kept;
}

/* ---- brackets ---- */

static void open_bracket(struct search *s)
{
    struct level *l = top(s);
    struct level new = {.open = s->now.sign, .at = s->now.at, .params = -1};
    bool binding = l->expect && s->now.sign != '(' && !is_previous(s, "class");
    if (s->now.sign == '(' && s->kind == DECLARATION_VARIABLE) {
        static const char *const not_parameters[] = {"if", "while", "switch", "with"};
        new.is_for = is_previous(s, "for") ||
                     (is_previous(s, "await") && tokens_is(&s->script, s->before, "for"));
        bool may = !new.is_for;
        for (size_t i = 0; i < sizeof not_parameters / sizeof *not_parameters; i++)
            may = may && !is_previous(s, not_parameters[i]);
        new.pattern = new.expect = may;
        new.params = may || new.is_for ? s->depth : -1;
    } else if (binding) {
        new.pattern = new.expect = true;
        new.params = l->params;
    } else if (s->now.sign == '{' && l->class_begun) {
        new.is_class = true;
        new.at = l->class_at;
    }
    l->expect = false;
    if (s->now.sign == '{')
        l->class_begun = false;
    s->levels[s->depth++] = new;
}

static void close_bracket(struct search *s)
{
    if (s->depth == 1)
        return; /* one too many: of a text that is no script, or that was misread */
    struct level closed = *top(s);
    s->depth--;
    close_level(s, s->depth, s->now.at);
    if (closed.open == '(')
        resolve(s, &closed);
}

/* ---- variables ---- */

static bool is_one_of(const struct search *s, const char *const *words, size_t count)
{
    return tokens_is_one_of(&s->script, s->now, words, count);
}

static void see_variable_name(struct search *s)
{
    static const char *const lists[] = {"const", "let", "var", "import", "using"};
    static const char *const heads[] = {"function", "class"};
    struct level *l = top(s);
    bool property = previous_sign(s, '.');
    if (!property && is_one_of(s, lists, sizeof lists / sizeof *lists)) {
        l->list = l->expect = true;
        return;
    }
    if (!property && is_one_of(s, heads, sizeof heads / sizeof *heads)) {
        l->expect = true;
        return;
    }
    bool wanted = is_name(s) && !property;
    l->expect |= is_previous(s, "as") && (l->list || l->pattern);
    struct tokens ahead = s->script;
    struct token next = tokens_next(&ahead);
    bool key = next.kind == TOKEN_SIGN && next.sign == ':' && l->pattern && l->open == '{';
    bool arrow = next.kind == TOKEN_SIGN && next.sign == TOKEN_ARROW;
    if (wanted && arrow) {
        next = tokens_next(&ahead);
        bool block = next.kind == TOKEN_SIGN && next.sign == '{';
        see(s, (struct seen){.at = s->now.at,
                   .start = block ? next.at : s->now.at,
                   .level = block ? s->depth : s->depth - 1});
    } else if (wanted && l->expect && !key) {
        declare(s);
    }
    l->expect = false;
}

static void see_variable_sign(struct search *s)
{
    struct level *l = top(s);
    switch (s->now.sign) {
    case ',': l->expect = l->list || l->pattern; break;
    case ':': l->expect = l->pattern && l->open == '{'; break;
    case ';': l->list = l->expect = false; break;
    case '*': /* function *name, import * as name */
    case TOKEN_REST: break;
    default: l->expect = false;
    }
}

/* ---- properties ---- */

static bool begins_member(const struct search *s)
{
    static const char *const modifiers[] = {
        "static", "readonly", "private", "public", "protected", "declare", "override", "accessor"};
    for (size_t i = 0; i < sizeof modifiers / sizeof *modifiers; i++)
        if (is_previous(s, modifiers[i]))
            return true;
    if (previous_sign(s, ';') || previous_sign(s, '{') || previous_sign(s, '}'))
        return true;
    return s->now.first && s->previous.kind != TOKEN_SIGN;
}

/* exports.a = exports.b = void 0; is what TypeScript begins with, no declaration. */
static bool is_void(const struct search *s)
{
    struct tokens ahead = s->script;
    struct token next = tokens_next(&ahead);
    for (int i = 0; i < VOID_TOKENS && next.kind != TOKEN_END && next.sign != ';'; i++) {
        if (tokens_is(&ahead, next, "void"))
            return true;
        next = tokens_next(&ahead);
        if (next.first)
            break;
    }
    return false;
}

static void see_property_name(struct search *s)
{
    struct level *l = top(s);
    if (is_now(s, "class") && !previous_sign(s, '.')) {
        l->class_begun = true;
        l->class_at = s->now.at;
        return;
    }
    if (!is_name(s))
        return;
    struct tokens ahead = s->script;
    struct token next = tokens_next(&ahead);
    char sign = next.kind == TOKEN_SIGN ? next.sign : '\0';
    struct seen seen = {.at = s->now.at, .start = NOWHERE, .level = -1};
    for (int i = s->depth - 1; i >= 0 && seen.level < 0; i--)
        if (s->levels[i].is_class) {
            seen.level = i;
            seen.start = s->levels[i].at;
        }
    if (previous_sign(s, '.') && sign == '=')
        seen.rank = tokens_is(&s->script, s->before, "this") ? RANK_THIS : RANK_MEMBER;
    else if (l->is_class && sign != '(' && begins_member(s))
        seen.rank = RANK_FIELD;
    else if (l->open == '{' && !l->is_class && sign == ':' &&
             (previous_sign(s, '{') || previous_sign(s, ',')))
        seen.rank = RANK_LITERAL;
    if (seen.rank == RANK_MEMBER || seen.rank == RANK_LITERAL)
        seen.start = NOWHERE; /* of whatever object, not of the class around */
    if (seen.rank == RANK_NONE || (s->of_file && (seen.rank > RANK_MEMBER || is_void(s))))
        return;
    see(s, seen);
}

/* ---- the whole ---- */

static void walk(struct search *s)
{
    for (s->now = tokens_next(&s->script); s->now.kind != TOKEN_END;
         s->now = tokens_next(&s->script)) {
        bool variable = s->kind == DECLARATION_VARIABLE;
        if (s->now.kind == TOKEN_NAME && variable)
            see_variable_name(s);
        else if (s->now.kind == TOKEN_NAME)
            see_property_name(s);
        else if (s->now.kind == TOKEN_VALUE)
            top(s)->expect = false;
        else if (strchr("([{", s->now.sign)) {
            if (s->depth == LEVELS_MAX)
                return;
            open_bracket(s);
        } else if (strchr(")]}", s->now.sign))
            close_bracket(s);
        else if (variable)
            see_variable_sign(s);
        s->before = s->previous;
        s->previous = s->now;
    }
}

/* Of a variable the innermost scope, of a property the field before an assignment; then the first.
 */
static bool is_better(const struct search *s, const struct seen *a, const struct seen *b)
{
    if (s->kind == DECLARATION_VARIABLE)
        return a->start > b->start;
    return a->rank > b->rank;
}

static bool choose(const struct search *s, size_t *ret_at)
{
    const struct seen *best = NULL;
    for (int i = 0; i < s->count; i++)
        if (!best || is_better(s, &s->list[i], best))
            best = &s->list[i];
    if (!best && s->kind == DECLARATION_VARIABLE && s->of_file)
        return false;
    if (!best && s->after.rank >= (s->of_file ? RANK_LITERAL : RANK_MEMBER))
        best = &s->after;
    if (!best && s->total == 1)
        best = &s->only;
    if (best)
        *ret_at = best->at;
    return best != NULL;
}

/* The offset of a place; NOWHERE: the text has none such. */
static size_t offset_of(const char *text, size_t length, struct declaration_place place)
{
    size_t at = 0;
    uint32_t line = 1, column = 1;
    for (; line < place.line; line++) {
        const char *end = memchr(text + at, '\n', length - at);
        if (!end)
            return NOWHERE;
        at = (size_t)(end - text) + 1;
    }
    for (; column < place.column; at++) {
        if (at >= length || text[at] == '\n')
            return NOWHERE;
        unsigned char c = (unsigned char)text[at];
        column += (c & 0xC0) != 0x80 ? (c >= 0xF0 ? 2 : 1) : 0;
    }
    return at;
}

bool declaration_offset_of(
    const char *text, size_t length, struct declaration_place place, size_t *ret)
{
    *ret = offset_of(text, length, place);
    return *ret != NOWHERE;
}

struct declaration_place declaration_place_of(const char *text, size_t at)
{
    struct declaration_place place = {1, 1};
    size_t begin = 0;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            place.line++;
            begin = i + 1;
        }
    for (size_t i = begin; i < at; i++) {
        unsigned char c = (unsigned char)text[i];
        place.column += (c & 0xC0) != 0x80 ? (c >= 0xF0 ? 2 : 1) : 0;
    }
    return place;
}

static bool find(const char *text, size_t length, enum declaration_kind kind, bool of_file,
    const char *name, size_t from, struct declaration_place *ret)
{
    size_t at;
    struct search *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    s->script = tokens_new(text, length);
    s->kind = kind;
    s->of_file = of_file;
    s->name = name;
    s->name_length = strlen(name);
    s->from = from;
    s->levels[s->depth++] = (struct level){.params = -1};
    walk(s);
    bool found = choose(s, &at);
    free(s);
    if (found)
        *ret = declaration_place_of(text, at);
    return found;
}

bool declaration_find(const char *text, size_t length, enum declaration_kind kind, const char *name,
    struct declaration_place from, struct declaration_place *ret)
{
    size_t offset = offset_of(text, length, from);
    if (offset == NOWHERE || !*name)
        return false;
    if (kind != DECLARATION_EXPORT)
        return find(text, length, kind, false, name, offset, ret);
    return find(text, length, DECLARATION_VARIABLE, true, name, 0, ret) ||
           find(text, length, DECLARATION_PROPERTY, true, name, 0, ret);
}

bool declaration_default(const char *text, size_t length, struct buf *out)
{
    struct tokens s = tokens_new(text, length);
    struct token before = {0}, previous = {0};
    for (struct token now = tokens_next(&s); now.kind != TOKEN_END; now = tokens_next(&s)) {
        if (tokens_is(&s, before, "export") && tokens_is(&s, previous, "default") &&
            now.kind == TOKEN_NAME) {
            struct tokens ahead = s;
            struct token next = tokens_next(&ahead);
            bool ends = next.kind == TOKEN_END || next.first ||
                        (next.kind == TOKEN_SIGN && next.sign == ';');
            return ends && buf_add(out, text + now.at, now.length) == 0;
        }
        before = previous;
        previous = now;
    }
    return false;
}

/* ---- files ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* False: the URL names no local file, or the path does not fit. */
static bool path_of(const char *url, char *path, size_t size)
{
    bool escaped = strncmp(url, "file:///", 8) == 0;
    const char *from = escaped ? url + 7 : url;
    size_t length = 0;
    if (*from != '/')
        return false;
    for (; *from && (!escaped || (*from != '?' && *from != '#')); from++) {
        int high = escaped && *from == '%' ? hex(from[1]) : -1, low = high < 0 ? -1 : hex(from[2]);
        if (length + 1 >= size)
            return false;
        path[length++] = low < 0 ? *from : (char)(high * 16 + low);
        from += low < 0 ? 0 : 2;
    }
    path[length] = '\0';
    return strlen(path) == length;
}

bool declaration_read(const char *url, struct buf *out)
{
    char path[4096];
    struct stat st;
    if (!path_of(url, path, sizeof path))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool fine = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
                st.st_size <= DECLARATION_SOURCE_MAX &&
                buf_reserve(out, (size_t)st.st_size + 1) == 0;
    while (fine && out->length < (size_t)st.st_size) {
        ssize_t got = read(fd, out->data + out->length, (size_t)st.st_size - out->length);
        if (got <= 0)
            break;
        out->length += (size_t)got;
    }
    close(fd);
    if (fine)
        out->data[out->length] = '\0';
    return fine && out->length > 0;
}
