#include "mr_cache/runs.h"

#include "mr_cache/page_map.h"
#include "mr_cache/pool.h"
#include "mr_cache/worker.h"

enum {
    EXACT_BINS = 63, /* runs of 1 to 63 pages have a bin for each length */
    EXACT_LOG = 6,   /* from 2^6 pages on, */
    BINS_SHIFT = 3   /* 2^3 bins per doubling */
};
_Static_assert(EXACT_BINS + ((14 - EXACT_LOG) << BINS_SHIFT) < WBI_RUN_BINS,
               "the longest run, 2^14 pages in a slab of 1 GiB, has a bin");

unsigned wbi_runs_bin(uint32_t pages)
{
    if (pages <= EXACT_BINS)
        return pages - 1;
    unsigned log = 31 - (unsigned)__builtin_clz(pages);
    unsigned part = (pages >> (log - BINS_SHIFT)) & ((1u << BINS_SHIFT) - 1);
    return EXACT_BINS + ((log - EXACT_LOG) << BINS_SHIFT) + part;
}

void wbi_run_link(struct wbi_run **head, struct wbi_run *run)
{
    run->prev = NULL;
    run->next = *head;
    if (run->next)
        run->next->prev = run;
    *head = run;
}

void wbi_run_unlink(struct wbi_run **head, struct wbi_run *run)
{
    if (run->prev)
        run->prev->next = run->next;
    else
        *head = run->next;
    if (run->next)
        run->next->prev = run->prev;
    run->prev = run->next = NULL;
}

static void bin_link(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    unsigned bin = wbi_runs_bin(run->pages);

    wbi_run_link(&pool->bins[bin], run);
    pool->bin_bits[bin / 64] |= UINT64_C(1) << (bin % 64);
}

static void bin_unlink(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    unsigned bin = wbi_runs_bin(run->pages);

    wbi_run_unlink(&pool->bins[bin], run);
    if (!pool->bins[bin])
        pool->bin_bits[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
}

/* The first bin from `bin` on that has a run, or WBI_RUN_BINS. */
static unsigned next_bin(const struct wb_rma_allocator *pool, unsigned bin)
{
    for (; bin < WBI_RUN_BINS; bin = (bin / 64 + 1) * 64) {
        uint64_t bits = pool->bin_bits[bin / 64] >> (bin % 64);
        if (bits)
            return bin + (unsigned)__builtin_ctzll(bits);
    }
    return WBI_RUN_BINS;
}

/* Writes the descriptor of a free run; dedicated slabs, which are found by their own list, are in
 * no bin. */
static void make_free(struct wb_rma_allocator *pool, struct wbi_slab *slab, uint32_t first,
                      uint32_t pages)
{
    struct wbi_run *run = &slab->runs[first];

    *run = (struct wbi_run){.slab = slab,
                            .base = (unsigned char *)slab->region.base +
                                    ((size_t)first << slab->page_shift),
                            .first = first,
                            .pages = pages,
                            .class_index = WBI_NO_CLASS,
                            .state = WBI_RUN_FREE};
    if (slab->dedicated) /* whose only run all its pages know since it was made */
        return;
    wbi_page_map_set(run->base, 1, run);
    wbi_page_map_set(run->base + ((size_t)(pages - 1) << WBI_PAGE_SHIFT), 1, run);
    bin_link(pool, run);
}

/* Takes a free run out of its bin; its pages are the caller's. */
static void unmake_free(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    if (!run->slab->dedicated)
        bin_unlink(pool, run);
    run->state = WBI_RUN_NONE;
}

/* The smallest idle dedicated slab that fits without wasting half of it. */
static struct wbi_run *find_dedicated(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_slab *best = NULL;

    for (struct wbi_slab *slab = pool->slabs[true]; slab; slab = slab->next) {
        uint64_t bytes = slab->region.bytes;
        if (slab->state == WBI_SLAB_ACTIVE && wbi_slab_idle(slab) && bytes >= run_bytes &&
            bytes / 2 < run_bytes && (!best || bytes < best->region.bytes))
            best = slab;
    }
    return best ? &best->runs[0] : NULL;
}

/* Whether `run` fits better than `best`, which may be NULL: the shorter, and of equal ones the one
 * at the lower address, so that the higher ones are merged and become idle slabs. */
static bool is_better(const struct wbi_run *run, const struct wbi_run *best)
{
    return !best || run->pages < best->pages ||
           (run->pages == best->pages && run->base < best->base);
}

/*
 * The free run of at least `pages` that fits best. A bin of one length, or of few, is searched
 * whole: that is what keeps the pool in few slabs, and there are few runs in one.
 */
static struct wbi_run *find_pages(const struct wb_rma_allocator *pool, uint32_t pages)
{
    struct wbi_run *best = NULL;

    for (unsigned bin = wbi_runs_bin(pages); !best && bin < WBI_RUN_BINS;
         bin = next_bin(pool, bin + 1))
        for (struct wbi_run *run = pool->bins[bin]; run; run = run->next)
            if (run->pages >= pages && is_better(run, best))
                best = run;
    return best;
}

/* The pool has fewer idle bytes than before. */
static void lower_idle(struct wb_rma_allocator *pool, const struct wbi_slab *slab)
{
    pool->idle -= wbi_slab_spare(slab);
    if (pool->idle < pool->idle_low)
        pool->idle_low = pool->idle;
}

void wbi_runs_add(struct wb_rma_allocator *pool, struct wbi_slab *slab)
{
    slab->free_pages = slab->page_count;
    pool->idle += wbi_slab_spare(slab);
    make_free(pool, slab, 0, slab->page_count);
}

void wbi_runs_remove(struct wb_rma_allocator *pool, struct wbi_slab *slab)
{
    lower_idle(pool, slab);
    unmake_free(pool, &slab->runs[0]);
}

struct wbi_run *wbi_runs_take(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    bool dedicated = run_bytes > pool->slab_bytes;
    uint32_t pages = dedicated ? 1 : (uint32_t)(run_bytes >> WBI_PAGE_SHIFT);
    struct wbi_run *run = dedicated ? find_dedicated(pool, run_bytes) : find_pages(pool, pages);

    if (!run)
        return NULL;
    struct wbi_slab *slab = run->slab;
    uint32_t rest = run->pages - pages;
    if (wbi_slab_idle(slab))
        lower_idle(pool, slab);
    unmake_free(pool, run);
    if (rest)
        make_free(pool, slab, run->first + pages, rest);
    run->pages = pages;
    run->state = WBI_RUN_PARKED;
    if (!dedicated)
        wbi_page_map_set(run->base, pages, run);
    slab->free_pages -= pages;
    return run;
}

void wbi_runs_give(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    struct wbi_slab *slab = run->slab;
    uint32_t first = run->first, pages = run->pages, end = first + pages;

    slab->free_pages += pages;
    run->state = WBI_RUN_NONE;
    if (slab->state != WBI_SLAB_ACTIVE) /* the pool is closed: nothing is taken any more */
        return;
    if (wbi_slab_idle(slab)) {
        pool->idle += wbi_slab_spare(slab);
        if (pool->closed) /* it was what a destroyed pool waited for */
            wbi_worker_wake(pool->budget);
    }
    if (first > 0) {
        struct wbi_run *before = wbi_page_map_find(run->base - 1);
        if (before->state == WBI_RUN_FREE) {
            unmake_free(pool, before);
            first = before->first;
        }
    }
    if (end < slab->page_count && slab->runs[end].state == WBI_RUN_FREE) {
        unmake_free(pool, &slab->runs[end]);
        end += slab->runs[end].pages;
    }
    make_free(pool, slab, first, end - first);
}
