/* eval, watch, terminate: expressions in the target. */
#include "command/prompt/table.h"

#include "base/clock.h"
#include "base/text.h"
#include "cdp/proto.h"
#include "command/prompt/live.h"
#include "command/prompt/spark.h"
#include "show/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOW_DEPTH    4
#define SHOW_CHARS    100000          /* of an object in words */
#define JSON_CHARS    (1024 * 1024)   /* of an object as JSON */
#define TERMINAL_MAX  (64 * 1024)     /* bytes of a text on a terminal; a file has it whole */
#define GRACE_US      (2 * 1000000LL) /* V8 ends an expression itself at its deadline */
#define WIDTH_DEFAULT 100
#define SPARK_COLUMNS 40

static bool begins_with_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strncmp(text, word, length) == 0 && isspace((unsigned char)text[length]);
}

/* Those that V8's own prompt mode is needed for: await at the top, declarations that may be made
 * again. That mode answers through a promise, which a busy event loop never settles. */
static bool needs_repl(const char *text)
{
    return strstr(text, "await") || begins_with_word(text, "let") ||
           begins_with_word(text, "const") || begins_with_word(text, "class");
}

/* "{a: 1}" at the beginning is meant as an object, not as a block. */
static bool is_object_literal(const char *text)
{
    size_t length = strlen(text);
    return length > 1 && text[0] == '{' && text[length - 1] == '}' && !strchr(text, ';');
}

static cJSON *parameters(const char *expression, int64_t deadline_us)
{
    bool repl = needs_repl(expression), literal = is_object_literal(expression);
    cJSON *p = cJSON_CreateObject();
    char *whole = literal ? text_format("(%s)", expression) : NULL;
    cJSON_AddStringToObject(p, "expression", whole ? whole : expression);
    cJSON_AddStringToObject(p, "objectGroup", SESSION_OBJECT_GROUP);
    cJSON_AddBoolToObject(p, "includeCommandLineAPI", true);
    cJSON_AddBoolToObject(p, "silent", true);
    if (repl)
        cJSON_AddBoolToObject(p, "replMode", true);
    /* V8 ends what runs on by itself then; what is awaited is not meant. */
    cJSON_AddNumberToObject(p, "timeout", (double)deadline_us / 1000);
    free(whole);
    return p;
}

/* What no answer means: within the deadline, at Ctrl-C. */
static int explain_silence(int rc, int64_t deadline_us, int64_t waited_us, struct err *e)
{
    char limit[TEXT_SHORT], left[TEXT_SHORT];
    text_duration(limit, deadline_us);
    if (rc == ERR_TIMEOUT)
        return err_set(e, rc,
            "no answer within %s (--deadline): it awaits what does not come, or the target is busy "
            "(see help terminate), paused in a debugger (Debugger.resume) or stopped",
            limit);
    if (waited_us < deadline_us)
        return err_set(e, rc,
            "not waited for any longer; if it blocks the target, V8 ends it in %s (--deadline)",
            text_duration(left, deadline_us - waited_us));
    return err_set(e, rc, "not waited for any longer");
}

/* Evaluates; *ret_remote is owned. While V8 works on an evaluation Node hears no other message, on
 * this connection or another: nothing but its own deadline can end it. */
static int evaluate(
    struct session *s, const struct prompt_call *c, cJSON **ret_remote, struct err *e)
{
    int64_t deadline_us = settings_number(c->in.settings, SET_DEADLINE);
    int64_t began_us = clock_monotonic_us();
    char limit[TEXT_SHORT];
    cJSON *answer = NULL;
    int rc = session_call(s, PROTO_RUNTIME_EVALUATE, parameters(c->rest, deadline_us),
        deadline_us + GRACE_US, &answer, e);
    int64_t waited_us = clock_monotonic_us() - began_us;
    if (rc == 0)
        rc = live_take(answer, ret_remote, e);
    cJSON_Delete(answer);
    if (rc == ERR_TIMEOUT || rc == ERR_CANCELLED)
        return s->timed_out ? rc : explain_silence(rc, deadline_us, waited_us, e);
    if (rc == ERR_TARGET && waited_us >= deadline_us) /* "terminated", or "Internal error" */
        return err_set(e, ERR_TIMEOUT, "it was still running after %s (--deadline) and was ended",
            text_duration(limit, deadline_us));
    return rc;
}

