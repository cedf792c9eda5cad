#include "mr_cache/demand.h"

#include "mr_cache/pool.h"
#include "mr_cache/runs.h"
#include "mr_cache/worker.h"

static struct wbi_demand *find(struct wbi_demands *demands, uint64_t run_bytes)
{
    if (demands->count == 0)
        return NULL;
    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        struct wbi_demand *demand = &demands->entries[i];
        if (demand->state != WBI_DEMAND_NONE && demand->run_bytes == run_bytes)
            return demand;
    }
    return NULL;
}

static bool holds_something(const struct wbi_demand *demand)
{
    return demand->state == WBI_DEMAND_PARKED || demand->state == WBI_DEMAND_CLAIMING;
}

/* An entry for a new demand: an empty one, or that of the oldest failure which nobody asked about;
 * or NULL. */
static struct wbi_demand *vacate(struct wbi_demands *demands)
{
    struct wbi_demand *oldest = NULL;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        struct wbi_demand *demand = &demands->entries[i];
        if (demand->state == WBI_DEMAND_NONE)
            return demand;
        if (demand->state == WBI_DEMAND_FAILED && (!oldest || demand->ticket < oldest->ticket))
            oldest = demand;
    }
    return oldest;
}

int wbi_demand_post(struct wb_rma_allocator *pool, uint64_t run_bytes, bool first)
{
    struct wbi_demands *demands = &pool->demands;
    struct wbi_demand *demand = find(demands, run_bytes);

    if (demand && demand->state == WBI_DEMAND_FAILED) {
        wbi_demand_end(pool, demand);
        return demand->failure;
    }
    if (demand) {
        demand->first |= first;
        return WB_AGAIN;
    }
    int rc = wbi_worker_start(pool->budget);
    if (rc)
        return rc;
    demand = vacate(demands);
    if (demand) {
        demands->count += demand->state == WBI_DEMAND_NONE;
        *demand = (struct wbi_demand){.state = WBI_DEMAND_ASKED,
                                      .run_bytes = run_bytes,
                                      .ticket = ++demands->last_ticket,
                                      .first = first};
    } else {
        demands->crowded = true;
    }
    wbi_worker_wake(pool->budget);
    return WB_AGAIN;
}

void wbi_demand_end(struct wb_rma_allocator *pool, struct wbi_demand *demand)
{
    demand->state = WBI_DEMAND_NONE;
    pool->demands.count--;
    pool->claimed = wbi_demand_claims(pool, 0);
}

struct wbi_run *wbi_demand_collect(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_demand *demand = find(&pool->demands, run_bytes);

    if (!demand || demand->state != WBI_DEMAND_PARKED)
        return NULL;
    wbi_demand_end(pool, demand);
    return demand->run;
}

bool wbi_demand_stands(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_demand *demand = find(&pool->demands, run_bytes);

    return demand && demand->state != WBI_DEMAND_FAILED;
}

void wbi_demand_withdraw(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    struct wbi_demand *demand = find(&pool->demands, run_bytes);

    if (demand && demand->state != WBI_DEMAND_SERVING && demand->state != WBI_DEMAND_PARKED)
        wbi_demand_end(pool, demand);
}

struct wbi_demand *wbi_demand_next(struct wb_rma_allocator *pool, uint64_t ticket)
{
    struct wbi_demand *next = NULL;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        struct wbi_demand *demand = &pool->demands.entries[i];
        bool waits = demand->state == WBI_DEMAND_ASKED || demand->state == WBI_DEMAND_CLAIMING;
        if (waits && demand->ticket > ticket && (!next || demand->ticket < next->ticket))
            next = demand;
    }
    return next;
}

uint64_t wbi_demand_claims(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    uint64_t claims = 0;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        const struct wbi_demand *demand = &pool->demands.entries[i];
        if (demand->state == WBI_DEMAND_CLAIMING && demand->run_bytes != run_bytes)
            claims += wbi_pool_slab_for(pool, demand->run_bytes);
    }
    return claims;
}

bool wbi_demand_others_hold(const struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        const struct wbi_demand *demand = &pool->demands.entries[i];
        if (holds_something(demand) && demand->run_bytes != run_bytes)
            return true;
    }
    return false;
}

/* Ends a demand whose asker is not here: what is parked becomes free. */
static void lapse(struct wb_rma_allocator *pool, struct wbi_demand *demand)
{
    if (demand->state == WBI_DEMAND_PARKED)
        wbi_runs_give(pool, demand->run);
    if (demand->state != WBI_DEMAND_NONE)
        wbi_demand_end(pool, demand);
}

bool wbi_demand_lapse_others(struct wb_rma_allocator *pool, uint64_t run_bytes)
{
    bool lapsed = false;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        struct wbi_demand *demand = &pool->demands.entries[i];
        if (holds_something(demand) && demand->run_bytes != run_bytes) {
            lapse(pool, demand);
            lapsed = true;
        }
    }
    return lapsed;
}

bool wbi_demand_count_round(struct wb_rma_allocator *pool)
{
    bool lapsed = false;

    for (unsigned i = 0; i < WBI_DEMANDS; i++) {
        struct wbi_demand *demand = &pool->demands.entries[i];
        if (holds_something(demand) && ++demand->rounds >= WBI_DEMAND_ROUNDS) {
            lapse(pool, demand);
            lapsed = true;
        }
    }
    return lapsed;
}

void wbi_demand_unpark(struct wb_rma_allocator *pool)
{
    for (unsigned i = 0; i < WBI_DEMANDS; i++)
        if (pool->demands.entries[i].state == WBI_DEMAND_PARKED)
            lapse(pool, &pool->demands.entries[i]);
}

void wbi_demand_clear(struct wb_rma_allocator *pool)
{
    for (unsigned i = 0; i < WBI_DEMANDS; i++)
        lapse(pool, &pool->demands.entries[i]);
}
