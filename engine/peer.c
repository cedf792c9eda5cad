#include "engine/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/lane.h"

enum {
    MOST_ENDS_A_LOOK = 64 /* calls that one look at the clock ends */
};

/* Credits for a new peer: what every peer gets, and a fair part of what is shared. */
static uint32_t grant_credits(struct wbi_lane *lane)
{
    uint32_t wanted = lane->engine->config.credits, kept = lane->shares.credits_kept;
    wanted = wanted < lane->shares.channel_most ? wanted : lane->shares.channel_most;
    uint32_t part = lane->shared_credits / 4;
    uint32_t more = wanted - kept < part ? wanted - kept : part;
    lane->shared_credits -= more;
    return kept + more;
}

/* The same for replies, where each channel has its own receives. */
static uint32_t grant_replies(struct wbi_lane *lane)
{
    uint32_t kept = lane->shares.replies_kept, most = lane->shares.channel_most - kept;
    uint32_t part = lane->shared_replies / 4;
    uint32_t more = most < part ? most : part;
    lane->shared_replies -= more;
    return kept + more;
}

uint32_t wbi_peer_receives(const struct wb_peer *peer)
{
    const struct wbi_fabric_caps *caps = peer->lane->caps;
    return caps->kept_slots + caps->late_receives + peer->granted + peer->replies;
}

static void free_ops(struct wb_peer *peer)
{
    uint32_t depth = peer->lane->caps->read_depth;
    uint32_t count = depth < WBI_READ_OPS ? depth : WBI_READ_OPS;
    for (uint32_t i = 0; i < count; i++) {
        peer->ops[i].peer = peer;
        peer->ops[i].next_free = peer->free_ops;
        peer->free_ops = &peer->ops[i];
    }
}

/* wbi_home_fits with what only the lane thread knows: as long as places are lent there is none, and
 * others are told for a while. */
static bool has_place(struct wbi_lane *lane)
{
    uint32_t peers = wbi_lane_peers(lane);
    bool fits = wbi_home_fits(lane, peers);
    bool lent = fits && lane->asked > wbi_share_replies_most(&lane->shares, peers);
    if (lent) {
        wbi_home_shun(lane);
    }
    return fits && !lent;
}

int wbi_peer_place(struct wb_peer *peer)
{
    struct wbi_lane *lane = peer->lane;
    if (!has_place(lane) || !wbi_home_take_place(lane, peer->comes)) {
        const struct wb_engine_config *config = &lane->engine->config;
        bool few = lane->shares.peers < wbi_config_lane_peers(config);
        return wbi_error(WB_AGAIN, "%s: %u peers are connected already%s (max_peers%s)", peer->url,
                         wbi_lane_peers(lane), wbi_config_lanes(config) > 1 ? " on its lane" : "",
                         few ? ", as far as the fabric's queues allow" : "");
    }
    peer->placed = true;
    peer->comes = false;
    peer->granted = grant_credits(lane);
    peer->replies = grant_replies(lane);
    return WB_OK;
}

static void list(struct wb_peer *peer)
{
    struct wbi_lane *lane = peer->lane;
    peer->next = lane->peers;
    if (lane->peers != NULL) {
        lane->peers->prev = peer;
    }
    lane->peers = peer;
    wbi_home_set_bare(lane, false);
}

