/* What people and programs read: tables, CSV, JSON, plots and the progress line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "show/fill.h"
#include "show/fit.h"
#include "show/json.h"
#include "show/out.h"
#include "show/plot.h"
#include "show/progress.h"
#include "show/table.h"

/* A sink into memory. */
struct sheet {
    struct show_out out;
    char *text;
    size_t length;
};

static void sheet_open(struct sheet *s, enum show_format format, size_t width, bool unicode)
{
    *s = (struct sheet){.out = {.format = format, .width = width, .unicode = unicode}};
    s->out.file = open_memstream(&s->text, &s->length);
    assert_non_null(s->out.file);
}

static void sheet_assert(struct sheet *s, const char *wanted)
{
    assert_int_equal(fclose(s->out.file), 0);
    assert_string_equal(s->text, wanted);
    free(s->text);
}

static const struct show_column columns[] = {
    {"class", "class", SHOW_NAME, 0},
    {"count", "count", SHOW_COUNT, 0},
    {"delta", "size_delta", SHOW_DELTA, 0},
    {"size", "size", SHOW_SIZE, 0},
    {"share", "share", SHOW_SHARE, 0},
    {"state", "state", SHOW_WORD, 0},
};

static struct show_table *make_table(void)
{
    struct show_table *t = show_table_new(columns, 6);
    show_add_word(t, "SessionState");
    show_add_integer(t, 1234567);
    show_add_integer(t, 4321);
    show_add_integer(t, 19083952);
    show_add_number(t, 0.5);
    show_add_word(t, "kept");
    show_add_text(t, "a, \"b\"\x1b[2J\xff", 11);
    show_add_integer(t, INT64_C(9007199254740993));
    show_add_integer(t, -7);
    show_add_integer(t, 12);
    show_add_number(t, NAN);
    show_add_word(t, NULL);
    return t;
}

static void print(struct sheet *s, struct show_table *t)
{
    struct err e = ERR_NONE;
    assert_int_equal(show_table(&s->out, t, &e), 0);
    show_table_free(t);
}

static void a_table_is_aligned_and_cannot_command_the_terminal(void **state)
{
    (void)state;
    struct sheet s;
    sheet_open(&s, SHOW_TEXT, 0, true);
    print(&s, make_table());
    sheet_assert(&s, "class                              count   delta     size   share  state\n"
                     "SessionState                   1,234,567  +4,321  18.2 MB  50.0 %  kept\n"
                     "a, \"b\"\\x1b[2J\\xff  9,007,199,254,740,993      -7     12 B       -  -\n");
}

static void growth_in_bytes_has_its_sign_and_unit(void **state)
{
    (void)state;
    static const struct show_column grown[] = {{"grown", "grown", SHOW_GROWTH, 0}};
    struct sheet s;
    sheet_open(&s, SHOW_TEXT, 0, true);
    struct show_table *t = show_table_new(grown, 1);
    show_add_integer(t, 2496000);
    show_add_integer(t, 0);
    show_add_integer(t, -512);
    print(&s, t);
    sheet_assert(&s, "  grown\n+2.4 MB\n    0 B\n -512 B\n");
}

static void a_table_fits_the_terminal(void **state)
{
    (void)state;
    struct sheet s;
    struct show_table *t = show_table_new(columns, 2);
    show_add_word(t, "(closure) renderProductListWithReviews at /srv/app/src/routes/products.js");
    show_add_integer(t, 1000);
    show_add_word(t, "日本語の長い名前のクラスです");
    show_add_integer(t, 7);
    show_add_word(t, "short");
    show_add_none(t);
    sheet_open(&s, SHOW_TEXT, 30, true);
    print(&s, t);
    sheet_assert(&s, "class                    count\n"
                     "(closure) r…products.js  1,000\n"
                     "日本語の長…クラスです        7\n"
                     "short                        -\n");
}

static void a_table_too_wide_for_the_terminal_has_lines_for_each_row(void **state)
{
    (void)state;
    struct sheet s;
    sheet_open(&s, SHOW_TEXT, 32, true);
    print(&s, make_table());
    sheet_assert(&s, "class  SessionState\n"
                     "count  1,234,567\n"
                     "delta  +4,321\n"
                     "size   18.2 MB\n"
                     "share  50.0 %\n"
                     "state  kept\n"
                     "\n"
                     "class  a, \"b\"\\x1b[2J\\xff\n"
                     "count  9,007,199,254,740,993\n"
                     "delta  -7\n"
                     "size   12 B\n"
                     "share  -\n"
                     "state  -\n");
}

