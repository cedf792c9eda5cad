/* Serving: from a request that is all here to its handler, and from the handler's result to the
 * reply. */
#ifndef WBI_ENGINE_SERVE_H
#define WBI_ENGINE_SERVE_H

#include <stdbool.h>
#include <waybill/action.h>

#include "engine/inbound.h"
#include "engine/parcel.h"

/* The call that a handler is serving. Lives on the lane thread's stack. */
struct wb_context {
    struct wb_peer *peer;
    const struct wbi_header *header;
    struct wb_rma_block *
        *reply_block; /* reserved room for a long reply; taken by the reply that uses it; or NULL */
    struct wbi_outgoing out;
    bool replied;
    int code; /* the handler's, with text */
    char text[120];
};

/* Lane thread: handles a request without chunks. Returns whether the slot was kept. */
bool wbi_serve_eager(struct wb_peer *peer, uint8_t *slot, size_t len,
                     const struct wbi_header *header);

/* Lane thread: handles a complete inbound request. WB_AGAIN: park it, memory is missing; otherwise
 * it was answered. */
int wbi_serve_inbound(struct wbi_inbound *inbound);

/* Lane thread: answers a request with an error, if it wants an answer; of its header the call's id
 * and the flags are used. `text` may be NULL. */
void wbi_serve_error(struct wb_peer *peer, const struct wbi_header *request, int status, int code,
                     const char *text);

#endif
