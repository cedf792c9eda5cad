/* How much a test does: under sanitizers everything is an order of magnitude slower. */
#ifndef WAYBILL_TESTS_SUPPORT_SCALE_H
#define WAYBILL_TESTS_SUPPORT_SCALE_H

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SLOW 1
#endif
#endif

#ifdef TEST_SLOW
enum { TEST_UNDER_SANITIZER = 1, TEST_SLOWER = 8 };
#else
enum { TEST_UNDER_SANITIZER = 0, TEST_SLOWER = 1 };
#endif

/* gcc's TSan takes five bytes of its own for each byte that was touched. */
static const uint64_t test_largest_vector = (uint64_t)(TEST_UNDER_SANITIZER ? 64 : 256) << 20;

/* `count` repetitions, or what of them a sanitized run has time for. */
static inline unsigned test_scaled(unsigned count)
{
    return (count + TEST_SLOWER - 1) / TEST_SLOWER;
}

#endif
