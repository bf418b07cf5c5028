/* What a target's own /json/protocol says. */
#include "command/prompt/protocol.h"

#include "base/buf.h"
#include "base/text.h"
#include "cdp/json.h"
#include "command/nearest.h"
#include "show/fill.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 20000 /* Chromium has 800 methods and events */

struct entry {
    char *name;
    bool is_event;
    const cJSON *item;
};

struct protocol {
    cJSON *tree;
    struct entry *entries;
    size_t count;
};

static const char *text_of(const cJSON *item, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, key));
}

static int add_entries(struct protocol *p, const char *domain, const cJSON *list, const char *key,
    bool is_event, struct err *e)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = text_of(item, key);
        if (!name || p->count == ENTRIES_MAX)
            continue;
        char *whole = text_format("%s.%s", domain, name);
        if (!whole)
            return err_set(e, ERR_NOMEM, "out of memory");
        p->entries[p->count++] = (struct entry){whole, is_event, item};
    }
    return 0;
}

int protocol_read(const char *text, size_t length, struct protocol **ret, struct err *e)
{
    const cJSON *domain;
    struct protocol *p = calloc(1, sizeof *p);
    int rc = p ? json_parse(text, length, &p->tree, e) : err_set(e, ERR_NOMEM, "out of memory");
    const cJSON *domains = rc == 0 ? cJSON_GetObjectItemCaseSensitive(p->tree, "domains") : NULL;
    if (rc == 0 && !cJSON_IsArray(domains))
        rc = err_set(e, ERR_PROTOCOL, "/json/protocol names no domains");
    if (rc == 0 && !(p->entries = calloc(ENTRIES_MAX, sizeof *p->entries)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        cJSON_ArrayForEach(domain, domains)
        {
            const char *name = text_of(domain, "domain");
            if (!name)
                continue;
            if (rc == 0)
                rc = add_entries(p, name, cJSON_GetObjectItemCaseSensitive(domain, "commands"),
                    "name", false, e);
            if (rc == 0)
                rc = add_entries(
                    p, name, cJSON_GetObjectItemCaseSensitive(domain, "events"), "name", true, e);
        }
    }
    if (rc)
        protocol_free(p);
    else
        *ret = p;
    return rc;
}

void protocol_free(struct protocol *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->entries[i].name);
    free(p->entries);
    cJSON_Delete(p->tree);
    free(p);
}

size_t protocol_count(const struct protocol *p)
{
    return p->count;
}

const char *protocol_name(const struct protocol *p, size_t index)
{
    return p->entries[index].name;
}

bool protocol_is_event(const struct protocol *p, size_t index)
{
    return p->entries[index].is_event;
}

static const struct entry *find(const struct protocol *p, const char *name, bool events)
{
    for (size_t i = 0; i < p->count; i++)
        if ((events || !p->entries[i].is_event) && strcmp(p->entries[i].name, name) == 0)
            return &p->entries[i];
    return NULL;
}

const cJSON *protocol_find(const struct protocol *p, const char *name)
{
    const struct entry *found = find(p, name, false);
    return found ? found->item : NULL;
}

const char *protocol_nearest(const struct protocol *p, const char *name)
{
    struct nearest n = nearest_begin(name);
    for (size_t i = 0; i < p->count; i++)
        if (!p->entries[i].is_event)
            nearest_try(&n, p->entries[i].name);
    return n.found;
}

/* ---- help ---- */

static void put(const struct show_out *o, const char *text)
{
    struct err e = ERR_NONE;
    (void)!show_text(o, text, strlen(text), &e);
}

/* Prints text in lines that fit, each behind an indent. */
static void put_filled(const struct show_out *o, const char *text, int indent)
{
    struct show_out prose = show_prose(o);
    struct err e = ERR_NONE;
    fprintf(o->file, "%*s", indent, "");
    (void)!show_fill(&prose, text, strlen(text), (size_t)indent, (size_t)indent, &e);
}

/* "string", "Runtime.RemoteObject", "array of integer", "one of a, b". */
static void put_type(const struct show_out *o, const cJSON *item)
{
    const char *type = text_of(item, "type"), *ref = text_of(item, "$ref");
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(item, "items");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(item, "enum"), *value;
    if (type && strcmp(type, "array") == 0 && items) {
        fprintf(o->file, "array of ");
        type = text_of(items, "type");
        ref = text_of(items, "$ref");
    }
    put(o, ref ? ref : type ? type : "any");
    const char *separator = ": ";
    cJSON_ArrayForEach(value, values)
    {
        fprintf(o->file, "%s", separator);
        put(o, cJSON_GetStringValue(value) ? cJSON_GetStringValue(value) : "?");
        separator = ", ";
    }
}

static void put_fields(const struct show_out *o, const char *title, const cJSON *list)
{
    const cJSON *field;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0)
        return;
    fprintf(o->file, "%s\n", title);
    cJSON_ArrayForEach(field, list)
    {
        const char *name = text_of(field, "name"), *about = text_of(field, "description");
        bool optional = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(field, "optional"));
        fprintf(o->file, "  %s", show_on(o, SHOW_BOLD));
        put(o, name ? name : "?");
        fprintf(o->file, "%s%s  ", show_off(o), optional ? "?" : "");
        put_type(o, field);
        fputc('\n', o->file);
        if (about)
            put_filled(o, about, 6);
    }
}

static void put_entry(const struct show_out *o, const struct entry *entry)
{
    const char *about = text_of(entry->item, "description");
    fprintf(o->file, "%s%s", entry->is_event ? "event " : "", show_on(o, SHOW_BOLD));
    put(o, entry->name);
    fprintf(o->file, "%s%s\n", show_off(o),
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry->item, "experimental"))
            ? " (experimental)"
            : "");
    if (about)
        put_filled(o, about, 2);
    put_fields(o, entry->is_event ? "It carries:" : "Parameters (? may be left out):",
        cJSON_GetObjectItemCaseSensitive(entry->item, "parameters"));
    put_fields(o, "Answers with:", cJSON_GetObjectItemCaseSensitive(entry->item, "returns"));
}

static bool put_domain(const struct protocol *p, const struct show_out *o, const char *domain)
{
    size_t length = strlen(domain), shown = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct entry *entry = &p->entries[i];
        if (strncmp(entry->name, domain, length) != 0 || entry->name[length] != '.')
            continue;
        shown++;
        fprintf(o->file, "  ");
        put(o, entry->name);
        fprintf(o->file, "%s\n", entry->is_event ? "   (event)" : "");
    }
    return shown > 0;
}

int protocol_help(
    const struct protocol *p, const struct show_out *o, const char *name, struct err *e)
{
    const struct entry *entry = find(p, name, true);
    if (entry) {
        put_entry(o, entry);
        return 0;
    }
    if (!strchr(name, '.') && put_domain(p, o, name))
        return 0;
    const char *nearest = protocol_nearest(p, name);
    return err_set(e, ERR_USAGE, "this target has no method or event \"%s\"%s%s%s", name,
        nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}