int wbi_peer_new(struct wbi_lane *lane, const char *url, bool accepted, struct wb_peer **out)
{
    bool draining = atomic_load_explicit(&lane->engine->draining, memory_order_relaxed);
    struct wb_peer *peer = draining ? NULL : calloc(1, sizeof *peer);
    if (peer == NULL) {
        wbi_home_leave(lane, true);
        return draining ? wbi_error(WB_ERR_CLOSED, "%s: the engine is being drained", url)
                        : wbi_error(WB_ERR_NO_MEMORY, "%s: no memory for a peer", url);
    }
    peer->lane = lane;
    peer->comes = true;
    peer->accepted = accepted;
    peer->handles = accepted ? 0 : 1;
    atomic_init(&peer->state, accepted ? WB_PEER_CONNECTING : WB_PEER_IDLE);
    atomic_init(&peer->eager_bytes, WBI_EAGER_MIN);
    atomic_init(&peer->key_bytes, lane->caps->key_bytes);
    atomic_init(&peer->filter_from, SIZE_MAX);
    peer->waiting_tail = peer->replies_tail = &peer->waiting;
    wbi_inbound_queue_open(&peer->fetching);
    wbi_pace_open(peer);
    free_ops(peer);
    snprintf(peer->url, sizeof peer->url, "%s", url);
    wbi_note_new(peer);
    list(peer);
    int status = accepted ? wbi_peer_place(peer) : WB_OK;
    if (status != WB_OK) {
        wbi_peer_discard(peer);
        return status;
    }
    *out = peer;
    return WB_OK;
}

void wbi_peer_settle(struct wb_peer *peer)
{
    if (peer->comes) {
        peer->comes = false;
        wbi_home_settle(peer->lane);
    }
}

void wbi_peer_busy(struct wb_peer *peer)
{
    if (!peer->busy) {
        peer->busy = true;
        peer->busy_next = peer->lane->busy;
        peer->lane->busy = peer;
    }
}

void wbi_peer_reckon(struct wb_peer *peer)
{
    bool stands = atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTED &&
                  !peer->dying && !wbi_peer_is_draining(peer);
    size_t room =
        atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed) - WBI_REQUEST_BYTES;
    size_t filter_from = atomic_load_explicit(&peer->filter_from, memory_order_relaxed);
    size_t below = filter_from > room ? room + 1 : filter_from;
    peer->straight_below = stands ? (uint32_t)below : 0;
}

bool wbi_peer_may_borrow(const struct wb_peer *peer)
{
    const struct wbi_lane *lane = peer->lane;
    return lane->asked < wbi_share_replies(&lane->shares, wbi_lane_peers(lane));
}

void wbi_peer_asked(struct wb_peer *peer, bool one_way)
{
    struct wbi_lane *lane = peer->lane;
    peer->credits--;
    peer->line.uses++;
    if (one_way) {
        return;
    }
    lane->asked += peer->unanswered >= peer->replies;
    peer->unanswered++;
}

void wbi_peer_answered(struct wb_peer *peer)
{
    struct wbi_lane *lane = peer->lane;
    peer->unanswered--;
    lane->asked -= peer->unanswered >= peer->replies;
}

/* The state of a peer whose channel goes: for good, or until the next. */
static void set_fallen(struct wb_peer *peer)
{
    int state = atomic_load_explicit(&peer->state, memory_order_relaxed);
    int fallen = !wbi_line_comes_back(peer)    ? WB_PEER_LOST
                 : state == WB_PEER_CONNECTING ? WB_PEER_CONNECTING
                                               : WB_PEER_IDLE;
    atomic_store_explicit(&peer->state, fallen, memory_order_release);
    wbi_peer_reckon(peer);
}

void wbi_peer_fail(struct wb_peer *peer, int status, const char *reason)
{
    if (peer->dying) {
        return;
    }
    struct wbi_lane *lane = peer->lane;
    peer->dying = true;
    peer->dying_next = lane->dying;
    lane->dying = peer;
    peer->status = status;
    peer->line.broke |= peer->line.stood && status != WB_OK && wbi_peer_is_draining(peer);
    bool named = peer->culprit[0] != 0;
    snprintf(peer->reason, sizeof peer->reason, "%s: %s%s%s%s", peer->url, reason,
             named ? " (" : "", peer->culprit, named ? ")" : "");
    set_fallen(peer);
    wbi_count(&lane->counters.protocol_errors, status == WB_ERR_PROTOCOL);
    wbi_count(&lane->counters.peers_lost, status != WB_OK && wbi_line_is_lost(peer));
    wbi_note_lost(peer);
    wbi_engine_notify(lane->engine);
}

