/* Receiving: from a message in a slot to what it means. Everything a peer sent is checked before it
 * is used. */
#include "engine/bundle.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"
#include "engine/serve.h"

/* It is not executed: its caller is told so, and gets back what it offered. */
static void refuse(struct wb_peer *peer, const uint8_t *slot, const struct wbi_header *header)
{
    if ((header->flags & WBI_FLAG_LEASED) != 0) {
        wbi_control_release(peer, wbi_id_decode(slot + WBI_REQUEST_BYTES));
    }
    peer->owed++;
    wbi_serve_error(peer, header, WB_ERR_NOT_SENT, 0, "the server is being drained");
}

static bool request(struct wb_peer *peer, uint8_t *slot, size_t len,
                    const struct wbi_header *header)
{
    if (peer->unreturned == peer->granted) {
        wbi_peer_fail(peer, WB_ERR_PROTOCOL, "sent a request without a credit");
        return false;
    }
    wbi_probe_request(peer, header->call_id, len);
    peer->unreturned++;
    peer->line.uses++;
    if (peer->owed > 0 && peer->unreturned == peer->granted) {
        wbi_peer_busy(peer); /* it has none left, and what is owed may have no answer to ride on */
    }
    if (wbi_peer_is_draining(peer)) {
        refuse(peer, slot, header);
        return false;
    }
    if ((header->flags & (WBI_FLAG_LEASED | WBI_FLAG_FILTERED)) != 0) {
        wbi_inbound_start(peer, slot, len, header, NULL);
        return true;
    }
    return wbi_serve_eager(peer, slot, len, header);
}

/* A reply to a call that has ended is late; one that no request asked for is none. */
static bool was_asked_for(struct wb_peer *peer)
{
    if (peer->unanswered == 0) {
        wbi_peer_fail(peer, WB_ERR_PROTOCOL, "sent a reply that no request asked for");
        return false;
    }
    wbi_peer_answered(peer);
    return true;
}

/* Returns whether the slot was kept. */
static bool dispatch(struct wb_peer *peer, uint8_t *slot, size_t len,
                     const struct wbi_header *header)
{
    switch (header->kind) {
    case WBI_REQUEST:
        return request(peer, slot, len, header);
    case WBI_REPLY:
        return was_asked_for(peer) && wbi_call_reply(peer, slot, len, header);
    default:
        return false; /* a control message has done its work */
    }
}

/* Returns whether the slot was kept. */
static __attribute__((noinline)) bool receive_any(struct wb_peer *peer, uint8_t *slot, size_t len)
{
    struct wbi_header header;
    const char *what;
    int status = wbi_header_decode(slot, len, &header, &what);
    if (status == WB_OK) {
        status = wbi_control_receive(peer, &header, slot, &what);
    }
    if (status != WB_OK) {
        wbi_peer_fail(peer, status, what);
        return false;
    }
    if (peer->dying) {
        return false;
    }
    wbi_count(&peer->lane->counters.parcels_received, header.kind != WBI_CONTROL);
    return dispatch(peer, slot, len, &header);
}

/* What a plain message has beside its parcel. False: it ends here. */
static inline bool take_plain(struct wb_peer *peer, const uint8_t *slot)
{
    uint16_t credits = wbi_message_credits(slot);
    if (credits != 0) {
        const char *what;
        int status = wbi_control_take_credits(peer, credits, &what);
        if (status != WB_OK) {
            wbi_peer_fail(peer, status, what);
            return false;
        }
    }
    wbi_count(&peer->lane->counters.parcels_received, peer->dying ? 0 : 1);
    return !peer->dying;
}

/* The same of a plain request, and of a plain reply, of which no header need be made. */
static __attribute__((noinline)) bool receive_request(struct wb_peer *peer, uint8_t *slot,
                                                      size_t len)
{
    struct wbi_header header;
    wbi_request_decode(slot, &header);
    return take_plain(peer, slot) && request(peer, slot, len, &header);
}

static bool receive_result(struct wb_peer *peer, uint8_t *slot, size_t len)
{
    return take_plain(peer, slot) && was_asked_for(peer) && wbi_call_result(peer, slot, len);
}

bool wbi_receive(void *channel_owner, uint8_t *slot, size_t len)
{
    struct wb_peer *peer = channel_owner;
    if (len >= WBI_REPLY_BYTES && wbi_reply_is_plain(slot)) {
        return receive_result(peer, slot, len);
    }
    if (len >= WBI_REQUEST_BYTES && wbi_request_is_plain(slot)) {
        return receive_request(peer, slot, len);
    }
    return receive_any(peer, slot, len);
}

uint32_t wbi_receive_bundle(void *channel_owner, uint8_t *slot, size_t len)
{
    struct wb_peer *peer = channel_owner;
    struct wbi_slots *slots = &peer->lane->slots;
    uint32_t count;
    const char *what;
    int status = wbi_bundle_check(slot, len, &count, &what);
    if (status != WB_OK) { /* nothing of it is believed */
        wbi_peer_fail(peer, status, what);
        wbi_slots_give(slots, slot);
        return 1;
    }
    wbi_slots_share(slot, count);
    uint32_t given = 0;
    size_t at = 0;
    while (at < len) {
        uint8_t *parcel = slot + at + WBI_BUNDLE_FRAME;
        size_t bytes = wbi_slots_part(slot, parcel);
        at = wbi_bundle_next(at + WBI_BUNDLE_FRAME + bytes);
        given += !wbi_receive(peer, parcel, bytes); /* as if it had come alone */
    }
    wbi_slots_shared(slots, slot, given);
    return count;
}
