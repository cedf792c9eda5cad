#include "mr_cache/caches.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    CACHE_SLOTS = 8,
    CACHE_MAX_BYTES = 8 << 20,
    PRESS_VISITS = 256, /* to the mutex, for which caches stay empty */
    PRESS_SPINS = 1000  /* for an owner to come out */
};

/* A thread's caches by the numbers of their pools, of which few meet in one slot. All zero is of no
 * pool. */
struct slot {
    uint64_t pool_serial;
    struct wbi_cache *cache;
};
static _Thread_local struct slot slots[CACHE_SLOTS];

/* Of threads that have none: it is never open. */
static struct wbi_cache none;
_Thread_local struct wbi_cache *wbi_cache_last = &none;

/* All caches of the process, and who is who. Lock order: caches_mutex, a pool's mutex. */
static pthread_mutex_t caches_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct wbi_cache *youngest;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static bool usable; /* without membarrier nobody could claim, so there are no caches */
static atomic_uint_fast64_t last_thread;
static _Thread_local uint64_t this_thread;

static bool membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* ---- into another thread's cache: the pool's mutex is held ---- */

static void set_claims(struct wb_rma_allocator *pool, bool claimed)
{
    for (struct wbi_cache *cache = pool->caches; cache; cache = cache->next)
        atomic_store_explicit(&cache->open_to, claimed ? 0 : pool->serial, memory_order_release);
}

/* Lets the owners in again, unless the pool is short of room or at its end. */
static void unclaim(struct wb_rma_allocator *pool)
{
    if (!pool->pressed && !pool->closed)
        set_claims(pool, false);
}

static bool is_out(const struct wbi_cache *cache)
{
    return !atomic_load_explicit(&cache->busy, memory_order_acquire);
}

/* Claims all caches; false where the kernel refuses the fence: then no owner can be known to be
 * out.
 */
static bool claim_all(struct wb_rma_allocator *pool)
{
    set_claims(pool, true);
    return !pool->caches || membarrier();
}

/* Whether a claimed cache's owner is out, after a moment: it may have been interrupted inside. */
static bool comes_out(const struct wbi_cache *cache)
{
    for (unsigned spins = 0; !is_out(cache) && spins < PRESS_SPINS; spins++)
        sched_yield();
    return is_out(cache);
}

/* Empties all caches, which are claimed; one whose owner does not come out keeps what it has. */
static bool empty_claimed(struct wb_rma_allocator *pool)
{
    bool any = false;

    pool->kept = false;
    for (struct wbi_cache *cache = pool->caches; cache; cache = cache->next) {
        if (comes_out(cache))
            any |= wbi_cache_empty(cache);
        else
            pool->kept = true;
    }
    wbi_caches_take_returns(pool); /* what an owner pushed while it was waited for */
    return any;
}

/* ---- finding and making caches ---- */

/* Shares the bytes for caches among those that there are. Both mutexes are held. */
static void share_limit(struct wb_rma_allocator *pool)
{
    size_t share = pool->cache_count ? pool->cache_bytes / pool->cache_count : 0, former = 0;

    share = share < CACHE_MAX_BYTES ? share : CACHE_MAX_BYTES;
    for (struct wbi_cache *cache = pool->caches; cache; cache = cache->next) {
        size_t limit = atomic_load_explicit(&cache->bytes_limit, memory_order_relaxed);
        former = limit > former ? limit : former;
        atomic_store_explicit(&cache->bytes_limit, share, memory_order_relaxed);
    }
    if (share < former && !pool->closed) { /* some may have more than their share */
        if (claim_all(pool))
            (void)empty_claimed(pool);
        unclaim(pool);
    }
}

/* Puts a cache into its thread's list, which is one with all other threads', and out of it. The
 * caches_mutex is held. */
static void enter_thread(struct wbi_cache *cache)
{
    cache->older = youngest;
    if (youngest)
        youngest->younger = cache;
    youngest = cache;
}

static void leave_thread(struct wbi_cache *cache)
{
    if (cache->younger)
        cache->younger->older = cache->older;
    else
        youngest = cache->older;
    if (cache->older)
        cache->older->younger = cache->younger;
}

/* Makes a cache one of the pool, and of none. Both mutexes are held; at the second the pool's may
 * be no more. */
static void enter_pool(struct wbi_cache *cache, struct wb_rma_allocator *pool)
{
    cache->pool = pool;
    cache->pool_serial = pool->serial;
    cache->prev = NULL;
    cache->next = pool->caches;
    if (cache->next)
        cache->next->prev = cache;
    pool->caches = cache;
    pool->cache_count++;
    share_limit(pool);
    atomic_store_explicit(&cache->open_to, pool->pressed ? 0 : pool->serial, memory_order_release);
}

static void leave_pool(struct wbi_cache *cache)
{
    if (cache->prev)
        cache->prev->next = cache->next;
    else
        cache->pool->caches = cache->next;
    if (cache->next)
        cache->next->prev = cache->prev;
    cache->pool->cache_count--;
    cache->pool = NULL;
    atomic_store_explicit(&cache->open_to, 0, memory_order_release);
    atomic_store_explicit(&cache->bytes_limit, 0, memory_order_relaxed);
}

/* A thread that ends gives back what it has of a pool. The caches_mutex is held. */
static void give_up(struct wbi_cache *cache)
{
    struct wb_rma_allocator *pool = cache->pool;

    pthread_mutex_lock(&pool->mutex);
    (void)wbi_cache_empty(cache);
    leave_pool(cache);
    share_limit(pool);
    pthread_mutex_unlock(&pool->mutex);
}

