/* The way of an allocation: from a carved run, from free pages, by growth, or by asking for it. */
#include "mr_cache/blocks.h"
#include "mr_cache/caches.h"
#include "mr_cache/checks.h"
#include "mr_cache/growth.h"
#include "mr_cache/loan.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/runs.h"
#include "mr_cache/shrink.h"

static _Thread_local bool may_grow_here __attribute__((tls_model("initial-exec"))) = true;

bool wbi_rma_thread_may_grow(bool allowed)
{
    bool former = may_grow_here;

    may_grow_here = allowed;
    return former;
}

enum wbi_growth wbi_growth_of_this_thread(void)
{
    return may_grow_here ? WBI_GROWTH_HERE : WBI_GROWTH_BACKGROUND;
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* Sets *need to what a block of `bytes` takes; false where that is more than any slab can be. */
static bool find_need(const struct wb_rma_allocator *pool, size_t bytes, struct wbi_need *need)
{
    unsigned class_index;

    if (wbi_class_find(bytes, &class_index)) {
        *need = pool->classes[class_index];
        return true;
    }
    if (bytes > pool->largest_bytes)
        return false;
    if (pool->lent_only && bytes > pool->slab_bytes) /* which no region serves */
        return false;
    uint64_t unit = bytes <= pool->slab_bytes ? (uint64_t)WBI_PAGE_BYTES : WBI_REGION_ALIGN;
    *need = (struct wbi_need){
        .run_bytes = round_up(bytes, unit), .capacity = 1, .class_index = WBI_NO_CLASS};
    need->block_bytes = need->run_bytes;
    return need->run_bytes <= pool->largest_bytes;
}

bool wbi_pool_can_ever_fit(const struct wb_rma_allocator *pool, size_t bytes)
{
    struct wbi_need need;

    return find_need(pool, bytes, &need);
}

/* Carves `run` for the need and returns its first block. The mutex is held. */
static int take_from_room(struct wb_rma_allocator *pool, const struct wbi_need *need,
                          struct wb_rma_block **out)
{
    struct wb_rma_block *block = wbi_blocks_take_carved(pool, need);

    if (block) {
        *out = block;
        return WB_OK;
    }
    struct wbi_run *run = wbi_demand_collect(pool, need->run_bytes);
    if (!run) {
        run = wbi_growth_take(pool, need->run_bytes);
        if (!run)
            return WB_AGAIN;
        wbi_demand_withdraw(pool, need->run_bytes);
    }
    return wbi_blocks_carve(pool, need, run, out);
}

/* Room by growth on this thread. The mutex is held at entry and exit. */
static int take_by_growth(struct wb_rma_allocator *pool, const struct wbi_need *need,
                          struct wb_rma_block **out)
{
    struct wbi_run *run;

    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    /* Another thread may have grown the pool while this one waited for its turn. */
    int rc = pool->closed ? WB_ERR_CLOSED : take_from_room(pool, need, out);
    if (rc == WB_AGAIN) {
        rc = wbi_growth_make_room(pool, need->run_bytes, &run);
        if (rc == WB_OK)
            rc = wbi_blocks_carve(pool, need, run, out);
    }
    wbi_budget_unlock_growth(pool->budget);
    return rc;
}

/* At the budget, what threads have cached is wanted back. */
static int take_from_caches(struct wb_rma_allocator *pool, const struct wbi_need *need,
                            enum wbi_growth growth, struct wb_rma_block **out)
{
    if (growth == WBI_GROWTH_NONE || wbi_growth_is_pending(pool, need->run_bytes) ||
        !wbi_caches_press(pool))
        return WB_AGAIN;
    int rc = take_from_room(pool, need, out);
    return rc == WB_AGAIN && growth == WBI_GROWTH_HERE ? take_by_growth(pool, need, out) : rc;
}

/* The mutex is held at entry and exit. */
static int take_from_pool(struct wb_rma_allocator *pool, const struct wbi_need *need,
                          enum wbi_growth growth, struct wb_rma_block **out)
{
    int rc = take_from_room(pool, need, out);
    /* A slab costs more than this thread's cache is worth. */
    if (rc == WB_AGAIN && wbi_cache_empty_own(pool))
        rc = take_from_room(pool, need, out);
    if (rc == WB_AGAIN && growth == WBI_GROWTH_HERE)
        rc = take_by_growth(pool, need, out);
    if (rc == WB_AGAIN)
        rc = take_from_caches(pool, need, growth, out);
    if (rc == WB_AGAIN && growth != WBI_GROWTH_NONE) {
        if (growth == WBI_GROWTH_LEFT ? wbi_growth_has_left(pool, need->run_bytes)
                                      : wbi_growth_is_worthwhile(pool, need->run_bytes))
            rc = wbi_demand_post(pool, need->run_bytes, growth == WBI_GROWTH_FIRST);
        pool->waits += rc == WB_AGAIN;
    }
    if (rc == WB_OK)
        wbi_cache_refill(pool, need);
    return rc;
}

/* Bytes of the budget that are to stay unused by what the program takes on threads of its own. */
static uint64_t reserve_before(const struct wb_rma_allocator *pool, enum wbi_growth growth)
{
    return growth == WBI_GROWTH_HERE ? pool->reserve_bytes : 0;
}

/* Whether the program would take of the reserve. What threads have cached is given up first. The
 * mutex is held. */
static bool is_reserved(struct wb_rma_allocator *pool, const struct wbi_need *need,
                        uint64_t reserve)
{
    uint64_t most = pool->budget_bytes - reserve;

    return reserve && pool->used_bytes + need->block_bytes > most &&
           !(wbi_caches_press(pool) && pool->used_bytes + need->block_bytes <= most);
}

/* What no cache had: from the pool itself. */
static int alloc_slowly(struct wb_rma_allocator *pool, const struct wbi_need *need,
                        enum wbi_growth growth, uint64_t reserve, struct wb_rma_block **out)
{
    int rc;

