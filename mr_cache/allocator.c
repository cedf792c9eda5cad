#include "mr_cache/allocator.h"

#include <stdlib.h>
#include <string.h>

#include "mr_cache/blocks.h"
#include "mr_cache/caches.h"
#include "mr_cache/growth.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/runs.h"
#include "mr_cache/slab.h"
#include "mr_cache/worker.h"

enum {
    SLAB_MAX_BYTES = 1 << 30,
    CACHE_SHARE = 16 /* this part of the budget may lie in threads' caches */
};

static atomic_uint_fast64_t last_serial;

static void set_need(struct wbi_need *need, unsigned class_index)
{
    need->class_index = class_index;
    need->block_bytes = wbi_class_bytes(class_index);
    need->run_bytes = (uint64_t)wbi_class_pages(class_index) << WBI_PAGE_SHIFT;
    need->capacity = (uint32_t)(need->run_bytes / need->block_bytes);
    /* Rounded up, it is exact for all offsets in a run: they are below 2^20 units of 64 bytes, and
     * the rounding is below 2^12. A single block is at place 0. */
    uint64_t units = need->block_bytes / WBI_RMA_ALIGN;
    if (need->capacity > 1)
        need->reciprocal = ((UINT64_C(1) << 32) + units - 1) / units;
}

static bool is_valid(const struct wbi_rma_config *config)
{
    uint64_t slab = config->slab_bytes;

    if (slab < WBI_REGION_ALIGN || slab > SLAB_MAX_BYTES || (slab & (slab - 1)))
        return false;
    if (config->budget_bytes > PTRDIFF_MAX || config->registrar_count > WBI_RMA_MAX_REGISTRARS ||
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
    pool->on_growth = config->on_growth;
    pool->on_growth_context = config->on_growth_context;
    for (unsigned i = 0; i < WBI_CLASSES; i++)
        set_need(&pool->classes[i], i);
    pool->holders = 1;
    pool->serial = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    pool->cache_bytes = cache_bytes_of(config);
    atomic_init(&pool->returns, NULL);
    atomic_init(&pool->leased_bytes, 0);
    /* With default attributes these cannot fail on Linux. */
    pthread_mutex_init(&pool->grow_mutex, NULL);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->worker_wake, NULL);
    return pool;
}

int wbi_rma_allocator_create(const struct wbi_rma_config *config, struct wb_rma_allocator **out)
{
    if (!is_valid(config))
        return WB_ERR_INVALID;
    if (config->budget_bytes < config->slab_bytes)
        return WB_ERR_BUDGET;
    struct wb_rma_allocator *pool = make_shell(config);
    if (!pool)
        return WB_ERR_NO_MEMORY;

    struct wbi_run *run;
    pthread_mutex_lock(&pool->grow_mutex);
    pthread_mutex_lock(&pool->mutex);
    int rc = wbi_growth_make_room(pool, pool->slab_bytes, &run);
    if (rc == WB_OK)
        wbi_runs_give(pool, run);
    pthread_mutex_unlock(&pool->mutex);
    pthread_mutex_unlock(&pool->grow_mutex);
    if (rc) {
        wbi_rma_allocator_destroy(pool);
        return rc;
    }
    *out = pool;
    return WB_OK;
}

/* Closes the pool: nothing is taken or grown from here on. Returns its slabs, marked as leaving,
 * linked by next. */
static struct wbi_slab *close_pool(struct wb_rma_allocator *pool)
{
    struct wbi_slab *doomed = NULL;

    pthread_mutex_lock(&pool->grow_mutex); /* lets a growth on a user's thread end first */
    pthread_mutex_lock(&pool->mutex);
    wbi_demand_clear(pool);
    wbi_caches_close(pool);
    (void)wbi_blocks_retire_empty_runs(pool);
    pool->closed = true;
    for (unsigned kind = 0; kind < 2; kind++) {
        while (pool->slabs[kind]) {
            struct wbi_slab *slab = pool->slabs[kind];
            wbi_slab_mark_leaving(slab);
            slab->next = doomed;
            doomed = slab;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    pthread_mutex_unlock(&pool->grow_mutex);
    return doomed;
}

void wbi_rma_allocator_destroy(struct wb_rma_allocator *pool)
{
    if (!pool)
        return;
    wbi_worker_stop(pool);
    struct wbi_slab *doomed = close_pool(pool);
    while (doomed) {
        struct wbi_slab *slab = doomed;
        doomed = slab->next;
        wbi_slab_leave(slab);
    }
    wbi_growth_reap(pool);
    wbi_pool_drop_holder(pool);
}

void wb_rma_allocator_stats(struct wb_rma_allocator *pool, struct wb_rma_stats *stats)
{
    pthread_mutex_lock(&pool->mutex);
    wbi_caches_take_returns(pool);
    struct wbi_cached cached = wbi_caches_sum(pool);
    *stats = (struct wb_rma_stats){
        .budget_bytes = pool->budget_bytes,
        .slab_bytes = pool->charged - pool->growing,
        .used_bytes = pool->used_bytes - cached.bytes,
        .leased_bytes = atomic_load_explicit(&pool->leased_bytes, memory_order_relaxed),
        .peak_used_bytes = pool->peak_used_bytes,
        .slabs = pool->slab_count,
        .registrations = pool->registrations,
        .blocks = pool->blocks - cached.blocks,
        .waits = pool->waits,
        .huge_page_bytes = pool->huge_bytes,
    };
    pthread_mutex_unlock(&pool->mutex);
}
