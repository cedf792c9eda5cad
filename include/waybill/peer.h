/*
 * Peers' life beyond wb_connect and wb_peer_close (engine.h).
 */
#ifndef WAYBILL_PEER_H
#define WAYBILL_PEER_H

#include <waybill/engine.h>

/* How a peer connects. All zero: as wb_connect does, once and at once. */
struct wb_peer_options {
    bool lazy;                /* not before the first call, or wb_peer_wait */
    bool again;               /* and after a loss anew, at the next call or wb_peer_wait */
    uint64_t backoff_us;      /* an attempt is not made sooner after a loss or a failure; doubled by
                                 each that follows, and up to a quarter longer; 0: 100 ms, or
                                 backoff_most_us where that is less */
    uint64_t backoff_most_us; /* no longer than that; a connection that stood so long makes it
                                 backoff_us again; 0: 10 s. Neither is below 1 ms */
    uint64_t idle_us; /* a channel that no call used for so long, in either direction, is closed by
                         this side, and connected anew by the next call; 0: never */
};

/*
 * As wb_connect, for a peer that may come and go: the handle stays the same, and valid until
 * wb_peer_close. options NULL: all zero; copied. Where nothing is connected or being connected, its
 * state is WB_PEER_IDLE; a call or wb_peer_wait begins to connect (WB_PEER_CONNECTING, pauses
 * between attempts included), and calls wait for the connection within their own timeouts. One that
 * times out says why there was none.
 *
 * Execution stays at most once: calls that are open when a connection is lost end with
 * WB_ERR_PEER_LOST or WB_ERR_NOT_SENT, as with any peer, and are not repeated; those that begin
 * later go to the next connection. One that another thread is just beginning may still end with
 * WB_ERR_NOT_SENT. A peer without `again` is lost for good by a failure or a loss, not by idle_us.
 * The other side sees connections come and go, each a peer of its own: what it calls back on one
 * that is just being closed for idle_us ends with WB_ERR_PEER_LOST there.
 *
 * What is not connected takes no place of max_peers; an attempt that finds none fails. The caller
 * ends *peer with wb_peer_close. Sets *peer on success only. Errors: as wb_connect; with `again`,
 * or lazy, only WB_ERR_BAD_URL, WB_ERR_NO_FABRIC, WB_ERR_NO_MEMORY, WB_ERR_CLOSED, WB_ERR_DEADLOCK;
 * WB_ERR_INVALID (backoff_most_us below backoff_us). Any thread, inside handlers too.
 */
WB_API int wb_connect_with(struct wb_engine *engine, const char *url,
                           const struct wb_peer_options *options, struct wb_peer **peer);

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
 *     requests are dropped;
 *   - no connection is made any more: calls that wait for one that is neither there nor just being
 *     made end with WB_ERR_NOT_SENT, and wb_peer_wait with WB_ERR_CLOSED.
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
 * likewise, or, where the peer was lost before all had ended, why (as wb_peer_wait), also where it
 * would come back: what was under way then has not ended well. The handle
 * stays the caller's: wb_peer_close then takes nothing from anybody. A peer that had connected to
 * this engine stays connected, refused, until it closes or the engine ends.
 */
WB_API int wb_peer_drain(struct wb_peer *peer, uint64_t timeout_us);

#endif
