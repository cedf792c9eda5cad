#include "mr_cache/round.h"

#include "mr_cache/growth.h"
#include "mr_cache/loan.h"
#include "mr_cache/pool.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"
#include "mr_cache/worker.h"

/* How one demand fared in a round. */
enum outcome {
    ENDED,  /* parked or failed: the asker is to be told */
    WAITS,  /* for slabs that peers have not let go yet */
    REFUSED /* others hold the room; ended, too */
};

/* The mutex and the grow_mutex are held. */
static enum outcome serve(struct wb_rma_allocator *pool, struct wbi_demand *demand)
{
    demand->state = WBI_DEMAND_SERVING;
    pool->claimed = wbi_demand_claims(pool, 0);
    bool first = demand->first;
    demand->first = false; /* until he who keeps asks again: he may have gone */
    int rc = wbi_growth_make_room(pool, demand->run_bytes, &demand->run);
    if (rc == WB_AGAIN && first && !wbi_growth_is_pending(pool, demand->run_bytes) &&
        wbi_demand_lapse_others(pool, demand->run_bytes))
        rc = wbi_growth_make_room(pool, demand->run_bytes, &demand->run);
    if (rc == WB_OK) {
        demand->state = WBI_DEMAND_PARKED;
        return ENDED;
    }
    if (rc != WB_AGAIN) {
        demand->state = WBI_DEMAND_FAILED;
        demand->failure = rc;
        return ENDED;
    }
    if (wbi_growth_is_pending(pool, demand->run_bytes)) {
        demand->state = WBI_DEMAND_CLAIMING;
        pool->claimed = wbi_demand_claims(pool, 0);
        return WAITS;
    }
    wbi_demand_end(pool, demand);
    return REFUSED;
}

/* Tries every waiting demand once, the oldest first. */
static void round_of_demands(struct wb_rma_allocator *pool)
{
    uint64_t ticket = 0;
    bool refused = false;

    for (;;) {
        bool stopping = wbi_worker_is_stopping(pool->budget);
        /* Taken anew for each, so that growth on users' threads has its turn, and on_growth may
         * grow. */
        wbi_budget_lock_growth(pool->budget);
        pthread_mutex_lock(&pool->mutex);
        struct wbi_demand *demand = stopping ? NULL : wbi_demand_next(pool, ticket);
        bool ended = false;
        if (demand) {
            ticket = demand->ticket;
            enum outcome outcome = serve(pool, demand);
            refused |= outcome == REFUSED;
            ended = outcome != WAITS;
        } else if (refused || pool->demands.crowded) {
            pool->demands.crowded = false;
            ended = wbi_demand_count_round(pool);
        }
        pthread_mutex_unlock(&pool->mutex);
        wbi_budget_unlock_growth(pool->budget);
        wbi_loans_release();
        if (ended && pool->on_growth)
            pool->on_growth(pool->context);
        if (!demand)
            return;
    }
}

void wbi_round(struct wbi_budget *budget)
{
    struct wb_rma_allocator *pool;

    for (uint64_t member = 0; (pool = wbi_budget_next(budget, &member)) != NULL;) {
        wbi_shrink_reap(pool);
        wbi_shrink_see_off(pool);
        wbi_shrink_decay(pool);
        round_of_demands(pool);
        wbi_pool_drop_holder(pool);
    }
}