/* An object in words or as JSON, by the function of live.js; owned, NULL on failure. */
static char *describe(struct session *s, const cJSON *remote, const char *function, size_t width)
{
    struct err e = ERR_NONE;
    char *helper = NULL, *text = NULL;
    cJSON *result = NULL, *arguments = cJSON_CreateArray();
    live_add_object(arguments, live_object(remote));
    if (strcmp(function, "show") == 0) {
        live_add_number(arguments, SHOW_DEPTH);
        live_add_number(arguments, width ? (double)width : WIDTH_DEFAULT);
        live_add_number(arguments, SHOW_CHARS);
    } else {
        live_add_number(arguments, JSON_CHARS);
    }
    if (live_begin(s, &helper, &e) != 0)
        cJSON_Delete(arguments);
    else if (live_call(s, helper, function, arguments, true, &result, &e) == 0 &&
             live_text(result, "value"))
        text = strdup(live_text(result, "value"));
    cJSON_Delete(result);
    free(helper);
    return text;
}

/* What a person reads of any value; owned. */
static char *value_text(struct session *s, const cJSON *remote, size_t width)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(remote, "value");
    const char *type = live_text(remote, "type"), *text = live_text(remote, "unserializableValue");
    if (live_object(remote) && type && strcmp(type, "symbol") != 0) {
        char *shown = describe(s, remote, "show", width);
        if (shown)
            return shown;
    }
    if (!text && cJSON_IsNumber(value)) /* as JavaScript writes it */
        text = live_text(remote, "description");
    if (text)
        return strdup(text);
    if (cJSON_IsString(value))
        return strdup(value->valuestring);
    if (type && strcmp(type, "undefined") == 0)
        return strdup("undefined");
    if (value)
        return cJSON_PrintUnformatted(value);
    text = live_text(remote, "description");
    return strdup(text ? text : "");
}

static int put_text(const struct show_out *o, const char *text, struct err *e)
{
    size_t length = strlen(text), shown = length;
    char whole[TEXT_SHORT];
    if (!o->tty) {
        fwrite(text, 1, length, o->file);
        fputc('\n', o->file);
        return 0;
    }
    if (shown > TERMINAL_MAX)
        shown = TERMINAL_MAX;
    while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    int rc = 0;
    for (size_t i = 0; i < shown && rc == 0;) {
        size_t line = strcspn(text + i, "\n");
        if (line > shown - i)
            line = shown - i;
        rc = show_text(o, text + i, line, e);
        fputc('\n', o->file);
        i += line + 1;
    }
    if (shown == 0)
        fputc('\n', o->file);
    if (shown < length)
        fprintf(o->file, "… cut: it has %s bytes; > ./FILE keeps them all\n",
            text_count(whole, (int64_t)length));
    return rc;
}

static void add_value(struct session *s, cJSON *root, const cJSON *remote, int *rc)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(remote, "value");
    if (value) {
        show_json_add(root, "value", cJSON_Duplicate(value, true), rc);
        return;
    }
    char *json = live_object(remote) ? describe(s, remote, "json", 0) : NULL;
    cJSON *tree = json && *json ? cJSON_Parse(json) : NULL;
    if (tree)
        show_json_add(root, "value", tree, rc);
    else
        show_json_null(root, "value", rc);
    free(json);
}

static int put_json(
    struct session *s, const struct show_out *o, const cJSON *remote, bool line, struct err *e)
{
    int rc = 0;
    char *text = value_text(s, remote, WIDTH_DEFAULT);
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.eval/1", &rc);
    if (line)
        show_json_time(root, "time", clock_wall_ms(), &rc);
    show_json_word(root, "type", live_text(remote, "type"), &rc);
    show_json_word(root, "class", live_text(remote, "className"), &rc);
    show_json_word(root, "text", text, &rc);
    add_value(s, root, remote, &rc);
    free(text);
    return line ? show_json_line(o, root, rc, e) : show_json(o, root, rc, e);
}

static int run_eval(struct session *s, struct prompt_call *c, struct err *e)
{
    cJSON *remote = NULL;
    if (!*c->rest)
        return err_set(e, ERR_USAGE, "expected an expression; see help eval");
    int rc = evaluate(s, c, &remote, e);
    if (rc == 0 && c->out.format == SHOW_JSON) {
        rc = put_json(s, &c->out, remote, false, e);
    } else if (rc == 0) {
        char *text = value_text(s, remote, c->out.width);
        rc = text ? put_text(&c->out, text, e) : err_set(e, ERR_NOMEM, "out of memory");
        free(text);
    }
    session_release(s);
    cJSON_Delete(remote);
    return rc;
}

static const enum setting_id eval_settings[] = {SET_DEADLINE, SET_END};

