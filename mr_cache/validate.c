#include "mr_cache/validate.h"

#include "mr_cache/page_map.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/runs.h"

/* What the walk over the slabs adds up. */
struct sums {
    uint64_t slab_bytes, idle_bytes, used_bytes, blocks;
    uint64_t free_runs, listed_runs, empty_runs, parked_runs;
};

/* Whether the block is found by its address. */
static bool is_at(const struct wbi_run *run, const struct wb_rma_block *block)
{
    struct wb_rma_block *found;

    return wbi_run_block_at(run, block->data, &found) && found == block;
}

static const char *check_blocks(const struct wbi_run *run, struct sums *sums)
{
    uint32_t free_blocks = 0, held = 0;

    if (run->capacity == 0 || run->capacity * run->block_bytes > (size_t)run->pages
                                                                     << run->slab->page_shift)
        return "a carved run's blocks fit into its pages";
    if (run->fresh > run->capacity)
        return "a run hands out no more blocks than it has";
    for (const struct wb_rma_block *block = run->free_blocks; block; block = block->next) {
        if (block < run->blocks || block >= run->blocks + run->fresh ||
            ++free_blocks > run->capacity)
            return "a run's free list is a list of its own blocks";
        if (atomic_load_explicit(&block->refs, memory_order_relaxed))
            return "a block in a free list is not referenced";
    }
    for (uint32_t i = 0; i < run->fresh; i++) {
        const struct wb_rma_block *block = &run->blocks[i];
        held += atomic_load_explicit(&block->refs, memory_order_relaxed) > 0;
        if (block->run != run || block->data != run->base + i * run->block_bytes ||
            !is_at(run, block))
            return "a block knows its run and its place in it";
    }
    if (run->used + free_blocks + (run->capacity - run->fresh) != run->capacity)
        return "used, free and fresh blocks of a run are all of its blocks";
    if (held > run->used) /* fewer: some are in threads' caches, or on their way back */
        return "no referenced block is free";
    sums->blocks += run->used;
    sums->used_bytes += run->used * run->block_bytes;
    sums->listed_runs += run->used < run->capacity;
    sums->empty_runs += run->used == 0;
    return NULL;
}

static size_t bytes_of(const struct wbi_run *run)
{
    return run->slab->dedicated ? run->slab->region.bytes : (size_t)run->pages << WBI_PAGE_SHIFT;
}

static const struct wbi_run *last_of(const struct wbi_run *run)
{
    return wbi_page_map_find(run->base + bytes_of(run) - WBI_PAGE_BYTES);
}

static const char *check_run(const struct wbi_run *run, bool after_free, struct sums *sums)
{
    const struct wbi_slab *slab = run->slab;

    if (run->state == WBI_RUN_FREE) {
        if (after_free)
            return "two free runs are never neighbours";
        sums->free_runs += !slab->dedicated;
        return last_of(run) == run ? NULL : "a free run's last page knows its run";
    }
    for (size_t at = 0; at < bytes_of(run); at += WBI_PAGE_BYTES)
        if (wbi_page_map_find(run->base + at) != run)
            return "every page of a run in use knows its run";
    if (run->state == WBI_RUN_CARVED)
        return check_blocks(run, sums);
    sums->parked_runs++;
    return run->state == WBI_RUN_PARKED ? NULL : "a run is free, carved or parked";
}

static const char *check_slab(const struct wbi_slab *slab, struct sums *sums)
{
    const unsigned char *base = slab->region.base;
    uint32_t free_pages = 0;
    bool after_free = false;

    if (slab->state != WBI_SLAB_ACTIVE)
        return "slabs in the pool's list are active";
    if ((uintptr_t)base % WBI_REGION_ALIGN || slab->region.bytes % WBI_REGION_ALIGN)
        return "a slab is aligned to 2 MiB";
    for (size_t at = 0; at < slab->region.bytes; at += WBI_PAGE_BYTES) {
        const struct wbi_run *run = wbi_page_map_find(base + at);
        if (!run || run < slab->runs || run >= slab->runs + slab->page_count)
            return "the page map knows the slab";
    }
    for (uint32_t page = 0; page < slab->page_count;) {
        const struct wbi_run *run = &slab->runs[page];
        if (run->slab != slab || run->first != page || run->pages == 0 ||
            run->pages > slab->page_count - page ||
            run->base != base + ((size_t)page << slab->page_shift))
            return "a run knows its slab and its place in it";
        const char *wrong = check_run(run, after_free, sums);
        if (wrong)
            return wrong;
        after_free = run->state == WBI_RUN_FREE;
        free_pages += after_free ? run->pages : 0;
        page += run->pages;
    }
    sums->slab_bytes += slab->region.bytes;
    sums->idle_bytes += free_pages == slab->page_count ? wbi_slab_spare(slab) : 0;
    return free_pages == slab->free_pages ? NULL : "a slab's free pages are those of its free runs";
}

