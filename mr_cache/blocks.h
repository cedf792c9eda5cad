/* Blocks: carved from runs, handed out, taken back. All functions: the pool's mutex is held. */
#ifndef WBI_MR_CACHE_BLOCKS_H
#define WBI_MR_CACHE_BLOCKS_H

#include <stdbool.h>

struct wb_rma_allocator;
struct wb_rma_block;
struct wbi_need;
struct wbi_run;

/* A block of a run that is carved already, without references, or NULL. */
struct wb_rma_block *wbi_blocks_take_carved(struct wb_rma_allocator *pool,
                                            const struct wbi_need *need);

/* Takes `run` (parked), carves it and sets *out to its first block, without references.
 * Errors: WB_ERR_NO_MEMORY; the run is free again and *out untouched. */
int wbi_blocks_carve(struct wb_rma_allocator *pool, const struct wbi_need *need,
                     struct wbi_run *run, struct wb_rma_block **out);

/* Takes back a block without references; a run that is empty becomes free unless it is its class's
 * last one. */
void wbi_blocks_give(struct wb_rma_allocator *pool, struct wb_rma_block *block);

/* Frees the empty runs that were kept for their class; says whether there was one. */
bool wbi_blocks_retire_empty_runs(struct wb_rma_allocator *pool);

#endif
