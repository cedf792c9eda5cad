/* What can be done with a block that one holds: references, leases, and where it lies. */
#include "mr_cache/address_map.h"
#include "mr_cache/blocks.h"
#include "mr_cache/pool.h"
#include "mr_cache/slab.h"

struct wb_rma_block *wbi_rma_block_ref(struct wb_rma_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void wbi_rma_block_unref(struct wb_rma_block *block)
{
    /* Release: what this holder did comes before the block's next use. Acquire: so does what the
     * others did. */
    if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct wbi_slab *slab = block->run->slab;
    struct wb_rma_allocator *pool = slab->pool;
    pthread_mutex_lock(&pool->mutex);
    wbi_blocks_give(pool, block);
    bool over = wbi_slab_is_over(slab);
    pthread_mutex_unlock(&pool->mutex);
    if (over)
        wbi_slab_bury(slab);
}

void wbi_rma_block_lease(struct wb_rma_block *block)
{
    wbi_rma_block_ref(block);
    if (atomic_fetch_add_explicit(&block->leases, 1, memory_order_relaxed) == 0)
        atomic_fetch_add_explicit(&block->run->slab->pool->leased_bytes, block->run->block_bytes,
                                  memory_order_relaxed);
}

void wbi_rma_block_unlease(struct wb_rma_block *block)
{
    if (atomic_fetch_sub_explicit(&block->leases, 1, memory_order_relaxed) == 1)
        atomic_fetch_sub_explicit(&block->run->slab->pool->leased_bytes, block->run->block_bytes,
                                  memory_order_relaxed);
    wbi_rma_block_unref(block);
}

void wbi_rma_block_quarantine(struct wb_rma_block *block, uint64_t bytes)
{
    atomic_fetch_add_explicit(&block->run->slab->pool->quarantined_bytes, bytes,
                              memory_order_relaxed);
}

void wbi_rma_block_unquarantine(struct wb_rma_block *block, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&block->run->slab->pool->quarantined_bytes, bytes,
                              memory_order_relaxed);
}

void *wbi_rma_block_data(const struct wb_rma_block *block)
{
    return block->run->base + block->index * block->run->block_bytes;
}

size_t wbi_rma_block_bytes(const struct wb_rma_block *block)
{
    return block->run->block_bytes;
}

struct wb_rma_allocator *wbi_rma_block_allocator(const struct wb_rma_block *block)
{
    return block->run->slab->pool;
}

struct wbi_mr *wbi_rma_block_mr(const struct wb_rma_block *block, unsigned index)
{
    return index < WBI_RMA_MAX_REGISTRARS ? block->run->slab->mrs[index] : NULL;
}

void *wbi_rma_block_region_base(const struct wb_rma_block *block)
{
    return block->run->slab->region.base;
}

struct wb_rma_block *wbi_rma_find(const void *address)
{
    const struct wbi_slab *slab = wbi_address_map_find(address);

    if (!slab)
        return NULL;
    size_t offset = (size_t)((const unsigned char *)address - (unsigned char *)slab->region.base);
    uint32_t first =
        atomic_load_explicit(&slab->first_of[offset >> slab->page_shift], memory_order_relaxed);
    const struct wbi_run *run = &slab->runs[first];
    if (run->state != WBI_RUN_CARVED)
        return NULL;
    size_t index = (offset - ((size_t)first << slab->page_shift)) / run->block_bytes;
    if (index >= run->capacity) /* the rest of a run that no block fits in, or a page freed since */
        return NULL;
    struct wb_rma_block *block = &run->blocks[index];
    return atomic_load_explicit(&block->refs, memory_order_relaxed) ? block : NULL;
}
