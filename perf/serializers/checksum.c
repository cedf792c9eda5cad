#include "perf/serializers/checksum.h"

bool checksum_whole;

/* Kept from being inlined by link-time optimization too; and as fast as the processor reads, since
 * what reading costs is everybody's, and hides what differs. */
#if defined(__x86_64__) && defined(__GLIBC__)
#define SHARED __attribute__((noinline, target_clones("avx2", "default")))
#else
#define SHARED __attribute__((noinline))
#endif

SHARED uint64_t checksum_words(uint64_t sum, const void *words, size_t count)
{
    const char *at = words;
    for (size_t i = 0; i < count; i++) {
        uint64_t word = 0;
        memcpy(&word, at + i * sizeof word, sizeof word);
        sum += word;
    }
    return sum;
}

SHARED uint64_t checksum_ints(uint64_t sum, const void *ints, size_t count)
{
    const char *at = ints;
    for (size_t i = 0; i < count; i++) {
        int32_t value = 0;
        memcpy(&value, at + i * sizeof value, sizeof value);
        sum += (uint64_t)(int64_t)value;
    }
    return sum;
}

SHARED uint64_t checksum_bytes(uint64_t sum, const void *bytes, size_t len)
{
    const char *at = bytes;
    size_t words = len / sizeof(uint64_t), rest = len % sizeof(uint64_t);
    for (size_t i = 0; i < words; i++) {
        uint64_t word = 0;
        memcpy(&word, at + i * sizeof word, sizeof word);
        sum += word;
    }
    if (rest > 0 && words > 0) { /* the end of the last eight bytes, at once */
        uint64_t word = 0;
        memcpy(&word, at + len - sizeof word, sizeof word);
        sum += word >> 8 * (sizeof word - rest);
    } else {
        for (size_t i = 0; i < rest; i++) {
            sum += (uint64_t)(unsigned char)at[i] << 8 * i;
        }
    }
    return ((sum + len) << 7) | ((sum + len) >> 57);
}

SHARED uint64_t checksum_vector(uint64_t sum, const void *doubles, size_t count)
{
    if (checksum_whole || count < 2) {
        return checksum_words(sum + count, doubles, count);
    }
    const char *last = (const char *)doubles + (count - 1) * sizeof(double);
    return checksum_words(checksum_words(sum + count, doubles, 1), last, 1);
}
