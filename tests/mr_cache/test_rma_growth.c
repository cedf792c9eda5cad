/* Growth that is asked for by threads that may not grow, and the pool's worker. */
#include <sched.h>
#include <stdlib.h>

#include "mr_cache/pool.h"
#include "tests/mr_cache/rma.h"

/* A pool of which one slab is there and held, so that everything else needs growth. */
struct full_pool {
    struct test_registrar registrar;
    sem_t grown; /* posted by on_growth */
    struct wb_rma_allocator *pool;
    struct wb_rma_block *held;
};

static void on_growth(void *context)
{
    sem_post(context);
}

static void setup(struct full_pool *full, uint64_t budget_bytes)
{
    test_registrar_init(&full->registrar);
    sem_init(&full->grown, 0, 0);
    struct wbi_registrar table = test_registrar_table(&full->registrar);
    struct wbi_rma_config config = {.budget_bytes = budget_bytes,
                                    .slab_bytes = TEST_SLAB_BYTES,
                                    .registrars = &table,
                                    .registrar_count = 1,
                                    .numa_node = -1,
                                    .on_growth = on_growth,
                                    .context = &full->grown};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &full->pool), WB_OK);
    full->held = test_alloc(full->pool, TEST_SLAB_BYTES);
}

static void teardown(struct full_pool *full)
{
    test_assert_valid(full->pool);
    if (full->held)
        wbi_rma_block_unref(full->held);
    wbi_rma_allocator_destroy(full->pool);
    test_registrar_finish(&full->registrar);
    sem_destroy(&full->grown);
}

static int ask(struct full_pool *full, size_t bytes, struct wb_rma_block **out)
{
    *out = NULL;
    return wbi_rma_alloc(full->pool, bytes, false, out);
}

static int ask_later(struct full_pool *full, size_t bytes, struct wb_rma_block **out)
{
    return wbi_rma_alloc_in_turn(full->pool, bytes, WBI_RMA_LATER, out);
}

/* Asks again and again; anything but room and WB_AGAIN is a failure. */
static struct wb_rma_block *insist(struct full_pool *full, size_t bytes)
{
    struct wb_rma_block *block;
    int rc;

    while ((rc = ask(full, bytes, &block)) == WB_AGAIN)
        sched_yield();
    ck_assert_int_eq(rc, WB_OK);
    return block;
}

static void await_pending(struct test_registrar *registrar, unsigned count)
{
    for (;;) {
        pthread_mutex_lock(&registrar->mutex);
        bool there = registrar->pending_count >= count;
        pthread_mutex_unlock(&registrar->mutex);
        if (there)
            return;
        sched_yield();
    }
}

/* The pool's own thread may be at it when a trim returns. */
static void await_slabs(const struct full_pool *full, uint64_t count)
{
    while (test_stats(full->pool).slabs != count)
        sched_yield();
}

START_TEST(test_growth_is_on_another_thread)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 8 * MIB);
    ck_assert(pthread_equal(full.registrar.thread, pthread_self()));
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert(!pthread_equal(full.registrar.thread, pthread_self()));
    test_assert_valid(full.pool);
    ck_assert_int_eq(ask(&full, 64, &block), WB_OK);
    ck_assert_uint_eq(test_stats(full.pool).waits, 1);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

START_TEST(test_asking_often_grows_once)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 32 * MIB);
    full.registrar.holds = true;
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.registrar.arrived);
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(ask(&full, 64 + i % 1000, &block), WB_AGAIN);
    full.registrar.holds = false;
    sem_post(&full.registrar.let_in);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 64, &block), WB_OK);
    wbi_rma_allocator_destroy(full.pool); /* would finish what is under way */
    ck_assert_uint_eq(full.registrar.regs, 2);
    ck_assert_int_eq(sem_trywait(&full.grown), -1);
    wbi_rma_block_unref(block);
    wbi_rma_block_unref(full.held);
    test_registrar_finish(&full.registrar);
    sem_destroy(&full.grown);
}
END_TEST

/* Asks once for each size while the first growth is held up, so that all are asked for before any
 * is there. */
