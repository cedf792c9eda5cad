/* Several pools under one budget: the sum is bounded, what one does not use another gets, and a
 * pool that ends keeps what is held. */
#include <string.h>
#include <unistd.h>

#include "mr_cache/budget.h"
#include "tests/mr_cache/rma.h"

struct shared {
    struct wbi_budget *budget;
    struct test_registrar registrar;
    struct wbi_registrar table;
};

static void open_shared(struct shared *shared, uint64_t limit_bytes)
{
    test_registrar_init(&shared->registrar);
    shared->table = test_registrar_table(&shared->registrar);
    ck_assert_int_eq(wbi_budget_create(limit_bytes, &shared->budget), WB_OK);
}

static void close_shared(struct shared *shared)
{
    wbi_budget_close(shared->budget);
    wbi_budget_drop(shared->budget);
    test_registrar_finish(&shared->registrar);
}

static int make_pool(struct shared *shared, uint64_t budget_bytes, struct wb_rma_allocator **out)
{
    struct wbi_rma_config config = {.budget_bytes = budget_bytes,
                                    .slab_bytes = TEST_SLAB_BYTES,
                                    .registrars = &shared->table,
                                    .registrar_count = 1,
                                    .numa_node = -1,
                                    .budget = shared->budget};
    return wbi_rma_allocator_create(&config, out);
}

static struct wb_rma_allocator *pool_of(struct shared *shared, uint64_t budget_bytes)
{
    struct wb_rma_allocator *pool = NULL;

    ck_assert_int_eq(make_pool(shared, budget_bytes, &pool), WB_OK);
    return pool;
}

/* Waits until the pool's thread has let all that is idle go. */
static void await_registered(struct shared *shared, uint64_t bytes)
{
    for (unsigned tries = 0; tries < 5000; tries++) {
        pthread_mutex_lock(&shared->registrar.mutex);
        uint64_t now = shared->registrar.bytes;
        pthread_mutex_unlock(&shared->registrar.mutex);
        if (now == bytes)
            return;
        usleep(1000);
    }
    ck_abort_msg("the slabs stay registered");
}

START_TEST(test_the_sum_is_bounded)
{
    struct shared shared;
    struct wb_rma_block *blocks[8];
    struct wb_rma_block *none = NULL;

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *one = pool_of(&shared, 16 * MIB), *two = pool_of(&shared, 16 * MIB);
    for (unsigned i = 0; i < 8; i++)
        blocks[i] = test_alloc(i % 2 ? one : two, 2 * MIB);
    ck_assert_int_eq(wbi_rma_alloc(one, 2 * MIB, true, &none), WB_AGAIN);
    ck_assert_int_eq(wbi_rma_alloc(two, 64, true, &none), WB_AGAIN);
    ck_assert_uint_eq(test_stats(one).engine_slab_bytes, 16 * MIB);
    ck_assert_uint_eq(test_stats(two).slab_bytes, 8 * MIB);
    for (unsigned i = 0; i < 8; i++)
        wbi_rma_block_unref(blocks[i]);
    test_assert_valid(one);
    test_assert_valid(two);
    ck_assert_uint_le(shared.registrar.peak_bytes, 16 * MIB);
    close_shared(&shared);
    wbi_rma_allocator_destroy(one);
    wbi_rma_allocator_destroy(two);
}
END_TEST

START_TEST(test_a_pool_has_its_own_bound_too)
{
    struct shared shared;
    struct wb_rma_block *block, *none = NULL;

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *small = pool_of(&shared, 4 * MIB);
    block = test_alloc(small, 4 * MIB);
    ck_assert_int_eq(wbi_rma_alloc(small, 2 * MIB, true, &none), WB_AGAIN);
    ck_assert_int_eq(wbi_rma_alloc(small, 6 * MIB, true, &none), WB_ERR_BUDGET);
    wbi_rma_block_unref(block);
    wbi_rma_allocator_destroy(small);
    close_shared(&shared);
}
END_TEST

