/* What a stream says: how a message goes as a call, and those that it owes. */
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/stream.h"

/* ---- a message ---- */

void wbi_stream_put_head(struct wb_writer *writer, const struct wbi_stream_head *head)
{
    wb_put_u64(writer, head->stream);
    wb_put_u32(writer, head->what);
    wb_put_u64(writer, head->number);
    wb_put_u64(writer, head->bytes);
}

struct wbi_stream_head wbi_stream_get_head(struct wb_reader *reader)
{
    struct wbi_stream_head head;
    head.stream = wb_get_u64(reader);
    head.what = wb_get_u32(reader);
    head.number = wb_get_u64(reader);
    head.bytes = wb_get_u64(reader);
    return head;
}

/* Strings, byte ranges and the like are copied: nobody waits for on_sent. */
static struct wb_call_options options_of(struct wb_stream *stream,
                                         void (*then)(struct wb_call *, void *))
{
    return (struct wb_call_options){.timeout_us = stream->timeout_us,
                                    .pointer_threshold = SIZE_MAX,
                                    .error = &stream->refusal,
                                    .then = then,
                                    .user = stream};
}

static void text_size(struct wb_sizer *sizer, const void *text)
{
    wb_size_str(sizer, *(const wb_str *)text);
    wb_sizer_finish(sizer);
}

static void text_put(struct wb_writer *writer, const void *text)
{
    wb_put_str(writer, *(const wb_str *)text);
}

static void nothing_size(struct wb_sizer *sizer, const void *nothing)
{
    (void)nothing;
    wb_sizer_finish(sizer);
}

static void nothing_put(struct wb_writer *writer, const void *nothing)
{
    (void)writer;
    (void)nothing;
}

/* What an abort has behind its head, and what other messages have. */
static const struct wb_stream_items of_abort = {.size = text_size, .put = text_put};
static const struct wb_stream_items of_others = {.size = nothing_size, .put = nothing_put};

void wbi_stream_size_message(struct wb_sizer *sizer, struct wb_stream *stream,
                             const struct wb_stream_items *items, const void *value)
{
    struct wb_call_options options = options_of(stream, NULL);
    wb_call_size(sizer, stream->peer, &options);
    wb_size_raw(sizer, WBI_STREAM_HEAD_BYTES);
    items->size(sizer, value);
}

/* The call that carries a message; `then` has a user of the stream's, which is this one's. */
int wbi_stream_say(struct wb_stream *stream, struct wb_action *action,
                   const struct wbi_stream_head *head, const struct wb_stream_items *items,
                   const void *value, void (*then)(struct wb_call *, void *))
{
    struct wb_call_options options = options_of(stream, then);
    bool bounded = head->what == WBI_STREAM_OPEN && stream->deadline_us != 0;
    if (bounded && stream->deadline_us < options.timeout_us) {
        options.timeout_us =
            stream->deadline_us; /* of all; what is to be said at its end has time */
    }
    struct wb_sizer sizer;
    struct wb_writer writer;
    struct wb_call *call;
    wbi_stream_size_message(&sizer, stream, items, value);
    wbi_stream_use(stream);
    int status = wb_call_begin(stream->peer, action, &sizer, &options, &writer);
    if (status == WB_OK) {
        wbi_stream_put_head(&writer, head);
        items->put(&writer, value);
        status = wb_call_commit(&writer, &call);
    }
    if (status != WB_OK) {
        wbi_stream_leave(stream);
    }
    return status;
}

/* How a message's call has ended; *head (or NULL) is its answer. */
int wbi_stream_said(struct wb_call *call, struct wbi_stream_head *head)
{
    struct wb_reader reader;
    struct wb_hold hold = {0};
    int status = wb_call_open(call, &reader);
    if (status == WB_OK && head != NULL) {
        *head = wbi_stream_get_head(&reader);
        status = wb_reader_finish(&reader);
    }
    wb_call_close(call, &hold, false);
    return status;
}

/* A message was not taken: so ends the stream. The other side knows where it has said so itself;
 * where the peer is lost or drained, the end of that is the end of its streams. */
