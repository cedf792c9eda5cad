/* The registration cache for user memory, one rule after the other. */
#include <waybill/pin.h>

#include "tests/mr_cache/pinning.h"

static struct test_pins pins;

static void use(uintptr_t base, size_t bytes)
{
    struct wbi_pin *pin = test_acquire(&pins, base, bytes);
    ck_assert_ptr_nonnull(pin);
    wbi_pin_release(pin);
}

static void assert_not_found(uintptr_t base, size_t bytes)
{
    ck_assert_ptr_null(test_acquire(&pins, base, bytes));
}

START_TEST(test_one_registration_for_many_uses)
{
    test_pins_open(&pins, 1000, 0);
    assert_not_found(100, 1);
    ck_assert_int_eq(test_pin(&pins, 100, 50, 0), WB_OK);
    for (unsigned i = 0; i < 100; i++) {
        use(100 + i % 40, 10);
    }
    use(100, 50);
    assert_not_found(99, 2);
    assert_not_found(149, 2);
    assert_not_found(0, SIZE_MAX);
    assert_not_found(UINTPTR_MAX, 1000);
    ck_assert_uint_eq(pins.pinner.regs, 1);
    ck_assert_int_eq(test_unpin(&pins, 100, 50), WB_OK);
    ck_assert_uint_eq(pins.pinner.deregs, 1);
    assert_not_found(100, 1);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_pins_are_counted)
{
    test_pins_open(&pins, 1000, 0);
    ck_assert_int_eq(test_unpin(&pins, 100, 50), WB_ERR_INVALID);
    ck_assert_int_eq(test_pin(&pins, 100, 50, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 100, 50, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 100, 50, WB_MR_ON_DEMAND), WB_ERR_EXISTS);
    ck_assert_int_eq(test_pin_dmabuf(&pins, 100, 50), WB_ERR_EXISTS);
    ck_assert_int_eq(test_unpin(&pins, 100, 49), WB_ERR_INVALID);
    ck_assert_int_eq(test_unpin(&pins, 101, 49), WB_ERR_INVALID);
    ck_assert_int_eq(test_unpin(&pins, 100, 50), WB_OK);
    use(100, 50);
    ck_assert_int_eq(test_unpin(&pins, 100, 50), WB_OK);
    ck_assert_int_eq(test_unpin(&pins, 100, 50), WB_ERR_INVALID);
    ck_assert_uint_eq(pins.pinner.regs, 1);
    test_pins_close(&pins);
}
END_TEST

/* Each range stands for itself: none is joined with its neighbours, and the end of one leaves the
 * others. */
START_TEST(test_overlapping_and_adjacent_ranges)
{
    test_pins_open(&pins, 1000, 0);
    ck_assert_int_eq(test_pin(&pins, 100, 50, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 150, 50, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 120, 50, 0), WB_OK);
    assert_not_found(110, 50);
    use(140, 20);
    ck_assert_int_eq(test_unpin(&pins, 120, 50), WB_OK);
    assert_not_found(140, 20);
    use(100, 50);
    use(150, 50);
    ck_assert_uint_eq(test_pin_stats(&pins).pinned_bytes, 100);
    test_pins_close(&pins);
}
END_TEST

