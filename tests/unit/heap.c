/* What a user would lose if a snapshot were read wrongly: a right number, or a clear error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "heap/heap.h"
#include "heap/inside.h"
#include "heap/numbers.h"

#define TEXT_MAX ((size_t)256 << 20)

/* ---- snapshots written on the spot ---- */

#define META                                                                                       \
    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\","            \
    "\"edge_count\"],\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"synthetic\"],"  \
    "\"string\",\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\",\"name_or_index\","    \
    "\"to_node\"],\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\","  \
    "\"shortcut\",\"weak\"],\"string_or_number\",\"node\"]},"
/* Root (synthetic) → A (object, 10) → B (object, 20), C (string, 5); B → C weakly. */
#define SMALL                                                                                      \
    META "\"node_count\":4,\"edge_count\":4},\n\"nodes\":[4,0,1,0,1,3,1,3,10,2,3,2,5,20,1,2,3,7,"  \
         "5,0],\n\"edges\":[5,1,5,2,4,10,1,3,15,6,4,15],\n"                                        \
         "\"strings\":[\"\",\"A\",\"B\",\"text \\\\\\\" \\u00e9\\ud83d\\ude00\",\"edge\"]}"

static int open_bytes(const void *bytes, size_t length, const struct heap_options *o,
    struct heap **ret, struct err *e)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    int r = heap_open_fd(fd, "file", o, ret, e);
    close(fd);
    return r;
}

static int open_text(const char *text, struct heap **ret, struct err *e)
{
    return open_bytes(text, strlen(text), NULL, ret, e);
}

static void small_snapshot_has_its_sizes(void **state)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(open_text(SMALL, &h, &e), 0);
    const struct heap_columns *c = heap_columns(h);
    assert_int_equal(c->node_count, 4);
    assert_int_equal(c->edge_count, 4);
    assert_int_equal(c->retained[0], 35);
    assert_int_equal(c->retained[1], 35);
    assert_int_equal(c->retained[2], 20); /* a weak edge holds nothing */
    assert_int_equal(c->dominator[3], 1);
    assert_int_equal(c->distance[1], 1);
    assert_int_equal(c->distance[3], 2);
    assert_int_equal(heap_total_size(h), 35);
    assert_int_equal(heap_find_id(h, 5), 2);
    assert_int_equal(heap_find_id(h, 4), HEAP_NONE);
    heap_close(h);
}

static void text_is_decoded(void **state)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    struct buf text = buf_new(1000);
    (void)state;
    assert_int_equal(open_text(SMALL, &h, &e), 0);
    assert_int_equal(heap_add_node_name(h, 3, &text), 0);
    assert_string_equal(text.data, "text \\\" \xc3\xa9\xf0\x9f\x98\x80");
    buf_free(&text);
    heap_close(h);
}

static void path_names_every_step(void **state)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    struct heap_path path;
    struct buf text = buf_new(1000);
    (void)state;
    assert_int_equal(open_text(SMALL, &h, &e), 0);
    assert_int_equal(heap_path(h, 3, &path, &e), 0);
    assert_int_equal(heap_add_path(h, &path, false, &text), 0);
    assert_string_equal(text.data, "(global) A → [3]: (string)");
    assert_int_equal(path.missing, 0);
    heap_path_free(&path);
    buf_free(&text);
    heap_close(h);
}

/* Root → A, .head → the first of so many Items, each .next → the next one. */
static void open_list(int items, struct heap **ret)
{
    struct err e = ERR_NONE;
    struct buf text = buf_new(TEXT_MAX);
    int r = buf_addf(&text,
        META "\"node_count\":%d,\"edge_count\":%d},\n\"nodes\":[4,0,1,0,1,3,1,3,10,1", items + 2,
        items + 1);
    for (int i = 0; i < items && r == 0; i++)
        r = buf_addf(&text, ",3,2,%d,20,%d", 2 * i + 5, i + 1 < items);
    if (r == 0)
        r = buf_add_text(&text, "],\n\"edges\":[5,1,5,2,3,10");
    for (int i = 1; i < items && r == 0; i++)
        r = buf_addf(&text, ",2,4,%d", 5 * (i + 2));
    if (r == 0)
        r = buf_add_text(&text, "],\n\"strings\":[\"\",\"A\",\"Item\",\"head\",\"next\"]}");
    assert_int_equal(r, 0);
    assert_int_equal(open_bytes(text.data, text.length, NULL, ret, &e), 0);
    buf_free(&text);
}

