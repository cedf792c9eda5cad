/* One round of the pool's own thread: slabs that are gone are unmapped, demands are tried. */
#ifndef WBI_MR_CACHE_ROUND_H
#define WBI_MR_CACHE_ROUND_H

struct wb_rma_allocator;

/* Not on a progress thread; no mutex is held. Calls on_growth for each demand that ended. */
void wbi_round(struct wb_rma_allocator *pool);

#endif
