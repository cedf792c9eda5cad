/*
 * Messages. Each carries 32 bits of immediate data, the link's own protocol, which sees to it that
 * control messages, which take no credit of the engine's, never find the peer without a receive:
 *
 *   bits 0 to 15   receipts: control messages that we have had from you, modulo 2^16
 *   bit 16         this is a control message
 *   bit 17         this is nothing but receipts
 *   bit 18         this is a bundle (engine/bundle.h)
 *   others         zero
 *
 * At most two control messages may lack a receipt. Receipts ride on any message; they go alone when
 * both of the peer's are due; so at most one such message is under way, and three slots a channel
 * are enough. See docs/wire-format.md.
 */
#include <arpa/inet.h>

#include "engine/bundle.h"
#include "engine/verbs/receives.h"

enum { RECEIPTS = 0xffff, IS_CONTROL = 1 << 16, IS_RECEIPT = 1 << 17, IS_BUNDLE = 1 << 18 };

/* ---- sending ---- */

static uint16_t unreceipted(const struct wbi_channel *channel)
{
    return (uint16_t)(channel->controls_sent - channel->controls_receipted);
}

static bool has_room(const struct wbi_channel *channel, bool control)
{
    const struct wbi_verbs_send_queue *queue = &channel->sends;
    uint64_t used = queue->queued - queue->done;
    return control ? used < queue->depth - 2 && unreceipted(channel) < WBI_VERBS_CONTROL_WINDOW
                   : used < queue->depth - WBI_VERBS_KEPT_WORKS &&
                         queue->sends_in_flight < queue->sends;
}

static uint8_t *take_slot(struct wbi_channel *channel)
{
    return wbi_verbs_send_slot_take(&channel->lane->send_slots, &channel->sends.slots_used);
}

/* A message begins in a slot of its own. */
static uint8_t *place_in(struct wbi_channel *channel, uint8_t *own)
{
    channel->reserved_as = WBI_VERBS_AS_MESSAGE;
    channel->reserved = own + WBI_BUNDLE_FRAME; /* others may join it */
    return channel->reserved;
}

/* What is kept back holds slots, which inline messages give back when they are posted. Out of the
 * way of those who find one at once. */
static __attribute__((noinline)) uint8_t *take_slot_of_posted(struct wbi_channel *channel)
{
    wbi_verbs_post_ready(channel->lane);
    /* receipts may have gone along and taken places */
    return channel->stands && has_room(channel, false) ? take_slot(channel) : NULL;
}

/* Behind what is queued, of a control message, or where something is short. */
static __attribute__((noinline)) int reserve_otherwise(struct wbi_channel *channel, size_t bytes,
                                                       bool control, uint8_t **slot)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (!channel->stands) {
        return WB_AGAIN;
    }
    if (bytes > (control ? WBI_CONTROL_ROOM : lane->eager_bytes)) {
        return wbi_error(WB_ERR_INVALID, "a message of %zu bytes is longer than this channel takes",
                         bytes);
    }
    if (channel->sends.queued != channel->sends.posted && !control &&
        wbi_verbs_bundle_reserve(channel, bytes)) {
        *slot = channel->reserved;
        return WB_OK;
    }
    if (!has_room(channel, control)) {
        return WB_AGAIN;
    }
    if (control) {
        channel->reserved_as = WBI_VERBS_AS_CONTROL;
        *slot = channel->reserved =
            wbi_verbs_control_block(&lane->send_slots, channel->index, channel->controls_sent);
        return WB_OK;
    }
    uint8_t *own = take_slot(channel);
    if (own == NULL) {
        own = take_slot_of_posted(channel);
    }
    if (own == NULL) {
        return WB_AGAIN;
    }
    *slot = place_in(channel, own);
    return WB_OK;
}

/* Most messages are alone, and short. */
int wbi_verbs_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot)
{
    struct wbi_fabric_lane *lane = channel->lane;
    const struct wbi_verbs_send_queue *queue = &channel->sends;
    if (control | lane->gathering | !channel->stands || bytes > queue->inline_bytes ||
        queue->queued != queue->posted || !has_room(channel, false)) {
        return reserve_otherwise(channel, bytes, control, slot);
    }
    channel->reserved_as = WBI_VERBS_AT_ONCE;
    *slot = lane->at_once.message;
    return WB_OK;
}

void wbi_verbs_cancel(struct wbi_channel *channel)
{
    if (channel->reserved_as == WBI_VERBS_AS_MESSAGE) {
        wbi_verbs_send_slot_give(&channel->lane->send_slots, &channel->sends.slots_used,
                                 channel->reserved - WBI_BUNDLE_FRAME);
    }
    channel->reserved = NULL;
}

/* Receipts for all that was heard. */
static uint32_t receipts(struct wbi_channel *channel)
{
    channel->controls_told = channel->controls_heard;
    return channel->controls_heard;
}

