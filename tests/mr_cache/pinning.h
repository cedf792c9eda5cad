/* A pinner that is no fabric: it knows what is registered, fails on demand, and notices what must
 * not be. */
#ifndef WAYBILL_TESTS_MR_CACHE_PINNING_H
#define WAYBILL_TESTS_MR_CACHE_PINNING_H

#include <stdatomic.h>

#include "mr_cache/pin_cache.h"
#include "tests/mr_cache/rma.h"

struct test_pinner {
    pthread_mutex_t mutex;
    uint64_t bytes, peak_bytes; /* registered now, but for those on demand */
    unsigned regs, deregs;
    unsigned most;     /* registrations at once, 0: any number; more are WB_ERR_NO_MEMORY */
    unsigned failures; /* so many next calls fail, */
    int failure;       /* with this */
};

/* A cache on one pinner. */
struct test_pins {
    struct wbi_pin_cache cache;
    struct test_pinner pinner;
};

void test_pins_open(struct test_pins *pins, uint64_t bytes, uint32_t registrations);
/* Asserts that nothing stays registered. */
void test_pins_close(struct test_pins *pins);

/* What a status of the cache is, for ranges named by numbers. */
int test_pin(struct test_pins *pins, uintptr_t base, size_t bytes, uint32_t flags);
int test_pin_dmabuf(struct test_pins *pins, uintptr_t base, size_t bytes);
/* Waiting for nobody. */
int test_unpin(struct test_pins *pins, uintptr_t base, size_t bytes);

/* Acquires; asserts that what it gets is registered and contains the range. */
struct wbi_pin *test_acquire(struct test_pins *pins, uintptr_t base, size_t bytes);
void test_assert_registered(const struct wbi_pin *pin);

struct wbi_pin_stats test_pin_stats(struct test_pins *pins);

#endif
