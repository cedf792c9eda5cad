#include "engine/lane.h"

#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/peer.h"
#include "mr_cache/allocator.h"
#include "mr_cache/buffer.h"

/* ---- who holds the lane ---- */

enum wbi_entry_kind wbi_lane_enter_soon(struct wbi_lane *lane)
{
    enum wbi_entry_kind entry = wbi_lane_enter(lane);
    for (unsigned tries = 1; entry == WBI_LANE_BUSY && tries < 1000; tries++) {
        wbi_relax();
        entry = wbi_lane_enter(lane);
    }
    return entry;
}

_Thread_local struct wbi_lane *wbi_lane_inside __attribute__((tls_model("initial-exec")));

void wbi_lanes_begin_wait(void)
{
    for (struct wbi_lane *lane = wbi_lane_inside; lane != NULL; lane = lane->outer) {
        atomic_fetch_add(&lane->holder_waits, 1);
    }
}

void wbi_lanes_end_wait(void)
{
    for (struct wbi_lane *lane = wbi_lane_inside; lane != NULL; lane = lane->outer) {
        atomic_fetch_sub(&lane->holder_waits, 1);
    }
}

/* In a circle of threads that wait for each other's lanes each would see that of the next. */
static enum wbi_entry_kind enter_waiting(struct wbi_lane *lane, bool gives_up)
{
    static _Atomic uint32_t never;
    enum wbi_entry_kind entry = wbi_lane_enter_soon(lane);
    if (entry != WBI_LANE_BUSY) {
        return entry;
    }
    wbi_lanes_begin_wait();
    while (entry == WBI_LANE_BUSY && !(gives_up && atomic_load(&lane->holder_waits) != 0)) {
        wbi_park(&never, 0, 100); /* the holder may be in a long handler */
        entry = wbi_lane_enter(lane);
    }
    wbi_lanes_end_wait();
    return entry;
}

enum wbi_entry_kind wbi_lane_enter_waiting(struct wbi_lane *lane)
{
    return enter_waiting(lane, false);
}

enum wbi_entry_kind wbi_lane_enter_in_turn(struct wbi_lane *lane)
{
    return enter_waiting(lane, wbi_lane_inside != NULL);
}