/* Signalled now and then, and where slots are short: what is idle then holds no shared one. */
static bool wants_signal(struct wbi_verbs_send_queue *queue, bool in_line)
{
    queue->unsignalled++;
    bool wanted = queue->unsignalled >= queue->signal_every ||
                  (!in_line && queue->slots_used >= WBI_VERBS_KEPT_SENDS);
    queue->unsignalled = wanted ? 0 : queue->unsignalled;
    return wanted;
}

static void send_control(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    struct wbi_verbs_work *work = wbi_verbs_work_add(queue, WBI_VERBS_CONTROL);
    work->sge = (struct ibv_sge){.addr = (uintptr_t)channel->reserved,
                                 .length = (uint32_t)bytes,
                                 .lkey = channel->queues->send_mr->lkey};
    work->sge_count = 1;
    work->immediate = htonl(receipts(channel) | IS_CONTROL);
    work->flags |= bytes <= queue->inline_bytes ? IBV_SEND_INLINE : 0U;
    channel->controls_sent++;
}

/* Another parcel is in the message that was queued last. */
static void send_in_bundle(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    struct wbi_verbs_work *work = wbi_verbs_bundle_add(channel, bytes);
    work->immediate = htonl(receipts(channel) | IS_BUNDLE);
    if (work->sge.length > queue->inline_bytes) {
        work->flags &= ~(unsigned)IBV_SEND_INLINE;
        if (queue->slots_used >= WBI_VERBS_KEPT_SENDS) {
            work->flags |= IBV_SEND_SIGNALED;
            queue->unsignalled = 0;
        }
    }
}

/* In a slot of its own; reserve has found room for it. */
static void send_message(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    struct wbi_verbs_work *work = wbi_verbs_work_next(queue, WBI_VERBS_SEND);
    work->sge = (struct ibv_sge){.addr = (uintptr_t)channel->reserved,
                                 .length = (uint32_t)bytes,
                                 .lkey = channel->queues->send_mr->lkey};
    work->sge_count = 1;
    work->parcels = 1;
    work->slot = channel->reserved - WBI_BUNDLE_FRAME;
    work->immediate = htonl(receipts(channel));
    bool in_line = bytes <= queue->inline_bytes;
    work->flags =
        (wants_signal(queue, in_line) ? IBV_SEND_SIGNALED : 0U) | (in_line ? IBV_SEND_INLINE : 0U);
    queue->sends_in_flight++;
}

static __attribute__((noinline)) void send_otherwise(struct wbi_channel *channel, size_t bytes)
{
    if (channel->reserved_as == WBI_VERBS_AS_CONTROL) {
        send_control(channel, bytes);
    } else if (channel->reserved_as == WBI_VERBS_AS_PART) {
        send_in_bundle(channel, bytes);
    } else {
        send_message(channel, bytes);
    }
    channel->reserved = NULL;
    wbi_verbs_ready(channel);
}

void wbi_verbs_send(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (channel->reserved_as != WBI_VERBS_AT_ONCE) {
        send_otherwise(channel, bytes);
        return;
    }
    struct ibv_send_wr *request = &lane->at_once.request, *bad = NULL;
    request->wr_id = wbi_verbs_work_at_once(&channel->sends, bytes);
    request->send_flags =
        wants_signal(&channel->sends, true) ? IBV_SEND_INLINE | IBV_SEND_SIGNALED : IBV_SEND_INLINE;
    request->imm_data = htonl(receipts(channel));
    lane->at_once.sge.length = (uint32_t)bytes;
    lane->gathering = lane->gathers; /* further ones may go together */
    int error = ibv_post_send(channel->qp, request, &bad);
    if (error != 0) {
        wbi_verbs_work_refused(channel, bad, error);
    }
}

/* Both of the peer's control messages wait for their receipts: it can send no other. */
static bool owes_receipts(const struct wbi_channel *channel)
{
    return (uint16_t)(channel->controls_heard - channel->controls_told) >= WBI_VERBS_CONTROL_WINDOW;
}

static void send_receipts(struct wbi_channel *channel)
{
    struct wbi_verbs_work *work =
        channel->stands ? wbi_verbs_work_add(&channel->sends, WBI_VERBS_CONTROL) : NULL;
    if (work != NULL) {
        work->immediate = htonl(receipts(channel) | IS_RECEIPT);
    }
}

void wbi_verbs_probe(struct wbi_channel *channel)
{
    struct wbi_verbs_work *work = wbi_verbs_work_add(&channel->sends, WBI_VERBS_PROBE);
    if (work != NULL) {
        channel->probing = true;
        wbi_count(&channel->lane->probes, 1);
        wbi_verbs_ready(channel);
    }
}

