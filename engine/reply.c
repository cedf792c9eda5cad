/* The steps of a reply, for the generated server stubs. None of them answers WB_AGAIN: the handler
 * has run. */
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"

bool wb_reply_wanted(struct wb_context *context)
{
    if ((context->header->flags & WBI_FLAG_ONE_WAY) == 0) {
        return true;
    }
    context->replied = true;      /* the handler has run, and that is all */
    wbi_peer_busy(context->peer); /* no answer takes the credit along */
    return false;
}

void wb_reply_size(struct wb_sizer *sizer, struct wb_context *context)
{
    const struct wbi_header *header = context->header;
    bool chunks = (header->flags & WBI_FLAG_COPY) == 0 && header->reply_room > 0;
    const struct wbi_lane *lane = context->peer->lane;
    const struct wb_engine_config *config = &lane->engine->config;
    /* strings, byte ranges and views are the handler's and end with it: they are always copied */
    struct wb_thresholds thresholds = {.pointer = SIZE_MAX,
                                       .rma = chunks ? config->rma_threshold : SIZE_MAX,
                                       .pointer_mask = lane->caps->read_align - 1,
                                       .buffer = chunks ? config->pointer_threshold : SIZE_MAX};
    wb_sizer_start(sizer, thresholds);
}

int wb_reply_begin(struct wb_context *context, const struct wb_sizer *sizer,
                   struct wb_writer *writer)
{
    const struct wbi_header *request = context->header;
    struct wb_peer *peer = context->peer;
    struct wbi_outgoing *out = &context->out;
    uint32_t eager = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    if (sizer->bytes > request->reply_room && sizer->bytes > eager) {
        return wbi_error(WB_ERR_REPLY_TOO_LARGE,
                         "%s: a result of %zu bytes, for which %llu were reserved", peer->url,
                         sizer->bytes, (unsigned long long)request->reply_room);
    }
    *out = (struct wbi_outgoing){.peer = peer,
                                 .header = {.kind = WBI_REPLY, .call_id = request->call_id},
                                 .long_block = *context->reply_block};
    *context->reply_block = NULL;
    /* growing here stalls the lane, and plain memory is registered for this reply alone: better
     * than to lose what the handler has done */
    int status = wbi_outgoing_prepare(out, sizer, true);
    if (status == WB_OK && !out->plan.long_archive) {
        *context->reply_block = out->long_block;
        out->long_block = NULL;
    }
    status = status == WB_OK ? wbi_outgoing_place(out, sizer, true, writer) : status;
    return status == WB_AGAIN ? WB_ERR_BUDGET : status;
}

/* Bytes that the caller must have reserved for what it will have to fetch. */
static uint64_t room_needed(const struct wbi_outgoing *out)
{
    uint64_t room = out->plan.long_list ? wbi_landing_bytes(out->plan.list_bytes) : 0;
    uint32_t align = out->peer->lane->caps->read_align;
    for (uint32_t i = 0; out->set != NULL && i < out->set->chunk_count; i++) {
        const struct wb_chunk *chunk = &out->set->chunks[i];
        if (chunk->kind != WB_CHUNK_INDEX) {
            room += wbi_landing_bytes(chunk->len + wbi_chunk_head(chunk, align) +
                                      wbi_chunk_tail(chunk, align));
        }
    }
    return room;
}

int wb_reply_commit(struct wb_context *context, struct wb_writer *writer)
{
    struct wbi_outgoing *out = &context->out;
    int status = wbi_outgoing_written(out, writer);
    uint64_t room = status == WB_OK ? room_needed(out) : 0;
    if (room > context->header->reply_room) {
        status =
            wbi_error(WB_ERR_REPLY_TOO_LARGE,
                      "%s: a result of %llu bytes, for which %llu were reserved", out->peer->url,
                      (unsigned long long)room, (unsigned long long)context->header->reply_room);
    }
    if (status != WB_OK) {
        wbi_outgoing_abandon(out);
        return status;
    }
    if (out->set != NULL) {
        out->set->lifetime_us = context->header->deadline_us;
    }
    context->replied = true;
    wbi_outgoing_send(out);
    return WB_OK;
}
