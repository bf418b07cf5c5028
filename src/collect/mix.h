/* The mixes of a probe: how many requests of each kind each round sends, so that what each keeps
 * can be told apart. Pure.
 *
 * A cycle has one round for each kind, in which that kind comes far more often than the others, and
 * a quiet round, which gives each kind a number of its own and is to last twice as long, which
 * tells what grows without requests. Cycles begin with different kinds, so that no kind goes with
 * the time.
 *
 * All rounds have as many requests: how much compiled code lives after a collection depends on how
 * many requests came before it (V8 optimises functions again in each round), some 130 bytes a
 * request, which would look like a leak if the next round had fewer. */
#ifndef HEAPTAP_COLLECT_MIX_H
#define HEAPTAP_COLLECT_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_CYCLES 3 /* each kind stands out so often, at the least */

/* Rounds that tell so many kinds apart, and requests of a round that do. */
int64_t mix_rounds(size_t kinds);
int64_t mix_count(size_t kinds);
/* The least a round can have. */
int64_t mix_count_min(size_t kinds);

bool mix_is_quiet(size_t kinds, int64_t round);
/* Round number `round` (from 0) of count requests, at least mix_count_min: fills as many as kinds.
 */
void mix_round(size_t kinds, int64_t round, int64_t count, int64_t *ret_counts);
/* The same number of each, for the warm-up. */
void mix_even(size_t kinds, int64_t count, int64_t *ret_counts);

/* The kinds of a round's requests, one after the other, well mixed and the same for the same seed.
 * order has room for the sum of counts. */
void mix_order(const int64_t *counts, size_t kinds, uint64_t seed, uint16_t *ret_order);

#endif
