/* What comes for a stream: messages, and how the program takes the items. */
#include <stdlib.h>
#include <string.h>
#include <waybill/print.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"
#include "engine/stream.h"
#include "mr_cache/allocator.h"
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

/* ---- items ---- */

static void free_item(struct wb_stream_item *item)
{
    for (uint32_t i = 0; i < item->landing_count; i++) {
        wbi_rma_block_unref(item->landings[i].block);
    }
    if (item->backing != NULL) {
        wbi_rma_block_unref(item->backing);
    }
    free(item->landings);
    free(item->copy);
    free(item);
}

void wbi_stream_free_items(struct wb_stream_item *items)
{
    while (items != NULL) {
        struct wb_stream_item *next = items->next;
        free_item(items);
        items = next;
    }
}

static bool copy_landings(struct wb_stream_item *item, const struct wbi_inbound *in)
{
    if (in->chunk_count == 0) {
        return true;
    }
    item->landings = calloc(in->chunk_count, sizeof *item->landings);
    if (item->landings == NULL) {
        return false;
    }
    memcpy(item->landings, in->landings, in->chunk_count * sizeof *item->landings);
    for (item->landing_count = 0; item->landing_count < in->chunk_count; item->landing_count++) {
        wbi_rma_block_ref(item->landings[item->landing_count].block);
    }
    return true;
}

/* The item of a request, apart from its message. NULL: no memory. */
static struct wb_stream_item *keep_item(const struct wb_context *context)
{
    const struct wbi_inbound *in = context->in;
    struct wb_stream_item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return NULL;
    }
    item->archive = in != NULL ? in->archive : context->slot + context->archive_at;
    item->archive_len = in != NULL ? in->archive_len : context->len - context->archive_at;
    if (in != NULL && in->archive_part.block != NULL) {
        item->backing = wbi_rma_block_ref(in->archive_part.block);
    } else {
        item->copy = malloc(item->archive_len);
        if (item->copy != NULL) {
            item->archive = memcpy(item->copy, item->archive, item->archive_len);
        }
    }
    bool whole =
        (item->backing != NULL || item->copy != NULL) && (in == NULL || copy_landings(item, in));
    if (!whole) {
        free_item(item);
        return NULL;
    }
    return item;
}

/* What it takes here. */
static uint64_t size_of(const struct wb_stream_item *item)
{
    uint64_t bytes = item->archive_len;
    for (uint32_t i = 0; i < item->landing_count; i++) {
        bytes += item->landings[i].len + WBI_STREAM_CHUNK_BYTES; /* all of it lies in the pool */
    }
    return bytes;
}

/* Under the lock: whether the other side may send this now. */
static bool is_expected(const struct wb_stream *stream, const struct wbi_stream_head *head)
{
    uint64_t held = stream->arrived_bytes - stream->taken_bytes;
    return head->number >= stream->next && head->number - stream->taken < stream->items &&
           head->number < stream->total && stream->ring[head->number % stream->items] == NULL &&
           head->bytes <= stream->bytes - held;
}

