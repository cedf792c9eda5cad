/* The end in order: nothing new begins, what has begun ends. */
#include <stdio.h>
#include <waybill/peer.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

/* What is still under way, and at whose channel. */
struct left {
    unsigned calls, requests, leases, messages;
    unsigned peers;
    char url[112]; /* the first of them */
};

struct drain {
    struct wb_engine *engine;
    struct wb_peer *peer; /* NULL: all */
    bool broke;           /* that one was lost meanwhile */
    struct left left;
};

bool wbi_peer_is_draining(const struct wb_peer *peer)
{
    return atomic_load_explicit(&peer->draining, memory_order_relaxed);
}

bool wbi_peer_is_to_drain(const struct wb_peer *peer)
{
    return wbi_peer_is_draining(peer) || atomic_load(&peer->to_drain) ||
           atomic_load(&peer->lane->engine->draining);
}

void wbi_peers_look(struct wbi_lane *lane)
{
    bool all = atomic_load(&lane->engine->draining);
    wbi_peers_close(lane);
    for (struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        if (!wbi_peer_is_draining(peer) && (all || atomic_load(&peer->to_drain))) {
            atomic_store_explicit(&peer->draining, true, memory_order_relaxed);
            wbi_peer_reckon(peer);
            wbi_streams_end(peer, WB_ERR_CLOSED, "the engine, or this peer, is being drained");
            wbi_line_give_up(peer);
        } else if (atomic_load_explicit(&peer->line.waiters, memory_order_relaxed) > 0) {
            wbi_line_want(peer);
        }
    }
}

/* ---- what is left ---- */

/* Messages that the peer wants and may not have: queued here, or on their way. (Requests that wait
 * are calls, or nobody's.) */
static unsigned count_messages(const struct wb_peer *peer)
{
    const struct wbi_fabric *fabric = peer->lane->fabric;
    unsigned count = peer->releases.count;
    for (const struct wbi_parcel *parcel = peer->waiting; parcel != NULL; parcel = parcel->next) {
        count += parcel->out.header.kind == WBI_REPLY;
    }
    bool arrives = fabric->arrived != NULL && peer->channel != NULL;
    return count + (arrives && !fabric->arrived(peer->channel) ? 1 : 0);
}

static void add_peer(struct left *left, const struct wb_peer *peer)
{
    struct left before = *left;
    for (const struct wb_call *call = peer->calls; call != NULL; call = call->next) {
        left->calls++;
    }
    for (const struct wbi_inbound *in = peer->inbounds; in != NULL; in = in->next) {
        left->requests += in->header.kind == WBI_REQUEST;
        left->messages += in->header.kind != WBI_REQUEST; /* a late reply, fetched in vain */
    }
    for (const struct wbi_lease_set *set = peer->sets; set != NULL; set = set->next) {
        left->leases++;
    }
    left->messages += count_messages(peer);
    if (left->calls + left->requests + left->leases + left->messages >
        before.calls + before.requests + before.leases + before.messages) {
        left->peers++;
        if (left->peers == 1) {
            snprintf(left->url, sizeof left->url, "%s", peer->url);
        }
    }
}

static bool is_one(const struct drain *drain, const struct wb_peer *peer)
{
    return drain->peer == NULL || drain->peer == peer;
}

/* Adds what is left on the lane; false: another thread is at it, or it has not begun. */
static bool look(struct drain *drain, struct wbi_lane *lane)
{
    bool begun = true;
    if (wbi_lane_enter(lane) != WBI_LANE_ENTERED) {
        return false;
    }
    for (const struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        if (is_one(drain, peer)) {
            begun &= wbi_peer_is_draining(peer);
            drain->broke |= peer->line.broke;
            add_peer(&drain->left, peer);
        }
    }
    wbi_lane_leave(lane);
    return begun;
}

static bool is_done(void *context)
{
    struct drain *drain = context;
    struct left *left = &drain->left;
    bool all = true;
    *left = (struct left){0};
    for (unsigned i = 0; i < drain->engine->lane_count; i++) {
        all &= look(drain, drain->engine->lanes[i]);
    }
    return all && left->peers == 0;
}

/* ---- the drain ---- */

static int say_left(const struct left *left)
{
    if (left->peers == 0) {
        return wbi_error(WB_ERR_TIMED_OUT, "not drained in time: other threads were at it");
    }
    char others[40] = "";
    if (left->peers > 1) {
        snprintf(others, sizeof others, " and %u other peers", left->peers - 1);
    }
    return wbi_error(WB_ERR_TIMED_OUT,
                     "not drained in time: %u calls open, %u requests being served, %u parcels "
                     "whose chunks may be read, %u messages on their way, at %s%s",
                     left->calls, left->requests, left->leases, left->messages, left->url, others);
}

static int run(struct drain *drain, uint64_t timeout_us)
{
    int status = wbi_await(drain->engine, is_done, drain, timeout_us);
    return status == WB_ERR_TIMED_OUT ? say_left(&drain->left) : status;
}

int wb_engine_drain(struct wb_engine *engine, uint64_t timeout_us)
{
    struct drain drain = {.engine = engine};
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    atomic_store(&engine->draining, true); /* no peer is made behind the walks below */
    /* all are told before the first is asked, whose callbacks may call on another */
    for (unsigned i = 0; i < engine->lane_count; i++) {
        atomic_fetch_or(&engine->lanes[i]->wants, WBI_ASKED_TO_LOOK);
    }
    for (unsigned i = 0; i < engine->lane_count; i++) {
        wbi_lane_ask(engine->lanes[i], WBI_ASKED_TO_LOOK);
    }
    wbi_engine_notify(engine); /* who waits for a channel waits in vain */
    return run(&drain, timeout_us);
}

int wb_peer_drain(struct wb_peer *peer, uint64_t timeout_us)
{
    struct drain drain = {.engine = peer->lane->engine, .peer = peer};
    int status = wbi_engine_check_outside(drain.engine);
    if (status != WB_OK) {
        return status;
    }
    atomic_store(&peer->to_drain, true);
    wbi_lane_ask(peer->lane, WBI_ASKED_TO_LOOK);
    wbi_engine_notify(drain.engine);
    status = run(&drain, timeout_us);
    if (status == WB_OK && (drain.broke || wb_peer_state(peer) == WB_PEER_LOST)) {
        status = wbi_error(peer->status, "%s", peer->reason);
    }
    return status;
}
