#include "mr_cache/blocks.h"

#include <stdlib.h>

#include "mr_cache/checks.h"
#include "mr_cache/runs.h"

static bool is_full(const struct wbi_run *run)
{
    return run->used == run->capacity;
}

/* Takes a block of a carved run that has room. */
static struct wb_rma_block *pop(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    struct wb_rma_block *block;

    if (run->free_blocks) {
        block = run->free_blocks;
        run->free_blocks = block->next;
    } else {
        block = &run->blocks[run->fresh];
        block->run = run;
        block->data = run->base + run->fresh++ * run->block_bytes;
    }
    run->used++;
    pool->blocks++;
    pool->used_bytes += run->block_bytes;
    if (pool->used_bytes > pool->peak_used_bytes)
        pool->peak_used_bytes = pool->used_bytes;
    return block;
}

struct wb_rma_block *wbi_blocks_take_carved(struct wb_rma_allocator *pool,
                                            const struct wbi_need *need)
{
    if (need->class_index == WBI_NO_CLASS)
        return NULL;
    struct wbi_run **head = &pool->class_runs[need->class_index];
    struct wbi_run *run = *head;
    if (!run)
        return NULL;
    if (run->used == 0)
        pool->empty_runs--;
    struct wb_rma_block *block = pop(pool, run);
    if (is_full(run))
        wbi_run_unlink(head, run);
    return block;
}

static void free_descriptors(struct wbi_run *run)
{
    if (run->blocks != &run->only)
        free(run->blocks);
    free(run->notes);
    run->blocks = NULL;
    run->notes = NULL;
}

int wbi_blocks_carve(struct wb_rma_allocator *pool, const struct wbi_need *need,
                     struct wbi_run *run, struct wb_rma_block **out)
{
    if (need->capacity == 1) { /* a dedicated slab, taken again, may be larger than the need */
        run->only = (struct wb_rma_block){0};
        run->blocks = &run->only;
    } else {
        run->blocks = calloc(need->capacity, sizeof(*run->blocks));
    }
    run->notes = pool->checks ? calloc(need->capacity, sizeof(*run->notes)) : NULL;
    if (!run->blocks || (pool->checks && !run->notes)) {
        free_descriptors(run);
        wbi_runs_give(pool, run);
        return WB_ERR_NO_MEMORY;
    }
    run->block_bytes = run->slab->dedicated ? run->slab->region.bytes : need->block_bytes;
    run->capacity = need->capacity;
    run->used = run->fresh = 0;
    run->free_blocks = NULL;
    run->class_index = need->class_index;
    run->cache_serial =
        need->class_index == WBI_NO_CLASS || pool->checks ? WBI_NO_CACHE : pool->serial;
    run->reciprocal = need->reciprocal;
    run->state = WBI_RUN_CARVED;
    *out = pop(pool, run);
    if (!is_full(run))
        wbi_run_link(&pool->class_runs[run->class_index], run);
    return WB_OK;
}

/* Makes an empty carved run, which is in no list, free. */
static void retire(struct wb_rma_allocator *pool, struct wbi_run *run)
{
    free_descriptors(run);
    run->capacity = 0;
    wbi_runs_give(pool, run);
}

void wbi_blocks_give(struct wb_rma_allocator *pool, struct wb_rma_block *block)
{
    struct wbi_run *run = block->run;
    bool was_full = is_full(run);

    block->next = run->free_blocks;
    run->free_blocks = block;
    run->used--;
    pool->blocks--;
    pool->used_bytes -= run->block_bytes;
    if (pool->closed || run->capacity == 1) {
        if (run->used == 0)
            retire(pool, run);
        return;
    }
    struct wbi_run **head = &pool->class_runs[run->class_index];
    if (was_full) {
        wbi_run_link(head, run);
    } else if (run->used == 0 && *head == run && !run->next) {
        pool->empty_runs++; /* kept, so that a single block in use now and then does not carve each
                               time */
    } else if (run->used == 0) {
        wbi_run_unlink(head, run);
        retire(pool, run);
    }
}

bool wbi_blocks_retire_empty_runs(struct wb_rma_allocator *pool)
{
    bool any = pool->empty_runs > 0;

    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        struct wbi_run *run = pool->class_runs[i];
        while (run) {
            struct wbi_run *next = run->next;
            if (run->used == 0) {
                wbi_run_unlink(&pool->class_runs[i], run);
                retire(pool, run);
            }
            run = next;
        }
    }
    pool->empty_runs = 0;
    return any;
}
