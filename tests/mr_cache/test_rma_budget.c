/* The budget: what is refused, what is let go to make room, and that failure costs nothing. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tests/mr_cache/rma.h"

/* As alloc, once the pool's own thread, which an earlier WB_AGAIN has asked to grow, is done. */
static int alloc_in_the_end(struct wb_rma_allocator *pool, size_t bytes,
                            struct wb_rma_block **block)
{
    int status;
    while ((status = wbi_rma_alloc(pool, bytes, true, block)) == WB_AGAIN) {
        sched_yield();
    }
    return status;
}

static int try_alloc(struct wb_rma_allocator *pool, size_t bytes)
{
    struct wb_rma_block *block = NULL;
    int rc = wbi_rma_alloc(pool, bytes, true, &block);

    if (rc == WB_OK)
        wbi_rma_block_unref(block);
    else
        ck_assert_ptr_null(block);
    return rc;
}

static int try_create(uint64_t budget, uint64_t slab, const struct wbi_registrar *registrars,
                      unsigned count)
{
    struct wbi_rma_config config = {.budget_bytes = budget,
                                    .slab_bytes = slab,
                                    .registrars = registrars,
                                    .registrar_count = count,
                                    .numa_node = -1};
    struct wb_rma_allocator *pool = NULL;
    int rc = wbi_rma_allocator_create(&config, &pool);

    ck_assert_int_eq(pool != NULL, rc == WB_OK);
    wbi_rma_allocator_destroy(pool);
    return rc;
}

START_TEST(test_bad_configurations_are_refused)
{
    struct wbi_registrar empty[WBI_RMA_MAX_REGISTRARS + 1];

    memset(empty, 0, sizeof(empty));
    ck_assert_int_eq(try_create(8 * MIB, 0, NULL, 0), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8 * MIB, MIB, NULL, 0), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8 * MIB, 3 * MIB, NULL, 0), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8192 * MIB, 2048 * MIB, NULL, 0), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(UINT64_MAX, 2 * MIB, NULL, 0), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8 * MIB, 2 * MIB, NULL, 1), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8 * MIB, 2 * MIB, empty, 1), WB_ERR_INVALID);
    ck_assert_int_eq(try_create(8 * MIB, 2 * MIB, empty, WBI_RMA_MAX_REGISTRARS + 1),
                     WB_ERR_INVALID);
    ck_assert_int_eq(try_create(2 * MIB - 1, 2 * MIB, NULL, 0), WB_ERR_BUDGET);
    ck_assert_int_eq(try_create(2 * MIB, 2 * MIB, NULL, 0), WB_OK);
}
END_TEST

START_TEST(test_what_can_never_fit_is_an_error)
{
    struct wb_rma_allocator *pool = test_pool(9 * MIB, NULL);

    ck_assert_int_eq(try_alloc(pool, 8 * MIB), WB_OK);
    ck_assert_int_eq(try_alloc(pool, 8 * MIB + 1), WB_ERR_BUDGET); /* in units of 2 MiB */
    ck_assert_int_eq(try_alloc(pool, 9 * MIB + 1), WB_ERR_BUDGET);
    ck_assert_int_eq(try_alloc(pool, SIZE_MAX), WB_ERR_BUDGET);
    ck_assert_int_eq(try_alloc(pool, 2 * MIB), WB_OK);
    ck_assert_uint_eq(test_stats(pool).waits, 0);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_a_full_pool_says_again)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(4 * MIB, &registrar);
    struct wb_rma_block *first = test_alloc(pool, 2 * MIB);
    struct wb_rma_block *second = test_alloc(pool, 2 * MIB);

    ck_assert_int_eq(try_alloc(pool, 64), WB_AGAIN);
    ck_assert_int_eq(try_alloc(pool, 4 * MIB), WB_AGAIN);
    ck_assert_uint_eq(test_stats(pool).waits, 2);
    wbi_rma_block_unref(first);
    ck_assert_int_eq(try_alloc(pool, 64), WB_OK);
    ck_assert_int_eq(try_alloc(pool, 4 * MIB), WB_AGAIN);
    ck_assert_uint_eq(registrar.deregs, 0); /* letting one slab go would not have helped */
    wbi_rma_block_unref(second);
    ck_assert_int_eq(try_alloc(pool, 4 * MIB), WB_OK);
    ck_assert_uint_eq(test_stats(pool).waits, 3);
    ck_assert_uint_eq(registrar.deregs, 2);
    ck_assert_uint_eq(registrar.peak_bytes, 4 * MIB);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar);
}
END_TEST

