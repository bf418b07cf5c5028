/* Stacks of allocations: whose site a byte counts for, what changed between two readings, and
 * profiles that lie. */
#include "heap/allocations.h"
#include "heap/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(const char *json, struct allocations **ret)
{
    cJSON *tree = cJSON_Parse(json);
    struct err e = ERR_NONE;
    assert_non_null(tree);
    int rc = allocations_from_profile(tree, ret, &e);
    cJSON_Delete(tree);
    if (rc)
        assert_true(strlen(e.text) > 0);
    return rc;
}

#define FRAME(name, url, line, column)                                                             \
    "{\"callFrame\":{\"functionName\":\"" name "\",\"scriptId\":\"1\",\"url\":\"" url              \
    "\",\"lineNumber\":" line ",\"columnNumber\":" column "}"
#define ROOT FRAME("(root)", "", "-1", "-1")

/* root -> server -> stashInvoice -> map (no URL) -> "" ; root -> stashInvoice -> map -> "" */
static const char invoices[] = "{\"head\":" ROOT ",\"selfSize\":0,\"children\":[" FRAME(
    "server", "file:///a.js", "1", "2") ",\"selfSize\":10,\"children\":[" FRAME("stashInvoice",
    "file:///a.js", "8", "4") ",\"selfSize\":0,\"children\":[" FRAME("map", "", "-1",
    "-1") ",\"selfSize\":7,\"children\":[" FRAME("", "file:///a.js", "9",
    "19") ",\"selfSize\":100,\"children\":[]}]}]}]}," FRAME("stashInvoice", "file:///a.js", "8",
    "4") ",\"selfSize\":1,\"children\":[" FRAME("map", "", "-1",
    "-1") ",\"selfSize\":0,\"children\":[" FRAME("", "file:///a.js", "9",
    "19") ",\"selfSize\":300,\"children\":[]}]}]}"
          "]},\"samples\":[{\"size\":100,\"nodeId\":5,\"ordinal\":1}]}";

static const struct allocation_site *find(const struct allocation_sites *s, const char *function)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].frame.function, function) == 0)
            return &s->items[i];
    return NULL;
}

static void a_site_is_the_innermost_frame_with_a_url(void **state)
{
    struct allocations *a;
    struct allocation_sites s;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(parse(invoices, &a), 0);
    assert_int_equal(allocations_count(a), 8);
    assert_int_equal(allocations_samples(a), 1);
    assert_int_equal(allocations_fold(a, &s, &e), 0);
    assert_int_equal(s.count, 3);
    const struct allocation_site *site = find(&s, "stashInvoice/<anonymous>");
    assert_non_null(site);
    assert_int_equal(site->live_bytes, 400);
    assert_int_equal(site->live_count, ALLOCATION_UNKNOWN);
    assert_int_equal(site->frame.line, 10); /* from 1, the profile counts from 0 */
    assert_int_equal(site->frame.column, 20);
    assert_string_equal(site->frame.url, "file:///a.js");
    assert_int_equal(allocations_node(a, site->heaviest)->live_bytes, 300);
    site = find(&s, "stashInvoice"); /* what map allocates is the caller's */
    assert_non_null(site);
    assert_int_equal(site->live_bytes, 8);
    allocation_sites_rank(&s);
    assert_string_equal(s.items[0].frame.function, "stashInvoice/<anonymous>");
    assert_string_equal(s.items[1].frame.function, "server");
    cJSON *stack = allocations_stack(a, s.items[0].heaviest);
    assert_int_equal(cJSON_GetArraySize(stack), 3); /* without the root */
    const cJSON *outer = cJSON_GetArrayItem(stack, 2);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(outer, "function")), "stashInvoice");
    assert_int_equal((int)cJSON_GetObjectItem(outer, "line")->valuedouble, 9);
    cJSON_Delete(stack);
    allocations_free(a); /* the sites outlive it */
    assert_string_equal(s.items[0].frame.function, "stashInvoice/<anonymous>");
    allocation_sites_free(&s);
}

