/* Serving: from a request that is all here to its handler, and from the handler's result to the
 * reply. */
#ifndef WBI_ENGINE_SERVE_H
#define WBI_ENGINE_SERVE_H

#include <stdbool.h>
#include <waybill/action.h>

#include "engine/inbound.h"
#include "engine/parcel.h"

struct wbi_entry;

/* The call that a handler is serving. Lives on the stack of the lane thread, or of an executor's;
 * or in a deferred call, whose answer it is of. */
struct wb_context {
    struct wb_peer *peer;
    const struct wbi_header *header;
    struct wbi_inbound *in; /* the request; or NULL: it is in `slot`, with its archive there */
    uint8_t *slot;
    size_t len, archive_at;
    struct wb_deferred *deferred; /* that the handler has made of it, or NULL */
    struct wb_deferred *later;    /* whose answer this is; NULL in a handler on the lane thread */
    bool entered;                 /* `later`: the lane, to write into the fabric's slot */
    struct wb_rma_block *
        *reply_block; /* reserved room for a long reply; taken by the reply that uses it; or NULL */
    struct wbi_outgoing out; /* the reply, unless it goes straight */
    bool straight;
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

/* Says in the context's text why the arguments did not decode and where, if they did not and the
 * handler has not spoken. Any thread. */
void wbi_serve_explain(struct wb_context *context, const struct wb_reader *reader,
                       const struct wbi_entry *entry);

/* Lane thread: answers with how a handler failed: a code of its own above 0, or a status. */
void wbi_serve_failure(struct wb_context *context, int status);

/* Lane thread: answers a request with an error, if it wants an answer; of its header the call's id
 * and the flags are used. `text` may be NULL. */
void wbi_serve_error(struct wb_peer *peer, const struct wbi_header *request, int status, int code,
                     const char *text);

#endif
