/*
 * Results that arrive in vectors which the caller of a call has passed (wb_call_options.into). The
 * READs of the reply's chunks go there instead of into the call's room; what came packed, or could
 * not be READ there, is copied when the result is decoded. The engine has a reference to each
 * vector's block from the call's begin, and each READ one of its own, until it has ended. "cold":
 * calls without such vectors are to be no slower for it.
 */
#ifndef WBI_ENGINE_INTO_H
#define WBI_ENGINE_INTO_H

#include <stdbool.h>
#include <waybill/action.h>

struct wb_call;
struct wbi_inbound;
struct wbi_into;
struct wbi_part;

/*
 * Any thread, at the call's begin: takes references to the vectors of options that have any, and
 * puts their bytes into the request's reply_room. Adds to *reply_bytes what has to be reserved
 * beside the vectors, since the server, which is told one sum, may take them for more room than
 * there is. Errors: WB_ERR_INVALID, WB_ERR_NO_MEMORY; then call->into is NULL.
 */
int wbi_into_open(struct wb_call *call, const struct wb_action *action,
                  const struct wb_call_options *options, uint64_t *reply_bytes)
    __attribute__((cold));

/* Drops them; the memory is READ into no more. Whoever owns the call. */
void wbi_into_close(struct wb_call *call) __attribute__((cold));

/* Lane thread: gives a part of the call's reply its vector's memory. WB_ERR_REPLY_TOO_LARGE: it has
 * none, or is too large for it, and lands elsewhere. WB_ERR_NO_MEMORY. */
int wbi_into_land(struct wbi_inbound *inbound, struct wbi_part *part) __attribute__((cold));

/* Lane thread: the call ends while its reply is being fetched, and no further READs are issued: its
 * vectors are let go of, or, while READs are in flight, its program is not yet told. */
void wbi_into_quit(struct wb_call *call, struct wbi_inbound *inbound) __attribute__((cold));

/* Lane thread: the last READ of that reply has ended, or its channel is gone. */
void wbi_into_quiet(struct wb_call *call) __attribute__((cold));

/* The thread that finishes the call: before and while the result is decoded. take makes the vector
 * whose bytes arrived at `data`, in the caller's memory; false: it belongs elsewhere. Errors:
 * WB_ERR_NO_MEMORY. */
int wbi_into_begin_reading(struct wb_call *call) __attribute__((cold));
bool wbi_into_take(struct wb_call *call, const void *data, uint64_t bytes, uint32_t elem_size,
                   wb_rma_vector *out) __attribute__((cold));

#endif
