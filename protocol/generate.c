/* Makes C structs, encoders and checked decoders from a protocol schema (heaptap.protocol says its
 * grammar). usage: generate SCHEMA HEADER SOURCE. A bad schema: "file:line: what" and exit code 1.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 512, MAX_NAME = 64, MAX_ITEMS = 256, MAX_FIELDS = 32 };

/* The kinds of fields that are no types of the schema. */
static const struct kind {
    const char *name, *c_type, *json, *adder;
    bool pointer, number;
} kinds[] = {
    {"any", "const cJSON *", "ANY", "json_put_copy", true, false},
    {"object", "const cJSON *", "OBJECT", "json_put_copy", true, false},
    {"string", "const char *", "STRING", "json_put_string", true, false},
    {"boolean", "bool ", "BOOLEAN", "json_put_boolean", false, false},
    {"number", "double ", "NUMBER", "json_put_number", false, true},
    {"integer", "int64_t ", "INTEGER", "json_put_integer", false, true},
    {NULL, NULL, NULL, NULL, false, false},
};

struct field {
    char name[MAX_NAME], type[2 * MAX_NAME], value[MAX_NAME], note[MAX_LINE];
    const struct kind *kind; /* its name is NULL when `of` says the type */
    const struct item *of;
    bool array, optional; /* optional: NAME? or NAME TYPE = value */
    int line;
};

struct fields {
    struct field list[MAX_FIELDS];
    int count;
};

enum what { TYPE, METHOD, EVENT };
static const char *const what_names[] = {"type", "method", "event"};

struct item {
    enum what what;
    char domain[MAX_NAME], name[MAX_NAME], note[MAX_LINE];
    char c_name[4 * MAX_NAME];
    struct fields fields, results;
    bool has_results;
    int line;
};

static struct item items[MAX_ITEMS];
static int item_count, line_number;
static const char *schema_path;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", schema_path, line_number);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* getDOMCounters to get_dom_counters; good until the next call */
static const char *snake(const char *name)
{
    static char out[2 * MAX_NAME];
    size_t used = 0;
    for (size_t i = 0; name[i]; i++) {
        bool big = isupper((unsigned char)name[i]);
        if (i && big &&
            (!isupper((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1])))
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)name[i]);
    }
    out[used] = '\0';
    return out;
}

static const char *upper(const char *name)
{
    static char out[4 * MAX_NAME];
    for (size_t i = 0; i < sizeof out && (i == 0 || name[i - 1]); i++)
        out[i] = (char)toupper((unsigned char)name[i]);
    return out;
}

static void copy_name(char out[MAX_NAME], const char *name, const char *what)
{
    size_t length = 0;
    while (isalnum((unsigned char)name[length]))
        length++;
    if (name[length] || !isalpha((unsigned char)name[0]) || length >= MAX_NAME)
        fail("\"%s\" cannot be the name of a %s", name, what);
    memcpy(out, name, length + 1);
}

/* ---- reading ---- */

static void begin_item(enum what what, const char *domain, const char *name, const char *note)
{
    if (!domain[0])
        fail("no domain yet");
    if (item_count == MAX_ITEMS)
        fail("more than %d items", MAX_ITEMS);
    struct item *it = &items[item_count];
    it->what = what;
    it->line = line_number;
    snprintf(it->domain, sizeof it->domain, "%s", domain);
    copy_name(it->name, name, what_names[what]);
    snprintf(it->note, sizeof it->note, "%s", note);
    int used = snprintf(it->c_name, sizeof it->c_name, "proto_%s_", snake(domain));
    snprintf(it->c_name + used, sizeof it->c_name - (size_t)used, "%s", snake(name));
    for (int i = 0; i < item_count; i++)
        if (strcmp(items[i].c_name, it->c_name) == 0)
            fail("%s.%s is already in line %d", domain, name, items[i].line);
    item_count++;
}