/* What lies in a range that is registered needs no registration, while that lasts. */
START_TEST(test_nested_ranges)
{
    test_pins_open(&pins, 1000, 0);
    ck_assert_int_eq(test_pin(&pins, 100, 100, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 120, 10, 0), WB_OK);
    ck_assert_int_eq(test_pin(&pins, 110, 50, WB_MR_ON_DEMAND), WB_OK); /* in another way */
    use(120, 10);
    ck_assert_uint_eq(pins.pinner.regs, 2);
    ck_assert_int_eq(test_unpin(&pins, 110, 50), WB_OK);
    ck_assert_int_eq(test_unpin(&pins, 100, 100), WB_OK);
    ck_assert_uint_eq(pins.pinner.deregs, 2);
    use(125, 5); /* now it needs its own */
    use(125, 5);
    assert_not_found(119, 5);
    ck_assert_uint_eq(pins.pinner.regs, 3);
    ck_assert_int_eq(test_unpin(&pins, 120, 10), WB_OK);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_the_least_recently_used_makes_room)
{
    test_pins_open(&pins, 100, 0);
    for (uintptr_t i = 1; i <= 4; i++) {
        ck_assert_int_eq(test_pin(&pins, i * 1000, 30, 0), WB_OK); /* the fourth drops the first */
    }
    ck_assert_uint_eq(test_pin_stats(&pins).evictions, 1);
    use(2000, 30);
    use(1000, 30); /* drops the third: it was not used, and is older than the fourth */
    ck_assert_uint_eq(pins.pinner.regs, 5);
    use(2000, 30);
    use(4000, 30);
    ck_assert_uint_eq(pins.pinner.regs, 5);
    use(3000, 30); /* drops the first */
    use(2000, 30);
    use(4000, 30);
    ck_assert_uint_eq(pins.pinner.regs, 6);
    ck_assert_uint_le(pins.pinner.peak_bytes, 100);
    ck_assert_uint_eq(test_pin_stats(&pins).ranges, 4);
    ck_assert_uint_eq(test_pin_stats(&pins).pinned_bytes, 120);
    ck_assert_uint_eq(test_pin_stats(&pins).registered_bytes, 90);
    for (uintptr_t i = 1; i <= 4; i++) {
        ck_assert_int_eq(test_unpin(&pins, i * 1000, 30), WB_OK);
    }
    ck_assert_uint_eq(test_pin_stats(&pins).registered_bytes, 0);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_what_is_in_use_stays)
{
    test_pins_open(&pins, 100, 0);
    ck_assert_int_eq(test_pin(&pins, 1000, 101, 0), WB_ERR_BUDGET);
    ck_assert_int_eq(test_pin(&pins, 1000, 60, 0), WB_OK);
    struct wbi_pin *held = test_acquire(&pins, 1000, 60);
    ck_assert_int_eq(test_pin(&pins, 2000, 60, 0), WB_OK); /* left to its first use */
    assert_not_found(2000, 60);                            /* which finds no room */
    ck_assert(!wbi_pin_cache_shed(&pins.cache));
    test_assert_registered(held);
    ck_assert_uint_eq(pins.pinner.regs, 1);
    wbi_pin_release(held);
    use(2000, 60);
    ck_assert_uint_eq(pins.pinner.deregs, 1);
    ck_assert(wbi_pin_cache_shed(&pins.cache));
    ck_assert(!wbi_pin_cache_shed(&pins.cache));
    use(1000, 60);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_unpin_while_in_use)
{
    struct wbi_pin *rest;
    test_pins_open(&pins, 100, 0);
    ck_assert_int_eq(test_pin(&pins, 1000, 60, 0), WB_OK);
    struct wbi_pin *held = test_acquire(&pins, 1010, 10);
    struct wbi_pin *again = test_acquire(&pins, 1020, 10);
    ck_assert_ptr_eq(held, again);
    ck_assert_int_eq(test_unpin(&pins, 1000, 60), WB_ERR_DEADLOCK);
    use(1000, 60);                            /* it stands */
    const void *address = (const void *)1000; // NOLINT(performance-no-int-to-ptr)
    ck_assert_int_eq(wbi_pin_cache_unpin(&pins.cache, address, 60, true, &rest), WB_OK);
    ck_assert_ptr_eq(rest, held);
    assert_not_found(1000, 60);
    ck_assert_int_eq(test_unpin(&pins, 1000, 60), WB_ERR_INVALID);
    ck_assert_int_eq(test_pin(&pins, 1000, 40, 0), WB_OK); /* a new life beside the old one */
    ck_assert(!wbi_pin_is_idle(rest));
    wbi_pin_release(held);
    test_assert_registered(held);
    ck_assert(!wbi_pin_is_idle(rest));
    wbi_pin_release(again);
    ck_assert(wbi_pin_is_idle(rest));
    ck_assert_uint_eq(pins.pinner.deregs, 0);
    wbi_pin_cache_forget(&pins.cache, rest);
    ck_assert_uint_eq(pins.pinner.deregs, 1);
    use(1000, 40);
    test_pins_close(&pins);
}
END_TEST

