/*
 * Streams, on top of calls: each message of a stream is an ordinary call of one action of the
 * engine's own, answered as soon as it has arrived. So leases, credits, filters, deadlines and the
 * loss of a peer are those of calls, and nothing that waits for its taker holds a slot, a credit or
 * a call: an item is moved out of its request, and the sender is told by a message of its own (a
 * grant) when it has been taken.
 *
 * A stream lives in its lane's table, under an index and a generation, from its beginning until its
 * program has dropped it and no call of it is open (`users`); its memory also until the program has
 * dropped the items it has taken (`refs`). Invariant: whoever owes a message counts as a user.
 *
 * `lock` guards what a sending, a taking and the lane thread meet at. It is never held around
 * anything that may call the program, or send.
 */
#ifndef WBI_ENGINE_STREAM_H
#define WBI_ENGINE_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/stream.h>

struct wbi_lane;

enum wbi_stream_message {
    WBI_STREAM_OPEN,    /* number, bytes: what the caller takes ahead; the answer likewise */
    WBI_STREAM_ITEM,    /* number: its place; bytes: what it counts as */
    WBI_STREAM_GRANT,   /* number, bytes: what has been taken, all in all */
    WBI_STREAM_FINISH,  /* number: how many items there are */
    WBI_STREAM_ABORT,   /* number: the code; bytes: the status, positive; a text */
    WBI_STREAM_WITHDRAW /* of an opening whose answer never came: `stream` is the caller's own */
};

struct wbi_stream_head {
    uint64_t stream;
    uint32_t what;
    uint64_t number, bytes;
};

enum {
    WBI_STREAM_HEAD_BYTES = 28,
    WBI_STREAM_CHUNK_BYTES = 64 /* that each chunk of an item counts as, beside what it has */
};

/* An item that has arrived. */
struct wb_stream_item {
    struct wb_stream *stream; /* a reference, once it has been taken */
    uint64_t weight;
    uint8_t *copy;                /* the archive, where it lay in a message; or NULL */
    struct wb_rma_block *backing; /* where it lies otherwise; a reference */
    const uint8_t *archive;
    uint64_t archive_len;
    struct wb_landing *landings; /* a reference to the block of each */
    uint32_t landing_count;
    struct wb_stream_item *next; /* in a list of those that are about to go */
};

struct wb_stream {
    _Atomic uint32_t refs, users;
    struct wbi_lane *lane; /* NULL: it is in no table any more, or the engine has ended; then it is
                              written under `lock` */
    struct wb_peer *peer;  /* a handle */
    struct wb_stream_type *type;
    uint64_t id, timeout_us;
    uint64_t deadline_us; /* for all of it, of an opener's; 0: none */
    bool opener;

    /* lane thread */
    uint64_t deadline; /* by the lane's clock; 0: until that has been looked at */
    wb_stream_ready_fn ready;
    void *user;
    struct wb_stream *next_due;
    bool due;
    _Atomic bool hungry;     /* something is to be done, or tried again, at the lane's next look */
    struct wb_error refusal; /* of a message of this stream's, the last */

    pthread_mutex_t lock; /* guards the rest */
    int status, code;     /* its end; WB_OK: none, or in order */
    char text[120];
    int lost;                        /* not WB_OK: the peer went, so, while this was opening */
    const char *lost_reason;         /* the peer's, which outlives this in the table */
    wb_stream_ready_fn posted_ready; /* the next `ready` and `user`, where posts_ready */
    void *posted_user;
    bool opened;   /* the other side's id and window are known */
    bool dropped;  /* by its program */
    bool given_up; /* nothing is taken any more: its program says so, or an item did not decode */
    bool finished;
    bool left; /* its last user has gone where it could not wait for the lane */
    bool posts_ready;

    /* messages that are yet to be sent */
    bool owes_finish, owes_abort, owes_withdraw;
    bool patient;                      /* the abort goes when all that was sent has arrived */
    bool waits_control, waits_message; /* a `room` is asked for */
    bool starves;                      /* it could not be; it is hungry, and a user for that */
    uint32_t in_flight;                /* items, and the finish */

    /* what is sent */
    uint64_t their_id, their_items, their_bytes;
    uint64_t sent, sent_bytes, granted, granted_bytes;
    bool wants_room; /* a send was told WB_AGAIN */

    /* what arrives: ring[number % items], from `next` on */
    struct wb_stream_item **ring;
    uint64_t items, bytes;
    uint64_t next;                        /* to be taken */
    uint64_t arrived, arrived_bytes, top; /* top: beyond the highest number seen */
    uint64_t taken, taken_bytes;          /* and dropped */
    uint64_t told, told_bytes;            /* of those, to the other side */
    uint64_t total;                       /* UINT64_MAX: not known */
};

struct wbi_stream_place {
    struct wb_stream *stream; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* index + 1 */
};

/* Of a lane; lane thread. */
struct wbi_streams {
    struct wbi_stream_place *table;
    uint32_t size, free;
    struct wb_stream *due, **due_tail;
    _Atomic uint32_t hungry;
};

/* Any thread: whether an item waits for memory. */
static inline bool wbi_streams_hunger(struct wbi_streams *streams)
{
    return atomic_load_explicit(&streams->hungry, memory_order_relaxed) != 0;
}

/* Registers the action of all messages but openings. WB_ERR_NO_MEMORY. */
int wbi_streams_register(struct wb_engine *engine);

void wbi_streams_open(struct wbi_lane *lane);
/* The lane has ended: streams that are left are their programs' alone. */
void wbi_streams_close(struct wbi_lane *lane);

