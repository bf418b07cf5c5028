/* Where a name is declared: whoever reads "Map in variable `carts` (shop.js:12)" looks at that
 * line. */
#include "diagnose/declaration.h"
#include "diagnose/blocks.h"
#include "diagnose/globals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The line that is found from the text behind "HERE" on; 0: none. */
static uint32_t line_of(enum declaration_kind kind, const char *name, const char *text)
{
    const char *here = strstr(text, "HERE");
    struct declaration_place from = {1, 1}, found = {0, 0};
    for (const char *c = text; here && c < here; c++) {
        from.line += *c == '\n';
        from.column = *c == '\n' ? 1 : from.column + 1;
    }
    return declaration_find(text, strlen(text), kind, name, from, &found) ? found.line : 0;
}

#define VARIABLE(name, text) line_of(DECLARATION_VARIABLE, name, text)
#define EXPORT(name, text)   line_of(DECLARATION_EXPORT, name, text)
#define PROPERTY(name, text) line_of(DECLARATION_PROPERTY, name, text)

static void a_variable_of_the_file(void **state)
{
    (void)state;
    assert_int_equal(
        VARIABLE("carts", "import fs from 'fs';\nconst carts = new Map();\nf(() => HERE);"), 2);
    assert_int_equal(VARIABLE("carts", "let a = 1,\n    b = [2, 3],\n    carts = {};\nHERE"), 3);
    assert_int_equal(VARIABLE("carts", "HERE\nvar x = carts;\nvar carts = [];"), 3);
    assert_int_equal(VARIABLE("carts", "const {a,\n b: carts = 1,\n carts: c} = x; HERE"), 2);
    assert_int_equal(VARIABLE("carts", "const [a, ...carts] = x; HERE"), 1);
    assert_int_equal(
        VARIABLE("carts", "#!/usr/bin/env node\nconst carts: Map<string, Cart> = new Map(); HERE"),
        2);
    assert_int_equal(VARIABLE("Carts", "\nexport class Carts { }\nHERE"), 2);
    assert_int_equal(VARIABLE("carts", "import {\n a as carts } from './a.js'; HERE"), 2);
    assert_int_equal(VARIABLE("$e", "class A { b = class { c(){} } }\nconst $e=1,t=2;HERE"), 2);
}

static void the_innermost_scope_around_the_place(void **state)
{
    (void)state;
    const char *text = "const log = [];\n"
                       "function make() {\n"
                       "  const log = [];\n"
                       "  return { push(x) { HERE log.push(x); } };\n"
                       "}\n"
                       "function other() { const log = 1; }\n";
    assert_int_equal(VARIABLE("log", text), 3);
    assert_int_equal(
        VARIABLE("log", "const log = [];\nfunction a() { const log = 1; }\nfunction b() { HERE }"),
        1);
    assert_int_equal(
        VARIABLE("req", "const req = 1;\napp.get('/x',\n (req, res) => { on(() => HERE req); });"),
        3);
    assert_int_equal(VARIABLE("req", "const req = 1;\napp.get('/x', async function (a,\n  { req }) "
                                     "{ on(() => HERE req); });"),
        3);
    assert_int_equal(VARIABLE("req", "const req = 1;\nuse(\n req => () => HERE req);"), 3);
    assert_int_equal(
        VARIABLE("x", "const x = 1;\nfor (const\n x of list) { on(() => HERE x); }"), 3);
    assert_int_equal(VARIABLE("x", "const x = 1;\nfor (const\n x of list) on(() => HERE x);"), 3);
    assert_int_equal(VARIABLE("e", "const e = 1;\ntry {} catch (e) { }\nHERE"), 1);
    assert_int_equal(VARIABLE("x", "const x = 1;\nif (f(a,\n x)) { HERE }"), 1);
    assert_int_equal(VARIABLE("x", "{ const x = 1; }\n{ const x = 1; }\nHERE"), 0);
}

static void what_only_looks_like_code_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(
        VARIABLE(
            "a", "// const a = 1\n/* const a = 2\n*/ const b = 'const a = {';\nconst a = 3; HERE"),
        4);
    assert_int_equal(
        VARIABLE("a", "const b = `const a = ${ f({ x: `}` }) } {`;\nconst a = 3; HERE"), 2);
    assert_int_equal(
        VARIABLE("a", "const b = /[/\"'{]/.test(c), d = e / 2;\nconst a = 3 / 1; HERE"), 2);
    assert_int_equal(VARIABLE("a", "x.a = 1; x.const; y({ a: 2 });\n f(a); HERE"), 0);
    assert_int_equal(VARIABLE("a", ")]}\nconst a = 1; HERE"), 2);
}