/* The inbox, oldest first. */
static struct wbi_parcel *take_inbox(struct wbi_lane *lane)
{
    struct wbi_parcel *newest = atomic_exchange_explicit(&lane->inbox, NULL, memory_order_acquire);
    struct wbi_parcel *oldest = NULL;
    while (newest != NULL) {
        struct wbi_parcel *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void wbi_lane_drain(struct wbi_lane *lane)
{
    struct wbi_parcel *parcel = take_inbox(lane);
    while (parcel != NULL) {
        struct wbi_parcel *next = parcel->next;
        struct wbi_outgoing out = parcel->out;
        wbi_call_enter(out.call, out.plan.bytes);
        wbi_outgoing_send(&out);
        parcel = next;
    }
}

void wbi_lane_end_buffer(struct wbi_lane *lane, struct wb_buffer_owner *owner)
{
    owner->next = lane->ended;
    lane->ended = owner;
    lane->owes = true;
}

static bool is_due(const struct wbi_lane *lane)
{
    return lane->ended != NULL || lane->due != NULL || lane->rooms.due != NULL ||
           lane->streams.due != NULL;
}

/* Whether callbacks may well send more than one message together: there are several, or one that
 * has waited for room. What a single one sends leaves at once. */
static bool has_many_due(const struct wbi_lane *lane)
{
    return (lane->due != NULL && lane->due->next_due != NULL) || lane->rooms.due != NULL;
}

/* Callbacks are inside the lane as handlers are, and may end more calls and buffers. */
static void call_back(struct wbi_lane *lane)
{
    bool may_grow = wbi_rma_thread_may_grow(false);
    bool many = has_many_due(lane);
    wbi_lane_go_inside(lane);
    if (many) {
        wbi_lane_gather(lane);
    }
    while (is_due(lane)) {
        wbi_lane_before_program(lane);
        struct wb_buffer_owner *owner = lane->ended;
        if (owner != NULL) {
            lane->ended = owner->next;
            wbi_buffer_owner_end(owner);
        }
        wbi_calls_tell(lane);
        wbi_rooms_tell(lane);
        wbi_streams_tell(lane);
    }
    lane->owes = false;
    if (many) {
        wbi_lane_flush(lane);
    }
    wbi_lane_come_out(lane);
    wbi_rma_thread_may_grow(may_grow);
}

/* Parcels first: a call that was given up may be among them. Asked is read before: what is asked
 * from now on is seen again. Waking is left for when the lane is free, or the program runs. */
static void do_as_asked(struct wbi_lane *lane)
{
    unsigned asked =
        atomic_fetch_and_explicit(&lane->wants, WBI_ASKED_TO_WAKE, memory_order_acq_rel);
    bool may_grow = wbi_rma_thread_may_grow(false);
    if (wbi_lane_inbox_waits(lane) ||
        (asked & ~(unsigned)(WBI_ASKED_TO_WAKE | WBI_ASKED_TO_LEND)) != 0) {
        lane->crowded = WBI_TURNS_CROWDED;
    }
    wbi_lane_go_inside(lane); /* what ends may let a parcel go on that a handler was waiting for */
    wbi_lane_gather(lane);
    wbi_lane_drain(lane);
    if ((asked & WBI_ASKED_TO_COLLECT) != 0) {
        wbi_deferred_collect(lane);
    }
    if ((asked & WBI_ASKED_TO_LEND) != 0) {
        wbi_calls_lend(&lane->calls);
    }
    if ((asked & WBI_ASKED_TO_CANCEL) != 0) {
        wbi_calls_cancel(lane);
    }
    if ((asked & WBI_ASKED_TO_LOOK) != 0) {
        wbi_peers_look(lane);
    }
    wbi_rooms_stir(lane); /* parcels may have gone */
    if ((asked & WBI_ASKED_TO_COLLECT) != 0 && (lane->busy != NULL || lane->parked != NULL)) {
        wbi_rooms_want_turn(lane); /* for credits that go alone, and what is tried again */
    }
    wbi_lane_flush(lane);
    wbi_lane_come_out(lane);
    wbi_rma_thread_may_grow(may_grow);
}

/* True: something was asked, and the lane is ours again. */
static bool let_go(struct wbi_lane *lane)
{
    wbi_hold_leave(&lane->hold);
    return wbi_lane_is_asked(lane, memory_order_seq_cst) &&
           wbi_lane_enter(lane) == WBI_LANE_ENTERED;
}

static void leave_asked(struct wbi_lane *lane)
{
    bool wake = false;
    do {
        do_as_asked(lane);
        if (lane->owes) {
            call_back(lane);
        }
        wake = wbi_lane_take_wake(lane) || wake; /* they need the lane: not before it is free */
    } while (let_go(lane));
    if (wake) {
        wbi_sleepers_wake_met(lane->engine);
    }
}

void wbi_lane_look_back(struct wbi_lane *lane)
{
    if (wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
        leave_asked(lane);
    }
}

/* What others have left comes before callbacks that are due, which may be long. */
void wbi_lane_leave_owing(struct wbi_lane *lane)
{
    if (wbi_lane_is_asked(lane, memory_order_relaxed)) {
        leave_asked(lane);
        return;
    }
    call_back(lane);
    wbi_lane_leave(lane); /* which owes nothing now */
}

void wbi_lane_ask(struct wbi_lane *lane, enum wbi_asked what)
{
    atomic_fetch_or_explicit(&lane->wants, what, memory_order_seq_cst);
    if (wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane); /* who holds it otherwise looks when he leaves */
    }
}

void wbi_lane_submit(struct wbi_lane *lane, struct wbi_parcel *parcel)
{
    parcel->next = atomic_load_explicit(&lane->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&lane->inbox, &parcel->next, parcel,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
    enum wbi_entry_kind entry = wbi_lane_enter(lane);
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    } else if (entry == WBI_LANE_NESTED) {
        wbi_lane_drain(lane);
    }
}

/* ---- life ---- */

bool wbi_lane_is_dying(const struct wbi_lane *lane, const struct wb_peer *peer)
{
    for (const struct wb_peer *dying = lane->dying; dying != NULL; dying = dying->dying_next) {
        if (dying == peer) {
            return true;
        }
    }
    return false;
}

void wbi_lane_bury(struct wbi_lane *lane)
{
    wbi_lane_drain(lane);  /* a parcel there may name a peer that is about to go */
    wbi_rooms_drain(lane); /* who asked before is told of the end */
    while (lane->dying != NULL) {
        struct wb_peer *peer = lane->dying;
        lane->dying = peer->dying_next;
        wbi_peer_bury(peer);
    }
}

int wbi_lane_open(struct wbi_lane *lane, struct wb_engine *engine, unsigned number, unsigned index)
{
    const struct wb_engine_config *config = &engine->config;
    const struct wbi_fabric *fabric = engine->networks[number].fabric;
    struct wbi_domain *domain = engine->networks[number].domain;
    *lane = (struct wbi_lane){.engine = engine,
                              .fabric = fabric,
                              .domain = domain,
                              .caps = fabric->caps(domain),
                              .registrar = number,
                              .index = index,
                              .bit = 1U << (engine->lane_count - 1), /* it is the last by now */
                              .now = wbi_now()};
    lane->due_tail = &lane->due;
    wbi_rooms_open(&lane->rooms);
    wbi_streams_open(lane);
    int status = wbi_events_open(lane);
    status = status == WB_OK ? wbi_share_out(config, lane->caps, &lane->shares) : status;
    const struct wbi_shares *shares = &lane->shares;
    if (status == WB_OK && config->latency) {
        status = wbi_latency_open(config->max_calls, &lane->latency);
    }
    if (status == WB_OK) {
        lane->shared_credits = shares->credits_shared;
        lane->shared_replies = shares->replies_granted;
        wbi_parcels_open(&lane->parcels, shares->eager_bytes, config->max_calls);
        status = wbi_calls_open(&lane->calls, lane, config->max_calls);
    }
    status =
        status == WB_OK ? wbi_slots_open(&lane->slots, shares->eager_bytes, shares->slots) : status;
    if (status == WB_OK) {
        struct wbi_lane_config lane_config = {.slots = lane->slots.arena,
                                              .receives = shares->receives,
                                              .eager_bytes = shares->eager_bytes,
                                              .max_channels = shares->peers,
                                              .liveness_us = config->liveness_us};
        status = fabric->lane_open(domain, &lane_config, &wbi_engine_events, lane, &lane->port);
    }
    return status;
}

void wbi_lane_end(struct wbi_lane *lane)
{
    if (lane->fabric == NULL) {
        return;
    }
    wbi_lane_enter_waiting(lane);
    wbi_lane_go_inside(lane);
    wbi_lane_drain(lane);
    for (struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        wbi_peer_fail(peer, WB_ERR_CLOSED, "the engine was destroyed");
    }
    wbi_lane_bury(lane);
    wbi_lane_come_out(lane);
    call_back(lane);
}

void wbi_lane_close(struct wbi_lane *lane)
{
    if (lane->fabric == NULL) {
        return;
    }
    wbi_lane_go_inside(lane); /* what goes may be the program's to free */
    wbi_deferred_end_all(lane);
    wbi_streams_close(lane);
    while (lane->peers != NULL) { /* lost, and kept for handles; or of a callback's making */
        struct wb_peer *peer = lane->peers;
        bool buried = peer->dying && !wbi_lane_is_dying(lane, peer);
        peer->handles = 0;
        wbi_peer_fail(peer, WB_ERR_CLOSED, "the engine was destroyed");
        wbi_lane_bury(lane);
        if (buried) {
            wbi_peer_forget(peer);
        }
    }
    lane->fabric->lane_close(lane->port);
    wbi_calls_close(&lane->calls);
    wbi_slots_close(&lane->slots);
    wbi_parcels_close(&lane->parcels);
    wbi_lease_table_close(&lane->leases);
    wbi_events_close(lane);
    wbi_latency_close(lane->latency);
    wbi_lane_come_out(lane);
    lane->fabric = NULL;
}