static void ask_while_held(struct full_pool *full, const size_t *sizes, unsigned count)
{
    struct wb_rma_block *block;

    full->registrar.holds = true;
    ck_assert_int_eq(ask(full, sizes[0], &block), WB_AGAIN);
    sem_wait(&full->registrar.arrived);
    for (unsigned i = 1; i < count; i++)
        ck_assert_int_eq(ask(full, sizes[i], &block), WB_AGAIN);
    full->registrar.holds = false;
    sem_post(&full->registrar.let_in);
}

START_TEST(test_one_slab_serves_several_sizes)
{
    struct full_pool full;
    const size_t sizes[] = {64, 100 << 10, 192 << 10, 300 << 10, 500 << 10};
    struct wb_rma_block *blocks[5];

    setup(&full, 64 * MIB);
    ask_while_held(&full, sizes, 5);
    for (unsigned i = 0; i < 5; i++)
        sem_wait(&full.grown);
    test_assert_valid(full.pool);
    for (unsigned i = 5; i-- > 0;)
        ck_assert_int_eq(ask(&full, sizes[i], &blocks[i]), WB_OK);
    ck_assert_uint_eq(full.registrar.regs, 2);
    for (unsigned i = 0; i < 5; i++)
        wbi_rma_block_unref(blocks[i]);
    teardown(&full);
}
END_TEST

START_TEST(test_large_and_small_are_served_together)
{
    struct full_pool full;
    const size_t sizes[] = {5 * MIB, 64, 3 * MIB, 2 * MIB, 9 * MIB, 4096};
    struct wb_rma_block *blocks[6];

    setup(&full, 64 * MIB);
    ask_while_held(&full, sizes, 6); /* 4096 shares the demand of 64 */
    for (unsigned i = 0; i < 5; i++)
        sem_wait(&full.grown);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_eq(ask(&full, sizes[i], &blocks[i]), WB_OK);
    test_assert_valid(full.pool);
    for (unsigned i = 0; i < 6; i++)
        wbi_rma_block_unref(blocks[i]);
    teardown(&full);
}
END_TEST

START_TEST(test_more_sizes_than_the_table_has)
{
    enum { COUNT = WBI_DEMANDS + 9 };
    struct full_pool full;
    struct wb_rma_block *blocks[COUNT];

    setup(&full, 1024 * MIB);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_int_eq(ask(&full, (4 + 2 * i) * MIB, &blocks[i]), WB_AGAIN);
    for (unsigned i = COUNT; i-- > 0;)
        blocks[i] = insist(&full, (4 + 2 * i) * MIB);
    test_assert_valid(full.pool);
    for (unsigned i = 0; i < COUNT; i++)
        wbi_rma_block_unref(blocks[i]);
    teardown(&full);
}
END_TEST

START_TEST(test_a_failed_growth_is_told_once)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 8 * MIB);
    full.registrar.failures = 1;
    full.registrar.failure = WB_ERR_SYSTEM;
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 64, &block), WB_ERR_SYSTEM);
    ck_assert_ptr_null(block);
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 64, &block), WB_OK);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

START_TEST(test_old_failures_make_way)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 1024 * MIB);
    full.registrar.failures = WBI_DEMANDS;
    full.registrar.failure = WB_ERR_SYSTEM;
    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        ck_assert_int_eq(ask(&full, (4 + 2 * i) * MIB, &block), WB_AGAIN);
        sem_wait(&full.grown);
    }
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 64, &block), WB_OK);
    wbi_rma_block_unref(block);
    ck_assert_int_eq(ask(&full, 6 * MIB, &block), WB_ERR_SYSTEM);
    ck_assert_int_eq(ask(&full, 4 * MIB, &block), WB_AGAIN); /* its failure is forgotten */
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 4 * MIB, &block), WB_OK);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

