#include "tests/wb_sim/bytes.h"

#include "tests/support/pattern.h"
#include "tests/wb_sim/play.h"

enum { PIECE = 32, PART = 8 }; /* a piece is one part, as often as it takes */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void bytes_fill(const struct play *play, void *data, size_t bytes, uint64_t seed)
{
    if (!play->filters) {
        test_pattern_fill(data, bytes, seed);
        return;
    }
    for (size_t at = 0; at < bytes; at += PART) {
        test_pattern_fill((uint8_t *)data + at, least(bytes - at, PART), seed + at / PIECE);
    }
}

size_t bytes_check(const struct play *play, const void *data, size_t bytes, uint64_t seed)
{
    if (!play->filters) {
        return test_pattern_check(data, bytes, seed);
    }
    for (size_t at = 0; at < bytes; at += PART) {
        size_t len = least(bytes - at, PART);
        size_t right = test_pattern_check((const uint8_t *)data + at, len, seed + at / PIECE);
        if (right < len) {
            return at + right;
        }
    }
    return bytes;
}

void bytes_must_be(const struct play *play, const struct entry *entry, const char *what,
                   const void *data, size_t bytes, size_t wanted, uint64_t seed)
{
    size_t right = bytes_check(play, data, bytes, seed);
    if (bytes != wanted || right != bytes) {
        play_fail(play, "call %llu: %s: %zu bytes instead of %zu, wrong from byte %zu on",
                  (unsigned long long)entry->number, what, bytes, wanted, right);
    }
}
