/*
 * Send slots: registered memory that messages are written into. Shared by the channels of a lane,
 * so that many idle ones cost little; each may always have KEPT, and more while the shared ones
 * last: a peer that acknowledges nothing holds up no other.
 *
 * Invariant: shared + sum over channels of max(used - KEPT, 0) == WBI_VERBS_SHARED_SENDS.
 */
#ifndef WBI_VERBS_SEND_SLOTS_H
#define WBI_VERBS_SEND_SLOTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/fabric.h"

enum { WBI_VERBS_KEPT_SENDS = 2, WBI_VERBS_SHARED_SENDS = 256 };

struct wbi_verbs_send_slots {
    uint8_t *base;    /* NULL: closed. `count` slots, then two control blocks a channel */
    uint8_t *control; /* the control blocks */
    size_t mapped_bytes, stride;
    uint32_t count, shared, fresh; /* fresh: slots that were ever taken */
    void *free;                    /* each begins with the next */
};

/* WB_ERR_NO_MEMORY. */
int wbi_verbs_send_slots_open(struct wbi_verbs_send_slots *slots, uint32_t eager_bytes,
                              uint32_t max_channels);
void wbi_verbs_send_slots_close(struct wbi_verbs_send_slots *slots);

/* A slot for a channel that has *used of them; NULL: none now. */
static inline uint8_t *wbi_verbs_send_slot_take(struct wbi_verbs_send_slots *slots, uint32_t *used)
{
    uint8_t *slot = slots->free;
    if (*used >= WBI_VERBS_KEPT_SENDS) {
        if (slots->shared == 0) {
            return NULL;
        }
        slots->shared--;
    }
    ++*used;
    if (slot != NULL) {
        memcpy(&slots->free, slot, sizeof slots->free);
        return slot;
    }
    return slots->base + slots->stride * slots->fresh++;
}

static inline void wbi_verbs_send_slot_give(struct wbi_verbs_send_slots *slots, uint32_t *used,
                                            uint8_t *slot)
{
    memcpy(slot, &slots->free, sizeof slots->free);
    slots->free = slot;
    --*used;
    slots->shared += *used >= WBI_VERBS_KEPT_SENDS ? 1 : 0;
}

/* The block for control message number `number` of channel `index`: two take turns. */
static inline uint8_t *wbi_verbs_control_block(const struct wbi_verbs_send_slots *slots,
                                               uint32_t index, uint16_t number)
{
    return slots->control + ((size_t)index * 2 + number % 2) * WBI_CONTROL_ROOM;
}

#endif