static void check_default(const struct field *f)
{
    char *end = NULL;
    if (f->optional || f->array || !f->kind->name || f->kind->pointer)
        fail("%s cannot have a default: only plain booleans and numbers can", f->name);
    if (f->kind->number && (strtod(f->value, &end), *end))
        fail("default of %s is not a number", f->name);
    if (!f->kind->number && strcmp(f->value, "true") != 0 && strcmp(f->value, "false") != 0)
        fail("default of %s is neither true nor false", f->name);
}

static void add_field(
    struct fields *list, char *name, char *type, const char *value, const char *note)
{
    if (list->count == MAX_FIELDS)
        fail("more than %d fields", MAX_FIELDS);
    struct field *f = &list->list[list->count];
    f->line = line_number;
    size_t length = strlen(name);
    f->optional = length && name[length - 1] == '?';
    name[length - f->optional] = '\0';
    copy_name(f->name, name, "field");
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->list[i].name, f->name) == 0)
            fail("field %s is already in line %d", f->name, list->list[i].line);
    length = strlen(type);
    f->array = length > 2 && strcmp(type + length - 2, "[]") == 0;
    type[length - (f->array ? 2 : 0)] = '\0';
    snprintf(f->type, sizeof f->type, "%s", type);
    snprintf(f->note, sizeof f->note, "%s", note);
    f->kind = kinds;
    while (f->kind->name && strcmp(type, f->kind->name) != 0)
        f->kind++;
    if (value) {
        snprintf(f->value, sizeof f->value, "%s", value);
        check_default(f);
        f->optional = true;
    }
    list->count++;
}

static void read_line(char *line, char domain[MAX_NAME])
{
    char *comment = strstr(line, " -- ");
    const char *note = comment ? comment + 4 : "";
    if (strstr(note, "*/"))
        fail("a note cannot contain */");
    if (comment)
        *comment = '\0';
    char *word[6] = {NULL};
    int words = 0; /* the sixth holds all that follow: too many in any case */
    for (char *w = strtok(line, " "); w; w = strtok(NULL, " "))
        word[words < 5 ? words++ : 5] = w;
    if (words == 0 && !comment)
        return;
    struct item *it = item_count ? &items[item_count - 1] : NULL;
    int what = TYPE;
    while (what <= EVENT && (words != 2 || strcmp(word[0], what_names[what]) != 0))
        what++;
    if (line[0] == ' ') {
        if (words != 2 && !(words == 4 && strcmp(word[2], "=") == 0))
            fail("a field is NAME TYPE or NAME TYPE = VALUE");
        if (!it)
            fail("a field outside of a type, method or event");
        add_field(it->has_results ? &it->results : &it->fields, word[0], word[1], word[3], note);
    } else if (words == 1 && strcmp(word[0], "returns") == 0) {
        if (!it || it->what != METHOD || it->has_results)
            fail("\"returns\" belongs once behind a method");
        it->has_results = true;
    } else if (words == 2 && strcmp(word[0], "domain") == 0) {
        copy_name(domain, word[1], "domain");
    } else if (what <= EVENT) {
        begin_item((enum what)what, domain, word[1], note);
    } else {
        fail("expected domain, type, method, event or returns with a name");
    }
}

static void read_schema(FILE *in)
{
    char line[MAX_LINE], domain[MAX_NAME] = "";
    while (fgets(line, sizeof line, in)) {
        line_number++;
        size_t length = strcspn(line, "\r\n");
        if (length == sizeof line - 1)
            fail("the line is longer than %d bytes", MAX_LINE - 2);
        if (strlen(line) != length + (line[length] != '\0'))
            fail("a carriage return, or text behind it");
        line[length] = '\0';
        if (strchr(line, '\t'))
            fail("a tab: indent with spaces");
        if (line[0] != '#')
            read_line(line, domain);
    }
    if (item_count == 0)
        fail("says nothing");
}

