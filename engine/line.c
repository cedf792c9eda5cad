#include "engine/line.h"

#include <stdlib.h>
#include <string.h>
#include <waybill/peer.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/lane.h"
#include "engine/peer.h"

static const uint64_t clock_grain_us = 1000; /* of the lane's housekeeping */
static const uint64_t pause_us = 100000, longest_pause_us = 10000000; /* as peer.h says */

static enum wb_peer_state state_of(const struct wb_peer *peer)
{
    return (enum wb_peer_state)atomic_load_explicit(&peer->state, memory_order_relaxed);
}

static void set_state(struct wb_peer *peer, enum wb_peer_state state)
{
    atomic_store_explicit(&peer->state, state, memory_order_release);
    wbi_peer_reckon(peer);
}

int wbi_line_open(struct wb_peer *peer, const char *address, const struct wb_peer_options *options)
{
    struct wbi_line *line = &peer->line;
    size_t bytes = strlen(address) + 1;
    line->address = malloc(bytes);
    if (line->address == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "%s: no memory for a peer", peer->url);
    }
    memcpy(line->address, address, bytes);
    if (options != NULL) {
        line->again = options->again;
        line->idle_us = options->idle_us;
        line->most_pause_us =
            options->backoff_most_us != 0 ? options->backoff_most_us : longest_pause_us;
        line->least_pause_us = options->backoff_us != 0         ? options->backoff_us
                               : pause_us < line->most_pause_us ? pause_us
                                                                : line->most_pause_us;
        if (line->least_pause_us < clock_grain_us) {
            line->least_pause_us = clock_grain_us;
        }
        if (line->most_pause_us < line->least_pause_us) {
            line->most_pause_us = line->least_pause_us;
        }
        line->pause_us = line->least_pause_us;
    }
    return WB_OK;
}

void wbi_line_close(struct wb_peer *peer)
{
    free(peer->line.address);
    peer->line.address = NULL;
}

/* ---- attempts ---- */

int wbi_line_dial(struct wb_peer *peer)
{
    int status = wbi_peer_place(peer);
    if (status == WB_OK) {
        set_state(peer, WB_PEER_CONNECTING);
        peer->connect_deadline = 0;
        status = wbi_handshake_connect(peer, peer->line.address);
    }
    return status;
}

static bool is_awaited(const struct wb_peer *peer)
{
    return atomic_load_explicit(&peer->line.waiters, memory_order_relaxed) > 0;
}

static bool is_wanted(const struct wb_peer *peer)
{
    return peer->calls != NULL || is_awaited(peer);
}

/* The words of an error, without the URL that a peer's reason has in any case. */
static const char *words_for(const struct wb_peer *peer)
{
    const char *words = wb_last_error();
    size_t len = strlen(peer->url);
    bool named = strncmp(words, peer->url, len) == 0 && strncmp(words + len, ": ", 2) == 0;
    return named ? words + len + 2 : words;
}

/* Dials, or remembers when. */
static void dial_in_time(struct wb_peer *peer, uint64_t now)
{
    struct wbi_lane *lane = peer->lane;
    if (now < peer->line.not_before) {
        bool sooner = lane->dial_at == 0 || peer->line.not_before < lane->dial_at;
        lane->dial_at = sooner ? peer->line.not_before : lane->dial_at;
        return;
    }
    int status = wbi_line_dial(peer);
    if (status != WB_OK) {
        wbi_peer_fail(peer, status, words_for(peer));
    }
}

void wbi_line_want(struct wb_peer *peer)
{
    if (wbi_peer_is_draining(peer)) {
        wbi_line_give_up(peer);
    } else if (!peer->dying && state_of(peer) == WB_PEER_IDLE) {
        set_state(peer, WB_PEER_CONNECTING);
        dial_in_time(peer, wbi_now());
    }
}

void wbi_line_stands(struct wb_peer *peer)
{
    struct wbi_line *line = &peer->line;
    line->stood = true;
    line->stood_since = line->idle_since = wbi_now();
    peer->reason[0] = '\0';
    set_state(peer, WB_PEER_CONNECTED);
}

/* ---- one channel after the other ---- */

bool wbi_line_comes_back(const struct wb_peer *peer)
{
    const struct wbi_line *line = &peer->line;
    bool unused = peer->status == WB_OK;
    bool may = unused || (line->again && peer->status != WB_ERR_CLOSED);
    return may && !line->closed && peer->handles > 0 &&
           !atomic_load_explicit(&peer->lane->engine->closing, memory_order_relaxed);
}

bool wbi_line_is_lost(const struct wb_peer *peer)
{
    bool failed = peer->line.stood && peer->status != WB_OK;
    return peer->dying && (failed || !wbi_line_comes_back(peer));
}