int wbi_peer_end_of(const struct wb_call *call)
{
    const struct wb_peer *peer = call->peer;
    /* for a channel that its owner gave up, or the engine's end */
    bool ends = peer->line.closed ||
                (peer->line.again &&
                 atomic_load_explicit(&peer->lane->engine->closing, memory_order_relaxed));
    bool waited = ends && (!peer->line.stood || peer->status == WB_OK);
    if (peer->status == WB_ERR_CLOSED || waited) {
        return WB_ERR_CLOSED;
    }
    return call->sent ? WB_ERR_PEER_LOST : WB_ERR_NOT_SENT;
}

static void leave_busy(struct wb_peer *peer)
{
    struct wb_peer **at = &peer->lane->busy;
    while (peer->busy && *at != NULL && *at != peer) {
        at = &(*at)->busy_next;
    }
    if (peer->busy && *at == peer) {
        *at = peer->busy_next;
    }
    peer->busy = false;
}

/* Gives back what a peer takes of the lane while it lives. */
static void retire(struct wb_peer *peer)
{
    struct wbi_lane *lane = peer->lane;
    leave_busy(peer);
    if (!peer->placed) {
        return;
    }
    peer->placed = false;
    lane->shared_credits += peer->granted - lane->shares.credits_kept;
    lane->shared_replies += peer->replies - lane->shares.replies_kept;
    while (peer->unanswered > 0) {
        wbi_peer_answered(peer); /* no reply can come any more */
    }
    wbi_home_give_place(lane, peer->line.stood);
}

static void end_calls(struct wb_peer *peer)
{
    while (peer->calls != NULL) {
        wbi_call_end(peer->calls, wbi_peer_end_of(peer->calls), peer->reason);
    }
    wbi_parcels_flush(peer); /* drops them */
}

static void end_streams(struct wb_peer *peer)
{
    bool closed = peer->status == WB_ERR_CLOSED || peer->status == WB_OK;
    wbi_streams_end(peer, closed ? WB_ERR_CLOSED : WB_ERR_PEER_LOST, peer->reason);
}

void wbi_peer_bury(struct wb_peer *peer)
{
    bool back = wbi_line_comes_back(peer);
    bool lost = wbi_line_is_lost(peer);
    set_fallen(peer); /* its owner may have closed it meanwhile */
    peer->lane->fabric->close(peer->channel);
    peer->channel = NULL;
    if (lost) {
        end_streams(peer);
        end_calls(peer);
    }
    while (peer->sets != NULL) {
        wbi_lease_set_drop(peer->sets);
    }
    while (peer->inbounds != NULL) {
        wbi_inbound_unpark(peer->inbounds);
        wbi_inbound_bury(peer->inbounds);
    }
    retire(peer);
    if (lost) {
        wbi_rooms_bury(peer);
    }
    if (back) {
        wbi_line_rest(peer);
    }
    wbi_engine_notify(peer->lane->engine);
    wbi_peer_forget(peer);
}

static void unlist(struct wb_peer *peer)
{
    if (peer->next != NULL) {
        peer->next->prev = peer->prev;
    }
    if (peer->prev != NULL) {
        peer->prev->next = peer->next;
    } else {
        peer->lane->peers = peer->next;
    }
    wbi_home_leave(peer->lane, peer->comes);
}

void wbi_peer_forget(struct wb_peer *peer)
{
    if (peer->handles == 0 && peer->dying && peer->channel == NULL) {
        wbi_rooms_drain(peer->lane); /* who asked at the last moment names it still */
        unlist(peer);
        free(peer->releases.ids);
        free(peer->cancels.ids);
        wbi_line_close(peer);
        free(peer);
    }
}

void wbi_peer_discard(struct wb_peer *peer)
{
    peer->dying = true;
    peer->handles = 0;
    retire(peer);
    wbi_peer_forget(peer);
}

/* Stamps a call that is new, and says whether one has outlived its deadline. */
static bool expired(struct wb_call *call, uint64_t now)
{
    if (call->deadline == 0) {
        call->deadline = wbi_deadline(now, call->timeout_us);
    }
    return now >= call->deadline;
}

