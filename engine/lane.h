/*
 * Lanes: one unit of progress each: a fabric's lane, the channels on it, their calls and slots.
 * Threads on different lanes share nothing hot. Whoever holds the lane is the lane thread; nobody
 * waits for a lane on the hot path: a parcel that comes while another thread holds the lane goes
 * into the inbox, and the holder sends it before it leaves.
 */
#ifndef WBI_ENGINE_LANE_H
#define WBI_ENGINE_LANE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/call.h"
#include "engine/clock.h"
#include "engine/count.h"
#include "engine/events.h"
#include "engine/fabric.h"
#include "engine/hold.h"
#include "engine/latency.h"
#include "engine/lease.h"
#include "engine/peer.h"
#include "engine/room.h"
#include "engine/share.h"
#include "engine/sleepers.h"
#include "engine/slots.h"
#include "engine/stream.h"

struct wb_engine;
struct wb_buffer_owner;
struct wb_deferred;

/* What other threads ask of a lane, beside what is in its inbox. */
enum wbi_asked {
    WBI_ASKED_TO_CANCEL = 1,  /* calls were given up */
    WBI_ASKED_TO_COLLECT = 2, /* deferred calls were answered */
    WBI_ASKED_TO_LOOK = 4,    /* peers are waited for, or drained */
    WBI_ASKED_TO_WAKE = 8,    /* calls may have ended for which a thread sleeps */
    WBI_ASKED_TO_LEND = 16    /* others want a call, and there is none but the lane's own */
};

enum {
    WBI_LANE_APART = 64,    /* bytes: a line of the CPU's cache */
    WBI_TURNS_CROWDED = 256 /* after another thread has left something, the lane is not kept */
};

struct wbi_lane {
    struct wbi_hold hold;               /* who is in */
    _Atomic(struct wbi_parcel *) inbox; /* newest first */
    _Atomic unsigned wants;             /* of wbi_asked, since the lane last looked */
    _Atomic(struct wb_deferred *)
        settled; /* deferred calls that have been answered; newest first */

    struct wb_engine *engine;
    const struct wbi_fabric *fabric;
    struct wbi_domain *domain;
    const struct wbi_fabric_caps *caps;
    struct wbi_shares shares; /* what it makes of the fabric's receives */
    struct wbi_fabric_lane *port;
    unsigned registrar;          /* its network's number, and the domain's in the pool */
    unsigned index;              /* of its network's lanes */
    uint32_t bit;                /* in engine->peopled */
    _Atomic uint32_t population; /* that live here, or are about to: see home.h */
    uint32_t coming;             /* of those, who have yet to take a place, or to do without */
    _Atomic uint64_t shunned;    /* until when it is the last choice of who comes; 0: it is not */
    struct wbi_rooms rooms;      /* who waits until a call would be taken; hardly ever written */
    struct wbi_streams streams;
    struct wbi_latency *latency; /* NULL: nobody wants to know */

