/* summary, diff, retainers and the others that read snapshots: the shell's commands, with the
 * session's snapshots by number, and the latest where none is named. */
#include "command/prompt/table.h"

#include "base/text.h"
#include "command/prompt/embed.h"
#include "command/prompt/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The session's snapshot that a word names by its number, SIZE_MAX if it is no such number. */
static size_t kept_of(const struct session *s, const char *word)
{
    int64_t number;
    bool found = text_parse_integer(word, 1, (int64_t)s->snapshot_count, &number, NULL) == 0;
    return found ? (size_t)number - 1 : SIZE_MAX;
}

/* The path that a word stands for, borrowed. */
static int path_of(const struct session *s, char *word, char **ret, struct err *e)
{
    size_t kept = kept_of(s, word);
    if (kept != SIZE_MAX) {
        *ret = s->snapshots[kept].path;
        return 0;
    }
    if (text_is_digits(word) && access(word, F_OK) != 0)
        return s->snapshot_count
                   ? err_set(e, ERR_USAGE, "there is no snapshot %s: they are 1 to %zu", word,
                         s->snapshot_count)
                   : err_set(e, ERR_USAGE, "there is no snapshot yet: snapshot takes one");
    *ret = word;
    return 0;
}

static int latest(const struct session *s, size_t back, char **ret, struct err *e)
{
    if (s->snapshot_count <= back)
        return err_set(e, ERR_USAGE, "%s",
            s->snapshot_count ? "there is only one snapshot: take another one later, or name files"
                              : "there is no snapshot yet: snapshot takes one");
    *ret = s->snapshots[s->snapshot_count - 1 - back].path;
    return 0;
}

/* FILE and perhaps @ID: the file may be left out. */
static int run_on_one(struct session *s, struct prompt_call *c, struct err *e)
{
    char *words[3] = {NULL};
    int count = 0, from = 0, rc;
    if (c->in.word_count > 0 && c->in.words[0][0] != '@') {
        rc = path_of(s, c->in.words[0], &words[count++], e);
        from = 1;
    } else {
        rc = latest(s, 0, &words[count++], e);
    }
    for (int i = from; i < c->in.word_count && count < 3; i++)
        words[count++] = c->in.words[i];
    return rc ? rc : embed_run_words(s, c, words, count, false, e);
}

/* Ids mean the same only within one process, and there only until they were reset. */
static bool are_foreign(const struct session *s, const char *a, const char *b)
{
    const struct kept *first = NULL, *second = NULL;
    for (size_t i = 0; i < s->snapshot_count; i++) {
        if (strcmp(s->snapshots[i].path, a) == 0)
            first = &s->snapshots[i];
        if (strcmp(s->snapshots[i].path, b) == 0)
            second = &s->snapshots[i];
    }
    return first && second && (first->target != second->target || first->epoch != second->epoch);
}

static int run_diff(struct session *s, struct prompt_call *c, struct err *e)
{
    int count = c->in.word_count < 2 ? 2 : c->in.word_count;
    char **words = calloc((size_t)count + 1, sizeof *words);
    int rc = words ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0 && c->in.word_count == 0) {
        rc = latest(s, 1, &words[0], e);
        if (rc == 0)
            rc = latest(s, 0, &words[1], e);
    } else if (rc == 0 && c->in.word_count == 1) {
        rc = path_of(s, c->in.words[0], &words[0], e);
        if (rc == 0)
            rc = latest(s, 0, &words[1], e);
    } else {
        for (int i = 0; i < count && rc == 0; i++)
            rc = path_of(s, c->in.words[i], &words[i], e);
    }
    bool foreign = rc == 0 && count == 2 && are_foreign(s, words[0], words[1]);
    if (foreign)
        session_tell(s,
            "by class only: object ids were reset between these two, or they are of two "
            "processes");
    if (rc == 0)
        rc = embed_run_words(s, c, words, count, foreign, e);
    free(words);
    return rc;
}