START_TEST(test_idle_slabs_move_to_another_pool)
{
    struct shared shared;
    struct wb_rma_block *blocks[8], *kept;
    struct wb_rma_allocator *none = NULL;

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *one = pool_of(&shared, 16 * MIB), *two = pool_of(&shared, 16 * MIB);
    for (unsigned i = 0; i < 6; i++)
        blocks[i] = test_alloc(one, 2 * MIB);
    kept = test_alloc(one, 64);
    blocks[7] = test_alloc(two, 64);
    ck_assert_int_eq(make_pool(&shared, 2 * MIB, &none), WB_AGAIN);
    for (unsigned i = 0; i < 6; i++)
        wbi_rma_block_unref(blocks[i]);
    /* A run that is only kept for its class holds nobody up either. */
    wbi_rma_block_unref(test_alloc(one, 1024));
    for (unsigned i = 0; i < 6; i++)
        blocks[i] = test_alloc(two, 2 * MIB);
    ck_assert_uint_eq(test_stats(one).slab_bytes, 2 * MIB);
    test_fill(kept, 3);
    test_check_fill(kept, 3);
    for (unsigned i = 0; i < 6; i++)
        wbi_rma_block_unref(blocks[i]);
    wbi_rma_block_unref(blocks[7]);
    wbi_rma_block_unref(kept);
    ck_assert_uint_le(shared.registrar.peak_bytes, 16 * MIB);
    wbi_rma_allocator_destroy(one);
    wbi_rma_allocator_destroy(two);
    close_shared(&shared);
}
END_TEST

START_TEST(test_what_peers_hold_is_waited_for)
{
    struct shared shared;
    struct wb_rma_block *block = NULL;

    open_shared(&shared, 4 * MIB);
    struct wb_rma_allocator *one = pool_of(&shared, 4 * MIB), *two = pool_of(&shared, 4 * MIB);
    test_registrar_defer(&shared.registrar, true);
    struct wb_rma_block *held = test_alloc(two, 2 * MIB);
    ck_assert_int_eq(wbi_rma_alloc(two, 2 * MIB, false, &block), WB_AGAIN);
    for (unsigned tries = 0; tries < 5000 && test_registrar_confirm(&shared.registrar) == 0;
         tries++)
        usleep(1000);
    int rc = WB_AGAIN;
    for (unsigned tries = 0; tries < 5000 && rc == WB_AGAIN; tries++) {
        usleep(1000);
        rc = wbi_rma_alloc(two, 2 * MIB, false, &block);
    }
    ck_assert_int_eq(rc, WB_OK);
    ck_assert_uint_eq(test_stats(one).slab_bytes, 0);
    test_registrar_defer(&shared.registrar, false);
    wbi_rma_block_unref(block);
    wbi_rma_block_unref(held);
    ck_assert_uint_le(shared.registrar.peak_bytes, 4 * MIB);
    wbi_rma_allocator_destroy(one);
    wbi_rma_allocator_destroy(two);
    close_shared(&shared);
}
END_TEST

START_TEST(test_a_destroyed_pool_keeps_what_is_held_readable)
{
    struct shared shared;
    struct wb_rma_block *none = NULL;

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *pool = pool_of(&shared, 16 * MIB);
    struct wb_rma_block *small = test_alloc(pool, 64), *large = test_alloc(pool, 6 * MIB);
    struct wb_rma_block *gone = test_alloc(pool, 2 * MIB);
    wbi_rma_block_unref(gone);
    test_fill(large, 9);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(shared.registrar.bytes, 8 * MIB);
    ck_assert_ptr_nonnull((void *)wbi_rma_block_mr(small, 0));
    ck_assert_int_eq(wbi_rma_alloc(wbi_rma_block_allocator(small), 64, true, &none), WB_ERR_CLOSED);
    test_check_fill(large, 9);
    wbi_rma_block_unref(large);
    await_registered(&shared, 2 * MIB);
    wbi_rma_block_unref(small);
    await_registered(&shared, 0);
    close_shared(&shared);
}
END_TEST

START_TEST(test_a_closed_budget_closes_its_pools)
{
    struct shared shared;
    struct wb_rma_block *none = NULL;
    unsigned mapped = test_mapped_slabs();

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *pool = pool_of(&shared, 16 * MIB), *left = pool_of(&shared, 2 * MIB);
    struct wb_rma_block *held = test_alloc(pool, 64), *other = test_alloc(left, 64);
    wbi_rma_allocator_destroy(left); /* waits for `other` */
    close_shared(&shared);
    ck_assert_ptr_null((void *)wbi_rma_block_mr(held, 0));
    ck_assert_int_eq(wbi_rma_alloc(pool, 64, true, &none), WB_ERR_CLOSED);
    ck_assert_uint_eq(wb_rma_allocator_trim(pool), 0);
    ck_assert_uint_eq(test_stats(pool).blocks, 1);
    test_fill(held, 1);
    wbi_rma_block_unref(held);
    wbi_rma_block_unref(other);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(test_mapped_slabs(), mapped);
}
END_TEST

