/* A call as its caller makes it: the steps behind NAME_async, NAME_finish and NAME_call. Any
 * thread. */
#include <string.h>
#include <waybill/action.h>
#include <waybill/print.h>

#include "engine/clock.h"
#include "engine/draft.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/into.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/serve.h"
#include "engine/straight.h"
#include "engine/stream.h"

static const struct wb_call_options no_options;

enum {
    ROOM_SLACK = 4096
}; /* so that the rounding of several landings fits in what the caller reserved */

static _Thread_local struct {
    const struct wb_peer *peer;
    uint64_t bytes;
} lacked;

/* Keeps why a call of this thread is refused, for who asks on_room then. */
static void lack(const struct wb_peer *peer, uint64_t bytes)
{
    lacked.peer = peer;
    lacked.bytes = bytes;
}

uint64_t wbi_call_lacked(const struct wb_peer *peer)
{
    return lacked.peer == peer ? lacked.bytes : 0;
}

static size_t threshold(size_t of_call, uint32_t of_engine)
{
    return of_call != 0 ? of_call : of_engine;
}

struct wb_thresholds wbi_call_thresholds(const struct wb_engine_config *config, uint32_t read_align,
                                         const struct wb_call_options *options)
{
    options = options != NULL ? options : &no_options;
    if ((options->flags & WB_CALL_COPY) != 0) {
        return (struct wb_thresholds){.pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    }
    size_t pointer = threshold(options->pointer_threshold, config->pointer_threshold);
    return (struct wb_thresholds){.pointer = pointer,
                                  .rma = threshold(options->rma_threshold, config->rma_threshold),
                                  .pointer_mask = read_align - 1,
                                  .buffer = pointer};
}

bool wbi_call_is_exact(const struct wb_call_options *options)
{
    return options != NULL && (options->pointer_threshold | options->rma_threshold) != 0;
}

void wb_call_size(struct wb_sizer *sizer, struct wb_peer *peer,
                  const struct wb_call_options *options)
{
    const struct wbi_lane *lane = peer->lane;
    wb_sizer_start(sizer,
                   wbi_call_thresholds(&lane->engine->config, lane->caps->read_align, options));
    sizer->exact = wbi_call_is_exact(options);
}

/* Room for the fetched parts of the reply is there before the call goes, so that a reply can always
 * land. */
static int reserve_room(struct wb_call *call, uint64_t reply_bytes, bool may_grow)
{
    call->room_bytes = 0; /* not the last tenant's */
    if (reply_bytes == 0) {
        return WB_OK;
    }
    struct wb_engine *engine = call->lane->engine;
    uint64_t budget = engine->config.budget_bytes;
    if (reply_bytes > budget - ROOM_SLACK) {
        return wbi_error(WB_ERR_BUDGET,
                         "reply_bytes %llu is more than a budget of %llu bytes can hold",
                         (unsigned long long)reply_bytes, (unsigned long long)budget);
    }
    int status =
        wbi_rma_alloc(engine->allocator, (size_t)reply_bytes + ROOM_SLACK, may_grow, &call->room);
    call->room_bytes = status == WB_OK ? reply_bytes + ROOM_SLACK : 0;
    call->out.header.reply_room += call->room_bytes;
    if (status == WB_AGAIN) {
        lack(call->peer, reply_bytes + ROOM_SLACK);
    }
    return status == WB_OK ? WB_OK
                           : wbi_error(status, "no %llu bytes of the pool for the reply: %s",
                                       (unsigned long long)reply_bytes, wb_status_text(status));
}

/* What the wire cannot express (71 minutes and more) is no deadline for the server; the caller has
 * its own. */
uint32_t wbi_deadline_on_wire(uint64_t left_us)
{
    return left_us <= UINT32_MAX ? (uint32_t)left_us : 0;
}

/* A call in state WRITING for this peer, holding nothing yet; or NULL, with *status. */
static struct wb_call *take_call(struct wb_peer *peer, struct wb_action *action,
                                 const struct wb_call_options *options, int *status)
{
    struct wbi_lane *lane = peer->lane;
    *status = wbi_engine_check_process(lane->engine);
    if (*status != WB_OK) {
        return NULL;
    }
    if (atomic_load_explicit(&peer->state, memory_order_acquire) == WB_PEER_LOST) {
        *status = wbi_error(WB_ERR_NOT_SENT, "%s: the peer is lost; connect anew", peer->url);
        return NULL;
    }
    if (wbi_peer_is_draining(peer) || atomic_load_explicit(&peer->to_drain, memory_order_relaxed) ||
        atomic_load_explicit(&lane->engine->draining, memory_order_relaxed)) {
        *status =
            wbi_error(WB_ERR_CLOSED, "%s: the engine, or this peer, is being drained", peer->url);
        return NULL;
    }
    struct wb_call *call = wbi_call_take(&lane->calls);
    if (call == NULL) {
        lack(peer, 0);
        *status = wbi_error(WB_AGAIN, "%s: %u calls are open already (max_calls)", peer->url,
                            lane->calls.count);
        return NULL;
    }
    atomic_store_explicit(&call->state, WBI_CALL_WRITING, memory_order_relaxed);
    if (lane->latency != NULL) {
        wbi_latency_begin(lane->latency, call);
    }
    call->peer = peer;
    /* before what the channel takes is looked at */
    call->epoch = atomic_load_explicit(&peer->line.epoch, memory_order_acquire);
    call->action = action->name;
    call->timeout_us =
        options->timeout_us != 0 ? options->timeout_us : lane->engine->config.call_timeout_us;
    call->deadline = 0;
    call->sent = call->stopped = false;
    call->status = WB_OK;
    call->set = NULL;
    call->error = options->error;
    call->on_sent = options->on_sent;
    call->one_way = (options->flags & WB_CALL_ONE_WAY) != 0;
    call->then = call->one_way ? NULL : options->then;
    call->user = options->user;
    call->due = call->due_sent = call->due_end = call->is_read = false;
    atomic_store_explicit(&call->unwanted, false, memory_order_relaxed);
    call->text[0] = '\0';
    call->out.peer = peer;
    call->out.call = call;
    call->out.message = NULL;
    call->out.parcel = NULL;
    call->out.set = NULL;
    call->out.long_block = NULL;
    call->out.plain = (struct wbi_plain){0};
    call->out.straight = false;
    return call;
}

/* Field by field, as the receiver does: what is copied whole is waited for. */
static void set_header(struct wb_call *call, struct wb_action *action,
                       const struct wb_call_options *options)
{
    struct wbi_header *header = &call->out.header;
    if (atomic_load_explicit(&action->id, memory_order_acquire) == 0) {
        wb_action_prepare(action);
    }
    header->kind = WBI_REQUEST;
    header->flags = (uint8_t)(((options->flags & WB_CALL_COPY) != 0 ? WBI_FLAG_COPY : 0) |
                              (call->one_way ? WBI_FLAG_ONE_WAY : 0));
    header->credits = 0;
    header->chunk_count = header->release_count = header->cancel_count = 0;
    header->call_id = wbi_call_id(call);
    header->action = atomic_load_explicit(&action->id, memory_order_relaxed);
    header->signature = atomic_load_explicit(&action->signature, memory_order_relaxed);
    header->deadline_us = wbi_deadline_on_wire(call->timeout_us);
    header->reply_room = 0;
    header->status = header->code = 0;
}

int wb_call_refuse_one_way(void)
{
    return wbi_error(WB_ERR_INVALID, "WB_CALL_ONE_WAY is NAME_apply's: such a call has no end that "
                                     "could be waited for");
}

static void give_call(struct wb_call *call)
{
    wbi_call_forget(call);
    wbi_call_give(&call->lane->calls, call);
}

/* Lays the message out and finds its place. Where that is the fabric's slot, the lane stays entered
 * until commit. */
static int place(struct wb_call *call, const struct wb_sizer *sizer, bool inside,
                 struct wb_writer *writer)
{
    struct wbi_lane *lane = call->lane;
    int status = wbi_outgoing_prepare(&call->out, sizer, !inside);
    if (status != WB_OK) {
        lack(call->peer, call->out.plan.archive_bytes);
        return status;
    }
    enum wbi_entry_kind entry = wbi_lane_enter(lane);
    status = wbi_outgoing_place(&call->out, sizer, entry != WBI_LANE_BUSY, writer);
    if (status != WB_OK) {
        lack(call->peer, 0);
    }
    if (entry == WBI_LANE_ENTERED && (status != WB_OK || call->out.parcel != NULL)) {
        wbi_lane_leave(lane);
    }
    return status;
}

/* As begin, into a draft. False: no memory for one. */
static bool begin_draft(struct wb_call *call, const struct wb_sizer *sizer,
                        struct wb_writer *writer)
{
    call->draft = wbi_draft_open(sizer, writer);
    return call->draft != NULL; /* and set is NULL if it is */
}

/* The draft is written: it gets its place. */
static int place_draft(struct wb_call *call, struct wb_writer *writer)
{
    struct wbi_draft *draft = call->draft;
    call->set = NULL;
    int status = wbi_draft_close(draft, writer);
    if (status == WB_OK) {
        status = place(call, &draft->sizer, wbi_lane_is_mine(call->lane), writer);
    } else {
        wbi_error(status, "%s: an argument changed while it was being packed", call->peer->url);
    }
    if (status == WB_OK) {
        wbi_draft_pour(draft, &call->out, writer);
    }
    wbi_draft_free(draft);
    return status;
}

/* Straight into the fabric's slot, where nothing but the arguments is to be sent, and nobody holds
 * the lane; it stays entered until commit. */
static bool begin_straight(struct wb_call *call, const struct wb_sizer *sizer,
                           struct wb_writer *writer)
{
    struct wbi_lane *lane = call->lane;
    enum wbi_entry_kind entry = wbi_lane_enter(lane);
    if (entry == WBI_LANE_BUSY) {
        return false;
    }
    bool goes = wbi_outgoing_go_straight(&call->out, WBI_REQUEST, sizer, writer);
    if (!goes && entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    return goes;
}

int wb_call_begin(struct wb_peer *peer, struct wb_action *action, const struct wb_sizer *sizer,
                  const struct wb_call_options *options, struct wb_writer *writer)
{
    int status = WB_OK;
    options = options != NULL ? options : &no_options;
    struct wb_call *call = take_call(peer, action, options, &status);
    if (call == NULL) {
        return status;
    }
    size_t filter_from = atomic_load_explicit(&peer->filter_from, memory_order_relaxed);
    bool alone = sizer->bytes < filter_from && (options->reply_bytes | options->into_count) == 0;
    set_header(call, action, options);
    if (alone && wbi_straight_suits(peer, WBI_REQUEST, sizer) &&
        begin_straight(call, sizer, writer)) {
        call->room_bytes = 0; /* not the last tenant's */
        writer->owner = call;
        return WB_OK;
    }
    bool inside = wbi_lane_is_mine(peer->lane);
    uint64_t reply_bytes = call->one_way ? 0 : options->reply_bytes;
    if (options->into_count > 0 && !call->one_way) {
        status = wbi_into_open(call, action, options, &reply_bytes);
    }
    status = status == WB_OK ? reserve_room(call, reply_bytes, !inside) : status;
    if (status == WB_OK && (sizer->bytes < filter_from || !begin_draft(call, sizer, writer))) {
        status = place(call, sizer, inside, writer);
    }
    if (status != WB_OK) {
        give_call(call);
        return status;
    }
    writer->owner = call;
    return WB_OK;
}

/* The message stands in the fabric's slot, and this thread has held the lane since begin. */
static void commit_in_lane(struct wb_call *call)
{
    struct wbi_lane *lane = call->lane;
    wbi_call_enter(call);
    wbi_outgoing_send(&call->out);
    if (!lane->inside) {
        wbi_lane_leave(lane);
    }
}

int wb_call_commit(struct wb_writer *writer, struct wb_call **out)
{
    struct wb_call *call = writer->owner;
    struct wbi_lane *lane = call->lane;
    int status = WB_OK;
    if (call->out.straight && wbi_straight_is_written(writer)) {
        *out = call;
        commit_in_lane(call);
        return WB_OK;
    }
    if (call->out.message == NULL) {
        status = place_draft(call, writer);
        if (status != WB_OK) {
            give_call(call);
            return status;
        }
    }
    bool in_slot = call->out.parcel == NULL;
    status = wbi_outgoing_written(&call->out, writer);
    if (status != WB_OK) {
        wbi_outgoing_abandon(&call->out);
        if (in_slot && !lane->inside) {
            wbi_lane_leave(lane);
        }
        give_call(call);
        return status;
    }
    *out = call;
    if (in_slot) {
        commit_in_lane(call);
    } else {
        call->out.parcel->out = call->out;
        wbi_lane_submit(lane, call->out.parcel);
    }
    return WB_OK;
}

/* ---- waiting and the result ---- */

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

int wb_call_open(struct wb_call *call, struct wb_reader *reader)
{
    int status = wbi_engine_check_process(call->lane->engine);
    /* the lane ends the call at its deadline at the latest */
    status = status == WB_OK ? wb_call_wait(call, UINT64_MAX) : status;
    if (status != WB_OK) {
        return status;
    }
    if (call->status != WB_OK) {
        return wbi_error(call->status, "%s: %s: %s%s%s", call->where, call->action,
                         wb_status_text(call->status), call->text[0] != '\0' ? ": " : "",
                         call->text);
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

void wb_call_explain_result(const struct wb_call *call, const struct wb_reader *reader,
                            const struct wb_field *fields)
{
    char fault[200];
    wb_reader_find_fault(reader, fields, fault, sizeof fault);
    wbi_error(reader->status, "%s: its result: %s", call->action, fault);
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
        give_call(call);
    }
}

void wb_hold_release(struct wb_hold *hold)
{
    if (hold->call != NULL && !wbi_engine_is_inherited(hold->call->lane->engine)) {
        give_call(hold->call);
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

static bool call_is_free(void *context)
{
    struct wb_peer *peer = context;
    struct wbi_lane *lane = peer->lane;
    return atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_LOST ||
           (uint32_t)atomic_load_explicit(&lane->calls.free, memory_order_relaxed) != 0;
}

int wb_call_await_room(struct wb_peer *peer, const struct wb_call_options *options,
                       struct wb_call_options *left)
{
    static const uint64_t look_again_us =
        1000; /* memory that another thread frees is announced by nobody */
    struct wb_engine *engine = peer->lane->engine;
    if (left->timeout_us == 0) {
        *left = options != NULL ? *options : no_options;
        left->timeout_us =
            left->timeout_us != 0 ? left->timeout_us : engine->config.call_timeout_us;
    }
    uint64_t start = wbi_now();
    int status = call_is_free(peer) ? wb_wait(engine, look_again_us)
                                    : wbi_await(engine, call_is_free, peer, look_again_us);
    uint64_t waited = wbi_now() - start;
    if (waited >= left->timeout_us) {
        return wbi_error(WB_ERR_TIMED_OUT, "%s: no room for the call within its time", peer->url);
    }
    left->timeout_us -= waited;
    return status == WB_ERR_DEADLOCK ? status : WB_OK;
}