/* When the next attempt may be. */
static void take_pause(struct wbi_line *line, uint64_t now)
{
    uint64_t jitter = 0;
    (void)wbi_random(&jitter, sizeof jitter); /* without: no jitter */
    line->not_before = now + line->pause_us + jitter % (line->pause_us / 4 + 1);
    line->pause_us =
        line->pause_us < line->most_pause_us / 2 ? line->pause_us * 2 : line->most_pause_us;
}

void wbi_line_rest(struct wb_peer *peer)
{
    struct wbi_line *line = &peer->line;
    bool unused = peer->status == WB_OK;
    uint64_t now = wbi_now();
    if (line->stood && now - line->stood_since >= line->most_pause_us) {
        line->pause_us = line->least_pause_us; /* that was no failure of the one before */
    }
    if (unused) {
        line->not_before = 0;
        peer->reason[0] = '\0';
    } else {
        take_pause(line, now);
    }
    line->stood = false;
    peer->dying = false;
    peer->wire_version = 0; /* nothing is agreed on */
    peer->credits = peer->unreturned = peer->owed = 0;
    peer->releases.count = peer->cancels.count = 0;
    wbi_inbound_queue_open(&peer->fetching);
    wbi_pace_open(peer);
    peer->culprit[0] = '\0';
    /* messages that are laid out from here on fit whatever the next channel takes */
    atomic_store_explicit(&peer->eager_bytes, WBI_EAGER_MIN, memory_order_relaxed);
    atomic_store_explicit(&peer->key_bytes, peer->lane->caps->key_bytes, memory_order_relaxed);
    atomic_store_explicit(&peer->filter_from, SIZE_MAX, memory_order_relaxed);
    atomic_fetch_add_explicit(&line->epoch, 1, memory_order_release);
    set_state(peer, WB_PEER_IDLE);
    if (is_wanted(peer)) {
        wbi_line_want(peer);
    }
}

bool wbi_line_takes(const struct wbi_outgoing *out)
{
    const struct wb_peer *peer = out->peer;
    bool fits_any = out->plan.bytes <= WBI_EAGER_MIN &&
                    out->plan.key_bytes <= peer->lane->caps->key_bytes &&
                    (out->header.flags & WBI_FLAG_FILTERED) == 0;
    uint32_t epoch = atomic_load_explicit(&peer->line.epoch, memory_order_relaxed);
    bool fits = fits_any || (out->call->epoch == epoch && !peer->dying);
    return fits && !wbi_peer_is_draining(peer);
}

/* ---- by the clock ---- */

/* Parcels whose calls have ended go: they would wait here as long as the peer is away. (There are
 * only requests: nobody has asked anything.) */
static void sweep(struct wb_peer *peer)
{
    struct wbi_parcel **at = &peer->waiting;
    while (*at != NULL) {
        struct wbi_parcel *parcel = *at;
        if (parcel->out.call == NULL) {
            *at = parcel->next;
            struct wbi_outgoing out = parcel->out;
            wbi_outgoing_abandon(&out);
        } else {
            at = &parcel->next;
        }
    }
    peer->waiting_tail = at;
}

void wbi_line_give_up(struct wb_peer *peer)
{
    if (peer->channel != NULL || peer->dying) {
        return; /* the one that is there, or its end, decides */
    }
    while (peer->calls != NULL) {
        wbi_call_end(peer->calls, WB_ERR_NOT_SENT, "not connected, and being drained");
    }
    sweep(peer);
    set_state(peer, WB_PEER_IDLE);
}

/* Nothing hangs on the channel, and nothing is to be said on it. */
static bool is_unused(struct wb_peer *peer)
{
    struct wbi_line *line = &peer->line;
    bool used = line->uses != line->seen || peer->calls != NULL || peer->inbounds != NULL ||
                peer->sets != NULL || peer->waiting != NULL || peer->unanswered > 0 ||
                is_awaited(peer) || peer->releases.count + peer->cancels.count > 0 ||
                peer->streams > 0;
    line->seen = line->uses;
    return !used;
}

static void expire_unused(struct wb_peer *peer, uint64_t now)
{
    struct wbi_line *line = &peer->line;
    if (!is_unused(peer)) {
        line->idle_since = now;
    } else if (now >= line->idle_since && now - line->idle_since >= line->idle_us) {
        wbi_peer_fail(peer, WB_OK, "was not used");
    }
}

void wbi_line_expire(struct wb_peer *peer, uint64_t now)
{
    enum wb_peer_state state = state_of(peer);
    if (peer->dying || peer->accepted) {
        return;
    }
    if (state != WB_PEER_CONNECTED) {
        sweep(peer);
    } else if (peer->line.idle_us != 0) {
        expire_unused(peer, now);
    }
    if (state == WB_PEER_CONNECTING && peer->channel == NULL && is_wanted(peer)) {
        dial_in_time(peer, now);
    } else if (state == WB_PEER_CONNECTING && peer->channel == NULL) {
        set_state(peer, WB_PEER_IDLE);
    }
}

