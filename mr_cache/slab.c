#include "mr_cache/slab.h"

#include <stdlib.h>

#include "mr_cache/caches.h"
#include "mr_cache/loan.h"
#include "mr_cache/page_map.h"
#include "mr_cache/poison.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/worker.h"

enum {
    WHOLE_SLAB_SHIFT = 48 /* the single page of a dedicated slab: every offset is on page 0 */
};

/* A slab of `bytes` without its region, or NULL. */
static struct wbi_slab *make_shell(struct wb_rma_allocator *pool, uint64_t bytes, bool dedicated)
{
    struct wbi_slab *slab = calloc(1, sizeof(*slab));

    if (!slab)
        return NULL;
    slab->pool = pool;
    slab->dedicated = dedicated;
    slab->page_shift = dedicated ? WHOLE_SLAB_SHIFT : WBI_PAGE_SHIFT;
    slab->page_count = dedicated ? 1 : (uint32_t)(bytes >> WBI_PAGE_SHIFT);
    slab->runs = calloc(slab->page_count, sizeof(*slab->runs));
    if (slab->runs)
        return slab;
    wbi_slab_free(slab);
    return NULL;
}

/* The slab has its region: makes it found by address. Frees it on failure. */
static int enter(struct wbi_slab *slab, struct wbi_slab **out)
{
    slab->region.devices = slab->pool->devices;
    int rc = wbi_page_map_cover(slab->region.base, slab->region.bytes);
    if (rc) {
        wbi_slab_free(slab);
        return rc;
    }
    wbi_page_map_set(slab->region.base, slab->region.bytes >> WBI_PAGE_SHIFT, slab->runs);
    slab->mapped = true;
    wbi_poison(slab->region.base, slab->region.bytes);
    *out = slab;
    return WB_OK;
}

int wbi_slab_create(struct wb_rma_allocator *pool, uint64_t bytes, struct wbi_slab **out)
{
    struct wbi_slab *slab = make_shell(pool, bytes, bytes > pool->slab_bytes);

    if (!slab)
        return WB_ERR_NO_MEMORY;
    int rc = wbi_region_create(bytes, pool->numa_node, pool->pages, &slab->region, &slab->pages);
    if (rc) {
        wbi_slab_free(slab);
        return rc;
    }
    return enter(slab, out);
}

int wbi_slab_create_lent(struct wb_rma_allocator *pool, struct wbi_loan *loan, void *base,
                         uint64_t bytes, int fd, struct wbi_slab **out)
{
    struct wbi_slab *slab = make_shell(pool, bytes, false);

    if (!slab)
        return WB_ERR_NO_MEMORY;
    slab->loan = wbi_loan_hold(loan);
    slab->region = (struct wbi_region){.base = base, .bytes = bytes, .fd = fd, .lent = true};
    return enter(slab, out);
}

/* What nobody uses gives way to it. */
static int register_with(struct wbi_slab *slab, unsigned i)
{
    const struct wb_rma_allocator *pool = slab->pool;
    const struct wbi_registrar *registrar = &pool->registrars[i];
    int rc;

    do
        rc = registrar->reg(registrar->context, &slab->region, &slab->mrs[i]);
    while (rc == WB_ERR_NO_MEMORY && registrar->pins && pool->shed && pool->shed(pool->context));
    return rc;
}

int wbi_slab_register(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    for (unsigned i = 0; i < pool->registrar_count; i++) {
        int rc = register_with(slab, i);
        if (rc)
            return rc;
        slab->registered++;
        slab->pinned |= pool->registrars[i].pins;
    }
    return WB_OK;
}

/* Adds to, or with the negative number takes from, the figures about kinds of memory. The pool's
 * mutex is held. */
static void count_kind(const struct wbi_slab *slab, uint64_t bytes)
{
    struct wb_rma_allocator *pool = slab->pool;

    pool->pinned_bytes += slab->pinned ? bytes : 0;
    if (slab->loan)
        pool->lent_bytes += bytes;
    else
        pool->page_bytes[slab->pages] += bytes;
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
    count_kind(slab, slab->region.bytes);
}

static void link_left(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    slab->left_next = pool->left;
    if (slab->left_next)
        slab->left_next->left_prev = slab;
    pool->left = slab;
}

static void unlink_left(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    if (slab->left_next)
        slab->left_next->left_prev = slab->left_prev;
    if (slab->left_prev)
        slab->left_prev->left_next = slab->left_next;
    else if (pool->left == slab)
        pool->left = slab->left_next;
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
    if (pool->closed)
        link_left(slab);
    slab->awaiting = 1;
    for (unsigned i = 0; i < slab->registered; i++)
        slab->awaiting += slab->mrs[i] != NULL;
    pool->leaving += slab->region.bytes;
}

bool wbi_slab_is_over(const struct wbi_slab *slab)
{
    return slab->pool->closed && slab->state == WBI_SLAB_CONFIRMED && wbi_slab_idle(slab);
}

/* One confirmation came. */
static void count_confirmation(struct wbi_slab *slab)
{
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
            wbi_worker_wake(pool->budget);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    if (over) {
        wbi_slab_bury(slab);
        wbi_loans_release();
    }
}

/* The callback of dereg. As the last one it comes on a thread that makes progress, on which a
 * lender's release is not to grow anything. */
static void confirm(void *argument)
{
    bool former = wbi_rma_thread_may_grow(false);

    count_confirmation(argument);
    (void)wbi_rma_thread_may_grow(former);
}

void wbi_slab_leave(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;

    for (unsigned i = slab->registered; i-- > 0;) {
        struct wbi_mr *mr = slab->mrs[i];
        slab->mrs[i] = NULL;
        if (mr)
            pool->registrars[i].dereg(pool->registrars[i].context, mr, confirm, slab);
    }
    count_confirmation(slab);
}

void wbi_slab_free(struct wbi_slab *slab)
{
    if (!slab)
        return;
    if (slab->mapped)
        wbi_page_map_set(slab->region.base, slab->region.bytes >> WBI_PAGE_SHIFT, NULL);
    if (slab->loan) {
        wbi_unpoison(slab->region.base, slab->region.bytes);
        wbi_loan_drop(slab->loan);
    } else {
        wbi_region_destroy(&slab->region);
    }
    free(slab->runs);
    free(slab);
}

void wbi_slab_bury(struct wbi_slab *slab)
{
    struct wb_rma_allocator *pool = slab->pool;
    uint64_t bytes = slab->region.bytes;
    pthread_mutex_lock(&pool->mutex);
    unlink_left(slab);
    pthread_mutex_unlock(&pool->mutex);
    const struct wbi_slab was = *slab;

    wbi_slab_free(slab);
    pthread_mutex_lock(&pool->mutex);
    count_kind(&was, -bytes);
    pool->charged -= bytes;
    pool->leaving -= bytes;
    pool->slab_count--;
    wbi_budget_return(pool->budget, bytes);
    wbi_worker_wake(pool->budget); /* a demand of any of its pools may claim these bytes */
    pthread_mutex_unlock(&pool->mutex);
    wbi_pool_drop_holder(pool);
}

void wbi_pool_drop_holder(struct wb_rma_allocator *pool)
{
    if (atomic_fetch_sub(&pool->holders, 1) > 1)
        return;
    wbi_caches_free(pool);
    pthread_mutex_destroy(&pool->mutex);
    wbi_budget_drop(pool->budget);
    free(pool);
}
