/* Letting slabs go: idle ones for the sake of others, and all of a pool that ends. */
#ifndef WBI_MR_CACHE_SHRINK_H
#define WBI_MR_CACHE_SHRINK_H

#include <stdbool.h>
#include <stdint.h>

struct wb_rma_allocator;
struct wbi_slab;

/* The budget's grow_mutex is held by the callers of all but wbi_shrink_reap. Nobody is on a
 * progress thread. */

/* Deregisters an adopted slab of which no block is held, and frees it unless a peer must let it go
 * first. Its pool's mutex is held at entry and exit, and dropped in between. */
void wbi_shrink_let_go(struct wbi_slab *slab);

/* Lets one idle slab of the pool go, the best for `bytes` of budget; false: there is none. The
 * pool's mutex is held at entry and exit, and dropped in between. */
bool wbi_shrink_by(struct wb_rma_allocator *pool, uint64_t bytes);

/* The same with a slab of another pool of the budget. */
bool wbi_shrink_others(struct wb_rma_allocator *pool, uint64_t bytes);

/* Makes free runs of what the budget's other pools have free in blocks. Locks as above. */
void wbi_shrink_collect_from_others(struct wb_rma_allocator *pool);

/* Frees the slabs of the pool that every registrar has confirmed, and releases loans. No mutex but
 * the grow_mutex. */
void wbi_shrink_reap(struct wb_rma_allocator *pool);

/* Counts a visit to the pool's mutex, which is held. Idle slabs of which none was needed for a long
 * window of visits are to be let go, but for a few: growth costs more than keeping them for a
 * while.
 */
void wbi_shrink_watch(struct wb_rma_allocator *pool);

/* What follows takes the grow_mutex itself. */

/* Lets the slabs go that were found to be too many. */
void wbi_shrink_decay(struct wb_rma_allocator *pool);

/* Lets every idle slab of the pool go; returns their bytes. */
uint64_t wbi_shrink_trim(struct wb_rma_allocator *pool);

/* Closes the pool for good: every slab is deregistered now, whoever holds blocks of it. */
void wbi_shrink_close(struct wb_rma_allocator *pool);

/* Closes the pool gently: slabs of which blocks are held stay registered until those are back; the
 * budget's thread sees them off. */
void wbi_shrink_retire(struct wb_rma_allocator *pool);

/* Lets the idle slabs of a closed pool go, and forgets a pool that has none left. An open pool is
 * left alone. */
void wbi_shrink_see_off(struct wb_rma_allocator *pool);

#endif
