/* The end of a pool: with blocks still held, with confirmations still out, from many threads. */
#include <stdlib.h>
#include <string.h>

#include "tests/mr_cache/rma.h"

START_TEST(test_destroy_accepts_null)
{
    wbi_rma_allocator_destroy(NULL);
}
END_TEST

START_TEST(test_held_blocks_outlive_their_pool)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(32 * MIB, &registrar);
    const size_t sizes[] = {64, 100, 70000, 300000, 2 * MIB, 5 * MIB};
    struct wb_rma_block *blocks[6];

    for (unsigned i = 0; i < 6; i++) {
        blocks[i] = test_alloc(pool, sizes[i]);
        test_fill(blocks[i], i);
    }
    wbi_rma_block_lease(blocks[1]);
    wbi_rma_block_unref(test_alloc(pool, 1000));
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar); /* all deregistered and never called again */
    for (unsigned i = 0; i < 6; i++) {
        void *data = wbi_rma_block_data(blocks[i]);
        test_check_fill(blocks[i], i);
        ck_assert_ptr_eq(wbi_rma_find(data), blocks[i]);
        ck_assert_ptr_null((void *)wbi_rma_block_mr(blocks[i], 0));
        wbi_rma_block_unref(blocks[i]);
        if (i == 1)
            wbi_rma_block_unlease(blocks[i]);
        ck_assert_ptr_null(wbi_rma_find(data));
    }
    ck_assert_uint_eq(test_mapped_slabs(), 0);
}
END_TEST

START_TEST(test_a_vector_of_a_destroyed_pool_keeps_its_size)
{
    struct wb_rma_allocator *pool = test_pool(8 * MIB, NULL);
    wb_rma_vector vector;

    ck_assert_int_eq(wb_rma_vector_create(pool, 1, 100, &vector), WB_OK);
    memset(vector.data, 0x5a, 100);
    wbi_rma_allocator_destroy(pool);
    ck_assert_int_eq(wb_rma_vector_push(&vector, vector.data), WB_OK); /* within its capacity */
    ck_assert_int_eq(wb_rma_vector_resize(&vector, 100000), WB_ERR_CLOSED);
    wbi_rma_thread_may_grow(false);
    ck_assert_int_eq(wb_rma_vector_reserve(&vector, 100000), WB_ERR_CLOSED);
    wbi_rma_thread_may_grow(true);
    ck_assert_uint_eq(vector.count, 101);
    for (unsigned i = 0; i < 101; i++)
        ck_assert_uint_eq(((unsigned char *)vector.data)[i], 0x5a);
    wb_rma_vector_drop(&vector);
    ck_assert_uint_eq(test_mapped_slabs(), 0);
}
END_TEST

/* Destroys a pool whose registrar confirms late; `held` says whether a block is held as well. */
static void destroy_unconfirmed(bool held, bool confirm_first)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(6 * MIB, &registrar);
    struct wb_rma_block *block = held ? test_alloc(pool, 100) : NULL, *none = NULL;

    wbi_rma_block_unref(test_alloc(pool, 4 * MIB));
    test_registrar_defer(&registrar, true);
    ck_assert_int_eq(wbi_rma_alloc(pool, held ? 4 * MIB : 6 * MIB, false, &none),
                     held ? WB_OK : WB_AGAIN);
    if (none)
        wbi_rma_block_unref(none);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_eq(registrar.pending_count, 2);
    if (block)
        test_fill(block, 1);
    if (confirm_first)
        test_registrar_confirm(&registrar);
    if (block) {
        test_check_fill(block, 1);
        wbi_rma_block_unref(block);
    }
    if (!confirm_first)
        test_registrar_confirm(&registrar);
    test_registrar_finish(&registrar);
    ck_assert_uint_eq(test_mapped_slabs(), 0);
}

START_TEST(test_confirmations_after_destroy)
{
    destroy_unconfirmed(false, true);
    destroy_unconfirmed(true, true);
    destroy_unconfirmed(true, false);
}
END_TEST

START_TEST(test_confirmed_but_not_reaped)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(4 * MIB, &registrar);
    struct wb_rma_block *none = NULL;

    test_registrar_defer(&registrar, true);
    ck_assert_int_eq(wbi_rma_alloc(pool, 4 * MIB, true, &none), WB_AGAIN);
    test_registrar_confirm(&registrar);
    test_registrar_defer(&registrar, false);
    wbi_rma_allocator_destroy(pool); /* at whatever the worker was doing with it */
    test_registrar_finish(&registrar);
}
END_TEST

enum { DROPPERS = 4, DROPS = 200 };

struct dropper {
    pthread_t thread;
    pthread_barrier_t *start;
    struct wb_rma_block *blocks[DROPS];
};

static void *drop_all(void *argument)
{
    struct dropper *dropper = argument;

    pthread_barrier_wait(dropper->start);
    for (unsigned i = 0; i < DROPS; i++)
        wbi_rma_block_unref(dropper->blocks[i]);
    return NULL;
}

START_TEST(test_destroy_while_others_drop)
{
    struct dropper *droppers = calloc(DROPPERS, sizeof(*droppers));

    for (unsigned round = 0; round < 10; round++) {
        pthread_barrier_t start;
        struct wb_rma_allocator *pool = test_pool(64 * MIB, NULL);
        uint64_t random = round + 1;
        pthread_barrier_init(&start, NULL, DROPPERS + 1);
        for (unsigned i = 0; i < DROPPERS; i++) {
            droppers[i].start = &start;
            for (unsigned k = 0; k < DROPS; k++)
                droppers[i].blocks[k] = test_alloc(pool, test_random_bytes(&random, 128 << 10));
            ck_assert_int_eq(pthread_create(&droppers[i].thread, NULL, drop_all, &droppers[i]), 0);
        }
        pthread_barrier_wait(&start);
        wbi_rma_allocator_destroy(pool);
        for (unsigned i = 0; i < DROPPERS; i++)
            pthread_join(droppers[i].thread, NULL);
        pthread_barrier_destroy(&start);
        ck_assert_uint_eq(test_mapped_slabs(), 0);
    }
    free(droppers);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_destroy_accepts_null,
                                  test_held_blocks_outlive_their_pool,
                                  test_a_vector_of_a_destroyed_pool_keeps_its_size,
                                  test_confirmations_after_destroy,
                                  test_confirmed_but_not_reaped,
                                  test_destroy_while_others_drop};

    return test_run(test_suite("rma lifetime", tests, sizeof(tests) / sizeof(*tests), 60));
}
