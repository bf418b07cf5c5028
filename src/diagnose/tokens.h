/* The tokens of a JavaScript (or TypeScript) text, one after the other: names, signs, brackets;
 * comments, strings, templates and regular expressions are passed over. Nothing is copied, and
 * nothing is remembered but the templates that it is in. */
#ifndef HEAPTAP_DIAGNOSE_TOKENS_H
#define HEAPTAP_DIAGNOSE_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,  /* with # in front of private ones; keywords, too */
    TOKEN_VALUE, /* a number, string, template or regular expression */
    TOKEN_SIGN,
};

/* Signs of more than one character, beside ASCII ones. Any other is told character by character. */
#define TOKEN_ARROW   'A' /* => */
#define TOKEN_REST    'R' /* ... */
#define TOKEN_COMPARE 'C' /* == != <= += and their like */

struct token {
    enum token_kind kind;
    char sign; /* of TOKEN_SIGN; ||= &&= ??= are '=', ?. is '.' */
    size_t at, length;
    bool first; /* of its line */
};

#define TOKEN_TEMPLATES_MAX 64 /* templates within templates; what is deeper ends the text */

struct tokens {
    const char *text;
    size_t length, at;
    struct token last;
    unsigned braces[TOKEN_TEMPLATES_MAX]; /* open ones within each ${ */
    unsigned templates;
};

struct tokens tokens_new(const char *text, size_t length); /* the text is borrowed */
struct token tokens_next(struct tokens *s);
bool tokens_is(const struct tokens *s, struct token token, const char *name);
bool tokens_is_one_of(
    const struct tokens *s, struct token token, const char *const *names, size_t count);

#endif
