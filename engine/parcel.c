#include "engine/parcel.h"

#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/probe.h"
#include "engine/serve.h"
#include "engine/straight.h"

enum { WBI_RELEASES_ON_BOARD = 4 }; /* that ride along with a parcel */

uint64_t wbi_landing_bytes(uint64_t len)
{
    uint64_t align = WBI_RMA_ALIGN;
    return len > UINT64_MAX - align ? UINT64_MAX : (len + align - 1) / align * align;
}

/* ---- layout, chunk room, place ---- */

static int lay_out(struct wbi_outgoing *out, const struct wb_sizer *sizer, uint32_t releases)
{
    const struct wb_peer *peer = out->peer;
    uint32_t eager_bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    if (sizer->records == 0 &&
        wbi_plan_small(out->header.kind, sizer->bytes, releases, eager_bytes, &out->plan)) {
        return WB_OK;
    }
    struct wbi_plan_limits limits = {
        .whom = peer->url,
        .kind = out->header.kind,
        .key_bytes = atomic_load_explicit(&peer->key_bytes, memory_order_relaxed),
        .max_offers = peer->lane->caps->max_offers,
        .eager_bytes = eager_bytes};
    return wbi_plan_parcel(sizer, &limits, releases, &out->plan);
}

static bool is_one_way(const struct wbi_outgoing *out)
{
    return (out->header.flags & WBI_FLAG_ONE_WAY) != 0;
}

/* In the fabric's slot, which only works where nothing has to wait. */
static bool place_in_slot(struct wbi_outgoing *out)
{
    const struct wb_peer *peer = out->peer;
    /* it was laid out without the lane: a line's next channel may take less */
    bool fits = out->plan.bytes <= atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    return fits && wbi_outgoing_is_next(peer, (enum wbi_kind)out->header.kind, is_one_way(out)) &&
           peer->lane->fabric->reserve(peer->channel, out->plan.bytes, false, &out->message) ==
               WB_OK;
}

static int place_in_parcel(struct wbi_outgoing *out)
{
    struct wbi_parcels *parcels = &out->peer->lane->parcels;
    out->message = NULL;
    out->parcel = wbi_parcel_take(parcels, out->header.kind == WBI_REQUEST);
    if (out->parcel == NULL) {
        return wbi_error(WB_AGAIN, "%s: too many parcels wait for room", out->peer->url);
    }
    out->message = out->parcel->message;
    return WB_OK;
}

static int chunk_room(struct wbi_outgoing *out, const struct wb_sizer *sizer, bool may_grow)
{
    if (!out->plan.leased) {
        return WB_OK;
    }
    out->set = wbi_lease_set_new(out->peer->lane, sizer->records);
    if (out->set == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for the list of %u chunks", sizer->records);
    }
    if (!out->plan.long_archive) {
        return WB_OK;
    }
    if (out->long_block != NULL) {
        return wbi_rma_block_bytes(out->long_block) >= out->plan.archive_bytes
                   ? WB_OK
                   : WB_ERR_REPLY_TOO_LARGE;
    }
    struct wb_rma_allocator *pool = out->peer->lane->engine->allocator;
    int status = wbi_rma_alloc(pool, out->plan.archive_bytes, may_grow, &out->long_block);
    return status == WB_AGAIN && out->header.kind == WBI_REPLY
               ? wbi_plain_get(out->plan.archive_bytes, &out->plain)
               : status;
}

int wbi_outgoing_prepare(struct wbi_outgoing *out, const struct wb_sizer *sizer, bool may_grow)
{
    int status = lay_out(out, sizer, 0);
    status = status == WB_OK ? chunk_room(out, sizer, may_grow) : status;
    if (status != WB_OK) {
        wbi_outgoing_abandon(out);
    }
    return status;
}

/* A reply overtakes no release of its request's chunks: its caller would wait for that in vain as
 * soon as this program is busy elsewhere. True: nothing that waits would be overtaken. */
static bool releases_first(const struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    return out->header.kind != WBI_REPLY || peer->releases.count == 0 || peer->dying ||
           wbi_control_flush(peer);
}

/* In the fabric's slot, with the releases that wait on board. A parcel with chunks takes none: it
 * may have to move to a queue after its layout is fixed, and releases do not wait. */
static bool try_in_slot(struct wbi_outgoing *out, const struct wb_sizer *sizer)
{
    uint32_t waiting = out->peer->releases.count;
    bool boards = waiting > 0 && out->set == NULL;
    if ((!boards || waiting > WBI_RELEASES_ON_BOARD) && !releases_first(out)) {
        return false;
    }
    waiting = out->peer->releases.count;
    boards = boards && waiting > 0;
    if (boards) {
        lay_out(out, sizer, waiting < WBI_RELEASES_ON_BOARD ? waiting : WBI_RELEASES_ON_BOARD);
    }
    bool placed = place_in_slot(out);
    if (!placed && boards) {
        lay_out(out, sizer, 0);
    }
    return placed;
}

