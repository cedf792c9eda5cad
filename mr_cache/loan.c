#include "mr_cache/loan.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "mr_cache/budget.h"
#include "mr_cache/growth.h"
#include "mr_cache/page_map.h"
#include "mr_cache/pool.h"
#include "mr_cache/region.h"
#include "mr_cache/runs.h"
#include "mr_cache/shrink.h"
#include "mr_cache/slab.h"

struct wbi_loan {
    void *base;
    size_t bytes;
    wb_rma_release release;
    void *context;
    struct wbi_loan *next; /* in `dead` */
    atomic_uint refs;
};

/* Dropped by this thread, and not released yet. */
static _Thread_local struct wbi_loan *dead;

int wbi_loan_create(void *base, size_t bytes, wb_rma_release release, void *context,
                    struct wbi_loan **out)
{
    struct wbi_loan *loan = malloc(sizeof(*loan));

    if (!loan)
        return WB_ERR_NO_MEMORY;
    *loan = (struct wbi_loan){.base = base, .bytes = bytes, .release = release, .context = context};
    atomic_init(&loan->refs, 1);
    *out = loan;
    return WB_OK;
}

struct wbi_loan *wbi_loan_hold(struct wbi_loan *loan)
{
    atomic_fetch_add_explicit(&loan->refs, 1, memory_order_relaxed);
    return loan;
}

void wbi_loan_drop(struct wbi_loan *loan)
{
    /* Release and acquire: what every holder did to the memory comes before its owner has it. */
    if (atomic_fetch_sub_explicit(&loan->refs, 1, memory_order_acq_rel) > 1)
        return;
    loan->next = dead;
    dead = loan;
}

void wbi_loans_release(void)
{
    while (dead && !wbi_budget_has_growth()) {
        struct wbi_loan loan = *dead;
        free(dead);
        dead = loan.next; /* before the call, in which there may be others */
        if (loan.release)
            loan.release(loan.context, loan.base, loan.bytes);
    }
}

/* ---- a region of the user's becomes slabs ---- */

/* What is wanted, and the slabs made so far, by next. */
struct adding {
    struct wb_rma_allocator *pool;
    struct wbi_loan *loan;
    unsigned char *base;
    uint64_t bytes;
    int fd;
    struct wbi_slab *made;
    uint64_t made_bytes;
};

/* The part of [base, base + bytes) that slabs can lie in; false: there is none. */
static bool align_inward(void *base, size_t bytes, struct adding *adding)
{
    uintptr_t start = (uintptr_t)base, end;

    if (!base || __builtin_add_overflow(start, bytes, &end))
        return false;
    size_t head = -start & (WBI_REGION_ALIGN - 1);
    end &= ~(uintptr_t)(WBI_REGION_ALIGN - 1);
    if (bytes < head || end <= start + head)
        return false;
    adding->base = (unsigned char *)base + head;
    adding->bytes = end - (start + head);
    return true;
}

/* Bytes of the largest slab that it is cut into. */
static uint64_t largest_piece(const struct adding *adding)
{
    uint64_t most = adding->pool->largest_bytes & ~(uint64_t)(WBI_REGION_ALIGN - 1);

    most = most < WBI_SLAB_MAX_BYTES ? most : WBI_SLAB_MAX_BYTES;
    return adding->bytes < most ? adding->bytes : most;
}

/* What a device or the system would say to it, asked beforehand. The grow_mutex is held, so that
 * nobody else registers meanwhile, and an open pool stays open. */
static int check_limits(const struct adding *adding)
{
    const struct wb_rma_allocator *pool = adding->pool;

    return pool->check_region ? pool->check_region(pool->context, pool->devices,
                                                   largest_piece(adding), adding->bytes)
                              : WB_OK;
}

/* Makes and registers slabs for all of it, none of which is in the pool yet. The grow_mutex is
 * held. */
