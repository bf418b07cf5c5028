/* attach: the prompt, or a script of its commands. */
#include "command/prompt/catalogue.h"
#include "command/prompt/session.h"
#include "command/prompt/table.h"

#include "base/text.h"
#include "command/recap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_LOST        3
#define EXIT_TIMEOUT     124
#define SIGNAL_EXIT_BASE 128
#define MORE_PROMPT      "... "

static void greet(struct session *s)
{
    const struct run_target *t = session_facts(s);
    char name[RECAP_NAME_SIZE];
    session_tell(s, "attached to %s, %s %s; help lists the commands", recap_name(t, name),
        target_kind_name(t->identity.kind), t->identity.runtime_version);
}

/* Waits for a line; what is unfinished stands in pending. */
static int next_line(struct session *s, const struct buf *pending, enum editor_answer *ret,
    char **ret_line, struct err *e)
{
    char prompt[128];
    session_prompt(s, prompt);
    s->line_ready = false;
    atomic_store(&s->interrupted, false);
    *ret_line = NULL;
    editor_ask(s->editor, pending->length ? MORE_PROMPT : prompt);
    int rc = 0;
    while (rc == 0 && !editor_take(s->editor, ret, ret_line)) {
        rc = session_wait(s, &s->line_ready, e);
        s->line_ready = false;
    }
    return rc;
}

/* Executes what is whole; *ret_code is that of the first failure. */
static int take_line(
    struct session *s, struct buf *pending, const char *line, int *code, struct err *e)
{
    if (buf_add_text(pending, line) != 0 || buf_add_text(pending, "\n") != 0)
        return err_set(e, ERR_FULL, "a command has at most %d MB", SCRIPT_MAX / (1024 * 1024));
    if (script_is_open(pending->data))
        return 0;
    char *text = buf_take(pending);
    *pending = buf_new(SCRIPT_MAX);
    if (!text)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (s->terminal) {
        size_t length = strlen(text);
        text[length - (length > 0)] = '\0';
        editor_remember(s->editor, text);
    }
    int failed = prompt_execute_all(s, text);
    if (*code == 0)
        *code = failed;
    free(text);
    return 0;
}

static bool is_over(const struct session *s, int code)
{
    bool strict = settings_flag(s->in->settings, SET_STRICT);
    return s->quit || s->signal || s->timed_out || s->run_over ||
           (!s->terminal && code && (strict || s->lost));
}

static int converse(struct session *s, int *code, struct err *e)
{
    struct buf pending = buf_new(SCRIPT_MAX);
    int rc = 0;
    while (rc == 0 && !is_over(s, *code)) {
        enum editor_answer answer = EDITOR_END;
        char *line;
        rc = next_line(s, &pending, &answer, &line, e);
        if (rc)
            break;
        if (answer == EDITOR_LINE) {
            rc = take_line(s, &pending, line, code, e);
        } else if (answer == EDITOR_END) {
            int failed = pending.length ? prompt_execute_all(s, pending.data) : 0;
            *code = *code ? *code : failed; /* it is said what is open */
            if (s->terminal)
                puts("");
            s->quit = true;
        } else if (answer == EDITOR_ASKS_QUIT && pending.length == 0) {
            session_tell(s, "quit or Ctrl-D leaves");
        } else {
            buf_clear(&pending);
        }
        free(line);
    }
    buf_free(&pending);
    return rc == ERR_CANCELLED && (s->signal || s->quit) ? 0 : rc;
}

static int run_script(struct session *s, int *code, struct err *e)
{
    const char *commands = settings_text(s->in->settings, SET_COMMANDS);
    const char *file = settings_text(s->in->settings, SET_SCRIPT);
    char *text = NULL;
    if (commands) {
        *code = prompt_execute_all(s, commands);
        return 0;
    }
    int rc = prompt_read_file(file, &text, e);
    if (rc == 0)
        *code = prompt_execute_all(s, text);
    free(text);
    return rc;
}

/* Without --strict only what ends a session is a failure of it. */
static int exit_code_of(const struct session *s, int code)
{
    if (s->timed_out)
        return EXIT_TIMEOUT;
    if (s->signal)
        return SIGNAL_EXIT_BASE + s->signal;
    if (s->terminal)
        return 0;
    return s->lost ? EXIT_LOST : settings_flag(s->in->settings, SET_STRICT) ? code : 0;
}

static int run(const struct invocation *in, struct err *e)
{
    const struct settings *settings = in->settings;
    bool given = settings_text(settings, SET_COMMANDS) || settings_text(settings, SET_SCRIPT);
    bool terminal = !given && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    struct session s = {.current = SIZE_MAX, .in = in, .signal_fd = -1};
    struct address address;
    struct err closing = ERR_NONE;
    int code = 0;
    int rc = address_parse(in->word_count ? in->words[0] : NULL, &address, e);
    if (rc == 0 && settings_text(settings, SET_COMMANDS) && settings_text(settings, SET_SCRIPT))
        rc = err_set(e, ERR_USAGE, "-c and -f cannot both be had");
    if (rc)
        return rc;
    rc = session_open(in, &address, terminal, &s, e);
    if (rc == 0 && terminal) {
        greet(&s);
        catalogue_fetch(&s);
    }
    if (rc == 0)
        rc = given ? run_script(&s, &code, e) : converse(&s, &code, e);
    code = rc == 0 ? exit_code_of(&s, code) : rc < 0 ? err_exit_code(rc) : rc;
    int closed = session_close(&s, code, &closing);
    if (rc)
        return rc;
    if (closed && code == 0) {
        *e = closing;
        return closed;
    }
    return code;
}

static const enum setting_id accepted[] = {SET_COMMANDS, SET_SCRIPT, SET_STRICT, SET_DEADLINE,
    SET_DIR, SET_LABEL, SET_COMPRESS, SET_DB, SET_SCHEMA, SET_DRAIN, SET_LOCAL_KEEP,
    SET_OUTBOX_SIZE, SET_NO_MIGRATE, SET_METRICS_INTERVAL, SET_WAIT, SET_MAX_PAUSE, SET_MAX_DISK,
    SET_MIN_FREE, SET_FORCE, SET_REQUESTS_OVERHEAD, SET_ALLOW_REMOTE, SET_TIMEOUT, SET_END};

const struct command command_attach = {
    .name = "attach",
    .arguments = "[TARGET]",
    .summary = "the prompt: a heap explorer for one target or several",
    .examples = "  heaptap attach 9229\n"
                "  heaptap attach pid:4711 -c 'snapshot; gc; snapshot; diff 1 2'\n"
                "  heaptap attach --json --strict <commands.txt\n",
    .details =
        "At a terminal it asks for commands: help lists them. Elsewhere it runs those of\n"
        "standard input, of -f FILE or of -c, one after the other, each when the one before has\n"
        "ended. docs/prompt.md is its manual. With --json each answers with one object on a "
        "line.\n",
    .settings = accepted,
    .words_max = 1,
    .run = run,
};
