/*
 * Calls as futures: what can be done with a call between NAME_async and NAME_finish. A handle is
 * one thread's at a time, but for wb_call_cancel, which any thread may call until finish begins.
 * What is to happen by itself when a call has ended is said at its beginning: `then` and `on_sent`
 * of struct wb_call_options.
 */
#ifndef WAYBILL_CALL_H
#define WAYBILL_CALL_H

#include <waybill/engine.h>

/* Whether the call has ended (finish will not wait). */
WB_API bool wb_call_done(const struct wb_call *call);

/* Makes progress until the call has ended, timeout_us at most; does not end the handle. Returns
 * WB_OK, WB_ERR_TIMED_OUT (the call goes on), WB_ERR_DEADLOCK. */
WB_API int wb_call_wait(struct wb_call *call, uint64_t timeout_us);

/*
 * Make progress until one of `count` calls has ended, or until all have; timeout_us at most.
 * Entries that are NULL are passed over; all others are of one engine. *which (any) is the first
 * ended one's place, and `count` on failure. Ending the handles is the caller's. Return WB_OK (at
 * once where all entries are NULL: then *which is `count`), WB_ERR_TIMED_OUT (they go on),
 * WB_ERR_DEADLOCK, WB_ERR_INVALID (calls of several engines).
 */
WB_API int wb_call_wait_any(struct wb_call *const *calls, size_t count, uint64_t timeout_us,
                            size_t *which);
WB_API int wb_call_wait_all(struct wb_call *const *calls, size_t count, uint64_t timeout_us);

/*
 * Gives the call up: it ends with WB_ERR_CANCELLED, unless it has ended otherwise already; at once,
 * or, where it offers pointer chunks on a fabric that cannot revoke them, when the server has let
 * go of those, and where its result is being READ into vectors of the caller's (into), when these
 * READs have ended (the grace period at most). The server is told to stop: what it has not begun it
 * does not begin. Returns at once; a waiting or `then` sees the end as any other. Any thread,
 * inside handlers too. Errors: WB_ERR_CLOSED (an engine of the parent process).
 */
WB_API int wb_call_cancel(struct wb_call *call);

#endif