    if (wbi_cache_last->pool_serial != pool->serial)
        (void)wbi_caches_obtain(pool);
    pthread_mutex_lock(&pool->mutex);
    /* What came back counts as used until it is taken in, and may be of the reserve. */
    unsigned class_index = wbi_pool_in_reserve(pool) ? WBI_NO_CLASS : need->class_index;
    struct wb_rma_block *returned = wbi_cache_take_returned(pool, class_index);
    wbi_shrink_watch(pool);
    if (returned) { /* which a pool that is closed has none of */
        *out = returned;
        rc = WB_OK;
    } else if (pool->closed) {
        rc = WB_ERR_CLOSED;
    } else if (is_reserved(pool, need, reserve)) {
        pool->waits++;
        rc = WB_AGAIN;
    } else {
        rc = take_from_pool(pool, need, growth, out);
    }
    pool->allocations += rc == WB_OK;
    wbi_caches_relax(pool);
    pthread_mutex_unlock(&pool->mutex);
    wbi_loans_release(); /* growth may have ended slabs of others */
    return rc;
}

static int alloc(struct wb_rma_allocator *pool, size_t bytes, enum wbi_growth growth,
                 uint64_t reserve, struct wb_rma_block **out)
{
    struct wbi_need need;
    size_t behind = pool->checks ? WBI_CANARY_BYTES : 0;

    if (bytes > SIZE_MAX - behind || !find_need(pool, bytes + behind, &need) ||
        need.block_bytes > pool->budget_bytes - reserve) {
        wbi_checks_from(pool, NULL);
        return WB_ERR_BUDGET;
    }
    struct wb_rma_block *block = need.class_index == WBI_NO_CLASS
                                     ? wbi_cache_take_large(pool, need.block_bytes)
                                     : wbi_cache_take(pool, need.class_index).block;
    int rc = block ? WB_OK : alloc_slowly(pool, &need, growth, reserve, &block);
    if (!block) {
        wbi_checks_from(pool, NULL);
        return rc;
    }
    *out = wbi_block_hand_out(block);
    if (pool->checks) {
        wbi_checks_begin(block, bytes);
        wbi_checks_books(pool);
    }
    return WB_OK;
}

int wbi_pool_alloc(struct wb_rma_allocator *pool, size_t bytes, enum wbi_growth growth,
                   struct wb_rma_block **out)
{
    return alloc(pool, bytes, growth, reserve_before(pool, growth), out);
}

bool wbi_rma_can_make_room(struct wb_rma_allocator *pool, size_t bytes)
{
    struct wbi_need need;
    size_t behind = pool->checks ? WBI_CANARY_BYTES : 0;

    if (bytes > SIZE_MAX - behind || !find_need(pool, bytes + behind, &need))
        return false;
    pthread_mutex_lock(&pool->mutex);
    bool can =
        wbi_demand_stands(pool, need.run_bytes) || wbi_growth_is_worthwhile(pool, need.run_bytes);
    pthread_mutex_unlock(&pool->mutex);
    return can;
}

/* For the engine, which may use the reserve. */
static int alloc_for_engine(struct wb_rma_allocator *pool, size_t bytes, enum wbi_growth growth,
                            struct wb_rma_block **out)
{
    if (pool->checks)
        wbi_checks_default(pool, wbi_site_engine);
    return alloc(pool, bytes, growth, 0, out);
}

int wbi_rma_alloc(struct wb_rma_allocator *pool, size_t bytes, bool may_grow,
                  struct wb_rma_block **out)
{
    return alloc_for_engine(pool, bytes, may_grow ? WBI_GROWTH_HERE : WBI_GROWTH_BACKGROUND, out);
}

int wbi_rma_alloc_in_turn(struct wb_rma_allocator *pool, size_t bytes, enum wbi_rma_turn turn,
                          struct wb_rma_block **out)
{
    static const enum wbi_growth growth[] = {[WBI_RMA_ANY] = WBI_GROWTH_BACKGROUND,
                                             [WBI_RMA_FIRST] = WBI_GROWTH_FIRST,
                                             [WBI_RMA_LATER] = WBI_GROWTH_LEFT};

    return alloc_for_engine(pool, bytes, growth[turn], out);
}
