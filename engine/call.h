/*
 * Calls as their caller sees them: a table of max_calls, addressed by index and generation, so that
 * a late reply never meets a new call. States: FREE [-> LENT] -> WRITING (begin) -> OPEN (commit)
 * -> [ENDING] -> ENDED -> FREE (close). Only the lane thread moves a call out of OPEN and ENDING;
 * `status` and the result are written before ENDED is.
 */
#ifndef WBI_ENGINE_CALL_H
#define WBI_ENGINE_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/engine.h>

#include "engine/parcel.h"

struct wbi_draft;
struct wbi_inbound;
struct wbi_into;
struct wbi_lane;

/* Results of so many bytes are copied to their call: that is cheaper than to keep the slot, which
 * another thread would have to give back. */
enum { WBI_SMALL_RESULT = 64 };

enum wbi_call_state {
    WBI_CALL_FREE,
    WBI_CALL_LENT, /* likewise, and in the list, though it is the lane's own */
    WBI_CALL_WRITING,
    WBI_CALL_OPEN,
    WBI_CALL_ENDING, /* the end is known; a lease is not yet back, or the program not yet told */
    WBI_CALL_ENDED
};

struct wb_call {
    _Atomic uint32_t state;
    uint32_t index, generation;
    _Atomic uint32_t next_free; /* index + 1 */
    struct wbi_lane *lane;
    struct wb_peer *peer;
    const char *action;          /* its name, for errors */
    struct wb_call *prev, *next; /* open calls of the peer */
    uint64_t timeout_us;
    uint64_t deadline; /* 0 until the lane has looked at its clock */
    bool sent;
    bool stopped;                /* a CANCEL has been asked for */
    bool due, due_sent, due_end; /* it is in the lane's list, and for what */
    bool is_read;                /* its end waits for READs into the caller's vectors */
    bool straight;               /* between begin and commit: it goes straight, and `out` is void */
    bool one_way;                /* no answer comes, and the engine ends the handle */
    _Atomic bool unwanted;       /* the program has given it up; the lane is yet to see it */
    int status;                  /* once it has ended */

    /* what the program wants to be told, and what of it is due when the lane is left */
    void (*on_sent)(void *user); /* NULL once it was called */
    void (*then)(struct wb_call *call, void *user);
    void *user;
    uint32_t epoch; /* of the peer's channels, when it was laid out; not of what goes straight */
    struct wb_call *next_due;

    /* The request: between begin and commit; afterwards its parcel, while that waits. Of a free
     * call, and of one that goes straight, nothing of it counts but that it has no parcel. */
    struct wbi_outgoing out;
    union {                        /* one more word here would make all calls slower to find */
        struct wbi_draft *draft;   /* between begin and commit, where out has no message yet */
        struct wbi_lease_set *set; /* afterwards: chunks that the peer may be reading; or NULL */
    };

    /* the result */
    uint8_t *slot; /* that holds the reply's message, or NULL */
    const uint8_t *archive;
    uint64_t archive_len;
    struct wbi_inbound *reply; /* with the landings of a reply that had chunks, or NULL */
    struct wb_rma_block *room; /* reserved for the fetched parts of the reply, or NULL */
    uint64_t room_bytes;       /* less what packed vectors have at its end */
    struct wbi_into *into;     /* the caller's vectors, or NULL */
    struct wb_error *error;    /* the caller's */
    union {
        _Alignas(8) uint8_t small[WBI_SMALL_RESULT]; /* archive, of a call that has such a result */
        struct {
            char where[112]; /* the peer, of a call that failed */
            char text[120];  /* why it failed, "" if the status says it all */
        };
    };
};

/*
 * The last calls of the table are the lane's own: its thread alone takes or lends them, and whoever
 * gives one back only says that it is free, so that neither needs a locked instruction. The others
 * are in a list that all threads share. Invariant: a call is taken by who holds the lane (it is one
 * of its own), or has got it off the list.
 */
struct wbi_calls {
    struct wb_call *table;
    uint32_t count;
    uint32_t own_count;
    struct wb_call *own; /* the first of them */
    uint32_t used; /* of them, the lane goes round the first so many: as few as it needs, so that
                      they stay in the cache */
    uint32_t next; /* of those, where it looks first */
    _Atomic uint64_t
        free; /* index + 1 of the first free call, and a count that makes each value new (ABA) */
};

int wbi_calls_open(struct wbi_calls *calls, struct wbi_lane *lane, uint32_t count);
void wbi_calls_close(struct wbi_calls *calls);

/* A free call, or NULL: any thread, which enters the lane if the list is empty; where that is held
 * by another one, it is asked to lend its own, and there may be one later; and lane thread. */
struct wb_call *wbi_call_take(struct wbi_lane *lane);
struct wb_call *wbi_call_take_inside(struct wbi_lane *lane);

/* Any thread: back, with all that it holds. */
void wbi_call_give(struct wb_call *call);

/* Lane thread: puts some of the lane's own that are free into the list; given back they are its own
 * again. */
void wbi_calls_lend(struct wbi_calls *calls);

/* Any thread: whether there is a free one, and whether one is in the list. */
bool wbi_calls_have_room(struct wbi_calls *calls);
bool wbi_calls_are_listed(const struct wbi_calls *calls);

/* Gives back what an ended call holds: slot, landings, room. Whoever owns the call. */
void wbi_call_forget(struct wb_call *call);

/* The call that an id names, if it is OPEN and of that generation; NULL otherwise. Lane thread. */
struct wb_call *wbi_call_find(struct wbi_calls *calls, uint64_t id);
uint64_t wbi_call_id(const struct wb_call *call);

/* The deadline field of a request with so much time left. */
uint32_t wbi_deadline_on_wire(uint64_t left_us);

/* What the last call of this thread to that peer lacked that was answered WB_AGAIN: bytes of the
 * pool; 0: something else, or there was none. */
uint64_t wbi_call_lacked(const struct wb_peer *peer);

/* Lane thread: the call is under way, with a message of `bytes` bytes: lists it at its peer. */
void wbi_call_enter(struct wb_call *call, uint64_t bytes);

/* Lane thread: ends an open call, once. The set is withdrawn, a parcel that still waits is
 * disowned, the peer is told to stop where the end came from here (timed out). `text` may be NULL.
 */
void wbi_call_end(struct wb_call *call, int status, const char *text);

/* Lane thread: nobody reads its arguments any more. */
void wbi_call_sent(struct wb_call *call);

/* Lane thread, nothing half done: tells programs what is due. */
void wbi_calls_tell(struct wbi_lane *lane);

/* Lane thread: ends the calls that their programs have given up. */
void wbi_calls_cancel(struct wbi_lane *lane);

/* Lane thread: the set that an ending call waited for is back. */
void wbi_call_set_gone(struct wb_call *call);

/* Lane thread: tells the caller: nothing more will change. */
void wbi_call_announce(struct wb_call *call);

/* Lane thread: a reply has come; and one that is plain (wire.h). Return whether the slot was kept.
 */
bool wbi_call_result(struct wb_peer *peer, uint8_t *slot, size_t len);
bool wbi_call_reply(struct wb_peer *peer, uint8_t *slot, size_t len,
                    const struct wbi_header *header);

/* Lane thread: the fetched reply of `call` is complete (inbound is taken), or failed with a status.
 */
void wbi_call_reply_fetched(struct wb_call *call, struct wbi_inbound *inbound, int status);

#endif
