/* A call as its caller begins it: the steps behind NAME_async. Its result is result.c's. Any
 * thread. */
#include <waybill/action.h>

#include "engine/clock.h"
#include "engine/draft.h"
#include "engine/engine.h"
#include "engine/into.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/straight.h"

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

/* Makes a call that was free one in state WRITING for this peer, holding nothing yet. */
static inline __attribute__((always_inline)) void fill(struct wb_call *call, struct wb_peer *peer,
                                                       const struct wb_action *action,
                                                       const struct wb_call_options *options)
{
    const struct wbi_lane *lane = peer->lane;
    atomic_store_explicit(&call->state, WBI_CALL_WRITING, memory_order_relaxed);
    if (lane->latency != NULL) {
        wbi_latency_begin(lane->latency, call);
    }
    call->peer = peer;
    call->action = action->name;
    call->timeout_us =
        options->timeout_us != 0 ? options->timeout_us : lane->engine->config.call_timeout_us;
    call->deadline = 0;
    call->sent = call->stopped = call->due = call->due_sent = call->due_end = false;
    call->is_read = call->straight = false;
    atomic_store_explicit(&call->unwanted, false, memory_order_relaxed);
    call->error = options->error;
    call->on_sent = options->on_sent;
    call->one_way = (options->flags & WB_CALL_ONE_WAY) != 0;
    call->then = call->one_way ? NULL : options->then;
    call->user = options->user;
}

/* A call that is filled so; or NULL, with *status. */
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
    if (wbi_peer_is_to_drain(peer)) {
        *status =
            wbi_error(WB_ERR_CLOSED, "%s: the engine, or this peer, is being drained", peer->url);
        return NULL;
    }
    if (atomic_load_explicit(&action->id, memory_order_acquire) == 0) {
        wb_action_prepare(action);
    }
    struct wb_call *call = wbi_call_take(lane);
    if (call == NULL) {
        lack(peer, 0);
        *status = wbi_error(
            WB_AGAIN,
            "%s: %u calls are open already (max_calls), or kept by the thread that is in the lane",
            peer->url, lane->calls.count);
        return NULL;
    }
    fill(call, peer, action, options);
    return call;
}

/* Inline, and field by field: of one that is only to be encoded nothing is left, and of one that is
 * kept nothing is copied whole, which would be waited for. */
