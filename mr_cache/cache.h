/*
 * A thread's cache of free blocks of one pool: what makes allocating and freeing cheap. The owner
 * works on it without a lock and without a read-modify-write; others come in by a claim, which is
 * the owner's word against a membarrier of theirs (the biased lock of Kawachiya et al., with the
 * expensive half moved to the side that is rare).
 *
 *     owner:  busy = 1;  if (open_to == pool's number) work;  busy = 0
 *     other:  open_to = 0;  membarrier();  if (!busy) work
 *
 * So one comparison says both that the cache is of the pool and that nobody claims it. A cache's
 * memory is its thread's and outlives its pool: the thread may look at the last one that it used
 * whatever has become of the pool.
 *
 * The block is handed to the owner's cache by whoever frees it, whichever thread it came from; what
 * exceeds a cache's bytes goes back over the pool's list of returns, which is pushed to without a
 * lock and emptied by whoever next holds the pool's mutex.
 */
#ifndef WBI_MR_CACHE_CACHE_H
#define WBI_MR_CACHE_CACHE_H

#include "mr_cache/poison.h"
#include "mr_cache/pool.h"

enum {
    WBI_CACHE_LARGE = 8 /* blocks above the classes that a cache keeps */
};

/* A free block, and where it begins: what allocates waits for no load from the descriptor. */
struct wbi_spare {
    struct wb_rma_block *block; /* NULL before the first */
    void *data;                 /* block->data */
};

/*
 * Invariant: every block in it has refs == 0 and counts in its run's `used`; blocks <= top <= end
 * in each class; reserved <= bytes_limit, but for what is there when that sinks; large_bytes are at
 * most half of it, so that neither kind leaves the other without room. The first part is for
 * whoever is inside: the owner between enter and leave, or the holder of the pool's mutex who
 * claimed it and saw it not busy.
 */
struct wbi_cache {
    /* Of each class an array, whose first entry is NULL: taking from it waits for no load of what
     * lies in it. end grows with use, as tcmalloc's limits. */
    struct wbi_spare *top[WBI_CLASSES];          /* the last block, or the first entry */
    struct wbi_spare *end[WBI_CLASSES];          /* where the last block may be at most */
    struct wbi_spare *blocks[WBI_CLASSES];       /* with room for more than end */
    struct wb_rma_block *large[WBI_CACHE_LARGE]; /* oldest first */
    size_t large_bytes;
    size_t reserved; /* bytes of the classes at their limits, and of large */
    unsigned large_count;
    unsigned victim; /* the class whose limit was lowered last */

    atomic_uint busy;
    atomic_uint_fast64_t open_to; /* the pool's number, or 0: claimed */
    atomic_size_t bytes_limit;
    uint64_t pool_serial; /* of the pool that it is of, or was of last; for the owner */

    /* under the caches' mutex; thread is constant */
    struct wb_rma_allocator *pool; /* or NULL: it has ended */
    uint64_t thread;
    struct wbi_cache *prev, *next; /* in pool->caches */
    struct wbi_cache *older, *younger;
    unsigned char apart[64]; /* from what another thread has next to it */
};

/* The cache that this thread used last, or one that is open to no pool. A pool's number is never
 * used again: the cache of a pool that is gone matches nothing. */
extern _Thread_local struct wbi_cache *wbi_cache_last
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Takes a free block above the classes, of exactly block_bytes, or NULL. */
struct wb_rma_block *wbi_cache_take_large(const struct wb_rma_allocator *pool, size_t block_bytes);

/* Gives back a block without references where the way of wbi_block_give_back is barred. */
void wbi_cache_give_back_slowly(struct wb_rma_block *block);

/* Puts a block into a class that is at its limit: raises that or gives back blocks; and leaves. By
 * its owner, who is inside: nothing of a cache is touched after leaving, since a pool that is
 * destroyed meanwhile ends its caches along with its last block. */
void wbi_cache_overflow(struct wbi_cache *cache, struct wb_rma_block *block);

/* A cache of no pool, or NULL without memory; and its end, when it is empty and in no list. */
struct wbi_cache *wbi_cache_create(void);
void wbi_cache_free(struct wbi_cache *cache);

/* Puts up to a batch of free blocks of a class into this thread's cache, so that the next ones need
 * no mutex. The pool's mutex is held, and not by wbi_caches_press. */
void wbi_cache_refill(struct wb_rma_allocator *pool, const struct wbi_need *need);

/* Takes in what came back without the mutex, which is held. */
void wbi_caches_take_returns(struct wb_rma_allocator *pool);

