/* The steps of a reply, for the generated server stubs. None of them answers WB_AGAIN: the handler
 * has run. */
#include "engine/defer.h"
#include "engine/draft.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"
#include "engine/serve.h"
#include "engine/straight.h"
#include "engine/thresholds.h"

bool wb_reply_wanted(struct wb_context *context)
{
    if (context->deferred != NULL) {
        return false; /* it will come by itself */
    }
    if ((context->header->flags & WBI_FLAG_ONE_WAY) == 0) {
        return true;
    }
    context->replied = true; /* the handler has run, and that is all */
    if (context->later == NULL) {
        context->peer->in_hand = 0;
        wbi_peer_busy(context->peer); /* no answer takes the credit along */
    }
    return false;
}

void wb_reply_size(struct wb_sizer *sizer, const struct wb_context *context)
{
    const struct wbi_header *header = context->header;
    bool chunks = (header->flags & WBI_FLAG_COPY) == 0 && header->reply_room > 0;
    const struct wbi_lane *lane = context->peer->lane;
    const struct wb_engine_config *config = &lane->engine->config;
    /* strings, byte ranges and views are the handler's and end with it: they are always copied */
    struct wb_thresholds thresholds = {.pointer = SIZE_MAX,
                                       .rma = chunks ? config->rma_threshold : SIZE_MAX,
                                       .pointer_mask = lane->caps->read_align - 1,
                                       .buffer = chunks ? wbi_pointer_threshold(config, 0, false)
                                                        : SIZE_MAX};
    wb_sizer_start(sizer, thresholds);
}

/* Bytes that chunks take at the caller. */
static uint64_t chunks_room(const struct wb_chunk *chunks, uint32_t count, uint32_t align)
{
    uint64_t room = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (chunks[i].kind != WB_CHUNK_INDEX) {
            room += wbi_landing_bytes(chunks[i].len + wbi_chunk_head(&chunks[i], align) +
                                      wbi_chunk_tail(&chunks[i], align));
        }
    }
    return room;
}

/* ---- its place, at once or by a draft ---- */

/* Of a deferred call: into the fabric's slot where nobody else holds the lane, which then stays
 * entered until commit. */
static int place_later(struct wb_context *context, const struct wb_sizer *sizer,
                       struct wb_writer *writer)
{
    struct wbi_outgoing *out = &context->out;
    bool in_lane = wbi_deferred_enter(context);
    int status = wb_deferred_status(context->later); /* which does not change while we are in */
    if (status == WB_OK) {
        status = wbi_outgoing_place(out, sizer, in_lane, writer);
    } else {
        wbi_outgoing_abandon(out);
    }
    if (status != WB_OK || out->parcel != NULL) {
        wbi_deferred_leave(context);
    }
    return status;
}

/* Lays the message out and finds its place. Growing here stalls the lane, and plain memory is
 * registered for this reply alone: better than to lose what the handler has done. */
static int place(struct wb_context *context, const struct wb_sizer *sizer, struct wb_writer *writer)
{
    struct wbi_outgoing *out = &context->out;
    int status = wbi_outgoing_prepare(out, sizer, true);
    if (status == WB_OK && !out->plan.long_archive) {
        *context->reply_block = out->long_block;
        out->long_block = NULL;
    }
    if (status == WB_OK) {
        status = context->later != NULL ? place_later(context, sizer, writer)
                                        : wbi_outgoing_place(out, sizer, true, writer);
    }
    return status == WB_AGAIN ? WB_ERR_BUDGET : status;
}

/* As begin, into a draft, where the archive is to be filtered. False: it is not, or there is no
 * memory. */
static bool begin_draft(const struct wb_context *context, const struct wb_sizer *sizer,
                        struct wb_writer *writer)
{
    const struct wb_peer *peer = context->peer;
    size_t filter_from = atomic_load_explicit(&peer->filter_from, memory_order_relaxed);
    struct wbi_draft *draft = sizer->bytes >= filter_from ? wbi_draft_open(sizer, writer) : NULL;
    if (draft == NULL) {
        return false;
    }
    writer->owner = draft;
    return true;
}

