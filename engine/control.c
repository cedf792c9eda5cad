#include "engine/control.h"

#include <stdlib.h>
#include <string.h>

#include "engine/fabric.h"
#include "engine/lane.h"
#include "engine/peer.h"

_Static_assert((int)WBI_CONTROL_MAX <= (int)WBI_CONTROL_ROOM, "fabrics keep room for that");

int wbi_ids_reserve(struct wbi_ids *ids, uint32_t more)
{
    if (ids->capacity - ids->count >= more) {
        return WB_OK;
    }
    uint32_t capacity = ids->capacity < 32 ? 64 : ids->capacity * 2;
    while (capacity - ids->count < more) {
        capacity *= 2;
    }
    uint64_t *grown = realloc(ids->ids, capacity * sizeof *grown);
    if (grown == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for %u ids", capacity);
    }
    ids->ids = grown;
    ids->capacity = capacity;
    return WB_OK;
}

void wbi_ids_push(struct wbi_ids *ids, uint64_t id)
{
    ids->ids[ids->count++] = id;
}

/* Moves the first `count` ids to `at`. */
static void board(struct wbi_ids *ids, uint8_t *at, uint32_t count)
{
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        wbi_id_encode(ids->ids[i], at + (size_t)i * WBI_ID_BYTES);
    }
    ids->count -= count;
    memmove(ids->ids, ids->ids + count, ids->count * sizeof *ids->ids);
}

void wbi_control_release(struct wb_peer *peer, uint64_t lease_id)
{
    /* as many parcels as a peer may have here, requests and replies: more are none that we asked
     * for */
    if (peer->releases.count > peer->granted + peer->lane->calls.count) {
        wbi_peer_fail(peer, WB_ERR_PROTOCOL,
                      "offers more parcels than there are calls, and takes no releases");
        return;
    }
    if (wbi_ids_reserve(&peer->releases, 1) != WB_OK) {
        wbi_peer_fail(peer, WB_ERR_NO_MEMORY,
                      "no memory to release a chunk; closing the channel does that too");
        return;
    }
    wbi_ids_push(&peer->releases, lease_id);
    wbi_peer_busy(peer);
}

void wbi_control_cancel(struct wb_peer *peer, uint64_t call_id)
{
    if (wbi_ids_reserve(&peer->cancels, 1) == WB_OK) {
        wbi_ids_push(&peer->cancels, call_id);
        wbi_peer_busy(peer);
    }
}

uint32_t wbi_control_board(struct wb_peer *peer, uint8_t *at, uint32_t most)
{
    uint32_t count = peer->releases.count < most ? peer->releases.count : most;
    board(&peer->releases, at, count);
    return count;
}

/* What may go now. The credits of requests whose replies wait go with those: who takes no replies
 * could ask on without end, and each would wait here. */
static uint32_t free_credits(const struct wb_peer *peer)
{
    uint32_t kept = peer->in_hand + peer->replies_waiting;
    return peer->owed > kept ? peer->owed - kept : 0;
}

uint16_t wbi_control_credits(struct wb_peer *peer)
{
    uint32_t owed = free_credits(peer);
    uint16_t credits = owed > UINT16_MAX ? UINT16_MAX : (uint16_t)owed;
    peer->owed -= credits;
    peer->unreturned -= credits;
    return credits;
}

static bool wanted(const struct wb_peer *peer)
{
    /* credits go alone only when the peer may be running out of them, or may have none left */
    uint32_t owed = free_credits(peer);
    bool short_of_credits =
        owed > peer->granted / 2 || (owed > 0 && peer->unreturned == peer->granted);
    return peer->releases.count > 0 || peer->cancels.count > 0 || short_of_credits;
}

static bool flush_one(struct wb_peer *peer)
{
    const struct wbi_fabric *fabric = peer->lane->fabric;
    uint32_t releases =
        peer->releases.count < WBI_CONTROL_IDS ? peer->releases.count : WBI_CONTROL_IDS;
    uint32_t room = WBI_CONTROL_IDS - releases;
    uint32_t cancels = peer->cancels.count < room ? peer->cancels.count : room;
    size_t bytes = WBI_CONTROL_BYTES + (size_t)(releases + cancels) * WBI_ID_BYTES;
    uint8_t *slot;
    if (fabric->reserve(peer->channel, bytes, true, &slot) != WB_OK) {
        return false;
    }
    struct wbi_header header = {.kind = WBI_CONTROL,
                                .credits = wbi_control_credits(peer),
                                .release_count = releases,
                                .cancel_count = cancels};
    uint8_t *at = slot + wbi_header_encode(&header, slot);
    board(&peer->releases, at, releases);
    board(&peer->cancels, at + (size_t)releases * WBI_ID_BYTES, cancels);
    fabric->send(peer->channel, bytes);
    return true;
}

bool wbi_control_flush(struct wb_peer *peer)
{
    while (wanted(peer)) {
        if (!flush_one(peer)) {
            return false;
        }
    }
    return true;
}

/* Ids behind a header: releases, and cancels. A lease id stands before them. */
static const uint8_t *ids_of(const uint8_t *slot, const struct wbi_header *header)
{
    return slot + wbi_header_bytes(header->kind) +
           ((header->flags & WBI_FLAG_LEASED) != 0 ? WBI_ID_BYTES : 0);
}

static __attribute__((noinline)) void take_ids(struct wb_peer *peer,
                                               const struct wbi_header *header, const uint8_t *ids)
{
    for (uint32_t i = 0; i < header->release_count; i++, ids += WBI_ID_BYTES) {
        wbi_lease_release(peer, wbi_id_decode(ids));
    }
    for (uint32_t i = 0; i < header->cancel_count; i++, ids += WBI_ID_BYTES) {
        wbi_inbound_cancel(peer, wbi_id_decode(ids));
    }
}

int wbi_control_take_credits(struct wb_peer *peer, uint16_t credits, const char **what)
{
    if (credits > peer->credits_max - peer->credits) {
        *what = "more credits were granted than there are";
        return WB_ERR_PROTOCOL;
    }
    peer->credits += credits;
    return WB_OK;
}

int wbi_control_receive(struct wb_peer *peer, const struct wbi_header *header, const uint8_t *slot,
                        const char **what)
{
    int status = wbi_control_take_credits(peer, header->credits, what);
    if (status == WB_OK && (header->release_count | header->cancel_count) != 0) {
        take_ids(peer, header, ids_of(slot, header));
    }
    return status;
}
