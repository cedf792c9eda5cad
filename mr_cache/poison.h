/* Tells AddressSanitizer which pool memory nobody may touch; compiles to nothing without it. */
#ifndef WBI_MR_CACHE_POISON_H
#define WBI_MR_CACHE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WBI_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WBI_POISONS 1
#endif
#endif

#ifdef WBI_POISONS
#include <sanitizer/asan_interface.h>
#endif

/* Makes every access to [base, base + bytes) an error until it is unpoisoned. Both multiples of 8.
 */
static inline void wbi_poison(void *base, size_t bytes)
{
#ifdef WBI_POISONS
    __asan_poison_memory_region(base, bytes);
#else
    (void)base;
    (void)bytes;
#endif
}

/* Allows access again. A poisoned mapping is unpoisoned before munmap, or its successor inherits
 * it. */
static inline void wbi_unpoison(void *base, size_t bytes)
{
#ifdef WBI_POISONS
    __asan_unpoison_memory_region(base, bytes);
#else
    (void)base;
    (void)bytes;
#endif
}

#endif