void wbi_stream_fail_by(struct wb_stream *stream, int status)
{
    bool knows = status == WB_ERR_REMOTE || status == WB_ERR_CANCELLED;
    bool lost = status == WB_ERR_PEER_LOST || status == WB_ERR_NOT_SENT || status == WB_ERR_CLOSED;
    bool says = status == WB_ERR_REMOTE;
    wbi_stream_fail(stream, status, says ? stream->refusal.code : 0,
                    says ? stream->refusal.text : NULL, !knows && !lost);
}

/* ---- what is owed ---- */

static void on_room(void *user)
{
    struct wb_stream *stream = user;
    pthread_mutex_lock(&stream->lock);
    stream->waits_control = false;
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}

void wbi_stream_sent_has_ended(struct wb_call *call, void *user)
{
    struct wb_stream *stream = user;
    int status = wbi_stream_said(call, NULL);
    if (status != WB_OK) { /* while it counts: without it nothing has ended in order */
        wbi_stream_fail_by(stream, status);
    }
    pthread_mutex_lock(&stream->lock);
    stream->in_flight--;
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}

/* The other side needs no grants any more once it has finished, and may then be gone. */
static void grant_has_ended(struct wb_call *call, void *user)
{
    struct wb_stream *stream = user;
    int status = wbi_stream_said(call, NULL);
    pthread_mutex_lock(&stream->lock);
    bool matters = stream->total == UINT64_MAX;
    pthread_mutex_unlock(&stream->lock);
    if (status != WB_OK && matters) {
        wbi_stream_fail_by(stream, status);
    }
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}

/* Whether last words may not have arrived: they are said again, which does no harm. What goes with
 * the peer ends with it. */
static bool is_unheard(int status)
{
    return status == WB_ERR_TIMED_OUT || status == WB_ERR_NO_MEMORY;
}

/* `owes`: the stream's word for whether it has still to be said. */
static void last_words_have_ended(struct wb_call *call, struct wb_stream *stream, bool *owes)
{
    bool unheard = is_unheard(wbi_stream_said(call, NULL));
    pthread_mutex_lock(&stream->lock);
    *owes = *owes || unheard;
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_flush(stream);
    wbi_stream_leave(stream);
}

static void abort_has_ended(struct wb_call *call, void *user)
{
    struct wb_stream *stream = user;
    last_words_have_ended(call, stream, &stream->owes_abort);
}

static void withdraw_has_ended(struct wb_call *call, void *user)
{
    struct wb_stream *stream = user;
    last_words_have_ended(call, stream, &stream->owes_withdraw);
}

/* Whether the other side is to hear what has been taken: half of what it may be ahead. So it never
 * waits for a word that does not come, since no item is larger than the other half. */
static bool owes_grant(const struct wb_stream *stream)
{
    uint64_t items = stream->taken - stream->told, bytes = stream->taken_bytes - stream->told_bytes;
    return stream->status == WB_OK && !stream->dropped && stream->total == UINT64_MAX &&
           items > 0 && (items >= (stream->items + 1) / 2 || bytes >= stream->bytes / 2);
}

struct owed {
    struct wbi_stream_head head;
    const struct wb_stream_items *items;
    wb_str text;
    void (*then)(struct wb_call *, void *);
    uint64_t told_before, told_bytes_before;
};

static void pick_abort(struct wb_stream *stream, struct owed *owed)
{
    bool own = stream->status == WB_ERR_CANCELLED && stream->code > 0;
    int status = own ? WB_ERR_REMOTE : stream->status;
    stream->owes_abort = false;
    owed->head.what = WBI_STREAM_ABORT;
    owed->head.number = (uint64_t)stream->code;
    owed->head.bytes = (uint64_t)-status;
    owed->items = &of_abort;
    owed->text = wb_str_of(stream->text); /* which does not change any more */
    owed->then = abort_has_ended;
}

/* Under the lock: the next message that may go; false: there is none. Whoever sends it is one user
 * more. */
