/* instances: how many objects of a class live, found through its prototype. */
#include "command/prompt/table.h"

#include "base/text.h"
#include "cdp/proto.h"
#include "command/prompt/live.h"
#include "show/json.h"

#include <stdlib.h>
#include <string.h>

#define NAMESAKES_MAX 20 /* classes of the same name */
#define EXAMPLES_MAX  3  /* as live.js gives them */

struct counted {
    int64_t direct, derived;
    int64_t examples[EXAMPLES_MAX]; /* heap object ids */
    size_t example_count;
};

static int function_prototype(struct session *s, char **ret, struct err *e)
{
    struct proto_runtime_evaluate p = {
        .expression = "Function.prototype", .object_group = SESSION_OBJECT_GROUP, .silent = true};
    cJSON *params, *answer = NULL, *remote = NULL;
    int rc = proto_runtime_evaluate_encode(&p, &params, e);
    if (rc == 0)
        rc = session_call(s, PROTO_RUNTIME_EVALUATE, params, 0, &answer, e);
    if (rc == 0)
        rc = live_take(answer, &remote, e);
    if (rc == 0 && !(*ret = strdup(live_object(remote) ? live_object(remote) : "")))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    cJSON_Delete(remote);
    cJSON_Delete(answer);
    return rc;
}

static int take_examples(
    struct session *s, const char *examples, struct counted *ret, struct err *e)
{
    cJSON *answer = NULL;
    const cJSON *item = NULL;
    const char *object;
    int rc = live_properties(s, examples, &answer, e);
    while (rc == 0 && ret->example_count < EXAMPLES_MAX &&
           (object = live_next_object(answer, &item))) {
        int64_t id = 0;
        rc = live_heap_id(s, object, &id, e);
        if (rc == 0 && id)
            ret->examples[ret->example_count++] = id;
    }
    cJSON_Delete(answer);
    return rc;
}

static int count_one(struct session *s, const char *helper, const char *prototype,
    struct counted *ret, struct err *e)
{
    char *objects = NULL;
    cJSON *result = NULL, *answer = NULL;
    int rc = live_query(s, prototype, &objects, e);
    if (rc == 0) {
        cJSON *arguments = cJSON_CreateArray();
        live_add_object(arguments, objects);
        live_add_object(arguments, prototype);
        rc = live_call(s, helper, "count", arguments, false, &result, e);
    }
    if (rc == 0)
        rc = live_properties(s, live_object(result) ? live_object(result) : "", &answer, e);
    if (rc == 0) {
        const char *examples = live_object(live_value(answer, "examples"));
        ret->direct = live_integer(answer, "direct");
        ret->derived = live_integer(answer, "derived");
        rc = examples ? take_examples(s, examples, ret, e) : 0;
    }
    cJSON_Delete(answer);
    cJSON_Delete(result);
    free(objects);
    return rc;
}

/* Counts for each class of that name; *ret_count of them. */
static int count_all(
    struct session *s, const char *name, struct counted *ret, size_t *ret_count, struct err *e)
{
    char *helper = NULL, *root = NULL, *functions = NULL;
    cJSON *found = NULL, *answer = NULL;
    const cJSON *item = NULL;
    const char *object;
    int rc = live_begin(s, &helper, e);
    if (rc == 0)
        rc = function_prototype(s, &root, e);
    if (rc == 0)
        rc = live_query(s, root, &functions, e);
    if (rc == 0) {
        cJSON *arguments = cJSON_CreateArray();
        live_add_object(arguments, functions);
        live_add_text(arguments, name);
        rc = live_call(s, helper, "classes", arguments, false, &found, e);
    }
    if (rc == 0)
        rc = live_properties(s, live_object(found) ? live_object(found) : "", &answer, e);
    while (rc == 0 && *ret_count < NAMESAKES_MAX && (object = live_next_object(answer, &item)))
        rc = count_one(s, helper, object, &ret[(*ret_count)++], e);
    cJSON_Delete(answer);
    cJSON_Delete(found);
    free(functions);
    free(root);
    free(helper);
    return rc;
}

static int put_counts(const struct show_out *o, const char *name, const struct counted *list,
    size_t count, struct err *e)
{
    int rc = 0;
    if (o->format == SHOW_JSON) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.instances/1", &rc);
        show_json_word(root, "class", name, &rc);
        cJSON *classes = show_json_array(root, "classes", &rc);
        for (size_t i = 0; i < count; i++) {
            cJSON *item = show_json_object(classes, NULL, &rc);
            show_json_integer(item, "count", list[i].direct, &rc);
            show_json_integer(item, "derived", list[i].derived, &rc);
            cJSON *ids = show_json_array(item, "examples", &rc);
            for (size_t k = 0; k < list[i].example_count; k++)
                show_json_integer(ids, NULL, list[i].examples[k], &rc);
        }
        return show_json(o, root, rc, e);
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        char direct[TEXT_SHORT], derived[TEXT_SHORT];
        rc = show_text(o, name, strlen(name), e);
        fprintf(o->file, ": %s live object%s", text_count(direct, list[i].direct),
            list[i].direct == 1 ? "" : "s");
        if (list[i].derived)
            fprintf(o->file, ", %s of derived classes", text_count(derived, list[i].derived));
        for (size_t k = 0; k < list[i].example_count; k++)
            fprintf(o->file, "%s@%lld", k ? " " : ", such as ", (long long)list[i].examples[k]);
        if (list[i].direct && list[i].example_count == 0)
            fprintf(o->file, "; their ids come with a snapshot");
        fputc('\n', o->file);
    }
    return rc;
}

static int run_instances(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *name = c->in.words[0];
    struct counted list[NAMESAKES_MAX] = {{.direct = 0}};
    size_t count = 0;
    int rc = count_all(s, name, list, &count, e);
    session_release(s);
    if (rc == 0 && count == 0)
        rc = err_set(e, ERR_USAGE,
            "there is no class \"%s\" in the target now (functions without a prototype have no "
            "instances)",
            name);
    return rc ? rc : put_counts(&c->out, name, list, count, e);
}

const struct prompt_command prompt_instances = {
    .name = "instances",
    .aliases = "count",
    .usage = "CLASS",
    .summary = "how many objects of a class live now, without a snapshot",
    .help = "  instances SessionState\n"
            "The class need not be global: it is looked for among all functions. Garbage is\n"
            "collected first, so what is counted is in use.\n",
    .json = "heaptap.instances/1",
    .completes = COMPLETE_CLASSES,
    .words_min = 1,
    .words_max = 1,
    .run = run_instances,
};
