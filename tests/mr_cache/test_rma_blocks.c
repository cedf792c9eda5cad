/* Blocks: sizes, places, references, leases, merging of what is freed, and finding by address. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mr_cache/poison.h"
#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "mr_cache/size_class.h"
#include "tests/mr_cache/rma.h"

static unsigned class_of(size_t bytes)
{
    unsigned class_index = WBI_CLASSES;

    ck_assert(wbi_class_find(bytes, &class_index));
    return class_index;
}

START_TEST(test_classes_rise_by_quarters)
{
    size_t former = 0;
    unsigned none;

    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        size_t bytes = wbi_class_bytes(i);
        size_t run = (size_t)wbi_class_pages(i) * WBI_PAGE_BYTES;
        ck_assert_uint_gt(bytes, former);
        ck_assert_uint_eq(bytes % 64, 0);
        ck_assert_uint_le(bytes - former, former / 4 > 64 ? former / 4 : 64);
        ck_assert_uint_eq(class_of(former + 1), i);
        ck_assert_uint_eq(class_of(bytes), i);
        ck_assert_uint_le(run % bytes, run / 32);
        ck_assert_uint_le(wbi_class_pages(i), 7);
        former = bytes;
    }
    ck_assert_uint_eq(former, WBI_CLASS_MAX_BYTES);
    ck_assert_uint_eq(class_of(0), 0);
    ck_assert(!wbi_class_find(former + 1, &none));
    ck_assert(!wbi_class_find(SIZE_MAX, &none));
}
END_TEST

START_TEST(test_bins_rise_with_length)
{
    unsigned former = 0;

    ck_assert_uint_eq(wbi_runs_bin(1), 0);
    for (uint32_t pages = 2; pages <= 1 << 14; pages++) { /* 1 GiB, the largest slab */
        unsigned bin = wbi_runs_bin(pages);
        if (bin < former || bin > former + 1)
            ck_abort_msg("bin %u of %u pages follows bin %u", bin, pages, former);
        former = bin;
    }
    ck_assert_uint_lt(former, WBI_RUN_BINS);
}
END_TEST

/* Holes of several lengths that share a bin: the best fit is taken, and none is missed. */
START_TEST(test_long_runs_fit_best)
{
    const size_t pages[] = {75, 1, 79, 1, 72, 1, 77, 1};
    struct wb_rma_block *blocks[8];
    struct wb_rma_allocator *pool = test_pool_of(32 * MIB, 32 * MIB, NULL);
    unsigned char *places[4];

    for (size_t i = 0; i < 8; i++) /* the ones of a single page keep the holes apart */
        blocks[i] = test_alloc(pool, pages[i] * WBI_PAGE_BYTES - 1);
    struct wb_rma_block *rest = test_alloc(pool, (512 - 307) * (size_t)WBI_PAGE_BYTES);
    ck_assert_uint_eq(wbi_runs_bin(72), wbi_runs_bin(79));
    for (size_t i = 0; i < 4; i++) {
        places[i] = wbi_rma_block_data(blocks[2 * i]);
        wbi_rma_block_unref(blocks[2 * i]);
        test_assert_valid(pool);
    }
    const struct {
        size_t pages;
        size_t place;
    } wanted[] = {{73, 0}, {76, 3}, {78, 1}, {65, 2}};
    for (size_t i = 0; i < 4; i++) {
        blocks[2 * i] = test_alloc(pool, wanted[i].pages * WBI_PAGE_BYTES);
        ck_assert_ptr_eq(wbi_rma_block_data(blocks[2 * i]), places[wanted[i].place]);
        test_assert_valid(pool);
    }
    for (size_t i = 0; i < 8; i++)
        wbi_rma_block_unref(blocks[i]);
    wbi_rma_block_unref(rest);
    ck_assert_uint_eq(test_stats(pool).registrations, 1);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_every_size_is_aligned_and_large_enough)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);

    for (size_t bytes = 0; bytes <= 3 * MIB; bytes += bytes < 2000 ? 1 : bytes / 7) {
        struct wb_rma_block *block = test_alloc(pool, bytes);
        ck_assert_uint_eq((uintptr_t)wbi_rma_block_data(block) % WBI_RMA_ALIGN, 0);
        ck_assert_uint_ge(wbi_rma_block_bytes(block), bytes);
        ck_assert_ptr_eq(wbi_rma_block_allocator(block), pool);
        memset(wbi_rma_block_data(block), 0xab, wbi_rma_block_bytes(block));
        ck_assert_uint_eq(test_stats(pool).used_bytes, wbi_rma_block_bytes(block));
        wbi_rma_block_unref(block);
        test_assert_valid(pool);
    }
    ck_assert_uint_eq(test_stats(pool).used_bytes, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_blocks_do_not_overlap)
{
    enum { COUNT = 3000 };
    static struct wb_rma_block *blocks[COUNT];
    struct wb_rma_allocator *pool = test_pool(64 * MIB, NULL);
    uint64_t random = 7;

    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = test_alloc(pool, test_random_bytes(&random, 64 << 10));
        test_fill(blocks[i], i);
    }
    test_assert_valid(pool);
    ck_assert_uint_eq(test_stats(pool).blocks, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        test_check_fill(blocks[i], i);
        wbi_rma_block_unref(blocks[i]);
    }
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* Fills a slab with blocks of one page, frees them in an order, and takes the slab as one block. */
static void fill_and_merge(struct wb_rma_allocator *pool, unsigned stride)
{
    enum { PAGES = TEST_SLAB_BYTES / WBI_PAGE_BYTES };
    struct wb_rma_block *blocks[PAGES];

    for (unsigned i = 0; i < PAGES; i++)
        blocks[i] = test_alloc(pool, WBI_PAGE_BYTES);
    ck_assert_uint_eq(test_stats(pool).used_bytes, TEST_SLAB_BYTES);
    for (unsigned i = 0; i < PAGES; i++) {
        wbi_rma_block_unref(blocks[i * stride % PAGES]);
        test_assert_valid(pool);
    }
    struct wb_rma_block *whole = test_alloc(pool, TEST_SLAB_BYTES);
    test_assert_valid(pool);
    wbi_rma_block_unref(whole);
}

