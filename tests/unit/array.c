/* Lists that grow: nothing that is in them may be lost, least of all when memory is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/array.h"

static bool memory_is_out;
static int calls;

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_realloc(void *old, size_t bytes)
{
    calls++;
    return memory_is_out ? NULL : __real_realloc(old, bytes);
}

struct wide {
    int64_t number;
    char rest[40];
};

static void a_list_keeps_what_is_in_it(void **state)
{
    (void)state;
    struct wide *list = NULL;
    size_t room = 0;
    calls = 0;
    for (size_t count = 0; count < 10000; count++) {
        assert_true(array_grow(&list, &room, count + 1));
        assert_true(room > count);
        list[count] = (struct wide){.number = (int64_t)count};
    }
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(list[i].number, i);
    assert_true(calls < 20); /* by doubling */
    free(list);
}

static void many_are_made_room_for_at_once(void **state)
{
    (void)state;
    uint32_t *list = NULL;
    size_t room = 0;
    assert_true(array_grow(&list, &room, 0)); /* nothing is needed, nothing is taken */
    assert_null(list);
    assert_true(array_grow(&list, &room, 1000));
    assert_true(room >= 1000);
    list[999] = 7;
    assert_true(array_grow(&list, &room, 100000));
    assert_true(room >= 100000);
    assert_int_equal(list[999], 7);
    list[99999] = 8; /* the sanitizer sees a list that is too short */
    free(list);
}

static void without_memory_all_is_as_it_was(void **state)
{
    (void)state;
    struct wide *list = NULL;
    size_t room = 0;
    assert_true(array_grow(&list, &room, 1));
    list[0].number = 42;
    const struct wide *before = list;
    size_t had = room;
    memory_is_out = true;
    assert_true(array_grow(&list, &room, room)); /* it is there already */
    assert_false(array_grow(&list, &room, room + 1));
    assert_false(array_more(&list, 8));
    memory_is_out = false;
    assert_false(array_grow(&list, &room, SIZE_MAX));
    assert_false(array_grow(&list, &room, SIZE_MAX / sizeof *list + 1)); /* bytes that wrap round */
    assert_ptr_equal(list, before);
    assert_int_equal(room, had);
    assert_int_equal(list[0].number, 42);
    free(list);
}

static void a_list_without_a_room_keeps_what_is_in_it(void **state)
{
    (void)state;
    char **list = NULL;
    size_t count = 0;
    calls = 0;
    while (count < 1000) {
        assert_true(array_more(&list, count));
        list[count++] = (char *)&list;
    }
    assert_true(calls < 12);
    for (size_t fewer = 1000; fewer--;) { /* as far down as it goes, and up again */
        count = fewer;
        while (count < 1000 && count < fewer + 20) {
            assert_true(array_more(&list, count));
            list[count++] = NULL;
        }
    }
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_keeps_what_is_in_it),
        cmocka_unit_test(many_are_made_room_for_at_once),
        cmocka_unit_test(without_memory_all_is_as_it_was),
        cmocka_unit_test(a_list_without_a_room_keeps_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
