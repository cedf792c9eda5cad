/* What a stream's program sends: the opening, items, the finish; and the grants that let it. */
#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/stream.h"

/* ---- grants and the end, as they come ---- */

int wbi_stream_take_grant(struct wb_stream *stream, const struct wbi_stream_head *head)
{
    pthread_mutex_lock(&stream->lock);
    bool right = head->number <= stream->sent && head->bytes <= stream->sent_bytes;
    if (right && head->number > stream->granted) {
        stream->granted = head->number;
    }
    if (right && head->bytes > stream->granted_bytes) {
        stream->granted_bytes = head->bytes;
    }
    bool tell = right && stream->wants_room;
    stream->wants_room = stream->wants_room && !tell;
    pthread_mutex_unlock(&stream->lock);
    if (tell) {
        wbi_stream_make_due(stream);
        wbi_engine_notify(stream->lane->engine);
    }
    return right ? WB_OK : WB_ERR_PROTOCOL;
}

/* ---- opening ---- */

static void open_has_ended(struct wb_call *call, void *user)
{
    struct wb_stream *stream = user;
    struct wbi_stream_head head;
    int status = wbi_stream_said(call, &head);
    if (status == WB_OK && (head.what != WBI_STREAM_OPEN || head.number == 0 || head.bytes == 0)) {
        status = WB_ERR_PROTOCOL;
    }
    /* where the answer did not come, or is none, there may be a stream on the other side */
    bool unknown = status == WB_ERR_TIMED_OUT || status == WB_ERR_CANCELLED ||
                   status == WB_ERR_PROTOCOL || status == WB_ERR_MALFORMED;
    bool says = status == WB_ERR_REMOTE;
    const char *text = says ? stream->refusal.text : NULL;
    pthread_mutex_lock(&stream->lock);
    if (status == WB_OK && stream->lost != WB_OK) {
        status = stream->lost;
        text = stream->lost_reason;
    }
    if (status == WB_OK) {
        stream->opened = true;
        stream->their_id = head.stream;
        stream->their_items = head.number;
        stream->their_bytes = head.bytes;
    }
    stream->wants_room = false;
    pthread_mutex_unlock(&stream->lock);
    if (status != WB_OK) {
        wbi_stream_fail(stream, status, says ? stream->refusal.code : 0, text, false);
        pthread_mutex_lock(&stream->lock); /* behind it: a finish that is owed is not in order */
        stream->owes_abort = stream->owes_finish = false;
        stream->owes_withdraw = unknown;
        pthread_mutex_unlock(&stream->lock);
    } else {
        wbi_stream_make_due(stream);
        wbi_engine_notify(stream->lane->engine);
    }
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}

static void set_deadline(struct wb_stream *stream, uint64_t deadline_us)
{
    stream->deadline_us = deadline_us;
    stream->peer->timed_streams += deadline_us != 0 ? 1 : 0;
}

int wb_stream_open(struct wb_peer *peer, struct wb_stream_type *type, const void *in,
                   const struct wb_stream_options *options, struct wb_stream **out)
{
    struct wbi_lane *lane = peer->lane;
    struct wb_stream *stream = NULL;
    int status = wbi_engine_check_process(lane->engine);
    if (status != WB_OK) {
        return status;
    }
    wbi_stream_prepare(type);
    enum wbi_entry_kind entry = wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY) {
        return wbi_lane_say_busy(peer->url);
    }
    status = wbi_stream_make(peer, type, true, &stream);
    if (status == WB_OK && options != NULL) {
        stream->timeout_us = options->timeout_us != 0 ? options->timeout_us : stream->timeout_us;
        stream->ready = options->ready;
        stream->user = options->user;
        set_deadline(stream, options->deadline_us);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    if (status != WB_OK) {
        return status;
    }
    struct wbi_stream_head head = {
        .stream = stream->id, .number = stream->items, .bytes = stream->bytes};
    status = wbi_stream_say(stream, &type->action, &head, &type->opening, in, open_has_ended);
    if (status == WB_OK) {
        *out = stream;
    } else {
        wbi_stream_discard(stream, status);
    }
    return status;
}

/* ---- items ---- */

/* What an item counts as: at least what it takes at the other side. Where a chunk is taken out of
 * the archive, the gaps before it and behind it may grow, by less than a chunk's 64 bytes each. */
static uint64_t weigh(struct wb_stream *stream, const struct wb_stream_items *items,
                      const void *item)
{
    struct wb_sizer packed, sent;
    wb_sizer_start(
        &packed, (struct wb_thresholds){.pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX});
    wb_size_raw(&packed, WBI_STREAM_HEAD_BYTES);
    items->size(&packed, item);
    wbi_stream_size_message(&sent, stream, items, item);
    return packed.bytes > PTRDIFF_MAX
               ? UINT64_MAX
               : packed.bytes + (uint64_t)sent.offered * 3 * WBI_STREAM_CHUNK_BYTES;
}

static bool has_room(const struct wb_stream *stream, uint64_t weight)
{
    return stream->opened && !stream->waits_message &&
           stream->sent - stream->granted < stream->their_items &&
           weight <= stream->their_bytes - (stream->sent_bytes - stream->granted_bytes);
}