static bool pick(struct wb_stream *stream, struct owed *owed)
{
    *owed = (struct owed){.head.stream = stream->their_id,
                          .items = &of_others,
                          .told_before = stream->told,
                          .told_bytes_before = stream->told_bytes};
    if (stream->lane == NULL || stream->waits_control ||
        (!stream->opened && !stream->owes_withdraw)) {
        return false;
    }
    if (stream->owes_withdraw) {
        stream->owes_withdraw = false;
        owed->head = (struct wbi_stream_head){.stream = stream->id, .what = WBI_STREAM_WITHDRAW};
        owed->then = withdraw_has_ended;
    } else if (stream->owes_finish) {
        stream->owes_finish = false;
        stream->in_flight++;
        owed->head.what = WBI_STREAM_FINISH;
        owed->head.number = stream->sent;
        owed->then = wbi_stream_sent_has_ended;
    } else if (owes_grant(stream)) {
        owed->head.what = WBI_STREAM_GRANT;
        owed->head.number = stream->told = stream->taken;
        owed->head.bytes = stream->told_bytes = stream->taken_bytes;
        owed->then = grant_has_ended;
    } else if (stream->owes_abort && (!stream->patient || stream->in_flight == 0)) {
        pick_abort(stream, owed);
    } else {
        return false;
    }
    wbi_stream_use(stream);
    return true;
}

/* Under the lock: it did not go. */
static void put_back(struct wb_stream *stream, const struct owed *owed)
{
    switch (owed->head.what) {
    case WBI_STREAM_WITHDRAW:
        stream->owes_withdraw = true;
        break;
    case WBI_STREAM_FINISH:
        stream->owes_finish = true;
        stream->in_flight--;
        break;
    case WBI_STREAM_GRANT:
        stream->told = owed->told_before;
        stream->told_bytes = owed->told_bytes_before;
        break;
    default:
        stream->owes_abort = true;
        break;
    }
    stream->waits_control = true;
}

/* There was no room for it: whoever makes room calls. */
static int ask_for_room(struct wb_stream *stream, const struct owed *owed)
{
    pthread_mutex_lock(&stream->lock);
    put_back(stream, owed);
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_use(stream);
    int status = wb_peer_on_room(stream->peer, on_room, stream);
    if (status == WB_OK) {
        return WB_OK;
    }
    pthread_mutex_lock(&stream->lock);
    stream->waits_control = false;
    bool starves = status == WB_ERR_NO_MEMORY && !stream->starves && stream->lane != NULL;
    stream->starves = stream->starves || starves;
    pthread_mutex_unlock(&stream->lock);
    if (starves) { /* whoever makes progress looks again; the user stays until then */
        wbi_stream_make_hungry(stream);
    } else {
        wbi_stream_leave(stream);
    }
    return status == WB_ERR_NO_MEMORY ? WB_OK : status;
}

void wbi_stream_flush(struct wb_stream *stream)
{
    struct owed owed;
    int status = WB_OK;
    while (status == WB_OK) {
        pthread_mutex_lock(&stream->lock);
        bool some = pick(stream, &owed);
        pthread_mutex_unlock(&stream->lock);
        if (!some) {
            return;
        }
        const void *value = owed.items == &of_abort ? &owed.text : NULL;
        status =
            wbi_stream_say(stream, &wbi_stream_action, &owed.head, owed.items, value, owed.then);
        bool full = status == WB_AGAIN;
        if (full) {
            status = ask_for_room(stream, &owed);
        }
        if (status != WB_OK) { /* the peer is lost or drained, or memory is gone: nothing goes */
            wbi_stream_fail(stream, status, 0, NULL, false);
        }
        wbi_stream_leave(stream); /* picked */
        if (full) {
            return;
        }
    }
}

void wbi_stream_say_again(struct wb_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool starves = stream->starves;
    stream->starves = false;
    pthread_mutex_unlock(&stream->lock);
    if (starves) {
        wbi_stream_flush(stream);
        wbi_stream_leave(stream);
    }
}
