#include "engine/serve.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <waybill/print.h>

#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

int wbi_make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                    uint32_t elem_size, wb_rma_vector *out)
{
    struct wbi_lane *lane = context;
    size_t count = (size_t)(bytes / elem_size);
    if (block != NULL) {
        size_t offset =
            (size_t)((const uint8_t *)data - (const uint8_t *)wbi_rma_block_data(block));
        *out = wbi_rma_vector_slice(block, offset, elem_size, count);
        return WB_OK;
    }
    return wbi_rma_vector_copy(lane->engine->allocator, data, elem_size, count, out);
}

void wbi_serve_error(struct wb_peer *peer, const struct wbi_header *request, int status, int code,
                     const char *text)
{
    struct wbi_outgoing out = {
        .peer = peer,
        .header = {.kind = WBI_REPLY, .call_id = request->call_id, .status = status, .code = code}};
    struct wb_sizer sizer = {.bytes = text != NULL ? strnlen(text, 119) : 0};
    struct wb_writer writer;
    peer->in_hand = 0; /* it goes along */
    if (atomic_load_explicit(&peer->state, memory_order_relaxed) != WB_PEER_CONNECTED) {
        return;
    }
    wbi_note_error(peer, request, status, code);
    if ((request->flags & WBI_FLAG_ONE_WAY) != 0) {
        wbi_peer_busy(peer); /* no answer takes its credit along */
        return;
    }
    if (wbi_outgoing_prepare(&out, &sizer, false) != WB_OK ||
        wbi_outgoing_place(&out, &sizer, true, &writer) != WB_OK) {
        wbi_peer_fail(peer, WB_ERR_NO_MEMORY, "no memory to answer a call");
        return;
    }
    wb_put_raw(&writer, text, sizer.bytes);
    wbi_outgoing_send(&out);
}

void wbi_serve_explain(struct wb_context *context, const struct wb_reader *reader,
                       const struct wbi_entry *entry)
{
    if (context->text[0] == '\0' && reader->status != WB_OK) {
        wb_reader_find_fault(reader, entry->in, context->text, sizeof context->text);
    }
}

void wbi_serve_failure(struct wb_context *context, int status)
{
    if (status > 0) {
        wbi_serve_error(context->peer, context->header, WB_ERR_REMOTE, status, context->text);
    } else {
        wbi_serve_error(context->peer, context->header, status == WB_AGAIN ? WB_ERR_BUDGET : status,
                        0, context->text);
    }
}

/* A caller that wants no chunks in its reply gets one long archive: room for it is made sure of
 * before the handler runs, since afterwards it could not be run again. WB_AGAIN: not yet. */
static int reserve_reply(struct wb_context *context)
{
    const struct wbi_header *header = context->header;
    bool wanted = (header->flags & WBI_FLAG_COPY) != 0 && header->reply_room > 0 &&
                  *context->reply_block == NULL;
    if (!wanted || header->reply_room > SIZE_MAX) {
        return WB_OK;
    }
    struct wb_rma_allocator *pool = context->peer->lane->engine->allocator;
    int status = wbi_rma_alloc(pool, (size_t)header->reply_room, false, context->reply_block);
    return status == WB_AGAIN ? WB_AGAIN
                              : WB_OK; /* what can never be had is missed only if it is needed */
}

static inline int serve(struct wb_context *context, struct wb_request *request,
                        const struct wbi_entry *entry)
{
    return entry->executor != NULL ? wbi_execute(context, entry)
                                   : entry->serve(context, request, entry->handler, entry->user);
}

/* Where config.latency asks for it. A deferred call's time ends when it has been answered; that of
 * one on an executor began when it was given to that. */
static __attribute__((noinline)) int
serve_timed(struct wb_context *context, struct wb_request *request, const struct wbi_entry *entry)
{
    uint64_t begun_ns = wbi_now_ns();
    int status = serve(context, request, entry);
    if (context->deferred == NULL && (status != WB_AGAIN || context->replied)) {
        wbi_latency_handled(context->peer->lane->latency, begun_ns);
    } else if (context->deferred != NULL && entry->executor == NULL) {
        context->deferred->begun_ns = begun_ns;
    }
    return status;
}