/* Idle registrations give way where the fabric finds no room; other failures are the caller's. */
START_TEST(test_registrations_that_fail)
{
    test_pins_open(&pins, 1000, 0);
    pins.pinner.most = 2;
    for (uintptr_t i = 1; i <= 5; i++) {
        ck_assert_int_eq(test_pin(&pins, i * 1000, 30, 0), WB_OK);
    }
    ck_assert_uint_eq(test_pin_stats(&pins).evictions, 3);
    struct wbi_pin *a = test_acquire(&pins, 1000, 30), *b = test_acquire(&pins, 2000, 30);
    ck_assert_int_eq(test_pin(&pins, 6000, 30, 0), WB_ERR_NO_MEMORY);
    assert_not_found(3000, 30);
    wbi_pin_release(a);
    wbi_pin_release(b);
    pins.pinner.failures = 2;
    pins.pinner.failure = WB_ERR_INVALID;
    ck_assert_int_eq(test_pin(&pins, 6000, 30, 0), WB_ERR_INVALID);
    assert_not_found(3000, 30);
    ck_assert_int_eq(test_unpin(&pins, 6000, 30), WB_ERR_INVALID);
    use(3000, 30);
    ck_assert_uint_eq(test_pin_stats(&pins).registered_bytes, pins.pinner.bytes);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_a_bound_on_registrations)
{
    test_pins_open(&pins, 1000, 2);
    for (uintptr_t i = 1; i <= 5; i++) {
        ck_assert_int_eq(test_pin(&pins, i * 1000, 30, WB_MR_ON_DEMAND), WB_OK);
        use(i * 1000, 30);
    }
    ck_assert_uint_eq(pins.pinner.regs - pins.pinner.deregs, 2);
    test_pins_close(&pins);
}
END_TEST

/* Memory of a device cannot be registered on the fly: it keeps what it has. */
START_TEST(test_memory_of_devices_is_not_dropped)
{
    test_pins_open(&pins, 100, 0);
    ck_assert_int_eq(test_pin_dmabuf(&pins, 1000, 60), WB_OK);
    ck_assert_int_eq(test_pin_dmabuf(&pins, 1000, 60), WB_ERR_EXISTS);
    ck_assert_int_eq(test_pin_dmabuf(&pins, 2000, 60), WB_AGAIN);
    ck_assert_int_eq(test_pin(&pins, 3000, 60, 0), WB_OK);
    assert_not_found(3000, 60);
    ck_assert(!wbi_pin_cache_shed(&pins.cache));
    ck_assert_int_eq(test_pin(&pins, 4000, 40, 0), WB_OK);
    use(1000, 60);
    ck_assert_int_eq(test_unpin(&pins, 1000, 60), WB_OK);
    ck_assert_int_eq(test_pin_dmabuf(&pins, 2000, 100), WB_OK); /* the others make room */
    ck_assert_uint_eq(test_pin_stats(&pins).registered_bytes, 100);
    test_pins_close(&pins);
}
END_TEST

START_TEST(test_all_memory_on_demand)
{
    test_pins_open(&pins, 100, 0);
    ck_assert_int_eq(test_pin(&pins, 0, SIZE_MAX, WB_MR_ON_DEMAND), WB_OK);
    use(1, 1);
    use(12345, (size_t)1 << 40);
    ck_assert_int_eq(test_pin(&pins, 5000, 50, 0), WB_OK); /* goes before it */
    struct wbi_pin *pin = test_acquire(&pins, 5000, 50);
    ck_assert_uint_eq(pin->source.bytes, 50);
    wbi_pin_release(pin);
    ck_assert_uint_eq(test_pin_stats(&pins).pinned_bytes, 50);
    ck_assert_int_eq(test_unpin(&pins, 0, SIZE_MAX), WB_OK);
    assert_not_found(1, 1);
    test_pins_close(&pins);
}
END_TEST

/* Where no fabric registers, a pin is a record. */
START_TEST(test_fabrics_without_registrations)
{
    struct wbi_pin_cache cache;
    struct wbi_pin *rest;
    bool refused;
    struct wbi_pin_source source = {.address = &cache, .bytes = sizeof cache, .fd = -1};
    wbi_pin_cache_open(&cache, &(struct wbi_pin_cache_config){.pinner_count = 1});
    ck_assert_int_eq(wbi_pin_cache_pin(&cache, &source, &refused), WB_OK);
    ck_assert_int_eq(wbi_pin_cache_unpin(&cache, &cache, sizeof cache, false, &rest), WB_OK);
    ck_assert_int_eq(wbi_pin_cache_unpin(&cache, &cache, sizeof cache, false, &rest),
                     WB_ERR_INVALID);
    wbi_pin_cache_close(&cache);
    wbi_pin_cache_close(&cache);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_one_registration_for_many_uses,
                                  test_pins_are_counted,
                                  test_overlapping_and_adjacent_ranges,
                                  test_nested_ranges,
                                  test_the_least_recently_used_makes_room,
                                  test_what_is_in_use_stays,
                                  test_unpin_while_in_use,
                                  test_registrations_that_fail,
                                  test_a_bound_on_registrations,
                                  test_memory_of_devices_is_not_dropped,
                                  test_all_memory_on_demand,
                                  test_fabrics_without_registrations};
    return test_run(test_suite("mr_cache: pins", tests, sizeof tests / sizeof tests[0], 60));
}
