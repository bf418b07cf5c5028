/* The prompt's language: one scanner, three users. */
#include "command/prompt/script.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX                                                                                  \
    1000 /* brackets within brackets: what JavaScript engines take and people never                \
          */

struct scan {
    char quote;   /* the open quote, 0: none */
    size_t depth; /* of open brackets */
    char brackets[DEPTH_MAX];
    size_t quoted_at;            /* where the quote began, from the text's begin */
    size_t opened_at[DEPTH_MAX]; /* and each bracket */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static char closer_of(char c)
{
    return c == '(' ? ')' : c == '[' ? ']' : c == '{' ? '}' : '\0';
}

/* Takes the character at text[i]; returns how many characters it took. */
static size_t scan_step(struct scan *s, const char *text, size_t i, size_t length)
{
    char c = text[i];
    if (s->quote) {
        if (c == '\\' && i + 1 < length)
            return 2;
        if (c == s->quote)
            s->quote = '\0';
        return 1;
    }
    if (c == '\'' || c == '"' || c == '`') {
        s->quote = c;
        s->quoted_at = i;
    } else if (closer_of(c) && s->depth < DEPTH_MAX) {
        s->opened_at[s->depth] = i;
        s->brackets[s->depth++] = closer_of(c);
    } else if (s->depth > 0 && c == s->brackets[s->depth - 1]) {
        s->depth--;
    }
    return 1;
}

static bool at_top(const struct scan *s)
{
    return !s->quote && s->depth == 0;
}

/* How the scan of one command ended. */
enum ending { ENDED, OPEN, BROKEN };

/* Scans the command at text up to its end; *ret_length without the separator. A quote of one line
 * that the line does not close is broken, a bracket may be closed by a later line. */
static enum ending scan_command(const char *text, size_t *ret_length, struct scan *s)
{
    size_t length = strlen(text), i = 0;
    memset(s, 0, sizeof *s);
    while (i < length) {
        if (at_top(s) && (text[i] == '\n' || text[i] == ';'))
            break;
        if (text[i] == '\n' && s->quote && s->quote != '`')
            break;
        i += scan_step(s, text, i, length);
    }
    *ret_length = i > length ? length : i;
    if (at_top(s))
        return ENDED;
    return s->quote && s->quote != '`' ? BROKEN : OPEN;
}

/* Blanks, separators and remarks. */
static const char *skip_nothing(const char *text)
{
    for (;;) {
        while (is_blank(*text) || *text == '\n' || *text == ';')
            text++;
        if (*text != '#')
            return text;
        text += strcspn(text, "\n");
    }
}

int script_next(const char **cursor, const char **ret_text, size_t *ret_length, struct err *e)
{
    const char *text = skip_nothing(*cursor);
    struct scan s;
    size_t length;
    if (!*text) {
        *cursor = text;
        *ret_text = NULL;
        *ret_length = 0;
        return 0;
    }
    enum ending ending = scan_command(text, &length, &s);
    *cursor = text + length;
    if (ending != ENDED) {
        size_t line = strcspn(text, "\n");
        /* What is open on its first line; later ones may not belong to it. */
        bool quote = s.depth == 0 || (s.quote && s.quoted_at < line);
        size_t at = quote ? s.quoted_at : s.opened_at[0];
        *cursor = text + line;
        return err_set(e, ERR_USAGE, "the %s %c at column %zu of \"%.*s%s\" is never closed",
            quote ? "quote" : "bracket", text[at], at + 1, (int)(line < 60 ? line : 60), text,
            line > 60 ? "…" : "");
    }
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    *ret_text = text;
    *ret_length = length;
    return 0;
}

bool script_is_open(const char *text)
{
    struct scan s;
    size_t length;
    for (text = skip_nothing(text); *text; text = skip_nothing(text + length))
        if (scan_command(text, &length, &s) != ENDED)
            return s.quote == '`' || !s.quote;
    return false;
}

/* ---- one command ---- */

void script_command_free(struct script_command *c)
{
    free(c->name);
    free(c->rest);
    for (int i = 0; i < c->word_count; i++)
        free(c->words[i]);
    free(c->words);
    free(c->program);
    free(c->file);
    memset(c, 0, sizeof *c);
}

/* The word at text without its quotes; *ret_taken: how far it goes. NULL when memory is out. */
static char *cut_word(const char *text, size_t length, size_t *ret_taken)
{
    char *word = malloc(length + 1);
    size_t i = 0, n = 0;
    char quote = '\0';
    if (!word)
        return NULL;
    for (; i < length; i++) {
        char c = text[i];
        if (!quote && is_blank(c))
            break;
        if (!quote && (c == '\'' || c == '"' || c == '`'))
            quote = c;
        else if (quote && c == quote)
            quote = '\0';
        else if (c == '\\' && quote != '\'' && i + 1 < length &&
                 (text[i + 1] == '"' || text[i + 1] == '\'' || text[i + 1] == '\\' ||
                     text[i + 1] == ' '))
            word[n++] = text[++i];
        else
            word[n++] = c;
    }
    word[n] = '\0';
    *ret_taken = i;
    return word;
}

/* All words of rest, or with rules those that are options at its beginning, which are cut off. */
static int cut_words(struct script_command *c, const struct script_rules *rules, struct err *e)
{
    char *text = c->rest;
    size_t length = strlen(text), i = 0, taken;
    bool value = false; /* the option before wants one */
    c->words = calloc(SCRIPT_WORDS_MAX + 1, sizeof *c->words);
    if (!c->words)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (;;) {
        while (i < length && (is_blank(text[i]) || text[i] == '\n'))
            i++;
        if (i == length)
            break;
        if (rules && !value && strncmp(text + i, "--", 2) != 0)
            break;
        if (c->word_count == SCRIPT_WORDS_MAX)
            return err_set(e, ERR_USAGE, "a command has at most %d words", SCRIPT_WORDS_MAX);
        char *word = cut_word(text + i, length - i, &taken);
        if (!word)
            return err_set(e, ERR_NOMEM, "out of memory");
        int option = rules && !value ? rules->is_option(c->name, word) : 1;
        if (option == 0) {
            free(word);
            break;
        }
        value = option == 2 && !strchr(word, '=');
        c->words[c->word_count++] = word;
        i += taken;
    }
    if (rules)
        memmove(text, text + i, length - i + 1);
    return 0;
}

static bool is_path(const char *text)
{
    return *text == '/' || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0 ||
           strncmp(text, "~/", 2) == 0;
}

/* Does the > or | at text[i], outside quotes and brackets, say where the output goes? */
static bool is_redirection(const char *text, size_t i, size_t length, enum script_kind kind,
    const struct script_rules *rules)
{
    char c = text[i];
    if (c == '|' && ((i + 1 < length && text[i + 1] == '|') || (i > 0 && text[i - 1] == '|')))
        return false;
    if (c == '>' && i > 0 && (text[i - 1] == '=' || text[i - 1] == '-'))
        return false;
    if (kind != SCRIPT_EXPRESSION)
        return true;
    size_t at = i + 1 + (c == '>' && i + 1 < length && text[i + 1] == '>');
    while (at < length && is_blank(text[at]))
        at++;
    if (c == '>')
        return at < length && is_path(text + at);
    size_t taken;
    char *word = cut_word(text + at, length - at, &taken);
    bool found = word && *word && rules->is_program(word);
    free(word);
    return found;
}

/* Where the output part begins, or length. */
static size_t find_redirection(
    const char *text, size_t length, enum script_kind kind, const struct script_rules *rules)
{
    struct scan s = {.quote = '\0'};
    for (size_t i = 0; i < length;) {
        if (at_top(&s) && (text[i] == '|' || text[i] == '>') &&
            is_redirection(text, i, length, kind, rules))
            return i;
        i += scan_step(&s, text, i, length);
    }
    return length;
}

static char *copy_trimmed(const char *text, size_t length)
{
    while (length > 0 && (is_blank(*text) || *text == '\n')) {
        text++;
        length--;
    }
    while (length > 0 && (is_blank(text[length - 1]) || text[length - 1] == '\n'))
        length--;
    return strndup(text, length);
}

static int read_redirection(
    const char *text, size_t length, struct script_command *c, struct err *e)
{
    size_t taken = 0;
    if (length == 0)
        return 0;
    if (*text == '|') {
        c->program = copy_trimmed(text + 1, length - 1);
        if (!c->program)
            return err_set(e, ERR_NOMEM, "out of memory");
        return *c->program ? 0 : err_set(e, ERR_USAGE, "expected a program behind |");
    }
    c->append = length > 1 && text[1] == '>';
    char *rest = copy_trimmed(text + 1 + c->append, length - 1 - c->append);
    if (!rest)
        return err_set(e, ERR_NOMEM, "out of memory");
    c->file = cut_word(rest, strlen(rest), &taken);
    bool more = rest[taken] != '\0';
    free(rest);
    if (!c->file)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (!*c->file)
        return err_set(e, ERR_USAGE, "expected a file behind >");
    return more ? err_set(e, ERR_USAGE, "only one file can stand behind >") : 0;
}

int script_parse(const char *text, size_t length, const struct script_rules *rules,
    struct script_command *ret, struct err *e)
{
    struct script_command c = {.name = NULL};
    size_t name = 0;
    while (name < length && !is_blank(text[name]) && !strchr("|>\n{", text[name]))
        name++;
    c.name = strndup(text, name);
    int rc = c.name ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        enum script_kind kind = rules->kind_of(c.name);
        const char *rest = text + name;
        size_t rest_length = length - name;
        size_t end = find_redirection(rest, rest_length, kind, rules);
        c.rest = copy_trimmed(rest, end);
        rc = c.rest ? read_redirection(rest + end, rest_length - end, &c, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
        if (rc == 0)
            rc = cut_words(&c, kind == SCRIPT_WORDS ? NULL : rules, e);
    }
    if (rc)
        script_command_free(&c);
    else
        *ret = c;
    return rc;
}
