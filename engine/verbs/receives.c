#include "engine/verbs/receives.h"

enum { BATCH = 32 }; /* receives posted as one list */

struct batch {
    uint32_t count;
    struct ibv_recv_wr wrs[BATCH];
    struct ibv_sge sges[BATCH];
};

/* As many as the engine gives, `most` at most, linked. */
static void gather(struct wbi_verbs_queues *queues, uint32_t most, struct batch *batch)
{
    struct wbi_fabric_lane *lane = queues->lane;
    uint32_t count = 0, length = lane->eager_bytes, lkey = queues->receive_mr->lkey;
    most = most < BATCH ? most : BATCH;
    for (; count < most; count++) {
        uint8_t *slot = lane->events.take_slot(lane->owner);
        if (slot == NULL) {
            break;
        }
        size_t index = (size_t)(slot - lane->slots.base) / lane->slots.stride;
        struct ibv_sge *sge = &batch->sges[count];
        struct ibv_recv_wr *wr = &batch->wrs[count];
        *sge = (struct ibv_sge){.addr = (uintptr_t)slot, .length = length, .lkey = lkey};
        *wr = (struct ibv_recv_wr){
            .wr_id = WBI_VERBS_RECEIVE | index, .next = wr + 1, .sg_list = sge, .num_sge = 1};
    }
    batch->count = count;
    if (count > 0) {
        batch->wrs[count - 1].next = NULL;
    }
}

static void hold(struct wbi_verbs_queues *queues, const struct batch *batch, uint16_t holder)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        queues->holders[batch->wrs[i].wr_id & ~WBI_VERBS_RECEIVE] = holder;
    }
}

/* What the device did not take. */
static void give_back(struct wbi_verbs_queues *queues, const struct ibv_recv_wr *bad)
{
    struct wbi_fabric_lane *lane = queues->lane;
    for (; bad != NULL; bad = bad->next) {
        lane->events.return_slot(lane->owner, wbi_verbs_unpost(queues, bad->wr_id));
    }
}

/* ---- of a queue pair's own ---- */

static void add_thirsty(struct wbi_channel *channel)
{
    if (!channel->thirsty && channel->posted + WBI_VERBS_LATE_OWN < channel->receives) {
        channel->thirsty = true;
        channel->next_thirsty = channel->queues->thirsty;
        channel->queues->thirsty = channel;
    }
}

/* False: not all, for now. */
static bool fill(struct wbi_channel *channel)
{
    struct batch batch;
    struct ibv_recv_wr *bad;
    while (channel->posted < channel->receives) {
        gather(channel->queues, channel->receives - channel->posted, &batch);
        if (batch.count == 0) {
            return false;
        }
        hold(channel->queues, &batch, (uint16_t)(channel->index + 1));
        channel->posted += batch.count;
        if (ibv_post_recv(channel->qp, batch.wrs, &bad) != 0) {
            give_back(channel->queues, bad);
            return false;
        }
    }
    return true;
}

static void fill_thirsty(struct wbi_verbs_queues *queues)
{
    struct wbi_channel *channel = queues->thirsty;
    queues->thirsty = NULL;
    while (channel != NULL) {
        struct wbi_channel *next = channel->next_thirsty;
        channel->thirsty = false;
        if (!fill(channel)) {
            add_thirsty(channel);
        }
        channel = next;
    }
}

void wbi_verbs_receive_ended(struct wbi_verbs_queues *queues, size_t index)
{
    struct wbi_channel *channel = queues->lane->by_index[queues->holders[index] - 1];
    queues->holders[index] = 0;
    channel->posted--;
    add_thirsty(channel);
}

void wbi_verbs_receives_begin(struct wbi_channel *channel, uint32_t receives)
{
    channel->receives = receives;
    if (!fill(channel)) {
        add_thirsty(channel);
    }
}

void wbi_verbs_receives_stop(struct wbi_channel *channel)
{
    struct wbi_channel **at = &channel->queues->thirsty;
    channel->receives = 0;
    while (channel->thirsty && *at != channel) {
        at = &(*at)->next_thirsty;
    }
    if (channel->thirsty) {
        *at = channel->next_thirsty;
        channel->thirsty = false;
    }
}

void wbi_verbs_receives_reclaim(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    for (uint32_t i = 0; i < lane->slots.count && channel->posted > 0; i++) {
        if (channel->queues->holders[i] == channel->index + 1) {
            lane->events.return_slot(lane->owner, wbi_verbs_unpost(channel->queues, i));
        }
    }
}

/* ---- shared ---- */

void wbi_verbs_refill(struct wbi_verbs_queues *queues)
{
    struct batch batch;
    struct ibv_recv_wr *bad;
    if (queues->thirsty != NULL) {
        fill_thirsty(queues);
    }
    while (queues->posted < queues->target) {
        gather(queues, queues->target - queues->posted, &batch);
        if (batch.count == 0) {
            return;
        }
        hold(queues, &batch, WBI_VERBS_SHARED);
        queues->posted += batch.count;
        if (ibv_post_srq_recv(queues->srq, batch.wrs, &bad) != 0) {
            give_back(queues, bad);
            return;
        }
    }
}

void wbi_verbs_shared_reclaim(struct wbi_verbs_queues *queues)
{
    struct wbi_fabric_lane *lane = queues->lane;
    for (uint32_t i = 0; i < lane->slots.count && queues->posted > 0; i++) {
        if (queues->holders[i] == WBI_VERBS_SHARED) {
            lane->events.return_slot(lane->owner, wbi_verbs_unpost(queues, i));
        }
    }
}
