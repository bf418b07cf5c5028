/* allocations FILE: which lines allocated what lives, from a sampling profile or a timeline. */
#include "command/sink.h"
#include "command/sites.h"

#include <string.h>

enum view { VIEW_SITES, VIEW_COLLAPSED, VIEW_TREE, VIEW_DIFF };

static int choose(const struct invocation *in, enum view *ret, struct err *e)
{
    int asked = 0;
    *ret = VIEW_SITES;
    const struct {
        enum setting_id id;
        enum view view;
    } views[] = {{SET_COLLAPSED, VIEW_COLLAPSED}, {SET_TREE, VIEW_TREE}, {SET_DIFF, VIEW_DIFF}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (!settings_flag(in->settings, views[i].id))
            continue;
        asked++;
        *ret = views[i].view;
    }
    if (asked > 1)
        return err_set(e, ERR_USAGE, "only one of --collapsed, --tree and --diff");
    if ((in->word_count == 2) != (*ret == VIEW_DIFF))
        return err_set(e, ERR_USAGE, "%s",
            *ret == VIEW_DIFF ? "--diff compares two files: OLD NEW" : "two files are for --diff");
    return 0;
}

static int run(const struct invocation *in, struct err *e)
{
    struct allocations *old = NULL, *now = NULL;
    struct show_out out;
    enum view view;
    int rc = choose(in, &view, e);
    if (rc == 0)
        rc = sink_open(in->settings, &out, e);
    if (rc == 0 && view == VIEW_DIFF)
        rc = sites_open(in, in->words[0], &old, e);
    const char *path = in->words[in->word_count - 1];
    if (rc == 0)
        rc = sites_open(in, path, &now, e);
    if (rc == 0) {
        switch (view) {
        case VIEW_SITES: rc = sites_print(in, &out, path, now, e); break;
        case VIEW_COLLAPSED: rc = sites_print_collapsed(&out, now, e); break;
        case VIEW_TREE: rc = sites_print_tree(in, &out, now, e); break;
        case VIEW_DIFF: rc = sites_print_diff(in, &out, old, now, e); break;
        }
    }
    allocations_free(old);
    allocations_free(now);
    return rc ? rc : show_out_finish(&out, e);
}

static const enum setting_id accepted[] = {
    SET_COLLAPSED, SET_TREE, SET_DIFF, SET_TOP, SET_CSV, SET_PARTIAL, SET_END};

const struct command command_allocations = {
    .name = "allocations",
    .arguments = "FILE | --diff OLD NEW",
    .summary = "live bytes by allocating line, and by interval of a timeline",
    .examples = "  heaptap allocations leak.heapprofile\n"
                "  heaptap allocations --diff before.heapprofile after.heapprofile\n"
                "  heaptap allocations --collapsed leak.heapprofile >leak.txt    for speedscope\n"
                "  heaptap allocations --json --top 5 leak.heaptimeline\n",
    .details =
        "A site is the innermost function with a file; line and column are where it begins.\n"
        "V8 counts what an optimised function has inlined as that function's.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
