/* The table of the prompt's commands. */
#include "command/prompt/table.h"

#include "command/nearest.h"

#include <ctype.h>
#include <string.h>

const struct prompt_command *const prompt_table[] = {
    &prompt_targets,
    &prompt_use,
    &prompt_metrics,
    &prompt_gc,
    &prompt_snapshot,
    &prompt_snapshots,
    &prompt_summary,
    &prompt_diff,
    &prompt_retainers,
    &prompt_dominators,
    &prompt_statistics,
    &prompt_strings,
    &prompt_find_objects,
    &prompt_inspect,
    &prompt_instances,
    &prompt_timeline,
    &prompt_survivors,
    &prompt_allocations,
    &prompt_requests,
    &prompt_watch,
    &prompt_eval,
    &prompt_terminate,
    &prompt_sql,
    &prompt_set,
    &prompt_source,
    &prompt_help,
    &prompt_quit,
    &prompt_events,
    NULL,
};

const enum setting_id prompt_variables[] = {SET_TOP, SET_DEADLINE, SET_EVERY, SET_TIMES,
    SET_MAX_PAUSE, SET_MIN_FREE, SET_FORCE, SET_COMPRESS, SET_DURATION, SET_SAMPLE_EVERY, SET_CLASS,
    SET_CSV, SET_JSON, SET_END};

static bool has_alias(const struct prompt_command *c, const char *name)
{
    size_t length = strlen(name);
    for (const char *a = c->aliases; a && *a; a += strcspn(a, " "), a += *a == ' ')
        if (strncmp(a, name, length) == 0 && (a[length] == ' ' || a[length] == '\0'))
            return true;
    return false;
}

const struct prompt_command *prompt_find(const char *name)
{
    if (!*name)
        return NULL;
    for (const struct prompt_command *const *c = prompt_table; *c; c++)
        if (strcmp((*c)->name, name) == 0 || has_alias(*c, name))
            return *c;
    return NULL;
}

const char *prompt_nearest(const char *word)
{
    struct nearest n = nearest_begin(word);
    for (const struct prompt_command *const *c = prompt_table; *c; c++)
        nearest_try(&n, (*c)->name);
    return n.found;
}

bool prompt_is_method(const char *name)
{
    const char *dot = strchr(name, '.');
    if (!isupper((unsigned char)name[0]) || !dot || !isalpha((unsigned char)dot[1]))
        return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && c != dot)
            return false;
    return true;
}

const enum setting_id *prompt_settings(const struct prompt_command *c)
{
    return c->settings || !c->shell ? c->settings : c->shell->settings;
}

bool prompt_accepts(const struct prompt_command *c, enum setting_id id)
{
    if (setting_get(id)->everywhere)
        return true;
    for (const enum setting_id *own = prompt_settings(c); own && *own != SET_END; own++)
        if (*own == id)
            return true;
    return false;
}
