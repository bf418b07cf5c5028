/* The mixes of a probe tell routes apart, and a round sends what it says it sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/mix.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KINDS_MAX 200

static int64_t sum(const int64_t *counts, size_t kinds)
{
    int64_t total = 0;
    for (size_t i = 0; i < kinds; i++)
        total += counts[i];
    return total;
}

static void a_round_has_the_requests_that_were_asked_for_and_some_of_each(void **state)
{
    (void)state;
    for (size_t kinds = 1; kinds <= KINDS_MAX; kinds++) {
        int64_t wanted[] = {mix_count_min(kinds), mix_count(kinds), 100 * mix_count(kinds) + 7};
        for (size_t w = 0; w < 3; w++)
            for (int64_t round = 0; round < mix_rounds(kinds); round++) {
                int64_t counts[KINDS_MAX];
                mix_round(kinds, round, wanted[w], counts);
                int64_t total = sum(counts, kinds);
                assert_int_equal(total, wanted[w]);
                for (size_t i = 0; i < kinds; i++)
                    assert_true(counts[i] > 0);
            }
    }
}

static void each_kind_stands_out_as_often_as_the_others_and_at_least_threefold(void **state)
{
    (void)state;
    for (size_t kinds = 2; kinds <= 20; kinds++) {
        int64_t stood_out[KINDS_MAX] = {0};
        for (int64_t round = 0; round < mix_rounds(kinds); round++) {
            int64_t counts[KINDS_MAX];
            size_t best = 0;
            mix_round(kinds, round, mix_count(kinds), counts);
            if (round % ((int64_t)kinds + 1) == (int64_t)kinds)
                continue;
            for (size_t i = 1; i < kinds; i++)
                best = counts[i] > counts[best] ? i : best;
            for (size_t i = 0; i < kinds; i++)
                assert_true(i == best || counts[best] >= 3 * counts[i] || kinds == 2);
            stood_out[best]++;
        }
        for (size_t i = 0; i < kinds; i++)
            assert_true(stood_out[i] >= MIX_CYCLES && stood_out[i] - stood_out[0] <= 1 &&
                        stood_out[0] - stood_out[i] <= 1);
    }
}

/* Else a route that keeps bytes and one that merely comes at the same times look alike. */
static void no_two_kinds_keep_their_proportion(void **state)
{
    (void)state;
    for (size_t kinds = 2; kinds <= 12; kinds++)
        for (size_t a = 0; a < kinds; a++)
            for (size_t b = 0; b < a; b++) {
                double least = 1, most = 0;
                for (int64_t round = 0; round < mix_rounds(kinds); round++) {
                    int64_t counts[KINDS_MAX];
                    mix_round(kinds, round, mix_count(kinds), counts);
                    double share = (double)counts[a] / (double)(counts[a] + counts[b]);
                    least = share < least ? share : least;
                    most = share > most ? share : most;
                }
                assert_true(most - least > 0.3);
            }
}

/* What grows by one a request tells of which route, where every route has a number of its own. */
static void no_two_kinds_have_as_many_requests_in_all(void **state)
{
    (void)state;
    for (size_t kinds = 2; kinds <= 6; kinds++) {
        int64_t totals[KINDS_MAX] = {0};
        for (int64_t round = 0; round < mix_rounds(kinds); round++) {
            int64_t counts[KINDS_MAX];
            mix_round(kinds, round, mix_count(kinds), counts);
            for (size_t i = 0; i < kinds; i++)
                totals[i] += counts[i];
        }
        for (size_t a = 0; a < kinds; a++)
            for (size_t b = 0; b < a; b++)
                assert_true(labs(totals[a] - totals[b]) * 120 > totals[a]);
    }
}

static void a_warm_up_has_the_same_number_of_each(void **state)
{
    (void)state;
    int64_t counts[7];
    mix_even(7, 100, counts);
    assert_int_equal(sum(counts, 7), 100);
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 14, 15);
}

static void the_order_is_mixed_and_the_same_for_the_same_seed(void **state)
{
    (void)state;
    const int64_t counts[] = {300, 100, 100};
    uint16_t a[500], b[500], c[500];
    int64_t seen[3] = {0}, runs = 0;
    mix_order(counts, 3, 1, a);
    mix_order(counts, 3, 1, b);
    mix_order(counts, 3, 2, c);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    for (int i = 0; i < 500; i++) {
        seen[a[i]]++;
        runs += i > 0 && a[i] != a[i - 1];
    }
    assert_memory_equal(seen, counts, sizeof counts);
    assert_true(runs > 200); /* one kind after the other: 2; by chance: about 280 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_has_the_requests_that_were_asked_for_and_some_of_each),
        cmocka_unit_test(each_kind_stands_out_as_often_as_the_others_and_at_least_threefold),
        cmocka_unit_test(no_two_kinds_keep_their_proportion),
        cmocka_unit_test(no_two_kinds_have_as_many_requests_in_all),
        cmocka_unit_test(a_warm_up_has_the_same_number_of_each),
        cmocka_unit_test(the_order_is_mixed_and_the_same_for_the_same_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
