/* Commands: one file and one const entry each, all in the list of table.c. */
#ifndef HEAPTAP_COMMAND_COMMAND_H
#define HEAPTAP_COMMAND_COMMAND_H

#include "command/settings.h"

struct heap;
struct show_out;
struct invocation;

/* Where a command runs that no shell started: the prompt. It may run in a thread of its own. */
struct embedding {
    const struct show_out *out; /* where answers go; the settings choose the format */
    /* Snapshots come from here and go back, so that they can be kept open. */
    int (*open)(
        void *arg, const struct invocation *in, const char *path, struct heap **ret, struct err *e);
    void (*close)(void *arg, struct heap *h);
    bool (*cancelled)(void *arg); /* the user does not want the answer any more */
    void *arg;
    bool foreign_ids; /* object ids of its snapshots do not compare */
};

/* What the user asked for, as a command's run function gets it; all borrowed. */
struct invocation {
    const struct command *command;
    const struct settings *settings;
    char **words; /* the words that are no options, NULL-terminated by count only */
    int word_count;
    char **after; /* NULL-terminated words behind "--", NULL if there was none */
    const struct embedding *embedding; /* NULL: a shell started the command */
};

struct command {
    const char *name;
    const char *arguments;           /* as in "heaptap NAME ARGUMENTS" */
    const char *summary;             /* one line for the list of commands, no full stop */
    const char *examples;            /* lines of help's first part, each ending in a newline */
    const char *details;             /* paragraphs behind the options, NULL for none */
    const enum setting_id *settings; /* ends with SET_END; NULL: only those that are everywhere */
    int words_min;
    int words_max;      /* -1: any number */
    bool takes_command; /* words behind "--" are meant */
    /* Returns 0, an exit code above 0 that needs no explanation, or an err_code with e filled in.
     */
    int (*run)(const struct invocation *in, struct err *e);
};

/* The list, ended by NULL, in the order in which help shows it. */
extern const struct command *const command_table[];

/* The entry called name, NULL if there is none. */
const struct command *command_find(const char *name);
/* The name nearest to a word that is no command, NULL if none is near. */
const char *command_nearest(const char *word);

extern const struct command command_targets;
extern const struct command command_run;
extern const struct command command_attach;
extern const struct command command_snapshot;
extern const struct command command_timeline;
extern const struct command command_survivors;
extern const struct command command_allocations;
extern const struct command command_probe;
extern const struct command command_diagnose;
extern const struct command command_report;
extern const struct command command_summary;
extern const struct command command_config;
extern const struct command command_completion;
extern const struct command command_manual;
extern const struct command command_help;
extern const struct command command_version;
extern const struct command command_metrics;
extern const struct command command_db;
extern const struct command command_verify;
extern const struct command command_diff;
extern const struct command command_retainers;
extern const struct command command_dominators;
extern const struct command command_statistics;
extern const struct command command_strings;
extern const struct command command_find_objects;

/* An error's line on stderr: "heaptap NAME: …"; command NULL: without the name. For a command that
 * goes on after it; what run returns is reported by the caller. */
void command_tell_error(const char *command, const struct err *e);

/* Prints a command's help, or the list of commands for NULL, to stdout. */
void help_print(const struct command *command);

#endif
