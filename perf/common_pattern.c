#include "perf/common_pattern.h"

#include <string.h>

enum { BLOCK_WORDS = 64 };

void pattern_fill(void *data, size_t bytes, uint64_t stamp)
{
    uint8_t *at = data;
    size_t words = bytes / sizeof stamp;
    for (size_t i = 0; i < words; i++) {
        uint64_t word = stamp + i;
        memcpy(at + i * sizeof word, &word, sizeof word);
    }
    if (bytes % sizeof stamp > 0) { /* where nothing is to be written there may be no memory */
        uint64_t last = stamp + words;
        memcpy(at + words * sizeof last, &last, bytes % sizeof last);
    }
}

static uint8_t byte_at(uint64_t stamp, size_t i)
{
    uint64_t word = stamp + i / sizeof word;
    return (uint8_t)(word >> (8 * (i % sizeof word)));
}

void pattern_spoil(void *data, size_t bytes, uint64_t stamp)
{
    uint8_t *at = data;
    if (bytes > 0) {
        at[0] = (uint8_t)~byte_at(stamp, 0);
        at[bytes - 1] = (uint8_t)~byte_at(stamp, bytes - 1);
    }
}

/* Whether a block of words is right; one verdict a block, so that the compiler can use vector
 * registers. */
static int block_is_right(const uint8_t *at, uint64_t stamp)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < BLOCK_WORDS; i++) {
        uint64_t word;
        memcpy(&word, at + i * sizeof word, sizeof word);
        wrong |= word ^ (stamp + i);
    }
    return wrong == 0;
}

size_t pattern_check(const void *data, size_t bytes, uint64_t stamp)
{
    const uint8_t *at = data;
    size_t done = 0;
    const size_t block = BLOCK_WORDS * sizeof stamp;
    while (bytes - done >= block && block_is_right(at + done, stamp + done / sizeof stamp)) {
        done += block;
    }
    for (; done < bytes; done++) {
        if (at[done] != byte_at(stamp, done)) {
            return done;
        }
    }
    return bytes;
}
