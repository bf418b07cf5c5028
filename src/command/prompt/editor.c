/* The prompt's input: a thread that waits in libedit, or for lines of a file or pipe.
 *
 *      loop's thread                       editor's thread
 *      editor_ask          ── asked ──>    reads, shows what editor_show gave it above the line
 *      ready, editor_take <── answered ──  waits to be asked
 *
 * The mutex guards what both touch; an eventfd ends the editor's wait for a key. */
#include "command/prompt/editor.h"

#include "base/text.h"
#include "show/out.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_MAX    1000 /* commands */
#define HISTORY_SLACK  1000 /* lines of the file beyond that before it is written anew */
#define LINE_MAX_BYTES (16 * 1024 * 1024) /* as a script's */
#define SHOWN_MAX      (4 * 1024 * 1024)  /* text that waits to be shown above the line */
#define CHOICES_SHOWN  200                /* more than that fill the screen */
#define READ_BYTES     65536
#define KEY_INTERRUPT  3 /* Ctrl-C */

struct editor {
    struct editor_options options;
    char *history_path;
    struct wake *wake;
    pthread_t thread;
    bool started;
    int event; /* ends the wait for a key */
    pthread_mutex_t lock;
    pthread_cond_t asked_for;
    /* guarded */
    bool asked, ending, interrupted, resized, answered;
    char *prompt;
    struct buf shown; /* what waits to be shown */
    enum editor_answer answer;
    char *line;
    /* the thread's own */
    EditLine *el;
    History *history;
    char prompt_now[256];
    bool interrupted_line, empty_line;
    mbstate_t state;
    struct buf input; /* of lines from a pipe */
    size_t input_at;
    bool input_ended;
};

void editor_choices_free(struct editor_choices *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->words[i]);
    free(c->words);
    *c = (struct editor_choices){.words = NULL};
}

/* ---- the history's file ---- */

static void enter_history(struct editor *e, const char *line)
{
    HistEvent event;
    (void)history(e->history, &event, H_ENTER, line);
}

/* Writes the latest entries to a new file in the old one's place. */
static void rewrite_history(struct editor *e)
{
    HistEvent event;
    char *path = text_format("%s.%d", e->history_path, (int)getpid());
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool written = file != NULL;
    if (file) {
        for (int rc = history(e->history, &event, H_LAST); rc >= 0;
             rc = history(e->history, &event, H_PREV))
            fprintf(file, "%s\n", event.str);
        written = fclose(file) == 0;
    } else if (fd >= 0) {
        close(fd);
    }
    if (fd >= 0 && (!written || rename(path, e->history_path) != 0))
        unlink(path);
    free(path);
}

