#include "tests/wb_sim/bytes.h"

#include "tests/support/pattern.h"
#include "tests/wb_sim/play.h"

void bytes_must_be(const struct play *play, const struct entry *entry, const char *what,
                   const void *data, size_t bytes, size_t wanted, uint64_t seed)
{
    size_t right = test_pattern_check(data, bytes, seed);
    if (bytes != wanted || right != bytes) {
        play_fail(play, "call %llu: %s: %zu bytes instead of %zu, wrong from byte %zu on",
                  (unsigned long long)entry->number, what, bytes, wanted, right);
    }
}
