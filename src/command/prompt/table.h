/* The prompt's commands: one const entry each, in the file that has the command, all in one table
 * from which help, completion and the check of the manual come. */
#ifndef HEAPTAP_COMMAND_PROMPT_TABLE_H
#define HEAPTAP_COMMAND_PROMPT_TABLE_H

#include "command/command.h"
#include "command/prompt/script.h"
#include "show/out.h"

struct session;

enum prompt_completes { /* what its words can be; several */
    COMPLETE_FILES = 1,
    COMPLETE_TARGETS = 2,
    COMPLETE_SNAPSHOTS = 4,
    COMPLETE_CLASSES = 8,
    COMPLETE_IDS = 16,
    COMPLETE_COMMANDS = 32, /* and methods */
    COMPLETE_EVENTS = 64,
    COMPLETE_SETTINGS = 128,
};

/* One command as it was given. */
struct prompt_call {
    const struct prompt_command *command;
    struct invocation in; /* settings and words; its command is the shell's, if there is one */
    const char *rest;     /* of commands that are not of words: as written */
    struct show_out out;  /* where the answer goes, in the format that was asked for */
};

struct prompt_command {
    const char *name;
    const char *aliases; /* with blanks between them; NULL: none */
    const char *usage;   /* behind the name */
    const char *heading; /* of the part of help's list that begins with it; NULL: none does */
    const char *summary; /* one line without a full stop */
    const char *help;    /* more, as show_page prints it; NULL: none */
    const char *json;    /* "schema" of its JSON form; NULL: it answers with nothing */
    enum script_kind kind;
    unsigned completes;
    const char *choices;         /* words that its first can be, with blanks between them */
    const struct command *shell; /* the command of the shell whose work it does; NULL: its own */
    const enum setting_id *settings; /* NULL: those of shell, or none */
    int words_min, words_max;        /* words_max -1: any number */
    bool streams; /* answers line by line for a long time: nothing of it waits for the end */
    /* Returns 0 or an err_code with e filled in. */
    int (*run)(struct session *s, struct prompt_call *c, struct err *e);
};

extern const struct prompt_command *const prompt_table[]; /* ended by NULL, in help's order */
extern const enum setting_id prompt_variables[];          /* what set can set, ended by SET_END */

/* By name or alias, NULL. */
const struct prompt_command *prompt_find(const char *name);
const char *prompt_nearest(const char *word);
/* Is it "Domain.method"? */
bool prompt_is_method(const char *name);
/* Its options, NULL or ended by SET_END. */
const enum setting_id *prompt_settings(const struct prompt_command *c);
bool prompt_accepts(const struct prompt_command *c, enum setting_id id);

/* Runs one command's text to its end and tells what failed; 0, or the exit code of the failure. */
int prompt_execute(struct session *s, const char *text, size_t length) MUST_USE;
/* Runs all commands of a text. With --strict it ends with the first failure. */
int prompt_execute_all(struct session *s, const char *text) MUST_USE;

/* A file's whole text; name is for messages. The caller's (free). */
int prompt_read_file(const char *path, char **ret, struct err *e) MUST_USE;

extern const struct prompt_command prompt_targets, prompt_use, prompt_metrics, prompt_gc,
    prompt_snapshot, prompt_snapshots, prompt_summary, prompt_diff, prompt_retainers,
    prompt_dominators, prompt_statistics, prompt_strings, prompt_find_objects, prompt_inspect,
    prompt_instances, prompt_timeline, prompt_survivors, prompt_allocations, prompt_requests,
    prompt_watch, prompt_eval, prompt_terminate, prompt_method, prompt_events, prompt_sql,
    prompt_set, prompt_source, prompt_help, prompt_quit;

#endif
