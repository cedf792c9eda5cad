#include "mr_cache/slab.h"

#include <stdlib.h>

#include "mr_cache/caches.h"
#include "mr_cache/page_map.h"
#include "mr_cache/poison.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/worker.h"

enum {
    WHOLE_SLAB_SHIFT = 48 /* the single page of a dedicated slab: every offset is on page 0 */
};

int wbi_slab_create(struct wb_rma_allocator *pool, uint64_t bytes, struct wbi_slab **out)
{
    int rc = WB_ERR_NO_MEMORY;
    struct wbi_slab *slab = calloc(1, sizeof(*slab));

    if (!slab)
        return WB_ERR_NO_MEMORY;
    slab->pool = pool;
    slab->dedicated = bytes > pool->slab_bytes;
    slab->page_shift = slab->dedicated ? WHOLE_SLAB_SHIFT : WBI_PAGE_SHIFT;
    slab->page_count = slab->dedicated ? 1 : (uint32_t)(bytes >> WBI_PAGE_SHIFT);
    slab->runs = calloc(slab->page_count, sizeof(*slab->runs));
    if (!slab->runs)
        goto fail;
    rc = wbi_region_create(bytes, pool->numa_node, &slab->region, &slab->huge);
    if (rc)
        goto fail;
    rc = wbi_page_map_cover(slab->region.base, slab->region.bytes);
    if (rc)
        goto fail;
    wbi_page_map_set(slab->region.base, slab->region.bytes >> WBI_PAGE_SHIFT, slab->runs);
    slab->mapped = true;
    wbi_poison(slab->region.base, slab->region.bytes);
    *out = slab;
    return WB_OK;

fail:
    wbi_slab_free(slab);
    return rc;
}

int wbi_slab_register(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    for (unsigned i = 0; i < pool->registrar_count; i++) {
        struct wbi_registrar *registrar = &pool->registrars[i];
        int rc = registrar->reg(registrar->context, &slab->region, &slab->mrs[i]);
        if (rc)
            return rc;
        slab->registered++;
    }
    return WB_OK;
}

void wbi_slab_adopt(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;
    struct wbi_slab **head = &pool->slabs[slab->dedicated];

    slab->next = *head;
    if (slab->next)
        slab->next->prev = slab;
    *head = slab;
    pool->slab_count++;
    pool->holders++;
    if (slab->huge)
        pool->huge_bytes += slab->region.bytes;
}

void wbi_slab_mark_leaving(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    if (slab->prev)
        slab->prev->next = slab->next;
    else
        pool->slabs[slab->dedicated] = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
    slab->prev = slab->next = NULL;
    slab->state = WBI_SLAB_LEAVING;
    slab->awaiting = slab->registered + 1;
    pool->leaving += slab->region.bytes;
}

bool wbi_slab_is_over(const struct wbi_slab *slab)
{
    return slab->pool->closed && slab->state == WBI_SLAB_CONFIRMED && wbi_slab_idle(slab);
}

/* One confirmation came: the callback of dereg, on any thread. */
static void confirm(void *argument)
{
    struct wbi_slab *slab = argument;
    struct wb_rma_allocator *pool = slab->pool;
    bool over = false;

    pthread_mutex_lock(&pool->mutex);
    if (--slab->awaiting == 0) {
        slab->state = WBI_SLAB_CONFIRMED;
        over = wbi_slab_is_over(slab);
        if (!pool->closed) {
            /* Unmapping is slow and this may be a progress thread: whoever grows next, or the
             * worker, does it. */
            slab->next = pool->gone;
            pool->gone = slab;
            wbi_worker_wake(pool);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    if (over)
        wbi_slab_bury(slab);
}

void wbi_slab_leave(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    for (unsigned i = slab->registered; i-- > 0;) {
        struct wbi_mr *mr = slab->mrs[i];
        slab->mrs[i] = NULL;
        pool->registrars[i].dereg(pool->registrars[i].context, mr, confirm, slab);
    }
    confirm(slab);
}

void wbi_slab_free(struct wbi_slab *slab)
{
    if (!slab)
        return;
    if (slab->mapped)
        wbi_page_map_set(slab->region.base, slab->region.bytes >> WBI_PAGE_SHIFT, NULL);
    wbi_region_destroy(&slab->region);
    free(slab->runs);
    free(slab);
}

void wbi_slab_bury(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;
    uint64_t bytes = slab->region.bytes;
    bool huge = slab->huge;

    wbi_slab_free(slab);
    pthread_mutex_lock(&pool->mutex);
    pool->charged -= bytes;
    pool->leaving -= bytes;
    pool->huge_bytes -= huge ? bytes : 0;
    pool->slab_count--;
    if (wbi_demand_claims(pool, 0) > 0)
        wbi_worker_wake(pool);
    pthread_mutex_unlock(&pool->mutex);
    wbi_pool_drop_holder(pool);
}

void wbi_pool_drop_holder(struct wb_rma_allocator *pool)
{
    pthread_mutex_lock(&pool->mutex);
    bool last = --pool->holders == 0;
    pthread_mutex_unlock(&pool->mutex);
    if (!last)
        return;
    wbi_caches_free(pool);
    pthread_cond_destroy(&pool->worker_wake);
    pthread_mutex_destroy(&pool->grow_mutex);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
