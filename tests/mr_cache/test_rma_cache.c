/* Threads' caches: what sizes leave each other, and what becomes of one whose pool has ended. */
#include <semaphore.h>

#include "mr_cache/pool.h"
#include "tests/mr_cache/rma.h"

enum { HELD = 64, ROUNDS = 20, MAILBOXES = 8 };

/* Takes blocks of that size until `bytes` are held, at most HELD, and gives them back. */
static void fill_cache(struct wb_rma_allocator *pool, size_t each, uint64_t bytes)
{
    struct wb_rma_block *held[HELD];
    unsigned count = 0;

    for (; count < HELD && count * each < bytes; count++)
        held[count] = test_alloc(pool, each);
    while (count > 0)
        wbi_rma_block_unref(held[--count]);
}

/* Whether a block of that size goes round in this thread's cache, once the first has been there. */
static bool is_cached(struct wb_rma_allocator *pool, size_t bytes)
{
    wbi_rma_block_unref(test_alloc(pool, bytes));
    uint64_t visits = pool->visits; /* to the mutex */
    for (unsigned i = 0; i < 10; i++)
        wbi_rma_block_unref(test_alloc(pool, bytes));
    return pool->visits == visits;
}

START_TEST(test_small_and_large_leave_each_other_room)
{
    struct wb_rma_allocator *pool = test_pool_with(64 * MIB, 2 * MIB, 8 * MIB, NULL);

    fill_cache(pool, 256 << 10, 16 * MIB);
    ck_assert_uint_gt(test_stats(pool).cached_bytes, 4 * MIB);
    ck_assert(is_cached(pool, MIB));
    fill_cache(pool, MIB, 16 * MIB);
    ck_assert(is_cached(pool, MIB));
    ck_assert(is_cached(pool, 256 << 10));
    ck_assert(is_cached(pool, 64));
    ck_assert(is_cached(pool, MIB));
    ck_assert_uint_le(test_stats(pool).cached_bytes, 8 * MIB);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* A thread that uses pools which another one makes and ends. */
struct user {
    struct wb_rma_allocator *pool; /* NULL: end */
    sem_t go, done;
};

static void *use(void *argument)
{
    struct user *user = argument;

    for (;;) {
        sem_wait(&user->go);
        if (!user->pool)
            return NULL;
        fill_cache(user->pool, 64, 4096);
        fill_cache(user->pool, 512 << 10, MIB);
        sem_post(&user->done);
    }
}

START_TEST(test_a_cache_outlives_its_pool)
{
    struct user user = {0};
    pthread_t thread;

    sem_init(&user.go, 0, 0);
    sem_init(&user.done, 0, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, use, &user), 0);
    for (unsigned i = 0; i < 5; i++) {
        user.pool = test_pool_with(64 * MIB, 2 * MIB, 8 * MIB, NULL);
        sem_post(&user.go);
        sem_wait(&user.done);
        fill_cache(user.pool, 64, 4096);
        ck_assert_uint_eq(user.pool->cache_count, 2);
        ck_assert_uint_gt(test_stats(user.pool).cached_bytes, 0);
        wbi_rma_allocator_destroy(user.pool);
    }
    user.pool = NULL;
    sem_post(&user.go);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    sem_destroy(&user.go);
    sem_destroy(&user.done);
}
END_TEST

/* Threads whose pools end while others hold blocks of them, and whose caches others' ends meet. */
static void *end_pools(void *argument)
{
    _Atomic(struct wb_rma_block *) *mailboxes = argument;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct wb_rma_allocator *pool = test_pool_with(32 * MIB, 2 * MIB, 8 * MIB, NULL);
        for (unsigned i = 0; i < MAILBOXES; i++) {
            struct wb_rma_block *block = test_alloc(pool, i % 2 ? 64 : 300 << 10);
            test_fill(block, i);
            block = atomic_exchange(&mailboxes[i], block);
            if (block) {
                test_check_fill(block, i);
                wbi_rma_block_unref(block);
            }
        }
        wbi_rma_allocator_destroy(pool);
    }
    return NULL;
}

START_TEST(test_pools_and_threads_end_in_any_order)
{
    static _Atomic(struct wb_rma_block *) mailboxes[MAILBOXES];
    unsigned slabs = test_mapped_slabs();

    for (unsigned generation = 0; generation < 3; generation++) {
        pthread_t threads[4];
        for (unsigned i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, end_pools, mailboxes), 0);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < MAILBOXES; i++)
        wbi_rma_block_unref(atomic_exchange(&mailboxes[i], NULL));
    ck_assert_uint_eq(test_mapped_slabs(), slabs);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_small_and_large_leave_each_other_room,
                                  test_a_cache_outlives_its_pool,
                                  test_pools_and_threads_end_in_any_order};

    return test_run(test_suite("rma cache", tests, sizeof(tests) / sizeof(*tests), 60));
}
