/* What can be done with a block that one holds: references, leases, and where it lies. */
#include "mr_cache/cache.h"
#include "mr_cache/checks.h"
#include "mr_cache/page_map.h"

struct wb_rma_block *wbi_rma_block_ref(struct wb_rma_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void wbi_rma_block_unref(struct wb_rma_block *block)
{
    wbi_block_drop(block->run, block);
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
    return block->data;
}

size_t wbi_rma_block_bytes(const struct wb_rma_block *block)
{
    const struct wbi_note *note = wbi_note_of(block);

    return note ? note->asked : block->run->block_bytes;
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
    const struct wbi_run *run = wbi_page_map_find(address);

    struct wb_rma_block *block;

    if ((uintptr_t)address >> 48 || !run || !wbi_run_block_at(run, address, &block))
        return NULL;
    return atomic_load_explicit(&block->refs, memory_order_relaxed) ? block : NULL;
}