static inline __attribute__((always_inline)) int run(struct wb_context *context,
                                                     struct wb_request *request)
{
    struct wb_peer *peer = context->peer;
    const struct wbi_header *header = context->header;
    const struct wbi_entry *entry =
        wbi_registry_find(&peer->lane->engine->registry, header->action);
    if (entry == NULL) {
        wbi_serve_error(peer, header, WB_ERR_UNKNOWN_ACTION, 0, NULL);
        return WB_OK;
    }
    if (entry->signature != header->signature) {
        wbi_serve_error(peer, header, WB_ERR_SIGNATURE, 0, NULL);
        return WB_OK;
    }
    int status = reserve_reply(context);
    if (status == WB_OK) {
        wbi_lane_before_program(peer->lane);
        status = peer->lane->latency == NULL ? serve(context, request, entry)
                                             : serve_timed(context, request, entry);
    }
    if (status == WB_AGAIN && !context->replied && context->deferred == NULL) {
        return WB_AGAIN;
    }
    bool given = context->deferred != NULL && entry->executor != NULL; /* it is yet to run */
    wbi_count(&peer->lane->counters.calls_served, !given);
    if (context->deferred != NULL) {
        if (!given) {
            wbi_deferred_part(context->deferred); /* the handler's */
        }
    } else if (!context->replied) {
        wbi_serve_explain(context, &request->reader, entry);
        wbi_serve_failure(context, status);
    }
    return WB_OK;
}

/* Written field by field: `out` is the reply's to fill, and of the text one byte is enough. */
static void open_context(struct wb_context *context, struct wb_peer *peer,
                         const struct wbi_header *header, struct wb_rma_block **reply_block)
{
    context->peer = peer;
    context->header = header;
    context->in = NULL;
    context->slot = NULL;
    context->len = context->archive_at = 0;
    context->deferred = context->later = NULL;
    context->entered = context->straight = context->replied = false;
    context->reply_block = reply_block;
    context->code = 0;
    context->text[0] = '\0';
}

bool wbi_serve_eager(struct wb_peer *peer, uint8_t *slot, size_t len,
                     const struct wbi_header *header)
{
    struct wb_rma_block *reply_block = NULL;
    size_t archive_at = WBI_REQUEST_BYTES + (size_t)header->release_count * WBI_ID_BYTES;
    struct wb_context context;
    open_context(&context, peer, header, &reply_block);
    context.slot = slot;
    context.len = len;
    context.archive_at = archive_at;
    struct wb_request request;
    request.archive = slot + archive_at;
    request.bytes = len - archive_at;
    request.reader.status = WB_OK; /* as of one that is not opened */
    peer->owed++; /* the slot is free again when the handler has returned; the reply says so */
    peer->in_hand = 1;
    int status = run(&context, &request);
    peer->in_hand = 0;
    if (reply_block != NULL) {
        wbi_rma_block_unref(reply_block);
    }
    if (status == WB_OK) {
        return context.deferred != NULL;
    }
    bool gone = wbi_inbound_credit_gone(peer);
    status = wbi_inbound_park_eager(peer, slot, len, header, archive_at, gone);
    if (status != WB_OK) {
        peer->owed += !gone;
        wbi_serve_error(peer, header, status, 0, NULL);
    }
    return status == WB_OK;
}

struct wb_reader *wb_request_open(const struct wb_context *context, struct wb_request *request)
{
    const struct wbi_inbound *in = context->in;
    struct wbi_lane *lane = context->peer->lane;
    struct wb_reader *reader = &request->reader;
    if (in == NULL) {
        wb_reader_start(reader, request->archive, request->bytes);
    } else {
        wb_reader_start(reader, in->archive, in->archive_len);
        reader->landings = in->landings;
        reader->landing_count = in->chunk_count;
        reader->backing = in->archive_part.block;
    }
    wbi_config_limit(&lane->engine->config, reader);
    reader->make_vector = wbi_make_vector;
    reader->context = lane;
    return reader;
}

int wbi_serve_inbound(struct wbi_inbound *in)
{
    struct wb_context context;
    open_context(&context, in->peer, &in->header, &in->reply_block);
    context.in = in;
    struct wb_request request = {.archive = NULL};
    struct wb_peer *peer = in->peer;
    peer->in_hand = !in->credited;
    wbi_inbound_return_credit(in);
    int status = run(&context, &request);
    peer->in_hand = 0;
    if (status == WB_AGAIN && !in->waiting) {
        in->credited = wbi_inbound_credit_gone(in->peer);
    }
    return status;
}

/* ---- what handlers can ask and say ---- */

int wb_context_fail(struct wb_context *context, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context->text, sizeof context->text, format, arguments);
    va_end(arguments);
    return code > 0 ? code : 1;
}

struct wb_engine *wb_context_engine(const struct wb_context *context)
{
    return context->peer->lane->engine;
}
struct wb_peer *wb_context_peer(const struct wb_context *context)
{
    return context->peer;
}
