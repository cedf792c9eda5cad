/* How much a test does: under sanitizers and valgrind, and in an emulated machine, everything is an
 * order of magnitude slower. */
#ifndef WAYBILL_TESTS_SUPPORT_SCALE_H
#define WAYBILL_TESTS_SUPPORT_SCALE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a sanitizer or valgrind watches each access. */
bool test_is_watched(void);

/* Whether this is a guest of scripts/vm. */
bool test_is_emulated(void);

/* Bytes. gcc's TSan takes five of its own for each that was touched. */
uint64_t test_largest_vector(void);

/* How much slower than on a developer's machine things go here: 1 is none. */
unsigned test_slower(void);

/* `count` repetitions, or what of them a slow run has time for. */
static inline unsigned test_scaled(unsigned count)
{
    return (count + test_slower() - 1) / test_slower();
}

#endif