/* Finds the types that fields name. A struct by value must stand above, so none contains itself. */
static void resolve(const struct item *owner, struct fields *list, bool sent)
{
    for (int i = 0; i < list->count; i++) {
        struct field *f = &list->list[i];
        char full[4 * MAX_NAME], name[2 * MAX_NAME + 2];
        line_number = f->line;
        const char *dot = strchr(f->type, '.') ? "" : "."; /* to put before it */
        snprintf(full, sizeof full, "%s%s%s", *dot ? owner->domain : "", dot, f->type);
        if (f->kind->name)
            continue;
        for (int k = 0; k < item_count; k++) {
            snprintf(name, sizeof name, "%s.%s", items[k].domain, items[k].name);
            if (items[k].what == TYPE && strcmp(name, full) == 0)
                f->of = &items[k];
        }
        if (!f->of)
            fail("no type %s", full);
        if (!f->array && f->of >= owner)
            fail("type %s must stand above its use", full);
        if (sent && !f->array)
            fail("a parameter cannot be a struct: use object");
    }
}

/* ---- writing ---- */

#define put fprintf

static const char encode_header[] =
    "int %s%s_encode(\n    const struct %s%s *p, cJSON **ret_params, struct err *e) MUST_USE;\n";
static const char decode_header[] =
    "int %s%s_decode(\n    const cJSON *object, struct %s%s *ret, struct err *e) MUST_USE;\n";

/* Absence of a pointer is NULL, of a field with a default its default; the others have a flag. */
static bool has_flag(const struct field *f)
{
    return f->optional && !f->value[0] && !f->array && !f->kind->pointer;
}

static void write_struct(
    FILE *out, const char *c_name, const char *suffix, const struct fields *list)
{
    put(out, "struct %s%s {\n", c_name, suffix);
    for (int i = 0; i < list->count; i++) {
        const struct field *f = &list->list[i];
        const char *member = snake(f->name);
        if (f->note[0])
            put(out, "    /* %s */\n", f->note);
        if (has_flag(f))
            put(out, "    bool has_%s;\n", member);
        if (f->array)
            put(out, "    const cJSON *%s; /* array of %s", member,
                f->of ? f->of->c_name : f->type);
        else if (f->of)
            put(out, "    struct %s %s; /* %s", f->of->c_name, member, f->type);
        else
            put(out, "    %s%s; /* %s", f->kind->c_type, member, f->type);
        const char * or = !f->optional ? "" : f->value[0] ? "; if absent " : ", or absent";
        put(out, "%s%s */\n", or, f->value);
    }
    put(out, "};\n");
}

static void write_decoder(
    FILE *out, const struct item *it, const char *suffix, const struct fields *list)
{
    char name[4 * MAX_NAME + 8];
    snprintf(name, sizeof name, "%s%s", it->c_name, suffix);
    put(out,
        "static int read_%s(const struct json_at *at,\n    const cJSON *object, struct %s *ret,"
        " struct err *e)\n{\n    struct %s v = {0};\n    int rc = json_is_object(at, object, e);\n",
        name, name, name);
    for (int i = 0; i < list->count; i++) {
        const struct field *f = &list->list[i];
        const char *member = snake(f->name);
        char present[2 * MAX_NAME + 16] = "NULL";
        if (f->optional)
            snprintf(present, sizeof present, has_flag(f) ? "&v.has_%s" : "JSON_OPTIONAL", member);
        if (f->value[0])
            put(out, "    v.%s = %s;\n", member, f->value);
        if (f->of && !f->array)
            put(out, "    const cJSON *in_%s = NULL;\n", member);
        put(out, "    if (!rc)\n        rc = ");
        if (f->array)
            put(out, "json_array(at, object, \"%s\", JSON_%s, &v.%s, %s, e);\n", f->name,
                f->of ? "OBJECT" : f->kind->json, member, present);
        else if (f->of)
            put(out,
                "json_object(at, object, \"%s\", &in_%s, %s, e);\n    if (!rc && in_%s)\n"
                "        rc = read_%s(&(struct json_at){at, \"%s\"}, in_%s, &v.%s, e);\n",
                f->name, member, present, member, f->of->c_name, f->name, member, member);
        else
            put(out, "json_%s(at, object, \"%s\", &v.%s, %s, e);\n", f->kind->name, f->name, member,
                present);
    }
    put(out,
        "    if (!rc)\n        *ret = v;\n    return rc;\n}\n\n"
        "int %s_decode(const cJSON *object, struct %s *ret, struct err *e)\n{\n"
        "    return read_%s(&(struct json_at){NULL, \"%s.%s\"}, object, ret, e);\n}\n\n",
        name, name, name, it->domain, it->name);
}