static void path_along_a_list_is_short_to_read(void **state)
{
    static const struct {
        uint32_t node;
        size_t count, missing;
        const char *text;
    } cases[] = {
        {4, 3, 0, "(global) A → head: Item → next: Item → next: Item"},
        {6, 5, 0, "(global) A → head: Item → next: Item ×4"},
        {999, 998, 0, "(global) A → head: Item → next: Item ×997"},
        {1001, 1000, 0, "(global) A → head: Item → next: Item ×999"},
        {3001, 1000, 2000,
            "(global) A → head: Item → next: Item ×499 → … 2,000 steps … → next: Item ×500"},
    };
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    (void)state;
    open_list(3000, &h);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heap_path path;
        struct buf text = buf_new(1000);
        assert_int_equal(heap_path(h, cases[i].node, &path, &e), 0);
        assert_int_equal(path.count, cases[i].count);
        assert_int_equal(path.missing, cases[i].missing);
        uint32_t at = path.steps[0].node; /* each step leads to where the next one begins */
        for (size_t k = 0; k < path.count; k++) {
            bool gap = path.missing && k == HEAP_PATH_MAX / 2;
            assert_true(gap || path.steps[k].node == at);
            at = heap_edge_to(heap_columns(h)->edge[path.steps[k].edge]);
        }
        assert_int_equal(at, cases[i].node);
        assert_int_equal(heap_add_path(h, &path, false, &text), 0);
        assert_string_equal(text.data, cases[i].text);
        heap_path_free(&path);
        buf_free(&text);
    }
    heap_close(h);
}

static void paths_along_a_list_are_one_group(void **state)
{
    enum { ITEMS = 1400 };
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    struct heap_path_group *groups;
    size_t count, followed;
    uint32_t nodes[ITEMS];
    (void)state;
    open_list(ITEMS, &h);
    for (uint32_t i = 0; i < ITEMS; i++)
        nodes[i] = i + 2;
    assert_int_equal(heap_group_paths(h, nodes, ITEMS, &groups, &count, &followed, &e), 0);
    assert_int_equal(followed, ITEMS);
    assert_int_equal(count, 3);
    assert_string_equal(groups[0].text, "(global) A → head: Item → next: Item ×n");
    assert_int_equal(groups[0].count, ITEMS - 2);
    assert_int_equal(groups[0].self_size, 20 * (ITEMS - 2));
    heap_path_groups_free(groups, count);
    heap_close(h);
}

/* ---- bad files ---- */

static void file_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    for (size_t length = 1; length < strlen(SMALL); length++) {
        struct heap *h = NULL;
        struct err e = ERR_NONE;
        assert_int_equal(open_bytes(SMALL, length, NULL, &h, &e), ERR_FORMAT);
        assert_null(h);
        assert_true(e.position >= 0 && e.position <= (int64_t)length);
        assert_non_null(strstr(e.text, "file: byte"));
    }
}

static void cut_file_gives_what_is_there(void **state)
{
    const struct heap_options partial = {.partial = true};
    (void)state;
    size_t edges = (size_t)(strstr(SMALL, "\"edges\"") - SMALL);
    for (size_t length = edges + 12; length < strlen(SMALL) - 1; length++) {
        struct heap *h = NULL;
        struct err e = ERR_NONE;
        assert_int_equal(open_bytes(SMALL, length, &partial, &h, &e), 0);
        assert_non_null(heap_damage(h));
        assert_int_equal(heap_columns(h)->node_count, 4);
        heap_close(h);
    }
}