static void what_has_no_url_at_all_keeps_its_own_name(void **state)
{
    struct allocations *a;
    struct allocation_sites s;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(parse("{\"head\":" ROOT ",\"selfSize\":5,\"children\":[" FRAME("(V8 API)", "",
                               "-1", "-1") ",\"selfSize\":6,\"children\":[]}," FRAME("", "node:x",
                               "0", "0") ",\"selfSize\":7,\"children\":[]}]}}",
                         &a),
        0);
    assert_int_equal(allocations_samples(a), ALLOCATION_UNKNOWN);
    assert_int_equal(allocations_fold(a, &s, &e), 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(find(&s, "(root)")->live_bytes, 5);
    assert_int_equal(find(&s, "(V8 API)")->live_bytes, 6);
    assert_int_equal(find(&s, "<anonymous>")->live_bytes, 7);
    assert_int_equal(find(&s, "<anonymous>")->frame.line, 1);
    allocation_sites_free(&s);
    allocations_free(a);
}

/* handler in the program asks a package, which asks the runtime; and a module that is loaded. */
static void what_a_package_allocates_has_a_line_of_the_program(void **state)
{
    static const char profile[] = "{\"head\":" ROOT ",\"selfSize\":0,\"children\":[" FRAME(
        "handler", "file:///app/a.js", "4", "9") ",\"selfSize\":0,\"children\":[" FRAME("Pool",
        "/app/node_modules/pool/i.js", "1", "1") ",\"selfSize\":5,\"children\":[" FRAME("emit",
        "node:events", "7", "1") ",\"selfSize\":6,\"children\":[]}]}," FRAME("load",
        "node:internal/modules/cjs/loader", "1", "1") ",\"selfSize\":0,\"children\":[" FRAME("top",
        "/app/node_modules/pool/x.js", "0", "0") ",\"selfSize\":7,\"children\":[]}]}]}]}}";
    struct allocations *a;
    struct allocation_sites s;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(parse(profile, &a), 0);
    assert_int_equal(allocations_fold(a, &s, &e), 0);
    allocations_free(a);
    assert_string_equal(find(&s, "Pool")->own.function, "handler");
    assert_int_equal(find(&s, "Pool")->own.line, 5);
    assert_string_equal(find(&s, "emit")->own.url, "file:///app/a.js");
    assert_string_equal(find(&s, "top")->own.url, "");
    allocation_sites_free(&s);
}

static void profiles_that_lie_are_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"head\":[]}",
        "{\"head\":{}}",
        "{\"head\":{\"callFrame\":{}}}",
        "{\"head\":" ROOT ",\"selfSize\":-1}}",
        "{\"head\":" ROOT ",\"selfSize\":1e300}}",
        "{\"head\":" ROOT ",\"selfSize\":\"1\"}}",
        "{\"head\":" ROOT ",\"selfSize\":1,\"children\":{}}}",
        "{\"head\":" ROOT ",\"selfSize\":1,\"children\":[1]}}",
        "{\"head\":" ROOT ",\"selfSize\":1,\"children\":[null]}}",
    };
    struct allocations *a = NULL;
    struct err e = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], &a), ERR_FORMAT);
    assert_int_equal(allocations_from_profile(NULL, &a, &e), ERR_FORMAT);
    assert_null(a);
}

static void places_out_of_range_are_unknown(void **state)
{
    struct allocations *a;
    (void)state;
    assert_int_equal(parse("{\"head\":" FRAME("f", "u", "1e30", "-7") ",\"selfSize\":1}}", &a), 0);
    assert_int_equal(allocations_frame(a, 0)->line, 0);
    assert_int_equal(allocations_frame(a, 0)->column, 0);
    allocations_free(a);
}

/* The walk must neither recurse nor lose a branch: 400 deep, each with a sibling. */
static void deep_stacks_are_walked(void **state)
{
    enum { DEPTH = 400 };
    struct buf text = buf_new(1 << 20);
    struct allocations *a;
    struct allocation_sites s;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(buf_add_text(&text, "{\"head\":"), 0);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(
            buf_addf(&text, FRAME("f%d", "u", "1", "1") ",\"selfSize\":1,\"children\":[", i), 0);
    for (int i = 0; i < DEPTH; i++)
        assert_int_equal(
            buf_add_text(&text, i ? "," FRAME("leaf", "u", "2", "2") ",\"selfSize\":2}]}" : "]}"),
            0);
    assert_int_equal(buf_add_text(&text, "}"), 0);
    assert_int_equal(parse(text.data, &a), 0);
    assert_int_equal(allocations_count(a), 2 * DEPTH - 1);
    assert_int_equal(allocations_fold(a, &s, &e), 0);
    assert_int_equal(s.count, DEPTH + 1);
    assert_int_equal(find(&s, "leaf")->live_bytes, 2 * (DEPTH - 1));
    allocation_sites_free(&s);
    allocations_free(a);
    buf_free(&text);
}

