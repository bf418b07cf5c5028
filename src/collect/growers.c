/* Which isolates of a process are worth a snapshot. */
#include "collect/growers.h"

#include <math.h>
#include <string.h>

#define SHARE_LEAST 0.25 /* of the growth of the fastest */

/* Of what was looked into before there is a series to go on with. grown: by it and those like it.
 */
static bool may_be(const struct grower *g, double grown, double most, double least)
{
    bool begins = grown >= fmax(least, SHARE_LEAST * most);
    bool goes_on = g->imaged && (most < least || grown >= SHARE_LEAST * most);
    return g->live && (begins || goes_on);
}

static bool is_better(const struct grower *a, const struct grower *b)
{
    return a->imaged != b->imaged ? a->imaged : a->growth > b->growth;
}

static bool is_alike(const struct grower *a, const struct grower *b)
{
    return a->program && b->program && strcmp(a->program, b->program) == 0;
}

/* A pool shares the work, and what it keeps. */
static double grown_by(const struct grower *list, size_t count, size_t at)
{
    double sum = list[at].growth;
    for (size_t i = 0; i < count; i++)
        if (i != at && list[i].live && is_alike(&list[i], &list[at]))
            sum += fmax(list[i].growth, 0);
    return sum;
}

/* The best of those that are not chosen yet and like none that is; count: none. */
static size_t find_next(const struct grower *list, size_t count, double most, double least,
    const size_t *chosen, size_t chosen_count)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        bool may = may_be(&list[i], grown_by(list, count, i), most, least);
        for (size_t k = 0; k < chosen_count && may; k++)
            may = chosen[k] != i && !is_alike(&list[i], &list[chosen[k]]);
        if (may && (best == count || is_better(&list[i], &list[best])))
            best = i;
    }
    return best;
}

size_t growers_choose(const struct grower *list, size_t count, double least, size_t otherwise,
    size_t ret_indices[GROWERS_MAX])
{
    double most = 0;
    size_t chosen = 0, next;
    for (size_t i = 0; i < count; i++)
        if (list[i].live)
            most = fmax(most, grown_by(list, count, i));
    while (chosen < GROWERS_MAX &&
           (next = find_next(list, count, most, least, ret_indices, chosen)) < count)
        ret_indices[chosen++] = next;
    if (chosen == 0)
        ret_indices[chosen++] = otherwise;
    return chosen;
}
