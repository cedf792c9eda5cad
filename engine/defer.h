/*
 * Deferred calls: requests whose handler answers later, or runs on an executor. The request stays
 * an inbound parcel of its peer's, in stage READY, with its slot and landings, until the answer.
 *
 * Two may still be at it: the handler, until it returns, and whoever answers. Invariant: `parts`
 * counts them; the last of them settles the call: gives it to the lane thread (wbi_lane.settled),
 * which sends the answer and ends the struct. Nobody touches it afterwards.
 */
#ifndef WBI_ENGINE_DEFER_H
#define WBI_ENGINE_DEFER_H

#include <stdatomic.h>
#include <waybill/defer.h>

#include "engine/registry.h"
#include "engine/serve.h"
#include "engine/sleepers.h"

struct wb_deferred {
    struct wb_context context; /* of the answer; whoever answers, then the lane thread */
    struct wbi_header header;  /* the request's */
    struct wb_rma_block *reply_block;
    const struct wbi_entry *entry; /* of an executor's; else NULL */
    struct wbi_inbound *in;        /* the request; owned */
    _Atomic int parts;
    _Atomic int ended;                /* why nobody waits any more; WB_OK while somebody does */
    bool sent;                        /* the answer has gone, in the slot; lane thread */
    int status;                       /* how the handler failed, where there is no reply */
    uint64_t begun_ns;                /* where latencies are counted; lane thread */
    struct wb_deferred *next_settled; /* in the lane's list */
    struct wb_deferred *prev, *next;  /* all of the lane; lane thread */
};

/* Lane thread, in a handler: makes the context's call a deferred one, of which `parts` are to end.
 * WB_ERR_NO_MEMORY: it is not. */
int wbi_defer(struct wb_context *context, int parts, struct wb_deferred **deferred);

/* Any thread: one of its parts has ended. */
void wbi_deferred_part(struct wb_deferred *deferred);

/* Lane thread: sends what has been answered, and ends those calls. */
void wbi_deferred_collect(struct wbi_lane *lane);

/* Lane thread: the call has ended for its caller with in->status; `lost`: with its peer. */
void wbi_deferred_give_up(struct wbi_inbound *in, bool lost);

/* Any thread: whether the answer can be written into the fabric's slot: the lane is entered then,
 * until wbi_deferred_leave. */
bool wbi_deferred_enter(struct wb_context *context);
void wbi_deferred_leave(struct wb_context *context);

/* Lane thread, entered so: sends what is in the slot, and leaves. */
void wbi_deferred_send(struct wb_context *context);

/* The lane ends: so do all that are left, answered or not. */
void wbi_deferred_end_all(struct wbi_lane *lane);

/* Lane thread: gives a complete request to its executor. WB_ERR_NO_MEMORY. */
int wbi_execute(struct wb_context *context, const struct wbi_entry *entry);

/* Whether the calling thread does an executor's work while it waits; and a piece of that: whether
 * there was some. */
bool wbi_executor_helps(void);
bool wbi_executor_help(void);

/* A thread that helps and is about to sleep: known to wb_executor_wake from `open` to `close`. */
struct wbi_helper {
    const struct wb_executor *executor;
    struct wb_engine *engine;
    _Atomic bool called;
    unsigned generation;           /* whose list it is in: of this process, or of its parent */
    struct wbi_sleeper *sleeper;   /* as it sleeps, or NULL */
    struct wbi_helper *next, **at; /* at NULL: in no list */
};

/* Between these it looks for work once more, and then sleeps. close returns whether it was called,
 * and has to look again. */
void wbi_helper_open(struct wbi_helper *helper, struct wb_engine *engine);
bool wbi_helper_close(struct wbi_helper *helper);

/* It is about to sleep so, unless (false) it has been called; and has slept. Accept NULL: a thread
 * that does not help. */
bool wbi_helper_sleeps(struct wbi_helper *helper, struct wbi_sleeper *sleeper);
void wbi_helper_wakes(struct wbi_helper *helper);

/* In a child of fork: no other thread sleeps here. */
void wbi_helpers_forget(void);

#endif
