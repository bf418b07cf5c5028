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
enum kind {
    KIND_ANY,
    KIND_OBJECT,
    KIND_STRING,
    KIND_BOOLEAN,
    KIND_NUMBER,
    KIND_INTEGER,
    KIND_TYPE
};
static const char *const kind_names[] = {"any", "object", "string", "boolean", "number", "integer"};
static const char *const c_types[] = {
    "const cJSON *", "const cJSON *", "const char *", "bool ", "double ", "int64_t "};

struct field {
    char name[MAX_NAME], type[2 * MAX_NAME], value[MAX_NAME], note[MAX_LINE];
    enum kind kind;
    const struct item *of; /* of a KIND_TYPE */
    bool array, optional;  /* optional: NAME? or NAME TYPE = value */
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
static int item_count;
static const char *schema_path;
static int line_number;

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

/* ---- names ---- */

/* getDOMCounters to get_dom_counters */
static void add_snake(char *out, size_t size, const char *name)
{
    size_t used = strlen(out);
    for (size_t i = 0; name[i]; i++) {
        bool upper = isupper((unsigned char)name[i]);
        bool starts = i && upper &&
                      (!isupper((unsigned char)name[i - 1]) || islower((unsigned char)name[i + 1]));
        if (used + 3 > size)
            fail("name %s is too long", name);
        if (starts)
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)name[i]);
        out[used] = '\0';
    }
}

static const char *snake(const char *name)
{
    static char out[2 * MAX_NAME];
    out[0] = '\0';
    add_snake(out, sizeof out, name);
    return out;
}

static const char *upper(const char *name)
{
    static char out[4 * MAX_NAME];
    size_t i = 0;
    for (; name[i] && i + 1 < sizeof out; i++)
        out[i] = (char)toupper((unsigned char)name[i]);
    out[i] = '\0';
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
    strcpy(it->c_name, "proto_");
    add_snake(it->c_name, sizeof it->c_name, domain);
    strcat(it->c_name, "_");
    add_snake(it->c_name, sizeof it->c_name, name);
    for (int i = 0; i < item_count; i++)
        if (strcmp(items[i].c_name, it->c_name) == 0)
            fail("%s.%s is already in line %d", domain, name, items[i].line);
    item_count++;
}

static void check_default(const struct field *f)
{
    char *end = NULL;
    bool number = f->kind == KIND_INTEGER || f->kind == KIND_NUMBER;
    if (f->optional || f->array || (!number && f->kind != KIND_BOOLEAN))
        fail("%s cannot have a default: only plain booleans and numbers can", f->name);
    if (number && (strtod(f->value, &end), *end))
        fail("default of %s is not a number", f->name);
    if (!number && strcmp(f->value, "true") != 0 && strcmp(f->value, "false") != 0)
        fail("default of %s is neither true nor false", f->name);
}

static void add_field(char *name, char *type, const char *value, const char *note)
{
    struct item *it = item_count ? &items[item_count - 1] : NULL;
    if (!it)
        fail("a field outside of a type, method or event");
    struct fields *list = it->has_results ? &it->results : &it->fields;
    if (list->count == MAX_FIELDS)
        fail("more than %d fields", MAX_FIELDS);
    struct field *f = &list->list[list->count];
    f->line = line_number;
    size_t length = strlen(name);
    if (length && name[length - 1] == '?') {
        name[length - 1] = '\0';
        f->optional = true;
    }
    copy_name(f->name, name, "field");
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->list[i].name, f->name) == 0)
            fail("field %s is already in line %d", f->name, list->list[i].line);
    length = strlen(type);
    if (length > 2 && strcmp(type + length - 2, "[]") == 0) {
        type[length - 2] = '\0';
        f->array = true;
    }
    snprintf(f->type, sizeof f->type, "%s", type);
    snprintf(f->note, sizeof f->note, "%s", note);
    f->kind = KIND_TYPE;
    for (int k = 0; k < KIND_TYPE; k++)
        if (strcmp(type, kind_names[k]) == 0)
            f->kind = (enum kind)k;
    if (value) {
        snprintf(f->value, sizeof f->value, "%s", value);
        check_default(f);
        f->optional = true;
    }
    list->count++;
}

static void read_line(char *line, char domain[MAX_NAME])
{
    const char *note = "";
    char *comment = strstr(line, " -- ");
    if (comment) {
        *comment = '\0';
        note = comment + 4;
        if (strstr(note, "*/"))
            fail("a note cannot contain */");
    }
    bool indented = line[0] == ' ';
    char *save = NULL;
    char *word[5] = {NULL};
    int words = 0;
    for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (words == 5)
            fail("too many words");
        word[words++] = w;
    }
    if (words == 0 && !comment)
        return;
    if (indented) {
        if (words != 2 && !(words == 4 && strcmp(word[2], "=") == 0))
            fail("a field is NAME TYPE or NAME TYPE = VALUE");
        add_field(word[0], word[1], word[3], note);
        return;
    }
    if (words == 1 && strcmp(word[0], "returns") == 0) {
        struct item *it = item_count ? &items[item_count - 1] : NULL;
        if (!it || it->what != METHOD || it->has_results)
            fail("\"returns\" belongs once behind a method");
        it->has_results = true;
        return;
    }
    if (words == 2 && strcmp(word[0], "domain") == 0) {
        copy_name(domain, word[1], "domain");
        return;
    }
    for (int what = TYPE; words == 2 && what <= EVENT; what++) {
        if (strcmp(word[0], what_names[what]) == 0) {
            begin_item((enum what)what, domain, word[1], note);
            return;
        }
    }
    fail("expected domain, type, method, event or returns with a name");
}

