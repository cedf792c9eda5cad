/* Room for a run within the budget: growing, and letting idle slabs go to make way. */
#ifndef WBI_MR_CACHE_GROWTH_H
#define WBI_MR_CACHE_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

struct wb_rma_allocator;
struct wbi_run;

/* A run from the room that there is, or NULL. The pool's mutex is held. */
struct wbi_run *wbi_growth_take(struct wb_rma_allocator *pool, uint64_t run_bytes);

/*
 * A run, growing the pool where there is no room, and letting idle slabs of this and of the
 * budget's other pools go where there is no budget. Not on a progress thread; the mutex is held at
 * entry and exit, and dropped in between; the grow_mutex is held. Errors: WB_AGAIN (blocks, parked
 * runs, claims, or peers that have not let go hold the room, or blocks lie so that no free piece is
 * long enough); WB_ERR_CLOSED; WB_ERR_NO_MEMORY, or a registrar's.
 */
int wbi_growth_make_room(struct wb_rma_allocator *pool, uint64_t run_bytes, struct wbi_run **out);

/* Budget for `bytes` that are not made yet, letting idle slabs go for it; nothing is charged. Locks
 * and errors as make_room. */
int wbi_growth_make_budget(struct wb_rma_allocator *pool, uint64_t bytes);

/* Whether the budget suffices for a run once every slab that is on its way out is gone, claims of
 * other demands aside. The pool's mutex is held. */
bool wbi_growth_is_pending(const struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Whether the budget has a slab for a run left without any that makes way, claims of other demands
 * counted. The pool's mutex is held. */
bool wbi_growth_has_left(const struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Whether trying to grow for a run has a chance: there is budget, counting idle slabs, or a demand
 * of another size holds some that it may lose. The pool's mutex is held. */
bool wbi_growth_is_worthwhile(const struct wb_rma_allocator *pool, uint64_t run_bytes);

#endif