/* Takes a number for an item. */
static int reserve(struct wb_stream *stream, uint64_t weight, struct wbi_stream_head *head)
{
    int status = WB_OK;
    pthread_mutex_lock(&stream->lock);
    if (stream->status != WB_OK) {
        status = stream->status;
    } else if (stream->finished) {
        status = WB_ERR_INVALID;
    } else if (stream->opened && weight > stream->their_bytes / 2) {
        status = WB_ERR_BUDGET;
    } else if (!has_room(stream, weight)) {
        stream->wants_room = true;
        status = WB_AGAIN;
    } else {
        *head = (struct wbi_stream_head){.stream = stream->their_id,
                                         .what = WBI_STREAM_ITEM,
                                         .number = stream->sent,
                                         .bytes = weight};
        stream->sent++;
        stream->sent_bytes += weight;
        stream->in_flight++;
    }
    bool ended = stream->status != WB_OK;
    pthread_mutex_unlock(&stream->lock);
    switch (status) {
    case WB_OK:
        return WB_OK;
    case WB_AGAIN:
        return wbi_error(status, "stream %s: the other side takes no more ahead",
                         stream->type->action.name);
    default:
        return ended ? wbi_stream_say_end(stream, status)
                     : wbi_error(status, "stream %s: %s", stream->type->action.name,
                                 status == WB_ERR_BUDGET
                                     ? "an item is larger than half of what the other side takes"
                                     : "it is finished, nothing is sent any more");
    }
}

static void on_message_room(void *user)
{
    struct wb_stream *stream = user;
    pthread_mutex_lock(&stream->lock);
    stream->waits_message = false;
    stream->wants_room = false;
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_make_due(stream);
    wbi_engine_notify(stream->lane->engine);
    wbi_stream_leave(stream);
}

/* An item found no room for its call: it was not sent, and waits for that. */
static int unreserve(struct wb_stream *stream, uint64_t weight, int status)
{
    bool waits = status == WB_AGAIN;
    pthread_mutex_lock(&stream->lock);
    stream->sent--;
    stream->sent_bytes -= weight;
    stream->in_flight--;
    stream->waits_message = waits;
    stream->wants_room = waits;
    pthread_mutex_unlock(&stream->lock);
    if (!waits) {
        return status;
    }
    wbi_stream_use(stream);
    int asked = wb_peer_on_room(stream->peer, on_message_room, stream);
    if (asked != WB_OK) {
        pthread_mutex_lock(&stream->lock);
        stream->waits_message = false;
        pthread_mutex_unlock(&stream->lock);
        wbi_stream_leave(stream);
    }
    return asked == WB_OK ? WB_AGAIN : asked;
}

static int send_item(struct wb_stream *stream, const struct wb_stream_items *items,
                     const void *item, uint64_t weight)
{
    struct wbi_stream_head head;
    int status = reserve(stream, weight, &head);
    if (status != WB_OK) {
        return status;
    }
    status =
        wbi_stream_say(stream, &wbi_stream_action, &head, items, item, wbi_stream_sent_has_ended);
    return status == WB_OK ? WB_OK : unreserve(stream, weight, status);
}

struct wish {
    struct wb_stream *stream;
    uint64_t weight;
};

static bool may_send(void *context)
{
    const struct wish *wish = context;
    struct wb_stream *stream = wish->stream;
    pthread_mutex_lock(&stream->lock);
    bool may = stream->status != WB_OK || has_room(stream, wish->weight) ||
               (stream->opened && wish->weight > stream->their_bytes / 2);
    pthread_mutex_unlock(&stream->lock);
    return may;
}

static int send_within(struct wb_stream *stream, const struct wb_stream_items *items,
                       const void *item, uint64_t timeout_us)
{
    struct wish wish = {.stream = stream, .weight = weigh(stream, items, item)};
    uint64_t start = timeout_us != 0 ? wbi_now() : 0, waited = 0;
    int status = send_item(stream, items, item, wish.weight);
    while (status == WB_AGAIN && timeout_us != 0) {
        status = wbi_await(stream->lane->engine, may_send, &wish, timeout_us - waited);
        waited = wbi_now() - start;
        if (status == WB_OK) {
            status = send_item(stream, items, item, wish.weight);
        }
        if (status == WB_AGAIN && waited >= timeout_us) {
            status = wbi_error(WB_ERR_TIMED_OUT, "no room for the item within its time");
        }
    }
    return status;
}

int wb_stream_send(struct wb_stream *stream, struct wb_stream_type *type, bool up, const void *item,
                   uint64_t timeout_us)
{
    int status = wbi_stream_check(stream, type, up == stream->opener);
    if (status != WB_OK) {
        return status;
    }
    status = wb_stream_status(stream, NULL);
    if (status != WB_OK) {
        return wbi_stream_say_end(stream, status);
    }
    wbi_stream_use(stream); /* a `ready` that runs meanwhile may drop it */
    status = send_within(stream, up ? &type->up : &type->down, item, timeout_us);
    wbi_stream_leave(stream);
    return status;
}

int wb_stream_finish(struct wb_stream *stream)
{
    int status = wbi_stream_check(stream, stream->type, true);
    if (status != WB_OK) {
        return status;
    }
    wbi_stream_use(stream);
    pthread_mutex_lock(&stream->lock);
    status = stream->status;
    if (status == WB_OK && !stream->finished) {
        stream->finished = stream->owes_finish = true;
    }
    pthread_mutex_unlock(&stream->lock);
    if (status == WB_OK) {
        wbi_stream_flush(stream);
    } else {
        wbi_stream_say_end(stream, status);
    }
    wbi_stream_leave(stream);
    return status;
}
