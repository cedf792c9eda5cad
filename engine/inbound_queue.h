/* Inbound parcels of one peer that wait for the same thing, as they came. Linked by queue_next: a
 * parcel is in one such queue at a time. Lane thread. */
#ifndef WBI_ENGINE_INBOUND_QUEUE_H
#define WBI_ENGINE_INBOUND_QUEUE_H

#include <stddef.h>

struct wbi_inbound;

/* Invariant: *tail is the NULL behind the last, or `first` itself where there is none. */
struct wbi_inbound_queue {
    struct wbi_inbound *first, **tail;
};

/* An empty one; what was in it is forgotten. It must stay where it is. */
static inline void wbi_inbound_queue_open(struct wbi_inbound_queue *queue)
{
    queue->first = NULL;
    queue->tail = &queue->first;
}

/* Behind the last; and out of the queue, wherever it stands: it is there. */
void wbi_inbound_queue_put(struct wbi_inbound_queue *queue, struct wbi_inbound *inbound);
void wbi_inbound_queue_remove(struct wbi_inbound_queue *queue, const struct wbi_inbound *inbound);

#endif