static int make_slabs(struct adding *adding)
{
    uint64_t most = largest_piece(adding);
    int rc = WB_OK;

    /* A peer maps a file whole: what is cut has no file for it. */
    int fd = adding->bytes <= most ? adding->fd : -1;
    while (!rc && adding->made_bytes < adding->bytes) {
        uint64_t left = adding->bytes - adding->made_bytes, bytes = left < most ? left : most;
        struct wbi_slab *slab;
        rc = wbi_slab_create_lent(adding->pool, adding->loan, adding->base + adding->made_bytes,
                                  bytes, fd, &slab);
        if (rc)
            break;
        slab->next = adding->made;
        adding->made = slab;
        adding->made_bytes += bytes;
        rc = wbi_slab_register(slab);
    }
    return rc;
}

/* Puts the slabs into the pool; where making them failed, only to let them go. The mutex is held.
 */
static void adopt(struct adding *adding, int rc)
{
    while (adding->made) {
        struct wbi_slab *slab = adding->made;
        adding->made = slab->next;
        slab->next = NULL;
        adding->pool->growing -= slab->region.bytes;
        wbi_slab_adopt(slab);
        if (rc) {
            slab->free_pages = slab->page_count;
            wbi_shrink_let_go(slab);
        } else {
            adding->pool->registrations++;
            wbi_runs_add(adding->pool, slab);
        }
    }
}

/* Whether some of it belongs to a pool already. */
static bool overlaps(const struct adding *adding)
{
    for (uint64_t at = 0; at < adding->bytes; at += WBI_REGION_ALIGN)
        if (wbi_page_map_find(adding->base + at))
            return true;
    return false;
}

/* Budget for it, for which idle slabs go. Both mutexes are held. */
static int make_budget(const struct adding *adding)
{
    struct wb_rma_allocator *pool = adding->pool;

    if (pool->closed)
        return WB_ERR_CLOSED;
    if (largest_piece(adding) == 0 || adding->bytes > pool->budget_bytes ||
        adding->bytes > pool->budget->limit_bytes)
        return WB_ERR_BUDGET;
    return overlaps(adding) ? WB_ERR_EXISTS : wbi_growth_make_budget(pool, adding->bytes);
}

static int add(struct adding *adding)
{
    struct wb_rma_allocator *pool = adding->pool;
    struct wbi_budget *budget = pool->budget;

    wbi_budget_lock_growth(budget);
    pthread_mutex_lock(&pool->mutex);
    int rc = make_budget(adding);
    pthread_mutex_unlock(&pool->mutex);
    if (rc == WB_OK)
        rc = check_limits(adding); /* what went for it counts no more */
    pthread_mutex_lock(&pool->mutex);
    if (rc == WB_OK) {
        pool->charged += adding->bytes;
        pool->growing += adding->bytes;
        wbi_budget_charge(budget, adding->bytes);
        pthread_mutex_unlock(&pool->mutex);
        rc = make_slabs(adding);
        pthread_mutex_lock(&pool->mutex);
        pool->growing -= adding->bytes - adding->made_bytes;
        pool->charged -= adding->bytes - adding->made_bytes;
        wbi_budget_return(budget, adding->bytes - adding->made_bytes);
        adopt(adding, rc);
    }
    pthread_mutex_unlock(&pool->mutex);
    wbi_budget_unlock_growth(budget);
    return rc;
}

int wb_rma_allocator_add_region(struct wb_rma_allocator *pool, void *base, size_t bytes, int fd,
                                wb_rma_release release, void *context)
{
    struct adding adding = {.pool = pool, .fd = fd};

    int rc = wbi_loan_create(base, bytes, release, context, &adding.loan);
    if (rc) {
        if (release)
            release(context, base, bytes);
        return rc;
    }
    if (wbi_growth_of_this_thread() != WBI_GROWTH_HERE)
        rc = WB_ERR_DEADLOCK;
    else if (!align_inward(base, bytes, &adding))
        rc = WB_ERR_INVALID;
    if (adding.base != base || adding.bytes != bytes)
        adding.fd = -1;
    rc = rc ? rc : add(&adding);
    wbi_loan_drop(adding.loan);
    wbi_loans_release();
    return rc;
}
