/* The handshake: what two engines tell each other before the first call, and what each makes of it.
 */
#include <stdio.h>
#include <waybill/version.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/filter.h"
#include "engine/home.h"
#include "engine/lane.h"
#include "engine/peer.h"

static uint64_t features_of(const struct wbi_lane *lane)
{
    return wbi_filter_features(&lane->engine->config) |
           (lane->fabric->bundle != NULL ? WBI_FEATURE_BUNDLES : 0) |
           (lane->caps->rail_key_bytes != 0 ? WBI_FEATURE_RAILS : 0);
}

static void describe_self(const struct wbi_lane *lane, struct wbi_hello *hello)
{
    *hello = (struct wbi_hello){.version_min = WB_WIRE_VERSION_MIN,
                                .version_max = WB_WIRE_VERSION_MAX,
                                .eager_bytes = lane->shares.eager_bytes,
                                .read_depth = lane->caps->read_depth,
                                .features = features_of(lane),
                                .engine_id = lane->engine->id};
}

/* What both sides have agreed on, once each knows the other's hello. */
static void settle(struct wb_peer *peer, const struct wbi_hello *theirs)
{
    uint32_t mine = peer->lane->shares.eager_bytes;
    peer->credits = peer->credits_max = theirs->credits;
    peer->wire_version =
        theirs->version_max < WB_WIRE_VERSION_MAX ? theirs->version_max : WB_WIRE_VERSION_MAX;
    peer->their_read_depth = theirs->read_depth;
    peer->their_id = theirs->engine_id;
    atomic_store_explicit(&peer->eager_bytes,
                          mine < theirs->eager_bytes ? mine : theirs->eager_bytes,
                          memory_order_relaxed);
    atomic_store_explicit(&peer->filter_from,
                          wbi_filter_from(&peer->lane->engine->config, theirs->features),
                          memory_order_relaxed);
    uint64_t common = features_of(peer->lane) & theirs->features;
    if ((common & WBI_FEATURE_BUNDLES) != 0) {
        peer->lane->fabric->bundle(peer->channel, peer->eager_bytes);
    }
    if ((common & WBI_FEATURE_RAILS) != 0) {
        atomic_store_explicit(&peer->key_bytes, peer->lane->caps->rail_key_bytes,
                              memory_order_relaxed);
        peer->lane->fabric->rails(peer->channel, theirs->token);
    }
    wbi_line_stands(peer);
    wbi_note_connected(peer);
    wbi_peer_busy(peer);
    wbi_engine_notify(peer->lane->engine);
}

/* A channel has failed before it stood: whether for want of what the lane's others have. */
static void blame(struct wb_peer *peer, int status)
{
    bool lacks = status == WB_ERR_SYSTEM || status == WB_ERR_NO_MEMORY || status == WB_AGAIN;
    if (lacks && !peer->line.stood) {
        wbi_home_shun(peer->lane);
    }
}

int wbi_handshake_connect(struct wb_peer *peer, const char *address)
{
    struct wbi_lane *lane = peer->lane;
    struct wbi_hello hello;
    uint8_t bytes[WBI_HELLO_BYTES];
    describe_self(lane, &hello);
    hello.credits = peer->granted;
    int status = wbi_random(&peer->token, sizeof peer->token);
    if (status != WB_OK) {
        return wbi_error(status, "%s: the system gives no random numbers", peer->url);
    }
    hello.token = peer->token;
    wbi_hello_encode(&hello, bytes);
    status = lane->fabric->connect(lane->port, address, bytes, sizeof bytes, peer, &peer->channel);
    blame(peer, status);
    return status;
}

static void refuse(struct wbi_lane *lane, struct wbi_request *request, int status)
{
    struct wbi_hello hello;
    uint8_t bytes[WBI_HELLO_BYTES];
    describe_self(lane, &hello);
    hello.status = (int8_t)status;
    wbi_hello_encode(&hello, bytes);
    lane->fabric->reject(request, bytes, sizeof bytes);
}

static struct wbi_fabric_lane *home(void *lane_owner)
{
    struct wbi_lane *lane = lane_owner;
    /* where there is no place it is said here */
    return wbi_home_find(&lane->engine->networks[lane->registrar], lane)->port;
}

static void unasked(void *home_owner)
{
    wbi_home_leave(home_owner, true);
}

