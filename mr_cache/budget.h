/*
 * What the pools of one engine have in common: the bytes that they may register together, growth
 * one at a time, and the thread that grows for those who may not. A pool that is made without one
 * has one of its own.
 */
#ifndef WBI_MR_CACHE_BUDGET_H
#define WBI_MR_CACHE_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct wb_rma_allocator;

/*
 * Lock order: grow_mutex, the mutex of a pool, mutex. Nobody holds the mutexes of two pools.
 * Invariant: charged == charged of all pools that are not freed <= limit_bytes.
 * References: one of whoever made it, one of each pool's shell.
 */
struct wbi_budget {
    uint64_t limit_bytes; /* constant */

    pthread_mutex_t grow_mutex; /* one growth at a time, of all pools; pools close under it. By
                                   wbi_budget_lock_growth alone */
    pthread_mutex_t mutex;      /* guards what follows; the last that is taken */

    uint64_t charged, peak_charged;
    struct wb_rma_allocator *members; /* by next_member: pools that are open, or have slabs yet */
    uint64_t last_member;
    unsigned refs;

    pthread_t worker;
    pthread_cond_t worker_wake;
    bool worker_started, worker_stop, worker_work;
};

/* What the pools of a budget have together. */
struct wbi_budget_sums {
    uint64_t charged;
    uint64_t leaving, idle, claimed; /* as in the pools; `claimed` not counting the asking one's */
    uint64_t
        reserved; /* of the limit, for other pools' reserves, as far as they have them not unused */
    bool others_may_collect; /* pages that are idle but for the asking: see wbi_growth */
};

/* Makes a budget with one reference, which the caller owns. Errors: WB_ERR_NO_MEMORY. */
int wbi_budget_create(uint64_t limit_bytes, struct wbi_budget **out);

/*
 * Closes every pool of the budget for good: its thread is stopped, every slab deregistered, and no
 * registrar called any more. The pools' shells stay as long as somebody holds them. Accepts NULL.
 * Not on a progress thread.
 */
void wbi_budget_close(struct wbi_budget *budget);

/* References. Any thread; drop accepts NULL. */
struct wbi_budget *wbi_budget_ref(struct wbi_budget *budget);
void wbi_budget_drop(struct wbi_budget *budget);

/* Takes and gives back the grow_mutex; and whether this thread has one of any budget. Where it is
 * given back and no other mutex is held, wbi_loans_release follows. */
void wbi_budget_lock_growth(struct wbi_budget *budget);
void wbi_budget_unlock_growth(struct wbi_budget *budget);
bool wbi_budget_has_growth(void);

/* Charges and returns bytes. Whoever charges holds the grow_mutex and has looked at the sums. */
void wbi_budget_charge(struct wbi_budget *budget, uint64_t bytes);
void wbi_budget_return(struct wbi_budget *budget, uint64_t bytes);

/* The sums, as the pool `asking` sees them. Its mutex may be held. */
struct wbi_budget_sums wbi_budget_sum(struct wbi_budget *budget,
                                      const struct wb_rma_allocator *asking);

/* Bytes that are charged now, and slabs that its pools have. */
void wbi_budget_count(struct wbi_budget *budget, uint64_t *bytes, uint64_t *slabs);

/* Enters an open pool, which the budget holds (pool->holders) from here on. */
void wbi_budget_enter(struct wbi_budget *budget, struct wb_rma_allocator *pool);

/* Forgets a pool, if it is there, and drops what the budget held of it. No mutex but the grow_mutex
 * is held. */
void wbi_budget_leave(struct wbi_budget *budget, struct wb_rma_allocator *pool);

/* The pool that entered next after *member, which it sets, with a holder that the caller drops
 * (wbi_pool_drop_holder); or NULL. Start with 0. */
struct wb_rma_allocator *wbi_budget_next(struct wbi_budget *budget, uint64_t *member);

#endif
