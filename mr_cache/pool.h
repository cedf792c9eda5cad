/*
 * The insides of an rma_allocator ("the pool").
 *
 *     slab   one region, known to every registrar of the pool: a row of 64 KiB pages
 *            [ run ][ run             ][ run    ][ run                      ]
 *     run    pages that are free, carved into blocks of one size, or parked for a demand
 *            [ block | block | block |..]
 *     block  what the user gets; its descriptor is in private memory, never in the region
 *
 * A block above slab_bytes has a dedicated slab: one page of its own size, one run, one block.
 */
#ifndef WBI_MR_CACHE_POOL_H
#define WBI_MR_CACHE_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mr_cache/allocator.h"
#include "mr_cache/budget.h"
#include "mr_cache/demand.h"
#include "mr_cache/registrar.h"
#include "mr_cache/size_class.h"

#define WBI_NO_CACHE UINT64_MAX

enum { WBI_RUN_BINS = 128, WBI_NO_CLASS = WBI_CLASSES, WBI_RECIPROCAL_SHIFT = 40 };

/* Held while refs > 0. data = run->base + (place in run->blocks) * run->block_bytes. A lease is one
 * of the refs. `next` links what is free: in its run, in a thread's cache, or on its way back. */
struct wb_rma_block {
    void *data; /* NULL until the block is first handed out */
    struct wbi_run *run;
    struct wb_rma_block *next;
    atomic_uint refs;
    atomic_uint leases;
};

enum wbi_run_state {
    WBI_RUN_NONE, /* this page begins no run */
    WBI_RUN_FREE,
    WBI_RUN_CARVED,
    WBI_RUN_PARKED
};

/*
 * One per page of a slab, valid at the first page of a run. The first line is what freeing by
 * address reads.
 * While a block of the run is held, only prev, next, used, fresh, free_blocks and the blocks
 * change; the rest is then read without the mutex.
 * capacity is 0 unless carved. Invariant when carved: used + (length of free_blocks) + (capacity -
 * fresh) == capacity, where used counts what is held, in a thread's cache, or on its way back.
 */
struct wbi_run {
    unsigned char *base;
    struct wb_rma_block *blocks; /* `capacity` of them: an array of its own, or &only */
    struct wbi_slab *slab;
    size_t block_bytes;
    uint64_t cache_serial; /* the pool's serial, where threads' caches have a list for the blocks;
                              else WBI_NO_CACHE */
    uint64_t reciprocal;   /* offset * reciprocal >> 40 is the place of the block there */
    uint32_t capacity;     /* blocks */
    uint32_t class_index;
    enum wbi_run_state state;

    struct wbi_run *prev, *next; /* in its bin if free; in its class's list if carved with room */
    struct wb_rma_block *free_blocks;
    struct wbi_note *notes; /* of the blocks, where the pool has checks; else NULL */
    uint32_t first, pages;
    uint32_t used;  /* blocks that are not the run's own to give */
    uint32_t fresh; /* blocks that were ever handed out: the others are in no free list */
    struct wb_rma_block only;
};

enum wbi_slab_state {
    WBI_SLAB_ACTIVE,   /* in its pool's list; its free runs can be taken */
    WBI_SLAB_LEAVING,  /* in no list; being deregistered, until every registrar has confirmed */
    WBI_SLAB_CONFIRMED /* nobody but holders of its blocks can read it any more */
};

/*
 * Invariant of an active slab: free_pages + pages of its carved and parked runs == page_count;
 * two free runs are never neighbours; the page map has the run for every page of a run in use, and
 * for the first and last page of a free one.
 */
struct wbi_loan;

struct wbi_slab {
    struct wbi_region region;
    struct wb_rma_allocator *pool;
    struct wbi_slab *prev, *next; /* in pool->slabs; next also in pool->gone, and in destroy */
    struct wbi_slab *left_prev, *left_next; /* in pool->left */
    struct wbi_mr *mrs[WBI_RMA_MAX_REGISTRARS];
    unsigned registered; /* of mrs */
    unsigned awaiting;   /* confirmations, plus one for the thread that asks for them */
    unsigned page_shift;
    uint32_t page_count;
    uint32_t free_pages;
    enum wbi_slab_state state;
    bool dedicated;
    bool mapped; /* in the page map */
    enum wb_pages pages;
    bool pinned;           /* registered with a registrar that pins */
    struct wbi_loan *loan; /* the user's memory, in which it lies; or NULL */
    struct wbi_run *runs;  /* page_count of them */
};

