/*
 * Leases: the chunks that one parcel offers, as one set with one id. A chunk's owner gets it back
 * when the peer has released the set, when the fabric has revoked it, or when the channel is gone;
 * never before. Invariant: for each i < offered the fabric holds offers[i]; for each i < held
 * chunks[i].block (if any) is leased and chunks[i].owner (if any) is referenced. The sum of
 * `pinned` over a lane's sets is lane->pinned, which is at most caps.max_pins.
 */
#ifndef WBI_ENGINE_LEASE_H
#define WBI_ENGINE_LEASE_H

#include <stdbool.h>
#include <waybill/serial.h>

#include "engine/fabric.h"
#include "engine/plain.h"

struct wb_peer;
struct wb_call;
struct wbi_lane;

struct wbi_lease_set {
    uint64_t id; /* slot in the lane's table and generation; 0 until it is entered there */
    struct wbi_lane *lane;
    struct wb_peer *peer; /* NULL until entered */
    struct wb_call *call; /* whose request it is, while that is open or ending; or NULL */
    struct wbi_lease_set *prev, *next; /* of the peer */
    bool sent;                         /* the peer knows of it: its release counts */
    uint64_t lifetime_us;              /* of a reply's set: when its caller gives up; 0 never */
    uint64_t expires;                  /* by the lane's clock; 0 not yet known */
    uint64_t quarantined_until; /* 0, or when the channel is closed if it is still not released */
    uint32_t chunk_count;       /* index, pointer, rma; a long archive and list at the end */
    uint32_t capacity;
    uint32_t held, offered; /* how far holding and offering got */
    uint32_t strangers;     /* of those that are to be offered: without a key, but for pins */
    bool admitted;          /* it may be offered: has pins for these, */
    uint32_t pinned;        /* or room to register so many of them on the fly */
    struct wbi_offer *offers;
    struct wb_chunk *chunks;
};

/* id slot -> set. A free slot's set is NULL and its generation is that of its next tenant. */
struct wbi_lease_table {
    struct wbi_lease_row {
        struct wbi_lease_set *set;
        uint32_t generation, next_free;
    } * rows;
    uint32_t count, free; /* free: index + 1 of the first free row */
};

void wbi_lease_table_close(struct wbi_lease_table *table);

/* A set with room for `chunks` chunks and two more. NULL: no memory. Any thread. */
struct wbi_lease_set *wbi_lease_set_new(struct wbi_lane *lane, uint32_t chunks);

/* Leases the blocks of the chunks written so far and refers to the buffers, so that they outlive
 * the program's own handles. A range of the program's inside a block of this engine's allocators is
 * that block's from here on: it stays a POINTER chunk, and has its key. Any thread. */
void wbi_lease_set_hold(struct wbi_lease_set *set);

/* Adds a block of the engine's own (a long archive or list) as the last chunk. Takes the reference.
 */
void wbi_lease_set_add_own(struct wbi_lease_set *set, struct wb_rma_block *block, size_t bytes);

/* Likewise of plain memory, which it takes and empties: it is registered for the parcel. Lane
 * thread. To a set that was offered already only where may_add_plain says so: the fabric has a
 * bound on such registrations. */
void wbi_lease_set_add_plain(struct wbi_lease_set *set, struct wbi_plain *plain, size_t bytes);
bool wbi_lease_set_may_add_plain(const struct wbi_lease_set *set);

/* Lane thread: enters the set in the table and at the peer (once), and offers what is not yet
 * offered of its first `count` chunks, whose bytes are there. WB_AGAIN: the fabric has no lease
 * free now, or not as many registrations of user memory as the set needs, call again.
 * WB_ERR_INVALID: it never has so many. */
int wbi_lease_set_offer(struct wbi_lease_set *set, struct wb_peer *peer, uint32_t count);

/* Lane thread: the peer has released `id`; unknown ids are old news and mean nothing. */
void wbi_lease_release(struct wb_peer *peer, uint64_t id);

/* Lane thread: takes the set back without the peer's word. True: nothing of it can be read any
 * more, the set is gone. False: it stays in quarantine until the peer releases it, at most until
 * the grace period is over. */
bool wbi_lease_set_withdraw(struct wbi_lease_set *set);

/* Lane thread: whether a reply's set has outlived the caller that it was for; stamps it the first
 * time. */
bool wbi_lease_set_expired(struct wbi_lease_set *set, uint64_t now);

/* Ends a set of which the fabric holds nothing (never offered, or the channel is closed). Buffers
 * whose last reference it was go to the lane, which calls the program back where callbacks may run.
 * Lane thread; any thread while the set holds nothing. Accepts NULL. */
void wbi_lease_set_drop(struct wbi_lease_set *set);

#endif
