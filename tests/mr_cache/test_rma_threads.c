/* Many threads: the budget holds, whoever frees, and nothing is lost. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mr_cache/rma.h"

enum { THREADS = 8, LIVE = 16, STEPS = 1500, MAILBOXES = 32 };

struct shared {
    struct wb_rma_allocator *pool;
    struct test_registrar registrar;
    uint64_t budget;
    atomic_bool over;
    _Atomic(struct wb_rma_block *) mailboxes[MAILBOXES]; /* blocks on their way to another thread */
};

struct thread {
    pthread_t id;
    unsigned index;
    struct shared *shared;
    unsigned served, refused;
};

/* Writes and checks a word at both ends: whoever else had the block would show. */
static void mark(struct wb_rma_block *block, uint64_t word)
{
    uint64_t *words = wbi_rma_block_data(block);

    words[0] = word;
    words[wbi_rma_block_bytes(block) / sizeof(*words) - 1] = word;
}

static void drop_marked(struct wb_rma_block *block)
{
    const uint64_t *words = wbi_rma_block_data(block);

    if (words[0] != words[wbi_rma_block_bytes(block) / sizeof(*words) - 1])
        ck_abort_msg("block %p was somebody else's too", (void *)block);
    if (wbi_rma_find(words) != block)
        ck_abort_msg("block %p is not found by its address", (void *)block);
    wbi_rma_block_unref(block);
}

/* Puts a block into a mailbox and drops what was there, which another thread allocated. */
static void pass_on(struct shared *shared, uint64_t box, struct wb_rma_block *block)
{
    struct wb_rma_block *former =
        atomic_exchange_explicit(&shared->mailboxes[box], block, memory_order_acq_rel);

    if (former)
        drop_marked(former);
}

static void *churn(void *argument)
{
    struct thread *self = argument;
    struct shared *shared = self->shared;
    struct wb_rma_block *live[LIVE] = {0};
    uint64_t random = self->index + 1;

    for (unsigned step = 0; step < STEPS; step++) {
        struct wb_rma_block **slot = &live[test_random(&random) % LIVE];
        if (*slot) {
            if (test_random(&random) % 2)
                drop_marked(*slot);
            else
                pass_on(shared, test_random(&random) % MAILBOXES, *slot);
            *slot = NULL;
            continue;
        }
        size_t bytes = test_random_bytes(&random, step % 64 ? 64 << 10 : 3 * MIB);
        int rc = wbi_rma_alloc(shared->pool, bytes, test_random(&random) % 2, slot);
        if (rc == WB_OK)
            mark(*slot, test_random(&random));
        else if (rc != WB_AGAIN)
            ck_abort_msg("status %d", rc);
        self->served += rc == WB_OK;
        self->refused += rc == WB_AGAIN;
    }
    for (unsigned i = 0; i < LIVE; i++)
        if (live[i])
            drop_marked(live[i]);
    return NULL;
}

/* Confirms late, like a peer, and checks the books. */
static void *watch(void *argument)
{
    struct shared *shared = argument;

    while (!atomic_load(&shared->over)) {
        const char *wrong = wbi_rma_validate(shared->pool);
        if (wrong)
            ck_abort_msg("not true: %s", wrong);
        if (test_stats(shared->pool).slab_bytes > shared->budget)
            ck_abort_msg("over the budget");
        test_registrar_confirm(&shared->registrar);
        sched_yield();
    }
    return NULL;
}

static void run_threads(uint64_t budget, bool defers)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    struct thread threads[THREADS];
    pthread_t watcher;
    unsigned served = 0;

    test_registrar_init(&shared->registrar);
    shared->pool = test_pool(budget, &shared->registrar);
    shared->budget = budget;
    test_registrar_defer(&shared->registrar, defers);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch, shared), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.index = i, .shared = shared};
        ck_assert_int_eq(pthread_create(&threads[i].id, NULL, churn, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        ck_assert_uint_gt(threads[i].served, 0);
        served += threads[i].served;
    }
    atomic_store(&shared->over, true);
    pthread_join(watcher, NULL);
    for (unsigned i = 0; i < MAILBOXES; i++)
        pass_on(shared, i, NULL);
    test_assert_valid(shared->pool);
    struct wb_rma_stats stats = test_stats(shared->pool);
    ck_assert_uint_eq(stats.blocks, 0);
    ck_assert_uint_eq(stats.used_bytes, 0);
    ck_assert_uint_gt(served, stats.waits / STEPS);
    wbi_rma_allocator_destroy(shared->pool);
    test_registrar_confirm(&shared->registrar);
    ck_assert_uint_le(shared->registrar.peak_bytes, budget);
    test_registrar_finish(&shared->registrar);
    free(shared);
}

START_TEST(test_budget_under_threads)
{
    run_threads(8 * MIB, false);
    run_threads(32 * MIB, false);
}
END_TEST

START_TEST(test_budget_under_threads_and_late_peers)
{
    run_threads(8 * MIB, true);
}
END_TEST

/* One block that all threads hold, lease and look for at once. */
static void *hold_and_lease(void *argument)
{
    struct wb_rma_block *block = argument;

    for (unsigned i = 0; i < 2000; i++) {
        wbi_rma_block_ref(block);
        wbi_rma_block_lease(block);
        if (wbi_rma_find(wbi_rma_block_data(block)) != block)
            ck_abort_msg("not found");
        wbi_rma_block_unref(block);
        wbi_rma_block_unlease(block);
    }
    wbi_rma_block_unref(block);
    return NULL;
}

START_TEST(test_references_from_many_threads)
{
    struct wb_rma_allocator *pool = test_pool(2 * MIB, NULL);
    struct wb_rma_block *block = test_alloc(pool, 4096);
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        wbi_rma_block_ref(block);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_lease, block), 0);
    }
    wbi_rma_block_unref(block);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(test_stats(pool).leased_bytes, 0);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* Asks for one size until it was served a number of times, without growing itself. */
struct asker {
    pthread_t id;
    struct wb_rma_allocator *pool;
    size_t bytes;
};

static void *ask_until_served(void *argument)
{
    struct asker *asker = argument;

    for (unsigned served = 0; served < 20;) {
        struct wb_rma_block *block;
        int rc = wbi_rma_alloc(asker->pool, asker->bytes, false, &block);
        if (rc == WB_OK) {
            mark(block, served++);
            drop_marked(block);
        } else if (rc != WB_AGAIN) {
            ck_abort_msg("status %d", rc);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

START_TEST(test_no_size_starves_another)
{
    /* Each fits alone, hardly any two together: the budget must change hands all the time. */
    const size_t sizes[] = {64, 8 * MIB, 2 * MIB, 5 * MIB, 100 << 10, 7 * MIB};
    struct asker askers[6];
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool(8 * MIB, &registrar);

    for (unsigned i = 0; i < 6; i++) {
        askers[i] = (struct asker){.pool = pool, .bytes = sizes[i]};
        ck_assert_int_eq(pthread_create(&askers[i].id, NULL, ask_until_served, &askers[i]), 0);
    }
    for (unsigned i = 0; i < 6; i++)
        pthread_join(askers[i].id, NULL);
    test_assert_valid(pool);
    ck_assert_uint_le(registrar.peak_bytes, 8 * MIB);
    wbi_rma_allocator_destroy(pool);
    test_registrar_finish(&registrar);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_budget_under_threads,
                                  test_budget_under_threads_and_late_peers,
                                  test_references_from_many_threads, test_no_size_starves_another};

    return test_run(test_suite("rma threads", tests, sizeof(tests) / sizeof(*tests), 110));
}