START_TEST(test_what_is_grown_is_kept_for_its_asker)
{
    struct full_pool full;
    struct wb_rma_block *large, *small;

    setup(&full, 4 * MIB);
    ck_assert_int_eq(ask(&full, 2 * MIB, &large), WB_AGAIN);
    sem_wait(&full.grown);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(ask(&full, 64, &small), WB_AGAIN);
        sem_wait(&full.grown); /* told that it was in vain */
        ck_assert_int_eq(wbi_rma_alloc(full.pool, 64, true, &small), WB_AGAIN);
        sem_wait(&full.grown);
    }
    ck_assert_int_eq(ask(&full, 2 * MIB, &large), WB_OK);
    wbi_rma_block_unref(large);
    ck_assert_int_eq(ask(&full, 64, &small), WB_OK);
    wbi_rma_block_unref(small);
    teardown(&full);
}
END_TEST

START_TEST(test_what_nobody_fetches_lapses)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 4 * MIB);
    ck_assert_int_eq(ask(&full, 2 * MIB, &block), WB_AGAIN);
    sem_wait(&full.grown);
    block = insist(&full, 64);
    test_assert_valid(full.pool);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

/* The call that asked may have ended; one that has not asks anew. */
START_TEST(test_trim_takes_what_nobody_has_fetched)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 8 * MIB);
    ck_assert_int_eq(ask(&full, MIB, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_uint_eq(test_stats(full.pool).slabs, 2);
    ck_assert_uint_eq(wb_rma_allocator_trim(full.pool), TEST_SLAB_BYTES);
    await_slabs(&full, 1);
    test_assert_valid(full.pool);
    block = insist(&full, MIB);
    ck_assert_uint_eq(test_stats(full.pool).slabs, 2);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

START_TEST(test_freed_budget_goes_to_who_asked_first)
{
    struct full_pool full;
    struct wb_rma_block *large, *small;

    setup(&full, 6 * MIB);
    wbi_rma_block_unref(test_alloc(full.pool, 4 * MIB)); /* idle, and to be let go for 3 slabs */
    wbi_rma_block_unref(full.held);
    full.held = NULL;
    test_registrar_defer(&full.registrar, true);
    ck_assert_int_eq(ask(&full, 6 * MIB, &large), WB_AGAIN);
    await_pending(&full.registrar, 2);                  /* the worker lets both go */
    ck_assert_int_eq(ask(&full, 64, &small), WB_AGAIN); /* there is a claim on every byte */
    sem_wait(&full.grown);
    test_assert_valid(full.pool);
    ck_assert_uint_eq(test_registrar_confirm(&full.registrar), 2);
    sem_wait(&full.grown); /* without another ask */
    test_registrar_defer(&full.registrar, false);
    ck_assert_int_eq(ask(&full, 6 * MIB, &large), WB_OK);
    ck_assert_uint_eq(full.registrar.peak_bytes, 6 * MIB);
    wbi_rma_block_unref(large);
    teardown(&full);
}
END_TEST

START_TEST(test_a_peer_that_never_lets_go_does_not_block_others)
{
    struct full_pool full;
    struct wb_rma_block *large, *small;

    setup(&full, 6 * MIB);
    wbi_rma_block_unref(full.held);
    full.held = NULL;
    test_registrar_defer(&full.registrar, true);
    ck_assert_int_eq(ask(&full, 6 * MIB, &large), WB_AGAIN); /* waits for the first slab for ever */
    await_pending(&full.registrar, 1);
    small = insist(&full, 64);
    test_assert_valid(full.pool);
    wbi_rma_block_unref(small);
    test_registrar_defer(&full.registrar, false);
    ck_assert_uint_eq(test_registrar_confirm(&full.registrar), 1);
    teardown(&full);
}
END_TEST

START_TEST(test_room_that_others_hold_does_not_wake_the_worker)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 3 * MIB);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    ck_assert_uint_eq(test_stats(full.pool).waits, 100);
    ck_assert(!full.pool->budget->worker_started);
    ck_assert_int_eq(ask(&full, 4 * MIB, &block), WB_ERR_BUDGET);
    teardown(&full);
}
END_TEST