/* It has been coming since home(). */
static void on_request(void *lane_owner, struct wbi_request *request, const void *hello,
                       size_t hello_len)
{
    struct wbi_lane *lane = lane_owner;
    struct wbi_hello theirs, mine;
    uint8_t bytes[WBI_HELLO_BYTES];
    int status = wbi_hello_decode(hello, hello_len, &theirs);
    if (status != WB_OK) {
        wbi_home_leave(lane, true);
        refuse(lane, request, status);
        return;
    }
    char name[64];
    /* a part of the token tells it from others, and is not enough to ask for rails in its name */
    snprintf(name, sizeof name, "%s://(accepted %08x)", lane->fabric->scheme,
             (unsigned)(theirs.token >> 32));
    struct wb_peer *peer;
    status = wbi_peer_new(lane, name, true, &peer);
    if (status != WB_OK) {
        refuse(lane, request, status);
        return;
    }
    describe_self(lane, &mine);
    mine.credits = peer->granted;
    mine.token = theirs.token;
    wbi_hello_encode(&mine, bytes);
    status = lane->fabric->accept(request, bytes, sizeof bytes, peer, &peer->channel);
    if (status == WB_OK) {
        settle(peer, &theirs);
    } else {
        blame(peer, status);
        wbi_peer_fail(peer, status, "could not be accepted");
        refuse(lane, request, status);
    }
}

/* No version in common: both sides' are named. */
static void fail_version(struct wb_peer *peer, const struct wbi_hello *theirs)
{
    char reason[128];
    snprintf(reason, sizeof reason, "speaks wire versions %u to %u, this library %u to %u",
             (unsigned)theirs->version_min, (unsigned)theirs->version_max,
             (unsigned)WB_WIRE_VERSION_MIN, (unsigned)WB_WIRE_VERSION_MAX);
    wbi_peer_fail(peer, WB_ERR_VERSION, reason);
}

/* A refusal with the peer's own words in its hello. */
static void refused(struct wb_peer *peer, const struct wbi_hello *theirs, int decoded)
{
    char reason[128];
    if (decoded == WB_ERR_VERSION || theirs->status == WB_ERR_VERSION) {
        fail_version(peer, theirs);
        return;
    }
    const char *why = theirs->status == WB_AGAIN ? "it has all the peers it takes (max_peers)"
                      : theirs->status == WB_ERR_CLOSED ? "it is being drained"
                                                        : wb_status_text(theirs->status);
    snprintf(reason, sizeof reason, "refused the connection: %s", why);
    wbi_peer_fail(peer, WB_ERR_REFUSED, reason);
}

static void on_connected(void *channel_owner, const void *hello, size_t hello_len)
{
    struct wb_peer *peer = channel_owner;
    struct wbi_hello theirs;
    int status = wbi_hello_decode(hello, hello_len, &theirs);
    if (status == WB_OK && theirs.token != peer->token) {
        status = WB_ERR_PROTOCOL;
    }
    if (status == WB_ERR_VERSION) {
        fail_version(peer, &theirs);
    } else if (status != WB_OK) {
        wbi_peer_fail(peer, status, "answered the handshake with something that is no Waybill's");
    } else if (!peer->dying) {
        settle(peer, &theirs);
    }
}

static void on_lost(void *channel_owner, int status, const char *reason, const void *hello,
                    size_t hello_len)
{
    struct wb_peer *peer = channel_owner;
    struct wbi_hello theirs;
    if (hello_len > 0) {
        int decoded = wbi_hello_decode(hello, hello_len, &theirs);
        if (decoded == WB_OK || decoded == WB_ERR_VERSION) {
            refused(peer, &theirs, decoded);
            return;
        }
    }
    blame(peer, status);
    wbi_peer_fail(peer, status, reason);
}

static void on_rail(void *channel_owner, int status, const char *words)
{
    wbi_note_rail(channel_owner, status, words);
}

static uint8_t *take_slot(void *lane_owner)
{
    return wbi_slots_take(&((struct wbi_lane *)lane_owner)->slots);
}

static void return_slot(void *lane_owner, uint8_t *slot)
{
    wbi_slots_give(&((struct wbi_lane *)lane_owner)->slots, slot);
}

static uint32_t receives(void *channel_owner)
{
    return wbi_peer_receives(channel_owner);
}

const struct wbi_fabric_events wbi_engine_events = {.home = home,
                                                    .unasked = unasked,
                                                    .on_request = on_request,
                                                    .on_connected = on_connected,
                                                    .on_lost = on_lost,
                                                    .on_rail = on_rail,
                                                    .take_slot = take_slot,
                                                    .return_slot = return_slot,
                                                    .receives = receives,
                                                    .on_message = wbi_receive,
                                                    .on_bundle = wbi_receive_bundle};
