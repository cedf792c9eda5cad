#include "engine/defer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

/* ---- begins ---- */

static void list(struct wb_deferred *deferred, struct wbi_lane *lane)
{
    deferred->next = lane->deferred;
    if (lane->deferred != NULL) {
        lane->deferred->prev = deferred;
    }
    lane->deferred = deferred;
}

static void unlist(struct wb_deferred *deferred, struct wbi_lane *lane)
{
    if (deferred->next != NULL) {
        deferred->next->prev = deferred->prev;
    }
    if (deferred->prev != NULL) {
        deferred->prev->next = deferred->next;
    } else {
        lane->deferred = deferred->next;
    }
}

int wbi_defer(struct wb_context *context, int parts, struct wb_deferred **out)
{
    struct wb_peer *peer = context->peer;
    struct wb_deferred *deferred = calloc(1, sizeof *deferred);
    struct wbi_inbound *in = deferred != NULL ? wbi_inbound_keep(context) : NULL;
    if (in == NULL) {
        free(deferred);
        return wbi_error(WB_ERR_NO_MEMORY, "%s: no memory to defer a call", peer->url);
    }
    *deferred = (struct wb_deferred){
        .header = *context->header, .reply_block = *context->reply_block, .in = in};
    if (peer->lane->latency != NULL) {
        deferred->begun_ns = wbi_now_ns();
    }
    peer->handles++;
    deferred->context = (struct wb_context){.peer = peer,
                                            .header = &deferred->header,
                                            .reply_block = &deferred->reply_block,
                                            .out.peer = peer,
                                            .later = deferred};
    *context->reply_block = NULL;
    atomic_init(&deferred->parts, parts);
    atomic_init(&deferred->ended, WB_OK);
    in->deferred = deferred;
    context->deferred = deferred;
    list(deferred, peer->lane);
    *out = deferred;
    return WB_OK;
}

int wb_context_defer(struct wb_context *context, struct wb_deferred **out)
{
    if (context->deferred != NULL) {
        return wbi_error(WB_ERR_INVALID, "%s: the call was deferred already", context->peer->url);
    }
    if (context->later != NULL) { /* on an executor: it is one already */
        struct wb_deferred *deferred = context->later;
        atomic_store_explicit(&deferred->parts, 2, memory_order_relaxed);
        context->deferred = deferred;
        *out = deferred;
        return WB_OK;
    }
    return wbi_defer(context, 2, out);
}

/* ---- settled: from whoever answers to the lane thread ---- */

