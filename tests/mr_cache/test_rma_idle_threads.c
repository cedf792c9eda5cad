/* Threads that fill their caches and fall idle keep nothing from those who are at work. */
#include <sched.h>
#include <stdlib.h>

#include "mr_cache/budget.h"
#include "mr_cache/size_class.h"
#include "tests/mr_cache/rma.h"
#include "tests/support/program.h"

enum { THREADS = 32, BATCH = 24, ROUNDS = 4, LARGEST = 58 << 20 };

/* What the idle ones may cache is half of the budget: 1 MiB each. */
static const uint64_t budget = 64 * MIB, slab_bytes = 2 * MIB, may_cache = 32 * MIB;

struct crowd {
    struct wb_rma_allocator *pool;
    pthread_t threads[THREADS];
    pthread_barrier_t present; /* of all of them: a new cache takes of the others' share */
    pthread_barrier_t filled, judged, over; /* and of the test's thread */
    bool suffices;                          /* what they have cached; set before `judged` */
};

/* One try; NULL: WB_AGAIN. */
static void *get(struct wb_rma_allocator *pool, size_t bytes)
{
    void *memory;
    int rc = wb_rma_alloc(pool, bytes, 0, &memory);

    test_check(rc == WB_OK || rc == WB_AGAIN, "status %d for %zu bytes", rc, bytes);
    return memory;
}

/* Asks again as long as it is WB_AGAIN: the only thread that is at work waits for nobody's good
 * will, so each ask ends soon. */
static void *get_patiently(struct wb_rma_allocator *pool, size_t bytes)
{
    uint64_t start = test_clock_us();
    void *memory;

    while (!(memory = get(pool, bytes))) {
        test_check(test_clock_us() - start < test_patience_us, "starved for %zu bytes", bytes);
        sched_yield();
    }
    return memory;
}

/* Allocates some blocks of each class at once and frees them: the caches grow with use. */
static void fill_cache(struct wb_rma_allocator *pool)
{
    void *blocks[BATCH];

    for (unsigned class_index = 0; class_index < WBI_CLASSES; class_index++) {
        size_t bytes = wbi_class_bytes(class_index);
        unsigned count = 0;
        while (count < BATCH && count * bytes < MIB / 8) {
            int rc = wb_rma_alloc(pool, bytes, 0, &blocks[count]);
            if (rc == WB_AGAIN) /* the others have the room now */
                break;
            test_check(rc == WB_OK, "status %d", rc);
            count++;
        }
        while (count > 0)
            wb_rma_free(blocks[--count]);
    }
}

static void *fill_and_idle(void *argument)
{
    struct crowd *crowd = argument;

    wb_rma_free(get_patiently(crowd->pool, 64));
    pthread_barrier_wait(&crowd->present);
    do {
        for (unsigned round = 0; round < ROUNDS; round++)
            fill_cache(crowd->pool);
        pthread_barrier_wait(&crowd->filled);
        pthread_barrier_wait(&crowd->judged);
    } while (!crowd->suffices);
    pthread_barrier_wait(&crowd->over);
    fill_cache(crowd->pool); /* who was robbed goes on as before */
    return NULL;
}

/* Waits until they have more in their caches than a tenth of the budget: whoever of them was last
 * to find no room may have emptied all. */
static void crowd_wait(struct crowd *crowd)
{
    uint64_t start = test_clock_us();

    while (!crowd->suffices) {
        pthread_barrier_wait(&crowd->filled);
        test_check(test_clock_us() - start < test_patience_us, "they cache too little");
        crowd->suffices = test_stats(crowd->pool).cached_bytes > budget / 10;
        pthread_barrier_wait(&crowd->judged);
    }
}

/* On return no thread is at work, and their caches have more than a tenth of the budget. The crowd
 * is no local of the test's: where that fails, they stay. */
static struct crowd *crowd_gather(struct wb_rma_allocator *pool)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));

    ck_assert_ptr_nonnull(crowd);
    crowd->pool = pool;
    pthread_barrier_init(&crowd->present, NULL, THREADS);
    pthread_barrier_init(&crowd->filled, NULL, THREADS + 1);
    pthread_barrier_init(&crowd->judged, NULL, THREADS + 1);
    pthread_barrier_init(&crowd->over, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&crowd->threads[i], NULL, fill_and_idle, crowd), 0);
    crowd_wait(crowd);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    return crowd;
}

static void crowd_dismiss(struct crowd *crowd)
{
    pthread_barrier_wait(&crowd->over);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(crowd->threads[i], NULL);
    pthread_barrier_destroy(&crowd->present);
    pthread_barrier_destroy(&crowd->filled);
    pthread_barrier_destroy(&crowd->judged);
    pthread_barrier_destroy(&crowd->over);
    free(crowd);
}

