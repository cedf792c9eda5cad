#include "engine/inbound_queue.h"

#include "engine/inbound.h"

void wbi_inbound_queue_put(struct wbi_inbound_queue *queue, struct wbi_inbound *inbound)
{
    inbound->queue_next = NULL;
    *queue->tail = inbound;
    queue->tail = &inbound->queue_next;
}

void wbi_inbound_queue_remove(struct wbi_inbound_queue *queue, const struct wbi_inbound *inbound)
{
    struct wbi_inbound **at = &queue->first;
    while (*at != inbound) {
        at = &(*at)->queue_next;
    }
    *at = inbound->queue_next;
    if (*at == NULL) {
        queue->tail = at;
    }
}
