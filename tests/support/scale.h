/* How much a test does: under sanitizers, and in an emulated machine, everything is an order of
 * magnitude slower. */
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

/* How much slower than on a developer's machine things go here: 1 is none. */
unsigned test_slower(void);

/* `count` repetitions, or what of them a slow run has time for. */
static inline unsigned test_scaled(unsigned count)
{
    return (count + test_slower() - 1) / test_slower();
}

#endif