static void write_encoder(FILE *out, const struct item *it)
{
    put(out,
        "int %s_encode(const struct %s *p, cJSON **ret_params, struct err *e)\n{\n"
        "    cJSON *o = cJSON_CreateObject();\n    bool ok = o != NULL;\n",
        it->c_name, it->c_name);
    for (int i = 0; i < it->fields.count; i++) {
        const struct field *f = &it->fields.list[i];
        const char *member = snake(f->name);
        put(out, "    ");
        if (f->value[0])
            put(out, "if (p->%s != %s)\n        ", member, f->value);
        else if (f->optional)
            put(out, "if (p->%s%s)\n        ", has_flag(f) ? "has_" : "", member);
        put(out, "ok = ok && %s(o, \"%s\", p->%s);\n", f->array ? kinds[0].adder : f->kind->adder,
            f->name, member);
    }
    put(out,
        "    if (!ok) {\n        cJSON_Delete(o);\n"
        "        return err_set(e, ERR_NOMEM, \"%s.%s: out of memory\");\n    }\n"
        "    *ret_params = o;\n    return 0;\n}\n\n",
        it->domain, it->name);
}

static void write_item(FILE *header, FILE *source, const struct item *it)
{
    const char *c = it->c_name;
    put(header, it->note[0] ? "\n/* %s */\n" : "\n", it->note);
    if (it->what != TYPE)
        put(header, "#define %s \"%s.%s\"\n", upper(c), it->domain, it->name);
    for (int part = 0; part < 2; part++) {
        const struct fields *list = part ? &it->results : &it->fields;
        const char *suffix = part ? "_result" : "";
        bool sent = it->what == METHOD && !part;
        if (!list->count)
            continue;
        write_struct(header, c, suffix, list);
        put(header, sent ? encode_header : decode_header, c, suffix, c, suffix);
        if (sent)
            write_encoder(source, it);
        else
            write_decoder(source, it, suffix, list);
    }
}

static FILE *open_or_fail(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file)
        perror(path), exit(1);
    return file;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: generate SCHEMA HEADER SOURCE\n"), 2;
    schema_path = argv[1];
    read_schema(open_or_fail(argv[1], "r"));
    for (int i = 0; i < item_count; i++) {
        resolve(&items[i], &items[i].fields, items[i].what == METHOD);
        resolve(&items[i], &items[i].results, false);
    }
    FILE *header = open_or_fail(argv[2], "w"), *source = open_or_fail(argv[3], "w");
    put(header,
        "/* The protocol's messages; from protocol/generate.c. Borrowed throughout; an absent\n"
        " * pointer is NULL, a field that cannot be NULL has a flag. */\n"
        "#ifndef HEAPTAP_CDP_PROTO_H\n#define HEAPTAP_CDP_PROTO_H\n#include \"cdp/json.h\"\n");
    put(source, "/* Made by protocol/generate.c. */\n#include \"cdp/proto.h\"\n\n");
    for (int i = 0; i < item_count; i++)
        write_item(header, source, &items[i]);
    put(header, "\n#endif\n");
    if (ferror(header) || ferror(source) || fclose(header) || fclose(source))
        return fprintf(stderr, "%s, %s: cannot be written\n", argv[2], argv[3]), 1;
    return 0;
}