static void wrong_files_say_what_and_where(void **state)
{
    const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"node_count\":4", "\"node_count\":3", "more rows than the header's 3"},
        {"\"node_count\":4", "\"node_count\":5", "holds 4 rows, but the header says 5"},
        {"\"node_count\":4", "\"node_count\":4000000000", "not a whole number up to"},
        {"\"node_count\":4", "\"node_count\":-4", "not a whole number"},
        {"\"edge_count\":4", "\"edge_count\":5", "4 rows, but the header says 5"},
        {"\"edge_count\":4", "\"edge_count\":100000000", "only"},
        {"1,5,2,4,10", "1,6,2,4,10", "6 is not the index of a node"},
        {"1,5,2,4,10", "1,25,2,4,10", "25 is the index of a node behind the last"},
        {"1,5,2,4,10", "1,5,9,4,10", "9 is not an edge type"},
        {"4,0,1,0,1,", "5,0,1,0,1,", "5 is not a node type"},
        {"4,0,1,0,1,", "4,0,1,0,2,", "nodes say that they have 5 edges"},
        {"4,0,1,0,1,", "4,0,4294967296,0,1,", "4294967296 is too large"},
        {"4,0,1,0,1,", "4,77,1,0,1,", "string 77"},
        {"4,0,1,0,1,", "4,0,-1,0,1,", "no number"},
        {"4,0,1,0,1,", "4,0,\"1\",0,1,", "no number"},
        {"4,0,1,0,1,",
            "4,0,11111111111111111111111111111111111111111111111111111111111111111111"
            "1111111,0,1,",
            "too large"},
        {"\"self_size\",", "", "self_size"},
        {"\"edges\"", "\"hedges\"", "no \"edges\""},
        {"\"A\",", "7,", "no string"},
        {"\"edge\"]}", "\"edge\"]}x", "behind the end"},
        {"{\"snapshot\"", "{\"head\"", "before the \"snapshot\" header"},
        {"{\"snapshot\"", "[{\"snapshot\"", "does not begin with"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heap *h = NULL;
        struct err e = ERR_NONE;
        char text[4096];
        const char *at = strstr(SMALL, cases[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - SMALL), SMALL, cases[i].to,
            at + strlen(cases[i].from));
        assert_int_equal(open_text(text, &h, &e), ERR_FORMAT);
        if (!strstr(e.text, cases[i].says))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].says);
        assert_true(e.position >= 0);
    }
}

/* ---- size ---- */

/* A list `count` deep, whose text has many pieces and every length of number. */
static char *list_text(uint32_t count, const char *separator, size_t *ret_length)
{
    struct buf b = buf_new(TEXT_MAX);
    assert_int_equal(
        buf_addf(&b, META "\"node_count\":%u,\"edge_count\":%u},\n\"nodes\":[4,0,1,0,1", count + 1,
            count),
        0);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(
            buf_addf(&b, "%s3,1,%u,%u,%d", separator, 2 * i + 3, i % 1000, i + 1 < count), 0);
    assert_int_equal(buf_addf(&b, "],\n\"edges\":[5,2,5"), 0);
    for (uint32_t i = 1; i < count; i++)
        assert_int_equal(buf_addf(&b, "%s2,2,%llu", separator, 5ull * (i + 1)), 0);
    assert_int_equal(buf_addf(&b, "],\n\"strings\":[\"\",\"Link\",\"next\"]}"), 0);
    *ret_length = b.length;
    return buf_take(&b);
}

static void check_list(
    const char *text, size_t length, uint32_t count, const char *instructions, int threads)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    const struct heap_options o = {.instructions = instructions, .threads = threads};
    if (open_bytes(text, length, &o, &h, &e) < 0)
        fail_msg("%s, %d threads: %s", instructions, threads, e.text);
    const struct heap_columns *c = heap_columns(h);
    uint64_t sum = 0;
    for (uint32_t i = count; i > 0; i--) {
        sum += (i - 1) % 1000;
        if (c->retained[i] != sum || c->dominator[i] != i - 1 || c->id[i] != 2 * i + 1 ||
            c->distance[i] != (int32_t)i)
            fail_msg("%s, %d threads: node %u is wrong", instructions, threads, i);
    }
    heap_close(h);
}

