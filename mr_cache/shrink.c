#include "mr_cache/shrink.h"

#include "mr_cache/blocks.h"
#include "mr_cache/caches.h"
#include "mr_cache/loan.h"
#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "mr_cache/slab.h"
#include "mr_cache/worker.h"

enum {
    WINDOW_VISITS = 65536,
    KEPT_SLABS = 2, /* idle ones are kept in any case, */
    KEPT_SHARE = 64 /* or this part of the pool */
};

void wbi_shrink_reap(struct wb_rma_allocator *pool)
{
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        struct wbi_slab *slab = pool->gone;
        if (slab)
            pool->gone = slab->next;
        pthread_mutex_unlock(&pool->mutex);
        if (!slab)
            break;
        wbi_slab_bury(slab);
    }
    wbi_loans_release();
}

void wbi_shrink_let_go(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    wbi_slab_mark_leaving(slab);
    pthread_mutex_unlock(&pool->mutex);
    wbi_slab_leave(slab);
    wbi_shrink_reap(pool);
    pthread_mutex_lock(&pool->mutex);
}

/* The idle slab to let go for `bytes` of budget: the smallest that suffices alone, else the
 * largest. Lent ones only where the pool is closed. */
static struct wbi_slab *choose_idle(const struct wb_rma_allocator *pool, uint64_t bytes)
{
    struct wbi_slab *chosen = NULL;

    for (unsigned kind = 0; kind < 2; kind++) {
        for (struct wbi_slab *slab = pool->slabs[kind]; slab; slab = slab->next) {
            uint64_t size = slab->region.bytes;
            if (slab->state != WBI_SLAB_ACTIVE || !wbi_slab_idle(slab) ||
                (slab->loan && !pool->closed))
                continue;
            bool better = !chosen || (chosen->region.bytes < bytes
                                          ? size > chosen->region.bytes
                                          : size >= bytes && size < chosen->region.bytes);
            if (better)
                chosen = slab;
        }
    }
    return chosen;
}

bool wbi_shrink_by(struct wb_rma_allocator *pool, uint64_t bytes)
{
    struct wbi_slab *slab = choose_idle(pool, bytes);

    if (!slab)
        return false;
    wbi_runs_remove(pool, slab);
    wbi_shrink_let_go(slab);
    return true;
}

/* Calls visit for every other pool of the budget, with its mutex held, until it says true. The
 * mutex of `pool` is dropped meanwhile. */
static bool visit_others(struct wb_rma_allocator *pool, uint64_t bytes,
                         bool (*visit)(struct wb_rma_allocator *other, uint64_t bytes))
{
    struct wb_rma_allocator *other;
    bool done = false;

    pthread_mutex_unlock(&pool->mutex);
    for (uint64_t member = 0; !done && (other = wbi_budget_next(pool->budget, &member)) != NULL;) {
        if (other != pool) {
            pthread_mutex_lock(&other->mutex);
            done = visit(other, bytes);
            pthread_mutex_unlock(&other->mutex);
        }
        wbi_pool_drop_holder(other);
    }
    pthread_mutex_lock(&pool->mutex);
    return done;
}

static bool spare(struct wb_rma_allocator *pool, uint64_t bytes)
{
    return wbi_pool_can_spare(pool) > 0 && wbi_shrink_by(pool, bytes);
}

bool wbi_shrink_others(struct wb_rma_allocator *pool, uint64_t bytes)
{
    return visit_others(pool, bytes, spare);
}

/* What is free, and not in free runs, becomes that. The mutex is held. */
static void collect(struct wb_rma_allocator *pool)
{
    if (pool->closed) /* whose lists of runs are not kept any more, and none is empty */
        return;
    wbi_caches_take_returns(pool);
    (void)wbi_caches_press(pool);
    (void)wbi_blocks_retire_empty_runs(pool);
}

static bool collect_other(struct wb_rma_allocator *pool, uint64_t bytes)
{
    (void)bytes;
    collect(pool);
    return false;
}

void wbi_shrink_collect_from_others(struct wb_rma_allocator *pool)
{
    (void)visit_others(pool, 0, collect_other);
}