/* Blocks that fit into the budget's slabs however they come to lie: where no run of p pages fits
 * any more, at most p - 1 are free before, between and behind those that there are. */
static size_t blocks_however_they_lie(size_t bytes)
{
    unsigned class_index;
    bool of_a_class = wbi_class_find(bytes, &class_index);
    size_t pages = of_a_class ? wbi_class_pages(class_index) : bytes / WBI_PAGE_BYTES;
    size_t block = of_a_class ? wbi_class_bytes(class_index) : bytes;
    size_t runs = (slab_bytes / WBI_PAGE_BYTES + pages - 1) / (2 * pages - 1);

    return (size_t)(budget / slab_bytes) * runs * (pages * WBI_PAGE_BYTES / block);
}

/* Takes up to `count` blocks, of which the first `sure` must be there; returns how many it has. */
static size_t take(struct wb_rma_allocator *pool, size_t bytes, size_t sure, void **blocks,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        blocks[i] = i < sure ? get_patiently(pool, bytes) : get(pool, bytes);
        if (!blocks[i])
            return i;
        *(size_t *)blocks[i] = i;
    }
    return count;
}

static void give_back(void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        test_check(*(size_t *)blocks[i] == i, "block %zu was somebody else's too", i);
        wb_rma_free(blocks[i]);
    }
}

/*
 * Holds nine tenths of the budget in blocks of this size, at once. Those of several pages that were
 * placed beside what the others still had cached may have left pieces between them that are too
 * short for another. Then it gives all back, and must have them as one block.
 */
static void take_nearly_all(struct wb_rma_allocator *pool, size_t bytes)
{
    size_t count = (size_t)((budget / 10 * 9 + bytes - 1) / bytes);
    size_t sure = bytes > slab_bytes ? count : blocks_however_they_lie(bytes);
    void **blocks = calloc(count, sizeof(*blocks));

    ck_assert_ptr_nonnull(blocks);
    size_t had = take(pool, bytes, sure, blocks, count);
    if (had < count) /* for want of a piece that is long enough, not of what idle ones keep */
        ck_assert_uint_eq(test_stats(pool).cached_bytes, 0);
    ck_assert_uint_ge(test_stats(pool).used_bytes, had * bytes);
    ck_assert_uint_le(test_stats(pool).slab_bytes, budget);
    test_assert_valid(pool);
    give_back(blocks, had);
    free(blocks);
    if (had < count)
        take_nearly_all(pool, LARGEST);
}

/* From the largest that there can be to the smallest. */
static const size_t sizes[] = {LARGEST, 2 * MIB, 256 << 10, 96 << 10, 4 << 10, 320, 64};
enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static void test_with(struct wb_rma_allocator *pool, struct wb_rma_allocator *other, size_t bytes)
{
    /* The test's own caches are there beforehand, as theirs are. And so is all of the room, for a
     * thread empties its cache before the pool grows for it. */
    wb_rma_free(get_patiently(other, 64));
    take_nearly_all(pool, slab_bytes);
    struct crowd *crowd = crowd_gather(pool);
    take_nearly_all(other, bytes);
    crowd_dismiss(crowd);
    ck_assert_uint_eq(test_stats(pool).blocks, 0);
    test_assert_valid(pool);
}

START_TEST(test_idle_threads_give_their_caches_up)
{
    struct test_registrar registrar;
    test_registrar_init(&registrar);
    struct wb_rma_allocator *pool = test_pool_with(budget, slab_bytes, may_cache, &registrar);

    test_with(pool, pool, sizes[_i]);
    wbi_rma_allocator_destroy(pool);
    ck_assert_uint_le(registrar.peak_bytes, budget);
    test_registrar_finish(&registrar);
}
END_TEST

/* They have cached blocks of one allocator, and another of the same budget wants the room. */
START_TEST(test_idle_threads_of_another_allocator)
{
    struct wbi_budget *shared;
    ck_assert_int_eq(wbi_budget_create(budget, &shared), WB_OK);
    struct wbi_rma_config config = {.budget_bytes = budget,
                                    .slab_bytes = slab_bytes,
                                    .cache_bytes = may_cache,
                                    .numa_node = -1,
                                    .budget = shared};
    struct wb_rma_allocator *pool, *other;
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &other), WB_OK);

    test_with(pool, other, sizes[_i]);
    ck_assert_uint_le(test_stats(other).engine_peak_bytes, budget);
    wbi_rma_allocator_destroy(pool);
    wbi_rma_allocator_destroy(other);
    wbi_budget_close(shared);
    wbi_budget_drop(shared);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rma idle threads");
    TCase *tcase = tcase_create("idle threads");

    tcase_set_timeout(tcase, 110);
    tcase_add_loop_test(tcase, test_idle_threads_give_their_caches_up, 0, SIZES);
    tcase_add_loop_test(tcase, test_idle_threads_of_another_allocator, 0, SIZES);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
