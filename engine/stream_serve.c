/* What comes for a stream: openings and messages, and how they are answered. */
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"
#include "engine/stream.h"
#include "serial/hash.h"

/* ---- types ---- */

static const struct wb_field head_fields[] = {WBI_STREAM_HEAD(WBI_FIELD) WBI_FIELD_END};

struct wb_action wbi_stream_action = {.name = "a stream's", .in = head_fields, .out = head_fields};

/* Three lists make the signature: who agrees on the opening agrees on all items. */
void wbi_stream_prepare(struct wb_stream_type *type)
{
    struct wb_action *action = &type->action;
    if (atomic_load_explicit(&action->id, memory_order_acquire) != 0) {
        return;
    }
    uint64_t both = wbi_hash_signature(type->opening.fields, type->up.fields);
    uint64_t down = wbi_hash_signature(type->down.fields, head_fields);
    uint64_t all = both * 31 + down;
    atomic_store_explicit(&action->signature, all != 0 ? all : 1, memory_order_relaxed);
    atomic_store_explicit(&action->id, wbi_hash_name(action->name), memory_order_release);
}

int wb_stream_register(struct wb_engine *engine, struct wb_stream_type *type, wb_serve_fn serve,
                       void (*handler)(void), void *user)
{
    wbi_stream_prepare(type);
    return wb_action_register(engine, &type->action, serve, handler, user, NULL);
}

/* ---- messages ---- */

/* What an aborting side may say; other statuses are its own business. */
static int abort_status(uint64_t said, int code)
{
    static const int known[] = {WB_ERR_NO_MEMORY, WB_ERR_BUDGET,    WB_ERR_TIMED_OUT,
                                WB_ERR_BUSY,      WB_ERR_MALFORMED, WB_ERR_PROTOCOL};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (said == (uint64_t)-known[i]) {
            return known[i];
        }
    }
    return code > 0 ? WB_ERR_REMOTE : WB_ERR_CANCELLED;
}

static int take_abort(struct wb_stream *stream, const struct wbi_stream_head *head,
                      struct wb_reader *reader)
{
    wb_str said = wb_get_str(reader);
    int status = wb_reader_finish(reader);
    if (status != WB_OK) {
        return status;
    }
    char text[sizeof stream->text];
    size_t len = said.len < sizeof text - 1 ? said.len : sizeof text - 1;
    memcpy(text, len > 0 ? said.data : "", len);
    text[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            text[i] = ' '; /* a peer's text goes to terminals and logs */
        }
    }
    int code = head->number <= INT32_MAX ? (int)head->number : 1;
    wbi_stream_fail(stream, abort_status(head->bytes, code), code, text, false);
    return WB_OK;
}

/* Of a stream that has ended here: who sends on is told how; what else comes is old news. Where
 * what was sent is to arrive first, the abort tells: an answer would overtake it. */
static int say_ended(struct wb_stream *stream, struct wb_context *context,
                     const struct wbi_stream_head *head)
{
    pthread_mutex_lock(&stream->lock);
    bool later =
        stream->dropped && stream->patient && (stream->owes_abort || stream->in_flight > 0);
    pthread_mutex_unlock(&stream->lock);
    if (head->what != WBI_STREAM_ITEM || later) {
        return WB_OK;
    }
    bool own = stream->status == WB_ERR_CANCELLED && stream->code > 0;
    return own ? wb_context_fail(context, stream->code, "%s", stream->text) : WB_ERR_CANCELLED;
}

