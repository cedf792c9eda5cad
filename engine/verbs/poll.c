/* Progress: completions first, then what descriptors report now and then, then what was queued. */
#include "engine/clock.h"
#include "engine/verbs/explain.h"
#include "engine/verbs/rails.h"
#include "engine/verbs/receives.h"

enum {
    COMPLETIONS = 16,     /* taken at once */
    ROUNDS = 4,           /* of as many parcels a turn */
    POLLS_A_LOOK = 32,    /* how often the clock is read; */
    IDLE_POLL_WEIGHT = 8, /* an idle poll counts as so many: a program may poll seldom */
    LOOK_US = 1000,       /* housekeeping, when nothing is in a hurry */
    HURRY_US = 50,        /* while a connection is being made */
};

/* ---- completions ---- */

/* What devices say of a message that is longer than the receive: by the specification a length
 * error, Soft-RoCE calls it an operation error. */
static bool is_too_long(enum ibv_wc_status status)
{
    return status == IBV_WC_LOC_LEN_ERR || status == IBV_WC_LOC_QP_OP_ERR;
}

static __attribute__((noinline)) void on_failed_receive(struct wbi_channel *channel,
                                                        const struct ibv_wc *wc)
{
    if (wc->status == IBV_WC_WR_FLUSH_ERR) { /* of a queue pair's own: something else came first */
        wbi_verbs_device_events(channel->lane, channel->queues->device);
    }
    bool too_long = is_too_long(wc->status);
    wbi_verbs_doom(channel, too_long ? WB_ERR_PROTOCOL : WB_ERR_PEER_LOST,
                   "a receive of %u bytes failed: %s (%s)", channel->lane->eager_bytes,
                   too_long ? "the peer sent more bytes than it may"
                            : wbi_verbs_wc_words(wc->status),
                   ibv_wc_status_str(wc->status));
}

/* Returns the parcels that came; 1 where it was none. */
static uint32_t on_receive(struct wbi_verbs_queues *queues, const struct ibv_wc *wc)
{
    struct wbi_fabric_lane *lane = queues->lane;
    uint8_t *slot = wbi_verbs_unpost(queues, wc->wr_id);
    struct wbi_channel *channel = wbi_verbs_map_find(queues, wc->qp_num);
    if (channel == NULL || channel->state != WBI_VERBS_OPEN || channel->deaf) {
        lane->events.return_slot(lane->owner, slot); /* of one that was closed */
        return 1;
    }
    if (wc->status != IBV_WC_SUCCESS) {
        on_failed_receive(channel, wc);
        lane->events.return_slot(lane->owner, slot);
        return 1;
    }
    if (!channel->established) {
        wbi_verbs_channel_establish_by_data(channel);
    }
    return wbi_verbs_take_message(channel, slot, wc);
}

/* Apart: there is one for several messages. */
static __attribute__((noinline)) void on_work(struct wbi_verbs_queues *queues,
                                              const struct ibv_wc *wc)
{
    struct wbi_channel *channel = wbi_verbs_map_find(queues, wc->qp_num);
    if (channel == NULL || channel->state != WBI_VERBS_OPEN) {
        return; /* close() ends, or has ended, what it had */
    }
    if (wc->status != IBV_WC_SUCCESS) {
        wbi_verbs_work_failed(channel, wc);
        return;
    }
    channel->heard = queues->lane->now; /* the peer's device has answered */
    wbi_verbs_work_complete(channel, wc->wr_id);
}

static void refill_if_due(struct wbi_verbs_queues *queues)
{
    if (wbi_verbs_refill_is_due(queues)) {
        wbi_verbs_refill(queues);
    }
}

/* Takes a batch of completions. Replies do not wait for more handlers than a batch of messages has:
 * a bundle is as many as it has parcels. Returns the completions, and parcels beyond those. */
static inline int take_all(struct wbi_verbs_queues *queues, const struct ibv_wc *wcs, int count)
{
    uint32_t done = 0, posted = 0;
    for (const struct ibv_wc *wc = wcs, *end = wcs + count; wc < end; wc++) {
        if ((wc->wr_id & WBI_VERBS_RECEIVE) == 0) {
            on_work(queues, wc);
            done++;
            continue;
        }
        uint32_t parcels = on_receive(queues, wc);
        done += parcels;
        if (__builtin_expect(parcels > 1, 0) && done - posted >= COMPLETIONS) {
            posted = done;
            refill_if_due(queues);
            wbi_verbs_post_ready(queues->lane);
        }
    }
    return (int)done;
}

