/* Which capture files go first: a wrong answer here deletes the evidence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct retention_file own(int64_t id, int64_t target)
{
    return (struct retention_file){.snapshot_id = id, .target_id = target, .bytes = 10};
}

static struct retention_file old(const char *run, int64_t id)
{
    struct retention_file f = {.snapshot_id = id, .target_id = 1, .bytes = 10};
    snprintf(f.run_id, sizeof f.run_id, "%s", run);
    return f;
}

static void the_first_and_the_latest_of_a_target_never_go(void **state)
{
    (void)state;
    struct retention_file files[] = {own(1, 1), own(2, 2), own(3, 1), own(4, 2), own(5, 1)};
    assert_int_equal(retention_pick(files, 5, RETENTION_THIS_RUN, 0), 2);
    assert_int_equal(retention_pick(files, 5, RETENTION_THIS_RUN, 2), -1);
    assert_int_equal(retention_pick(files, 4, RETENTION_ALL_RUNS, 0), -1);
    assert_int_equal(retention_pick(files, 1, RETENTION_ALL_RUNS, 0), -1);
    assert_int_equal(retention_pick(files, 0, RETENTION_ALL_RUNS, 0), -1);
}

static void what_a_diagnosis_cites_or_an_analysis_reads_stays(void **state)
{
    (void)state;
    struct retention_file files[] = {own(1, 1), own(2, 1), own(3, 1), own(4, 1), own(5, 1)};
    files[1].cited = true;
    files[2].busy = true;
    assert_int_equal(retention_pick(files, 5, RETENTION_ALL_RUNS, 0), 3);
}

static void another_heaptaps_files_are_left_alone(void **state)
{
    (void)state;
    struct retention_file files[] = {old("a", 1), old("a", 2), old("a", 3)};
    for (size_t i = 0; i < COUNT(files); i++)
        files[i].live = true;
    assert_int_equal(retention_pick(files, 3, RETENTION_ALL_RUNS, 0), -1);
}

static void ends_of_ended_runs_go_after_every_middle(void **state)
{
    (void)state;
    struct retention_file files[] = {
        old("a", 1), old("a", 2), old("a", 3), own(1, 1), own(2, 1), own(3, 1)};
    size_t order[] = {1, 3, 0, 0}; /* indices as the list gets shorter */
    size_t count = COUNT(files);
    for (size_t i = 0; i < COUNT(order); i++) {
        int index = retention_pick(files, count, RETENTION_ALL_RUNS, 0);
        assert_int_equal(index, order[i]);
        count--;
        memmove(&files[index], &files[index + 1], (count - (size_t)index) * sizeof *files);
    }
    assert_int_equal(count, 2);
    assert_int_equal(retention_pick(files, count, RETENTION_ALL_RUNS, 0), -1);
}

/* ---- with files ---- */

struct deletions {
    int count;
    int64_t last;
    char why[64];
};

static void on_deleted(
    void *arg, const char *run_id, int64_t snapshot_id, const char *path, const char *why)
{
    struct deletions *d = arg;
    (void)path;
    assert_null(run_id);
    d->count++;
    d->last = snapshot_id;
    snprintf(d->why, sizeof d->why, "%s", why);
}

static char folder[] = "/tmp/heaptap-retention-XXXXXX";

static char *make_file(int number, char path[128])
{
    snprintf(path, 128, "%s/%d.heapsnapshot", folder, number);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs("0123456789", file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void keep_deletes_the_oldest_in_the_middle(void **state)
{
    struct deletions d = {0};
    struct retention_options o = {.keep = 3, .deleted = on_deleted, .arg = &d};
    struct retention *r;
    struct err e = ERR_NONE;
    char path[128];
    (void)state;
    assert_int_equal(retention_new(&o, &r, &e), 0);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(retention_add(r, i, 1, make_file(i, path), 10, i, &e), 0);
    assert_int_equal(d.count, 2);
    assert_int_equal(d.last, 3);
    assert_string_equal(d.why, "--keep 3");
    for (int i = 1; i <= 5; i++) {
        snprintf(path, sizeof path, "%s/%d.heapsnapshot", folder, i);
        assert_int_equal(access(path, F_OK), i == 2 || i == 3 ? -1 : 0);
        unlink(path);
    }
    retention_free(r);
}

static void a_file_that_was_replaced_is_not_ours_to_delete(void **state)
{
    struct deletions d = {0};
    struct retention_options o = {.max_disk = 25, .deleted = on_deleted, .arg = &d};
    struct retention *r;
    struct err e = ERR_NONE;
    char path[128];
    (void)state;
    assert_int_equal(retention_new(&o, &r, &e), 0);
    assert_int_equal(retention_add(r, 1, 1, make_file(1, path), 10, 1, &e), 0);
    assert_int_equal(retention_room(r), 15);
    assert_int_equal(retention_add(r, 2, 1, make_file(2, path), 9, 2, &e), 0); /* other size */
    assert_int_equal(retention_add(r, 3, 1, make_file(3, path), 10, 3, &e), 0);
    assert_int_equal(d.count, 0);
    for (int i = 1; i <= 3; i++) {
        snprintf(path, sizeof path, "%s/%d.heapsnapshot", folder, i);
        assert_int_equal(access(path, F_OK), 0);
        unlink(path);
    }
    retention_free(r);
}

static void max_disk_makes_room_before_a_capture(void **state)
{
    struct deletions d = {0};
    struct retention_options o = {.max_disk = 45, .deleted = on_deleted, .arg = &d};
    struct retention *r;
    struct err e = ERR_NONE;
    char path[128];
    (void)state;
    assert_int_equal(retention_new(&o, &r, &e), 0);
    for (int i = 1; i <= 4; i++)
        assert_int_equal(retention_add(r, i, 1, make_file(i, path), 10, i, &e), 0);
    assert_int_equal(d.count, 0);
    assert_int_equal(retention_room(r), 5);
    assert_true(retention_make_room(r, folder, 10, 0));
    assert_int_equal(d.count, 1);
    assert_int_equal(d.last, 2);
    assert_string_equal(d.why, "--max-disk");
    assert_false(retention_make_room(r, folder, 10, 0));
    for (int i = 1; i <= 4; i++) {
        snprintf(path, sizeof path, "%s/%d.heapsnapshot", folder, i);
        unlink(path);
    }
    retention_free(r);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_latest_of_a_target_never_go),
        cmocka_unit_test(what_a_diagnosis_cites_or_an_analysis_reads_stays),
        cmocka_unit_test(another_heaptaps_files_are_left_alone),
        cmocka_unit_test(ends_of_ended_runs_go_after_every_middle),
        cmocka_unit_test(keep_deletes_the_oldest_in_the_middle),
        cmocka_unit_test(a_file_that_was_replaced_is_not_ours_to_delete),
        cmocka_unit_test(max_disk_makes_room_before_a_capture),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
