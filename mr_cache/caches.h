/* All threads' caches of a pool: who has one, how the bytes are shared, and how others come in. */
#ifndef WBI_MR_CACHE_CACHES_H
#define WBI_MR_CACHE_CACHES_H

#include "mr_cache/cache.h"

/* This thread's cache of a pool, found or made, now in its slot; NULL where the pool is closed or
 * can have none. No mutex is held. */
struct wbi_cache *wbi_caches_obtain(struct wb_rma_allocator *pool);

/*
 * Empties every thread's cache and keeps them empty for a while: the pool is short of room. Says
 * whether something came back. The pool's mutex is held. A thread that is interrupted in the middle
 * of its cache keeps what it has.
 */
bool wbi_caches_press(struct wb_rma_allocator *pool);

/* Counts one visit to the mutex, which is held: in time, caches that are kept empty may fill. */
void wbi_caches_relax(struct wb_rma_allocator *pool);

/* Empties and bars all caches for good. The pool is being closed; its mutex is held. */
void wbi_caches_close(struct wb_rma_allocator *pool);

/* Ends the caches of a pool of which no block is held any more; other threads' memory for them is
 * left to these. No mutex but a grow_mutex is held. */
void wbi_caches_free(struct wb_rma_allocator *pool);

/* Free bytes and blocks in caches, without those of a thread that is interrupted inside its own.
 * The pool's mutex is held. */
struct wbi_cached {
    uint64_t bytes, blocks;
};
struct wbi_cached wbi_caches_sum(struct wb_rma_allocator *pool);

#endif