static void load_history(struct editor *e)
{
    HistEvent event;
    char *line = NULL;
    size_t room = 0, lines = 0;
    ssize_t length;
    e->history = history_init();
    if (!e->history)
        return;
    (void)history(e->history, &event, H_SETSIZE, HISTORY_MAX);
    (void)history(e->history, &event, H_SETUNIQUE, 1);
    FILE *file = e->history_path ? fopen(e->history_path, "re") : NULL;
    if (!file)
        return;
    while ((length = getline(&line, &room, file)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = '\0';
        enter_history(e, line);
        lines++;
    }
    fclose(file);
    free(line);
    if (lines > HISTORY_MAX + HISTORY_SLACK)
        rewrite_history(e);
}

void editor_remember(struct editor *e, const char *command)
{
    if (!e->history || *command == ' ' || *command == '\0' || editor_is_secret(command))
        return;
    char *line = strdup(command);
    if (!line)
        return;
    for (char *c = line; *c; c++)
        if (*c == '\n')
            *c = ' ';
    enter_history(e, line);
    int fd = e->history_path ? open(e->history_path,
                                   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
                             : -1;
    if (fd >= 0) {
        (void)!fchmod(fd, 0600);
        dprintf(fd, "%s\n", line);
        close(fd);
    }
    free(line);
}

/* ---- the terminal ---- */

static char *prompt_text(EditLine *el)
{
    struct editor *e;
    el_get(el, EL_CLIENTDATA, &e);
    pthread_mutex_lock(&e->lock);
    snprintf(e->prompt_now, sizeof e->prompt_now, "%s", e->prompt ? e->prompt : "");
    pthread_mutex_unlock(&e->lock);
    return e->prompt_now;
}

/* Prints lines in the place of the line being typed, which then comes again below them. */
static void show_above(struct editor *e, const char *text)
{
    const LineInfo *line = el_line(e->el);
    size_t width = show_width(stdout);
    size_t columns = text_columns(e->prompt_now, strlen(e->prompt_now)) +
                     text_columns(line->buffer, (size_t)(line->cursor - line->buffer));
    size_t rows = width ? columns / width : 0;
    printf("\r");
    if (rows)
        printf("\x1b[%zuA", rows);
    printf("\x1b[J%s", text);
    fflush(stdout);
    el_set(e->el, EL_REFRESH);
}

/* What the loop wants of the thread while it waits for a key; true: give up the line. */
static bool hear(struct editor *e, bool *ret_over)
{
    uint64_t ignored;
    char *text = NULL;
    (void)!read(e->event, &ignored, sizeof ignored);
    pthread_mutex_lock(&e->lock);
    bool interrupted = e->interrupted, resized = e->resized;
    e->interrupted = e->resized = false;
    *ret_over = e->ending;
    if (e->shown.length)
        text = buf_take(&e->shown);
    pthread_mutex_unlock(&e->lock);
    if (e->el && resized)
        el_resize(e->el);
    if (e->el && text)
        show_above(e, text);
    else if (text)
        fputs(text, stdout);
    free(text);
    return interrupted;
}

/* libedit's source of keys. */
static int read_key(EditLine *el, wchar_t *ret)
{
    struct editor *e;
    bool over = false;
    el_get(el, EL_CLIENTDATA, &e);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = e->event, .events = POLLIN}};
        char byte;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -1;
        if (fds[1].revents && hear(e, &over)) {
            *ret = KEY_INTERRUPT;
            return 1;
        }
        if (over)
            return 0;
        if (!fds[0].revents)
            continue;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return 0;
        size_t used = mbrtowc(ret, &byte, 1, &e->state);
        if (used == (size_t)-2)
            continue; /* within a character */
        if (used == (size_t)-1) {
            memset(&e->state, 0, sizeof e->state);
            *ret = (unsigned char)byte;
        }
        return 1;
    }
}

static unsigned char on_interrupt(EditLine *el, int key)
{
    struct editor *e;
    (void)key;
    el_get(el, EL_CLIENTDATA, &e);
    const LineInfo *line = el_line(el);
    int length = (int)(line->lastchar - line->buffer);
    e->interrupted_line = true;
    e->empty_line = length == 0;
    el_cursor(el, (int)(line->lastchar - line->cursor));
    el_deletestr(el, length);
    printf("^C\n");
    fflush(stdout);
    return CC_NEWLINE;
}

static void list_choices(struct editor *e, const struct editor_choices *c)
{
    struct buf text = buf_new(SHOWN_MAX);
    size_t widest = 0, width = show_width(stdout), count = c->count;
    if (count > CHOICES_SHOWN)
        count = CHOICES_SHOWN;
    for (size_t i = 0; i < count; i++) {
        size_t columns = text_columns(c->words[i], strlen(c->words[i]));
        widest = columns > widest ? columns : widest;
    }
    size_t across = width > widest + 2 ? width / (widest + 2) : 1;
    size_t rows = (count + across - 1) / across;
    int rc = 0;
    for (size_t row = 0; row < rows && rc == 0; row++) {
        for (size_t i = row; i < count && rc == 0; i += rows) {
            size_t pad =
                i + rows < count ? widest + 2 - text_columns(c->words[i], strlen(c->words[i])) : 0;
            rc = buf_addf(&text, "%s%*s", c->words[i], (int)pad, "");
        }
        if (rc == 0)
            rc = buf_add_text(&text, "\n");
    }
    if (rc == 0 && c->count > count)
        rc = buf_addf(&text, "… and %zu more\n", c->count - count);
    if (rc == 0 && text.data)
        show_above(e, text.data);
    buf_free(&text);
}

static size_t common_length(const struct editor_choices *c)
{
    size_t length = strlen(c->words[0]);
    for (size_t i = 1; i < c->count; i++) {
        size_t same = 0;
        while (same < length && c->words[i][same] == c->words[0][same])
            same++;
        length = same;
    }
    while (length > 0 && ((unsigned char)c->words[0][length] & 0xc0) == 0x80)
        length--; /* not within a character */
    return length;
}

