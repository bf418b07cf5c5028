/* Random numbers that are the same in every run (SplitMix64). */
#ifndef HEAPTAP_UNIT_NOISE_H
#define HEAPTAP_UNIT_NOISE_H

#include <stdint.h>

static uint64_t random_state; /* set it to a seed first */

/* From 0 to below 1. */
static inline double random_share(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

/* Mean 0, standard deviation 1: a sum of twelve. */
static inline double random_normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += random_share();
    return sum;
}

#endif
