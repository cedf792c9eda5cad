#include "tests/support/scale.h"

#include <stdlib.h>

#include "tests/support/memcheck.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

enum { WATCHING = 8, EMULATION = 8 };

bool test_is_watched(void)
{
    return UNDER_SANITIZER || RUNNING_ON_VALGRIND > 0;
}

bool test_is_emulated(void)
{
    return getenv("WB_VM") != NULL; /* scripts/vm says so */
}

uint64_t test_largest_vector(void)
{
    return (uint64_t)(test_is_watched() ? 64 : 256) << 20;
}

unsigned test_slower(void)
{
    unsigned watching = test_is_watched() ? WATCHING : 1;
    return watching * (test_is_emulated() ? EMULATION : 1);
}
