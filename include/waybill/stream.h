/*
 * Streams: a call that carries a sequence of items each way, in order, with a flow control of its
 * own. Whoever calls opens it and sends "up", whoever serves sends "down"; three field lists say
 * what the opening and the items of each direction have (<waybill/field.h>).
 *
 *   #define TAIL_IN(F)    F(STRING, wb_str, path)
 *   #define TAIL_UP(F)    F(VALUE, u64, skip)
 *   #define TAIL_DOWN(F)  F(BYTES, wb_bytes, text) F(RMA, wb_rma_vector, block)
 *   WB_STREAM(tail, TAIL_IN, TAIL_UP, TAIL_DOWN)
 *
 * generates, all static:
 *
 *   struct tail_in, tail_up, tail_down       the fields, and a last member `hold`, the library's
 *   tail_register(engine, handler, user)     serves it by handler(context, stream, in, user)
 *   tail_open(peer, in, options, &stream)    opens one
 *   tail_up_send(stream, item, timeout_us)   whoever opened; tail_up_next(stream, item, timeout_us)
 *                                            whoever serves
 *   tail_down_send, tail_down_next           the other way
 *   tail_in_drop, tail_up_drop, tail_down_drop    what was received; accept zeroed structs
 *
 * A stream ends for each side once: in order, where both directions were finished and all has
 * arrived; or, for both sides, by a status: aborted, the peer lost, the engine closed, an item that
 * could not arrive within the time. A direction whose items have all arrived is read to its end
 * whatever comes; other items that have not been taken are dropped at that moment.
 *
 * How far a side may be ahead is the receiver's word: config.stream_items and config.stream_bytes,
 * counted until an item has been taken (and dropped, where it has views). What waits for its taker
 * holds no credit, message or call, only its own bytes: a slow stream holds up nobody else.
 *
 * Threads: one thread at a time sends (and finishes), one at a time takes, and these may be two;
 * wb_stream_abort and wb_stream_status are for any thread. Where WB_ERR_TIMED_OUT may be a wait's
 * or the stream's end, wb_stream_status tells which. Nothing is used after wb_stream_drop, but
 * items that have been taken are dropped whenever you like (not in a child of fork).
 */
#ifndef WAYBILL_STREAM_H
#define WAYBILL_STREAM_H

#include <stddef.h>
#include <waybill/action.h>

struct wb_stream;

/* Tells that NAME_send or NAME_next, which answered WB_AGAIN, is to be tried again; or of an end.
 * One call may stand for several reasons, and none of them may be left: try until WB_AGAIN. Called
 * as `then` of a call is (threading.md): on a thread that makes progress, it may use this stream
 * and others (with timeout 0), begin calls, and drop the stream. Not called for what the program
 * itself has done to this side, nor after wb_stream_drop has returned, but for what is said there.
 */
typedef void (*wb_stream_ready_fn)(struct wb_stream *stream, void *user);

struct wb_stream_options {
    uint64_t timeout_us; /* for the opening, and for each item to arrive at the other side, where it
                            waits for no taker; 0: config.call_timeout_us */
    wb_stream_ready_fn ready; /* or NULL */
    void *user;               /* of ready */
    uint64_t deadline_us; /* for the whole stream, from its opening: what has not ended then ends
                             for both sides with WB_ERR_TIMED_OUT; 0: none */
};

/*
 * NAME_open(peer, in, options, &stream), generated: begins to open a stream and returns at once;
 * options NULL: all zero. Sends answer WB_AGAIN until the other side's handler has said yes; where
 * it does not, the stream ends with the status that a call would end with. *in is borrowed until
 * this returns; its vectors and objects are referenced, all else is copied. The caller ends *stream
 * with wb_stream_drop. Sets *stream on success only. Waits for a handler that another thread runs
 * on the peer's fabric. Errors: WB_AGAIN (no room for a call: see wb_peer_on_room), WB_ERR_DEADLOCK
 * (inside, and that handler waits for a fabric or a call as well), WB_ERR_BUSY (config.streams, or
 * the streams' part of the budget), WB_ERR_BUDGET, WB_ERR_INVALID, WB_ERR_NO_MEMORY,
 * WB_ERR_NOT_SENT, WB_ERR_CLOSED. Any thread, inside handlers too.
 *
 * NAME_register(engine, handler, user): as of an action. The handler answers WB_OK, and the stream
 * is its program's, to be ended by wb_stream_drop; it may send and take at once. Or it fails, as an
 * action's handler does, and there is no stream. It is not to be deferred.
 *
 * NAME_up_send, NAME_down_send(stream, item, timeout_us): sends an item, after those before it.
 * *item is borrowed until this returns; vectors and objects are referenced, all else is copied, in
 * memory of the pool where it is long. Waits until there is room, timeout_us at most; 0: does not
 * wait. WB_OK: it is on its way. Otherwise it was not sent: WB_AGAIN (timeout 0: no room; `ready`
 * tells when there is), WB_ERR_TIMED_OUT, WB_ERR_DEADLOCK (would wait inside a handler),
 * WB_ERR_BUDGET (it is larger than half of what the other side takes ahead, or than the pool),
 * WB_ERR_INVALID (the stream is another's, this is its other direction, or it is finished; or the
 * item cannot be sent), WB_ERR_NO_MEMORY; or how the stream has ended.
 *
 * NAME_up_next, NAME_down_next(stream, item, timeout_us): takes the next item. It is ended by
 * NAME_up_drop; its views are valid until then. On failure *item is zero. WB_OK; WB_END: the other
 * side has finished, and all has been taken; WB_AGAIN (timeout 0: none is here, or there is no
 * memory for it now; `ready` tells), WB_ERR_TIMED_OUT, WB_ERR_DEADLOCK; WB_ERR_INVALID (as above);
 * or how the stream has ended, WB_ERR_MALFORMED among it.
 */

