/* The validator itself: it finds a pool whose books were falsified, and says which sentence broke.
 */
#include <stdlib.h>
#include <string.h>

#include "mr_cache/page_map.h"
#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "tests/mr_cache/rma.h"

/* A pool with a bit of everything, and its parts. */
struct books {
    struct wb_rma_allocator *pool;
    struct wb_rma_block *small, *freed, *large;
    struct wbi_slab *slab;
    struct wbi_run *carved, *free;
};

static void open_books(struct books *books)
{
    books->pool = test_pool_with(16 * MIB, TEST_SLAB_BYTES, WBI_RMA_NO_CACHES, NULL);
    books->small = test_alloc(books->pool, 64);
    books->freed = test_alloc(books->pool, 64);
    books->large = test_alloc(books->pool, 300 << 10);
    books->slab = books->pool->slabs[false];
    books->carved = books->small->run;
    wbi_rma_block_unref(books->freed);
    books->free = &books->slab->runs[books->large->run->first + books->large->run->pages];
    ck_assert_int_eq(books->free->state, WBI_RUN_FREE);
    test_assert_valid(books->pool);
}

static void close_books(struct books *books)
{
    test_assert_valid(books->pool);
    wbi_rma_block_unref(books->small);
    wbi_rma_block_unref(books->large);
    wbi_rma_allocator_destroy(books->pool);
}

static void expect(struct books *books, const char *sentence)
{
    const char *wrong = wbi_rma_validate(books->pool);

    ck_assert_msg(wrong && strcmp(wrong, sentence) == 0, "\"%s\" instead of \"%s\"",
                  wrong ? wrong : "nothing", sentence);
}

/* Adds `by` to a figure, looks, and takes it away again. */
#define falsify(books, figure, by, sentence)                                                       \
    do {                                                                                           \
        (figure) += (by);                                                                          \
        expect(books, sentence);                                                                   \
        (figure) -= (by);                                                                          \
    } while (0)

START_TEST(test_false_figures)
{
    struct books books;
    open_books(&books);
    struct wb_rma_allocator *pool = books.pool;

    falsify(&books, pool->used_bytes, 64, "the used bytes and blocks are those of the runs");
    falsify(&books, pool->blocks, 1, "the used bytes and blocks are those of the runs");
    falsify(&books, pool->charged, 64, "the charged bytes are those of all slabs");
    falsify(&books, pool->idle, 64, "the idle bytes are those of the slabs without a page in use");
    falsify(&books, pool->demands.count, 1, "the demands are counted");
    falsify(&books, pool->empty_runs, 1, "the empty runs are counted");
    falsify(&books, pool->bin_bits[0], 1, "a bin's bit says whether it holds a run");
    falsify(&books, pool->budget_bytes, 0 - 15 * MIB, "the budget holds");
    falsify(&books, books.slab->free_pages, 1, "a slab's free pages are those of its free runs");
    falsify(&books, books.carved->used, 1,
            "used, free and fresh blocks of a run are all of its blocks");
    falsify(&books, books.carved->fresh, 2000, "a run hands out no more blocks than it has");
    falsify(&books, books.carved->block_bytes, 64, "a carved run's blocks fit into its pages");
    void *data = books.small->data;
    books.small->data = books.freed->data;
    expect(&books, "a block knows its run and its place in it");
    books.small->data = data;
    falsify(&books, books.freed->refs, 1, "a block in a free list is not referenced");
    struct wb_rma_block *free_blocks = books.carved->free_blocks;
    books.carved->free_blocks = books.large;
    expect(&books, "a run's free list is a list of its own blocks");
    books.carved->free_blocks = free_blocks;
    falsify(&books, books.large->run->pages, 100, "a run knows its slab and its place in it");
    wbi_page_map_set(books.large->run->base + WBI_PAGE_BYTES, 1, books.carved);
    expect(&books, "every page of a run in use knows its run");
    wbi_page_map_set(books.large->run->base, books.large->run->pages, books.large->run);
    unsigned char *last =
        (unsigned char *)books.slab->region.base + books.slab->region.bytes - WBI_PAGE_BYTES;
    wbi_page_map_set(last, 1, books.carved);
    expect(&books, "a free run's last page knows its run");
    wbi_page_map_set(last, 1, books.free);
    close_books(&books);
}
END_TEST

START_TEST(test_false_lists)
{
    struct books books;
    open_books(&books);
    struct wb_rma_allocator *pool = books.pool;
    unsigned bin = wbi_runs_bin(books.free->pages), class_index = books.carved->class_index;

    pool->bins[bin] = books.carved;
    expect(&books, "a bin holds free runs of its length");
    pool->bins[bin] = NULL;
    pool->bin_bits[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    expect(&books, "every free run is in a bin");
    pool->bins[bin] = books.free;
    pool->bin_bits[bin / 64] |= UINT64_C(1) << bin % 64;

    pool->class_runs[class_index] = NULL;
    expect(&books, "every carved run with room is in its list");
    pool->class_runs[class_index] = books.free;
    expect(&books, "a class's list holds its carved runs with room");
    pool->class_runs[class_index] = books.carved;

    books.large->run->state = WBI_RUN_NONE;
    expect(&books, "a run is free, carved or parked");
    books.large->run->state = WBI_RUN_PARKED;
    pool->used_bytes -= books.large->run->block_bytes;
    pool->blocks--;
    expect(&books, "the parked runs are those of the demands that were served");
    pool->used_bytes += books.large->run->block_bytes;
    pool->blocks++;
    books.large->run->state = WBI_RUN_FREE;
    expect(&books, "two free runs are never neighbours");
    books.large->run->state = WBI_RUN_CARVED;

    wbi_page_map_set(books.free->base + WBI_PAGE_BYTES, 1, NULL);
    expect(&books, "the page map knows the slab");
    wbi_page_map_set(books.free->base + WBI_PAGE_BYTES, 1, books.free);
    close_books(&books);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_false_figures, test_false_lists};

    return test_run(test_suite("rma validate", tests, sizeof(tests) / sizeof(*tests), 60));
}
