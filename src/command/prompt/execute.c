/* From a command's text to its answer: words, settings, the command itself, where it goes. */
#include "command/prompt/table.h"

#include "base/text.h"
#include "command/prompt/deliver.h"
#include "command/prompt/help.h"
#include "command/prompt/session.h"
#include "show/json.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX (SCRIPT_WORDS_MAX + SET_COUNT + 4)
#define EXIT_TIMEOUT  124

static enum script_kind kind_of(const char *name)
{
    const struct prompt_command *c = prompt_find(name);
    return c ? c->kind : prompt_is_method(name) ? SCRIPT_RAW : SCRIPT_WORDS;
}

static int is_option(const char *name, const char *word)
{
    const struct prompt_command *c = prompt_find(name);
    size_t length = strcspn(word + 2, "=");
    if (!c)
        c = &prompt_method;
    if (strcmp(word, "--help") == 0)
        return 1;
    for (int id = SET_END + 1; id < SET_COUNT; id++) {
        const struct setting *setting = setting_get((enum setting_id)id);
        if (strlen(setting->name) == length && strncmp(word + 2, setting->name, length) == 0 &&
            prompt_accepts(c, (enum setting_id)id))
            return setting->type == SETTING_FLAG ? 1 : 2;
    }
    return 0;
}

static const struct script_rules rules = {
    .kind_of = kind_of, .is_program = deliver_is_program, .is_option = is_option};

/* ---- telling of failures ---- */

/* An option's error names the shell's help. */
static void point_to_help(struct err *e, const char *name)
{
    char *at = strstr(e->text, "; see heaptap ");
    if (at)
        snprintf(at, (size_t)(e->text + sizeof e->text - at), "; see help %s", name);
}

/* What the target answered with an error was asked wrongly: it is there, and well. */
static int exit_code_of(int code)
{
    return code > 0 ? code : err_exit_code(code == ERR_TARGET ? ERR_USAGE : code);
}

static int report(struct session *s, const char *name, int code, const struct err *e)
{
    int exit_code = exit_code_of(code);
    struct err ignored = ERR_NONE;
    session_tell(s, "heaptap%s%s: %s", *name ? " " : "", name, e->text);
    if (s->json) {
        int rc = 0;
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.error/1", &rc);
        show_json_word(root, "command", name, &rc);
        show_json_integer(root, "exit_code", exit_code, &rc);
        show_json_word(root, "error", e->text, &rc);
        (void)!show_json_line(&s->out, root, rc, &ignored);
    }
    return exit_code;
}