/* Most sends are not signalled: the end of a probe behind them speaks for them. */
bool wbi_verbs_arrived(struct wbi_channel *channel)
{
    if (!channel->stands || channel->sends.sends_in_flight == 0) {
        return true;
    }
    if (!channel->probing) {
        wbi_verbs_probe(channel);
    }
    return false;
}

/* ---- posting ---- */

void wbi_verbs_ready_soon(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (!channel->ready) {
        channel->ready = true;
        channel->next_ready = lane->ready;
        lane->ready = channel;
    }
}

void wbi_verbs_ready(struct wbi_channel *channel)
{
    if (channel->lane->gathering && ++channel->sends.kept_back < WBI_VERBS_LIST) {
        wbi_verbs_ready_soon(channel);
    } else {
        wbi_verbs_work_post(channel);
        channel->lane->gathering |= channel->lane->gathers;
    }
}

void wbi_verbs_post_all(struct wbi_fabric_lane *lane)
{
    while (lane->ready != NULL) {
        struct wbi_channel *channel = lane->ready;
        lane->ready = channel->next_ready;
        channel->ready = false;
        if (owes_receipts(channel)) {
            send_receipts(channel);
        }
        wbi_verbs_work_post(channel);
    }
}

void wbi_verbs_lane_gather(struct wbi_fabric_lane *lane)
{
    lane->gathering = true;
}

void wbi_verbs_lane_flush(struct wbi_fabric_lane *lane)
{
    lane->gathering = false;
    wbi_verbs_post_ready(lane);
}

/* ---- receiving ---- */

/* What the immediate data say; NULL, or what is wrong with them. */
static const char *take_immediate(struct wbi_channel *channel, const struct ibv_wc *wc)
{
    if ((wc->wc_flags & IBV_WC_WITH_IMM) == 0) {
        return "sent a message without immediate data";
    }
    uint32_t immediate = ntohl(wc->imm_data);
    uint16_t told = (uint16_t)(immediate & RECEIPTS);
    uint32_t is = immediate & ~(uint32_t)RECEIPTS;
    if (is != 0 && is != IS_CONTROL && is != IS_RECEIPT && is != IS_BUNDLE) {
        return "sent immediate data that mean nothing";
    }
    if ((uint16_t)(told - channel->controls_receipted) > unreceipted(channel)) {
        return "sent receipts for control messages that it did not get";
    }
    channel->controls_receipted = told;
    if ((is == IS_RECEIPT) != (wc->byte_len == 0)) {
        return "sent an empty message, or receipts with bytes";
    }
    if (is == IS_BUNDLE && channel->bundle_bytes == 0) {
        return "sent a bundle, on which nobody had agreed";
    }
    if (is == IS_CONTROL) {
        if (owes_receipts(channel)) {
            return "sent control messages without waiting for receipts";
        }
        channel->controls_heard++;
        if (owes_receipts(channel)) {
            wbi_verbs_ready_soon(channel);
        }
    }
    return NULL;
}

/* Whether it is a message like most: no control message, no bundle, and no receipt in it is new. */
static bool is_plain(const struct wbi_channel *channel, const struct ibv_wc *wc)
{
    return (wc->wc_flags & IBV_WC_WITH_IMM) != 0 &&
           ntohl(wc->imm_data) == channel->controls_receipted && wc->byte_len != 0;
}

/* Its slot is the device's again where the engine does not keep it. */
static inline void deliver(struct wbi_channel *channel, uint8_t *slot, const struct ibv_wc *wc)
{
    struct wbi_verbs_queues *queues = channel->queues;
    if (!channel->lane->events.on_message(channel->owner, slot, wc->byte_len)) {
        wbi_verbs_spare(queues, wc->wr_id, slot);
    }
}

static __attribute__((noinline)) uint32_t take_unlike(struct wbi_channel *channel, uint8_t *slot,
                                                      const struct ibv_wc *wc)
{
    struct wbi_fabric_lane *lane = channel->lane;
    const char *wrong = take_immediate(channel, wc);
    if (wrong != NULL) {
        wbi_verbs_doom(channel, WB_ERR_PROTOCOL, "%s", wrong);
        channel->deaf = true;
    }
    if (wrong != NULL || wc->byte_len == 0) {
        lane->events.return_slot(lane->owner, slot);
    } else if ((ntohl(wc->imm_data) & IS_BUNDLE) != 0) {
        return lane->events.on_bundle(channel->owner, slot, wc->byte_len);
    } else {
        deliver(channel, slot, wc);
    }
    return 1;
}

uint32_t wbi_verbs_take_message(struct wbi_channel *channel, uint8_t *slot, const struct ibv_wc *wc)
{
    channel->heard = channel->lane->now;
    if (is_plain(channel, wc)) {
        deliver(channel, slot, wc);
        return 1;
    }
    return take_unlike(channel, slot, wc);
}