/* This side sends no more; the other one gets WB_END behind the last item. Again: nothing. Returns
 * WB_OK, or how the stream has ended. The sending thread; never waits. */
WB_API int wb_stream_finish(struct wb_stream *stream);

/* Ends the stream now, for both sides: with WB_ERR_CANCELLED here, and for the other side with
 * WB_ERR_REMOTE, `code` (above 0, else 1) and the words. One that has ended stays as it is. Any
 * thread; never waits. */
WB_API void wb_stream_abort(struct wb_stream *stream, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* WB_OK while the stream goes on, and where it has ended in order; else how it has ended. `error`
 * (or NULL) gets the other side's code and words, where it aborted. Any thread. */
WB_API int wb_stream_status(struct wb_stream *stream, struct wb_error *error);

/* Sets or changes who is told (NULL: nobody); if there may be something to do already, it is told
 * soon, maybe before this returns. For the side that serves, mostly. Waits as wb_stream_drop
 * does; where that does not wait, the change comes with the fabric's next turn. Any thread. */
WB_API void wb_stream_on_ready(struct wb_stream *stream, wb_stream_ready_fn ready, void *user);

/* Ends the handle. Where the stream goes on, that ends it, once what was sent has arrived: if this
 * side had finished, the other one gets all of it, and WB_END; otherwise what it has not taken then
 * may be dropped. What it still sends, and else takes, ends with WB_ERR_CANCELLED. So who wants to
 * be heard finishes. Waits for the handler or `ready` that another thread runs on the fabric,
 * whichever it is, unless this is called inside and that one waits for a fabric or a call as well:
 * then a `ready` of this stream may still be running, or just begin, and `user` is to live until
 * that has returned. Accepts NULL. After wb_engine_destroy handles are still to be dropped. Any
 * thread. */
WB_API void wb_stream_drop(struct wb_stream *stream);

/* ---- for the generated stubs ---- */

/* What the library needs to know of a struct of fields. */
struct wb_stream_items {
    const struct wb_field *fields; /* behind those of the head */
    void (*size)(struct wb_sizer *sizer, const void *item);
    void (*put)(struct wb_writer *writer, const void *item);
    int (*get)(struct wb_reader *reader, void *item);
    size_t bytes, hold; /* of the struct; where its hold is */
    bool views;
};

struct wb_stream_type {
    struct wb_action action; /* that opens it */
    struct wb_stream_items opening, up, down;
};

/* The functions above, for any type. `up`: which direction is meant. */
WB_API int wb_stream_register(struct wb_engine *engine, struct wb_stream_type *type,
                              wb_serve_fn serve, void (*handler)(void), void *user);
WB_API int wb_stream_open(struct wb_peer *peer, struct wb_stream_type *type, const void *in,
                          const struct wb_stream_options *options, struct wb_stream **stream);
WB_API int wb_stream_send(struct wb_stream *stream, struct wb_stream_type *type, bool up,
                          const void *item, uint64_t timeout_us);
WB_API int wb_stream_next(struct wb_stream *stream, struct wb_stream_type *type, bool up,
                          void *item, uint64_t timeout_us);

/* Around the handler: makes the stream, before the opening's fields are read; answers, or (status)
 * ends it, and returns the status. */
WB_API int wb_stream_accept(struct wb_context *context, struct wb_reader *reader,
                            struct wb_stream_type *type, struct wb_stream **stream);
WB_API int wb_stream_answer(struct wb_context *context, struct wb_stream *stream, int status);

/* What stands before the fields in each archive of a stream: docs/wire-format.md. */
#define WBI_STREAM_HEAD(F)                                                                         \
    F(VALUE, u64, stream) F(VALUE, u32, what) F(VALUE, u64, number) F(VALUE, u64, bytes)

#define WBI_STREAM_RECORD(record, FIELDS)                                                          \
    WBI_RECORD(record, FIELDS)                                                                     \
    WBI_UNUSED static const struct wb_field wbi_##record##_fields[] = {                            \
        WBI_STREAM_HEAD(WBI_FIELD) FIELDS(WBI_FIELD) WBI_FIELD_END};                               \
    WBI_GENERATED void wbi_##record##_size(struct wb_sizer *sizer, const void *item)               \
    {                                                                                              \
        record##_size(sizer, item);                                                                \
    }                                                                                              \
    WBI_GENERATED void wbi_##record##_put(struct wb_writer *writer, const void *item)              \
    {                                                                                              \
        record##_put(writer, item);                                                                \
    }                                                                                              \
    WBI_GENERATED int wbi_##record##_get(struct wb_reader *reader, void *item)                     \
    {                                                                                              \
        return record##_get(reader, item);                                                         \
    }