/* Who others go before has what is free and what the budget has left, and no slab makes way. */
START_TEST(test_nothing_makes_way_for_who_asks_for_what_is_left)
{
    struct full_pool full;
    struct wb_rma_block *block = NULL;

    setup(&full, 8 * MIB);
    struct wb_rma_block *large = test_alloc(full.pool, 4 * MIB);
    ck_assert_int_eq(ask_later(&full, 64, &block), WB_AGAIN);
    ck_assert(wbi_rma_can_make_room(full.pool, 64));
    sem_wait(&full.grown);
    ck_assert_int_eq(ask_later(&full, 64, &block), WB_OK);
    wbi_rma_block_unref(large); /* an idle slab, and all of the budget is in slabs */
    struct wb_rma_block *none = NULL;
    ck_assert_int_eq(ask_later(&full, 2 * MIB, &none), WB_AGAIN);
    ck_assert_uint_eq(full.pool->demands.count, 0);
    ck_assert_int_eq(ask(&full, 2 * MIB, &none), WB_AGAIN);
    ck_assert(wbi_rma_can_make_room(full.pool, 2 * MIB));
    sem_wait(&full.grown);
    ck_assert_int_eq(ask_later(&full, 2 * MIB, &none), WB_OK);
    wbi_rma_block_unref(none);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

/* What was made for another and not fetched makes way for the first, at once. */
START_TEST(test_who_is_first_has_what_others_do_not_fetch)
{
    struct full_pool full;
    struct wb_rma_block *block;

    setup(&full, 4 * MIB);
    ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 2 * MIB, &block), WB_AGAIN);
    sem_wait(&full.grown); /* told that it was in vain */
    ck_assert_int_eq(wbi_rma_alloc_in_turn(full.pool, 2 * MIB, WBI_RMA_FIRST, &block), WB_AGAIN);
    sem_wait(&full.grown);
    ck_assert_int_eq(ask(&full, 2 * MIB, &block), WB_OK);
    test_assert_valid(full.pool);
    wbi_rma_block_unref(block);
    teardown(&full);
}
END_TEST

START_TEST(test_destroy_while_growing)
{
    struct full_pool full;
    struct wb_rma_block *block;

    for (unsigned i = 0; i < 20; i++) {
        setup(&full, 32 * MIB);
        ck_assert_int_eq(ask(&full, 64, &block), WB_AGAIN);
        ck_assert_int_eq(ask(&full, 4 * MIB, &block), WB_AGAIN);
        if (i % 2)
            sched_yield();
        teardown(&full);
    }
}
END_TEST

START_TEST(test_public_calls_grow_only_where_they_may)
{
    struct full_pool full;
    wb_rma_vector vector;

    setup(&full, 16 * MIB);
    ck_assert(wbi_rma_thread_may_grow(false));
    ck_assert_int_eq(wb_rma_vector_create(full.pool, 8, 100, &vector), WB_AGAIN);
    ck_assert_ptr_null(vector.data);
    sem_wait(&full.grown);
    ck_assert_int_eq(wb_rma_vector_create(full.pool, 8, 100, &vector), WB_OK);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, MIB), WB_AGAIN);
    ck_assert_uint_eq(vector.count, 100);
    sem_wait(&full.grown);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, MIB), WB_OK);
    ck_assert_int_eq(wb_rma_vector_resize(&vector, 3 * MIB), WB_ERR_BUDGET);
    ck_assert_uint_eq(vector.count, MIB);
    ck_assert(!wbi_rma_thread_may_grow(true));
    wb_rma_vector_drop(&vector);
    teardown(&full);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_growth_is_on_another_thread,
                                  test_asking_often_grows_once,
                                  test_one_slab_serves_several_sizes,
                                  test_large_and_small_are_served_together,
                                  test_more_sizes_than_the_table_has,
                                  test_a_failed_growth_is_told_once,
                                  test_old_failures_make_way,
                                  test_what_is_grown_is_kept_for_its_asker,
                                  test_what_nobody_fetches_lapses,
                                  test_trim_takes_what_nobody_has_fetched,
                                  test_freed_budget_goes_to_who_asked_first,
                                  test_a_peer_that_never_lets_go_does_not_block_others,
                                  test_room_that_others_hold_does_not_wake_the_worker,
                                  test_nothing_makes_way_for_who_asks_for_what_is_left,
                                  test_who_is_first_has_what_others_do_not_fetch,
                                  test_destroy_while_growing,
                                  test_public_calls_grow_only_where_they_may};

    return test_run(test_suite("rma growth", tests, sizeof(tests) / sizeof(*tests), 60));
}
