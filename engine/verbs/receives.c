#include "engine/verbs/receives.h"

void wbi_verbs_receives_open(struct wbi_verbs_queues *queues)
{
    struct wbi_verbs_spares *spares = &queues->spares;
    for (uint32_t i = 0; i < WBI_VERBS_SPARES; i++) {
        spares->sges[i] =
            (struct ibv_sge){.length = queues->lane->eager_bytes, .lkey = queues->receive_mr->lkey};
        spares->requests[i] = (struct ibv_recv_wr){
            .next = &spares->requests[i + 1], .sg_list = &spares->sges[i], .num_sge = 1};
    }
}

/* More spares, of the engine's slots. */
static __attribute__((noinline)) void take_spares(struct wbi_verbs_queues *queues, uint32_t wanted)
{
    struct wbi_fabric_lane *lane = queues->lane;
    while (queues->spares.count < wanted) {
        uint8_t *slot = lane->events.take_slot(lane->owner);
        if (slot == NULL) {
            break;
        }
        size_t index = (size_t)(slot - lane->slots.base) / lane->slots.stride;
        wbi_verbs_spare(queues, WBI_VERBS_RECEIVE | index, slot);
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

/* Posts the last of the spares as one list, to a queue pair of its own or (NULL) to the SRQ: as
 * many as there are and the engine gives, `most` at most. False: there are none, or the device
 * refuses some. */
static bool post(struct wbi_verbs_queues *queues, struct ibv_qp *own, uint32_t most,
                 uint16_t holder, uint32_t *posted)
{
    struct wbi_verbs_spares *spares = &queues->spares;
    most = most < WBI_VERBS_SPARES ? most : WBI_VERBS_SPARES;
    if (spares->count < most) {
        take_spares(queues, most);
    }
    uint32_t count = spares->count < most ? spares->count : most;
    if (count == 0) {
        return false;
    }
    struct ibv_recv_wr *last = &spares->requests[spares->count - 1], *first = last + 1 - count;
    for (struct ibv_recv_wr *at = first; at <= last; at++) {
        queues->holders[at->wr_id & ~WBI_VERBS_RECEIVE] = holder;
    }
    spares->count -= count;
    *posted += count;
    last->next = NULL;
    struct ibv_recv_wr *bad = NULL;
    int error =
        own != NULL ? ibv_post_recv(own, first, &bad) : ibv_post_srq_recv(queues->srq, first, &bad);
    if (error != 0) {
        give_back(queues, bad);
    }
    last->next = last + 1;
    return error == 0;
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
    bool posts = true;
    while (posts && channel->posted < channel->receives) {
        posts = post(channel->queues, channel->qp, channel->receives - channel->posted,
                     (uint16_t)(channel->index + 1), &channel->posted);
    }
    return posts;
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

/* All spares: of devices whose queue pairs have receives of their own, another may need them. */
static void return_spares(struct wbi_verbs_queues *queues)
{
    struct wbi_fabric_lane *lane = queues->lane;
    while (queues->spares.count > 0) {
        uint64_t address = queues->spares.sges[--queues->spares.count].addr;
        lane->events.return_slot(lane->owner, (uint8_t *)(uintptr_t)address);
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
    return_spares(channel->queues);
}

/* ---- shared ---- */

void wbi_verbs_refill(struct wbi_verbs_queues *queues)
{
    if (queues->thirsty != NULL) {
        fill_thirsty(queues);
    }
    bool posts = true;
    while (posts && queues->posted < queues->target) {
        posts =
            post(queues, NULL, queues->target - queues->posted, WBI_VERBS_SHARED, &queues->posted);
    }
}

void wbi_verbs_shared_reclaim(struct wbi_verbs_queues *queues)
{
    struct wbi_fabric_lane *lane = queues->lane;
    return_spares(queues);
    for (uint32_t i = 0; i < lane->slots.count && queues->posted > 0; i++) {
        if (queues->holders[i] == WBI_VERBS_SHARED) {
            lane->events.return_slot(lane->owner, wbi_verbs_unpost(queues, i));
        }
    }
}