/* What a request needs: one block of block_bytes, carved `capacity` to a run of run_bytes. */
struct wbi_need {
    uint64_t run_bytes;
    size_t block_bytes;
    uint64_t reciprocal; /* of a run: see there */
    uint32_t capacity;
    uint32_t class_index; /* or WBI_NO_CLASS: a run with a single block */
};

/*
 * Lock order: the budget's grow_mutex, mutex, the budget's mutex. The mutex is held for short,
 * bounded work; never while a slab is mapped, registered or unmapped, and never in a call of the
 * user's.
 * Invariant: charged == bytes of the slabs in `slabs` + leaving + growing <= budget_bytes, where
 * leaving counts slabs that are not active and not unmapped yet, and growing the slab that is being
 * made; idle == bytes of active slabs with every page free, but for lent ones.
 */
struct wb_rma_allocator {
    /* constant */
    uint64_t serial; /* of the process's pools, from 1 on; never used again */
    uint64_t budget_bytes;
    uint64_t slab_bytes;
    struct wbi_registrar registrars[WBI_RMA_MAX_REGISTRARS];
    unsigned registrar_count;
    int numa_node;
    enum wb_pages pages;
    void (*on_growth)(void *context);
    bool (*shed)(void *context);
    int (*check_region)(void *context, uint32_t devices, uint64_t piece, uint64_t total);
    void *context;
    struct wbi_need classes[WBI_CLASSES];

    struct wbi_budget *budget; /* shared with the engine's other pools; one reference */
    bool owns_budget;          /* alone in it: it ends with the pool */
    bool borrowed;             /* its users may not destroy it: the engine's own */
    bool lent_only;            /* it makes no slabs: all it has is regions of the user's */
    enum wb_rma_checks checks;
    uint64_t reserve_bytes; /* of the budget, not for wbi_pool_alloc on a user's thread */
    uint32_t devices;       /* for wbi_region.devices of its slabs */
    uint64_t largest_bytes; /* of a slab: what the budget and every registrar allow */

    pthread_mutex_t mutex; /* guards what follows */

    struct wbi_run *class_runs[WBI_CLASSES]; /* carved and with room, at most one empty each */
    atomic_uint empty_runs;                  /* how many of these are empty */
    struct wbi_run *bins[WBI_RUN_BINS];      /* free runs of ordinary slabs by length */
    uint64_t bin_bits[WBI_RUN_BINS / 64];    /* which bins are not empty */
    struct wbi_slab *slabs[2];               /* ordinary, dedicated */
    struct wbi_slab *gone;                   /* confirmed by every registrar, to be unmapped */
    struct wbi_slab *left; /* of a closed pool, on their way out: who holds blocks of them? */
    atomic_uint_fast64_t charged; /* bytes; read by other pools of the budget, too */
    uint64_t growing;
    /* Changed under the mutex, and read by the other pools of the budget without it. */
    atomic_uint_fast64_t slab_count, leaving, idle,
        claimed; /* claimed: by demands that wait for `leaving` */

    atomic_uint_fast64_t used_bytes; /* read by other pools of the budget, too */
    uint64_t peak_used_bytes, blocks, registrations, waits;
    uint64_t pinned_bytes, lent_bytes, page_bytes[WB_PAGES_KINDS], allocations;
    atomic_uint_fast64_t leased_bytes, quarantined_bytes; /* not under the mutex, */
    atomic_uint operations;                               /* nor is this */

    uint64_t idle_low;  /* the least of idle since the last window of visits began, */
    uint64_t visits;    /* allocations and returns that came to the mutex, */
    uint64_t to_shrink; /* and bytes of idle slabs that the worker is to let go */

    _Atomic(struct wb_rma_block *) returns; /* on their way back: pushed without the mutex */
    struct wbi_cache *caches;               /* of the threads: see cache.h */
    atomic_uint cache_count, pressed; /* pressed: visits to the mutex for which the caches still
                                         stay empty; both are read by other pools of the budget */
    bool kept;                        /* a cache was not emptied then, since its owner was inside */
    uint64_t cache_bytes;             /* that all caches may hold together */

    struct wbi_demands demands;

    struct wb_rma_allocator *next_member; /* under the budget's mutex */
    uint64_t member;                      /* its number in the budget, constant once it is there */