#define WBI_STREAM_ITEMS(record)                                                                   \
    {                                                                                              \
        .fields = wbi_##record##_fields, .size = wbi_##record##_size, .put = wbi_##record##_put,   \
        .get = wbi_##record##_get, .bytes = sizeof(struct record),                                 \
        .hold = offsetof(struct record, hold), .views = record##_views                             \
    }

#define WBI_STREAM_WAY(kind, way, is_up)                                                           \
    WBI_GENERATED int kind##_##way##_send(struct wb_stream *stream,                                \
                                          const struct kind##_##way *item, uint64_t timeout_us)    \
    {                                                                                              \
        return wb_stream_send(stream, &kind##_stream, is_up, item, timeout_us);                    \
    }                                                                                              \
    WBI_GENERATED int kind##_##way##_next(struct wb_stream *stream, struct kind##_##way *item,     \
                                          uint64_t timeout_us)                                     \
    {                                                                                              \
        return wb_stream_next(stream, &kind##_stream, is_up, item, timeout_us);                    \
    }

#define WB_STREAM(kind, IN, UP, DOWN)                                                              \
    WBI_STREAM_RECORD(kind##_in, IN)                                                               \
    WBI_STREAM_RECORD(kind##_up, UP)                                                               \
    WBI_STREAM_RECORD(kind##_down, DOWN)                                                           \
    WBI_UNUSED static struct wb_stream_type kind##_stream = {                                      \
        .action = {.name = #kind, .in = wbi_##kind##_in_fields, .out = wbi_##kind##_up_fields},    \
        .opening = WBI_STREAM_ITEMS(kind##_in),                                                    \
        .up = WBI_STREAM_ITEMS(kind##_up),                                                         \
        .down = WBI_STREAM_ITEMS(kind##_down)};                                                    \
    typedef int (*kind##_handler)(struct wb_context * context, struct wb_stream * stream,          \
                                  struct kind##_in * in, void *user);                              \
    WBI_GENERATED int kind##_serve(struct wb_context *context, struct wb_request *request,         \
                                   void (*handler)(void), void *user)                              \
    {                                                                                              \
        struct kind##_in in = {0};                                                                 \
        struct wb_stream *stream = NULL;                                                           \
        struct wb_reader *reader = wb_request_open(context, request);                              \
        int status = wb_stream_accept(context, reader, &kind##_stream, &stream);                   \
        if (status != WB_OK) {                                                                     \
            return status;                                                                         \
        }                                                                                          \
        status = kind##_in_get(reader, &in);                                                       \
        if (status == WB_OK) {                                                                     \
            status = ((kind##_handler)handler)(context, stream, &in, user);                        \
        }                                                                                          \
        kind##_in_drop(&in);                                                                       \
        return wb_stream_answer(context, stream, status);                                          \
    }                                                                                              \
    WBI_GENERATED int kind##_register(struct wb_engine *engine, kind##_handler handler,            \
                                      void *user)                                                  \
    {                                                                                              \
        return wb_stream_register(engine, &kind##_stream, kind##_serve, (void (*)(void))handler,   \
                                  user);                                                           \
    }                                                                                              \
    WBI_GENERATED int kind##_open(struct wb_peer *peer, const struct kind##_in *in,                \
                                  const struct wb_stream_options *options,                         \
                                  struct wb_stream **stream)                                       \
    {                                                                                              \
        return wb_stream_open(peer, &kind##_stream, in, options, stream);                          \
    }                                                                                              \
    WBI_STREAM_WAY(kind, up, true)                                                                 \
    WBI_STREAM_WAY(kind, down, false)

#endif