    struct wbi_slots slots;
    struct wbi_calls calls;
    struct wbi_parcels parcels;
    struct wbi_lease_table leases;
    uint32_t pinned;                 /* registrations on the fly that its sets may have */
    struct wb_buffer_owner *ended;   /* buffers whose programs are still to be told */
    struct wb_call *due, **due_tail; /* calls likewise */
    struct wb_peer *peers, *busy, *dying;
    _Atomic uint32_t peer_count; /* that have a place: see home.h */
    uint32_t shared_credits;     /* not granted to anybody */
    uint32_t shared_replies;     /* likewise, of those that are granted */
    uint32_t waiting;            /* requests that wait with their credits given back */
    uint32_t asked;              /* unanswered requests, beyond those that are kept for each peer */
    struct wb_deferred *deferred; /* all, answered or not */
    _Atomic uint32_t orphans; /* of them, those whose peer is gone: each holds a slot; written by
                                 the lane thread: see wbi_home_fits */
    struct wbi_inbound *parked, *parked_last; /* in rounds: see park.c */
    uint32_t parkings;                        /* how often one was parked, ever */
    uint32_t queueing; /* of the parked ones, those that wait for landings and keep none */
    _Atomic uint64_t first_waiting; /* the ticket of the first of those, for other lanes; 0 none */
    struct wbi_rough_clock clock;   /* that it looks at, */
    uint64_t now;                   /* and when it last did for what is due */
    uint64_t dial_at;               /* the next attempt to connect that waits for its time, or 0 */
    struct wbi_lane *outer;         /* that the thread inside is inside of, too */
    uint32_t turns;
    uint32_t crowded; /* turns for which other threads are known to want the lane */
    bool armed;       /* the fabric's alarm is set */
    bool bare;        /* so it has said when it last looked at that: engine->bare */
    bool owes;        /* set where `ended`, `due`, or what rooms or streams have due is not empty */
    bool inside;      /* a turn is under way: handlers may run */
    _Atomic uint32_t holder_waits; /* not 0: the thread inside waits for what others hold or do */
    struct wbi_counters counters;
    struct wbi_events events;
    char behind[WBI_LANE_APART]; /* what other lanes' threads write is on other cache lines */
};

/* Opens lane `index` of the engine's network `number`, whose domain is open. */
int wbi_lane_open(struct wbi_lane *lane, struct wb_engine *engine, unsigned number, unsigned index);
/* Enters the lane for good, buries all peers and calls the program back; their handles and the
 * calls are still there. Accepts a zeroed or half-open lane. */
void wbi_lane_end(struct wbi_lane *lane);
/* Forgets the peers and closes the fabric's lane, which has ended. Accepts the same. */
void wbi_lane_close(struct wbi_lane *lane);

/* Any thread: never waits. */
static inline enum wbi_entry_kind wbi_lane_enter(struct wbi_lane *lane)
{
    return wbi_hold_enter(&lane->hold);
}

/* Any thread, cold paths only: tries for some microseconds. */
enum wbi_entry_kind wbi_lane_enter_soon(struct wbi_lane *lane);
/* Any thread, cold paths only: waits until the lane is this thread's (or was already). */
enum wbi_entry_kind wbi_lane_enter_waiting(struct wbi_lane *lane);
/* The same for threads that may be inside of another lane: WBI_LANE_BUSY where whoever holds this
 * one waits for a lane likewise, maybe for that. */
enum wbi_entry_kind wbi_lane_enter_in_turn(struct wbi_lane *lane);

/* Around what the calling thread waits for, maybe inside of lanes: those of whoever has what it
 * waits for, and wants one of these, are not to wait in turn. */
void wbi_lanes_begin_wait(void);
void wbi_lanes_end_wait(void);

/* Says so: WB_ERR_DEADLOCK. `what` is a URL. */
int wbi_lane_say_busy(const char *what);

static inline bool wbi_lane_is_asked_to(const struct wbi_lane *lane, enum wbi_asked what)
{
    return (atomic_load_explicit(&lane->wants, memory_order_relaxed) & (unsigned)what) != 0;
}

/* Lane thread: whether those are to be woken for whom a call has ended; it is asked no more. */
static inline bool wbi_lane_take_wake(struct wbi_lane *lane)
{
    bool asked = wbi_lane_is_asked_to(lane, WBI_ASKED_TO_WAKE);
    if (asked) {
        atomic_fetch_and_explicit(&lane->wants, ~(unsigned)WBI_ASKED_TO_WAKE, memory_order_acq_rel);
    }
    return asked;
}

/* Lane thread, before it runs what may take long: wakes them now, and not when the lane is left. */
static inline void wbi_lane_before_program(struct wbi_lane *lane)
{
    if (wbi_lane_take_wake(lane)) {
        wbi_sleepers_wake_met(lane->engine);
    }
}