static void deep_list_is_read_by_every_code(void **state)
{
    const char *separators[] = {",", "\n,", " ,\r\n\t "};
    const char *codes[] = {"avx512", "avx2", "portable"};
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        uint32_t count = 300000;
        size_t length;
        char *text = list_text(count, separators[s], &length);
        for (size_t i = 0; i < 3; i++)
            for (int threads = 1; threads <= 2; threads++)
                check_list(text, length, count, codes[i], threads);
        free(text);
    }
}

static void numbers_of_every_length_are_read_by_every_code(void **state)
{
    const char *codes[] = {"avx512", "avx2", "portable"};
    enum { COUNT = 4000 };
    static uint32_t want[COUNT], out[COUNT + NUMBERS_BATCH];
    struct buf b = buf_new(TEXT_MAX);
    (void)state;
    assert_int_equal(buf_addf(&b, "%*s", NUMBERS_PAD, ""), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        want[i] = i * 2654435761u >> (i * 7 % 32);
        assert_int_equal(buf_addf(&b, "%u%s", want[i], i % 100 < 90 ? "," : ",\n    \t"), 0);
    }
    assert_int_equal(buf_addf(&b, "%*s", NUMBERS_PAD, ""), 0);
    for (size_t c = 0; c < 3; c++) {
        const uint8_t *p = (const uint8_t *)b.data + NUMBERS_PAD;
        const uint8_t *end = (const uint8_t *)b.data + b.length - NUMBERS_PAD;
        bool large = false;
        assert_int_equal(
            numbers_for(codes[c])->parse(&p, end, out, COUNT + NUMBERS_BATCH, &large), COUNT);
        assert_memory_equal(out, want, sizeof want);
        assert_true(large); /* ten digits */
    }
    buf_free(&b);
}

/* Whether a quote is escaped is seen only where the backslashes before it begin, which may be in
 * the piece of the file before. */
static void runs_of_backslashes_are_told_apart_across_pieces(void **state)
{
    enum { COUNT = 6000 };
    struct buf b = buf_new(TEXT_MAX), text = buf_new(TEXT_MAX);
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(buf_add_text(&b, META "\"node_count\":1,\"edge_count\":0},\n\"nodes\":"
                                           "[4,0,1,0,0],\n\"edges\":[],\n\"strings\":[\"\""),
        0);
    for (int i = 0; i < COUNT; i++) { /* pairs of backslashes, then perhaps a quote */
        assert_int_equal(buf_add_text(&b, ",\""), 0);
        for (int k = 0; k < i % 211; k++)
            assert_int_equal(buf_add_text(&b, "\\\\"), 0);
        assert_int_equal(buf_add_text(&b, i % 2 ? "\\\"\"" : "\""), 0);
    }
    assert_int_equal(buf_add_text(&b, "]}"), 0);
    assert_int_equal(open_bytes(b.data, b.length, NULL, &h, &e), 0);
    assert_int_equal(heap_string_count(h), COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        buf_clear(&text);
        assert_int_equal(heap_add_string(h, (uint32_t)i + 1, &text), 0);
        assert_int_equal(text.length, i % 211 + i % 2);
        assert_int_equal(text.length - strspn(text.length ? text.data : "", "\\"), i % 2);
    }
    heap_close(h);
    buf_free(&text);
    buf_free(&b);
}

/* ---- packed ---- */

static void packed_files_are_read(void **state)
{
    uint32_t count = 5000;
    size_t length;
    char *text = list_text(count, ",", &length);
    (void)state;
    size_t room = ZSTD_compressBound(length);
    void *packed = malloc(room);
    size_t packed_length = ZSTD_compress(packed, room, text, length, 1);
    assert_false(ZSTD_isError(packed_length));
    check_list(packed, packed_length, count, NULL, 2);
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    assert_int_equal(open_bytes(packed, packed_length / 2, NULL, &h, &e), ERR_FORMAT);
    free(packed);
    const struct heap_options tight = {.max_unpacked = 1000};
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    room = deflateBound(&z, length);
    packed = malloc(room);
    z.next_in = (Bytef *)text;
    z.avail_in = (uInt)length;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    check_list(packed, z.total_out, count, NULL, 1);
    assert_int_equal(open_bytes(packed, z.total_out, &tight, &h, &e), ERR_NOSPACE);
    deflateEnd(&z);
    free(packed);
    free(text);
}

