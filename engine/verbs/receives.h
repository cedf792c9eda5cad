/*
 * Receives: slots that a device holds until a message comes. They are an SRQ's, or, on a device
 * that has none, each queue pair's own.
 *
 * holders[slot] == WBI_VERBS_SHARED for queues->posted slots, those of the SRQ. Without an SRQ:
 * holders[slot] == channel->index + 1 for channel->posted slots of each channel, and
 * channel->receives - posted <= WBI_VERBS_LATE_OWN, or it is in queues->thirsty. A slot of which
 * holders[slot] == 0 is in queues->spares, the engine's, or that of a message which is being taken.
 */
#ifndef WBI_VERBS_RECEIVES_H
#define WBI_VERBS_RECEIVES_H

#include "engine/verbs/lane.h"

enum { WBI_VERBS_SHARED = UINT16_MAX }; /* no channel has that index */

/* What is the same in all requests, once slots and device are known. */
void wbi_verbs_receives_open(struct wbi_verbs_queues *queues);

/* Posts receives, in batches, as many as the engine gives, where they are missing. */
void wbi_verbs_refill(struct wbi_verbs_queues *queues);

/* Whether enough are missing for a batch: what is missing when it was not due is what
 * caps.late_receives says. */
static inline bool wbi_verbs_refill_is_due(const struct wbi_verbs_queues *queues)
{
    return queues->posted < queues->least || queues->thirsty != NULL;
}

/* Without an SRQ: posts the receives of a queue pair that is new. */
void wbi_verbs_receives_begin(struct wbi_channel *channel, uint32_t receives);

/* Without an SRQ: no more are posted; and, once the queue pair is gone, the slots that it held go
 * back to the engine. */
void wbi_verbs_receives_stop(struct wbi_channel *channel);
void wbi_verbs_receives_reclaim(struct wbi_channel *channel);

/* Without an SRQ: a channel's receive `index` has ended. */
void wbi_verbs_receive_ended(struct wbi_verbs_queues *queues, size_t index);

/* The slots that the SRQ held go back to the engine, once it is gone. */
void wbi_verbs_shared_reclaim(struct wbi_verbs_queues *queues);

/* The slot of such a receive, which nobody has kept, is one of the first to be posted again. */
static inline void wbi_verbs_spare(struct wbi_verbs_queues *queues, uint64_t wr_id, uint8_t *slot)
{
    struct wbi_verbs_spares *spares = &queues->spares;
    if (__builtin_expect(spares->count == WBI_VERBS_SPARES, 0)) {
        queues->lane->events.return_slot(queues->lane->owner, slot);
        return;
    }
    spares->requests[spares->count].wr_id = wr_id;
    spares->sges[spares->count].addr = (uintptr_t)slot;
    spares->count++;
}

/* The slot of a receive that the device holds no more, by its work request's id. */
static inline uint8_t *wbi_verbs_unpost(struct wbi_verbs_queues *queues, uint64_t wr_id)
{
    const struct wbi_slot_arena *slots = &queues->lane->slots;
    size_t index = (size_t)(wr_id & ~WBI_VERBS_RECEIVE);
    if (__builtin_expect(queues->holders[index] == WBI_VERBS_SHARED, 1)) {
        queues->holders[index] = 0;
        queues->posted--;
    } else {
        wbi_verbs_receive_ended(queues, index);
    }
    return slots->base + index * slots->stride;
}

#endif