/* The mutex is held, and dropped in between. */
static uint64_t let_idle_go(struct wb_rma_allocator *pool)
{
    uint64_t bytes = 0;
    struct wbi_slab *slab;

    collect(pool);
    while ((slab = choose_idle(pool, UINT64_MAX)) != NULL) {
        bytes += slab->region.bytes;
        wbi_runs_remove(pool, slab);
        wbi_shrink_let_go(slab);
    }
    return bytes;
}

/* Idle bytes that are not worth giving up. */
static uint64_t kept_bytes(const struct wb_rma_allocator *pool)
{
    uint64_t part = pool->charged / KEPT_SHARE, slabs = KEPT_SLABS * pool->slab_bytes;

    return part > slabs ? part : slabs;
}

void wbi_shrink_watch(struct wb_rma_allocator *pool)
{
    if (++pool->visits % WINDOW_VISITS || pool->closed)
        return;
    uint64_t unneeded = pool->idle_low, kept = kept_bytes(pool);
    pool->idle_low = pool->idle;
    pool->to_shrink = unneeded > kept ? unneeded - kept : 0;
    if (pool->to_shrink && wbi_worker_start(pool->budget) == WB_OK)
        wbi_worker_wake(pool->budget);
}

void wbi_shrink_decay(struct wb_rma_allocator *pool)
{
    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    while (!pool->closed) {
        struct wbi_slab *slab = choose_idle(pool, 0); /* the smallest */
        if (!slab)
            break;
        uint64_t bytes = slab->region.bytes;
        /* Some of it may have been taken since it was found to be too much. */
        if (bytes > pool->to_shrink || pool->idle < kept_bytes(pool) + bytes)
            break;
        pool->to_shrink -= bytes;
        wbi_runs_remove(pool, slab);
        wbi_shrink_let_go(slab);
    }
    pool->to_shrink = 0;
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(pool->budget);
    wbi_loans_release();
}

uint64_t wbi_shrink_trim(struct wb_rma_allocator *pool)
{
    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    wbi_demand_unpark(pool);
    uint64_t bytes = let_idle_go(pool);
    bool waits = pool->leaving > 0;
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(pool->budget);
    /* What peers confirm later is unmapped by the budget's thread; without one, by the next growth.
     */
    if (waits && wbi_worker_start(pool->budget) == WB_OK)
        wbi_worker_wake(pool->budget);
    wbi_loans_release();
    return bytes;
}

/* Nothing is taken or grown from here on. The mutex is held. */
static void mark_closed(struct wb_rma_allocator *pool)
{
    if (pool->closed)
        return;
    wbi_demand_clear(pool);
    wbi_caches_close(pool);
    (void)wbi_blocks_retire_empty_runs(pool);
    pool->closed = true;
}

void wbi_shrink_close(struct wb_rma_allocator *pool)
{
    struct wbi_slab *doomed = NULL;

    wbi_budget_lock_growth(pool->budget); /* lets a growth on a user's thread end first */
    pthread_mutex_lock(&pool->mutex);
    mark_closed(pool);
    for (unsigned kind = 0; kind < 2; kind++) {
        while (pool->slabs[kind]) {
            struct wbi_slab *slab = pool->slabs[kind];
            wbi_slab_mark_leaving(slab);
            slab->next = doomed;
            doomed = slab;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(pool->budget);
    while (doomed) {
        struct wbi_slab *slab = doomed;
        doomed = slab->next;
        wbi_slab_leave(slab);
    }
    wbi_shrink_reap(pool);
}

void wbi_shrink_see_off(struct wb_rma_allocator *pool)
{
    bool over = false;

    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    if (pool->closed) {
        (void)let_idle_go(pool);
        over = pool->slab_count == 0;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (over)
        wbi_budget_leave(pool->budget, pool);
    wbi_budget_unlock_growth(pool->budget);
    wbi_loans_release();
}

void wbi_shrink_retire(struct wb_rma_allocator *pool)
{
    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    mark_closed(pool);
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(pool->budget);
    wbi_shrink_see_off(pool);
    pthread_mutex_lock(&pool->mutex);
    bool waits = pool->slab_count > 0;
    pthread_mutex_unlock(&pool->mutex);
    if (waits && wbi_worker_start(pool->budget) == WB_OK)
        wbi_worker_wake(pool->budget);
    /* Without a thread, what blocks hold stays registered until the budget is closed. */
}