/* Whether the caller has room for the plain archive beside all that it may have to fetch. */
static bool is_roomy(const struct wb_context *context, const struct wbi_draft *draft)
{
    const struct wb_peer *peer = context->peer;
    uint32_t eager = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    uint32_t records = draft->sizer.records;
    size_t list = (size_t)records * WBI_CHUNK_RECORD_MAX;
    size_t around = WBI_REPLY_BYTES + WBI_ID_BYTES + list;
    uint64_t room = wbi_landing_bytes(draft->plain_bytes) +
                    chunks_room(draft->chunks, records, peer->lane->caps->read_align);
    if (draft->sizer.bytes > eager || around > eager - draft->sizer.bytes) {
        room += wbi_landing_bytes(draft->sizer.bytes) + wbi_landing_bytes(list);
    }
    return room <= context->header->reply_room;
}

/* The draft is written: it gets its place. */
static int place_draft(struct wb_context *context, struct wb_writer *writer)
{
    struct wbi_draft *draft = writer->owner;
    int status = wbi_draft_close(draft, writer);
    if (status != WB_OK) {
        wbi_error(status, "%s: a result changed while it was being packed", context->peer->url);
        wbi_outgoing_abandon(&context->out);
    } else if (!is_roomy(context, draft)) {
        wbi_draft_leave_plain(draft);
    }
    status = status == WB_OK ? place(context, &draft->sizer, writer) : status;
    if (status == WB_OK) {
        wbi_draft_pour(draft, &context->out, writer);
    }
    wbi_draft_free(draft);
    return status;
}

/* Straight into the fabric's slot, where it is the handler's own and nothing but the result is to
 * be sent. The message has its header then; NULL: it takes the long way. */
static inline __attribute__((always_inline)) uint8_t *
place_straight(const struct wb_context *context, size_t archive_bytes)
{
    if (context->later != NULL || *context->reply_block != NULL ||
        !wbi_straight_suits(context->peer, WBI_REPLY, false, archive_bytes)) {
        return NULL;
    }
    uint8_t *message = wbi_straight_place(context->peer, WBI_REPLY, archive_bytes);
    if (message != NULL) {
        const struct wbi_header header = {.kind = WBI_REPLY, .call_id = context->header->call_id};
        wbi_header_encode(&header, message);
    }
    return message;
}

/* Its archive is written, too. */
static inline __attribute__((always_inline)) void
send_straight(struct wb_context *context, uint8_t *message, size_t archive_bytes)
{
    struct wb_peer *peer = context->peer;
    context->replied = true;
    peer->in_hand = 0;
    wbi_straight_send(peer, WBI_REPLY, message, archive_bytes);
    wbi_probe_reply(peer, context->header->call_id, archive_bytes + WBI_REPLY_BYTES);
}

/* As begin, of one that does not go straight. */
static __attribute__((noinline)) int
begin_otherwise(struct wb_context *context, const struct wb_sizer *sizer, struct wb_writer *writer)
{
    const struct wbi_header *request = context->header;
    struct wb_peer *peer = context->peer;
    uint32_t eager = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    bool roomy = sizer->bytes <= request->reply_room;
    if (!roomy && sizer->bytes > eager) {
        return wbi_error(WB_ERR_REPLY_TOO_LARGE,
                         "%s: a result of %zu bytes, for which %llu were reserved", peer->url,
                         sizer->bytes, (unsigned long long)request->reply_room);
    }
    context->out = (struct wbi_outgoing){.peer = peer,
                                         .header = {.kind = WBI_REPLY, .call_id = request->call_id},
                                         .long_block = *context->reply_block};
    *context->reply_block = NULL;
    /* what cannot be undone in the caller's room is not filtered */
    if (roomy && begin_draft(context, sizer, writer)) {
        return WB_OK;
    }
    return place(context, sizer, writer);
}

