/* The mixes of a probe. */
#include "collect/mix.h"

#define ROUNDS_LEAST 12 /* fewer floors say little of their own noise */
#define COUNT_A_KIND 100
#define COUNT_LEAST  300 /* of few kinds: what is kept must stand out from V8's own noise */
#define SLOPE        3   /* a quiet round has a third more of the first kind than the mean */
#define OTHERS_LEAST 2   /* requests of a kind that does not stand out */

int64_t mix_rounds(size_t kinds)
{
    int64_t rounds = MIX_CYCLES * ((int64_t)kinds + 1);
    return rounds < ROUNDS_LEAST ? ROUNDS_LEAST : rounds;
}

int64_t mix_count(size_t kinds)
{
    int64_t count = COUNT_A_KIND * (int64_t)kinds;
    return count < COUNT_LEAST ? COUNT_LEAST : count;
}

int64_t mix_count_min(size_t kinds)
{
    return 2 * OTHERS_LEAST * (int64_t)kinds;
}

void mix_even(size_t kinds, int64_t count, int64_t *ret_counts)
{
    int64_t n = (int64_t)kinds;
    for (int64_t i = 0; i < n; i++)
        ret_counts[i] = count / n + (i < count % n);
}

bool mix_is_quiet(size_t kinds, int64_t round)
{
    return round % ((int64_t)kinds + 1) == (int64_t)kinds;
}

/* A quiet round: the first kind comes twice as often as the last, so that over all rounds no two
 * kinds have as many requests, and what has grown by one a request tells of which. */
static void mix_sloped(size_t kinds, int64_t count, int64_t *ret_counts)
{
    int64_t n = (int64_t)kinds;
    mix_even(kinds, count, ret_counts);
    for (int64_t i = 0; i < n / 2; i++) {
        int64_t shift = ret_counts[i] * (n - 1 - 2 * i) / (SLOPE * (n - 1));
        ret_counts[i] += shift;
        ret_counts[n - 1 - i] -= shift;
    }
}

/* What stands out has twice as many as all others together. */
void mix_round(size_t kinds, int64_t round, int64_t count, int64_t *ret_counts)
{
    int64_t n = (int64_t)kinds, cycle = round / (n + 1), place = round % (n + 1);
    if (mix_is_quiet(kinds, round)) {
        mix_sloped(kinds, count, ret_counts);
        return;
    }
    int64_t outstanding = (place + cycle) % n, left = count;
    int64_t others = n > 1 ? count / 3 / (n - 1) : 0;
    if (others < OTHERS_LEAST)
        others = OTHERS_LEAST;
    for (int64_t i = 0; i < n; i++)
        if (i != outstanding) {
            ret_counts[i] = others;
            left -= others;
        }
    ret_counts[outstanding] = left;
}

/* Sebastiano Vigna's splitmix64, 2015 (public domain). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Fisher and Yates' shuffle; its bias by the modulus is under 1e-12 here. */
void mix_order(const int64_t *counts, size_t kinds, uint64_t seed, uint16_t *ret_order)
{
    uint64_t total = 0;
    for (size_t kind = 0; kind < kinds; kind++)
        for (int64_t i = 0; i < counts[kind]; i++)
            ret_order[total++] = (uint16_t)kind;
    for (uint64_t i = total; i > 1; i--) {
        uint64_t other = next_random(&seed) % i;
        uint16_t kind = ret_order[i - 1];
        ret_order[i - 1] = ret_order[other];
        ret_order[other] = kind;
    }
}
