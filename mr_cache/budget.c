#include "mr_cache/budget.h"

#include <stdlib.h>
#include <waybill/status.h>

#include "mr_cache/pool.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"
#include "mr_cache/worker.h"

static _Thread_local bool has_growth;

int wbi_budget_create(uint64_t limit_bytes, struct wbi_budget **out)
{
    struct wbi_budget *budget = calloc(1, sizeof(*budget));

    if (!budget)
        return WB_ERR_NO_MEMORY;
    budget->limit_bytes = limit_bytes;
    budget->refs = 1;
    /* With default attributes these cannot fail on Linux. */
    pthread_mutex_init(&budget->grow_mutex, NULL);
    pthread_mutex_init(&budget->mutex, NULL);
    pthread_cond_init(&budget->worker_wake, NULL);
    *out = budget;
    return WB_OK;
}

void wbi_budget_close(struct wbi_budget *budget)
{
    struct wb_rma_allocator *pool;

    if (!budget)
        return;
    wbi_worker_stop(budget);
    for (uint64_t member = 0; (pool = wbi_budget_next(budget, &member)) != NULL;) {
        wbi_shrink_close(pool);
        wbi_budget_leave(budget, pool);
        wbi_pool_drop_holder(pool);
    }
}

struct wbi_budget *wbi_budget_ref(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->mutex);
    budget->refs++;
    pthread_mutex_unlock(&budget->mutex);
    return budget;
}

void wbi_budget_drop(struct wbi_budget *budget)
{
    if (!budget)
        return;
    pthread_mutex_lock(&budget->mutex);
    bool last = --budget->refs == 0;
    pthread_mutex_unlock(&budget->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&budget->worker_wake);
    pthread_mutex_destroy(&budget->grow_mutex);
    pthread_mutex_destroy(&budget->mutex);
    free(budget);
}

void wbi_budget_lock_growth(struct wbi_budget *budget)
{
    pthread_mutex_lock(&budget->grow_mutex);
    has_growth = true;
}

void wbi_budget_unlock_growth(struct wbi_budget *budget)
{
    has_growth = false;
    pthread_mutex_unlock(&budget->grow_mutex);
}

bool wbi_budget_has_growth(void)
{
    return has_growth;
}

void wbi_budget_charge(struct wbi_budget *budget, uint64_t bytes)
{
    pthread_mutex_lock(&budget->mutex);
    budget->charged += bytes;
    if (budget->charged > budget->peak_charged)
        budget->peak_charged = budget->charged;
    pthread_mutex_unlock(&budget->mutex);
}

void wbi_budget_return(struct wbi_budget *budget, uint64_t bytes)
{
    pthread_mutex_lock(&budget->mutex);
    budget->charged -= bytes;
    pthread_mutex_unlock(&budget->mutex);
}

struct wbi_budget_sums wbi_budget_sum(struct wbi_budget *budget,
                                      const struct wb_rma_allocator *asking)
{
    struct wbi_budget_sums sums = {0};

    pthread_mutex_lock(&budget->mutex);
    sums.charged = budget->charged;
    for (const struct wb_rma_allocator *pool = budget->members; pool; pool = pool->next_member) {
        sums.leaving += pool->leaving;
        sums.idle += pool == asking ? pool->idle : wbi_pool_can_spare(pool);
        sums.reserved += pool == asking ? 0 : wbi_pool_reserved(pool);
        sums.claimed += pool == asking ? 0 : pool->claimed;
        sums.others_may_collect |= pool != asking && wbi_pool_may_collect(pool);
    }
    pthread_mutex_unlock(&budget->mutex);
    return sums;
}

void wbi_budget_count(struct wbi_budget *budget, uint64_t *bytes, uint64_t *slabs)
{
    *slabs = 0;
    pthread_mutex_lock(&budget->mutex);
    *bytes = budget->charged;
    for (const struct wb_rma_allocator *pool = budget->members; pool; pool = pool->next_member)
        *slabs += pool->slab_count;
    pthread_mutex_unlock(&budget->mutex);
}

void wbi_budget_enter(struct wbi_budget *budget, struct wb_rma_allocator *pool)
{
    pool->holders++;
    pthread_mutex_lock(&budget->mutex);
    pool->member = ++budget->last_member;
    pool->next_member = budget->members;
    budget->members = pool;
    pthread_mutex_unlock(&budget->mutex);
}

void wbi_budget_leave(struct wbi_budget *budget, struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&budget->mutex);
    struct wb_rma_allocator **at = &budget->members;
    while (*at && *at != pool)
        at = &(*at)->next_member;
    bool found = *at == pool;
    if (found)
        *at = pool->next_member;
    pthread_mutex_unlock(&budget->mutex);
    if (found)
        wbi_pool_drop_holder(pool);
}

struct wb_rma_allocator *wbi_budget_next(struct wbi_budget *budget, uint64_t *member)
{
    struct wb_rma_allocator *next = NULL;

    pthread_mutex_lock(&budget->mutex);
    for (struct wb_rma_allocator *pool = budget->members; pool; pool = pool->next_member)
        if (pool->member > *member && (!next || pool->member < next->member))
            next = pool;
    if (next) {
        *member = next->member;
        next->holders++; /* under the mutex under which the budget's own would be dropped */
    }
    pthread_mutex_unlock(&budget->mutex);
    return next;
}
