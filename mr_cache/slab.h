/* A slab from its making to its last reader: a region, its registrations, and the row of runs in
 * it. */
#ifndef WBI_MR_CACHE_SLAB_H
#define WBI_MR_CACHE_SLAB_H

#include <stdbool.h>
#include <stdint.h>

struct wb_rma_allocator;
struct wbi_loan;
struct wbi_slab;

/* Makes a slab, not registered yet, found by address, and in no list. Maps memory: hold no mutex
 * but the grow_mutex. The caller owns *out. Errors: WB_ERR_NO_MEMORY; *out is untouched. */
int wbi_slab_create(struct wb_rma_allocator *pool, uint64_t bytes, struct wbi_slab **out);

/* The same of memory that the user has lent for it: [base, base + bytes), in multiples of
 * WBI_REGION_ALIGN. Holds `loan`. `fd` is borrowed from the loan's user. */
int wbi_slab_create_lent(struct wb_rma_allocator *pool, struct wbi_loan *loan, void *base,
                         uint64_t bytes, int fd, struct wbi_slab **out);

/*
 * Registers the slab with every registrar of its pool, in order. Hold no mutex but the grow_mutex.
 * On failure returns the registrar's status; slab->registered says how many have it, and
 * wbi_slab_leave undoes them.
 */
int wbi_slab_register(struct wbi_slab *slab);

/* Puts the slab into its pool's list and counts it. The pool's mutex is held. */
void wbi_slab_adopt(struct wbi_slab *slab);

/* Takes an adopted slab, which is idle or whose pool is closed, out of its list and marks it as
 * leaving; it stays counted until wbi_slab_bury. The pool's mutex is held; wbi_slab_leave follows
 * without it. */
void wbi_slab_mark_leaving(struct wbi_slab *slab);

/*
 * Deregisters a slab that is marked as leaving, in reverse order. When the last registrar has
 * confirmed, perhaps before this returns, the slab goes to pool->gone and the worker is woken; of a
 * closed pool, it is freed as soon as no block of it is held. Hold no mutex but the grow_mutex. The
 * slab is the pool's; do not touch it afterwards.
 */
void wbi_slab_leave(struct wbi_slab *slab);

/* Whether the slab has nobody left: of a closed pool, confirmed, and no block held. The pool's
 * mutex is held. */
bool wbi_slab_is_over(const struct wbi_slab *slab);

/* Unmaps and frees a slab that is in no list. Touches no pool. Accepts NULL and half-built ones. */
void wbi_slab_free(struct wbi_slab *slab);

/* Frees a confirmed slab of which no block is held and its share of the budget, and the pool's
 * shell with a closed pool's last slab. No mutex but the grow_mutex is held; wbi_loans_release
 * follows. */
void wbi_slab_bury(struct wbi_slab *slab);

/* Drops one of pool->holders; frees the shell with the last. No mutex is held. */
void wbi_pool_drop_holder(struct wb_rma_allocator *pool);

#endif
