/*
 * How contestants read what they decoded. Arrays and strings go through functions that are never
 * inlined and are the same code for all; single values, and elements of lists that a library hands
 * out one by one only, are added where they are. Each takes the sum so far and returns the next.
 */
#ifndef WAYBILL_PERF_SERIALIZERS_CHECKSUM_H
#define WAYBILL_PERF_SERIALIZERS_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` integers or doubles of 8 bytes each, at any address; as checksum_long or checksum_double
 * of each of them. */
uint64_t checksum_words(uint64_t sum, const void *words, size_t count);

/* `count` integers of 4 bytes each, at any address; as checksum_long of each of them. */
uint64_t checksum_ints(uint64_t sum, const void *ints, size_t count);

/* Every byte of a string. Two strings that change places change the sum. */
uint64_t checksum_bytes(uint64_t sum, const void *bytes, size_t len);

/*
 * The doubles of the case `vector`, at any address: their count, the first and the last; or all of
 * them, once checksum_whole was set. What decoding costs is asked there, and not what reading a
 * megabyte costs everybody alike.
 */
uint64_t checksum_vector(uint64_t sum, const void *doubles, size_t count);

extern bool checksum_whole;

static inline uint64_t checksum_long(uint64_t sum, int64_t value)
{
    return sum + (uint64_t)value;
}

static inline uint64_t checksum_double(uint64_t sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return sum + bits;
}

#ifdef __cplusplus
}
#endif

#endif
