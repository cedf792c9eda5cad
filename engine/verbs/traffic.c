/*
 * Messages. Each carries 32 bits of immediate data, the link's own protocol, which sees to it that
 * control messages, which take no credit of the engine's, never find the peer without a receive:
 *
 *   bits 0 to 15   receipts: control messages that we have had from you, modulo 2^16
 *   bit 16         this is a control message
 *   bit 17         this is nothing but receipts
 *   others         zero
 *
 * At most two control messages may lack a receipt. Receipts ride on any message; they go alone when
 * both of the peer's are due; so at most one such message is under way, and three slots a channel
 * are enough. See docs/wire-format.md.
 */
#include <arpa/inet.h>

#include "engine/verbs/lane.h"

enum { RECEIPTS = 0xffff, IS_CONTROL = 1 << 16, IS_RECEIPT = 1 << 17 };

/* ---- sending ---- */

static bool can_send(const struct wbi_channel *channel)
{
    return channel->state == WBI_VERBS_OPEN && channel->established && channel->doom == WB_OK;
}

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

/* What is kept back holds slots, which inline messages give back when they are posted. Out of the
 * way of those who find one at once. */
static __attribute__((noinline)) uint8_t *take_slot_of_posted(struct wbi_channel *channel)
{
    wbi_verbs_post_ready(channel->lane);
    /* receipts may have gone along and taken places */
    return can_send(channel) && has_room(channel, false) ? take_slot(channel) : NULL;
}

int wbi_verbs_reserve(struct wbi_channel *channel, size_t bytes, bool control, uint8_t **slot)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (!can_send(channel) || !has_room(channel, control)) {
        return WB_AGAIN;
    }
    if (bytes > (control ? WBI_CONTROL_ROOM : lane->eager_bytes)) {
        return wbi_error(WB_ERR_INVALID, "a message of %zu bytes is longer than this channel takes",
                         bytes);
    }
    channel->reserved_control = control;
    channel->reserved =
        control ? wbi_verbs_control_block(&lane->send_slots, channel->index, channel->controls_sent)
                : take_slot(channel);
    if (__builtin_expect(channel->reserved == NULL, 0)) {
        channel->reserved = take_slot_of_posted(channel);
        if (channel->reserved == NULL) {
            return WB_AGAIN;
        }
    }
    *slot = channel->reserved;
    return WB_OK;
}

void wbi_verbs_cancel(struct wbi_channel *channel)
{
    if (!channel->reserved_control) {
        wbi_verbs_send_slot_give(&channel->lane->send_slots, &channel->sends.slots_used,
                                 channel->reserved);
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

void wbi_verbs_send(struct wbi_channel *channel, size_t bytes)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    bool control = channel->reserved_control;
    struct wbi_verbs_work *work =
        wbi_verbs_work_add(queue, control ? WBI_VERBS_CONTROL : WBI_VERBS_SEND);
    work->sge = (struct ibv_sge){.addr = (uintptr_t)channel->reserved,
                                 .length = (uint32_t)bytes,
                                 .lkey = channel->queues->send_mr->lkey};
    work->sge_count = 1;
    bool in_line = bytes <= queue->inline_bytes;
    bool signalled = control;
    work->immediate = htonl(receipts(channel) | (control ? IS_CONTROL : 0U));
    if (control) {
        channel->controls_sent++;
    } else {
        work->slot = channel->reserved;
        signalled = wants_signal(queue, in_line);
        queue->sends_in_flight++;
    }
    work->flags = (signalled ? IBV_SEND_SIGNALED : 0U) | (in_line ? IBV_SEND_INLINE : 0U);
    channel->reserved = NULL;
    wbi_verbs_ready(channel);
}

/* Both of the peer's control messages wait for their receipts: it can send no other. */
static bool owes_receipts(const struct wbi_channel *channel)
{
    return (uint16_t)(channel->controls_heard - channel->controls_told) >= WBI_VERBS_CONTROL_WINDOW;
}

static void send_receipts(struct wbi_channel *channel)
{
    struct wbi_verbs_work *work =
        can_send(channel) ? wbi_verbs_work_add(&channel->sends, WBI_VERBS_CONTROL) : NULL;
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
    if (!can_send(channel) || channel->sends.sends_in_flight == 0) {
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
    const struct wbi_verbs_send_queue *queue = &channel->sends;
    if (channel->lane->gathering && queue->queued - queue->posted < WBI_VERBS_LIST) {
        wbi_verbs_ready_soon(channel);
    } else {
        wbi_verbs_work_post(channel);
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
    bool control = (immediate & IS_CONTROL) != 0, receipt = (immediate & IS_RECEIPT) != 0;
    if ((immediate & ~(uint32_t)(RECEIPTS | IS_CONTROL | IS_RECEIPT)) != 0 ||
        (control && receipt)) {
        return "sent immediate data that mean nothing";
    }
    if ((uint16_t)(told - channel->controls_receipted) > unreceipted(channel)) {
        return "sent receipts for control messages that it did not get";
    }
    channel->controls_receipted = told;
    if (receipt != (wc->byte_len == 0)) {
        return "sent an empty message, or receipts with bytes";
    }
    if (control) {
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

void wbi_verbs_take_message(struct wbi_channel *channel, uint8_t *slot, const struct ibv_wc *wc)
{
    struct wbi_fabric_lane *lane = channel->lane;
    channel->heard = lane->now;
    const char *wrong = take_immediate(channel, wc);
    if (wrong != NULL) {
        wbi_verbs_doom(channel, WB_ERR_PROTOCOL, "%s", wrong);
        channel->deaf = true;
    }
    if (wrong != NULL || wc->byte_len == 0) {
        lane->events.return_slot(lane->owner, slot);
    } else {
        lane->events.on_message(channel->owner, slot, wc->byte_len);
    }
}
