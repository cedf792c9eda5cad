/*
 * Receive slots: blocks of eager size that a lane receives into. A slot that someone keeps is
 * replaced by another at the next message, so that nothing that waits can stop the receiving.
 * Invariant: count == free + returned + fresh + held by the fabric + kept by calls and inbound
 * parcels.
 *
 * The parcels of a bundle share a slot, and each that is kept keeps it. Such a part of a slot is 8
 * behind a multiple of 16, which no slot is; in the 8 bytes before it stands how far it is into its
 * slot, and, at the slot's beginning, how many parts are not yet given back.
 */
#ifndef WBI_ENGINE_SLOTS_H
#define WBI_ENGINE_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/fabric.h"

/* What a free slot's first bytes are. */
struct wbi_free_slot {
    struct wbi_free_slot *next;
};

struct wbi_slots {
    struct wbi_slot_arena arena;
    size_t mapped_bytes;
    uint32_t fresh;             /* slots from here on were never used: their pages are untouched */
    struct wbi_free_slot *free; /* the lane thread's */
    _Atomic(struct wbi_free_slot *)
        returned; /* any thread's; taken all at once, so there is no ABA */
};

/* Maps `count` slots for messages of eager_bytes. WB_ERR_NO_MEMORY. */
int wbi_slots_open(struct wbi_slots *slots, uint32_t eager_bytes, uint32_t count);
void wbi_slots_close(struct wbi_slots *slots); /* accepts a zeroed struct */

/* Lane thread: a slot, or NULL. */
uint8_t *wbi_slots_take(struct wbi_slots *slots);
/* Lane thread: back, of a slot that nobody has kept. */
void wbi_slots_give(struct wbi_slots *slots, uint8_t *slot);

/* Any thread: back, of what was kept: a slot, or a part of one. */
void wbi_slots_return(struct wbi_slots *slots, uint8_t *slot);

/*
 * Lane thread: a bundle of `count` parcels that has been checked is being received. Between `share`
 * and `shared` each parcel is made a part, which returns its length; those that nobody has kept go
 * back all at once.
 */
void wbi_slots_share(uint8_t *slot, uint32_t count);
size_t wbi_slots_part(const uint8_t *slot, uint8_t *parcel);
void wbi_slots_shared(struct wbi_slots *slots, uint8_t *slot, uint32_t not_kept);

#endif