int wbi_stream_take_item(struct wb_stream *stream, struct wb_context *context,
                         const struct wbi_stream_head *head)
{
    struct wb_stream_item *item = keep_item(context);
    if (item == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    item->weight = head->bytes;
    pthread_mutex_lock(&stream->lock);
    bool expected =
        stream->status == WB_OK && size_of(item) <= item->weight && is_expected(stream, head);
    bool next = expected && head->number == stream->next;
    if (expected) {
        stream->ring[head->number % stream->items] = item;
        stream->arrived++;
        stream->arrived_bytes += item->weight;
        stream->top = head->number >= stream->top ? head->number + 1 : stream->top;
    }
    pthread_mutex_unlock(&stream->lock);
    if (!expected) {
        free_item(item);
        return WB_ERR_PROTOCOL;
    }
    if (next) {
        wbi_stream_make_due(stream);
        wbi_engine_notify(stream->lane->engine);
    }
    return WB_OK;
}

int wbi_stream_take_finish(struct wb_stream *stream, const struct wbi_stream_head *head)
{
    pthread_mutex_lock(&stream->lock);
    bool right =
        stream->total == UINT64_MAX && head->number >= stream->top && head->number != UINT64_MAX;
    if (right) {
        stream->total = head->number;
    }
    bool tell = right && stream->next == stream->total;
    pthread_mutex_unlock(&stream->lock);
    if (tell) {
        wbi_stream_make_due(stream);
        wbi_engine_notify(stream->lane->engine);
    }
    return right ? WB_OK : WB_ERR_PROTOCOL;
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

/* Of a stream that has ended here: who sends on is told how; what else comes is old news. */
static int say_ended(struct wb_stream *stream, struct wb_context *context,
                     const struct wbi_stream_head *head)
{
    if (head->what != WBI_STREAM_ITEM) {
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

static int serve_message(struct wb_context *context, struct wb_reader *reader,
                         void (*handler)(void), void *user)
{
    struct wb_peer *peer = context->peer;
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
    struct wb_stream *stream;
    int status = wbi_stream_make(context->peer, type, false, &stream);
    if (status != WB_OK) {
        return status;
    }
    stream->opened = true;
    stream->their_id = head.stream;
    stream->their_items = head.number;
    stream->their_bytes = head.bytes;
    atomic_fetch_add(&stream->users, 1); /* until it is answered */
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
    } else {
        wbi_stream_discard(stream, status < 0 ? status : WB_ERR_REMOTE);
    }
    wbi_stream_leave(stream);
    return status;
}

/* ---- taking ---- */

static void give_back(struct wb_stream *stream, uint64_t weight)
{
    pthread_mutex_lock(&stream->lock);
    stream->taken++;
    stream->taken_bytes += weight;
    pthread_mutex_unlock(&stream->lock);
    wbi_stream_flush(stream);
}

void wbi_stream_item_end(struct wb_stream_item *item)
{
    struct wb_stream *stream = item->stream;
    uint64_t weight = item->weight;
    free_item(item);
    give_back(stream, weight);
    wbi_stream_unref(stream);
}

/* Takes the next item out of the ring; or says why there is none. */
static int take_out(struct wb_stream *stream, struct wb_stream_item **item)
{
    int status = WB_OK;
    pthread_mutex_lock(&stream->lock);
    struct wb_stream_item **place = &stream->ring[stream->next % stream->items];
    if (stream->given_up) {
        status = stream->status;
    } else if (*place != NULL) {
        *item = *place;
        *place = NULL;
        stream->next++;
    } else if (stream->next == stream->total) {
        status = WB_END;
    } else {
        status = stream->status != WB_OK ? stream->status : WB_AGAIN;
    }
    pthread_mutex_unlock(&stream->lock);
    return status;
}

/* It could not be decoded for want of memory: the next one to be taken is this, unless the stream
 * has ended meanwhile. Whoever makes progress looks again. */
static void put_back(struct wb_stream *stream, struct wb_stream_item *item)
{
    pthread_mutex_lock(&stream->lock);
    bool stays = !stream->given_up && (stream->status == WB_OK || stream->arrived == stream->total);
    stream->next--;
    if (stays) {
        stream->ring[stream->next % stream->items] = item;
    }
    pthread_mutex_unlock(&stream->lock);
    if (!stays) {
        free_item(item);
    }
    if (!atomic_exchange(&stream->hungry, true)) {
        atomic_fetch_add(&stream->lane->streams.hungry, 1);
        wbi_rooms_want_turn(stream->lane);
    }
}

static int decode(struct wb_stream *stream, const struct wb_stream_items *items,
                  struct wb_stream_item *item, void *value)
{
    struct wbi_lane *lane = stream->lane;
    struct wb_reader reader = wb_reader_of(item->archive, item->archive_len);
    wbi_config_limit(&lane->engine->config, &reader);
    reader.landings = item->landings;
    reader.landing_count = item->landing_count;
    reader.backing = item->backing;
    reader.make_vector = wbi_make_vector;
    reader.context = lane;
    wbi_stream_get_head(&reader);
    int status = items->get(&reader, value);
    if (status != WB_OK && status != WB_AGAIN) {
        char fault[120];
        wb_reader_find_fault(&reader, items->fields, fault, sizeof fault);
        wbi_stream_fail(stream, status, 0, fault, true);
        wbi_stream_flush(stream);
    }
    return status;
}

static int take(struct wb_stream *stream, const struct wb_stream_items *items, void *value)
{
    struct wb_stream_item *item = NULL;
    int status = take_out(stream, &item);
    if (item == NULL) {
        return status;
    }
    status = decode(stream, items, item, value);
    if (status == WB_AGAIN) {
        put_back(stream, item);
        return WB_AGAIN;
    }
    if (status != WB_OK) {
        free_item(item);
        return status;
    }
    item->stream = stream;
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    if (items->views) {
        struct wb_hold *hold = (struct wb_hold *)((char *)value + items->hold);
        hold->item = item;
    } else {
        wbi_stream_item_end(item);
    }
    return WB_OK;
}

static bool may_take(void *context)
{
    struct wb_stream *stream = context;
    pthread_mutex_lock(&stream->lock);
    bool may =
        stream->status != WB_OK || stream->next == stream->total ||
        (stream->ring[stream->next % stream->items] != NULL && !atomic_load(&stream->hungry));
    pthread_mutex_unlock(&stream->lock);
    return may;
}

int wb_stream_next(struct wb_stream *stream, struct wb_stream_type *type, bool up, void *value,
                   uint64_t timeout_us)
{
    const struct wb_stream_items *items = up ? &type->up : &type->down;
    memset(value, 0, items->bytes);
    int status = wbi_stream_check(stream, type, up != stream->opener);
    if (status != WB_OK) {
        return status;
    }
    uint64_t start = timeout_us != 0 ? wbi_now() : 0, waited = 0;
    status = take(stream, items, value);
    while (status == WB_AGAIN && timeout_us != 0) {
        status = wbi_await(stream->lane->engine, may_take, stream, timeout_us - waited);
        waited = wbi_now() - start;
        if (status == WB_OK) {
            status = take(stream, items, value);
        }
        if (status == WB_AGAIN && waited >= timeout_us) {
            status = wbi_error(WB_ERR_TIMED_OUT, "no item within the time");
        }
    }
    bool says = status == WB_OK || status == WB_AGAIN || status == WB_END ||
                status == WB_ERR_TIMED_OUT || status == WB_ERR_DEADLOCK;
    return says ? status : wbi_stream_say_end(stream, status);
}
