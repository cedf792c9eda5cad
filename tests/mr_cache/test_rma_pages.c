/* The kinds of pages, and the figures: what was asked for, what was had, and the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mr_cache/rma.h"

/* The system's pool of huge pages of a size, and how to change it (as root alone). */
static const char *const pools[] = {
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
    "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages",
};

static long read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[32] = "";

    if (!file)
        return -1;
    long number = fgets(line, sizeof line, file) ? strtol(line, NULL, 10) : -1;
    (void)fclose(file);
    return number;
}

static bool write_number(const char *path, long number)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return false;
    (void)fprintf(file, "%ld\n", number);
    return fclose(file) == 0;
}

static struct wb_rma_allocator *pool_with(enum wb_pages pages, uint64_t slab_bytes,
                                          uint64_t budget_bytes)
{
    struct wbi_rma_config config = {
        .budget_bytes = budget_bytes, .slab_bytes = slab_bytes, .numa_node = -1, .pages = pages};
    struct wb_rma_allocator *pool = NULL;

    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
    struct wb_rma_block *block = test_alloc(pool, 100000);
    test_fill(block, 4);
    test_check_fill(block, 4);
    wbi_rma_block_unref(block);
    return pool;
}

START_TEST(test_none_are_huge_if_none_are_wanted)
{
    struct wb_rma_allocator *pool = pool_with(WB_PAGES_SMALL, 2 * MIB, 4 * MIB);

    ck_assert_uint_eq(test_stats(pool).page_bytes[WB_PAGES_SMALL], 2 * MIB);
    ck_assert_uint_eq(test_stats(pool).huge_page_bytes, 0);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

START_TEST(test_what_cannot_be_had_is_the_next_smaller_kind)
{
    if (read_number(pools[0]) > 0 || read_number(pools[1]) > 0)
        return; /* here it can */
    struct wb_rma_allocator *pool = pool_with(WB_PAGES_1G, 2 * MIB, 4 * MIB);
    struct wb_rma_stats stats = test_stats(pool);
    ck_assert_uint_eq(stats.page_bytes[WB_PAGES_2M] + stats.page_bytes[WB_PAGES_1G], 0);
    ck_assert_uint_eq(stats.page_bytes[WB_PAGES_SMALL] + stats.page_bytes[WB_PAGES_TRANSPARENT],
                      2 * MIB);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

/* With `count` pages more in pool `index`; where that cannot be, nothing is tested. */
static void try_kind(unsigned index, long count, enum wb_pages kind, uint64_t slab_bytes)
{
    long before = read_number(pools[index]);

    if (before < 0 || !write_number(pools[index], before + count) ||
        read_number(pools[index]) < before + count) {
        (void)write_number(pools[index], before);
        return;
    }
    struct wb_rma_allocator *pool = pool_with(kind, slab_bytes, slab_bytes);
    struct wb_rma_stats stats = test_stats(pool);
    wbi_rma_allocator_destroy(pool);
    (void)write_number(pools[index], before);
    ck_assert_uint_eq(stats.page_bytes[kind], slab_bytes);
    ck_assert_uint_eq(stats.huge_page_bytes, slab_bytes);
    ck_assert_int_eq(read_number(pools[index]), before);
}

START_TEST(test_the_pools_of_huge_pages_are_used)
{
    try_kind(0, 4, WB_PAGES_2M, 4 * MIB);
    if (!TEST_SANITIZED)
        try_kind(1, 1, WB_PAGES_1G, 1024 * MIB);
}
END_TEST

START_TEST(test_the_text_says_how_the_pool_stands)
{
    struct wb_rma_allocator *pool = test_pool(16 * MIB, NULL);
    struct wb_rma_block *block = test_alloc(pool, 1000), *large = test_alloc(pool, 3 * MIB);
    char text[4096], cut[16];
    int needed = wb_rma_allocator_text(pool, NULL, 0);

    ck_assert_int_gt(needed, 0);
    ck_assert_int_eq(wb_rma_allocator_text(pool, text, sizeof text), needed);
    ck_assert_uint_eq(strlen(text), (size_t)needed);
    ck_assert_ptr_nonnull(strstr(text, "budget 16777216 bytes\n"));
    ck_assert_ptr_nonnull(strstr(text, "class_1024 1 of 64 blocks held, in 1 runs of pages\n"));
    ck_assert_ptr_nonnull(strstr(text, "large 1 blocks held, of 4194304 bytes\n"));
    ck_assert_ptr_nonnull(strstr(text, "fragmentation 0 %\n"));
    ck_assert_int_eq(wb_rma_allocator_text(pool, cut, sizeof cut), needed);
    ck_assert_uint_eq(strlen(cut), sizeof cut - 1);
    struct wb_rma_stats stats = test_stats(pool);
    ck_assert_uint_eq(stats.used_bytes + stats.cached_bytes + stats.free_bytes +
                          stats.leaving_bytes,
                      stats.slab_bytes);
    ck_assert_uint_eq(stats.registrations, 2);
    ck_assert_uint_eq(stats.registrations_avoided, 0);
    wbi_rma_block_unref(block);
    wbi_rma_block_unref(large);
    wbi_rma_block_unref(test_alloc(pool, 3 * MIB));
    ck_assert_uint_eq(test_stats(pool).registrations_avoided, 1);
    wbi_rma_allocator_destroy(pool);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_none_are_huge_if_none_are_wanted, test_what_cannot_be_had_is_the_next_smaller_kind,
        test_the_pools_of_huge_pages_are_used, test_the_text_says_how_the_pool_stands};

    return test_run(test_suite("rma pages", tests, sizeof(tests) / sizeof(*tests), 60));
}
