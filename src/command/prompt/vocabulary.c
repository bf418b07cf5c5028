/* The words that the prompt can complete. One lock: the session adds, the editor's thread asks. */
#include "command/prompt/vocabulary.h"

#include "base/array.h"
#include "base/text.h"
#include "command/prompt/table.h"
#include "heap/heap.h"

#include <ctype.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLASSES_MAX 20000 /* of a snapshot; the largest retain most and come first */
#define IDS_MAX     256
#define CHOICES_MAX 20000
#define NUMBERS_MAX 1000

struct vocabulary {
    pthread_mutex_t lock;
    size_t targets, snapshots;
    char **classes; /* owned; visible */
    size_t class_count;
    int64_t ids[IDS_MAX];
    size_t id_count; /* ever */
    const struct protocol *protocol;
};

struct vocabulary *vocabulary_new(void)
{
    struct vocabulary *v = calloc(1, sizeof *v);
    if (v)
        pthread_mutex_init(&v->lock, NULL);
    return v;
}

static void free_classes(struct vocabulary *v)
{
    for (size_t i = 0; i < v->class_count; i++)
        free(v->classes[i]);
    free(v->classes);
    v->classes = NULL;
    v->class_count = 0;
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v)
        return;
    free_classes(v);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

void vocabulary_set_counts(struct vocabulary *v, size_t targets, size_t snapshots)
{
    pthread_mutex_lock(&v->lock);
    v->targets = targets;
    v->snapshots = snapshots;
    pthread_mutex_unlock(&v->lock);
}

/* A name that a word can be: visible, without blanks. NULL otherwise. */
static char *word_of(const char *name, size_t length)
{
    struct buf b = buf_new(1024);
    if (text_add_visible(&b, name, length) != 0 || b.length == 0 || strpbrk(b.data, " \t;|>'\"`")) {
        buf_free(&b);
        return NULL;
    }
    return buf_take(&b);
}

void vocabulary_set_classes(struct vocabulary *v, const struct heap *h)
{
    const struct heap_class *classes;
    uint32_t count = heap_classes(h, &classes);
    if (count > CLASSES_MAX)
        count = CLASSES_MAX;
    pthread_mutex_lock(&v->lock);
    free_classes(v);
    v->classes = calloc(count + 1, sizeof *v->classes);
    for (uint32_t i = 0; v->classes && i < count; i++) {
        char *word = word_of(classes[i].name, classes[i].name_length);
        if (word)
            v->classes[v->class_count++] = word;
    }
    pthread_mutex_unlock(&v->lock);
}

void vocabulary_add_id(struct vocabulary *v, int64_t id)
{
    pthread_mutex_lock(&v->lock);
    v->ids[v->id_count++ % IDS_MAX] = id;
    pthread_mutex_unlock(&v->lock);
}

void vocabulary_set_protocol(struct vocabulary *v, const struct protocol *p)
{
    pthread_mutex_lock(&v->lock);
    v->protocol = p;
    pthread_mutex_unlock(&v->lock);
}

/* ---- choices ---- */

/* Takes word (owned, NULL: out of memory) if it begins as the one that is typed. */
static void offer(struct editor_choices *c, const char *typed, char *word)
{
    bool fits = word && strncmp(word, typed, strlen(typed)) == 0 && c->count < CHOICES_MAX;
    if (fits && array_more(&c->words, c->count))
        c->words[c->count++] = word;
    else
        free(word);
}

static void offer_copy(struct editor_choices *c, const char *typed, const char *word)
{
    if (strncmp(word, typed, strlen(typed)) == 0)
        offer(c, typed, strdup(word));
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct editor_choices *c)
{
    size_t kept = 0;
    if (c->count == 0)
        return;
    qsort(c->words, c->count, sizeof(char *), compare);
    for (size_t i = 0; i < c->count; i++) {
        if (kept && strcmp(c->words[kept - 1], c->words[i]) == 0)
            free(c->words[i]);
        else
            c->words[kept++] = c->words[i];
    }
    c->count = kept;
}

/* Files whose name begins with typed; folders get a slash, and more of them may follow. */
static void offer_files(struct editor_choices *c, const char *typed)
{
    const char *slash = strrchr(typed, '/');
    char *folder = slash ? strndup(typed, (size_t)(slash - typed) + 1) : strdup("");
    DIR *dir = folder ? opendir(*folder ? folder : ".") : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat info;
        const char *name = slash ? slash + 1 : typed;
        if ((entry->d_name[0] == '.' && *name != '.') || strncmp(entry->d_name, name, strlen(name)))
            continue;
        char *path = text_format("%s%s", folder, entry->d_name);
        if (path && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            free(path);
            path = text_format("%s%s/", folder, entry->d_name);
            c->final = false;
        }
        offer(c, typed, path);
    }
    if (dir)
        closedir(dir);
    free(folder);
}

static void offer_methods(
    const struct vocabulary *v, struct editor_choices *c, const char *typed, bool events)
{
    const char *dot = strchr(typed, '.');
    if (!v->protocol)
        return;
    for (size_t i = 0; i < protocol_count(v->protocol); i++) {
        const char *name = protocol_name(v->protocol, i);
        if (protocol_is_event(v->protocol, i) && !events)
            continue;
        if (dot) {
            offer_copy(c, typed, name);
        } else { /* domains first: there are 20 of them and 150 methods */
            offer(c, typed, strndup(name, strcspn(name, ".") + 1));
            c->final = false;
        }
    }
}

static void offer_commands(struct editor_choices *c, const char *typed)
{
    for (const struct prompt_command *const *p = prompt_table; *p; p++)
        offer_copy(c, typed, (*p)->name);
}