/* Peers that have a place: lane thread, or as it was a moment ago. */
static inline uint32_t wbi_lane_peers(const struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->peer_count, memory_order_relaxed);
}

/* The innermost lane that the calling thread is in the middle of a turn of, or calls back from; its
 * `outer` is that before. NULL: none. */
extern _Thread_local struct wbi_lane *wbi_lane_inside __attribute__((tls_model("initial-exec")));
static inline const struct wbi_lane *wbi_lane_innermost(void)
{
    return wbi_lane_inside;
}

/* Whether the calling thread runs handlers or callbacks, of whatever lane and engine; and whether
 * of this engine's. */
static inline bool wbi_thread_is_inside(void)
{
    return wbi_lane_inside != NULL;
}
bool wbi_thread_is_inside_of(const struct wb_engine *engine);

/* Lane thread: around what may run handlers or callbacks. */
static inline void wbi_lane_go_inside(struct wbi_lane *lane)
{
    lane->inside = true;
    lane->outer = wbi_lane_inside;
    wbi_lane_inside = lane;
}
static inline void wbi_lane_come_out(struct wbi_lane *lane)
{
    lane->inside = false;
    wbi_lane_inside = lane->outer;
}

/* Lane thread: what is sent between the two leaves together, where the fabric gains by that. */
static inline void wbi_lane_gather(struct wbi_lane *lane)
{
    if (lane->fabric->gather != NULL) {
        lane->fabric->gather(lane->port);
    }
}
static inline void wbi_lane_flush(struct wbi_lane *lane)
{
    if (lane->fabric->flush != NULL) {
        lane->fabric->flush(lane->port);
    }
}

/* Whether other threads have left something for the lane thread; and whether parcels. */
static inline bool wbi_lane_inbox_waits(struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->inbox, memory_order_relaxed) != NULL;
}
static inline bool wbi_lane_is_asked(struct wbi_lane *lane, memory_order order)
{
    return atomic_load_explicit(&lane->inbox, order) != NULL ||
           atomic_load_explicit(&lane->wants, order) != 0;
}

/* Calls the program back, and lets the lane go; what came into the inbox is sent, and what it was
 * asked to do is done, before callbacks, or when it has been let go: whoever submits after our last
 * look sees the lane free, or we see his parcel afterwards. Mostly nothing is owed or asked. */
void wbi_lane_leave_owing(struct wbi_lane *lane);
void wbi_lane_look_back(struct wbi_lane *lane);
static inline void wbi_lane_leave(struct wbi_lane *lane)
{
    if (lane->owes) {
        wbi_lane_leave_owing(lane);
        return;
    }
    wbi_hold_leave(&lane->hold);
    if (wbi_lane_is_asked(lane, memory_order_seq_cst)) {
        wbi_lane_look_back(lane);
    }
}

/* Whether the calling thread holds the lane. */
static inline bool wbi_lane_is_mine(const struct wbi_lane *lane)
{
    return wbi_hold_is_mine(&lane->hold);
}

/* Lane thread: a buffer has lost its last reference. Its program is called back when the lane is
 * left: nothing of the engine's is half done then, so that the callback may make calls. */
void wbi_lane_end_buffer(struct wbi_lane *lane, struct wb_buffer_owner *owner);

/* Lane thread: sends what came into the inbox. */
void wbi_lane_drain(struct wbi_lane *lane);

/* Any thread: hands a parcel to whoever holds the lane. */
void wbi_lane_submit(struct wbi_lane *lane, struct wbi_parcel *parcel);

/* Any thread: what it is asked to do is done when the lane is next left; here, if nobody holds it.
 */
void wbi_lane_ask(struct wbi_lane *lane, enum wbi_asked what);

/* Lane thread: whether the peer waits to be buried. */
bool wbi_lane_is_dying(const struct wbi_lane *lane, const struct wb_peer *peer);

/* Lane thread, not nested: buries the peers that failed. */
void wbi_lane_bury(struct wbi_lane *lane);

#endif