static unsigned char on_complete(EditLine *el, int key)
{
    struct editor *e;
    struct editor_choices c = {.words = NULL};
    unsigned char answer = CC_ERROR;
    (void)key;
    el_get(el, EL_CLIENTDATA, &e);
    const LineInfo *line = el_line(el);
    char *text = strndup(line->buffer, (size_t)(line->lastchar - line->buffer));
    bool found = text && e->options.complete &&
                 e->options.complete(
                     e->options.complete_arg, text, (size_t)(line->cursor - line->buffer), &c) &&
                 c.count > 0;
    free(text);
    if (!found)
        return CC_ERROR;
    size_t common = common_length(&c);
    if (common > c.length || c.count == 1) {
        char *more = text_format("%.*s%s", (int)(common - c.length), c.words[0] + c.length,
            c.count == 1 && c.final ? " " : "");
        if (more && *more)
            el_insertstr(el, more);
        free(more);
        answer = CC_REFRESH;
    } else {
        list_choices(e, &c);
        answer = CC_REFRESH;
    }
    editor_choices_free(&c);
    return answer;
}

static void open_terminal(struct editor *e)
{
    e->el = el_init("heaptap", stdin, stdout, stderr);
    if (!e->el)
        return;
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, prompt_text);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_SIGNAL, 0);
    if (e->history)
        el_set(e->el, EL_HIST, history, e->history);
    (void)el_source(e->el, NULL); /* ~/.editrc: the user's own keys */
    el_set(e->el, EL_ADDFN, "heaptap-complete", "completes the word", on_complete);
    el_set(e->el, EL_ADDFN, "heaptap-interrupt", "throws the line away", on_interrupt);
    el_set(e->el, EL_BIND, "^I", "heaptap-complete", NULL);
    el_set(e->el, EL_BIND, "^C", "heaptap-interrupt", NULL);
    el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(e->el, EL_GETCFN, read_key);
}

static enum editor_answer edit_line(struct editor *e, char **ret_line)
{
    int count = 0;
    e->interrupted_line = false;
    el_resize(e->el);
    const char *text = el_gets(e->el, &count);
    if (e->interrupted_line)
        return e->empty_line ? EDITOR_ASKS_QUIT : EDITOR_INTERRUPTED;
    if (!text || count <= 0)
        return EDITOR_END;
    *ret_line = strndup(text, (size_t)count - (text[count - 1] == '\n'));
    return *ret_line ? EDITOR_LINE : EDITOR_END;
}

/* ---- lines of a pipe or file ---- */

/* Takes a whole line out of what was read, or with ended the rest. */
static char *cut_line(struct editor *e)
{
    char *from = e->input.data ? e->input.data + e->input_at : NULL;
    size_t left = e->input.length - e->input_at;
    const char *newline = from ? memchr(from, '\n', left) : NULL;
    if (!newline && (!e->input_ended || left == 0))
        return NULL;
    size_t length = newline ? (size_t)(newline - from) : left;
    char *line = strndup(from, length);
    e->input_at += length + (newline != NULL);
    return line;
}

static void take_input(struct editor *e)
{
    char bytes[READ_BYTES];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (e->input_at == e->input.length) {
        buf_clear(&e->input);
        e->input_at = 0;
    }
    if (got <= 0 || buf_add(&e->input, bytes, (size_t)got) != 0)
        e->input_ended = true;
}