static int take_message(struct wb_stream *stream, struct wb_context *context,
                        struct wb_reader *reader, const struct wbi_stream_head *head)
{
    pthread_mutex_lock(&stream->lock);
    bool ended = stream->status != WB_OK || stream->dropped;
    pthread_mutex_unlock(&stream->lock);
    if (ended) {
        return say_ended(stream, context, head);
    }
    int status = WB_ERR_PROTOCOL;
    switch (head->what) {
    case WBI_STREAM_ITEM:
        status = wbi_stream_take_item(stream, context, head);
        break;
    case WBI_STREAM_GRANT:
        status = wbi_stream_take_grant(stream, head);
        break;
    case WBI_STREAM_FINISH:
        status = wbi_stream_take_finish(stream, head);
        break;
    case WBI_STREAM_ABORT:
        return take_abort(stream, head, reader);
    default:
        break;
    }
    if (status != WB_OK) { /* whose answer ends it over there, too */
        wbi_stream_fail(stream, status, 0, NULL, true);
        wbi_stream_flush(stream);
    }
    return status == WB_ERR_PROTOCOL ? WB_ERR_INVALID : status;
}

int wbi_stream_reply(struct wb_context *context, const struct wbi_stream_head *head)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    if (!wb_reply_wanted(context)) {
        return WB_OK;
    }
    wb_reply_size(&sizer, context);
    wb_size_raw(&sizer, head != NULL ? WBI_STREAM_HEAD_BYTES : 0);
    wb_sizer_finish(&sizer);
    int status = wb_reply_begin(context, &sizer, &writer);
    if (status == WB_OK) {
        if (head != NULL) {
            wbi_stream_put_head(&writer, head);
        }
        status = wb_reply_commit(context, &writer);
    }
    return status;
}

static int serve_message(struct wb_context *context, struct wb_request *request,
                         void (*handler)(void), void *user)
{
    struct wb_peer *peer = context->peer;
    struct wb_reader *reader = wb_request_open(context, request);
    struct wbi_stream_head head = wbi_stream_get_head(reader);
    int status = reader->status;
    (void)handler;
    (void)user;
    if (status == WB_OK && head.what == WBI_STREAM_WITHDRAW) {
        wbi_stream_withdraw(peer, head.stream);
    } else if (status == WB_OK) {
        struct wb_stream *stream = wbi_stream_find(peer->lane, head.stream, peer);
        status = stream != NULL ? take_message(stream, context, reader, &head) : WB_ERR_CANCELLED;
    }
    return status == WB_OK ? wbi_stream_reply(context, NULL) : status;
}

static void no_handler(void) {}

int wbi_streams_register(struct wb_engine *engine)
{
    return wb_action_register(engine, &wbi_stream_action, serve_message, no_handler, engine, NULL);
}

/* ---- the side that serves ---- */

int wb_stream_accept(struct wb_context *context, struct wb_reader *reader,
                     struct wb_stream_type *type, struct wb_stream **out)
{
    struct wbi_stream_head head = wbi_stream_get_head(reader);
    if (reader->status != WB_OK) {
        return reader->status;
    }
    if (head.what != WBI_STREAM_OPEN || head.number == 0 || head.bytes == 0) {
        return WB_ERR_INVALID;
    }
    if (wbi_peer_is_draining(context->peer)) { /* it has waited for its landings since before */
        return WB_ERR_NOT_SENT;
    }
    struct wb_stream *stream;
    int status = wbi_stream_make(context->peer, type, false, &stream);
    if (status != WB_OK) {
        return status;
    }
    stream->opened = true;
    stream->their_id = head.stream;
    stream->their_items = head.number;
    stream->their_bytes = head.bytes;
    wbi_stream_use(stream); /* until it is answered */
    *out = stream;
    return WB_OK;
}

int wb_stream_answer(struct wb_context *context, struct wb_stream *stream, int status)
{
    if (status == WB_OK) {
        struct wbi_stream_head head = {
            .stream = stream->id, .number = stream->items, .bytes = stream->bytes};
        status = wbi_stream_reply(context, &head);
        if (status != WB_OK) { /* it is the program's already */
            wbi_stream_fail(stream, status, 0, NULL, false);
        }
    } else if (!wbi_stream_is_dropped(stream)) { /* the handler may have, and fail then */
        wbi_stream_discard(stream, status < 0 ? status : WB_ERR_REMOTE);
    }
    wbi_stream_leave(stream);
    return status;
}
