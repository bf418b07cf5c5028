/* Assignments to the global object, and listeners of the process. */
#include "diagnose/globals.h"

#include "diagnose/tokens.h"

#include <string.h>

#define AHEAD 6 /* tokens: process . on ( 'name' , */

struct window {
    struct tokens *script;
    struct token previous;     /* before the first of them */
    struct token token[AHEAD]; /* the latest is the last */
};

static bool is_sign(const struct window *w, size_t at, char sign)
{
    return w->token[at].kind == TOKEN_SIGN && w->token[at].sign == sign;
}

/* A string without escapes that says just the name. */
static bool is_text(const struct window *w, size_t at, const char *name)
{
    const struct token *t = &w->token[at];
    const char *text = w->script->text + t->at;
    size_t length = strlen(name);
    return t->kind == TOKEN_VALUE && t->length == length + 2 && strchr("'\"`", text[0]) &&
           text[length + 1] == text[0] && memcmp(text + 1, name, length) == 0;
}

static bool is_assigned(const struct window *w, const char *name)
{
    static const char *const globals[] = {"globalThis", "global"};
    if (!tokens_is_one_of(w->script, w->token[0], globals, sizeof globals / sizeof *globals))
        return false;
    if (is_sign(w, 1, '.'))
        return tokens_is(w->script, w->token[2], name) && is_sign(w, 3, '=');
    return is_sign(w, 1, '[') && is_text(w, 2, name) && is_sign(w, 3, ']') && is_sign(w, 4, '=');
}

static bool is_listened(const struct window *w, const char *name)
{
    static const char *const methods[] = {
        "on", "addListener", "once", "prependListener", "prependOnceListener"};
    return tokens_is(w->script, w->token[0], "process") && is_sign(w, 1, '.') &&
           tokens_is_one_of(w->script, w->token[2], methods, sizeof methods / sizeof *methods) &&
           is_sign(w, 3, '(') && is_text(w, 4, name) && is_sign(w, 5, ',');
}

static void advance(struct window *w)
{
    w->previous = w->token[0];
    memmove(&w->token[0], &w->token[1], (AHEAD - 1) * sizeof *w->token);
    w->token[AHEAD - 1] = tokens_next(w->script);
}

size_t globals_find(const char *text, size_t length, enum globals_kind kind, const char *name,
    struct declaration_place *ret)
{
    struct tokens script = tokens_new(text, length);
    struct window w = {.script = &script};
    size_t found = 0;
    for (size_t i = 0; i < AHEAD; i++)
        w.token[i] = tokens_next(&script);
    for (; w.token[0].kind != TOKEN_END; advance(&w)) {
        bool is = kind == GLOBALS_PROPERTY ? is_assigned(&w, name) : is_listened(&w, name);
        if (!is || (w.previous.kind == TOKEN_SIGN && w.previous.sign == '.'))
            continue; /* app.process.on is another's */
        if (found++ == 0)
            *ret = declaration_place_of(text, w.token[0].at);
    }
    return found;
}
