/*
 * Control messages: releases, cancels and credits. They wait at the peer as ids, coalesce into one
 * message, use the room that the fabric keeps back for them, and are never answered.
 */
#ifndef WBI_ENGINE_CONTROL_H
#define WBI_ENGINE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/wire.h"

struct wb_peer;

enum { WBI_CONTROL_IDS = 28, WBI_CONTROL_MAX = WBI_CONTROL_BYTES + WBI_CONTROL_IDS * WBI_ID_BYTES };

/* Ids that wait to be sent. Invariant: count <= capacity. */
struct wbi_ids {
    uint64_t *ids;
    uint32_t count, capacity;
};

/* Makes room for one more id. WB_ERR_NO_MEMORY. */
int wbi_ids_reserve(struct wbi_ids *ids, uint32_t more);
void wbi_ids_push(struct wbi_ids *ids, uint64_t id); /* room was reserved */

/* Lane thread: takes a release, or a cancel, to be sent with the next message or alone. */
void wbi_control_release(struct wb_peer *peer, uint64_t lease_id);
void wbi_control_cancel(struct wb_peer *peer, uint64_t call_id);

/* Lane thread: moves up to `most` releases into an encoded message; returns how many. */
uint32_t wbi_control_board(struct wb_peer *peer, uint8_t *at, uint32_t most);

/* Lane thread: the credits to put into a message that goes now. */
uint16_t wbi_control_credits(struct wb_peer *peer);

/* Lane thread: sends what waits. True: nothing waits any more. */
bool wbi_control_flush(struct wb_peer *peer);

/* Lane thread: a message brought so many credits. WB_OK or WB_ERR_PROTOCOL with *what. */
int wbi_control_take_credits(struct wb_peer *peer, uint16_t credits, const char **what);

/* Lane thread: what the message in `slot` brought: credits, and ids behind its header. Returns
 * WB_OK or WB_ERR_PROTOCOL with *what. */
int wbi_control_receive(struct wb_peer *peer, const struct wbi_header *header, const uint8_t *slot,
                        const char **what);

#endif
