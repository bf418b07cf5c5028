/* targets and use: which targets there are, and which of them commands are about. */
#include "command/prompt/table.h"

#include "base/text.h"
#include "command/prompt/catalogue.h"
#include "command/prompt/session.h"
#include "command/recap.h"
#include "show/json.h"
#include "show/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct show_column columns[] = {{"TITLE", "title", SHOW_NAME, 0},
    {"N", "number", SHOW_COUNT, 0}, {"TARGET", "target", SHOW_WORD, 0},
    {"KIND", "kind", SHOW_WORD, 0}, {"PID", "pid", SHOW_NUMBER, 0},
    {"VERSION", "runtime_version", SHOW_WORD, 0}, {"HEAP", "heap_used", SHOW_SIZE, 0},
    {"STATE", "state", SHOW_WORD, 0}};

static void add_row(const struct session *s, struct show_table *table, size_t index)
{
    const struct run_target *t = run_target_at(s->run, index);
    bool live = run_target_live(s->run, index);
    show_add_word(table, *t->identity.title ? t->identity.title : t->identity.url);
    show_add_integer(table, (int64_t)index + 1);
    show_add_word(table, t->identity.address);
    show_add_word(table, target_kind_name(t->identity.kind));
    if (t->identity.pid)
        show_add_number(table, (double)t->identity.pid);
    else
        show_add_none(table);
    show_add_word(table, t->identity.runtime_version);
    if (isnan(t->last_heap))
        show_add_none(table);
    else
        show_add_integer(table, (int64_t)t->last_heap);
    show_add_word(table, !live ? "gone" : index == s->current ? "in use" : "attached");
}

static int run_targets(struct session *s, struct prompt_call *c, struct err *e)
{
    struct show_table *table = show_table_new(columns, sizeof columns / sizeof *columns);
    cJSON *rows = NULL;
    for (size_t i = 0; i < run_target_count(s->run); i++)
        add_row(s, table, i);
    int rc = c->out.format == SHOW_JSON ? show_table_json(table, &rows, e)
                                        : show_table(&c->out, table, e);
    if (rc == 0 && rows) {
        cJSON *root = show_json_object(NULL, NULL, &rc);
        show_json_word(root, "schema", "heaptap.attached/1", &rc);
        show_json_add(root, "targets", rows, &rc);
        rc = show_json(&c->out, root, rc, e);
    }
    show_table_free(table);
    return rc;
}

static const enum setting_id with_csv[] = {SET_CSV, SET_END};

const struct prompt_command prompt_targets = {
    .name = "targets",
    .usage = "",
    .heading = "Targets",
    .summary = "the targets of this session: its processes and their workers",
    .help = "use N makes one of them the one that commands are about; use ADDRESS attaches to\n"
            "another process. Those of this host are listed by `heaptap targets` in a shell.\n",
    .json = "heaptap.attached/1",
    .settings = with_csv,
    .run = run_targets,
};

/* Follows an address and waits for its first target; *ret_index: that one. */
static int attach(struct session *s, const char *word, size_t *ret_index, struct err *e)
{
    struct address address;
    size_t link, before = run_target_count(s->run);
    int rc = address_parse(word, &address, e);
    if (rc == 0)
        rc = run_add(s->run, &address, &link, e);
    while (rc == 0) {
        for (size_t i = before; i < run_target_count(s->run); i++) {
            if (run_target_link(s->run, i) == link && run_target_live(s->run, i)) {
                *ret_index = i;
                return 0;
            }
        }
        if (run_link_same(s->run, link, ret_index))
            return 0;
        if (run_link_ended(s->run, link))
            return err_set(e, ERR_UNREACHABLE,
                "there is no target %s (targets lists them), and no address %s to attach to", word,
                word);
        rc = session_pause(s, 20000, e);
    }
    return rc;
}

static int run_use(struct session *s, struct prompt_call *c, struct err *e)
{
    const char *word = c->in.words[0];
    char name[RECAP_NAME_SIZE];
    int64_t number;
    size_t index = 0;
    int rc = 0;
    if (text_parse_integer(word, 1, (int64_t)run_target_count(s->run), &number, NULL) == 0)
        index = (size_t)number - 1;
    else
        rc = attach(s, word, &index, e);
    if (rc)
        return rc;
    const struct run_target *old = session_facts(s);
    s->current = index;
    const struct run_target *now = session_facts(s);
    if (!old || strcmp(old->identity.runtime_version, now->identity.runtime_version) != 0)
        catalogue_forget(s);
    if (s->terminal)
        catalogue_fetch(s);
    if (c->out.format != SHOW_JSON) {
        session_tell(s, "in use: %s%s", recap_name(now, name),
            run_target_live(s->run, index) ? "" : " (gone)");
        return 0;
    }
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(root, "schema", "heaptap.use/1", &rc);
    show_json_integer(root, "number", (int64_t)index + 1, &rc);
    show_json_word(root, "title", now->identity.title, &rc);
    show_json_integer(root, "pid", now->identity.pid, &rc);
    return show_json(&c->out, root, rc, e);
}

const struct prompt_command prompt_use = {
    .name = "use",
    .usage = "N|ADDRESS",
    .summary = "makes target N the one in use, or attaches to another address",
    .help = "  use 2                 the second of targets: another process, or a worker\n"
            "  use 9230              attaches there, too; the others stay attached\n"
            "  use pid:4711\n",
    .json = "heaptap.use/1",
    .completes = COMPLETE_TARGETS,
    .words_min = 1,
    .words_max = 1,
    .run = run_use,
};