static void settle(struct wb_deferred *deferred)
{
    struct wbi_lane *lane = deferred->context.peer->lane;
    deferred->next_settled = atomic_load_explicit(&lane->settled, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&lane->settled, &deferred->next_settled, deferred,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    wbi_lane_ask(lane, WBI_ASKED_TO_COLLECT);
}

void wbi_deferred_part(struct wb_deferred *deferred)
{
    if (atomic_fetch_sub_explicit(&deferred->parts, 1, memory_order_acq_rel) == 1) {
        settle(deferred);
    }
}

static void end(struct wb_deferred *deferred)
{
    struct wb_peer *peer = deferred->context.peer;
    unlist(deferred, peer->lane);
    if (deferred->in != NULL) { /* it is not to be run again */
        wbi_count(&peer->lane->counters.calls_served, deferred->entry != NULL);
        if (peer->lane->latency != NULL) {
            wbi_latency_handled(peer->lane->latency, deferred->begun_ns);
        }
        deferred->in->deferred = NULL;
        wbi_inbound_end(deferred->in);
    }
    if (deferred->reply_block != NULL) {
        wbi_rma_block_unref(deferred->reply_block);
    }
    wbi_lane_drain(peer->lane); /* a call back that was begun before the answer may name it */
    peer->handles--;
    wbi_peer_forget_buried(peer);
    free(deferred);
}

/* Somebody waits: the answer goes, with the credit that the request has held. */
static void answer(struct wb_deferred *deferred)
{
    struct wb_context *context = &deferred->context;
    bool credited = deferred->in->credited;
    wbi_inbound_return_credit(deferred->in);
    if (context->replied && context->out.parcel != NULL) {
        wbi_outgoing_send(&context->out);
    } else if (context->replied && !credited) {
        wbi_peer_busy(context->peer); /* it has gone, or none was wanted: the credit goes alone */
    } else if (!context->replied) {
        wbi_serve_failure(context, deferred->status);
    }
}

/* A handler on an executor that had no memory: as if it had been tried on the lane. */
static bool park_again(struct wb_deferred *deferred)
{
    struct wbi_inbound *in = deferred->in;
    if (deferred->entry == NULL || deferred->status != WB_AGAIN || deferred->context.replied) {
        return false;
    }
    in->reply_block = deferred->reply_block;
    deferred->reply_block = NULL;
    in->deferred = NULL;
    deferred->in = NULL;
    wbi_inbound_park(in);
    return true;
}

static void collect(struct wb_deferred *deferred)
{
    struct wbi_inbound *in = deferred->in;
    bool awaited = atomic_load_explicit(&deferred->ended, memory_order_relaxed) == WB_OK &&
                   in->peer != NULL && !in->peer->dying;
    if (!awaited) {
        wbi_outgoing_abandon(&deferred->context.out);
        if (in->peer != NULL) {
            wbi_inbound_return_credit(in);
            wbi_peer_busy(in->peer);
        }
    } else if (!park_again(deferred)) {
        answer(deferred);
    }
    end(deferred);
}

void wbi_deferred_collect(struct wbi_lane *lane)
{
    struct wb_deferred *newest =
        atomic_exchange_explicit(&lane->settled, NULL, memory_order_acquire);
    struct wb_deferred *oldest = NULL;
    while (newest != NULL) {
        struct wb_deferred *next = newest->next_settled;
        newest->next_settled = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct wb_deferred *next = oldest->next_settled;
        collect(oldest);
        oldest = next;
    }
}

/* ---- ends that are not its answer ---- */

void wbi_deferred_give_up(struct wbi_inbound *in, bool lost)
{
    struct wb_deferred *deferred = in->deferred;
    int status = lost ? WB_ERR_PEER_LOST : in->status;
    int nothing = WB_OK;
    if (deferred->sent) {
        return; /* only its end is still to come */
    }
    bool first = atomic_compare_exchange_strong(&deferred->ended, &nothing, status);
    if (first && !lost) {
        wbi_serve_error(in->peer, &in->header, status, 0, NULL);
    }
}

void wbi_deferred_end_all(struct wbi_lane *lane)
{
    wbi_deferred_collect(lane);
    struct wb_deferred *next;
    for (struct wb_deferred *deferred = lane->deferred; deferred != NULL; deferred = next) {
        next = deferred->next;
        wbi_outgoing_abandon(&deferred->context.out);
        end(deferred);
    }
}

int wb_deferred_status(const struct wb_deferred *deferred)
{
    return atomic_load_explicit(&deferred->ended, memory_order_acquire);
}

/* ---- the answer's steps, by whoever answers ---- */

void wb_deferred_fail(struct wb_deferred *deferred, int code, const char *format, ...)
{
    struct wb_context *context = &deferred->context;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context->text, sizeof context->text, format, arguments);
    va_end(arguments);
    deferred->status = code > 0 ? code : 1;
    wbi_deferred_part(deferred);
}

int wb_deferred_open(struct wb_deferred *deferred, struct wb_context **context)
{
    int status = wb_deferred_status(deferred);
    *context = &deferred->context;
    return status == WB_OK ? WB_OK
                           : wbi_error(status, "%s: nobody waits for this answer any more",
                                       deferred->context.peer->url);
}

int wb_deferred_close(struct wb_deferred *deferred, int status)
{
    deferred->status = status;
    wbi_deferred_part(deferred);
    return status;
}

bool wbi_deferred_enter(struct wb_context *context)
{
    enum wbi_entry_kind entry = wbi_lane_enter(context->peer->lane);
    context->entered = entry == WBI_LANE_ENTERED;
    return entry != WBI_LANE_BUSY;
}

void wbi_deferred_leave(struct wb_context *context)
{
    if (context->entered) {
        context->entered = false;
        wbi_lane_leave(context->peer->lane);
    }
}

void wbi_deferred_send(struct wb_context *context)
{
    struct wb_deferred *deferred = context->later;
    if (atomic_load_explicit(&deferred->parts, memory_order_acquire) == 1) {
        wbi_inbound_return_credit(deferred->in); /* nobody looks into its slot any more */
    }
    deferred->sent = true;
    wbi_outgoing_send(&context->out);
    context->out = (struct wbi_outgoing){.peer = context->peer}; /* it may wait in a parcel */
    wbi_deferred_leave(context);
}