int wbi_outgoing_place(struct wbi_outgoing *out, const struct wb_sizer *sizer, bool in_lane,
                       struct wb_writer *writer)
{
    int status = in_lane && try_in_slot(out, sizer) ? WB_OK : place_in_parcel(out);
    if (status != WB_OK) {
        wbi_outgoing_abandon(out);
        return status;
    }
    uint8_t *archive = !out->plan.long_archive   ? out->message + out->plan.archive_at
                       : out->long_block != NULL ? wbi_rma_block_data(out->long_block)
                                                 : out->plain.data;
    wb_writer_start(writer, sizer->thresholds, archive, out->plan.archive_bytes,
                    out->set ? out->set->chunks : NULL, sizer->records);
    return WB_OK;
}

/* ---- written ---- */

int wbi_outgoing_written(struct wbi_outgoing *out, struct wb_writer *writer)
{
    int status = wb_writer_finish(writer);
    if (status == WB_OK && writer->chunk_count != out->plan.chunk_count) {
        status = WB_ERR_INVALID;
    }
    if (status != WB_OK) {
        return wbi_error(status, "%s: an argument changed while it was being packed",
                         out->peer->url);
    }
    if (out->set != NULL) {
        out->set->chunk_count = writer->chunk_count;
        wbi_lease_set_hold(out->set);
        if (out->long_block != NULL) {
            wbi_lease_set_add_own(out->set, out->long_block, out->plan.archive_bytes);
            out->long_block = NULL;
        } else if (out->plan.long_archive) {
            wbi_lease_set_add_plain(out->set, &out->plain, out->plan.archive_bytes);
        }
    }
    return WB_OK;
}

/* ---- send ---- */

/* Inline, with its one branch for chunks: calls without pay for no call here. */
static inline void sent(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    if (out->set != NULL) {
        out->set->sent = true;
        wbi_note_sent(peer, &out->header, out->plan.bytes);
    }
    if (out->header.kind == WBI_REPLY) {
        wbi_probe_reply(peer, out->header.call_id, out->plan.bytes);
    } else {
        wbi_peer_asked(peer, is_one_way(out));
        out->call->sent = true;
        out->call->set = out->set;
        if (out->set != NULL) {
            out->set->call = out->call;
        } else {
            wbi_call_sent(out->call);
        }
    }
    wbi_count(&peer->lane->counters.parcels_sent, 1);
}

/* The time in the queue is the call's. */
static void set_deadline(struct wbi_outgoing *out)
{
    uint64_t now = out->peer->lane->now;
    if (out->header.kind == WBI_REQUEST && out->call->deadline != 0) {
        uint64_t left = out->call->deadline > now ? out->call->deadline - now : 1;
        wbi_header_set_deadline(out->message, wbi_deadline_on_wire(left));
    }
}

/* From a parcel into the fabric's slot, if all that is needed is there. */
static int send_parcel(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    const struct wbi_fabric *fabric = peer->lane->fabric;
    if ((out->header.kind == WBI_REQUEST && !wbi_peer_may_ask(peer, is_one_way(out))) ||
        !releases_first(out)) {
        return WB_AGAIN;
    }
    int status = wbi_outgoing_seal(out);
    uint8_t *slot;
    if (status == WB_OK) {
        status = fabric->reserve(peer->channel, out->plan.bytes, false, &slot);
    }
    if (status == WB_OK) {
        set_deadline(out);
        peer->replies_waiting -= out->header.kind == WBI_REPLY; /* its credit goes along */
        wbi_header_set_credits(out->message, wbi_control_credits(peer));
        memcpy(slot, out->message, out->plan.bytes);
        fabric->send(peer->channel, out->plan.bytes);
        sent(out);
    }
    return status;
}

static void enqueue(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    struct wbi_parcel *parcel = out->parcel;
    struct wbi_parcel **at =
        out->header.kind == WBI_REPLY ? peer->replies_tail : peer->waiting_tail;
    parcel->out = *out;
    parcel->next = *at;
    *at = parcel;
    if (out->header.kind == WBI_REPLY) {
        peer->replies_tail = &parcel->next;
        peer->replies_waiting++;
    }
    if (parcel->next == NULL) {
        peer->waiting_tail = &parcel->next;
    }
    if (out->call != NULL) {
        out->call->out.parcel = parcel;
    }
    wbi_count(&peer->lane->counters.parcels_waited, 1);
    wbi_peer_busy(peer);
}