static int unknown(const char *name, struct err *e)
{
    const char *nearest = prompt_nearest(name);
    return err_set(e, ERR_USAGE, "there is no command \"%s\"%s%s%s; help lists them", name,
        nearest ? ", did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* ---- settings ---- */

static void free_arguments(char **argv, int argc)
{
    for (int i = 0; i < argc; i++)
        free(argv[i]);
}

/* An option for a command that has it, with the session's value. */
static bool add_option(
    const struct prompt_command *p, enum setting_id id, const char *value, char **argv, int *argc)
{
    if (!value || !prompt_accepts(p, id))
        return true;
    char *word = text_format("--%s=%s", setting_get(id)->name, value);
    if (word)
        argv[(*argc)++] = word;
    return word != NULL;
}

/* What was an option of attach holds for its commands, too, but where it is about attach itself. */
static bool is_inherited(const struct settings *own, enum setting_id id)
{
    return settings_given(own, id) && strcmp(settings_source(own, id), "option") == 0 &&
           id != SET_JSON && id != SET_LABEL && id != SET_CONFIG && id != SET_TIMEOUT;
}

/* What the session has comes first, then what the user has set, then what stands in the command. */
static int make_arguments(const struct session *s, const struct prompt_command *p,
    const struct script_command *c, char **argv, int *ret_argc, struct err *e)
{
    const struct settings *own = s->in->settings;
    int argc = 0;
    bool whole = (argv[argc++] = strdup(p->name)) != NULL;
    if (s->json)
        whole = whole && (argv[argc++] = strdup("--json")) != NULL;
    whole = whole && add_option(p, SET_RUN, journal_run_id(s->logbook.journal), argv, &argc);
    for (int id = SET_END + 1; id < SET_COUNT && whole; id++)
        if (is_inherited(own, (enum setting_id)id))
            whole = add_option(
                p, (enum setting_id)id, settings_text(own, (enum setting_id)id), argv, &argc);
    for (size_t i = 0; i < s->variable_count && whole; i++)
        whole = add_option(p, s->variables[i].id, s->variables[i].value, argv, &argc);
    for (int i = 0; i < c->word_count && whole; i++)
        whole = (argv[argc++] = strdup(c->words[i])) != NULL;
    if (!whole) {
        free_arguments(argv, argc);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    argv[argc] = NULL;
    *ret_argc = argc;
    return 0;
}

static int check_words(const struct prompt_command *p, int count, struct err *e)
{
    if (p->kind != SCRIPT_WORDS)
        return 0;
    if (count < p->words_min)
        return err_set(e, ERR_USAGE, "expected %s; see help %s", p->usage, p->name);
    if (p->words_max >= 0 && count > p->words_max)
        return err_set(e, ERR_USAGE, "%d word%s too many; see help %s", count - p->words_max,
            count - p->words_max == 1 ? "" : "s", p->name);
    return 0;
}

/* ---- one command ---- */

/* Where it prints: into g, or at once. *ret_file: to be closed. */
static int open_output(const struct session *s, const struct prompt_command *p,
    const struct script_command *c, struct gathering *g, struct prompt_call *call, FILE **ret_file,
    struct err *e)
{
    const struct settings *settings = call->in.settings;
    enum show_format format = settings_flag(settings, SET_JSON)  ? SHOW_JSON
                              : settings_flag(settings, SET_CSV) ? SHOW_CSV
                                                                 : SHOW_TEXT;
    call->out = s->out;
    call->out.format = format;
    *ret_file = NULL;
    if (p->streams && !c->program && !c->file)
        return 0;
    if (!(*ret_file = deliver_gather(g)))
        return err_set(e, ERR_NOMEM, "out of memory");
    call->out.file = *ret_file;
    if (c->program || c->file) {
        call->out.tty = call->out.color = false;
        call->out.width = 0;
    }
    return 0;
}

/* Object ids that are shown can be completed in the next command. */
static void note_ids(struct session *s, const struct buf *text)
{
    const char *c = text->data;
    while (c && (c = strchr(c, '@'))) {
        long long id = isdigit((unsigned char)c[1]) ? strtoll(c + 1, NULL, 10) : 0;
        if (id > 0 && id <= UINT32_MAX)
            vocabulary_add_id(s->vocabulary, id);
        c++;
    }
}

static int perform(struct session *s, const struct prompt_command *p,
    const struct script_command *c, struct prompt_call *call, struct err *e)
{
    struct gathering g = {.overflown = false};
    struct err late = ERR_NONE;
    FILE *file;
    int rc = open_output(s, p, c, &g, call, &file, e);
    if (rc)
        return rc;
    rc = p->run(s, call, e);
    if (!file)
        fflush(s->out.file);
    if (file && fclose(file) != 0 && rc == 0)
        rc = err_set(e, ERR_IO, "the answer cannot be kept");
    if (g.overflown)
        rc = err_set(e, ERR_FULL, "the answer has more than %d MB: ask for less of it",
            DELIVER_MAX / (1024 * 1024));
    if (s->terminal && p->kind == SCRIPT_WORDS && !c->program && !c->file)
        note_ids(s, &g.text);
    if (!g.overflown && g.text.length > 0 && deliver(s, c, &g.text, &late) != 0 && rc == 0) {
        *e = late;
        rc = late.code;
    }
    buf_free(&g.text);
    return rc;
}

static int run_parsed(struct session *s, const struct script_command *c, struct err *e)
{
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    bool help = false;
    struct settings *settings = NULL;
    const struct prompt_command *p = prompt_find(c->name);
    if (!p && prompt_is_method(c->name))
        p = &prompt_method;
    if (!p)
        return unknown(c->name, e);
    struct prompt_call call = {
        .command = p, .rest = c->rest, .in = {.command = p->shell ? p->shell : s->in->command}};
    int rc = make_arguments(s, p, c, argv, &argc, e);
    if (rc)
        return rc;
    rc = settings_read(prompt_settings(p), argc, argv, &settings, &call.in.words,
        &call.in.word_count, &call.in.after, &help, e);
    if (rc)
        point_to_help(e, p->name);
    call.in.settings = settings;
    if (rc == 0 && !help)
        rc = check_words(p, call.in.word_count, e);
    if (p == &prompt_method)
        call.in.words = (char **)&c->name;
    if (rc == 0 && help) {
        call.out = s->out;
        help_command(&call.out, p);
    } else if (rc == 0) {
        rc = perform(s, p, c, &call, e);
    }
    settings_free(settings);
    free_arguments(argv, argc);
    return rc;
}

int prompt_execute(struct session *s, const char *text, size_t length)
{
    struct script_command c;
    struct err e = ERR_NONE;
    bool outermost = !s->busy;
    if (outermost)
        atomic_store(&s->interrupted, false);
    s->busy = true;
    int rc = script_parse(text, length, &rules, &c, &e);
    bool parsed = rc == 0;
    const char *name = parsed ? c.name : "";
    if (rc == 0)
        rc = run_parsed(s, &c, &e);
    if (s->progress)
        show_progress_clear(s->progress);
    s->phase[0] = '\0';
    if (outermost && s->terminal && atomic_load(&s->interrupted))
        puts(""); /* behind the ^C that the terminal shows */
    int code = 0;
    s->lost = rc == ERR_LOST; /* nobody is there in a script to wait for its coming back */
    if (rc < 0)
        code = report(s, name, rc, &e);
    else if (rc > 0)
        code = rc;
    if (parsed)
        script_command_free(&c);
    if (outermost)
        s->busy = false;
    return s->timed_out ? EXIT_TIMEOUT : code;
}

int prompt_execute_all(struct session *s, const char *text)
{
    const char *cursor = text, *command;
    size_t length;
    bool strict = settings_flag(s->in->settings, SET_STRICT);
    int first = 0;
    for (;;) {
        struct err e = ERR_NONE;
        int rc = script_next(&cursor, &command, &length, &e);
        int code = rc ? report(s, "", rc, &e) : 0;
        if (rc == 0 && !command)
            return first;
        if (rc == 0)
            code = prompt_execute(s, command, length);
        if (first == 0)
            first = code;
        if (s->quit || s->signal || s->timed_out || (s->lost && !s->terminal) || (code && strict))
            return first;
        if (s->terminal && atomic_load(&s->interrupted))
            return first; /* Ctrl-C ends the rest of the line, too */
    }
}

int prompt_read_file(const char *path, char **ret, struct err *e)
{
    struct buf text = buf_new(SCRIPT_MAX);
    char bytes[65536];
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(e, ERR_IO, errno, "cannot read %s", path);
    int rc = 0;
    while (rc == 0 && (got = read(fd, bytes, sizeof bytes)) != 0) {
        if (got < 0)
            rc = err_set_errno(e, ERR_IO, errno, "cannot read %s", path);
        else if (buf_add(&text, bytes, (size_t)got) != 0)
            rc = err_set(
                e, ERR_FULL, "%s: a script has at most %d MB", path, SCRIPT_MAX / (1024 * 1024));
    }
    close(fd);
    if (rc == 0 && text.data && memchr(text.data, '\0', text.length))
        rc = err_set(e, ERR_USAGE, "%s is no script: it holds a NUL", path);
    if (rc == 0 && !(*ret = buf_take(&text)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    buf_free(&text);
    return rc;
}
