#include "mr_cache/growth.h"

#include "mr_cache/blocks.h"
#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "mr_cache/slab.h"

struct wbi_run *wbi_growth_take(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_run *run = wbi_runs_take(pool, run_bytes);

    if (!run && pool->empty_runs && wbi_blocks_retire_empty_runs(pool))
        run = wbi_runs_take(pool, run_bytes);
    return run;
}

/* Bytes that the budget lacks for a slab of `bytes`, if `uncharged` of what is charged were not. */
static uint64_t shortfall(const struct wb_rma_allocator *pool, uint64_t bytes, uint64_t claims,
                          uint64_t uncharged)
{
    uint64_t wanted = pool->charged - uncharged + claims + bytes;

    return wanted > pool->budget_bytes ? wanted - pool->budget_bytes : 0;
}

bool wbi_growth_is_pending(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    return !shortfall(pool, wbi_pool_slab_for(pool, run_bytes), wbi_demand_claims(pool, run_bytes),
                      pool->leaving);
}

bool wbi_growth_is_worthwhile(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    return !shortfall(pool, wbi_pool_slab_for(pool, run_bytes), 0, pool->leaving + pool->idle) ||
           wbi_demand_others_hold(pool, run_bytes);
}

/* The idle slab to let go for `bytes` of budget: the smallest that suffices alone, else the
 * largest. */
static struct wbi_slab *choose_idle(const struct wb_rma_allocator *pool, uint64_t bytes)
{
    struct wbi_slab *chosen = NULL;

    for (unsigned kind = 0; kind < 2; kind++) {
        for (struct wbi_slab *slab = pool->slabs[kind]; slab; slab = slab->next) {
            uint64_t size = slab->region.bytes;
            if (slab->state != WBI_SLAB_ACTIVE || !wbi_slab_idle(slab))
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

/* Deregisters a slab of which no block is held, and frees it unless a peer must let it go first. */
static void let_go(struct wb_rma_allocator *pool, struct wbi_slab *slab)
{
    wbi_slab_mark_leaving(slab);
    pthread_mutex_unlock(&pool->mutex);
    wbi_slab_leave(slab);
    wbi_growth_reap(pool);
    pthread_mutex_lock(&pool->mutex);
}

/* Charges and makes one slab. Its first run is taken before anybody else can see it. */
static int grow(struct wb_rma_allocator *pool, uint64_t run_bytes, struct wbi_run **out)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    struct wbi_slab *slab = NULL;

    pool->charged += bytes;
    pool->growing += bytes;
    pthread_mutex_unlock(&pool->mutex);
    int rc = wbi_slab_create(pool, bytes, &slab);
    if (!rc)
        rc = wbi_slab_register(slab);
    pthread_mutex_lock(&pool->mutex);
    pool->growing -= bytes;
    if (!slab) {
        pool->charged -= bytes;
        return rc;
    }
    wbi_slab_adopt(slab);
    if (rc) { /* the registrars that have it may take their time to let it go */
        slab->free_pages = slab->page_count;
        let_go(pool, slab);
        return rc;
    }
    pool->registrations++;
    wbi_runs_add(pool, slab);
    *out = wbi_runs_take(pool, run_bytes);
    return WB_OK;
}

int wbi_growth_make_room(struct wb_rma_allocator *pool, uint64_t run_bytes, struct wbi_run **out)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);

    for (;;) {
        if (pool->closed)
            return WB_ERR_CLOSED;
        if (pool->gone) {
            pthread_mutex_unlock(&pool->mutex);
            wbi_growth_reap(pool);
            pthread_mutex_lock(&pool->mutex);
            continue;
        }
        /* As long as the budget allows a slab, empty runs of other sizes stay: who asks for blocks
         * of many sizes at once, and gives all back for want of one, would else get each in turn by
         * losing another. */
        uint64_t claims = wbi_demand_claims(pool, run_bytes);
        bool may_grow = !shortfall(pool, bytes, claims, 0);
        struct wbi_run *run =
            may_grow ? wbi_runs_take(pool, run_bytes) : wbi_growth_take(pool, run_bytes);
        if (run) {
            *out = run;
            return WB_OK;
        }
        if (may_grow)
            return grow(pool, run_bytes, out);
        uint64_t lacking = shortfall(pool, bytes, claims, pool->leaving);
        if (!lacking || lacking > pool->idle)
            return WB_AGAIN;
        struct wbi_slab *slab = choose_idle(pool, lacking);
        wbi_runs_remove(pool, slab);
        let_go(pool, slab);
    }
}

void wbi_growth_reap(struct wb_rma_allocator *pool)
{
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        struct wbi_slab *slab = pool->gone;
        if (slab)
            pool->gone = slab->next;
        pthread_mutex_unlock(&pool->mutex);
        if (!slab)
            return;
        wbi_slab_bury(slab);
    }
}