int wb_reply_begin(struct wb_context *context, const struct wb_sizer *sizer,
                   struct wb_writer *writer)
{
    uint8_t *message = sizer->records == 0 ? place_straight(context, sizer->bytes) : NULL;
    if (message == NULL) {
        return begin_otherwise(context, sizer, writer);
    }
    context->straight = true;
    wbi_straight_write(message, WBI_REPLY, sizer->bytes, writer);
    return WB_OK;
}

/* ---- its end ---- */

/* Bytes that the caller must have reserved for what it will have to fetch. */
static uint64_t room_needed(const struct wbi_outgoing *out)
{
    uint64_t room = out->plan.long_list ? wbi_landing_bytes(out->plan.list_bytes) : 0;
    if (out->set != NULL) {
        room +=
            chunks_room(out->set->chunks, out->set->chunk_count, out->peer->lane->caps->read_align);
    }
    return room;
}

static __attribute__((noinline)) int commit_otherwise(struct wb_context *context,
                                                      struct wb_writer *writer)
{
    struct wbi_outgoing *out = &context->out;
    int status = WB_OK;
    if (writer->owner != NULL) {
        status = place_draft(context, writer);
        if (status != WB_OK) {
            return status;
        }
    }
    status = wbi_outgoing_written(out, writer);
    uint64_t room = status == WB_OK ? room_needed(out) : 0;
    if (room > context->header->reply_room) {
        status =
            wbi_error(WB_ERR_REPLY_TOO_LARGE,
                      "%s: a result of %llu bytes, for which %llu were reserved", out->peer->url,
                      (unsigned long long)room, (unsigned long long)context->header->reply_room);
    }
    if (status != WB_OK) {
        wbi_outgoing_abandon(out);
        wbi_deferred_leave(context);
        return status;
    }
    if (out->set != NULL) {
        out->set->lifetime_us = context->header->deadline_us;
    }
    context->replied = true;
    if (context->later == NULL) {
        context->peer->in_hand = 0;
        wbi_outgoing_send(out);
    } else if (out->parcel == NULL) {
        wbi_deferred_send(context);
    } /* else the lane thread sends the parcel */
    return WB_OK;
}

/* What was to go straight is not what had been sized. */
static __attribute__((noinline)) int refuse_straight(struct wb_context *context)
{
    struct wb_peer *peer = context->peer;
    context->straight = false;
    peer->lane->fabric->cancel(peer->channel);
    return wbi_error(WB_ERR_INVALID, "%s: a result changed while it was being packed", peer->url);
}

int wb_reply_commit(struct wb_context *context, struct wb_writer *writer)
{
    if (!context->straight) {
        return commit_otherwise(context, writer);
    }
    if (!wbi_straight_is_written(writer)) {
        return refuse_straight(context);
    }
    send_straight(context, wbi_straight_message(writer, WBI_REPLY), wbi_straight_bytes(writer));
    return WB_OK;
}

/* As begin and commit, of one that does not go straight. */
static __attribute__((noinline)) int reply_otherwise(struct wb_context *context,
                                                     const void *archive, size_t bytes)
{
    const struct wb_sizer sizer = {.bytes = bytes};
    struct wb_writer writer = {0};
    int status = begin_otherwise(context, &sizer, &writer);
    if (status == WB_OK) {
        wb_put_raw(&writer, archive, bytes);
        status = commit_otherwise(context, &writer);
    }
    return status;
}

int wb_reply_packed(struct wb_context *context, const void *archive, size_t bytes)
{
    if (!wb_reply_wanted(context)) {
        return WB_OK;
    }
    uint8_t *message = place_straight(context, bytes);
    if (message == NULL) {
        return reply_otherwise(context, archive, bytes);
    }
    wbi_copy_short(message + WBI_REPLY_BYTES, archive, bytes);
    send_straight(context, message, bytes);
    return WB_OK;
}
