#include "mr_cache/growth.h"

#include "mr_cache/blocks.h"
#include "mr_cache/caches.h"
#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"

struct wbi_run *wbi_growth_take(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_run *run = wbi_runs_take(pool, run_bytes);

    if (!run && pool->empty_runs && wbi_blocks_retire_empty_runs(pool))
        run = wbi_runs_take(pool, run_bytes);
    return run;
}

static uint64_t above(uint64_t wanted, uint64_t limit)
{
    return wanted > limit ? wanted - limit : 0;
}

/* Bytes that the pool's own budget lacks for a slab of `bytes`, if `uncharged` of what is charged
 * were not. */
static uint64_t shortfall(const struct wb_rma_allocator *pool, uint64_t bytes, uint64_t claims,
                          uint64_t uncharged)
{
    return above(pool->charged - uncharged + claims + bytes, pool->budget_bytes);
}

/* The same of the budget that it shares, with the other pools' claims. */
static uint64_t shared_shortfall(const struct wb_rma_allocator *pool,
                                 const struct wbi_budget_sums *sums, uint64_t bytes,
                                 uint64_t claims, uint64_t uncharged)
{
    return above(sums->charged - uncharged + sums->claimed + sums->reserved + claims + bytes,
                 pool->budget->limit_bytes);
}

bool wbi_growth_is_pending(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    uint64_t claims = wbi_demand_claims(pool, run_bytes);
    struct wbi_budget_sums sums = wbi_budget_sum(pool->budget, pool);

    return !pool->lent_only && !shortfall(pool, bytes, claims, pool->leaving) &&
           !shared_shortfall(pool, &sums, bytes, claims, sums.leaving);
}

bool wbi_growth_has_left(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    uint64_t claims = wbi_demand_claims(pool, run_bytes);
    struct wbi_budget_sums sums = wbi_budget_sum(pool->budget, pool);

    return !pool->lent_only && !shortfall(pool, bytes, claims, 0) &&
           !shared_shortfall(pool, &sums, bytes, claims, 0);
}

bool wbi_growth_is_worthwhile(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    struct wbi_budget_sums sums = wbi_budget_sum(pool->budget, pool);

    if (pool->lent_only)
        return false;
    if (wbi_demand_others_hold(pool, run_bytes))
        return true;
    sums.claimed = 0; /* other pools' claims lapse, as those of this one's demands do */
    return !shortfall(pool, bytes, 0, pool->leaving + pool->idle) &&
           (sums.others_may_collect ||
            !shared_shortfall(pool, &sums, bytes, 0, sums.leaving + sums.idle));
}

/* Charges and makes one slab. Its first run is taken before anybody else can see it. */
static int grow(struct wb_rma_allocator *pool, uint64_t run_bytes, struct wbi_run **out)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    struct wbi_slab *slab = NULL;

    pool->charged += bytes;
    pool->growing += bytes;
    wbi_budget_charge(pool->budget, bytes);
    pthread_mutex_unlock(&pool->mutex);
    int rc = wbi_slab_create(pool, bytes, &slab);
    if (!rc)
        rc = wbi_slab_register(slab);
    pthread_mutex_lock(&pool->mutex);
    pool->growing -= bytes;
    if (!slab) {
        pool->charged -= bytes;
        wbi_budget_return(pool->budget, bytes);
        return rc;
    }
    wbi_slab_adopt(slab);
    if (rc) { /* the registrars that have it may take their time to let it go */
        slab->free_pages = slab->page_count;
        wbi_shrink_let_go(slab);
        return rc;
    }
    pool->registrations++;
    wbi_runs_add(pool, slab);
    *out = wbi_runs_take(pool, run_bytes);
    return WB_OK;
}

/*
 * One step towards budget for a slab. WB_OK: it is there; WB_AGAIN: it cannot be had now; or
 * STEPPED: an idle slab was let go, look again. The locks are as in make_room.
 */
enum { STEPPED = 1 };
static int step_to_budget(struct wb_rma_allocator *pool, uint64_t bytes, uint64_t claims)
{
    struct wbi_budget_sums sums = wbi_budget_sum(pool->budget, pool);

    if (!shortfall(pool, bytes, claims, 0) && !shared_shortfall(pool, &sums, bytes, claims, 0))
        return WB_OK;
    if (sums.others_may_collect && shared_shortfall(pool, &sums, bytes, claims, sums.leaving)) {
        wbi_shrink_collect_from_others(pool);
        sums = wbi_budget_sum(pool->budget, pool);
    }
    uint64_t own = shortfall(pool, bytes, claims, pool->leaving);
    uint64_t shared = shared_shortfall(pool, &sums, bytes, claims, sums.leaving);
    if ((!own && !shared) || own > pool->idle || shared > sums.idle)
        return WB_AGAIN;
    /* What the others do not use goes first; where only this pool's own counts, its own. */
    if (!own && wbi_shrink_others(pool, shared))
        return STEPPED;
    return wbi_shrink_by(pool, own > shared ? own : shared) ? STEPPED : WB_AGAIN;
}

/* Bytes on their way back are waited for by nobody here, but a slab that is confirmed is unmapped
 * first. */
static bool reap(struct wb_rma_allocator *pool)
{
    if (!pool->gone)
        return false;
    pthread_mutex_unlock(&pool->mutex);
    wbi_shrink_reap(pool);
    pthread_mutex_lock(&pool->mutex);
    return true;
}

int wbi_growth_make_budget(struct wb_rma_allocator *pool, uint64_t bytes)
{
    int rc = STEPPED;

    while (rc == STEPPED) {
        if (pool->closed)
            return WB_ERR_CLOSED;
        if (!reap(pool))
            rc = step_to_budget(pool, bytes, wbi_demand_claims(pool, 0));
        if (rc == WB_AGAIN && wbi_caches_press(pool)) /* it may have made slabs idle */
            rc = STEPPED;
    }
    return rc;
}

int wbi_growth_make_room(struct wb_rma_allocator *pool, uint64_t run_bytes, struct wbi_run **out)
{
    uint64_t bytes = wbi_pool_slab_for(pool, run_bytes);
    int rc;

    do {
        if (pool->closed)
            return WB_ERR_CLOSED;
        if (reap(pool)) {
            rc = STEPPED;
            continue;
        }
        /* As long as the budget allows a slab, empty runs of other sizes stay: who asks for blocks
         * of many sizes at once, and gives all back for want of one, would else get each in turn by
         * losing another. */
        bool may_grow = wbi_growth_has_left(pool, run_bytes);
        struct wbi_run *run =
            may_grow ? wbi_runs_take(pool, run_bytes) : wbi_growth_take(pool, run_bytes);
        if (run) {
            *out = run;
            return WB_OK;
        }
        if (may_grow)
            return grow(pool, run_bytes, out);
        rc = pool->lent_only ? WB_AGAIN
                             : step_to_budget(pool, bytes, wbi_demand_claims(pool, run_bytes));
    } while (rc == STEPPED || rc == WB_OK);
    return rc;
}
