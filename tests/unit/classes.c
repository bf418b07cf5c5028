/* Classes from snapshot to snapshot: what is written, and what has grown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/classes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    size_t count;
    char text[2000]; /* "key:count " of each row in order */
};

static void note(void *arg, const struct class_change *c)
{
    struct seen *s = arg;
    size_t used = strlen(s->text);
    snprintf(s->text + used, sizeof s->text - used, "%s:%lld ", c->key, (long long)c->now.count);
    s->count++;
}

static int take(struct classes *c, const char *rows, struct seen *s)
{
    char text[2000];
    struct err e = ERR_NONE;
    snprintf(text, sizeof text, "{\"classes\":%s}", rows);
    cJSON *summary = cJSON_Parse(text);
    *s = (struct seen){0};
    int rc = classes_take(c, summary, note, s, &e);
    cJSON_Delete(summary);
    return rc;
}

#define ROW(key, count, retained)                                                                  \
    "{\"key\":\"," key "\",\"class\":\"" key "\",\"count\":" #count                                \
    ",\"self_size\":8,\"retained_size\":" #retained "}"

static void only_changed_rows_are_written_after_the_first(void **state)
{
    struct classes *c = classes_new();
    struct seen s;
    (void)state;
    assert_int_equal(take(c, "[" ROW("B", 1, 10) "," ROW("A", 2, 20) "]", &s), 0);
    assert_string_equal(s.text, ",A:2 ,B:1 ");
    assert_int_equal(classes_taken(c), 1);
    assert_int_equal(take(c, "[" ROW("A", 2, 20) "," ROW("C", 5, 50) "]", &s), 0);
    assert_string_equal(s.text, ",B:0 ,C:5 "); /* a class that went has a row of zeros */
    assert_int_equal(take(c, "[" ROW("A", 2, 20) "," ROW("C", 5, 50) "]", &s), 0);
    assert_int_equal(s.count, 0);
    classes_free(c);
}

static void every_sixtieth_set_is_whole(void **state)
{
    struct classes *c = classes_new();
    struct seen s;
    (void)state;
    for (int i = 0; i <= CLASSES_FULL_EVERY; i++)
        assert_int_equal(take(c, "[" ROW("A", 2, 20) "]", &s), 0);
    assert_int_equal(classes_taken(c), CLASSES_FULL_EVERY + 1);
    assert_int_equal(s.count, 1);
    classes_free(c);
}

static void what_grew_most_comes_first(void **state)
{
    struct classes *c = classes_new();
    struct class_change grown[2];
    struct seen s;
    (void)state;
    assert_int_equal(
        take(c, "[" ROW("A", 1, 10) "," ROW("B", 1, 10) "," ROW("D", 9, 90) "]", &s), 0);
    assert_int_equal(classes_grown(c, grown, 2), 0);
    assert_int_equal(
        take(c, "[" ROW("A", 2, 20) "," ROW("B", 9, 99) "," ROW("C", 3, 40) "," ROW("D", 1, 9) "]",
            &s),
        0);
    assert_int_equal(classes_grown(c, grown, 2), 2);
    assert_string_equal(grown[0].name, "B");
    assert_string_equal(grown[1].name, "C");
    assert_int_equal(grown[1].before.count, 0);
    classes_free(c);
}

static void a_bad_summary_changes_nothing(void **state)
{
    struct classes *c = classes_new();
    struct seen s;
    (void)state;
    assert_int_equal(take(c, "[" ROW("A", 1, 10) "]", &s), 0);
    assert_int_equal(take(c, "[{\"key\":\"x\"}]", &s), ERR_FORMAT);
    assert_int_equal(take(c, "7", &s), ERR_FORMAT);
    assert_int_equal(take(c, "[" ROW("A", 1, 10) "]", &s), 0);
    assert_int_equal(s.count, 0);
    assert_int_equal(classes_taken(c), 2);
    classes_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_changed_rows_are_written_after_the_first),
        cmocka_unit_test(every_sixtieth_set_is_whole),
        cmocka_unit_test(what_grew_most_comes_first),
        cmocka_unit_test(a_bad_summary_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