START_TEST(test_trim_gives_back_what_is_idle)
{
    struct shared shared;

    open_shared(&shared, 16 * MIB);
    struct wb_rma_allocator *pool = pool_of(&shared, 16 * MIB);
    struct wb_rma_block *kept = test_alloc(pool, 64);
    wbi_rma_block_unref(test_alloc(pool, 2 * MIB));
    wbi_rma_block_unref(test_alloc(pool, 5 * MIB));
    ck_assert_uint_eq(test_stats(pool).idle_bytes, 8 * MIB);
    ck_assert_uint_eq(wb_rma_allocator_trim(pool), 8 * MIB);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 2 * MIB);
    test_assert_valid(pool);
    wbi_rma_block_unref(kept);
    test_registrar_defer(&shared.registrar, true);
    ck_assert_uint_eq(wb_rma_allocator_trim(pool), 2 * MIB);
    ck_assert_uint_eq(test_stats(pool).leaving_bytes, 2 * MIB); /* a peer still reads */
    test_registrar_defer(&shared.registrar, false);
    ck_assert_uint_eq(test_registrar_confirm(&shared.registrar), 1);
    wbi_rma_block_unref(test_alloc(pool, 64)); /* and it grows again */
    wbi_rma_allocator_destroy(pool);
    close_shared(&shared);
}
END_TEST

/* ---- many threads on too little ---- */

enum { THREADS = 32, ROUNDS = 200 };

struct worker {
    struct shared *shared;
    struct wb_rma_allocator *pools[3];
    uint64_t seed;
    unsigned served, refused;
};

static void *press(void *argument)
{
    struct worker *worker = argument;
    struct wb_rma_block *held[4] = {0};

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct wb_rma_block **place = &held[test_random(&worker->seed) % 4];
        struct wb_rma_allocator *pool = worker->pools[test_random(&worker->seed) % 3];
        if (*place) {
            test_check_fill(*place, 5);
            wbi_rma_block_unref(*place);
            *place = NULL;
        }
        int rc = wbi_rma_alloc(pool, test_random_bytes(&worker->seed, 3 * MIB),
                               test_random(&worker->seed) % 2, place);
        worker->served += rc == WB_OK;
        worker->refused += rc == WB_AGAIN;
        ck_assert(rc == WB_OK || rc == WB_AGAIN);
        if (rc == WB_OK)
            test_fill(*place, 5);
        if (test_random(&worker->seed) % 64 == 0)
            (void)wb_rma_allocator_trim(pool);
    }
    for (unsigned i = 0; i < 4; i++)
        if (held[i])
            wbi_rma_block_unref(held[i]);
    return NULL;
}

START_TEST(test_threads_never_go_over_the_budget)
{
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct shared shared;
    unsigned served = 0, refused = 0;

    open_shared(&shared, 24 * MIB);
    struct wb_rma_allocator *pools[3] = {pool_of(&shared, 24 * MIB), pool_of(&shared, 16 * MIB),
                                         pool_of(&shared, 8 * MIB)};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = &shared, .seed = 100 + i};
        memcpy(workers[i].pools, pools, sizeof pools);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, press, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        served += workers[i].served;
        refused += workers[i].refused;
    }
    ck_assert_uint_eq(served + refused, THREADS * ROUNDS);
    ck_assert_uint_gt(served, 0);
    ck_assert_uint_le(shared.registrar.peak_bytes, 24 * MIB);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_valid(pools[i]);
        ck_assert_uint_eq(test_stats(pools[i]).blocks, 0);
        wbi_rma_allocator_destroy(pools[i]);
    }
    close_shared(&shared);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_the_sum_is_bounded,
                                  test_a_pool_has_its_own_bound_too,
                                  test_idle_slabs_move_to_another_pool,
                                  test_what_peers_hold_is_waited_for,
                                  test_a_destroyed_pool_keeps_what_is_held_readable,
                                  test_a_closed_budget_closes_its_pools,
                                  test_trim_gives_back_what_is_idle,
                                  test_threads_never_go_over_the_budget};

    return test_run(test_suite("rma shared", tests, sizeof(tests) / sizeof(*tests), 100));
}