#define FILES (COMPLETE_SNAPSHOTS | COMPLETE_FILES)

const struct prompt_command prompt_summary = {
    .name = "summary",
    .usage = "[N|FILE]",
    .summary = "classes of a snapshot by what they retain",
    .help = "  summary                  of the latest snapshot\n"
            "  summary 1 --class '^Session' --top 5\n",
    .json = "heaptap.summary/1",
    .completes = FILES | COMPLETE_CLASSES,
    .shell = &command_summary,
    .words_max = 1,
    .run = run_on_one,
};

const struct prompt_command prompt_diff = {
    .name = "diff",
    .usage = "[OLD [NEW...]]",
    .summary = "what came and went between two snapshots, class by class",
    .help =
        "  diff                     the last two\n"
        "  diff 1 3 --objects       with new objects by id, and the way to them\n"
        "  diff 1 2 3               what grew in every step\n"
        "Objects are compared by id, or where ids were reset between the two by class. Names in\n"
        "parentheses are V8's own: code that gets warm, strings, shapes of objects.\n",
    .json = "heaptap.diff/1",
    .completes = FILES | COMPLETE_CLASSES,
    .shell = &command_diff,
    .words_max = -1,
    .run = run_diff,
};

const struct prompt_command prompt_retainers = {
    .name = "retainers",
    .usage = "[N|FILE] @ID",
    .summary = "who holds an object, or with --class all of a class",
    .help =
        "  retainers @12345         in the latest snapshot\n"
        "  retainers 1 --class '^Session$'\n"
        "The way to an object begins at the roots; \"variable\" is one of a function's scope. The\n"
        "ids on it are for inspect and further retainers. With --class the ways of all objects\n"
        "are put together: [] stands for any index, # for any number in a name.\n",
    .json = "heaptap.retainers/1",
    .completes = FILES | COMPLETE_IDS | COMPLETE_CLASSES,
    .shell = &command_retainers,
    .words_max = 2,
    .run = run_on_one,
};

const struct prompt_command prompt_dominators = {
    .name = "dominators",
    .usage = "[N|FILE] [@ID]",
    .summary = "what keeps most memory alive, as a tree",
    .json = "heaptap.dominators/1",
    .completes = FILES | COMPLETE_IDS,
    .shell = &command_dominators,
    .words_max = 2,
    .run = run_on_one,
};

const struct prompt_command prompt_statistics = {
    .name = "statistics",
    .usage = "[N|FILE]",
    .summary = "what kinds of things a snapshot is made of",
    .json = "heaptap.statistics/1",
    .completes = FILES,
    .shell = &command_statistics,
    .words_max = 1,
    .run = run_on_one,
};

const struct prompt_command prompt_strings = {
    .name = "strings",
    .usage = "[N|FILE]",
    .summary = "strings of a snapshot that are there more than once",
    .json = "heaptap.strings/1",
    .completes = FILES,
    .shell = &command_strings,
    .words_max = 1,
    .run = run_on_one,
};

const struct prompt_command prompt_find_objects = {
    .name = "find",
    .usage = "[N|FILE]",
    .summary = "objects of a snapshot by --class, --name, --kind",
    .help = "  find --class '^Session$' --top 5      their ids are for retainers and inspect\n",
    .json = "heaptap.find/1",
    .completes = FILES | COMPLETE_CLASSES,
    .shell = &command_find_objects,
    .words_max = 1,
    .run = run_on_one,
};

static int run_allocations(struct session *s, struct prompt_call *c, struct err *e)
{
    return embed_run(s, c, e);
}

const struct prompt_command prompt_allocations = {
    .name = "allocations",
    .usage = "FILE",
    .summary = "which lines allocated what lives, from a timeline or survivors file",
    .json = "heaptap.allocations/1",
    .completes = COMPLETE_FILES,
    .shell = &command_allocations,
    .words_min = 1,
    .words_max = 2,
    .run = run_allocations,
};