/* Lane thread: the peer is lost, closed or drained: its streams end with `status`. */
void wbi_streams_end(struct wb_peer *peer, int status, const char *reason);

/* Lane thread: ends those of the peer whose deadline is over. */
void wbi_streams_expire(struct wb_peer *peer, uint64_t now);

/* Lane thread: those that lacked memory try again, or are told to. */
void wbi_streams_retry(struct wbi_lane *lane);

/* Lane thread, nothing half done: tells programs what is due. */
void wbi_streams_tell(struct wbi_lane *lane);

/* An item that was taken is needed no more. Any thread. */
void wbi_stream_item_end(struct wb_stream_item *item);

/* ---- between stream.c and the files stream_*.c ---- */

/* Lane thread: a stream in the table, with one user; or a status with words. */
int wbi_stream_make(struct wb_peer *peer, struct wb_stream_type *type, bool opener,
                    struct wb_stream **stream);

/* Any thread, which has a user or the handle: one user more, until wbi_stream_leave. */
static inline void wbi_stream_use(struct wb_stream *stream)
{
    atomic_fetch_add_explicit(&stream->users, 1, memory_order_relaxed);
}

/* Any thread: one user less. The last one takes the stream along, at once or, inside where the lane
 * is not to be waited for, at the lane's next look. */
void wbi_stream_leave(struct wb_stream *stream);

/* Any thread: the last user leaves at the lane's next look. */
void wbi_stream_post_leave(struct wb_stream *stream);

/* Any thread: one that never came to be, and that nobody is told of. Takes its handle. */
void wbi_stream_discard(struct wb_stream *stream, int status);

void wbi_stream_unref(struct wb_stream *stream);

/* Any thread, which has a user: whether its program has dropped it. */
bool wbi_stream_is_dropped(struct wb_stream *stream);

/* Lane thread: the program is to be told. */
void wbi_stream_make_due(struct wb_stream *stream);

/* Any thread, which has a user: something is done, or tried again, when the lane next looks. */
void wbi_stream_make_hungry(struct wb_stream *stream);

/* Any thread, which has a user: ends the stream, if it has not ended, and tells; `owes`: the other
 * side does not know yet. */
void wbi_stream_fail(struct wb_stream *stream, int status, int code, const char *text, bool owes);

/* Under `lock`: the end, and what is not to be taken any more, to be freed outside. */
struct wb_stream_item *wbi_stream_set_end(struct wb_stream *stream, int status, int code,
                                          const char *text, bool owes);
void wbi_stream_free_items(struct wb_stream_item *items);

/* Any thread, which has a user: a call that carries a message, with `value` behind its head; its
 * `then` is called with the stream, and has a user of it to end. Errors: those of NAME_async. */
int wbi_stream_say(struct wb_stream *stream, struct wb_action *action,
                   const struct wbi_stream_head *head, const struct wb_stream_items *items,
                   const void *value, void (*then)(struct wb_call *call, void *stream));
void wbi_stream_size_message(struct wb_sizer *sizer, struct wb_stream *stream,
                             const struct wb_stream_items *items, const void *value);

/* Lane thread, in `then`: how a message was answered; *head (or NULL) is the answer, on WB_OK
 * alone. Ends the call. */
int wbi_stream_said(struct wb_call *call, struct wbi_stream_head *head);

/* Lane thread: a message was not taken: so ends the stream. */
void wbi_stream_fail_by(struct wb_stream *stream, int status);

/* `then` of what counts as in flight: items and the finish. */
void wbi_stream_sent_has_ended(struct wb_call *call, void *stream);

/* Any thread, which has a user or the handle: sends what is owed, as far as there is room. */
void wbi_stream_flush(struct wb_stream *stream);

/* Lane thread: what is owed, and found no memory to wait for room. May be the stream's end. */
void wbi_stream_say_again(struct wb_stream *stream);

/* Fills the action's id and signature if they are not yet. Any thread. */
void wbi_stream_prepare(struct wb_stream_type *type);

/* Whether a stub is used with its own stream and direction. WB_ERR_INVALID, WB_ERR_CLOSED. */
int wbi_stream_check(struct wb_stream *stream, struct wb_stream_type *type, bool right_way);

/* How the stream has ended, with words for wb_last_error. */
int wbi_stream_say_end(struct wb_stream *stream, int status);

/* Lane thread: the stream that an id names, if it is that peer's; or NULL. */
struct wb_stream *wbi_stream_find(struct wbi_lane *lane, uint64_t id, const struct wb_peer *peer);

/* Lane thread: ends the stream that this peer has opened as `id`, if there is one. */
void wbi_stream_withdraw(struct wb_peer *peer, uint64_t id);

void wbi_stream_put_head(struct wb_writer *writer, const struct wbi_stream_head *head);
struct wbi_stream_head wbi_stream_get_head(struct wb_reader *reader);

/* Lane thread, in a handler: answers a message; head NULL: with nothing. */
int wbi_stream_reply(struct wb_context *context, const struct wbi_stream_head *head);

/* Lane thread: a message of a stream's; what its answer says. */
int wbi_stream_take_grant(struct wb_stream *stream, const struct wbi_stream_head *head);
int wbi_stream_take_finish(struct wb_stream *stream, const struct wbi_stream_head *head);
int wbi_stream_take_item(struct wb_stream *stream, struct wb_context *context,
                         const struct wbi_stream_head *head);

/* The action of all messages but openings. */
extern struct wb_action wbi_stream_action;

#endif