static inline __attribute__((always_inline)) void set_header(struct wbi_header *header,
                                                             const struct wb_call *call,
                                                             const struct wb_action *action,
                                                             const struct wb_call_options *options)
{
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

/* Gives back a call that was taken for nothing, and the lane. */
static __attribute__((noinline)) struct wb_call *
begin_no_straight(struct wb_call *call, struct wbi_lane *lane, enum wbi_entry_kind entry)
{
    if (call != NULL) {
        wbi_call_give(call);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    return NULL;
}

/* A call whose message goes straight into the fabric's slot, since nothing but the arguments is to
 * be sent, and nobody holds the lane; it stays entered until the message is sent, and so nothing of
 * what was found can change. The message has its header then. NULL: it takes the long way, on which
 * what stands against it is said. */
static inline __attribute__((always_inline)) struct wb_call *
begin_straight(struct wb_peer *peer, const struct wb_action *action, size_t archive_bytes,
               const struct wb_call_options *options, uint8_t **message)
{
    struct wbi_lane *lane = peer->lane;
    if (wbi_engine_is_inherited(lane->engine) ||
        (options->reply_bytes | options->into_count) != 0 ||
        archive_bytes > lane->shares.eager_bytes ||
        atomic_load_explicit(&action->id, memory_order_acquire) == 0) {
        return NULL; /* as the lane would have it, without taking it */
    }
    enum wbi_entry_kind entry = wbi_lane_enter(lane);
    if (entry == WBI_LANE_BUSY) {
        return NULL;
    }
    bool one_way = (options->flags & WB_CALL_ONE_WAY) != 0;
    /* a drain that was asked for just now has begun only when the lane has looked at it */
    bool suits = !wbi_lane_is_asked_to(lane, WBI_ASKED_TO_LOOK) &&
                 wbi_straight_suits(peer, WBI_REQUEST, one_way, archive_bytes);
    struct wb_call *call = suits ? wbi_call_take_inside(lane) : NULL;
    *message = call != NULL ? wbi_straight_place(peer, WBI_REQUEST, archive_bytes) : NULL;
    if (*message == NULL) {
        return begin_no_straight(call, lane, entry);
    }
    fill(call, peer, action, options);
    struct wbi_header header;
    set_header(&header, call, action, options);
    wbi_header_encode(&header, *message);
    return call;
}

/* Its archive is written, too. Leaves the lane. */
static inline __attribute__((always_inline)) void
send_straight(struct wb_call *call, uint8_t *message, size_t archive_bytes)
{
    struct wbi_lane *lane = call->lane;
    wbi_call_enter(call, archive_bytes + WBI_REQUEST_BYTES);
    wbi_straight_send(call->peer, WBI_REQUEST, message, archive_bytes);
    wbi_peer_asked(call->peer, call->one_way);
    call->sent = true;
    wbi_call_sent(call);
    if (!lane->inside) {
        wbi_lane_leave(lane);
    }
}

/* As begin, of one that does not go straight. Apart, so that those that do need little. */
static __attribute__((noinline)) int
begin_otherwise(struct wb_call *call, const struct wb_action *action, const struct wb_sizer *sizer,
                const struct wb_call_options *options, struct wb_writer *writer)
{
    struct wb_peer *peer = call->peer;
    struct wbi_outgoing *out = &call->out;
    /* before what the channel takes is looked at */
    call->epoch = atomic_load_explicit(&peer->line.epoch, memory_order_acquire);
    out->peer = peer;
    out->call = call;
    out->message = NULL;
    out->parcel = NULL;
    out->set = NULL;
    out->long_block = NULL;
    out->plain = (struct wbi_plain){0};
    set_header(&out->header, call, action, options);
    size_t filter_from = atomic_load_explicit(&peer->filter_from, memory_order_relaxed);
    bool inside = wbi_lane_is_mine(peer->lane);
    uint64_t reply_bytes = call->one_way ? 0 : options->reply_bytes;
    int status = WB_OK;
    if (options->into_count > 0 && !call->one_way) {
        status = wbi_into_open(call, action, options, &reply_bytes);
    }
    status = status == WB_OK ? reserve_room(call, reply_bytes, !inside) : status;
    if (status == WB_OK && (sizer->bytes < filter_from || !begin_draft(call, sizer, writer))) {
        status = place(call, sizer, inside, writer);
    }
    if (status != WB_OK) {
        wbi_call_give(call);
    }
    return status;
}

int wb_call_begin(struct wb_peer *peer, struct wb_action *action, const struct wb_sizer *sizer,
                  const struct wb_call_options *options, struct wb_writer *writer)
{
    int status = WB_OK;
    uint8_t *message;
    options = options != NULL ? options : &no_options;
    struct wb_call *call =
        sizer->records == 0 ? begin_straight(peer, action, sizer->bytes, options, &message) : NULL;
    if (call != NULL) {
        call->straight = true;
        wbi_straight_write(message, WBI_REQUEST, sizer->bytes, writer);
    } else {
        call = take_call(peer, action, options, &status);
        status = call != NULL ? begin_otherwise(call, action, sizer, options, writer) : status;
    }
    writer->owner = call;
    return status;
}

/* The message stands in the fabric's slot, and this thread has held the lane since begin. */
static void commit_in_lane(struct wb_call *call)
{
    struct wbi_lane *lane = call->lane;
    wbi_call_enter(call, call->out.plan.bytes);
    wbi_outgoing_send(&call->out);
    if (!lane->inside) {
        wbi_lane_leave(lane);
    }
}

static __attribute__((noinline)) int commit_otherwise(struct wb_writer *writer,
                                                      struct wb_call **out)
{
    struct wb_call *call = writer->owner;
    struct wbi_lane *lane = call->lane;
    int status = WB_OK;
    if (call->out.message == NULL) {
        status = place_draft(call, writer);
        if (status != WB_OK) {
            wbi_call_give(call);
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
        wbi_call_give(call);
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

/* What was to go straight is not what had been sized. */
static __attribute__((noinline)) int refuse_straight(struct wb_call *call)
{
    struct wb_peer *peer = call->peer;
    struct wbi_lane *lane = call->lane;
    int status =
        wbi_error(WB_ERR_INVALID, "%s: an argument changed while it was being packed", peer->url);
    lane->fabric->cancel(peer->channel);
    if (!lane->inside) {
        wbi_lane_leave(lane);
    }
    wbi_call_give(call);
    return status;
}

int wb_call_commit(struct wb_writer *writer, struct wb_call **out)
{
    struct wb_call *call = writer->owner;
    if (!call->straight) {
        return commit_otherwise(writer, out);
    }
    if (!wbi_straight_is_written(writer)) {
        return refuse_straight(call);
    }
    *out = call;
    send_straight(call, wbi_straight_message(writer, WBI_REQUEST), wbi_straight_bytes(writer));
    return WB_OK;
}

/* As begin and commit, of one that does not go straight. */
static __attribute__((noinline)) int send_otherwise(struct wb_peer *peer, struct wb_action *action,
                                                    const void *archive, size_t bytes,
                                                    const struct wb_call_options *options,
                                                    struct wb_call **out)
{
    const struct wb_sizer sizer = {.bytes = bytes};
    struct wb_writer writer = {0};
    int status = WB_OK;
    struct wb_call *call = take_call(peer, action, options, &status);
    status = call != NULL ? begin_otherwise(call, action, &sizer, options, &writer) : status;
    if (status != WB_OK) {
        return status;
    }
    writer.owner = call;
    wb_put_raw(&writer, archive, bytes);
    return commit_otherwise(&writer, out);
}

static inline __attribute__((always_inline)) int
send_packed(struct wb_peer *peer, struct wb_action *action, const void *archive, size_t bytes,
            const struct wb_call_options *options, struct wb_call **out)
{
    uint8_t *message;
    struct wb_call *call = begin_straight(peer, action, bytes, options, &message);
    if (call == NULL) {
        return send_otherwise(peer, action, archive, bytes, options, out);
    }
    wbi_copy_short(message + WBI_REQUEST_BYTES, archive, bytes);
    *out = call;
    send_straight(call, message, bytes);
    return WB_OK;
}

/* Twice, since what no options say is known beforehand. */
int wb_call_packed(struct wb_peer *peer, struct wb_action *action, const void *archive,
                   size_t bytes, const struct wb_call_options *options, struct wb_call **out)
{
    return options == NULL ? send_packed(peer, action, archive, bytes, &no_options, out)
                           : send_packed(peer, action, archive, bytes, options, out);
}

/* ---- where there is no room ---- */

static bool call_is_free(void *context)
{
    struct wb_peer *peer = context;
    struct wbi_lane *lane = peer->lane;
    return atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_LOST ||
           wbi_calls_have_room(&lane->calls);
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
