#include "tests/support/pattern.h"

#include <string.h>

/* The 8 bytes from position 8 * index on. */
static inline uint64_t word_at(uint64_t index, uint64_t seed)
{
    uint64_t word = (index + seed + 1) * 0x9e3779b97f4a7c15;
    return word ^ word >> 29;
}

void test_pattern_fill(void *data, size_t bytes, uint64_t seed)
{
    uint8_t *at = data;
    size_t words = bytes / sizeof(uint64_t);
    for (size_t i = 0; i < words; i++, at += sizeof(uint64_t)) {
        uint64_t word = word_at(i, seed);
        memcpy(at, &word, sizeof word);
    }
    if (bytes % sizeof(uint64_t) > 0) {
        uint64_t word = word_at(words, seed);
        memcpy(at, &word, bytes % sizeof word);
    }
}

/* The first wrong byte of [from, bytes), one by one. */
static size_t check_bytes(const uint8_t *data, size_t from, size_t bytes, uint64_t seed)
{
    for (size_t i = from; i < bytes; i++) {
        uint64_t word = word_at(i / sizeof word, seed);
        if (data[i] != (uint8_t)(word >> 8 * (i % sizeof word))) {
            return i;
        }
    }
    return bytes;
}

size_t test_pattern_check(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *at = data;
    size_t words = bytes / sizeof(uint64_t);
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, at + i * sizeof word, sizeof word);
        if (word != word_at(i, seed)) {
            return check_bytes(at, i * sizeof word, bytes, seed);
        }
    }
    return check_bytes(at, words * sizeof(uint64_t), bytes, seed);
}

uint64_t test_pattern_random(uint64_t *state)
{
    uint64_t word = *state += 0x9e3779b97f4a7c15;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
    word = (word ^ word >> 27) * 0x94d049bb133111eb;
    return word ^ word >> 31;
}
