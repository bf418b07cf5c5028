/* Variables of blocks. */
#include "diagnose/blocks.h"

#include "diagnose/tokens.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 1024 /* brackets in brackets; a script that has more is not read further */

struct level {
    size_t at;         /* of its bracket */
    bool function;     /* the body of one, or of a class */
    bool statement;    /* round brackets behind if, for and their like */
    bool list, expect; /* within const a = 1, b = 2; the next name is declared */
    size_t candidates;
    struct token name; /* of the first of them */
};

struct blocks {
    struct tokens script;
    const char *class;
    size_t from;
    struct level levels[LEVELS_MAX];
    int depth;
    struct token previous, now;
    bool was_statement; /* the round brackets that closed last */
    bool class_begun;   /* the keyword has come, the body has not */
};

static bool is_plain(const char *class)
{
    return strcmp(class, "Object") == 0 || class[0] == '{';
}

/* Whether what follows the = makes an object of the class; ahead stands behind it. */
static bool makes_class(struct tokens ahead, const char *class)
{
    struct token next = tokens_next(&ahead);
    if (next.kind == TOKEN_SIGN)
        return next.sign == '[' ? strcmp(class, "Array") == 0 : next.sign == '{' && is_plain(class);
    if (!tokens_is(&ahead, next, "new"))
        return false;
    next = tokens_next(&ahead);
    return tokens_is(&ahead, next, class);
}

static void open_level(struct blocks *b)
{
    static const char *const statements[] = {
        "if", "for", "while", "switch", "with", "catch", "await"};
    struct level new = {.at = b->now.at};
    bool closed = b->previous.kind == TOKEN_SIGN && b->previous.sign == ')';
    bool arrow = b->previous.kind == TOKEN_SIGN && b->previous.sign == TOKEN_ARROW;
    if (b->now.sign == '(')
        new.statement = tokens_is_one_of(
            &b->script, b->previous, statements, sizeof statements / sizeof *statements);
    if (b->now.sign == '{') {
        new.function = arrow || (closed && !b->was_statement) || b->class_begun;
        b->class_begun = false;
    }
    b->levels[b->depth - 1].expect = false;
    b->levels[b->depth++] = new;
}

/* 1: found; 0: on to the level around; -1: there is none. */
static int close_level(struct blocks *b, struct buf *out)
{
    const struct level *l = &b->levels[--b->depth];
    bool around = l->at < b->from && b->now.at >= b->from;
    b->was_statement = b->now.sign == ')' && l->statement;
    if (!around)
        return 0;
    if (l->function || l->candidates > 1)
        return -1;
    if (l->candidates == 0)
        return 0;
    return buf_add(out, b->script.text + l->name.at, l->name.length) == 0 ? 1 : -1;
}

static void see_name(struct blocks *b)
{
    struct level *l = &b->levels[b->depth - 1];
    bool property = b->previous.kind == TOKEN_SIGN && b->previous.sign == '.';
    if (property)
        return;
    if (tokens_is(&b->script, b->now, "class"))
        b->class_begun = true;
    if (tokens_is(&b->script, b->now, "const") || tokens_is(&b->script, b->now, "let")) {
        l->list = l->expect = true;
        return;
    }
    struct tokens ahead = b->script;
    struct token next = tokens_next(&ahead);
    bool assigned = l->expect && next.kind == TOKEN_SIGN && next.sign == '=';
    if (assigned && makes_class(ahead, b->class) && l->candidates++ == 0)
        l->name = b->now;
    l->expect = false;
}

static void see_sign(struct blocks *b)
{
    struct level *l = &b->levels[b->depth - 1];
    if (b->now.sign == ';')
        l->list = false;
    l->expect = b->now.sign == ',' && l->list;
}

static bool walk(struct blocks *b, struct buf *out)
{
    for (b->now = tokens_next(&b->script); b->now.kind != TOKEN_END;
         b->now = tokens_next(&b->script)) {
        int end = 0;
        if (b->now.kind == TOKEN_NAME)
            see_name(b);
        else if (b->now.kind == TOKEN_SIGN && strchr("([{", b->now.sign) && b->depth < LEVELS_MAX)
            open_level(b);
        else if (b->now.kind == TOKEN_SIGN && strchr(")]}", b->now.sign) && b->depth > 1)
            end = close_level(b, out);
        else if (b->now.kind == TOKEN_SIGN)
            see_sign(b);
        if (end || b->depth == LEVELS_MAX)
            return end > 0;
        b->previous = b->now;
    }
    return false;
}

bool blocks_find(const char *text, size_t length, struct declaration_place from, const char *class,
    struct buf *out)
{
    struct blocks *b = calloc(1, sizeof *b);
    bool found = false;
    if (b && declaration_offset_of(text, length, from, &b->from)) {
        b->script = tokens_new(text, length);
        b->class = class;
        b->depth = 1; /* the file itself, whose names are known */
        found = walk(b, out);
    }
    free(b);
    return found;
}