static void expire_calls(struct wb_peer *peer, uint64_t now)
{
    const char *why = peer->reason[0] != '\0' ? peer->reason : NULL; /* it is not connected */
    struct wb_call *call = peer->calls;
    unsigned ended = 0; /* each restarts the walk: the rest is for the next look */
    while (call != NULL && !peer->dying && ended < MOST_ENDS_A_LOOK) {
        if (expired(call, now)) {
            ended++;
            wbi_call_end(call, WB_ERR_TIMED_OUT, why);
            call = peer->calls; /* ending one may have ended others */
        } else {
            call = call->next;
        }
    }
}

/* Sets that nobody needs any more, and those that were to be released by now. */
static void expire_sets(struct wb_peer *peer, uint64_t now)
{
    struct wbi_lease_set *set = peer->sets;
    while (set != NULL) {
        if (set->quarantined_until != 0 && now >= set->quarantined_until) {
            wbi_peer_fail(peer, WB_ERR_PEER_LOST,
                          "did not release a chunk within the grace period");
            return;
        }
        if (wbi_lease_set_expired(set, now)) {
            wbi_lease_set_withdraw(set);
            set = peer->sets;
        } else {
            set = set->next;
        }
    }
}

void wbi_peer_expire(struct wb_peer *peer, uint64_t now)
{
    if (peer->channel != NULL &&
        atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTING) {
        if (peer->connect_deadline == 0) {
            peer->connect_deadline = now + peer->lane->engine->config.connect_timeout_us;
        } else if (now >= peer->connect_deadline) {
            wbi_peer_fail(peer, WB_ERR_TIMED_OUT, "no answer to the connection request");
            return;
        }
    }
    expire_calls(peer, now);
    if (peer->timed_streams > 0) {
        wbi_streams_expire(peer, now);
    }
    wbi_line_expire(peer, now);
    wbi_inbound_expire(peer, now);
    if (!peer->dying) {
        expire_sets(peer, now);
    }
}

void wbi_peer_forget_buried(struct wb_peer *peer)
{
    if (peer->channel == NULL && peer->dying && !wbi_lane_is_dying(peer->lane, peer)) {
        wbi_peer_forget(peer);
    }
}

/* ---- public ---- */

enum wb_peer_state wb_peer_state(const struct wb_peer *peer)
{
    return (enum wb_peer_state)atomic_load_explicit(&peer->state, memory_order_acquire);
}

const char *wb_peer_reason(const struct wb_peer *peer)
{
    return wb_peer_state(peer) == WB_PEER_LOST ? peer->reason : "";
}

struct wb_peer *wb_peer_keep(struct wb_peer *peer)
{
    atomic_fetch_add(&peer->handles, 1); /* something else keeps it until then */
    return peer;
}

static void close_handle(struct wb_peer *peer)
{
    wbi_lane_drain(peer->lane); /* a parcel there may name this peer */
    atomic_fetch_sub(&peer->handles, 1);
    if (!peer->accepted) {
        peer->line.closed = true;
        wbi_peer_fail(peer, WB_ERR_CLOSED, "closed by its owner");
    }
    wbi_peer_forget_buried(peer);
}

void wbi_peers_close(struct wbi_lane *lane)
{
    struct wb_peer *peer = lane->peers;
    while (peer != NULL) {
        if (atomic_load(&peer->closes) > 0) {
            atomic_fetch_sub(&peer->closes, 1);
            close_handle(peer);
            wbi_rooms_want_turn(lane); /* which buries it */
            peer = lane->peers;        /* it may be gone */
        } else {
            peer = peer->next;
        }
    }
}

void wb_peer_close(struct wb_peer *peer)
{
    if (peer == NULL || wbi_engine_is_inherited(peer->lane->engine)) {
        return;
    }
    struct wbi_lane *lane = peer->lane;
    enum wbi_entry_kind entry = wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY) {
        atomic_fetch_add(&peer->closes, 1);
        wbi_lane_ask(lane, WBI_ASKED_TO_LOOK);
        return;
    }
    close_handle(peer);
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_bury(lane);
        wbi_rooms_stir(lane); /* its parcels have gone */
        wbi_lane_leave(lane);
    }
}