/* ---- public ---- */

static struct wbi_network *route(struct wb_engine *engine, const char *url,
                                 const struct wb_peer_options *options, const char **address,
                                 int *status)
{
    *status = wbi_engine_check_process(engine);
    if (*status == WB_OK && options != NULL && options->backoff_most_us != 0 &&
        options->backoff_most_us < options->backoff_us) {
        *status = wbi_error(WB_ERR_INVALID, "%s: backoff_most_us is less than backoff_us", url);
    }
    return *status == WB_OK ? wbi_engine_route(engine, url, address, status) : NULL;
}

/* The first attempt. Where others will follow it may fail. */
static int begin(struct wb_peer *peer, const struct wb_peer_options *options)
{
    if (options != NULL && options->lazy) {
        return WB_OK;
    }
    int status = wbi_line_dial(peer);
    if (status != WB_OK && peer->line.again) {
        wbi_peer_fail(peer, status, words_for(peer));
        status = WB_OK;
    }
    return status;
}

int wb_connect_with(struct wb_engine *engine, const char *url,
                    const struct wb_peer_options *options, struct wb_peer **out)
{
    const char *address = NULL;
    int status;
    struct wbi_network *network = route(engine, url, options, &address, &status);
    if (network == NULL) {
        return status;
    }
    struct wbi_lane *lane;
    enum wbi_entry_kind entry = wbi_home_find_in_turn(network, &lane);
    if (entry == WBI_LANE_BUSY) {
        return wbi_lane_say_busy(url);
    }
    struct wb_peer *peer = NULL;
    status = wbi_peer_new(lane, url, false, &peer);
    status = status == WB_OK ? wbi_line_open(peer, address, options) : status;
    status = status == WB_OK ? begin(peer, options) : status;
    if (status == WB_OK) {
        wbi_peer_settle(peer); /* it may be lazy */
        *out = peer;
    } else if (peer != NULL) {
        wbi_peer_discard(peer);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    return status;
}

int wb_connect(struct wb_engine *engine, const char *url, struct wb_peer **out)
{
    return wb_connect_with(engine, url, NULL, out);
}

static bool is_settled(void *context)
{
    struct wb_peer *peer = context;
    enum wb_peer_state state = wb_peer_state(peer);
    return state == WB_PEER_CONNECTED || state == WB_PEER_LOST || wbi_peer_is_to_drain(peer);
}

/* With the reason of the last attempt, which the lane thread writes: where nobody keeps it for long
 * now. */
static int say_not_connected(struct wb_peer *peer, uint64_t timeout_us)
{
    bool entered = wbi_lane_enter_soon(peer->lane) == WBI_LANE_ENTERED;
    const char *reason = entered && peer->reason[0] != '\0' ? peer->reason : peer->url;
    int status = wbi_error(WB_ERR_TIMED_OUT, "not connected within %llu us: %s",
                           (unsigned long long)timeout_us, reason);
    if (entered) {
        wbi_lane_leave(peer->lane);
    }
    return status;
}

/* How a wait has ended that has not failed. What was connected may rest again, or have been lost
 * and come back, by the time this is asked: only a drain is final. */
static int say_settled(struct wb_peer *peer)
{
    enum wb_peer_state state = wb_peer_state(peer);
    if (state == WB_PEER_LOST) {
        return wbi_error(peer->status, "%s", peer->reason);
    }
    return state == WB_PEER_CONNECTED || !wbi_peer_is_to_drain(peer)
               ? WB_OK
               : wbi_error(WB_ERR_CLOSED, "%s: the engine, or this peer, is being drained",
                           peer->url);
}

int wb_peer_wait(struct wb_peer *peer, uint64_t timeout_us)
{
    struct wbi_lane *lane = peer->lane;
    struct wb_engine *engine = lane->engine;
    bool waits = wbi_engine_check_process(engine) == WB_OK && !wbi_engine_inside(engine) &&
                 !is_settled(peer);
    if (waits) {
        atomic_fetch_add(&peer->line.waiters, 1);
        wbi_lane_ask(lane, WBI_ASKED_TO_LOOK);
    }
    int status = wbi_await(engine, is_settled, peer, timeout_us); /* refuses where it may not */
    if (waits) {
        atomic_fetch_sub(&peer->line.waiters, 1);
    }
    if (status == WB_ERR_TIMED_OUT) {
        return say_not_connected(peer, timeout_us);
    }
    return status == WB_OK ? say_settled(peer) : status;
}