struct seen {
    int appeared, changed, same, vanished;
};

static void see(void *arg, const struct allocation_site *then, const struct allocation_site *now)
{
    struct seen *seen = arg;
    if (!then)
        seen->appeared++;
    else if (!now)
        seen->vanished++;
    else if (then->live_bytes != now->live_bytes)
        seen->changed++;
    else
        seen->same++;
}

static void two_readings_differ_by_their_sites(void **state)
{
    static const char then_text[] = "{\"head\":" ROOT ",\"selfSize\":0,\"children\":[" FRAME(
        "kept", "u", "1", "1") ",\"selfSize\":1}," FRAME("grows", "u", "2",
        "1") ",\"selfSize\":1}," FRAME("goes", "u", "3", "1") ",\"selfSize\":1}]}}";
    static const char now_text[] = "{\"head\":" ROOT ",\"selfSize\":0,\"children\":[" FRAME(
        "comes", "u", "9", "1") ",\"selfSize\":1}," FRAME("grows", "u", "2",
        "1") ",\"selfSize\":5}," FRAME("kept", "u", "1", "1") ",\"selfSize\":1}," FRAME("kept", "u",
        "7", "1") ",\"selfSize\":1}]}}"; /* another line is another site */
    struct allocations *a, *b;
    struct allocation_sites then, now, none = {0};
    struct seen seen = {0};
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(parse(then_text, &a), 0);
    assert_int_equal(parse(now_text, &b), 0);
    assert_int_equal(allocations_fold(a, &then, &e), 0);
    assert_int_equal(allocations_fold(b, &now, &e), 0);
    allocation_sites_walk(&then, &now, see, &seen);
    assert_int_equal(seen.appeared, 2);
    assert_int_equal(seen.changed, 1);
    assert_int_equal(seen.same, 1);
    assert_int_equal(seen.vanished, 1);
    allocation_sites_walk(&none, &now, see, &seen);
    assert_int_equal(seen.appeared, 6);
    allocation_sites_free(&then);
    allocation_sites_free(&now);
    allocations_free(a);
    allocations_free(b);
}

/* ---- timelines: a heap of a root and three objects, two of them made while it recorded ---- */

#define META                                                                                       \
    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_"     \
    "count\","                                                                                     \
    "\"trace_node_id\"],\"node_types\":[[\"hidden\",\"object\",\"synthetic\"],\"string\","         \
    "\"number\","                                                                                  \
    "\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"  \
    "\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\","  \
    "\"weak\"],"                                                                                   \
    "\"string_or_number\",\"node\"],\"trace_function_info_fields\":[\"function_id\",\"name\","     \
    "\"script_name\",\"script_id\",\"line\",\"column\"],\"trace_node_fields\":[\"id\","            \
    "\"function_info_index\",\"count\",\"size\",\"children\"],\"sample_fields\":[\"timestamp_"     \
    "us\","                                                                                        \
    "\"last_assigned_id\"]},\"node_count\":4,\"edge_count\":3,\"trace_function_count\":2},"        \
    "\"nodes\":[2,0,1,0,3,0, 1,1,3,16,0,0, 1,1,5,32,0,2, 1,1,7,64,0,0],"                           \
    "\"edges\":[1,0,6, 1,1,12, 1,2,18],"
#define STRINGS "\"strings\":[\"\",\"Thing\",\"(root)\",\"make\",\"file:///a.js\"]}"
#define INFOS   "\"trace_function_infos\":[0,2,0,0,0,0, 9,3,4,7,12,5],"
#define TREE    "\"trace_tree\":[1,0,0,0,[2,1,3,96,[]]],"
#define SAMPLES "\"samples\":[0,3, 50000,5, 100000,7],"

