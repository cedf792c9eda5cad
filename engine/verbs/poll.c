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

/* Whether what is not a message of a channel that stands is one all the same; else its slot goes
 * back. */
static __attribute__((noinline)) bool is_message(struct wbi_verbs_queues *queues,
                                                 struct wbi_channel *channel, uint8_t *slot,
                                                 const struct ibv_wc *wc)
{
    struct wbi_fabric_lane *lane = queues->lane;
    bool closed = channel == NULL || channel->state != WBI_VERBS_OPEN || channel->deaf;
    if (closed || wc->status != IBV_WC_SUCCESS) {
        if (!closed) {
            on_failed_receive(channel, wc);
        }
        lane->events.return_slot(lane->owner, slot);
        return false;
    }
    if (!channel->established) {
        wbi_verbs_channel_establish_by_data(channel);
    }
    return true;
}

/* Returns the parcels that came; 1 where it was none. */
static inline __attribute__((always_inline)) uint32_t on_receive(struct wbi_verbs_queues *queues,
                                                                 const struct ibv_wc *wc)
{
    uint8_t *slot = wbi_verbs_unpost(queues, wc->wr_id);
    struct wbi_channel *channel = wbi_verbs_map_find(queues, wc->qp_num);
    bool usual = channel != NULL && channel->stands && wc->status == IBV_WC_SUCCESS;
    return usual || is_message(queues, channel, slot, wc)
               ? wbi_verbs_take_message(channel, slot, wc)
               : 1;
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

/* Takes a completion. Returns 1, or the parcels of a bundle. */
static inline __attribute__((always_inline)) uint32_t take(struct wbi_verbs_queues *queues,
                                                           const struct ibv_wc *wc)
{
    if ((wc->wr_id & WBI_VERBS_RECEIVE) != 0) {
        return on_receive(queues, wc);
    }
    on_work(queues, wc);
    return 1;
}

/* Takes a batch of completions. Replies do not wait for more handlers than a batch of messages has:
 * a bundle is as many as it has parcels. Returns the completions, and parcels beyond those. */
static int take_all(struct wbi_verbs_queues *queues, const struct ibv_wc *wcs, int count)
{
    uint32_t done = 0, posted = 0;
    for (const struct ibv_wc *wc = wcs, *end = wcs + count; wc < end; wc++) {
        uint32_t parcels = take(queues, wc);
        done += parcels;
        if (parcels > 1 && done - posted >= COMPLETIONS) {
            posted = done;
            refill_if_due(queues);
            wbi_verbs_post_ready(queues->lane);
        }
    }
    return (int)done;
}

/* Behind what was taken: receives come before credits for them go out, and replies do not wait for
 * the next ones' handlers. */
static inline void follow_up(struct wbi_verbs_queues *queues, int count)
{
    queues->taken += (uint64_t)count;
    refill_if_due(queues);
    wbi_verbs_post_ready(queues->lane);
}

/* The next completions: those that are kept for later come first, and say nothing of the CQ. */
static inline int next(struct wbi_verbs_queues *queues, struct ibv_wc *wcs, bool *kept)
{
    *kept = queues->stash_end > 0;
    return *kept ? wbi_verbs_unstash(queues, wcs, COMPLETIONS)
                 : ibv_poll_cq(queues->cq, COMPLETIONS, wcs);
}

/* Goes on with `count` completions, and those behind them; *dry is cleared where there may be more.
 * What is sent for several leaves together. */
static __attribute__((noinline)) int take_on(struct wbi_verbs_queues *queues, struct ibv_wc *wcs,
                                             int count, bool kept, bool *dry)
{
    int done = 0;
    while (count > 0) {
        queues->lane->gathering = true;
        done += take_all(queues, wcs, count);
        follow_up(queues, count);
        if (count < COMPLETIONS && !kept) {
            break;
        }
        if (done >= COMPLETIONS * ROUNDS) {
            *dry = false;
            break;
        }
        count = next(queues, wcs, &kept);
    }
    queues->lane->polls +=
        (unsigned)done / (COMPLETIONS * ROUNDS); /* with bundles, many handlers */
    if (count < 0) {
        wbi_verbs_doom_device(queues->lane, queues->device, "its completions cannot be read");
    }
    return done;
}

/* Takes completions; mostly there is none, or one, and what is sent for that leaves at once.
 * Inline: it is what a poll is. */
static inline __attribute__((always_inline)) int poll_queues(struct wbi_verbs_queues *queues,
                                                             bool *dry)
{
    struct ibv_wc wcs[COMPLETIONS];
    bool kept;
    int count = next(queues, wcs, &kept);
    if (__builtin_expect(count == 1 && !kept, 1)) {
        queues->lane->gathering = false;
        int done = (int)take(queues, wcs);
        follow_up(queues, 1);
        return done;
    }
    return count != 0 ? take_on(queues, wcs, count, kept, dry) : 0;
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

/* Whether it is time to read the clock. */
static inline bool is_time_to_read(struct wbi_fabric_lane *lane, int done)
{
    lane->polls += done > 0 ? 1 : IDLE_POLL_WEIGHT;
    return lane->polls >= POLLS_A_LOOK || lane->woken;
}

static __attribute__((noinline)) bool is_time_to_look(struct wbi_fabric_lane *lane)
{
    lane->polls = 0;
    lane->now = wbi_rough_now(&lane->clock);
    uint32_t limit = lane->dialling > 0 ? HURRY_US : LOOK_US;
    if (!lane->woken && lane->now - lane->looked < limit) {
        return false;
    }
    lane->woken = false;
    lane->now = wbi_true_now(&lane->clock);
    return true;
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
    for (struct wbi_verbs_queues *queues = lane->used; queues != NULL; queues = queues->next) {
        refill_if_due(queues);
    }
    return done;
}

int wbi_verbs_lane_poll(struct wbi_fabric_lane *lane)
{
    int done = 0;
    bool dry = true;
    lane->gathers = true;
    if (lane->armed) {
        lane->armed = false;
        lane->woken = true;
    }
    wbi_verbs_post_ready(lane); /* what was begun since the last poll */
    for (struct wbi_verbs_queues *queues = lane->used; queues != NULL; queues = queues->next) {
        done += poll_queues(queues, &dry);
    }
    bool look = is_time_to_read(lane, done) && is_time_to_look(lane);
    if (look || (lane->doomed | lane->stranded) != 0) {
        done += do_the_rest(lane, look, dry);
    }
    lane->gathering = lane->gathers = false;
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
    for (struct wbi_verbs_queues *queues = lane->used; queues != NULL; queues = queues->next) {
        busy |= queues->deaths != atomic_load(&queues->device->deaths);
        if (!busy) {
            wbi_verbs_refill(queues);
            busy = ibv_req_notify_cq(queues->cq, 0) != 0 || has_completion(queues);
        }
    }
    lane->armed = true; /* in part at least: the next poll takes what it has caused */
    return busy ? WB_AGAIN : WB_OK;
}