const struct prompt_command prompt_eval = {
    .name = "eval",
    .aliases = "js p",
    .usage = "EXPRESSION",
    .summary = "a JavaScript expression in the target, await included",
    .help =
        "  eval process.memoryUsage()\n"
        "  eval --deadline=60s await fetch('http://localhost:3000/').then((r) => r.status)\n"
        "  eval require('v8').getHeapStatistics()\n"
        "Globals can be reached, and what require gives; not the variables of modules. After\n"
        "--deadline an expression that still runs is ended in the target. In an expression > is\n"
        "an operator: write the file of > as a path (> ./FILE), and | before a program's name.\n",
    .json = "heaptap.eval/1",
    .kind = SCRIPT_EXPRESSION,
    .settings = eval_settings,
    .run = run_eval,
};

/* ---- watch ---- */

static int watch_once(struct session *s, struct prompt_call *c, struct spark *spark, struct err *e)
{
    cJSON *remote = NULL;
    int rc = evaluate(s, c, &remote, e);
    if (rc == 0 && c->out.format == SHOW_JSON) {
        rc = put_json(s, &c->out, remote, true, e);
    } else if (rc == 0) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(remote, "value");
        char *text = value_text(s, remote, c->out.width);
        char time[CLOCK_ISO_SIZE];
        clock_iso(time, clock_wall_ms());
        fprintf(c->out.file, "%.8s  ", time + 11);
        if (text)
            rc = show_text(&c->out, text, strnlen(text, TERMINAL_MAX), e);
        if (cJSON_IsNumber(value)) {
            spark_add(spark, value->valuedouble);
            fputs("  ", c->out.file);
            spark_put(&c->out, spark, SPARK_COLUMNS);
        }
        fputc('\n', c->out.file);
        fflush(c->out.file);
        free(text);
    }
    session_release(s);
    cJSON_Delete(remote);
    return rc;
}

static int run_watch(struct session *s, struct prompt_call *c, struct err *e)
{
    int64_t times = settings_number(c->in.settings, SET_TIMES);
    struct spark spark = {.count = 0};
    int rc = *c->rest ? 0 : err_set(e, ERR_USAGE, "expected an expression; see help watch");
    for (int64_t i = 0; rc == 0 && (times == 0 || i < times); i++) {
        if (i > 0)
            rc = session_pause(s, settings_number(c->in.settings, SET_EVERY), e);
        if (rc == 0)
            rc = watch_once(s, c, &spark, e);
    }
    return rc == ERR_CANCELLED && s->terminal && !s->timed_out ? 0 : rc;
}

static const enum setting_id watch_settings[] = {SET_EVERY, SET_TIMES, SET_DEADLINE, SET_END};

const struct prompt_command prompt_watch = {
    .name = "watch",
    .usage = "EXPRESSION",
    .heading = "In the target",
    .summary = "an expression again and again, with a curve of its numbers",
    .help = "  watch --every=2s process.memoryUsage().heapUsed\n"
            "  watch --times=10 global.cache.size\n"
            "Ctrl-C ends it.\n",
    .json = "heaptap.eval/1",
    .kind = SCRIPT_EXPRESSION,
    .settings = watch_settings,
    .streams = true,
    .run = run_watch,
};

/* ---- terminate ---- */

static int run_terminate(struct session *s, struct prompt_call *c, struct err *e)
{
    if (!settings_flag(c->in.settings, SET_YES))
        return err_set(e, ERR_USAGE,
            "Node dies of it where a timer's callback is what runs, and ends a request without an "
            "answer where it is that: add --yes to agree");
    cJSON *answer = NULL;
    int rc = session_call(s, PROTO_RUNTIME_TERMINATE_EXECUTION, NULL, 0, &answer, e);
    cJSON_Delete(answer);
    if (rc == 0 && c->out.format == SHOW_JSON)
        return show_json(&c->out, show_json_object(NULL, NULL, &rc), rc, e);
    if (rc == 0)
        fprintf(c->out.file, "asked V8 to end what the target runs now\n");
    return rc;
}

static const enum setting_id terminate_settings[] = {SET_YES, SET_END};

const struct prompt_command prompt_terminate = {
    .name = "terminate",
    .usage = "--yes",
    .summary = "ends the JavaScript that the target runs at this moment",
    .help =
        "Runtime.terminateExecution, for a server that is stuck in a loop of its own. Node 18 to "
        "26\n"
        "go on where the loop is in a request's handler, in nextTick or behind an await; where it "
        "is\n"
        "in the callback of a timer or of setImmediate, the process ends with exit code 1. Where\n"
        "nothing is stuck, what runs just then ends. What eval itself runs cannot be ended so, "
        "for\n"
        "Node hears nothing meanwhile: its --deadline ends it.\n",
    .settings = terminate_settings,
    .run = run_terminate,
};
