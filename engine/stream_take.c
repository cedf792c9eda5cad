/* Items, as they come for a stream and as its program takes them. */
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
        status = stream->status != WB_OK ? stream->status : WB_ERR_CANCELLED;
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
    wbi_stream_make_hungry(stream);
}

static int decode(struct wb_stream *stream, const struct wb_stream_items *items,
                  struct wb_stream_item *item, void *value)
{
    struct wbi_lane *lane = stream->lane;
    struct wb_reader reader;
    wb_reader_start(&reader, item->archive, item->archive_len);
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
        pthread_mutex_lock(&stream->lock);
        stream->given_up = true; /* what follows makes no sense without it */
        pthread_mutex_unlock(&stream->lock);
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

static int take_within(struct wb_stream *stream, const struct wb_stream_items *items, void *value,
                       uint64_t timeout_us)
{
    uint64_t start = timeout_us != 0 ? wbi_now() : 0, waited = 0;
    int status = take(stream, items, value);
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
    return status;
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
    wbi_stream_use(stream); /* a `ready` that runs meanwhile may drop it */
    status = take_within(stream, items, value, timeout_us);
    bool says = status == WB_OK || status == WB_AGAIN || status == WB_END ||
                status == WB_ERR_TIMED_OUT || status == WB_ERR_DEADLOCK;
    if (!says) {
        wbi_stream_say_end(stream, status);
    }
    wbi_stream_leave(stream);
    return status;
}
