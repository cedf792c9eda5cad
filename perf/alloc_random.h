/* Random numbers and log-uniform sizes that cost little beside what is measured. */
#ifndef WAYBILL_PERF_ALLOC_RANDOM_H
#define WAYBILL_PERF_ALLOC_RANDOM_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { FRACTION_BITS = 10, FRACTIONS = 1 << FRACTION_BITS };

/* 2^(i / FRACTIONS), times 65536. */
struct fractions {
    uint32_t of[FRACTIONS];
};

static inline void fractions_fill(struct fractions *fractions)
{
    for (int i = 0; i < FRACTIONS; i++) {
        fractions->of[i] = (uint32_t)(65536.0 * exp2((double)i / FRACTIONS));
    }
}

/* xorshift64; *state is never 0. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* A number below `bound`, from the middle bits of a random number. */
static inline uint32_t random_below(uint64_t random, uint32_t bound)
{
    return (uint32_t)(((random >> 16 & UINT32_MAX) * bound) >> 32);
}

/* A size from `least` on, over so many octaves; looks at the top and the middle bits. */
static inline size_t random_size(const struct fractions *fractions, uint64_t random, size_t least,
                                 uint32_t octaves)
{
    size_t octave = least << random_below(random, octaves);
    return octave * fractions->of[random >> (64 - FRACTION_BITS)] >> 16;
}

#endif
