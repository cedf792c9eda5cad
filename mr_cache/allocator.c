#include "mr_cache/allocator.h"

#include <stdlib.h>

#include "mr_cache/growth.h"
#include "mr_cache/loan.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/runs.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"

enum { CACHE_SHARE = 16 /* this part of the budget may lie in threads' caches */ };

static atomic_uint_fast64_t last_serial;

static void set_need(struct wbi_need *need, unsigned class_index)
{
    need->class_index = class_index;
    need->block_bytes = wbi_class_bytes(class_index);
    need->run_bytes = (uint64_t)wbi_class_pages(class_index) << WBI_PAGE_SHIFT;
    need->capacity = (uint32_t)(need->run_bytes / need->block_bytes);
    /* Rounded up, it is exact for all offsets in a run: they are below 2^22, and the rounding is
     * below block_bytes, at most 2^18. A single block is at place 0. */
    if (need->capacity > 1)
        need->reciprocal =
            ((UINT64_C(1) << WBI_RECIPROCAL_SHIFT) + need->block_bytes - 1) / need->block_bytes;
}

static bool is_valid(const struct wbi_rma_config *config)
{
    uint64_t slab = config->slab_bytes;

    if (slab < WBI_REGION_ALIGN || slab > WBI_SLAB_MAX_BYTES || (slab & (slab - 1)))
        return false;
    if (config->reserve_bytes > config->budget_bytes / 2 ||
        (unsigned)config->pages >= WB_PAGES_KINDS || config->budget_bytes > PTRDIFF_MAX ||
        config->registrar_count > WBI_RMA_MAX_REGISTRARS ||
        (config->registrar_count && !config->registrars))
        return false;
    for (unsigned i = 0; i < config->registrar_count; i++)
        if (!config->registrars[i].reg || !config->registrars[i].dereg)
            return false;
    return true;
}

static uint64_t cache_bytes_of(const struct wbi_rma_config *config)
{
    if (config->cache_bytes == WBI_RMA_NO_CACHES)
        return 0;
    return config->cache_bytes ? config->cache_bytes : config->budget_bytes / CACHE_SHARE;
}

/* An open pool without a slab, or NULL. */
static struct wb_rma_allocator *make_shell(const struct wbi_rma_config *config)
{
    struct wb_rma_allocator *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return NULL;
    pool->budget_bytes = config->budget_bytes;
    pool->slab_bytes = config->slab_bytes;
    pool->registrar_count = config->registrar_count;
    for (unsigned i = 0; i < config->registrar_count; i++)
        pool->registrars[i] = config->registrars[i];
    pool->numa_node = config->numa_node;
    pool->pages = config->pages;
    pool->on_growth = config->on_growth;
    pool->shed = config->shed;
    pool->check_region = config->check_region;
    pool->context = config->context;
    for (unsigned i = 0; i < WBI_CLASSES; i++)
        set_need(&pool->classes[i], i);
    pool->serial = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    pool->cache_bytes = config->checks ? 0 : cache_bytes_of(config); /* blocks are checked on their
                                                                        way to the pool itself */
    pool->checks = config->checks;
    atomic_init(&pool->returns, NULL);
    pool->largest_bytes = config->budget_bytes;
    if (config->largest_bytes && config->largest_bytes < pool->largest_bytes)
        pool->largest_bytes = config->largest_bytes;
    pool->devices = config->devices;
    pool->reserve_bytes = config->reserve_bytes;
    pool->lent_only = config->lent_only;
    pool->borrowed = config->borrowed;
    pool->owns_budget = !config->budget;
    atomic_init(&pool->holders, 1);
    pthread_mutex_init(&pool->mutex, NULL); /* with default attributes it cannot fail on Linux */
    pool->budget = config->budget ? wbi_budget_ref(config->budget) : NULL;
    if (!pool->budget && wbi_budget_create(config->budget_bytes, &pool->budget)) {
        pthread_mutex_destroy(&pool->mutex);
        free(pool);
        return NULL;
    }
    wbi_budget_enter(pool->budget, pool);
    return pool;
}

static int make_first_slab(struct wb_rma_allocator *pool)
{
    struct wbi_run *run;

    wbi_budget_lock_growth(pool->budget);
    pthread_mutex_lock(&pool->mutex);
    int rc = wbi_growth_make_room(pool, pool->slab_bytes, &run);
    if (rc == WB_OK)
        wbi_runs_give(pool, run);
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(pool->budget);
    wbi_loans_release();
    return rc;
}

int wbi_rma_allocator_create(const struct wbi_rma_config *config, struct wb_rma_allocator **out)
{
    if (!is_valid(config))
        return WB_ERR_INVALID;
    if (!config->lent_only &&
        (config->budget_bytes < config->slab_bytes ||
         (config->largest_bytes && config->largest_bytes < config->slab_bytes)))
        return WB_ERR_BUDGET;
    struct wb_rma_allocator *pool = make_shell(config);
    if (!pool)
        return WB_ERR_NO_MEMORY;
    int rc = config->lent_only ? WB_OK : make_first_slab(pool);
    if (rc) {
        wbi_rma_allocator_destroy(pool);
        return rc;
    }
    *out = pool;
    return WB_OK;
}

void wbi_rma_allocator_destroy(struct wb_rma_allocator *pool)
{
    if (!pool)
        return;
    if (pool->owns_budget)
        wbi_budget_close(pool->budget);
    else
        wbi_shrink_retire(pool);
    wbi_pool_drop_holder(pool);
}

void *wbi_rma_allocator_context(const struct wb_rma_allocator *pool)
{
    return pool->context;
}

void wb_rma_allocator_destroy(struct wb_rma_allocator *pool)
{
    if (pool && !pool->borrowed)
        wbi_rma_allocator_destroy(pool);
}

uint64_t wb_rma_allocator_trim(struct wb_rma_allocator *pool)
{
    return wbi_growth_of_this_thread() == WBI_GROWTH_HERE ? wbi_shrink_trim(pool) : 0;
}
