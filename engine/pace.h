/*
 * Pacing: a peer's large requests begin to land one behind the other, as long as those before them
 * keep the channel busy (caps.read_ahead). Landed all at once they would fill the pool with memory
 * that is READ into much later, and where READs are copies, a landing would not be in any cache any
 * more when the handler has it. (The same is said of receive windows: no more than bandwidth times
 * delay.) Small ones pass, and so do huge ones, behind which others would wait too long.
 *
 * Invariant: bytes == sum of fetch_bytes of the peer's inbound parcels; while one waits, bytes > 0,
 * so a READ that ends lets it go on. What it waits for ends as READs do, or with the channel.
 */
#ifndef WBI_ENGINE_PACE_H
#define WBI_ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/inbound_queue.h"

struct wb_peer;

struct wbi_pace {
    uint64_t bytes; /* yet to be READ, of stages that are being fetched and count */
    struct wbi_inbound_queue waiting; /* to land */
    bool going_on;                    /* some are just told to */
};

/* Lane thread, all. */

/* Before the first parcel, and when the channel is gone and all parcels with it. */
void wbi_pace_open(struct wb_peer *peer);

/* The stage is set up: whether it is to wait; then it does, and is stepped again later. */
bool wbi_pace_holds(struct wbi_inbound *inbound);

/* A stage's READs begin; one of so many bytes has ended; and all have, or it is given up. */
void wbi_pace_begin(struct wbi_inbound *inbound);
void wbi_pace_less(struct wbi_inbound *inbound, uint64_t bytes);
void wbi_pace_end(struct wbi_inbound *inbound);

/* Steps those whose time has come. */
void wbi_pace_go_on(struct wb_peer *peer);

/* One that waits is given up: it waits no more. */
void wbi_pace_quit(struct wbi_inbound *inbound);

#endif