/* The message was written in the slot and cannot go: it moves into a parcel. */
static int move_to_parcel(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    struct wbi_parcel *parcel = wbi_parcel_take(&peer->lane->parcels, false);
    if (parcel != NULL) {
        memcpy(parcel->message, out->message, out->plan.bytes);
    }
    peer->lane->fabric->cancel(peer->channel);
    out->message = parcel != NULL ? parcel->message : NULL;
    out->parcel = parcel;
    return parcel != NULL
               ? WB_OK
               : wbi_error(WB_ERR_NO_MEMORY, "%s: no memory for a parcel that waits", peer->url);
}

/* A parcel that will never go: its call, or its channel, ends. What made it fail has left its words
 * (a chunk that cannot be offered), unless that is the end of the channel. Whoever waits for a
 * reply is told by another one, which needs no chunks and so can go. */
static void lose(struct wbi_outgoing *out, int status)
{
    const char *words = status != WB_ERR_NOT_SENT ? wb_last_error() : NULL;
    struct wb_call *call = out->call;
    bool is_reply = out->header.kind == WBI_REPLY;
    out->call = NULL;
    if (call != NULL) {
        call->out.parcel = NULL;
    }
    wbi_outgoing_abandon(out);
    if (call != NULL) {
        wbi_call_end(call, status, words);
    } else if (is_reply) {
        wbi_serve_error(out->peer, &out->header, status, 0, words);
    }
}

static bool send_in_place(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    int status = wbi_outgoing_seal(out);
    if (status == WB_OK) {
        wbi_header_set_credits(out->message, wbi_control_credits(peer));
        peer->lane->fabric->send(peer->channel, out->plan.bytes);
        sent(out);
        return true;
    }
    status = status == WB_AGAIN ? move_to_parcel(out) : status;
    if (status == WB_OK) {
        enqueue(out);
    } else {
        lose(out, status);
    }
    return false;
}

bool wbi_outgoing_send(struct wbi_outgoing *out)
{
    struct wb_peer *peer = out->peer;
    bool lost = out->parcel != NULL && wbi_line_is_lost(peer);
    if (lost || (out->header.kind == WBI_REQUEST && !wbi_line_takes(out))) {
        lose(out, WB_ERR_NOT_SENT);
        return false;
    }
    if (out->parcel == NULL) {
        return send_in_place(out);
    }
    enqueue(out);
    wbi_parcels_flush(peer);
    wbi_line_want(peer);
    return peer->waiting == NULL;
}

void wbi_outgoing_abandon(struct wbi_outgoing *out)
{
    struct wbi_lane *lane = out->peer->lane;
    if (out->set != NULL && !wbi_lease_set_withdraw(out->set)) {
        out->set->call = NULL;
    }
    out->set = NULL;
    if (out->long_block != NULL) {
        wbi_rma_block_unref(out->long_block);
        out->long_block = NULL;
    }
    wbi_plain_give(&out->plain);
    if (out->parcel != NULL) {
        wbi_parcel_give(&lane->parcels, out->parcel);
    } else if (out->message != NULL) {
        lane->fabric->cancel(out->peer->channel);
    }
    out->parcel = NULL;
    out->message = NULL;
}

/* The first waiting parcel leaves the queue. */
static struct wbi_parcel *dequeue(struct wb_peer *peer)
{
    struct wbi_parcel *parcel = peer->waiting;
    peer->waiting = parcel->next;
    if (peer->waiting == NULL) {
        peer->waiting_tail = &peer->waiting;
    }
    if (peer->replies_tail == &parcel->next) {
        peer->replies_tail = &peer->waiting;
    }
    return parcel;
}

int wbi_parcels_flush(struct wb_peer *peer)
{
    int moved = 0;
    bool lost = wbi_line_is_lost(peer), open = lost || !peer->dying;
    while (open && peer->waiting != NULL) {
        struct wbi_parcel *parcel = peer->waiting;
        bool disowned = parcel->out.header.kind == WBI_REQUEST && parcel->out.call == NULL;
        int status = lost || disowned ? WB_ERR_NOT_SENT : send_parcel(&parcel->out);
        if (status == WB_AGAIN) {
            break;
        }
        dequeue(peer);
        moved++;
        struct wbi_outgoing out = parcel->out;
        if (status == WB_OK) {
            if (out.call != NULL) {
                out.call->out.parcel = NULL;
            }
            wbi_parcel_give(&peer->lane->parcels, parcel);
        } else {
            peer->replies_waiting -= out.header.kind == WBI_REPLY;
            lose(&out, status);
        }
    }
    return moved;
}