static void spare_columns_go_before_anything_is_cut(void **state)
{
    (void)state;
    static const struct show_column some[] = {
        {"class", "class", SHOW_NAME, 0},
        {"first", "first", SHOW_COUNT, SHOW_SPARE},
        {"label", "label", SHOW_WORD, 0},
        {"a file", "slope", SHOW_MEAN, 1},
        {"size", "size", SHOW_BYTES, SHOW_SPARE},
    };
    static const struct {
        size_t width;
        const char *wanted;
    } cases[] = {
        {52, "class         first  label            a file    size\n"
             "SessionState  1,000  after-snapshot  1,234.5  1.5 KB\n"},
        {51, "class         first  label            a file\n"
             "SessionState  1,000  after-snapshot  1,234.5\n"},
        {43, "class         label            a file\n"
             "SessionState  after-snapshot  1,234.5\n"},
        {36, "class         label           a file\n"
             "SessionState  after-…apshot  1,234.5\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sheet s;
        struct show_table *t = show_table_new(some, sizeof some / sizeof *some);
        show_add_word(t, "SessionState");
        show_add_integer(t, 1000);
        show_add_word(t, "after-snapshot");
        show_add_number(t, 1234.49);
        show_add_number(t, 1536);
        sheet_open(&s, SHOW_TEXT, cases[i].width, true);
        print(&s, t);
        sheet_assert(&s, cases[i].wanted);
    }
}

static void a_path_is_never_cut(void **state)
{
    static const struct show_column path[] = {
        {"PATH", "path", SHOW_PATH, 0}, {"OBJECTS", "count", SHOW_COUNT, 0}};
    (void)state;
    struct sheet s;
    for (int wide = 0; wide < 2; wide++) {
        struct show_table *t = show_table_new(path, 2);
        show_add_word(t, "(global) → users: Map → table: (array) → #: User");
        show_add_integer(t, 1247);
        sheet_open(&s, SHOW_TEXT, wide ? 57 : 30, true);
        print(&s, t);
        sheet_assert(&s, wide ? "PATH                                              OBJECTS\n"
                                "(global) → users: Map → table: (array) → #: User    1,247\n"
                              : "(global) → users: Map → table:\n"
                                "  (array) → #: User\n"
                                "    OBJECTS 1,247\n");
    }
}

static void prose_is_filled_and_examples_stand(void **state)
{
    (void)state;
    struct sheet s;
    sheet_open(&s, SHOW_TEXT, 30, true);
    show_page(
        &s.out, "Two lines of prose that\nare one paragraph.\n  an example    as it is\n\nMore.\n");
    sheet_assert(&s, "Two lines of prose that are\none paragraph.\n"
                     "  an example    as it is\n\nMore.\n");
    sheet_open(&s, SHOW_TEXT, 10, true);
    struct err e = ERR_NONE;
    assert_int_equal(show_fill(&s.out, "a\x1b[2J bc\ndefghijklmnop q", 24, 4, 2, &e), 0);
    sheet_assert(&s, "a\\x1b[2J\n  bc\n  defghijklmnop\n  q\n");
}

static void csv_is_read_by_other_programs(void **state)
{
    (void)state;
    struct sheet s;
    sheet_open(&s, SHOW_CSV, 40, true);
    print(&s, make_table());
    sheet_assert(&s, "class,count,size_delta,size,share,state\r\n"
                     "SessionState,1234567,4321,19083952,0.5,kept\r\n"
                     "\"a, \"\"b\"\"\x1b[2J\\xff\",9007199254740993,-7,12,,\r\n");
}

static void csv_quotes_what_would_break_a_row(void **state)
{
    (void)state;
    static const char *const words[] = {"a\"b", "a\nb", "a\rb", " a", "a ", ""};
    struct sheet s;
    struct show_table *t = show_table_new(columns, 1);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        show_add_word(t, words[i]);
    show_add_none(t);
    sheet_open(&s, SHOW_CSV, 0, true);
    print(&s, t);
    sheet_assert(&s, "class\r\n\"a\"\"b\"\r\n\"a\nb\"\r\n\"a\rb\"\r\n\" a\"\r\n\"a \"\r\n"
                     "\"\"\r\n\r\n");
}

static void json_of_a_table_is_valid_and_exact(void **state)
{
    (void)state;
    struct sheet s;
    sheet_open(&s, SHOW_JSON, 40, true);
    print(&s, make_table());
    sheet_assert(&s,
        "[\n{\"class\":\"SessionState\",\"count\":1234567,\"size_delta\":4321,\"size\":19083952,"
        "\"share\":0.5,\"state\":\"kept\"},\n"
        "{\"class\":\"a, \\\"b\\\"\\u001b[2J\\\\xff\",\"count\":9007199254740993,\"size_delta\":-7,"
        "\"size\":12,\"share\":null,\"state\":null}\n]\n");
    struct show_table *t = show_table_new(columns, 6);
    sheet_open(&s, SHOW_JSON, 0, true);
    print(&s, t);
    sheet_assert(&s, "[]\n");

    cJSON *rows = NULL;
    struct err e = ERR_NONE;
    t = make_table();
    assert_int_equal(show_table_json(t, &rows, &e), 0);
    show_table_free(t);
    assert_int_equal(cJSON_GetArraySize(rows), 2);
    cJSON_Delete(rows);
}

static void json_on_a_terminal_is_indented_by_blanks(void **state)
{
    (void)state;
    struct sheet s;
    struct err e = ERR_NONE;
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_word(show_json_object(root, "a", &rc), "b", "c:\td", &rc);
    sheet_open(&s, SHOW_JSON, 80, true);
    s.out.tty = true;
    assert_int_equal(show_json(&s.out, root, rc, &e), 0);
    sheet_assert(&s, "{\n  \"a\": {\n    \"b\": \"c:\\td\"\n  }\n}\n");
}

static void integers_stay_integers(void **state)
{
    (void)state;
    struct sheet s;
    struct err e = ERR_NONE;
    int rc = 0;
    cJSON *root = show_json_object(NULL, NULL, &rc);
    show_json_integer(root, "a", INT64_C(1000000000000000), &rc);
    show_json_integer(root, "b", INT64_MIN, &rc);
    show_json_number(root, "c", 9007199254740991.0, &rc);
    show_json_number(root, "d", 0.1, &rc);
    show_json_number(root, "e", INFINITY, &rc);
    show_json_bool(root, "f", true, &rc);
    show_json_time(root, "g", 1769903999123, &rc);
    cJSON *list = show_json_array(root, "h", &rc);
    show_json_text(list, NULL, "x\0y\xff", 4, &rc);
    show_json_word(list, NULL, NULL, &rc);
    show_json_add(list, NULL, cJSON_CreateNumber(3), &rc);
    show_json_number(list, NULL, -0.0, &rc);
    sheet_open(&s, SHOW_JSON, 0, true);
    assert_int_equal(show_json(&s.out, root, rc, &e), 0);
    sheet_assert(&s,
        "{\"a\":1000000000000000,\"b\":-9223372036854775808,\"c\":9007199254740991,\"d\":0.1,"
        "\"e\":null,\"f\":true,\"g\":\"2026-01-31T23:59:59.123Z\","
        "\"h\":[\"x\\\\x00y\\\\xff\",null,3,0]}\n");

    rc = ERR_NOMEM; /* what was gathered is told, and nothing is printed */
    sheet_open(&s, SHOW_JSON, 0, true);
    assert_null(show_json_object(NULL, NULL, &rc));
    assert_int_equal(show_json_line(&s.out, cJSON_CreateObject(), rc, &e), ERR_NOMEM);
    sheet_assert(&s, "");
}

static void assert_fit(const char *text, size_t fit_columns, bool unicode, const char *wanted)
{
    struct buf b = buf_new(1000);
    assert_int_equal(fit_add(&b, text, strlen(text), fit_columns, unicode), 0);
    assert_string_equal(b.data ? b.data : "", wanted);
    buf_free(&b);
}

static void names_are_cut_in_the_middle(void **state)
{
    (void)state;
    assert_fit("abcdefgh", 8, true, "abcdefgh");
    assert_fit("abcdefgh", 7, true, "abc…fgh");
    assert_fit("abcdefgh", 6, true, "abc…gh");
    assert_fit("abcdefgh", 6, false, "ab...h");
    assert_fit("abcdefgh", 1, true, "…");
    assert_fit("abcdefgh", 2, false, "");
    assert_fit("日本語日本語", 7, true, "日…語");
    assert_fit("ae\xcc\x81zzzz", 4, true, "ae\xcc\x81…z");
    assert_fit("zzzze\xcc\x81y", 4, true, "zz…y");
}

static struct show_progress *start_progress(struct sheet *s, size_t width)
{
    sheet_open(s, SHOW_TEXT, width, true);
    s->out.tty = true;
    struct show_progress *p = show_progress_new(&s->out);
    assert_non_null(p);
    return p;
}

static void progress_says_rate_and_forecast(void **state)
{
    (void)state;
    struct sheet s;
    struct show_progress *p = start_progress(&s, 80);
    show_progress_begin(p, "receiving\x1b", SHOW_UNIT_BYTES, 100 << 20, 1000000);
    for (int i = 1; i <= 10; i++)
        show_progress_at(p, i * (5 << 20), 0, 1000000 + i * 100000);
    fflush(s.out.file);
    const char *last = strrchr(s.text, '\r');
    assert_string_equal(last, "\r\x1b[Kreceiving\\x1b  █████████████░░░░░░░░░░░░░  "
                              "50 %  50.0 MB  50.0 MB/s  1.0 s left");
    show_progress_clear(p);
    fflush(s.out.file);
    assert_string_equal(strrchr(s.text, '\r'), "\r\x1b[K");
    size_t before = s.length;
    show_progress_free(p);
    fflush(s.out.file);
    assert_int_equal(s.length, before); /* cleared once is enough */
    fclose(s.out.file);
    free(s.text);
}

static void progress_has_no_microseconds(void **state)
{
    (void)state;
    struct sheet s;
    struct show_progress *p = start_progress(&s, 80);
    show_progress_begin(p, "building", SHOW_UNIT_NONE, 0, 1000000);
    show_progress_at(p, 0, 0, 1000012);
    assert_int_equal(fflush(s.out.file), 0);
    assert_non_null(strstr(s.text, "0 ms"));
    assert_null(strstr(s.text, " us"));
    show_progress_free(p);
    assert_int_equal(fclose(s.out.file), 0);
    free(s.text);
}

static void progress_is_drawn_ten_times_a_second_at_most(void **state)
{
    (void)state;
    struct sheet s;
    struct show_progress *p = start_progress(&s, 40);
    show_progress_begin(p, "building", SHOW_UNIT_NONE, 1000, 0);
    for (int i = 1; i < 1000; i++)
        show_progress_at(p, i, 0, i * 1000);
    fflush(s.out.file);
    int draws = 0;
    for (const char *c = s.text; (c = strchr(c, '\r')); c++)
        draws++;
    assert_int_equal(draws, 10);
    show_progress_free(p);
    fclose(s.out.file);
    free(s.text);
    sheet_open(&s, SHOW_TEXT, 80, true); /* no terminal: nothing at all */
    p = show_progress_new(&s.out);
    assert_null(p);
    show_progress_begin(p, "x", SHOW_UNIT_COUNT, 0, 0);
    show_progress_at(p, 1, 1, 1000000);
    show_progress_free(p);
    sheet_assert(&s, "");
}

static void a_plot_shows_the_shape(void **state)
{
    (void)state;
    struct sheet s;
    struct err e = ERR_NONE;
    struct show_point points[32];
    for (int i = 0; i < 32; i++)
        points[i] = (struct show_point){1769903999000 + i * 1000, (i + 1) * 1048576.0};
    points[8].value = points[9].value = NAN;
    sheet_open(&s, SHOW_TEXT, 42, true);
    assert_int_equal(show_plot(&s.out, "heap", points, 32, SHOW_SCALE_BYTES, 4, &e), 0);
    sheet_assert(&s, "heap\n"
                     " 32.0 MB ┤                        ▁▂▃▄▅▆▇█\n"
                     " 20.0 MB ┤                ▁▂▃▄▅▆▇█████████\n"
                     "         │          ▃▄▅▆▇█████████████████\n"
                     "     0 B ┤▁▂▃▄▅▆▇█  ██████████████████████\n"
                     "         └────────────────────────────────\n"
                     "          23:59:59            00:00:30 UTC\n");
}

static void a_plot_of_too_little_says_so(void **state)
{
    (void)state;
    struct sheet s;
    struct err e = ERR_NONE;
    struct show_point points[] = {{1000, 1}, {1000, 2}, {2000, NAN}};
    sheet_open(&s, SHOW_TEXT, 42, true);
    assert_int_equal(show_plot(&s.out, NULL, points, 3, SHOW_SCALE_NUMBER, 4, &e), 0);
    sheet_assert(&s, "(a plot needs values from at least two moments)\n");
    sheet_open(&s, SHOW_JSON, 42, true);
    points[1].wall_ms = 5000;
    assert_int_equal(show_plot(&s.out, "x", points, 2, SHOW_SCALE_NUMBER, 4, &e), 0);
    sheet_assert(&s, "");
}

static void bars_compare(void **state)
{
    (void)state;
    struct sheet s;
    struct err e = ERR_NONE;
    struct show_bar bars[] = {
        {"GET /page", 5400}, {"POST /orders", 2700}, {"\x1b", 1}, {"none", 0}};
    sheet_open(&s, SHOW_TEXT, 46, false);
    assert_int_equal(show_bars(&s.out, "bytes a request", bars, 4, SHOW_SCALE_NUMBER, &e), 0);
    sheet_assert(&s, "bytes a request\n"
                     "GET /page     ##################### 5.4k\n"
                     "POST /orders  ########### 2.7k\n"
                     "\\x1b          # 1\n"
                     "none          0\n");
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    struct err e = ERR_NONE;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct show_out o = show_out_new(full, SHOW_CSV, SHOW_COLOR_AUTO);
    struct show_table *t = make_table();
    assert_int_equal(show_table(&o, t, &e), 0);
    assert_int_equal(show_out_finish(&o, &e), ERR_NOSPACE);
    show_table_free(t);
    fclose(full);
}

static void a_terminal_is_known_by_its_width_and_colour(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    FILE *tty = fopen(ptsname(master), "w");
    assert_non_null(tty);
    struct winsize size = {.ws_row = 24, .ws_col = 97};
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("NO_COLOR");
    struct show_out o = show_out_new(tty, SHOW_TEXT, SHOW_COLOR_AUTO);
    assert_true(o.tty && o.color && o.unicode);
    assert_int_equal(o.width, 97);
    assert_string_equal(show_on(&o, SHOW_BOLD), "\x1b[1m");
    setenv("NO_COLOR", "1", 1);
    assert_false(show_out_new(tty, SHOW_TEXT, SHOW_COLOR_AUTO).color);
    assert_true(show_out_new(tty, SHOW_TEXT, SHOW_COLOR_ALWAYS).color);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    setenv("LC_ALL", "C", 1);
    o = show_out_new(tty, SHOW_TEXT, SHOW_COLOR_AUTO);
    assert_false(o.color || o.unicode);
    assert_string_equal(show_on(&o, SHOW_BOLD), "");
    fclose(tty);
    close(master);
    FILE *file = tmpfile();
    o = show_out_new(file, SHOW_TEXT, SHOW_COLOR_AUTO);
    assert_false(o.tty || o.color);
    assert_int_equal(o.width, 0);
    fclose(file);
    enum show_color color;
    struct err e = ERR_NONE;
    assert_int_equal(show_parse_color("never", &color, &e), 0);
    assert_int_equal(color, SHOW_COLOR_NEVER);
    assert_int_equal(show_parse_color("pink", &color, &e), ERR_USAGE);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_aligned_and_cannot_command_the_terminal),
        cmocka_unit_test(growth_in_bytes_has_its_sign_and_unit),
        cmocka_unit_test(a_table_fits_the_terminal),
        cmocka_unit_test(a_table_too_wide_for_the_terminal_has_lines_for_each_row),
        cmocka_unit_test(spare_columns_go_before_anything_is_cut),
        cmocka_unit_test(a_path_is_never_cut),
        cmocka_unit_test(prose_is_filled_and_examples_stand),
        cmocka_unit_test(csv_is_read_by_other_programs),
        cmocka_unit_test(csv_quotes_what_would_break_a_row),
        cmocka_unit_test(json_of_a_table_is_valid_and_exact),
        cmocka_unit_test(json_on_a_terminal_is_indented_by_blanks),
        cmocka_unit_test(integers_stay_integers),
        cmocka_unit_test(names_are_cut_in_the_middle),
        cmocka_unit_test(progress_says_rate_and_forecast),
        cmocka_unit_test(progress_has_no_microseconds),
        cmocka_unit_test(progress_is_drawn_ten_times_a_second_at_most),
        cmocka_unit_test(a_plot_shows_the_shape),
        cmocka_unit_test(a_plot_of_too_little_says_so),
        cmocka_unit_test(bars_compare),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_terminal_is_known_by_its_width_and_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
