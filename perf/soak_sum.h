/* A checksum that both ends make of the arguments' bytes: FNV-1a over words, then over bytes. */
#ifndef WAYBILL_PERF_SOAK_SUM_H
#define WAYBILL_PERF_SOAK_SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SOAK_SUM_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t soak_sum(uint64_t sum, const void *data, size_t bytes)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    const uint8_t *at = data;
    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        sum = (sum ^ word) * prime;
        sum ^= sum >> 32;
    }
    for (; bytes > 0; bytes--, at++) {
        sum = (sum ^ *at) * prime;
    }
    return sum;
}

#endif