static void offer_settings(
    struct editor_choices *c, const char *typed, const enum setting_id *list, const char *before)
{
    for (const enum setting_id *id = list; id && *id != SET_END; id++)
        offer(c, typed, text_format("%s%s", before, setting_get(*id)->name));
}

static void offer_options(
    struct editor_choices *c, const char *typed, const struct prompt_command *command)
{
    offer_settings(c, typed, prompt_settings(command), "--");
    for (int id = SET_END + 1; id < SET_COUNT; id++)
        if (setting_get((enum setting_id)id)->everywhere)
            offer(c, typed, text_format("--%s", setting_get((enum setting_id)id)->name));
    offer_copy(c, typed, "--help");
}

static void offer_choices(struct editor_choices *c, const char *typed, const char *choices)
{
    while (choices && *choices) {
        size_t length = strcspn(choices, " ");
        offer(c, typed, strndup(choices, length));
        choices += length + (choices[length] == ' ');
    }
}

static void offer_numbers(struct editor_choices *c, const char *typed, size_t count)
{
    for (size_t i = 1; i <= count && i <= NUMBERS_MAX; i++)
        offer(c, typed, text_format("%zu", i));
}

static void offer_arguments(const struct vocabulary *v, struct editor_choices *c, const char *typed,
    const struct prompt_command *command)
{
    unsigned kinds = command->completes;
    offer_choices(c, typed, command->choices);
    if (kinds & COMPLETE_TARGETS)
        offer_numbers(c, typed, v->targets);
    if (kinds & COMPLETE_SNAPSHOTS)
        offer_numbers(c, typed, v->snapshots);
    for (size_t i = 0; (kinds & COMPLETE_CLASSES) && i < v->class_count; i++)
        offer_copy(c, typed, v->classes[i]);
    size_t ids = v->id_count < IDS_MAX ? v->id_count : IDS_MAX;
    for (size_t i = 0; (kinds & COMPLETE_IDS) && i < ids; i++)
        offer(c, typed, text_format("@%lld", (long long)v->ids[i]));
    if (kinds & COMPLETE_COMMANDS)
        offer_commands(c, typed);
    if (kinds & (COMPLETE_COMMANDS | COMPLETE_EVENTS))
        offer_methods(v, c, typed, true);
    if (kinds & COMPLETE_SETTINGS)
        offer_settings(c, typed, prompt_variables, "");
    if ((kinds & COMPLETE_FILES) && (c->count == 0 || strchr(typed, '/')))
        offer_files(c, typed);
}

/* Within the JSON of a raw method: a parameter's name where one may stand. */
static void offer_parameters(const struct vocabulary *v, struct editor_choices *c,
    const char *method, const char *json, size_t *ret_length)
{
    const cJSON *item = v->protocol ? protocol_find(v->protocol, method) : NULL, *field;
    const char *at = json + strlen(json);
    while (at > json && at[-1] != '{' && at[-1] != ',')
        at--;
    while (*at == ' ')
        at++;
    if (!item || at == json || strchr(at, ':'))
        return;
    *ret_length = strlen(at);
    cJSON_ArrayForEach(field, cJSON_GetObjectItemCaseSensitive(item, "parameters"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(field, "name"));
        if (name)
            offer(c, at, text_format("\"%s\": ", name));
    }
    c->final = false;
}

/* Where the command that the cursor is in begins. */
static const char *command_begin(const char *text)
{
    const char *begin = text;
    char quote = '\0';
    int depth = 0;
    for (const char *c = text; *c; c++) {
        if (quote && *c == '\\' && c[1])
            c++;
        else if (quote)
            quote = *c == quote ? '\0' : quote;
        else if (*c == '\'' || *c == '"' || *c == '`')
            quote = *c;
        else if (strchr("([{", *c))
            depth++;
        else if (strchr(")]}", *c))
            depth -= depth > 0;
        else if (*c == ';' && depth == 0)
            begin = c + 1;
    }
    return begin + strspn(begin, " \t");
}

static void complete(const struct vocabulary *v, const char *text, struct editor_choices *c)
{
    const char *begin = command_begin(text);
    size_t name_length = strcspn(begin, " \t{");
    const char *space = strrchr(begin, ' ');
    const char *typed = space ? space + 1 : begin;
    char *name = strndup(begin, name_length);
    if (!name)
        return;
    c->final = true;
    c->length = strlen(typed);
    if (begin[name_length] == '\0') {
        offer_commands(c, typed);
        if (isupper((unsigned char)*typed) || c->count == 0)
            offer_methods(v, c, typed, false);
        free(name);
        return;
    }
    const struct prompt_command *command = prompt_find(name);
    const char *redirection = space && space > begin ? space - 1 : begin;
    if (*redirection == '>' || *typed == '>')
        offer_files(c, typed);
    else if (strchr(name, '.') && !command)
        offer_parameters(v, c, name, begin + name_length, &c->length);
    else if (command && strncmp(typed, "--", 2) == 0)
        offer_options(c, typed, command);
    else if (command)
        offer_arguments(v, c, typed, command);
    free(name);
}

bool vocabulary_complete(void *arg, const char *line, size_t cursor, struct editor_choices *ret)
{
    struct vocabulary *v = arg;
    struct editor_choices c = {.words = NULL};
    char *text = strndup(line, cursor);
    if (!text)
        return false;
    pthread_mutex_lock(&v->lock);
    complete(v, text, &c);
    pthread_mutex_unlock(&v->lock);
    free(text);
    sort(&c);
    if (c.count == 0) {
        editor_choices_free(&c);
        return false;
    }
    *ret = c;
    return true;
}