/* Takes completions; *dry is cleared where more may be waiting. Inline: it is what a poll is. */
static inline __attribute__((always_inline)) int poll_queues(struct wbi_verbs_queues *queues,
                                                             bool *dry)
{
    struct ibv_wc wcs[COMPLETIONS];
    int done = 0;
    while (done < COMPLETIONS * ROUNDS) {
        bool stashed = queues->stash_end > 0; /* what is left of it says nothing of the CQ */
        int count = wbi_verbs_next(queues, wcs, COMPLETIONS);
        if (count < 0) {
            wbi_verbs_doom_device(queues->lane, queues->device, "its completions cannot be read");
            return done;
        }
        done += take_all(queues, wcs, count);
        queues->taken += (uint64_t)count;
        refill_if_due(queues);              /* before credits for these receives go out */
        wbi_verbs_post_ready(queues->lane); /* replies do not wait for the next ones' handlers */
        if (count < COMPLETIONS && !stashed) {
            return done;
        }
    }
    *dry = false;
    return done;
}

/* ---- a turn ---- */

/* Tells the ends of channels whose messages have all been delivered: the CQs are dry, or have
 * turned over since. */
static int lose_doomed(struct wbi_fabric_lane *lane, bool dry)
{
    int done = 0;
    struct wbi_channel *next;
    for (struct wbi_channel *channel = lane->channels; channel != NULL; channel = next) {
        next = channel->next;
        bool heard = dry || channel->queues == NULL || channel->main != NULL ||
                     channel->queues->taken - channel->doomed_at > channel->queues->entries;
        if (channel->doom != WB_OK && !channel->told && heard) {
            wbi_verbs_lose(channel);
            done++;
        }
    }
    return done;
}

static bool is_time_to_look(struct wbi_fabric_lane *lane, int done)
{
    /* one with bundles may have been many handlers */
    lane->polls += done > 0 ? 1 + (unsigned)done / (COMPLETIONS * ROUNDS) : IDLE_POLL_WEIGHT;
    if (lane->polls < POLLS_A_LOOK && !lane->woken) {
        return false;
    }
    lane->polls = 0;
    lane->now = wbi_now();
    bool look =
        lane->woken || lane->now - lane->looked >= (lane->dialling > 0 ? HURRY_US : LOOK_US);
    lane->woken = false;
    return look;
}

/* What is seldom due: ends of channels, and what descriptors report. Polling the queues has left
 * nothing to be posted but what this makes. */
static __attribute__((noinline)) int do_the_rest(struct wbi_fabric_lane *lane, bool look, bool dry)
{
    int done = lane->doomed > 0 ? lose_doomed(lane, dry) : 0;
    if (lane->stranded > 0) {
        wbi_verbs_rails_rescue(lane);
    }
    if (look) {
        done += wbi_verbs_keep_house(lane);
    }
    wbi_verbs_post_ready(lane);
    for (unsigned i = 0; i < lane->domain->device_count; i++) {
        if (lane->queues[i].device != NULL) {
            refill_if_due(&lane->queues[i]);
        }
    }
    return done;
}

int wbi_verbs_lane_poll(struct wbi_fabric_lane *lane)
{
    int done = 0;
    bool dry = true;
    lane->gathering = true;
    lane->woken |= lane->armed;
    lane->armed = false;
    wbi_verbs_post_ready(lane); /* what was begun since the last poll */
    struct wbi_verbs_queues *end = lane->queues + lane->domain->device_count;
    for (struct wbi_verbs_queues *queues = lane->queues; queues < end; queues++) {
        if (queues->device != NULL) {
            done += poll_queues(queues, &dry);
        }
    }
    bool look = is_time_to_look(lane, done);
    if (look || (lane->doomed | lane->stranded) != 0) {
        done += do_the_rest(lane, look, dry);
    }
    lane->gathering = false;
    return done;
}

/* ---- sleeping ---- */

/* Whether a completion came since the last poll: it is kept for the next. */
static bool has_completion(struct wbi_verbs_queues *queues)
{
    struct ibv_wc wc;
    if (queues->stash_end > 0) {
        return true;
    }
    if (ibv_poll_cq(queues->cq, 1, &wc) > 0) {
        wbi_verbs_stash(queues, &wc);
        return true;
    }
    return false;
}

int wbi_verbs_lane_arm(struct wbi_fabric_lane *lane)
{
    wbi_verbs_post_ready(lane);
    bool busy = lane->doomed > 0 || lane->stranded > 0 || wbi_verbs_has_arrivals(lane) ||
                atomic_load(&lane->reported);
    for (unsigned i = 0; i < lane->domain->device_count; i++) {
        struct wbi_verbs_queues *queues = &lane->queues[i];
        busy |= queues->device != NULL && queues->deaths != atomic_load(&queues->device->deaths);
        if (queues->device != NULL && !busy) {
            wbi_verbs_refill(queues);
            busy = ibv_req_notify_cq(queues->cq, 0) != 0 || has_completion(queues);
        }
    }
    lane->armed = true; /* in part at least: the next poll takes what it has caused */
    return busy ? WB_AGAIN : WB_OK;
}