/* Counts the runs of a list: UINT64_MAX if one of them does not belong there. */
static uint64_t count_bin(const struct wb_rma_allocator *pool, unsigned bin)
{
    uint64_t count = 0;

    for (const struct wbi_run *run = pool->bins[bin]; run; run = run->next, count++)
        if (run->state != WBI_RUN_FREE || wbi_runs_bin(run->pages) != bin ||
            (run->next && run->next->prev != run))
            return UINT64_MAX;
    return count;
}

static uint64_t count_class(const struct wb_rma_allocator *pool, unsigned class_index)
{
    uint64_t count = 0;

    for (const struct wbi_run *run = pool->class_runs[class_index]; run; run = run->next, count++)
        if (run->state != WBI_RUN_CARVED || run->class_index != class_index ||
            run->used == run->capacity || run->block_bytes != wbi_class_bytes(class_index) ||
            (run->next && run->next->prev != run))
            return UINT64_MAX;
    return count;
}

static const char *check_lists(const struct wb_rma_allocator *pool, const struct sums *sums)
{
    uint64_t in_bins = 0, in_classes = 0;

    for (unsigned bin = 0; bin < WBI_RUN_BINS; bin++) {
        uint64_t count = count_bin(pool, bin);
        if (count == UINT64_MAX)
            return "a bin holds free runs of its length";
        if ((count > 0) != ((pool->bin_bits[bin / 64] >> (bin % 64)) & 1))
            return "a bin's bit says whether it holds a run";
        in_bins += count;
    }
    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        uint64_t count = count_class(pool, i);
        if (count == UINT64_MAX)
            return "a class's list holds its carved runs with room";
        in_classes += count;
    }
    if (in_bins != sums->free_runs)
        return "every free run is in a bin";
    return in_classes == sums->listed_runs ? NULL : "every carved run with room is in its list";
}

static const char *check_figures(const struct wb_rma_allocator *pool, const struct sums *sums)
{
    unsigned parked = 0, demands = 0;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        parked += pool->demands.entries[i].state == WBI_DEMAND_PARKED;
        demands += pool->demands.entries[i].state != WBI_DEMAND_NONE;
    }
    if (demands != pool->demands.count)
        return "the demands are counted";
    if (sums->slab_bytes + pool->leaving + pool->growing != pool->charged)
        return "the charged bytes are those of all slabs";
    if (pool->charged > pool->budget_bytes)
        return "the budget holds";
    if (sums->idle_bytes != pool->idle)
        return "the idle bytes are those of the slabs without a page in use";
    if (sums->used_bytes != pool->used_bytes || sums->blocks != pool->blocks)
        return "the used bytes and blocks are those of the runs";
    if (sums->empty_runs != pool->empty_runs)
        return "the empty runs are counted";
    if (sums->parked_runs != parked)
        return "the parked runs are those of the demands that were served";
    return pool->used_bytes <= pool->peak_used_bytes ? NULL : "the peak is the largest use";
}

static const char *check_pool(const struct wb_rma_allocator *pool)
{
    struct sums sums = {0};

    if (pool->closed)
        return "the pool is open";
    for (unsigned kind = 0; kind < 2; kind++) {
        for (const struct wbi_slab *slab = pool->slabs[kind]; slab; slab = slab->next) {
            const char *wrong = check_slab(slab, &sums);
            if (wrong)
                return wrong;
        }
    }
    const char *wrong = check_lists(pool, &sums);
    return wrong ? wrong : check_figures(pool, &sums);
}

const char *wbi_rma_validate(struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&pool->mutex);
    const char *wrong = check_pool(pool);
    pthread_mutex_unlock(&pool->mutex);
    return wrong;
}