static enum editor_answer read_line(struct editor *e, char **ret_line)
{
    bool over = false;
    for (;;) {
        if ((*ret_line = cut_line(e)))
            return EDITOR_LINE;
        if (e->input_ended || over)
            return EDITOR_END;
        struct pollfd fds[] = {
            {.fd = STDIN_FILENO, .events = POLLIN}, {.fd = e->event, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return EDITOR_END;
        if (fds[1].revents)
            (void)hear(e, &over);
        if (fds[0].revents)
            take_input(e);
    }
}

/* ---- the thread ---- */

static bool wait_until_asked(struct editor *e)
{
    pthread_mutex_lock(&e->lock);
    while (!e->asked && !e->ending)
        pthread_cond_wait(&e->asked_for, &e->lock);
    bool go_on = !e->ending;
    e->interrupted = false;
    pthread_mutex_unlock(&e->lock);
    return go_on;
}

static void answer(struct editor *e, enum editor_answer what, char *line)
{
    pthread_mutex_lock(&e->lock);
    e->asked = false;
    e->answered = true;
    e->answer = what;
    e->line = line;
    char *late = e->shown.length ? buf_take(&e->shown) : NULL;
    pthread_mutex_unlock(&e->lock);
    if (late)
        fputs(late, stdout);
    free(late);
    wake_send(e->wake);
}

static void *serve(void *arg)
{
    struct editor *e = arg;
    if (e->options.terminal) {
        load_history(e);
        open_terminal(e);
    }
    while (wait_until_asked(e)) {
        char *line = NULL;
        enum editor_answer what = e->el ? edit_line(e, &line) : read_line(e, &line);
        answer(e, what, line);
    }
    if (e->el)
        el_end(e->el);
    if (e->history)
        history_end(e->history);
    return NULL;
}

/* ---- for the loop ---- */

static void on_wake(void *arg)
{
    struct editor *e = arg;
    pthread_mutex_lock(&e->lock);
    bool answered = e->answered;
    pthread_mutex_unlock(&e->lock);
    if (answered)
        e->options.ready(e->options.arg);
}

static void nudge(struct editor *e)
{
    uint64_t one = 1;
    (void)!write(e->event, &one, sizeof one);
}

int editor_new(struct loop *l, const struct editor_options *o, struct editor **ret, struct err *err)
{
    struct editor *e = calloc(1, sizeof *e);
    if (!e)
        return err_set(err, ERR_NOMEM, "out of memory");
    *e = (struct editor){.options = *o,
        .event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .asked_for = PTHREAD_COND_INITIALIZER,
        .shown = buf_new(SHOWN_MAX),
        .input = buf_new(LINE_MAX_BYTES)};
    int rc = e->event < 0 ? err_set_errno(err, ERR_IO, errno, "cannot make an event") : 0;
    if (rc == 0 && o->history && !(e->history_path = strdup(o->history)))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = wake_new(l, on_wake, e, &e->wake, err);
    int code = rc == 0 ? pthread_create(&e->thread, NULL, serve, e) : 0;
    if (code)
        rc = err_set_errno(err, ERR_IO, code, "cannot start a thread for the input");
    e->started = rc == 0;
    if (rc)
        editor_free(e);
    else
        *ret = e;
    return rc;
}

void editor_free(struct editor *e)
{
    if (!e)
        return;
    if (e->started) {
        pthread_mutex_lock(&e->lock);
        e->ending = true;
        pthread_cond_signal(&e->asked_for);
        pthread_mutex_unlock(&e->lock);
        nudge(e);
        pthread_join(e->thread, NULL);
    }
    wake_free(e->wake);
    if (e->event >= 0)
        close(e->event);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->asked_for);
    buf_free(&e->shown);
    buf_free(&e->input);
    free(e->history_path);
    free(e->prompt);
    free(e->line);
    free(e);
}

void editor_set_prompt(struct editor *e, const char *prompt)
{
    char *copy = strdup(prompt);
    if (!copy)
        return;
    pthread_mutex_lock(&e->lock);
    free(e->prompt);
    e->prompt = copy;
    pthread_mutex_unlock(&e->lock);
}

void editor_ask(struct editor *e, const char *prompt)
{
    editor_set_prompt(e, prompt);
    pthread_mutex_lock(&e->lock);
    e->asked = true;
    pthread_cond_signal(&e->asked_for);
    pthread_mutex_unlock(&e->lock);
}

bool editor_take(struct editor *e, enum editor_answer *ret, char **ret_line)
{
    pthread_mutex_lock(&e->lock);
    bool answered = e->answered;
    if (answered) {
        *ret = e->answer;
        *ret_line = e->line;
        e->line = NULL;
        e->answered = false;
    }
    pthread_mutex_unlock(&e->lock);
    return answered;
}

bool editor_show(struct editor *e, const char *text)
{
    pthread_mutex_lock(&e->lock);
    bool typing = e->options.terminal && e->asked;
    if (typing)
        (void)!buf_add_text(&e->shown, text); /* a flood that nobody could read is cut */
    pthread_mutex_unlock(&e->lock);
    if (typing)
        nudge(e);
    return typing;
}

void editor_interrupt(struct editor *e)
{
    pthread_mutex_lock(&e->lock);
    e->interrupted = true;
    pthread_mutex_unlock(&e->lock);
    nudge(e);
}

void editor_resize(struct editor *e)
{
    pthread_mutex_lock(&e->lock);
    e->resized = true;
    pthread_mutex_unlock(&e->lock);
    nudge(e);
}
