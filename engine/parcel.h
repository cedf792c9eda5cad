/*
 * Outgoing parcels. An `outgoing` is a message being written, either in place in the fabric's slot
 * or in a parcel, a buffer of its own that can wait in a queue. The steps: prepare, place, (the
 * stub writes the archive), written, send.
 */
#ifndef WBI_ENGINE_PARCEL_H
#define WBI_ENGINE_PARCEL_H

#include <pthread.h>
#include <waybill/serial.h>

#include "engine/lease.h"
#include "engine/plain.h"
#include "engine/plan.h"
#include "engine/wire.h"

struct wbi_parcel;

struct wbi_outgoing {
    struct wb_peer *peer;
    struct wb_call *call; /* REQUEST: whose it is; NULL once the call has ended without it */
    struct wbi_header header;
    struct wbi_plan plan;
    uint8_t *message;          /* plan.bytes of room */
    struct wbi_parcel *parcel; /* that message is in, or NULL: in the fabric's slot */
    struct wbi_lease_set *set; /* or NULL: no chunks */
    struct wb_rma_block
        *long_block; /* that the long archive is written to; the set's once it has been added */
    struct wbi_plain plain; /* or, of a reply for which the pool had no room: plain memory */
};

struct wbi_parcel {
    struct wbi_parcel *next;
    struct wbi_outgoing out;
    uint8_t message[];
};

/* Free parcels of a lane; taken and given back by any thread. Never more than `limit` for requests.
 */
struct wbi_parcels {
    pthread_mutex_t lock; /* the path with a queue is not the hot path */
    struct wbi_parcel *free;
    uint32_t made, limit;
    uint32_t message_bytes;
};

void wbi_parcels_open(struct wbi_parcels *parcels, uint32_t message_bytes, uint32_t limit);
void wbi_parcels_close(struct wbi_parcels *parcels);

/* NULL: no memory, or over the limit (which holds for requests; replies are limited by the credits
 * given out). */
struct wbi_parcel *wbi_parcel_take(struct wbi_parcels *parcels, bool limited);
void wbi_parcel_give(struct wbi_parcels *parcels, struct wbi_parcel *parcel);

/* Any thread: whether one could be taken for a request just now. */
bool wbi_parcels_left(struct wbi_parcels *parcels);

/*
 * Lays the message out for what `sizer` measured, and gets what it needs of memory: the chunk
 * list's and, for a long archive, `long_block` from the pool (unless it is there already), growing
 * it where `may_grow`. A reply for which the pool has no room now gets plain memory: its handler
 * has run, and must not have done so in vain. out->header.kind and out->peer are set by the caller,
 * the rest is zero. Any thread, better not while holding the lane. WB_AGAIN, WB_ERR_BUDGET,
 * WB_ERR_NO_MEMORY, WB_ERR_INVALID; on failure nothing is held.
 */
int wbi_outgoing_prepare(struct wbi_outgoing *out, const struct wb_sizer *sizer, bool may_grow);

/*
 * Finds the place to write the message: in the fabric's slot where `in_lane` (the caller is the
 * lane thread), the channel is up, nothing waits before it and there is room; in a parcel
 * otherwise. Points the writer at the archive's place. WB_AGAIN; on failure nothing is held.
 */
int wbi_outgoing_place(struct wbi_outgoing *out, const struct wb_sizer *sizer, bool in_lane,
                       struct wb_writer *writer);

/* Checks what the stub wrote and holds its chunks. WB_ERR_INVALID. On failure the caller calls
 * abandon. */
int wbi_outgoing_written(struct wbi_outgoing *out, struct wb_writer *writer);

/* seal.c, lane thread: offers the chunks of a message that is written, and writes their records and
 * the header, but for the credits. WB_AGAIN: a lease or memory is missing for now; seal again
 * later. Another status: it will never go. */
int wbi_outgoing_seal(struct wbi_outgoing *out);

/* Lane thread: sends, or queues at the peer what cannot go now. Takes all of *out. Returns whether
 * it was sent. */
bool wbi_outgoing_send(struct wbi_outgoing *out);

/* Gives everything back unsent. Any thread if the message is in a parcel; the lane thread
 * otherwise. */
void wbi_outgoing_abandon(struct wbi_outgoing *out);

/* Lane thread: sends what waits at the peer, as far as there is room. Returns the number sent. */
int wbi_parcels_flush(struct wb_peer *peer);

/* Bytes that fetched parts of a parcel take at their reader: each part is rounded up to a landing's
 * alignment. */
uint64_t wbi_landing_bytes(uint64_t len);

/* Bytes before a chunk, and behind it, with which a READ of it is aligned. They are the chunk's own
 * block's, which begins and ends on WBI_RMA_ALIGN. */
static inline uint8_t wbi_chunk_head(const struct wb_chunk *chunk, uint32_t align)
{
    return (uint8_t)((uintptr_t)chunk->data & (align - 1));
}
static inline uint8_t wbi_chunk_tail(const struct wb_chunk *chunk, uint32_t align)
{
    return (uint8_t)(-((uintptr_t)chunk->data + chunk->len) & (align - 1));
}

#endif