    atomic_bool
        closed; /* nothing is taken or grown any more; what is left waits for its last holders */
    atomic_uint_fast64_t holders; /* slabs + 1 until destroyed + 1 in the budget's list + visitors;
                                     the shell is freed at 0 */
};

/* What to do for a request that finds no room. */
enum wbi_growth {
    WBI_GROWTH_NONE,       /* answer WB_AGAIN */
    WBI_GROWTH_LEFT,       /* as the next, where the budget has a slab left: none makes way */
    WBI_GROWTH_BACKGROUND, /* ask the worker to grow, and answer WB_AGAIN */
    WBI_GROWTH_FIRST,      /* likewise, and what others have not fetched makes way, too */
    WBI_GROWTH_HERE        /* grow on this thread; not on a progress thread */
};

/* What a public call on this thread does: see wbi_rma_thread_may_grow. */
enum wbi_growth wbi_growth_of_this_thread(void);

/* What the program's own allocations do: as wbi_rma_alloc, for all three kinds of growth, and with
 * WBI_GROWTH_HERE the pool's reserve stays unused. Any thread. Errors: as wbi_rma_alloc. */
int wbi_pool_alloc(struct wb_rma_allocator *pool, size_t bytes, enum wbi_growth growth,
                   struct wb_rma_block **out);

/* Whether a block of `bytes` fits into the budget of an otherwise empty pool. Any thread. */
bool wbi_pool_can_ever_fit(const struct wb_rma_allocator *pool, size_t bytes);

/* Bytes of the slab that is made for a run of `run_bytes`. */
static inline uint64_t wbi_pool_slab_for(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    return run_bytes > pool->slab_bytes ? run_bytes : pool->slab_bytes;
}

/* Sets *block to the descriptor of the place of a run at which `address` is, whether or not a block
 * is held there. False for a run that is not carved, the rest of one in which no block fits, or an
 * address behind it. */
static inline bool wbi_run_block_at(const struct wbi_run *run, const void *address,
                                    struct wb_rma_block **block)
{
    uint64_t offset = (uint64_t)((const unsigned char *)address - run->base);
    uint32_t place = (uint32_t)(offset * run->reciprocal >> WBI_RECIPROCAL_SHIFT);

    if (place >= run->capacity)
        return false;
    *block = &run->blocks[place];
    return true;
}

static inline bool wbi_slab_idle(const struct wbi_slab *slab)
{
    return slab->free_pages == slab->page_count;
}

/* What an idle slab adds to pool->idle: a lent one is not to be given up for others. */
static inline uint64_t wbi_slab_spare(const struct wbi_slab *slab)
{
    return slab->loan ? 0 : slab->region.bytes;
}

/* Whether blocks have taken of what is kept for arrivals and replies: then threads keep nothing in
 * their caches, for what a cache gives is not looked at. The mutex is held. */
static inline bool wbi_pool_in_reserve(const struct wb_rma_allocator *pool)
{
    return pool->reserve_bytes && pool->used_bytes > pool->budget_bytes - pool->reserve_bytes;
}

/* Bytes of slabs that no block takes. For other pools of the budget: without the mutex. */
static inline uint64_t wbi_pool_unused(const struct wb_rma_allocator *pool)
{
    uint64_t used = pool->used_bytes, charged = pool->charged;

    return charged > used ? charged - used : 0;
}

/* Bytes that other pools of the budget leave to this one, so that it can have its reserve. */
static inline uint64_t wbi_pool_reserved(const struct wb_rma_allocator *pool)
{
    uint64_t unused = wbi_pool_unused(pool);

    return unused < pool->reserve_bytes && !pool->closed ? pool->reserve_bytes - unused : 0;
}

/* Whether the pool may have room that it would only have to collect: empty runs, or free blocks
 * with threads or on their way back. For other pools of the budget. */
static inline bool wbi_pool_may_collect(const struct wb_rma_allocator *pool)
{
    return pool->empty_runs || atomic_load_explicit(&pool->returns, memory_order_relaxed) ||
           (pool->cache_count && !pool->pressed);
}

/* Bytes of idle slabs that other pools of the budget may have: the reserve stays. */
static inline uint64_t wbi_pool_can_spare(const struct wb_rma_allocator *pool)
{
    uint64_t idle = pool->idle, unused = wbi_pool_unused(pool), reserve = pool->reserve_bytes;
    uint64_t above = unused > reserve ? unused - reserve : 0;

    return idle < above ? idle : above;
}

#endif