static void a_property_in_its_class(void **state)
{
    (void)state;
    const char *text = "class Other { items = 1; }\n"
                       "class Shop {\n"
                       "  #carts = new Map();\n"
                       "  static all = [];\n"
                       "  private readonly orders: Map<string, Order> = new Map();\n"
                       "  HERE constructor() {\n"
                       "    this.items = [];\n"
                       "    this.items = [];\n"
                       "  }\n"
                       "  get all() { return Shop.all; }\n"
                       "}\n";
    assert_int_equal(PROPERTY("#carts", text), 3);
    assert_int_equal(PROPERTY("all", text), 4);
    assert_int_equal(PROPERTY("orders", text), 5);
    assert_int_equal(PROPERTY("items", text), 7);
    assert_int_equal(
        PROPERTY("items", "HERE class Shop {\n a = 1\n items = []\n}\nclass B { items = 2 }"), 3);
    assert_int_equal(
        PROPERTY("items",
            "function A() { this.items = 1; }\nHERE function Shop() {\n this.items = [];\n}"),
        3);
    assert_int_equal(PROPERTY("items", "const a = { b: 1,\n items: [] };\nHERE"), 2);
    assert_int_equal(
        PROPERTY("items", "const a = HERE { b: 1 };\na.items ?\?= [];\nf(a.items == 1);"), 2);
    assert_int_equal(PROPERTY("items", "HERE f({ items: 1 });\nf({ items: 2 });"), 0);
}

static void what_a_file_exports(void **state)
{
    (void)state;
    assert_int_equal(EXPORT("carts", "\"use strict\";\nexports.b = exports.carts = void 0;\n"
                                     "class A { carts = 1; f(carts) { this.carts = 2; } }\n"
                                     "exports.carts = new Map();"),
        4);
    assert_int_equal(EXPORT("carts", "\nconst carts = [];\nexports.carts = carts;"), 2);
    assert_int_equal(EXPORT("carts", "module.exports = {\n carts: [],\n};"), 2);
    assert_int_equal(EXPORT("carts", "function f() { const carts = 1; }"), 0);
}

static void hostile_texts_end(void **state)
{
    (void)state;
    size_t size = 200000;
    char *text = malloc(size + 1);
    const char *const parts[] = {"(", "{", "`${", "[", "}", "/", "'", "const a=(", "=>"};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        size_t length = strlen(parts[p]);
        for (size_t i = 0; i < size; i++)
            text[i] = parts[p][i % length];
        text[size] = '\0';
        VARIABLE("a", text);
        PROPERTY("a", text);
    }
    free(text);
    struct declaration_place beyond = {9, 9}, found;
    assert_false(declaration_find("const a = 1;", 12, DECLARATION_VARIABLE, "a", beyond, &found));
}

static void the_name_of_a_default_export(void **state)
{
    struct buf name = buf_new(100);
    const char *text = "const cache = new Map();\nexport default cache;\n";
    (void)state;
    assert_true(declaration_default(text, strlen(text), &name));
    assert_string_equal(name.data, "cache");
    text = "export default new Map();";
    assert_false(declaration_default(text, strlen(text), &name));
    buf_free(&name);
}

static void local_files_alone_are_read(void **state)
{
    char path[] = "/tmp/heaptap-unit-XXXXXX", url[100];
    struct buf out = buf_new(DECLARATION_SOURCE_MAX);
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0 && write(fd, "let a;", 6) == 6);
    close(fd);
    assert_true(declaration_read(path, &out));
    assert_string_equal(out.data, "let a;");
    buf_clear(&out);
    snprintf(
        url, sizeof url, "file:///tmp/%%68eaptap-unit-%s?v=1", path + strlen("/tmp/heaptap-unit-"));
    assert_true(declaration_read(url, &out));
    assert_string_equal(out.data, "let a;");
    unlink(path);
    assert_false(declaration_read(path, &out));
    assert_false(declaration_read("node:fs", &out));
    assert_false(declaration_read("", &out));
    assert_false(declaration_read("/tmp", &out));
    assert_false(declaration_read("/dev/zero", &out));
    assert_false(declaration_read("https://example.org/a.js", &out));
    buf_free(&out);
}

/* ---- the global object ---- */

static void assert_global(const char *text, enum globals_kind kind, size_t found, uint32_t line)
{
    struct declaration_place at = {0, 0};
    assert_int_equal(globals_find(text, strlen(text), kind, "cache", &at), found);
    assert_int_equal(at.line, line);
}