static void read_schema(FILE *in)
{
    char line[MAX_LINE];
    char domain[MAX_NAME] = "";
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
    if (ferror(in))
        fail("cannot be read");
    if (item_count == 0)
        fail("says nothing");
}

/* Finds the types that fields name. A struct by value must stand above, so none contains itself. */
static void resolve(const struct item *owner, struct fields *list, bool sent)
{
    for (int i = 0; i < list->count; i++) {
        struct field *f = &list->list[i];
        char full[4 * MAX_NAME];
        line_number = f->line;
        if (f->kind != KIND_TYPE)
            continue;
        if (strchr(f->type, '.'))
            snprintf(full, sizeof full, "%s", f->type);
        else
            snprintf(full, sizeof full, "%s.%s", owner->domain, f->type);
        for (int k = 0; k < item_count; k++) {
            char name[2 * MAX_NAME + 2];
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
    "int %s_encode(\n    const struct %s *p, cJSON **ret_params, struct err *e) MUST_USE;\n";
static const char decode_header[] =
    "int %s%s_decode(\n    const cJSON *object, struct %s%s *ret, struct err *e) MUST_USE;\n";

static bool by_pointer(const struct field *f)
{
    return f->array || f->kind == KIND_ANY || f->kind == KIND_OBJECT || f->kind == KIND_STRING;
}

static bool has_flag(const struct field *f)
{
    return f->optional && !f->value[0] && !by_pointer(f);
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
        else if (f->kind == KIND_TYPE)
            put(out, "    struct %s %s; /* %s", f->of->c_name, member, f->type);
        else
            put(out, "    %s%s; /* %s", c_types[f->kind], member, f->type);
        put(out, "%s%s%s */\n", f->optional && by_pointer(f) ? ", or NULL" : "",
            f->value[0] ? "; if absent " : "", f->value);
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
        if (f->kind == KIND_TYPE && !f->array)
            put(out, "    const cJSON *in_%s = NULL;\n", member);
        put(out, "    if (!rc)\n        rc = ");
        if (f->array)
            put(out, "json_array(at, object, \"%s\", JSON_%s, &v.%s, %s, e);\n", f->name,
                f->of ? "OBJECT" : upper(kind_names[f->kind]), member, present);
        else if (f->kind == KIND_TYPE)
            put(out,
                "json_object(at, object, \"%s\", &in_%s, %s, e);\n    if (!rc && in_%s)\n"
                "        rc = read_%s(&(struct json_at){at, \"%s\"}, in_%s, &v.%s, e);\n",
                f->name, member, present, member, f->of->c_name, f->name, member, member);
        else
            put(out, "json_%s(at, object, \"%s\", &v.%s, %s, e);\n", kind_names[f->kind], f->name,
                member, present);
    }
    put(out,
        "    if (!rc)\n        *ret = v;\n    return rc;\n}\n\n"
        "int %s_decode(const cJSON *object, struct %s *ret, struct err *e)\n{\n"
        "    return read_%s(&(struct json_at){NULL, \"%s.%s\"}, object, ret, e);\n}\n\n",
        name, name, name, it->domain, it->name);
}

static void write_encoder(FILE *out, const struct item *it)
{
    static const char *const adders[] = {"json_put_copy", "json_put_copy", "json_put_string",
        "json_put_boolean", "json_put_number", "json_put_integer"};
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
        put(out, "ok = ok && %s(o, \"%s\", p->%s);\n", adders[f->array ? KIND_ANY : f->kind],
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
    put(header, "\n");
    if (it->note[0])
        put(header, "/* %s */\n", it->note);
    if (it->what != TYPE)
        put(header, "#define %s \"%s.%s\"\n", upper(c), it->domain, it->name);
    if (it->fields.count) {
        write_struct(header, c, "", &it->fields);
        if (it->what == METHOD) {
            put(header, encode_header, c, c);
            write_encoder(source, it);
        } else {
            put(header, decode_header, c, "", c, "");
            write_decoder(source, it, "", &it->fields);
        }
    }
    if (it->results.count) {
        write_struct(header, c, "_result", &it->results);
        put(header, decode_header, c, "_result", c, "_result");
        write_decoder(source, it, "_result", &it->results);
    }
}

static FILE *open_or_fail(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: generate SCHEMA HEADER SOURCE\n");
        return 2;
    }
    schema_path = argv[1];
    FILE *in = open_or_fail(argv[1], "r");
    read_schema(in);
    fclose(in);
    for (int i = 0; i < item_count; i++) {
        resolve(&items[i], &items[i].fields, items[i].what == METHOD);
        resolve(&items[i], &items[i].results, false);
    }
    FILE *header = open_or_fail(argv[2], "w");
    FILE *source = open_or_fail(argv[3], "w");
    put(header, "/* The messages of the protocol as C; made by protocol/generate.c. Texts and trees"
                " are borrowed. */\n#ifndef HEAPTAP_CDP_PROTO_H\n#define HEAPTAP_CDP_PROTO_H\n\n"
                "#include \"cdp/json.h\"\n");
    put(source, "/* Made by protocol/generate.c. */\n#include \"cdp/proto.h\"\n\n");
    for (int i = 0; i < item_count; i++)
        write_item(header, source, &items[i]);
    put(header, "\n#endif\n");
    if (ferror(header) || ferror(source) || fclose(header) || fclose(source)) {
        fprintf(stderr, "%s, %s: cannot be written\n", argv[2], argv[3]);
        return 1;
    }
    return 0;
}