/* Takes in what came back without the mutex, which is held. Blocks of the class go straight to this
 * thread's cache, as far as there is room, and one of them is returned: what one thread allocates
 * and another frees goes round without being merged and cut again. NULL: none was of the class. */
struct wb_rma_block *wbi_cache_take_returned(struct wb_rma_allocator *pool, unsigned class_index);

/* Empties a cache that its owner is not at, and takes its classes' limits back; says whether
 * something came back. The pool's mutex is held. */
bool wbi_cache_empty(struct wbi_cache *cache);

/* Empties this thread's own cache; says whether something came back. The pool's mutex is held. */
bool wbi_cache_empty_own(struct wb_rma_allocator *pool);

/* Blocks of a class that are there, and that may be there. The caller is inside. */
static inline size_t wbi_cache_count(const struct wbi_cache *cache, unsigned class_index)
{
    return (size_t)(cache->top[class_index] - cache->blocks[class_index]);
}

static inline size_t wbi_cache_limit(const struct wbi_cache *cache, unsigned class_index)
{
    return (size_t)(cache->end[class_index] - cache->blocks[class_index]);
}

static inline void wbi_cache_leave(struct wbi_cache *cache)
{
    atomic_store_explicit(&cache->busy, 0, memory_order_release);
}

/* Whether the owner may work on it, until wbi_cache_leave: it is of the pool with that number, and
 * nobody claims it. */
static inline bool wbi_cache_enter(struct wbi_cache *cache, uint64_t pool_serial)
{
    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    /* The claimer's membarrier makes this a full fence. */
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&cache->open_to, memory_order_acquire) == pool_serial,
                         1))
        return true;
    wbi_cache_leave(cache);
    return false;
}

/* Takes a free block of a class from the cache that this thread used last; .block NULL: none. */
static inline struct wbi_spare wbi_cache_take(const struct wb_rma_allocator *pool,
                                              unsigned class_index)
{
    struct wbi_cache *cache = wbi_cache_last;

    if (!wbi_cache_enter(cache, pool->serial))
        return (struct wbi_spare){0};
    struct wbi_spare *top = cache->top[class_index];
    struct wbi_spare spare = *top;
    if (__builtin_expect(spare.block != NULL, 1))
        cache->top[class_index] = top - 1;
    wbi_cache_leave(cache);
    return spare;
}

/* Makes a free block a held one, with one reference. */
static inline struct wb_rma_block *wbi_block_hand_out(struct wb_rma_block *block)
{
    atomic_store_explicit(&block->refs, 1, memory_order_relaxed);
    wbi_unpoison(block->data, block->run->block_bytes);
    return block;
}

/* Puts a free block of a class, which begins at `data`, into a cache whose owner is inside, and
 * leaves. */
static inline void wbi_cache_put(struct wbi_cache *cache, unsigned class_index,
                                 struct wb_rma_block *block, void *data)
{
    struct wbi_spare *top = cache->top[class_index];

    if (__builtin_expect(top == cache->end[class_index], 0)) {
        wbi_cache_overflow(cache, block);
        return;
    }
    top[1] = (struct wbi_spare){.block = block, .data = data};
    cache->top[class_index] = top + 1;
    wbi_cache_leave(cache);
}

/* Gives back a block of `run`, at `data`, that has lost its last reference. Any thread, no lock but
 * where the pool is short of room. */
static inline void wbi_block_give_back(struct wbi_run *run, struct wb_rma_block *block, void *data)
{
    wbi_poison(data, run->block_bytes);
    struct wbi_cache *cache = wbi_cache_last;
    if (wbi_cache_enter(cache, run->cache_serial))
        wbi_cache_put(cache, run->class_index, block, data);
    else
        wbi_cache_give_back_slowly(block);
}

/* Ends the only reference to a block; says whether it was that. Acquire: what the former holders
 * did comes before the block's next use. The sole holder needs no read-modify-write, for nobody
 * else can take a reference. */
static inline bool wbi_block_end_sole(struct wb_rma_block *block)
{
    if (atomic_load_explicit(&block->refs, memory_order_acquire) != 1)
        return false;
    atomic_store_explicit(&block->refs, 0, memory_order_relaxed);
    return true;
}

/* Drops one reference; gives the block back with the last. */
static inline void wbi_block_drop(struct wbi_run *run, struct wb_rma_block *block)
{
    if (!wbi_block_end_sole(block) &&
        atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) > 1)
        return;
    wbi_block_give_back(run, block, block->data);
}

#endif