static void assert_block(const char *text, const char *class, const char *name)
{
    struct buf out = buf_new(100);
    const char *at = strstr(text, "@");
    assert_non_null(at);
    struct declaration_place from = declaration_place_of(text, (size_t)(at - text));
    bool found = blocks_find(text, strlen(text), from, class, &out);
    assert_int_equal(found, name != NULL);
    if (name)
        assert_string_equal(out.data, name);
    buf_free(&out);
}

/* The place is the @. */
static void a_variable_of_a_block_goes_by_the_only_one_of_its_class(void **state)
{
    (void)state;
    assert_block("if (a) { const m = new Map(), s = new Set(); f(() => @m); }", "Map", "m");
    assert_block("if (a) { const m = new Map(); } else { let k = new Map(); g(@k) }", "Map", "k");
    assert_block("{ const list = [], o = {}; { const n = 1; f(@n) } }", "Array", "list");
    assert_block("{ const list = [], o = {}; f(@o) }", "{a, b}", "o");
    assert_block("for (const x of y) { const c = new Cart(1); f(@c) }", "Cart", "c");
    assert_block("{ f(@m); let n = 1, m = new Map() }", "Map", "m");
    assert_block("{ const a = new Map(), b = new Map(); f(@a) }", "Map", NULL);
    assert_block("{ const m = new Map(); function g() { f(@m) } }", "Map", NULL);
    assert_block("{ const m = new Map(); f(() => { @m }) }", "Map", NULL);
    assert_block("{ var m = new Map(); x.m = new Map(); f(@m) }", "Map", NULL);
    assert_block("const m = new Map(); f(@m)", "Map", NULL); /* the file's are known */
    assert_block("{ const m = new Maps(); f(@m) }", "Map", NULL);
    assert_block("{ const m = new Map(); @", "Map", NULL);
    assert_block(")))}}]{@", "Map", NULL);
}

static void a_global_property_stands_where_it_is_assigned(void **state)
{
    (void)state;
    assert_global("let a;\nglobalThis.cache = new Map();\n", GLOBALS_PROPERTY, 1, 2);
    assert_global("global.cache ?"
                  "?= {};",
        GLOBALS_PROPERTY, 1, 1);
    assert_global("\nglobalThis['cache'] = 1", GLOBALS_PROPERTY, 1, 2);
    assert_global("globalThis.cache = globalThis.cache || []", GLOBALS_PROPERTY, 1, 1);
    assert_global("global.cache = 1;\nglobal.cache = 2;", GLOBALS_PROPERTY, 2, 1);
    assert_global(
        "global.cache == 1; globalThis.cache.get(1); x.global.cache = 1;", GLOBALS_PROPERTY, 0, 0);
    assert_global("// global.cache = 1\n'global.cache = 2'", GLOBALS_PROPERTY, 0, 0);
    assert_global("globalThis['caches'] = 1; globalThis[cache] = 1", GLOBALS_PROPERTY, 0, 0);
    assert_global("", GLOBALS_PROPERTY, 0, 0);
    assert_global("globalThis.", GLOBALS_PROPERTY, 0, 0);
}

static void a_listener_of_the_process_stands_where_it_is_added(void **state)
{
    (void)state;
    assert_global("\n\nprocess.on('cache', () => 1)", GLOBALS_LISTENER, 1, 3);
    assert_global("process.prependListener(\"cache\", f)", GLOBALS_LISTENER, 1, 1);
    assert_global("process.on('cached', f); process.off('cache', f)", GLOBALS_LISTENER, 0, 0);
    assert_global("worker.process.on('cache', f); process.on('cache')", GLOBALS_LISTENER, 0, 0);
    assert_global("process.on('cache', f);\nprocess.once('cache', f)", GLOBALS_LISTENER, 2, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_variable_of_a_block_goes_by_the_only_one_of_its_class),
        cmocka_unit_test(a_global_property_stands_where_it_is_assigned),
        cmocka_unit_test(a_listener_of_the_process_stands_where_it_is_added),
        cmocka_unit_test(a_variable_of_the_file),
        cmocka_unit_test(the_innermost_scope_around_the_place),
        cmocka_unit_test(what_only_looks_like_code_is_passed_over),
        cmocka_unit_test(a_property_in_its_class),
        cmocka_unit_test(what_a_file_exports),
        cmocka_unit_test(hostile_texts_end),
        cmocka_unit_test(the_name_of_a_default_export),
        cmocka_unit_test(local_files_alone_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
