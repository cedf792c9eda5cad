/*
 * Peers: the remote end as the engine knows it, one channel each. Written by the lane thread; other
 * threads read `state`, `draining`, `eager_bytes`, `key_bytes` and `filter_from` only, and set
 * `to_drain`. Lifetime: until the channel is buried and the program has closed its handles (an
 * accepted peer has none unless wb_peer_keep made one). Calls and inbound parcels need none, since
 * burial ends them all.
 */
#ifndef WBI_ENGINE_PEER_H
#define WBI_ENGINE_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/engine.h>

#include "engine/call.h"
#include "engine/control.h"
#include "engine/inbound.h"
#include "engine/inbound_queue.h"
#include "engine/line.h"
#include "engine/pace.h"
#include "engine/parcel.h"

struct wbi_lane;

/* A READ of the peer's budget of them. */
struct wbi_read_op {
    struct wbi_read read;
    struct wb_peer *peer;
    struct wbi_inbound *inbound;
    uint32_t part; /* of the inbound's stage */
    struct wbi_read_op *next_free;
};

enum { WBI_READ_OPS = 16 }; /* READs in flight a peer, at most; the fabric's depth may be less */

struct wb_peer {
    struct wbi_lane *lane;
    struct wbi_channel *channel;  /* NULL once it is closed */
    _Atomic int state;            /* enum wb_peer_state */
    _Atomic uint32_t eager_bytes; /* largest message that both sides take */
    _Atomic uint32_t key_bytes;   /* of its chunks' keys, at most; a longer one is cut */
    _Atomic size_t filter_from;   /* archives from here on are filtered; SIZE_MAX: none */
    _Atomic bool to_drain;        /* it will be draining as soon as somebody has the lane */
    _Atomic bool draining;        /* nothing new begins on it */
    uint32_t straight_below; /* archives of fewer bytes fit in a message and need no filter; 0 while
                                it is not connected, is dying or draining */
    bool accepted, dying, busy;
    bool placed;               /* it has a place, credits and receives of the lane's */
    bool comes;                /* it is new, and a place may be kept for it: see home.h */
    _Atomic uint32_t handles;  /* that the program holds */
    _Atomic uint32_t closes;   /* of those that it has closed, and the lane has yet to */
    uint32_t streams;          /* with this peer; each has a handle, too */
    uint32_t timed_streams;    /* of those, with a deadline */
    uint32_t number;           /* in the lane's log */
    int status;                /* why it was lost */
    uint64_t connect_deadline; /* 0 until the lane has looked at its clock */
    uint64_t token;
    uint32_t wire_version, their_read_depth; /* agreed on, or 0 */
    uint64_t their_id;
    struct wbi_line line;
    struct wb_peer *prev, *next; /* all of the lane */
    struct wb_peer *busy_next, *dying_next;

    /* flow: requests that may be sent; requests received whose credit has not gone back; to go back
     */
    uint32_t credits, credits_max;
    uint32_t granted, unreturned, owed;
    uint32_t in_hand; /* of owed: the credit of the request whose handler runs, for its reply */
    uint32_t replies; /* receives for replies that are its own */

    uint32_t
        unanswered; /* requests sent for which no reply has come, whatever became of the calls */

    /* in order, replies first: a request may wait for a reply that comes only when ours has gone */
    struct wbi_parcel *waiting, **waiting_tail, **replies_tail;
    uint32_t replies_waiting; /* as many credits wait with them, or more than need to */
    struct wbi_ids releases, cancels;
    struct wb_call *calls;             /* open ones */
    struct wbi_lease_set *sets;        /* offered ones */
    struct wbi_inbound *inbounds;      /* all */
    uint32_t parked;                   /* of them, in the lane's queue */
    struct wbi_inbound_queue fetching; /* with READs to issue */
    struct wbi_pace pace;
    struct wbi_read_op ops[WBI_READ_OPS], *free_ops;

    char url[112];
    char reason[480];
    char culprit[100]; /* the READ that failed first, in words; "" */
};