/* A thread ends: what it has cached goes back. */
static void leave_all(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&caches_mutex);
    for (struct wbi_cache *cache = youngest, *older; cache; cache = older) {
        older = cache->older;
        if (cache->thread != this_thread)
            continue;
        if (cache->pool)
            give_up(cache);
        leave_thread(cache);
        wbi_cache_free(cache);
    }
    pthread_mutex_unlock(&caches_mutex);
    memset(slots, 0, sizeof slots); /* what ends later may still free blocks */
    wbi_cache_last = &none;
}

static void set_up(void)
{
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    if (commands < 0 || !(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
        return;
    usable = pthread_key_create(&exit_key, leave_all) == 0;
}

/* Both mutexes are held. */
static struct wbi_cache *find(const struct wb_rma_allocator *pool)
{
    for (struct wbi_cache *cache = pool->caches; cache; cache = cache->next)
        if (cache->thread == this_thread)
            return cache;
    return NULL;
}

/* One of this thread's that a pool which has ended has left, or a new one; NULL without memory,
 * which costs time only. The caches_mutex is held. */
static struct wbi_cache *find_left_or_make(void)
{
    struct wbi_cache *cache = youngest;

    while (cache && (cache->pool || cache->thread != this_thread))
        cache = cache->older;
    if (cache)
        return cache;
    cache = wbi_cache_create();
    if (cache) {
        cache->thread = this_thread;
        enter_thread(cache);
    }
    return cache;
}

/* Under both mutexes: this thread's cache of an open pool, or NULL. */
static struct wbi_cache *find_or_make(struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&caches_mutex);
    pthread_mutex_lock(&pool->mutex);
    struct wbi_cache *cache = pool->closed ? NULL : find(pool);
    if (!cache && !pool->closed) {
        cache = find_left_or_make();
        if (cache)
            enter_pool(cache, pool);
    }
    pthread_mutex_unlock(&pool->mutex);
    pthread_mutex_unlock(&caches_mutex);
    return cache;
}

struct wbi_cache *wbi_caches_obtain(struct wb_rma_allocator *pool)
{
    struct slot *slot = &slots[pool->serial % CACHE_SLOTS];

    if (slot->pool_serial != pool->serial) {
        (void)pthread_once(&once, set_up);
        if (!usable || !pool->cache_bytes)
            return NULL;
        if (!this_thread)
            this_thread = atomic_fetch_add_explicit(&last_thread, 1, memory_order_relaxed) + 1;
        if (pthread_setspecific(exit_key, slots))
            return NULL;
        struct wbi_cache *cache = find_or_make(pool);
        if (!cache)
            return NULL;
        *slot = (struct slot){.pool_serial = pool->serial, .cache = cache};
    }
    wbi_cache_last = slot->cache;
    return slot->cache;
}

/* ---- the pool is short of room, or ends: its mutex is held ---- */

bool wbi_caches_press(struct wb_rma_allocator *pool)
{
    if (!pool->caches)
        return false;
    if (pool->pressed) /* all are claimed and empty, but for those that were kept */
        return pool->kept && empty_claimed(pool);
    if (!claim_all(pool)) {
        unclaim(pool);
        return false;
    }
    pool->pressed = PRESS_VISITS;
    return empty_claimed(pool);
}

void wbi_caches_relax(struct wb_rma_allocator *pool)
{
    if (pool->closed)
        return;
    if (wbi_pool_in_reserve(pool))
        (void)wbi_caches_press(pool);
    else if (pool->pressed && --pool->pressed == 0)
        set_claims(pool, false);
}

void wbi_caches_close(struct wb_rma_allocator *pool)
{
    const struct timespec moment = {.tv_nsec = 1000000}; /* 1 ms */

    if (!claim_all(pool)) /* long enough for any store to be seen; there is nothing better */
        (void)nanosleep(&moment, NULL);
    for (struct wbi_cache *cache = pool->caches; cache; cache = cache->next) {
        /* It is inside for a few instructions, but may have to wait for this very CPU. */
        while (!comes_out(cache))
            (void)nanosleep(&moment, NULL);
        (void)wbi_cache_empty(cache);
    }
    wbi_caches_take_returns(pool);
}

void wbi_caches_free(struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&caches_mutex);
    while (pool->caches) {
        struct wbi_cache *cache = pool->caches;
        leave_pool(cache);
        if (cache->thread != this_thread)
            continue; /* it is for the next pool that its thread uses, or ends with that */
        if (wbi_cache_last == cache)
            wbi_cache_last = &none;
        leave_thread(cache);
        wbi_cache_free(cache);
    }
    pthread_mutex_unlock(&caches_mutex);
}

static void add_cached(struct wbi_cached *sum, const struct wbi_cache *cache)
{
    sum->blocks += cache->large_count;
    sum->bytes += cache->large_bytes;
    for (unsigned i = 0; i < WBI_CLASSES; i++) {
        sum->blocks += wbi_cache_count(cache, i);
        sum->bytes += wbi_cache_count(cache, i) * cache->pool->classes[i].block_bytes;
    }
}

struct wbi_cached wbi_caches_sum(struct wb_rma_allocator *pool)
{
    struct wbi_cached sum = {0};

    bool claimed = claim_all(pool);
    for (struct wbi_cache *cache = pool->caches; claimed && cache; cache = cache->next)
        if (comes_out(cache))
            add_cached(&sum, cache);
    unclaim(pool);
    return sum;
}
