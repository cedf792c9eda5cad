/* Bytes that say where they belong: each depends on its position and on a seed, so that a byte that
 * was lost, moved, doubled or left over from another buffer is found. */
#ifndef WAYBILL_TESTS_SUPPORT_PATTERN_H
#define WAYBILL_TESTS_SUPPORT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

void test_pattern_fill(void *data, size_t bytes, uint64_t seed);

/* The position of the first byte that is wrong; `bytes` if none is. */
size_t test_pattern_check(const void *data, size_t bytes, uint64_t seed);

/* A small generator, so that a seed means the same everywhere. *state is the seed. */
uint64_t test_pattern_random(uint64_t *state);

#endif
