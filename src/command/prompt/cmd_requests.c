/* requests: following the requests of the target, and what each route keeps. */
#include "command/prompt/table.h"

#include "command/prompt/session.h"
#include "command/recap_requests.h"
#include "show/json.h"

#include <string.h>

static int put_top(struct session *s, const struct prompt_call *c, struct err *e)
{
    const struct run_target *t = session_facts(s);
    int rc = 0;
    if (!t)
        return err_set(e, ERR_LOST, "there is no target");
    if (c->out.format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.requests/1", &rc);
        recap_requests_json(root, &t->requests, &rc);
        return show_json(&c->out, root, rc, e);
    }
    if (t->requests.route_count == 0)
        return err_set(
            e, ERR_USAGE, "no request was seen yet: requests on follows them, then use the server");
    recap_requests_text(&c->out, &t->requests, false, "gc");
    return 0;
}

static int run(struct session *s, struct prompt_call *c, struct err *e)
{
    struct target *t = NULL;
    const char *word = c->in.words[0];
    bool on = strcmp(word, "on") == 0;
    int rc;
    if (strcmp(word, "top") == 0)
        return put_top(s, c, e);
    if (!on && strcmp(word, "off") != 0)
        return err_set(e, ERR_USAGE, "\"%s\" is none of on, off and top", word);
    rc = session_target(s, &t, e);
    if (rc == 0)
        rc = run_follow(s->run, s->current, on, e);
    if (rc)
        return rc;
    if (c->out.format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.requests/1", &rc);
        show_json_bool(root, "following", on, &rc);
        return show_json(&c->out, root, rc, e);
    }
    fprintf(c->out.file, "%s\n",
        on ? "following; gc now and then gives the floors that requests top judges by"
           : "not followed any more");
    return 0;
}

const struct prompt_command prompt_requests = {
    .name = "requests",
    .usage = "on|off|top",
    .summary = "follows HTTP requests and tells what each route keeps",
    .help =
        "  requests on; use the server; gc; more of it; gc; requests top\n"
        "Two readings a request go into the record. What a route keeps is judged from the heap\n"
        "after full collections and the counts of each route by then: it takes several.\n",
    .json = "heaptap.requests/1",
    .choices = "on off top",
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