/* ---- parts ---- */

static void weak_map_names_are_told(void **state)
{
    const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"1 / part of key (K @3) -> value (V @5) pair in WeakMap (table @7)", true},
        {"12 / part of key ( @3) -> value ( @5) pair in WeakMap (table @4294967295)", true},
        {"1 / part of key (a @1) -> value (b @2) -> value (c @3) pair in WeakMap (table @7)", true},
        {" / part of key (K @3) -> value (V @5) pair in WeakMap (table @7)", false},
        {"1 / part of key (K @3) -> value (V @5) pair in WeakMap (table @)", false},
        {"1 / part of key (K @3) -> value (V @5) pair in WeakMap (table @7) ", false},
        {"1 / part of key (K\n @3) -> value (V @5) pair in WeakMap (table @7)", false},
        {"1 / part of key (K 3) -> value (V @5) pair in WeakMap (table @7)", false},
        {"1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t part;
        uint32_t table;
        assert_int_equal(
            weak_pair_parse(cases[i].text, strlen(cases[i].text), &part, &table), cases[i].is);
    }
}

static void text_has_javascript_order(void **state)
{
    /* By UTF-16: a pair of surrogates comes before U+E000 and above. */
    const char *sorted[] = {"", "A", "a", "ab", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf",
        "\xf0\x9f\x98\x80", "\xee\x80\x80", "\xef\xbf\xbd"};
    (void)state;
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        for (size_t k = 0; k < sizeof sorted / sizeof *sorted; k++) {
            int order =
                heap_text_compare(sorted[i], strlen(sorted[i]), sorted[k], strlen(sorted[k]));
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

static int stop(void *arg, enum heap_phase phase, double done)
{
    (void)phase;
    (void)done;
    return ++*(int *)arg >= 1;
}

static void user_can_stop_it(void **state)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    int calls = 0;
    const struct heap_options o = {.progress = stop, .arg = &calls};
    (void)state;
    assert_int_equal(open_bytes(SMALL, strlen(SMALL), &o, &h, &e), ERR_CANCELLED);
    assert_null(h);
    assert_true(calls > 0);
}

/* A device or a pipe has no end that can be known: without this, /dev/zero fills the disk. */
static void what_is_no_snapshot_is_not_spooled(void **state)
{
    struct heap *h = NULL;
    struct err e = ERR_NONE;
    (void)state;
    assert_int_equal(heap_open("/dev/zero", NULL, &h, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "/dev/zero: byte 0: it does not begin with"));
    assert_null(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_snapshot_has_its_sizes),
        cmocka_unit_test(text_is_decoded),
        cmocka_unit_test(path_names_every_step),
        cmocka_unit_test(path_along_a_list_is_short_to_read),
        cmocka_unit_test(paths_along_a_list_are_one_group),
        cmocka_unit_test(file_cut_anywhere_is_an_error),
        cmocka_unit_test(cut_file_gives_what_is_there),
        cmocka_unit_test(wrong_files_say_what_and_where),
        cmocka_unit_test(deep_list_is_read_by_every_code),
        cmocka_unit_test(numbers_of_every_length_are_read_by_every_code),
        cmocka_unit_test(runs_of_backslashes_are_told_apart_across_pieces),
        cmocka_unit_test(packed_files_are_read),
        cmocka_unit_test(weak_map_names_are_told),
        cmocka_unit_test(text_has_javascript_order),
        cmocka_unit_test(user_can_stop_it),
        cmocka_unit_test(what_is_no_snapshot_is_not_spooled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
