/* allocations FILE: which lines allocated what lives, from a sampling profile or a timeline. */
#include "command/interval.h"
#include "command/sink.h"
#include "command/sites.h"
#include "command/stacks.h"

#include <string.h>

enum view { VIEW_SITES, VIEW_COLLAPSED, VIEW_STACKS, VIEW_DIFF, VIEW_INTERVAL };

/* --view's words, and --tree, which is one of them. */
static int choose_stacks(
    const struct invocation *in, enum view *view, enum stacks_view *ret, struct err *e)
{
    static const struct {
        const char *word;
        enum view view;
        enum stacks_view stacks;
    } words[] = {{"sites", VIEW_SITES, STACKS_FLAT}, {"flat", VIEW_STACKS, STACKS_FLAT},
        {"top-down", VIEW_STACKS, STACKS_TOP_DOWN}, {"bottom-up", VIEW_STACKS, STACKS_BOTTOM_UP}};
    const char *word = settings_text(in->settings, SET_VIEW);
    if (settings_flag(in->settings, SET_TREE))
        word = "top-down";
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i].word) == 0) {
            *view = words[i].view;
            *ret = words[i].stacks;
            return 0;
        }
    return word ? err_set(e, ERR_USAGE, "--view %s: is none of sites, flat, top-down and bottom-up",
                      word)
                : 0;
}

static int choose(
    const struct invocation *in, enum view *ret, enum stacks_view *ret_stacks, struct err *e)
{
    static const struct {
        enum setting_id id;
        enum view view;
    } views[] = {{SET_COLLAPSED, VIEW_COLLAPSED}, {SET_DIFF, VIEW_DIFF}};
    int asked =
        settings_flag(in->settings, SET_TREE) + (settings_text(in->settings, SET_VIEW) != NULL);
    *ret = VIEW_SITES;
    int rc = choose_stacks(in, ret, ret_stacks, e);
    for (size_t i = 0; rc == 0 && i < sizeof views / sizeof *views; i++) {
        if (!settings_flag(in->settings, views[i].id))
            continue;
        asked++;
        *ret = views[i].view;
    }
    if (rc == 0 && settings_text(in->settings, SET_INTERVAL)) {
        asked++;
        *ret = VIEW_INTERVAL;
    }
    if (rc)
        return rc;
    if (asked > 1)
        return err_set(
            e, ERR_USAGE, "only one of --view, --tree, --collapsed, --interval and --diff");
    if ((in->word_count == 2) != (*ret == VIEW_DIFF))
        return err_set(e, ERR_USAGE, "%s",
            *ret == VIEW_DIFF ? "--diff compares two files: OLD NEW" : "two files are for --diff");
    return 0;
}

/* Intervals can be shown without stacks; all else would be an empty table that looks like an
 * answer. */
static int need_stacks(enum view view, const char *path, const struct allocations *a, struct err *e)
{
    bool needed = view == VIEW_COLLAPSED || view == VIEW_STACKS || view == VIEW_DIFF;
    if (!needed || allocations_is_profile(a) || allocations_count(a) > 1)
        return 0;
    return err_set(
        e, ERR_USAGE, "%s: no stacks were recorded (timeline --stacks records them)", path);
}

static int run(const struct invocation *in, struct err *e)
{
    struct allocations *old = NULL, *now = NULL;
    struct heap *h = NULL;
    struct show_out out;
    enum view view;
    enum stacks_view stacks = STACKS_FLAT;
    int rc = choose(in, &view, &stacks, e);
    if (rc == 0)
        rc = sink_of(in, &out, e);
    if (rc == 0 && view == VIEW_DIFF)
        rc = sites_open(in, in->words[0], &old, NULL, e);
    if (rc == 0 && old)
        rc = need_stacks(view, in->words[0], old, e);
    const char *path = in->words[in->word_count - 1];
    if (rc == 0)
        rc = sites_open(in, path, &now, view == VIEW_INTERVAL ? &h : NULL, e);
    if (rc == 0)
        rc = need_stacks(view, path, now, e);
    if (rc == 0) {
        switch (view) {
        case VIEW_SITES: rc = sites_print(in, &out, path, now, e); break;
        case VIEW_COLLAPSED: rc = stacks_print_collapsed(&out, now, e); break;
        case VIEW_STACKS: rc = stacks_print(in, &out, path, now, stacks, e); break;
        case VIEW_DIFF: rc = sites_print_diff(in, &out, old, now, e); break;
        case VIEW_INTERVAL: rc = interval_print(in, &out, path, now, h, e); break;
        }
    }
    allocations_free(old);
    allocations_free(now);
    heap_close(h);
    return rc ? rc : show_out_finish(&out, e);
}

static const enum setting_id accepted[] = {SET_VIEW, SET_INTERVAL, SET_CLASS, SET_COLLAPSED,
    SET_TREE, SET_DIFF, SET_SHARE, SET_DEPTH, SET_TOP, SET_CSV, SET_PARTIAL, SET_END};

const struct command command_allocations = {
    .name = "allocations",
    .arguments = "FILE | --diff OLD NEW",
    .summary = "live bytes by allocating line, and by interval of a timeline",
    .examples = "  heaptap allocations leak.heapprofile\n"
                "  heaptap allocations --diff before.heapprofile after.heapprofile\n"
                "  heaptap allocations --collapsed leak.heapprofile >leak.txt    for speedscope\n"
                "  heaptap allocations --json --top 5 leak.heaptimeline\n"
                "  heaptap allocations --interval 3..7 leak.heaptimeline        what lives, why\n"
                "  heaptap allocations --view bottom-up leak.heaptimeline\n",
    .details =
        "A site is the innermost function with a file; line and column are where it begins.\n"
        "V8 counts what an optimised function has inlined as that function's.\n"
        "Intervals have the numbers that the plot shows; 0 is what was there before the "
        "recording.\n"
        "--class narrows the objects of an interval. Trees of a terminal are cut by --share.\n",
    .settings = accepted,
    .words_min = 1,
    .words_max = 2,
    .run = run,
};