START_TEST(test_empty_slabs_stay_until_needed)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(12 * MIB, &registrar);
    struct wb_rma_block *blocks[4];

    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++)
            blocks[i] = test_alloc(pool, 2 * MIB);
        for (unsigned i = 0; i < 4; i++)
            wbi_rma_block_unref(blocks[i]);
    }
    ck_assert_uint_eq(registrar.regs, 4);
    ck_assert_uint_eq(registrar.deregs, 0);

    struct wb_rma_block *large = test_alloc(pool, 6 * MIB); /* 4 MiB are left: one slab goes */
    ck_assert_uint_eq(registrar.deregs, 1);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 12 * MIB);
    ck_assert_uint_eq(test_stats(pool).slabs, 4);
    test_assert_valid(pool);
    wbi_rma_block_unref(large);
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar);
}
END_TEST

START_TEST(test_unconfirmed_slabs_count)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(4 * MIB, &registrar);
    struct wb_rma_block *block = NULL;

    test_registrar_defer(&registrar, true);
    ck_assert_int_eq(wbi_rma_alloc(pool, 4 * MIB, true, &block), WB_AGAIN);
    ck_assert_uint_eq(registrar.pending_count, 1);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 2 * MIB);
    ck_assert_uint_eq(test_stats(pool).slabs, 1);
    test_assert_valid(pool);
    ck_assert_int_eq(wbi_rma_alloc(pool, 4 * MIB, true, &block), WB_AGAIN);
    ck_assert_uint_eq(registrar.deregs, 1);

    test_registrar_defer(&registrar, false);
    ck_assert_uint_eq(test_registrar_confirm(&registrar), 1);
    ck_assert_int_eq(alloc_in_the_end(pool, 4 * MIB, &block), WB_OK);
    ck_assert_uint_eq(registrar.peak_bytes, 4 * MIB);
    test_assert_valid(pool);
    wbi_rma_block_unref(block);
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar);
}
END_TEST

/* Three registrars on one clock; returns the config for them, whose table is static. */
static struct wbi_rma_config three_registrars(struct test_registrar *registrars, unsigned *clock)
{
    static struct wbi_registrar table[3];

    for (unsigned i = 0; i < 3; i++) {
        test_registrar_init(&registrars[i]);
        registrars[i].clock = clock;
        registrars[i].failure = WB_ERR_SYSTEM;
        table[i] = test_registrar_table(&registrars[i]);
    }
    return (struct wbi_rma_config){.budget_bytes = 6 * MIB,
                                   .slab_bytes = 2 * MIB,
                                   .registrars = table,
                                   .registrar_count = 3,
                                   .numa_node = -1};
}

