/* Where a device has no room for one more registration, pins that nobody uses give way to a slab.
 */
#include <stdlib.h>

#include "tests/mr_cache/pinning.h"

enum { REGISTRATIONS = 4 /* of the device: for pins and slabs together */ };

struct device {
    struct test_pins pins;
    unsigned slabs;
};

static int reg(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    struct device *device = context;
    unsigned pinned = device->pins.pinner.regs - device->pins.pinner.deregs;

    (void)region;
    if (pinned + device->slabs >= REGISTRATIONS)
        return WB_ERR_NO_MEMORY;
    device->slabs++;
    *mr = context;
    return WB_OK;
}

static void dereg(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument)
{
    struct device *device = context;

    (void)mr;
    device->slabs--;
    confirmed(argument);
}

static bool shed(void *context)
{
    struct device *device = context;

    return wbi_pin_cache_shed(&device->pins.cache);
}

START_TEST(test_idle_pins_give_way_to_slabs_and_used_ones_do_not)
{
    struct device device = {.slabs = 0};
    struct wbi_registrar registrar = {.context = &device, .pins = true, .reg = reg, .dereg = dereg};
    struct wbi_rma_config config = {.budget_bytes = 16 * MIB,
                                    .slab_bytes = 2 * MIB,
                                    .registrars = &registrar,
                                    .registrar_count = 1,
                                    .numa_node = -1,
                                    .shed = shed,
                                    .context = &device};
    struct wb_rma_allocator *pool = NULL;
    struct wb_rma_block *held[3], *none = NULL;

    test_pins_open(&device.pins, MIB, 0);
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    for (uintptr_t i = 1; i <= 3; i++)
        ck_assert_int_eq(test_pin(&device.pins, i << 16, 4096, 0), WB_OK);
    struct wbi_pin *used = test_acquire(&device.pins, 2 << 16, 4096);
    struct wbi_pin *recent = test_acquire(&device.pins, 1 << 16, 4096);
    wbi_pin_release(recent);
    held[0] = test_alloc(pool, 2 * MIB);
    held[1] = test_alloc(pool, 2 * MIB);
    ck_assert_uint_eq(test_pin_stats(&device.pins).evictions, 1);
    ck_assert_uint_eq(atomic_load(&recent->users), 0); /* the third went, which was never used */
    held[2] = test_alloc(pool, 2 * MIB);
    ck_assert_uint_eq(test_pin_stats(&device.pins).evictions, 2);
    ck_assert_int_eq(wbi_rma_alloc(pool, 2 * MIB, true, &none), WB_ERR_NO_MEMORY);
    test_assert_registered(used);
    ck_assert_uint_eq(device.slabs, 3);
    test_assert_valid(pool);
    wbi_pin_release(used);
    none = test_alloc(pool, 2 * MIB);
    wbi_rma_block_unref(none);
    for (unsigned i = 0; i < 3; i++)
        wbi_rma_block_unref(held[i]);
    wbi_rma_allocator_destroy(pool);
    for (uintptr_t i = 1; i <= 3; i++)
        ck_assert_int_eq(test_unpin(&device.pins, i << 16, 4096), WB_OK);
    test_pins_close(&device.pins);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_idle_pins_give_way_to_slabs_and_used_ones_do_not};

    return test_run(test_suite("rma shed", tests, sizeof(tests) / sizeof(*tests), 60));
}
