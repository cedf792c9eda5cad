/* What payloads are filled with. */
#ifndef WAYBILL_PERF_COMMON_PATTERN_H
#define WAYBILL_PERF_COMMON_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The pattern of a stamp: the 64-bit word i is stamp + i (modulo 2^64, the last word cut off), so
 * that a byte that is stale, shifted or from another call shows. `data` needs no alignment, and
 * is looked at by none of these where `bytes` is 0. */
void pattern_fill(void *data, size_t bytes, uint64_t stamp);
/* Makes the first and the last byte wrong, so that it shows if nothing is written over them. */
void pattern_spoil(void *data, size_t bytes, uint64_t stamp);
/* Returns the offset of a byte that is wrong, or `bytes` if all are right. */
size_t pattern_check(const void *data, size_t bytes, uint64_t stamp);

#endif