static int open_timeline(const char *text, struct allocations **ret)
{
    struct heap_options options = {.traces = true, .threads = 1};
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    int fd = memfd_create("timeline", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    int rc = heap_open_fd(fd, "timeline", &options, &h, &e);
    if (rc == 0)
        rc = allocations_from_heap(h, ret, &e);
    if (rc)
        assert_true(strlen(e.text) > 0);
    heap_close(h);
    close(fd);
    return rc;
}

static void a_timeline_tells_intervals_and_stacks(void **state)
{
    const struct allocation_interval *intervals;
    struct allocation_function *functions;
    struct allocation_sites sites;
    struct allocations *a;
    struct err e = ERR_NONE;
    uint32_t count;
    int64_t with_stack;
    (void)state;
    assert_int_equal(open_timeline(META INFOS TREE SAMPLES STRINGS, &a), 0);
    assert_int_equal(allocations_intervals(a, &intervals), 3);
    assert_int_equal(intervals[0].live_bytes, 16); /* the root has no size */
    assert_int_equal(intervals[1].live_bytes, 32);
    assert_int_equal(intervals[2].live_bytes, 64);
    assert_int_equal(intervals[2].live_count, 1);
    assert_true(intervals[1].end_ms > 49.9 && intervals[2].start_ms < 50.1);
    assert_int_equal(allocations_recorded(a, &with_stack), 2);
    assert_int_equal(with_stack, 1);
    assert_int_equal(allocations_functions(a, &functions, &count, &e), 0);
    assert_int_equal(count, 1);
    assert_string_equal(functions[0].frame->function, "make");
    assert_int_equal(functions[0].bytes, 96);
    assert_int_equal(functions[0].live_bytes, 32);
    free(functions);
    assert_int_equal(allocations_fold(a, &sites, &e), 0);
    assert_int_equal(sites.count, 1);
    assert_int_equal(sites.items[0].frame.line, 12);
    assert_int_equal(sites.items[0].live_count, 1);
    allocation_sites_free(&sites);
    allocations_free(a);
}

static void check_branch(const struct allocation_tree *t, uint32_t at, uint32_t depth,
    const char *function, int64_t live_bytes, int64_t own)
{
    assert_true(at < t->count);
    assert_int_equal(t->list[at].depth, depth);
    assert_string_equal(t->list[at].frame->function, function);
    assert_int_equal(t->list[at].live_bytes, live_bytes);
    assert_int_equal(t->list[at].own_live_bytes, own);
    if (depth == 0)
        assert_int_equal(t->list[at].parent, ALLOCATION_NONE);
    else
        assert_int_equal(t->list[t->list[at].parent].depth, depth - 1);
}

/* A function that stands in several stacks is one line bottom-up, with its callers below it. */
static void stacks_make_a_tree_from_either_end(void **state)
{
    const struct allocation_cut all = {0, UINT32_MAX}, half = {0.5, UINT32_MAX}, functions = {0, 0};
    struct allocation_tree t;
    struct allocations *a;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(parse(invoices, &a), 0);
    assert_int_equal(allocations_tree(a, ALLOCATION_CALLERS_FIRST, &all, &t, &e), 0);
    assert_int_equal(t.count, 8);
    assert_int_equal(t.live_bytes, 418);
    assert_false(t.was_cut);
    check_branch(&t, 0, 0, "(root)", 418, 0);
    check_branch(&t, 1, 1, "stashInvoice", 301, 1); /* the larger branch first */
    check_branch(&t, 2, 2, "map", 300, 0);
    check_branch(&t, 3, 3, "", 300, 300);
    check_branch(&t, 4, 1, "server", 117, 10);
    check_branch(&t, 6, 3, "map", 107, 7);
    assert_int_equal(t.list[0].count, ALLOCATION_UNKNOWN);
    free(t.list);
    assert_int_equal(allocations_tree(a, ALLOCATION_CALLERS_FIRST, &half, &t, &e), 0);
    assert_int_equal(t.count, 4);
    assert_true(t.was_cut);
    free(t.list);
    assert_int_equal(allocations_tree(a, ALLOCATION_CALLEES_FIRST, &all, &t, &e), 0);
    check_branch(&t, 0, 0, "", 400, 0);
    check_branch(&t, 1, 1, "map", 400, 0);
    check_branch(&t, 2, 2, "stashInvoice", 400, 0);
    check_branch(&t, 3, 3, "(root)", 300, 300);
    check_branch(&t, 4, 3, "server", 100, 0);
    check_branch(&t, 5, 4, "(root)", 100, 100);
    check_branch(&t, 6, 0, "server", 10, 0);
    free(t.list);
    assert_int_equal(allocations_tree(a, ALLOCATION_CALLEES_FIRST, &functions, &t, &e), 0);
    assert_int_equal(t.count, 4);
    check_branch(&t, 3, 0, "stashInvoice", 1, 0);
    assert_true(t.was_cut);
    free(t.list);
    allocations_free(a);
}

static void a_heap_without_a_timeline_has_none(void **state)
{
    const struct allocation_interval *intervals;
    struct allocations *a;
    (void)state;
    assert_int_equal(
        open_timeline(
            META "\"trace_function_infos\":[],\"trace_tree\":[],\"samples\":[]," STRINGS, &a),
        0);
    assert_int_equal(allocations_intervals(a, &intervals), 0);
    assert_int_equal(allocations_count(a), 0);
    allocations_free(a);
}

static void broken_traces_are_refused_or_made_do_with(void **state)
{
    static const char *const bad[] = {
        META INFOS TREE "\"samples\":[0,3,50000]," STRINGS,
        META INFOS TREE "\"samples\":[0,9,50000,5]," STRINGS, /* ids that fall */
        META INFOS TREE "\"samples\":[0,99999999999999999999]," STRINGS,
        META INFOS "\"trace_tree\":[1,0,0,0]," SAMPLES STRINGS,
        META INFOS "\"trace_tree\":[1,0,0,[]]," SAMPLES STRINGS,
        META INFOS "\"trace_tree\":[1,0,0,0,[2,\"x\",1,1,[]]]," SAMPLES STRINGS,
        META "\"trace_function_infos\":[0,2,0,0,0]," TREE SAMPLES STRINGS,
        META "\"trace_function_infos\":[0,2,0,0,0,-1]," TREE SAMPLES STRINGS,
    };
    struct allocations *a;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(open_timeline(bad[i], &a), ERR_FORMAT);
    /* A function that the list does not have: the bytes are still told. */
    assert_int_equal(
        open_timeline(META INFOS "\"trace_tree\":[1,0,0,0,[2,77,3,96,[]]]," SAMPLES STRINGS, &a),
        0);
    assert_int_equal(allocations_node(a, 1)->live_bytes, 32);
    assert_string_equal(allocations_frame(a, 1)->function, "(unknown)");
    allocations_free(a);
}

static void a_tree_deeper_than_any_stack_is_refused(void **state)
{
    struct buf text = buf_new(1 << 20);
    struct allocations *a;
    (void)state;
    assert_int_equal(buf_add_text(&text, META INFOS "\"trace_tree\":["), 0);
    for (int i = 1; i <= 5000; i++)
        assert_int_equal(buf_addf(&text, "%d,0,1,1,[", i), 0);
    for (int i = 1; i <= 5000; i++)
        assert_int_equal(buf_add_text(&text, "]"), 0);
    assert_int_equal(buf_add_text(&text, "]," SAMPLES STRINGS), 0);
    assert_int_equal(open_timeline(text.data, &a), ERR_FORMAT);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_site_is_the_innermost_frame_with_a_url),
        cmocka_unit_test(what_has_no_url_at_all_keeps_its_own_name),
        cmocka_unit_test(what_a_package_allocates_has_a_line_of_the_program),
        cmocka_unit_test(profiles_that_lie_are_refused),
        cmocka_unit_test(places_out_of_range_are_unknown),
        cmocka_unit_test(deep_stacks_are_walked),
        cmocka_unit_test(two_readings_differ_by_their_sites),
        cmocka_unit_test(a_timeline_tells_intervals_and_stacks),
        cmocka_unit_test(stacks_make_a_tree_from_either_end),
        cmocka_unit_test(a_heap_without_a_timeline_has_none),
        cmocka_unit_test(broken_traces_are_refused_or_made_do_with),
        cmocka_unit_test(a_tree_deeper_than_any_stack_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