/* Lane thread. Makes *out a peer of one that is coming to the lane (wbi_home_find), which has
 * turned back where it fails: with all of its lists empty, in the lane's list; in state CONNECTING
 * with a place if it is accepted, else IDLE and without one. ERRORS: WB_AGAIN (max_peers),
 * WB_ERR_CLOSED (the engine is being drained), WB_ERR_NO_MEMORY; with words. */
int wbi_peer_new(struct wbi_lane *lane, const char *url, bool accepted, struct wb_peer **out);

/* Lane thread: gives it a place, and its share of what channels share. WB_AGAIN with words
 * (max_peers). */
int wbi_peer_place(struct wb_peer *peer);

/* Lane thread: it is new no more. */
void wbi_peer_settle(struct wb_peer *peer);

/* Lane thread: ends a peer that nobody knows yet and that has no channel. */
void wbi_peer_discard(struct wb_peer *peer);

/* Lane thread: the channel has to go: closes nothing yet, the lane buries it at the end of the
 * turn. The first call decides status and reason; status WB_OK: it is not needed now, and the peer
 * comes back (wbi_line_comes_back). */
void wbi_peer_fail(struct wb_peer *peer, int status, const char *reason);

/* Lane thread: how a call ends whose peer is lost. */
int wbi_peer_end_of(const struct wb_call *call);

/* Lane thread, outside of poll: closes the channel, ends all calls, drops all parcels. One that
 * comes back is made ready for its next channel; what has only waited for this one then waits on.
 */
void wbi_peer_bury(struct wb_peer *peer);

/* Lane thread: frees the struct if nothing needs it any more. */
void wbi_peer_forget(struct wb_peer *peer);

/* Lane thread: the same where it is not about to be buried: a handle of it has gone. */
void wbi_peer_forget_buried(struct wb_peer *peer);

/* Lane thread: there is something to send when there is room. */
void wbi_peer_busy(struct wb_peer *peer);

/* Lane thread: receives that its channel needs, if it has its own. */
uint32_t wbi_peer_receives(const struct wb_peer *peer);

/* Lane thread: whether a request may be sent: the peer has a receive for it, and itself or the lane
 * (may_borrow) one for its reply, if it is not one-way. */
bool wbi_peer_may_borrow(const struct wb_peer *peer);
static inline bool wbi_peer_may_ask(const struct wb_peer *peer, bool one_way)
{
    return peer->credits > 0 &&
           (one_way || peer->unanswered < peer->replies || wbi_peer_may_borrow(peer));
}

/* Lane thread: its state, what it takes, or whether it dies or drains has changed. */
void wbi_peer_reckon(struct wb_peer *peer);

/* Lane thread: a request has been sent; the reply to one has come, in time or late. */
void wbi_peer_asked(struct wb_peer *peer, bool one_way);
void wbi_peer_answered(struct wb_peer *peer);

/* Any thread: nothing new begins on it any more. */
bool wbi_peer_is_draining(const struct wb_peer *peer);

/* Any thread: the same, or it will be as soon as somebody has the lane. */
bool wbi_peer_is_to_drain(const struct wb_peer *peer);

/* Lane thread, not nested: ends handles that were closed while nobody could wait for the lane. */
void wbi_peers_close(struct wbi_lane *lane);

/* Lane thread, with an empty inbox: begins what other threads ask of the lane's peers: drains, and
 * channels that they wait for. */
void wbi_peers_look(struct wbi_lane *lane);

/* Lane thread: deadlines of everything that hangs on this peer. */
void wbi_peer_expire(struct wb_peer *peer, uint64_t now);

/* What fabrics call: handshake.c and receive.c. */
extern const struct wbi_fabric_events wbi_engine_events;
bool wbi_receive(void *peer, uint8_t *slot, size_t len);
uint32_t wbi_receive_bundle(void *peer, uint8_t *slot, size_t len);

/* Lane thread: what this engine says of itself to a peer. */
void wbi_handshake_hello(struct wb_peer *peer, int status, struct wbi_hello *hello);

/* Lane thread: begins to connect peer's channel. */
int wbi_handshake_connect(struct wb_peer *peer, const char *address);

#endif
