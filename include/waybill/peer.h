/*
 * Peers' life beyond wb_connect and wb_peer_close (engine.h).
 */
#ifndef WAYBILL_PEER_H
#define WAYBILL_PEER_H

#include <waybill/engine.h>

/*
 * Ends in order: makes progress until all that has begun has ended, timeout_us at most.
 *
 * From its beginning on, and for good, whatever it returns:
 *   - nobody connects any more, neither to this engine (WB_ERR_REFUSED there) nor from it
 *     (WB_ERR_CLOSED, as wb_listen's);
 *   - calls of this engine are refused with WB_ERR_CLOSED, handlers' and callbacks' too; one that
 *     another thread was just beginning ends with WB_ERR_NOT_SENT;
 *   - requests that arrive are not executed: their callers get WB_ERR_NOT_SENT, so that a program
 *     treats them as those that found this server gone, and may make them again elsewhere. One-way
 *     requests are dropped.
 * What it waits for: own calls, requests that are being served, and that their replies have arrived
 * and been fetched. What the program itself keeps (calls that have ended and are not finished,
 * vectors) is its own to end. Then wb_engine_destroy takes nothing from anybody; peers stay
 * connected until then.
 *
 * Returns WB_OK; WB_ERR_TIMED_OUT (wb_last_error says what is left, and where; all of it goes on,
 * and the function may be called again); WB_ERR_DEADLOCK (inside a handler or callback: nothing has
 * changed); WB_ERR_CLOSED (an engine of the parent process). Any thread, several too.
 */
WB_API int wb_engine_drain(struct wb_engine *engine, uint64_t timeout_us);

/*
 * The same for one peer: its requests and calls on it are refused, all others go on. Returns
 * likewise, or, where the peer was lost before all had ended, why (as wb_peer_wait). The handle
 * stays the caller's: wb_peer_close then takes nothing from anybody. A peer that had connected to
 * this engine stays connected, refused, until it closes or the engine ends.
 */
WB_API int wb_peer_drain(struct wb_peer *peer, uint64_t timeout_us);

#endif