START_TEST(test_freed_runs_merge)
{
    struct wb_rma_allocator *pool = test_pool(4 * MIB, NULL);

    for (unsigned stride = 1; stride < 16; stride += 2)
        fill_and_merge(pool, stride);
    ck_assert_uint_eq(test_stats(pool).registrations, 1);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* Blocks stay where they are: a slab has room for five runs of four pages however they came to lie,
 * and for eight at best. What keeps a sixth out is that no piece is long enough, until some of them
 * are given back. */
START_TEST(test_pieces_are_too_short)
{
    enum { PAGES = TEST_SLAB_BYTES / WBI_PAGE_BYTES, RUN = 4, APART = 2, WORST = 5, BEST = 8 };
    struct wb_rma_allocator *pool = test_pool_with(2 * MIB, 2 * MIB, WBI_RMA_NO_CACHES, NULL);
    struct wb_rma_block *pages[PAGES], *runs[BEST], *none = NULL;

    for (unsigned i = 0; i < PAGES; i++)
        pages[i] = test_alloc(pool, WBI_PAGE_BYTES);
    for (unsigned i = 0; i < PAGES; i++)
        if (i % (RUN + APART) >= APART)
            wbi_rma_block_unref(pages[i]);
    for (unsigned i = 0; i < WORST; i++)
        runs[i] = test_alloc(pool, (size_t)RUN * WBI_PAGE_BYTES);
    for (unsigned i = 0; i < PAGES; i++)
        if (i % (RUN + APART) < APART)
            wbi_rma_block_unref(pages[i]);
    ck_assert_int_eq(wbi_rma_alloc(pool, (size_t)RUN * WBI_PAGE_BYTES, true, &none), WB_AGAIN);
    ck_assert_uint_eq(test_stats(pool).free_bytes, (size_t)(PAGES - WORST * RUN) * WBI_PAGE_BYTES);
    test_assert_valid(pool);
    for (unsigned i = 0; i < WORST; i++)
        wbi_rma_block_unref(runs[i]);
    for (unsigned i = 0; i < BEST; i++)
        runs[i] = test_alloc(pool, (size_t)RUN * WBI_PAGE_BYTES);
    for (unsigned i = 0; i < BEST; i++)
        wbi_rma_block_unref(runs[i]);
    test_assert_valid(pool);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_kept_empty_runs_make_way)
{
    struct wb_rma_allocator *pool = test_pool(2 * MIB, NULL);
    struct wb_rma_block *whole = NULL;

    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        struct wb_rma_block *block = test_alloc(pool, wbi_class_bytes(i));
        wbi_rma_block_unref(block);
        test_assert_valid(pool);
    }
    ck_assert_int_eq(wbi_rma_alloc(pool, TEST_SLAB_BYTES, true, &whole), WB_OK);
    wbi_rma_block_unref(whole);
    ck_assert_uint_eq(test_stats(pool).registrations, 1);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_dedicated_slabs_are_used_again)
{
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    struct wb_rma_block *block = test_alloc(pool, 8 * MIB);

    ck_assert_uint_eq(wbi_rma_block_bytes(block), 8 * MIB);
    wbi_rma_block_unref(block);
    test_assert_valid(pool);
    ck_assert_uint_eq(test_stats(pool).slab_bytes, 10 * MIB);

    block = test_alloc(pool, 5 * MIB);
    ck_assert_uint_eq(wbi_rma_block_bytes(block), 8 * MIB);
    ck_assert_uint_eq(test_stats(pool).registrations, 2);
    ck_assert_uint_eq(test_stats(pool).used_bytes, 8 * MIB);
    test_assert_valid(pool);
    wbi_rma_block_unref(block);

    block = test_alloc(pool, 3 * MIB); /* would waste half of 8 MiB */
    ck_assert_uint_eq(wbi_rma_block_bytes(block), 4 * MIB);
    ck_assert_uint_eq(test_stats(pool).registrations, 3);
    test_assert_valid(pool);
    wbi_rma_block_unref(block);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

static void check_found(struct wb_rma_allocator *pool, size_t bytes)
{
    struct wb_rma_block *block = test_alloc(pool, bytes);
    unsigned char *data = wbi_rma_block_data(block);
    size_t usable = wbi_rma_block_bytes(block);

    ck_assert_ptr_eq(wbi_rma_find(data), block);
    ck_assert_ptr_eq(wbi_rma_find(data + usable / 2), block);
    ck_assert_ptr_eq(wbi_rma_find(data + usable - 1), block);
    ck_assert_ptr_ne(wbi_rma_find(data - 1), block);
    ck_assert_ptr_ne(wbi_rma_find(data + usable), block);
    wbi_rma_block_unref(block);
    ck_assert_ptr_null(wbi_rma_find(data));
}

START_TEST(test_find_by_interior_address)
{
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    struct wb_rma_allocator *other = test_pool(32 * MIB, NULL);
    struct wb_rma_block *low = test_alloc(pool, 100);
    struct wb_rma_block *elsewhere = test_alloc(other, 100);
    void *data = wbi_rma_block_data(low);
    int local;

    for (size_t bytes = 1; bytes <= 9 * MIB; bytes += bytes / 3 + 1)
        check_found(pool, bytes);
    ck_assert_ptr_eq(wbi_rma_block_allocator(wbi_rma_find(data)), pool);
    ck_assert_ptr_eq(wbi_rma_find(wbi_rma_block_data(elsewhere)), elsewhere);
    ck_assert_ptr_null(wbi_rma_find(NULL));
    ck_assert_ptr_null(wbi_rma_find(&local));
    ck_assert_ptr_null(wbi_rma_find(pool));
    ck_assert_ptr_null(wbi_rma_find((void *)UINTPTR_MAX));
    ck_assert_ptr_null(wbi_rma_find((void *)((uintptr_t)data | (uintptr_t)1 << 60)));
    wbi_rma_block_unref(low);
    wbi_rma_block_unref(elsewhere);
    wbi_rma_allocator_destroy(pool);
    ck_assert_ptr_null(wbi_rma_find(data));
    wbi_rma_allocator_destroy(other);
}
END_TEST

START_TEST(test_references_and_leases_are_counted)
{
    struct wb_rma_allocator *pool = test_pool(4 * MIB, NULL);
    struct wb_rma_block *block = test_alloc(pool, 1000);

    ck_assert_uint_eq(test_stats(pool).used_bytes, 1024);
    ck_assert_ptr_eq(wbi_rma_block_ref(block), block);
    wbi_rma_block_lease(block);
    wbi_rma_block_lease(block);
    ck_assert_uint_eq(test_stats(pool).leased_bytes, 1024);
    wbi_rma_block_unref(block);
    wbi_rma_block_unref(block); /* only the leases are left */
    ck_assert_uint_eq(test_stats(pool).blocks, 1);
    wbi_rma_block_unlease(block);
    ck_assert_uint_eq(test_stats(pool).leased_bytes, 1024);
    ck_assert_uint_eq(test_stats(pool).used_bytes, 1024);
    wbi_rma_block_unlease(block);

    struct wb_rma_stats stats = test_stats(pool);
    ck_assert_uint_eq(stats.leased_bytes, 0);
    ck_assert_uint_eq(stats.used_bytes, 0);
    ck_assert_uint_eq(stats.blocks, 0);
    ck_assert_uint_ge(stats.peak_used_bytes, 1024);
    ck_assert_uint_eq(stats.budget_bytes, 4 * MIB);
    ck_assert_uint_eq(stats.slab_bytes, TEST_SLAB_BYTES);
    ck_assert_uint_eq(stats.slabs, 1);
    ck_assert_uint_eq(stats.waits, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_free_memory_is_poisoned)
{
#ifdef WBI_POISONS
    struct wb_rma_allocator *pool = test_pool(32 * MIB, NULL);
    const size_t sizes[] = {64, 1000, 100000, 500000};

    for (unsigned i = 0; i < 4; i++) {
        struct wb_rma_block *block = test_alloc(pool, sizes[i]);
        unsigned char *data = wbi_rma_block_data(block);
        size_t bytes = wbi_rma_block_bytes(block);
        ck_assert_ptr_null(__asan_region_is_poisoned(data, bytes));
        ck_assert(__asan_address_is_poisoned(data + bytes));
        wbi_rma_block_unref(block);
        ck_assert(__asan_address_is_poisoned(data));
        ck_assert(__asan_address_is_poisoned(data + bytes - 1));
    }
    wbi_rma_allocator_destroy(pool);
#endif
}
END_TEST

/* A registrar that keeps the region it was shown. */
static int keep_region(void *context, const struct wbi_region *region, struct wbi_mr **mr)
{
    *(struct wbi_region *)context = *region;
    *mr = context;
    return WB_OK;
}

static void forget_region(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                          void *argument)
{
    ck_assert_ptr_eq((void *)mr, context);
    confirmed(argument);
}

START_TEST(test_regions_are_sealed_aligned_and_not_forked)
{
    enum { SEALS = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };
    struct wbi_region region;
    struct wbi_registrar registrar = {
        .context = &region, .reg = keep_region, .dereg = forget_region};
    struct wbi_rma_config config = {.budget_bytes = 2 * MIB,
                                    .slab_bytes = 2 * MIB,
                                    .registrars = &registrar,
                                    .registrar_count = 1,
                                    .numa_node = 0};
    struct wb_rma_allocator *pool;
    unsigned char resident;

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    struct wb_rma_block *block = test_alloc(pool, 64);
    ck_assert_ptr_eq(wbi_rma_block_region_base(block), region.base);
    ck_assert_ptr_eq((void *)wbi_rma_block_mr(block, 0), &region);
    ck_assert_ptr_null((void *)wbi_rma_block_mr(block, 1));
    ck_assert_ptr_null((void *)wbi_rma_block_mr(block, UINT32_MAX));
    ck_assert_uint_eq((uintptr_t)region.base % (2 * MIB), 0);
    ck_assert_int_eq(fcntl(region.fd, F_GET_SEALS), SEALS);
    ck_assert_int_eq(fcntl(region.fd, F_GETFD), FD_CLOEXEC);
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0),
                     MAP_FAILED);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(mincore(region.base, 1, &resident), 0);
    ck_assert_int_eq(resident & 1, 1);

    ck_assert_uint_eq(test_mapped_slabs(), 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(test_mapped_slabs() == 0 ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    wbi_rma_block_unref(block);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_classes_rise_by_quarters,
                                  test_bins_rise_with_length,
                                  test_long_runs_fit_best,
                                  test_every_size_is_aligned_and_large_enough,
                                  test_blocks_do_not_overlap,
                                  test_freed_runs_merge,
                                  test_pieces_are_too_short,
                                  test_kept_empty_runs_make_way,
                                  test_dedicated_slabs_are_used_again,
                                  test_find_by_interior_address,
                                  test_references_and_leases_are_counted,
                                  test_free_memory_is_poisoned,
                                  test_regions_are_sealed_aligned_and_not_forked};

    return test_run(test_suite("rma blocks", tests, sizeof(tests) / sizeof(*tests), 60));
}
