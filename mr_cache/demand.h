/*
 * Growth that was asked for by threads that may not grow: a short table, one entry for each size of
 * run, served in the order of asking by the pool's worker. What is grown is parked for the next ask
 * of that size, so that no size can starve another by taking what was grown for it. All functions:
 * the pool's mutex is held.
 */
#ifndef WBI_MR_CACHE_DEMAND_H
#define WBI_MR_CACHE_DEMAND_H

#include <stdbool.h>
#include <stdint.h>

struct wb_rma_allocator;
struct wbi_run;

enum {
    WBI_DEMANDS = 16,
    /* Rounds of the worker in which others were refused room before a parked run or a claim lapses:
     * the pool has no clock, and whoever asked may have given up. An asker that polls comes back
     * within a few rounds. */
    WBI_DEMAND_ROUNDS = 1000
};

enum wbi_demand_state {
    WBI_DEMAND_NONE,
    WBI_DEMAND_ASKED,    /* waits for the worker */
    WBI_DEMAND_SERVING,  /* the worker is at it */
    WBI_DEMAND_CLAIMING, /* will have the budget of slabs that peers have not let go yet */
    WBI_DEMAND_PARKED,   /* `run` waits for the next ask */
    WBI_DEMAND_FAILED    /* `failure` waits for the next ask */
};

struct wbi_demand {
    enum wbi_demand_state state;
    int failure;
    uint64_t run_bytes; /* the key: no two entries have the same */
    uint64_t ticket;    /* order of asking */
    bool first;         /* what others have not fetched, or claim, makes way for it */
    struct wbi_run *run;
    unsigned rounds; /* in which others were refused because of this one */
};

struct wbi_demands {
    struct wbi_demand entries[WBI_DEMANDS];
    unsigned count; /* entries that are not empty: mostly 0, which the allocating path looks at */
    uint64_t last_ticket;
    bool crowded; /* an ask found no free entry */
};

/*
 * Enters a demand for a run, unless there is one of that size, and wakes the worker for it.
 * `first`: it goes before all others, for whoever is the only one to say so. Returns WB_AGAIN, or
 * the status with which the last growth of that size failed (once), or WB_ERR_NO_MEMORY when the
 * worker cannot be started.
 */
int wbi_demand_post(struct wb_rma_allocator *pool, uint64_t run_bytes, bool first);

/* Returns the run that is parked for that size, which is the caller's, and ends its demand; or
 * NULL. */
struct wbi_run *wbi_demand_collect(struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Whether there is a demand for a run of that size which has not failed. */
bool wbi_demand_stands(struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Ends the demand of that size, if there is one with nothing parked: its asker found room
 * elsewhere. */
void wbi_demand_withdraw(struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Empties an entry. What is parked in it becomes the caller's. */
void wbi_demand_end(struct wb_rma_allocator *pool, struct wbi_demand *demand);

/* The longest waiting demand with a ticket after `ticket` that the worker can try, or NULL. */
struct wbi_demand *wbi_demand_next(struct wb_rma_allocator *pool, uint64_t ticket);

/* Bytes of budget that demands other than that of `run_bytes` claim from slabs on their way out. */
uint64_t wbi_demand_claims(const struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Whether a demand other than that of `run_bytes` has a parked run or a claim. */
bool wbi_demand_others_hold(const struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Ends what demands other than that of `run_bytes` have parked or claim; says whether one did. */
bool wbi_demand_lapse_others(struct wb_rma_allocator *pool, uint64_t run_bytes);

/* Counts a round in which others were refused: demands that hold something for too many lose it.
 * Says whether one did. */
bool wbi_demand_count_round(struct wb_rma_allocator *pool);

/* Frees what is parked: whoever asked may have given up, and will ask anew if not. */
void wbi_demand_unpark(struct wb_rma_allocator *pool);

/* Ends every demand and frees what is parked. */
void wbi_demand_clear(struct wb_rma_allocator *pool);

#endif
