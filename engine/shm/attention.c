/*
 * Which channels the lane looks at by itself, and what their peers are told of that.
 *
 * No wake-up is lost: who publishes does so with sequential consistency and then loads attention
 * and armed; who goes to sleep stores attention and armed with sequential consistency and then
 * loads what may have been published. Only messages are published without, to a peer that has
 * promised to stay awake for STORE_US after it has taken that back: CPUs do not keep a store back,
 * and it is seen within a microsecond even where its line is fought for. (Morrison and Afek,
 * "Temporally bounding TSO for fence-free asymmetric synchronization", 2015, who have interrupts
 * see to that. A barrier on all CPUs that run waybill's processes would do without time,
 * MEMBARRIER_CMD_GLOBAL_EXPEDITED, but Linux 6.18 leaves out those that had run the process before
 * it registered.)
 */
#include "engine/clock.h"
#include "engine/shm/lane.h"

enum {
    COLD_AFTER_POLLS = 4096, /* empty ones, before a hot place can be lost to another channel */
    PROMISE_US = 5000,       /* awake, before more of that is promised: */
    STORE_US = 500           /* far longer than any store takes to be seen */
};

static void set_attention(struct wbi_channel *channel, enum wbi_shm_attention attention)
{
    channel->attention = attention;
    atomic_store(&channel->mine.head->attention.word, attention);
}

void wbi_shm_set_hot_attention(struct wbi_fabric_lane *lane, enum wbi_shm_attention attention)
{
    for (unsigned i = 0; i < lane->hot_count; i++) {
        set_attention(lane->hot[i], attention);
    }
}

/* Whether nothing has come on it for so long that it may lose its place. */
static bool is_idle(const struct wbi_channel *channel)
{
    return channel->lane->polls - channel->last_active > COLD_AFTER_POLLS;
}

void wbi_shm_promise(struct wbi_fabric_lane *lane)
{
    for (unsigned i = 0; i < lane->hot_count; i++) {
        if (!is_idle(lane->hot[i]) && lane->hot[i]->attention != WBI_SHM_PROMISED) {
            set_attention(lane->hot[i], WBI_SHM_PROMISED);
            lane->promised = true;
        }
    }
}

bool wbi_shm_promises_nothing(struct wbi_fabric_lane *lane)
{
    if (!lane->promised && lane->withdrawn == 0) {
        return true;
    }
    if (lane->promised) {
        wbi_shm_set_hot_attention(lane, WBI_SHM_HOT);
        lane->promised = false;
        lane->awake = 0;
        lane->withdrawn = wbi_true_now(&lane->clock); /* and not before, however long that took */
        return false;
    }
    if (wbi_true_now(&lane->clock) - lane->withdrawn < STORE_US) {
        return false;
    }
    lane->withdrawn = 0;
    return true;
}

bool wbi_shm_has_work(struct wbi_channel *channel)
{
    if (channel->state != WBI_SHM_OPEN) {
        return false;
    }
    return (!channel->lane->slotless && wbi_shm_ring_ready(&channel->in)) ||
           (channel->starved && wbi_shm_ring_moved(&channel->out)) || wbi_shm_stage_ready(channel);
}

void wbi_shm_cool(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (channel->hot_place < 0) {
        return;
    }
    struct wbi_channel *moved = lane->hot[--lane->hot_count];
    lane->hot[channel->hot_place] = moved;
    moved->hot_place = channel->hot_place;
    channel->hot_place = -1;
    set_attention(channel, WBI_SHM_COLD);
    if (wbi_shm_has_work(channel)) {
        lane->sweep = true;
    }
}

void wbi_shm_review_promises(struct wbi_fabric_lane *lane)
{
    unsigned in_use = 0;
    for (unsigned i = 0; i < lane->hot_count; i++) {
        in_use += !is_idle(lane->hot[i]);
    }
    bool gives_way = lane->refused && in_use < lane->hot_count;
    lane->refused = false;
    if (in_use == 0 || gives_way) {
        wbi_shm_promises_nothing(lane);
    } else if (lane->now - lane->awake >= PROMISE_US) {
        wbi_shm_promise(lane);
    }
}

static void make_room(struct wbi_fabric_lane *lane)
{
    for (unsigned i = 0; i < lane->hot_count; i++) {
        if (is_idle(lane->hot[i])) {
            if (wbi_shm_promises_nothing(lane)) {
                wbi_shm_cool(lane->hot[i]);
            }
            return;
        }
    }
}

void wbi_shm_warm(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (channel->hot_place >= 0) {
        return;
    }
    if (lane->hot_count == WBI_SHM_HOT_CHANNELS) {
        make_room(lane);
    }
    if (lane->hot_count < WBI_SHM_HOT_CHANNELS) {
        channel->hot_place = (int)lane->hot_count;
        lane->hot[lane->hot_count++] = channel;
        channel->last_active = lane->polls;
        set_attention(channel, WBI_SHM_HOT);
    } else {
        lane->refused = true;
    }
}
