/* Settings: every option of every command in one table, and where each value in force came from.
 * A value is looked for in the options, then the environment, then the configuration file, then the
 * default of the table; help, shell completion and `config show` read the same table. */
#ifndef HEAPTAP_COMMAND_SETTINGS_H
#define HEAPTAP_COMMAND_SETTINGS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum setting_id {
    SET_END, /* ends a list of settings */
    /* what every command has */
    SET_JSON,
    SET_CSV,
    SET_OUTPUT,
    SET_QUIET,
    SET_VERBOSE,
    SET_COLOR,
    SET_CONFIG,
    /* reaching targets */
    SET_TIMEOUT,
    SET_WAIT,
    SET_GIVE_UP,
    SET_MATCH,
    SET_ALLOW_REMOTE,
    /* what a run does */
    SET_DURATION,
    SET_METRICS_INTERVAL,
    SET_SNAPSHOTS,
    SET_SNAPSHOT_INTERVAL,
    SET_MAX_SNAPSHOTS,
    SET_LABEL,
    SET_LIVE_PROFILE,
    SET_TIMELINE_INTERVAL,
    SET_TIMELINE_DURATION,
    SET_STACKS,
    SET_YES,
    SET_SAMPLE_EVERY,
    SET_COLLAPSED,
    SET_TREE,
    SET_VIEW,
    SET_INTERVAL,
    SET_DIFF,
    SET_LIVE_PROFILE_INTERVAL,
    /* following requests */
    SET_REQUESTS,
    SET_REQUESTS_SAMPLE,
    SET_REQUESTS_MATCH,
    SET_REQUESTS_OVERHEAD,
    SET_KEEP_QUERY,
    SET_REQUEST_SNAPSHOTS,
    SET_HOLD,
    SET_GC_FLOOR,
    /* files */
    SET_DIR,
    SET_COMPRESS,
    SET_ANALYZE,
    SET_KEEP,
    SET_MAX_DISK,
    SET_MIN_FREE,
    /* guard */
    SET_MAX_PAUSE,
    SET_MAX_PAUSE_SHARE,
    SET_FORCE,
    /* database */
    SET_DB,
    SET_SCHEMA,
    SET_ADOPT,
    SET_NO_MIGRATE,
    SET_DRAIN,
    SET_LOCAL_KEEP,
    SET_OUTBOX_SIZE,
    SET_RUN,
    SET_SINCE,
    SET_OLDER,
    SET_TOP,
    /* snapshot files */
    SET_PARTIAL,
    SET_CLASS,
    SET_NAME,
    SET_KIND,
    SET_MIN_SIZE,
    SET_ONLY,
    SET_AFTER,
    SET_BEFORE,
    SET_OBJECTS,
    SET_DEPTH,
    SET_SHARE,
    SET_LONGEST,
    /* diagnosis */
    SET_EXIT_CODE,
    SET_JSON_FILE,
    SET_TARGET,
    SET_DIAGNOSIS,
    SET_MARKDOWN,
    /* probe */
    SET_REQUEST,
    SET_BASE,
    SET_HEADER,
    SET_BODY,
    SET_REQUEST_COUNT,
    SET_ROUNDS,
    SET_CONCURRENCY,
    SET_REQUEST_TIMEOUT,
    SET_INSECURE,
    SET_SETTLE,
    SET_PROBE_SNAPSHOTS,
    SET_MAX_BYTES_PER_REQUEST,
    /* the prompt */
    SET_COMMANDS,
    SET_SCRIPT,
    SET_STRICT,
    SET_DEADLINE,
    SET_WATCH,
    SET_EVERY,
    SET_TIMES,
    SET_COUNT /* number of ids, not a setting */
};

enum setting_type {
    SETTING_TEXT,
    SETTING_TEXTS,    /* as an option it may be given several times */
    SETTING_FLAG,     /* --name, --no-name, --name=true|false */
    SETTING_DURATION, /* microseconds */
    SETTING_MS,       /* a duration that the environment gives in plain milliseconds */
    SETTING_SIZE,     /* bytes */
    SETTING_SHARE,    /* 0 to 1 */
    SETTING_INTEGER,
};

struct setting {
    const char *name; /* the long option, also the key in the configuration file */
    char letter;      /* the short option, 0 for none */
    bool everywhere;  /* every command has it */
    enum setting_type type;
    const char *fallback; /* the default as a user would write it; NULL: unset */
    const char *variable; /* the environment's name where it is not HEAPTAP_NAME; NULL otherwise */
    const char *argument; /* what help calls the value, NULL for a flag */
    const char *help;     /* one sentence without a full stop */
};

struct settings;

/* The table's entry; id is neither SET_END nor SET_COUNT. */
const struct setting *setting_get(enum setting_id id);
/* Writes the environment variable's name, such as HEAPTAP_MAX_PAUSE. */
#define SETTING_VARIABLE_SIZE 64
const char *setting_variable(enum setting_id id, char out[SETTING_VARIABLE_SIZE]);

/* How many words of argv, from argv[1] on, are options and their values: those that stand before a
 * command's word. What is no option at all counts as one without a value. */
int settings_leading(int argc, char **argv);

/* Reads argv (argv[0] is the command's word) for a command that has the settings in allowed
 * (ended by SET_END) beside those that are everywhere. The words that are no options go to
 * ret_words (borrowed from argv, which is reordered); everything behind "--" to ret_after, NULL
 * without "--". ret_help: -h or --help was among them. */
int settings_read(const enum setting_id *allowed, int argc, char **argv, struct settings **ret,
    char ***ret_words, int *ret_word_count, char ***ret_after, bool *ret_help,
    struct err *e) MUST_USE;
void settings_free(struct settings *s);

bool settings_given(const struct settings *s, enum setting_id id); /* anywhere but the default */
/* NULL: unset; of SETTING_TEXTS the last one. */
const char *settings_text(const struct settings *s, enum setting_id id);
/* Of SETTING_TEXTS, all of them in their order; *ret_count 0: unset. Borrowed. */
const char *const *settings_texts(const struct settings *s, enum setting_id id, size_t *ret_count);
bool settings_flag(const struct settings *s, enum setting_id id);
int64_t settings_number(const struct settings *s, enum setting_id id); /* µs, bytes, integers */
double settings_share(const struct settings *s, enum setting_id id);

/* "option", "environment HEAPTAP_DIR", "file /etc/…:3" or "default"; owned by s. */
const char *settings_source(const struct settings *s, enum setting_id id);

#endif