START_TEST(test_registration_failure_is_undone_in_reverse)
{
    struct test_registrar registrars[3];
    unsigned clock = 0;
    struct wbi_rma_config config = three_registrars(registrars, &clock);
    struct wb_rma_allocator *pool = NULL;

    registrars[2].failures = 1;
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_ERR_SYSTEM);
    ck_assert_ptr_null(pool);
    ck_assert_uint_eq(registrars[0].bytes + registrars[1].bytes, 0);

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    struct wb_rma_block *first = test_alloc(pool, 2 * MIB), *second = NULL;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_ptr_nonnull((void *)wbi_rma_block_mr(first, i));
    ck_assert_ptr_ne((void *)wbi_rma_block_mr(first, 0), (void *)wbi_rma_block_mr(first, 1));

    registrars[2].failures = 1;
    ck_assert_int_eq(wbi_rma_alloc(pool, 2 * MIB, true, &second), WB_ERR_SYSTEM);
    ck_assert_uint_lt(registrars[2].serial, registrars[1].serial); /* failed; then undone: 1, 0 */
    ck_assert_uint_lt(registrars[1].serial, registrars[0].serial);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 2 * MIB);
    ck_assert_uint_eq(test_stats(pool).registrations, 1);
    test_assert_valid(pool);

    ck_assert_int_eq(wbi_rma_alloc(pool, 2 * MIB, true, &second), WB_OK);
    ck_assert_uint_lt(registrars[0].serial, registrars[1].serial);
    ck_assert_uint_lt(registrars[1].serial, registrars[2].serial);
    wbi_rma_block_unref(first);
    wbi_rma_block_unref(second);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_lt(registrars[2].serial, registrars[1].serial);
    ck_assert_uint_lt(registrars[1].serial, registrars[0].serial);
    for (unsigned i = 0; i < 3; i++)
        test_registrar_finish(&registrars[i]);
}
END_TEST

START_TEST(test_half_registered_slab_counts_until_confirmed)
{
    struct test_registrar registrars[3];
    unsigned clock = 0;
    struct wbi_rma_config config = three_registrars(registrars, &clock);
    struct wb_rma_allocator *pool;
    struct wb_rma_block *block = NULL;

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    test_registrar_defer(&registrars[0], true);
    registrars[1].failures = 1;
    ck_assert_int_eq(wbi_rma_alloc(pool, 4 * MIB, true, &block), WB_ERR_SYSTEM);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 6 * MIB);
    test_assert_valid(pool);
    ck_assert_int_eq(wbi_rma_alloc(pool, 4 * MIB, true, &block), WB_AGAIN);

    test_registrar_defer(&registrars[0], false);
    ck_assert_uint_eq(test_registrar_confirm(&registrars[0]), 1);
    ck_assert_int_eq(alloc_in_the_end(pool, 4 * MIB, &block), WB_OK);
    ck_assert_uint_le(registrars[0].peak_bytes, 6 * MIB);
    wbi_rma_block_unref(block);
    wbi_rma_allocator_destroy(pool);
    for (unsigned i = 0; i < 3; i++)
        test_registrar_finish(&registrars[i]);
}
END_TEST

START_TEST(test_more_than_the_machine_has_is_an_error)
{
    struct sysinfo machine;
    struct wb_rma_block *block = NULL;

    ck_assert_int_eq(sysinfo(&machine), 0);
    uint64_t total = (machine.totalram + machine.totalswap) * machine.mem_unit;
    struct wb_rma_allocator *pool = test_pool(4 * total, NULL);
    ck_assert_int_eq(wbi_rma_alloc(pool, 2 * total, true, &block), WB_ERR_NO_MEMORY);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 2 * MIB);
    test_assert_valid(pool);
    ck_assert_int_eq(try_alloc(pool, 3 * MIB), WB_OK);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_out_of_descriptors_is_an_error)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    struct rlimit former, none;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &former), 0);
    none = former;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(try_alloc(pool, 3 * MIB), WB_ERR_NO_MEMORY);
    ck_assert_int_eq(try_alloc(pool, 2 * MIB), WB_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &former), 0);
    ck_assert_int_eq(try_alloc(pool, 3 * MIB), WB_OK);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_bad_configurations_are_refused,
                                  test_what_can_never_fit_is_an_error,
                                  test_a_full_pool_says_again,
                                  test_empty_slabs_stay_until_needed,
                                  test_unconfirmed_slabs_count,
                                  test_registration_failure_is_undone_in_reverse,
                                  test_half_registered_slab_counts_until_confirmed,
                                  test_more_than_the_machine_has_is_an_error,
                                  test_out_of_descriptors_is_an_error};

    return test_run(test_suite("rma budget", tests, sizeof(tests) / sizeof(*tests), 60));
}
