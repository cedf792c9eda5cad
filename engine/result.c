/* A call's result as its caller takes it: the steps behind NAME_finish. Any thread. */
#include <string.h>
#include <waybill/action.h>
#include <waybill/print.h>

#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/into.h"
#include "engine/lane.h"
#include "engine/serve.h"
#include "engine/stream.h"

/* A packed vector in what the landings have left of the call's room, at its end, which moves.
 * False: it has no place. */
static bool make_vector_in_room(struct wb_call *call, const void *data, uint64_t bytes,
                                uint32_t elem_size, wb_rma_vector *out)
{
    uint64_t used = call->reply != NULL ? call->reply->room_used : 0;
    uint64_t needed = wbi_landing_bytes(bytes);
    if (call->room == NULL || used > call->room_bytes || needed > call->room_bytes - used) {
        return false;
    }
    call->room_bytes = (call->room_bytes - needed) / WBI_RMA_ALIGN * WBI_RMA_ALIGN;
    uint8_t *place = (uint8_t *)wbi_rma_block_data(call->room) + call->room_bytes;
    memcpy(place, data, bytes);
    *out =
        wbi_rma_vector_slice(call->room, call->room_bytes, elem_size, (size_t)(bytes / elem_size));
    return true;
}

/* A result is decoded once: what another thread may free later is no help to it. What was packed
 * gets a block of its own, so that a few bytes do not keep a large room; where the pool has none,
 * the room was reserved for just that. */
static int make_result_vector(void *context, struct wb_rma_block *block, const void *data,
                              uint64_t bytes, uint32_t elem_size, wb_rma_vector *out)
{
    struct wb_call *call = context;
    if (call->into != NULL && wbi_into_take(call, data, bytes, elem_size, out)) {
        return WB_OK;
    }
    int status = wbi_make_vector(call->lane, block, data, bytes, elem_size, out);
    if (status != WB_AGAIN && status != WB_ERR_BUDGET) {
        return status;
    }
    return make_vector_in_room(call, data, bytes, elem_size, out) ? WB_OK : WB_ERR_BUDGET;
}

static __attribute__((noinline)) int say_end(const struct wb_call *call)
{
    return wbi_error(call->status, "%s: %s: %s%s%s", call->where, call->action,
                     wb_status_text(call->status), call->text[0] != '\0' ? ": " : "", call->text);
}

/* Waits for the end of the call; the lane ends it at its deadline at the latest. */
static inline int await_end(struct wb_call *call)
{
    int status = wbi_engine_check_process(call->lane->engine);
    if (status == WB_OK && (!wb_call_done(call) || wbi_thread_is_inside())) {
        status = wb_call_wait(call, UINT64_MAX);
    }
    return status;
}

int wb_call_open(struct wb_call *call, struct wb_reader *reader)
{
    int status = await_end(call);
    if (status != WB_OK) {
        return status;
    }
    if (call->status != WB_OK) {
        return say_end(call);
    }
    const struct wbi_inbound *reply = call->reply;
    wb_reader_start(reader, call->archive, call->archive_len);
    wbi_config_limit(&call->lane->engine->config, reader);
    reader->make_vector = make_result_vector;
    reader->context = call;
    if (reply != NULL) {
        reader->landings = reply->landings;
        reader->landing_count = reply->chunk_count;
        reader->backing = reply->archive_part.block;
    }
    return call->into != NULL ? wbi_into_begin_reading(call) : WB_OK;
}

void wb_action_explain_result(const struct wb_action *action, const struct wb_reader *reader)
{
    char fault[200];
    wb_reader_find_fault(reader, action->out, fault, sizeof fault);
    wbi_error(reader->status, "%s: its result: %s", action->name, fault);
}

bool wb_call_take_packed(struct wb_call *call, void *archive, size_t bytes)
{
    if (await_end(call) != WB_OK || call->status != WB_OK || call->archive_len != bytes ||
        call->reply != NULL || call->into != NULL) {
        return false;
    }
    wbi_copy_short(archive, call->archive, bytes);
    wbi_call_give(call);
    return true;
}

void wb_call_close(struct wb_call *call, struct wb_hold *hold, bool keep)
{
    if (!wb_call_done(call) || wbi_engine_is_inherited(call->lane->engine)) {
        return; /* finish was refused: the handle stays the caller's, or the parent's */
    }
    if (keep) {
        if (call->into != NULL) {
            wbi_into_close(call); /* its results have references of their own */
        }
        hold->call = call;
    } else {
        wbi_call_give(call);
    }
}

void wb_hold_release(struct wb_hold *hold)
{
    if (hold->call != NULL && !wbi_engine_is_inherited(hold->call->lane->engine)) {
        wbi_call_give(hold->call);
        hold->call = NULL;
    }
    if (hold->item != NULL) {
        wbi_stream_item_end(hold->item);
        hold->item = NULL;
    }
    if (hold->arena.blocks != NULL) {
        wb_arena_free(&hold->arena);
    }
}
