/*
 * Progress. A hot channel's ring is looked at in every poll; a cold one's when its doorbell rings
 * (attention.c). The doorbells lie where any peer can spoil them, so every few milliseconds
 * everything is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/shm/lane.h"

enum {
    MESSAGES_A_TURN = 64, /* of one channel, before the next has its turn */
    POLLS_A_LOOK = 64,    /* how often the clock is read; */
    IDLE_POLL_WEIGHT = 8, /* an idle poll counts as so many: a program may poll seldom */
    LOOK_US = 5000,       /* housekeeping, when nothing is in a hurry */
    HURRY_US = 100,       /* while a connection or a mapping is being made */
};

/* ---- messages ---- */

static void free_room(struct wbi_channel *channel, uint32_t len)
{
    if (wbi_shm_ring_consume(&channel->in, len) &&
        atomic_load(&channel->theirs.head->starved.word) != 0) {
        wbi_shm_notify(channel);
    }
}

/* A small message is copied with what is behind it, a whole line: that takes no call of memcpy, and
 * leaves no two stores in which a later load would overlap. `end`: of the ring. */
static void copy(uint8_t *slot, const struct wbi_shm_message *message, const uint8_t *end)
{
    if (message->len <= WBI_SHM_GRANULE && message->payload + WBI_SHM_GRANULE <= end) {
        memcpy(slot, message->payload, WBI_SHM_GRANULE);
    } else {
        memcpy(slot, message->payload, message->len);
    }
}

static inline bool deliver_data(struct wbi_channel *channel, const struct wbi_shm_message *message)
{
    struct wbi_fabric_lane *lane = channel->lane;
    uint8_t *slot = lane->slot ? lane->slot : lane->events.take_slot(lane->owner);
    if (!slot) {
        lane->slotless = true;
        return false;
    }
    copy(slot, message, channel->in.base + channel->in.bytes);
    free_room(channel, message->len);
    lane->slot = lane->events.on_message(channel->owner, slot, message->len) ? NULL : slot;
    return true;
}

static __attribute__((noinline)) bool deliver_request(struct wbi_channel *channel,
                                                      const struct wbi_shm_message *message)
{
    const char *why;
    int status = wbi_shm_stage_wish(&channel->server, message->payload, message->len, &why);
    if (status != WB_OK) {
        wbi_shm_doom(channel, status, false, "the peer %s", why);
        return false;
    }
    free_room(channel, message->len);
    wbi_shm_stage_begin(channel);
    return true;
}

/* Whether messages are still delivered: the channel may end in any callback. */
static bool delivers(const struct wbi_channel *channel)
{
    return channel->state == WBI_SHM_OPEN && (channel->doom == WB_OK || channel->doom_drains);
}

static __attribute__((noinline)) void doom_rubbish(struct wbi_channel *channel, int status)
{
    wbi_shm_doom(channel, status, false, "the peer wrote rubbish into its message ring");
    channel->doom_drains = false;
}

/* Delivers what is in the ring. Returns the number of messages. Inline: it is what most polls are.
 */
static inline __attribute__((always_inline)) int receive_now(struct wbi_channel *channel)
{
    int done = 0;
    while (done < MESSAGES_A_TURN && delivers(channel)) {
        struct wbi_shm_message message;
        int there = wbi_shm_ring_peek(&channel->in, channel->lane->eager_bytes, &message);
        if (there < 0) {
            doom_rubbish(channel, there);
            break;
        }
        if (there == 0) {
            wbi_shm_ring_settle(&channel->in);
            break;
        }
        bool taken = message.kind == WBI_SHM_DATA ? deliver_data(channel, &message)
                                                  : deliver_request(channel, &message);
        if (!taken) {
            break;
        }
        done++;
    }
    if (done > 0) {
        channel->last_active = channel->lane->polls;
    }
    return done;
}

static int receive(struct wbi_channel *channel)
{
    return receive_now(channel);
}

static int poll_hot(struct wbi_fabric_lane *lane)
{
    int done = 0;
    /* Downwards: a channel that leaves is replaced by the last one, which had its turn. */
    for (unsigned i = lane->hot_count; i-- > 0;) {
        if (i < lane->hot_count) {
            done += receive_now(lane->hot[i]);
        }
    }
    return done;
}

/* A channel that is not polled directly may have something. */
static int visit(struct wbi_channel *channel)
{
    if (channel->state != WBI_SHM_OPEN) {
        return 0;
    }
    int done = receive(channel);
    if (channel->state == WBI_SHM_OPEN && channel->hot_place < 0 &&
        wbi_shm_ring_ready(&channel->in)) {
        channel->lane->sweep = true;
    }
    return done;
}

static int answer_doorbells(struct wbi_fabric_lane *lane)
{
    int done = 0;
    for (uint32_t word = 0; word * 64 < lane->index_end; word++) {
        if (atomic_load_explicit(&lane->page->doorbells[word], memory_order_relaxed) == 0) {
            continue;
        }
        uint64_t bits = atomic_exchange(&lane->page->doorbells[word], 0);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(bits);
            struct wbi_channel *channel = index < lane->max_channels ? lane->channels[index] : NULL;
            if (channel && channel->state == WBI_SHM_OPEN) {
                wbi_shm_warm(channel);
                done += 1 + visit(channel);
            }
        }
    }
    return done;
}

static int sweep(struct wbi_fabric_lane *lane)
{
    int done = 0;
    lane->sweep = false;
    for (uint32_t i = 0; i < lane->index_end; i++) {
        if (lane->channels[i] && lane->channels[i]->hot_place < 0) {
            done += visit(lane->channels[i]);
        }
    }
    return done;
}

/* Moves what is staged, one channel after the other, about a slice each way in all. */
static int move_staged(struct wbi_fabric_lane *lane)
{
    int done = 0;
    uint64_t taken = WBI_SHM_SLICE;
    uint64_t served = WBI_SHM_SLICE;
    unsigned turns = 0; /* once round at most: any of them may be closed meanwhile */
    for (struct wbi_shm_list *at = lane->staging.next; at != &lane->staging; at = at->next) {
        turns++;
    }
    struct wbi_shm_list *node;
    while (turns-- > 0 && (node = wbi_shm_list_pop(&lane->staging)) != NULL) {
        struct wbi_channel *channel = WBI_SHM_OF(node, struct wbi_channel, staging);
        if (channel->doom == WB_OK) {
            done += wbi_shm_stage_serve(channel, &served);
            done += wbi_shm_stage_receive(channel, &taken);
        }
        if (channel->state == WBI_SHM_OPEN && wbi_shm_stage_busy(channel)) {
            wbi_shm_stage_begin(channel);
        }
    }
    node = wbi_shm_list_pop(&lane->staging);
    if (node) { /* another one comes first next time */
        wbi_shm_list_append(&lane->staging, node);
    }
    return done;
}

/* ---- now and then ---- */

/* Reads the clock and does what is due. */
static int look(struct wbi_fabric_lane *lane)
{
    bool idle = wbi_shm_list_empty(&lane->staging) && !lane->woken;
    uint64_t now = idle ? wbi_rough_now(&lane->clock) : wbi_true_now(&lane->clock);
    lane->now = now;
    lane->awake = lane->awake != 0 ? lane->awake : now;
    struct wbi_shm_list *at = lane->staging.next;
    for (; at != &lane->staging; at = at->next) {
        wbi_shm_stage_check_stall(WBI_SHM_OF(at, struct wbi_channel, staging), now);
    }
    int done = 0;
    if (now - lane->swept >= LOOK_US) {
        lane->swept = now;
        done += sweep(lane);
        wbi_shm_review_promises(lane);
    }
    if (lane->woken || now - lane->looked >= (lane->hurry ? HURRY_US : LOOK_US)) {
        lane->woken = false;
        done += wbi_shm_keep_house(lane);
    }
    return done;
}

/* Tells the owners of doomed channels. Returns the number of things done. */
static int tell_doomed(struct wbi_fabric_lane *lane)
{
    int done = 0;
    for (uint32_t i = 0; i < lane->index_end && lane->doomed > 0; i++) {
        struct wbi_channel *channel = lane->channels[i];
        if (!channel || channel->doom == WB_OK || channel->state > WBI_SHM_OPEN) {
            continue;
        }
        if (channel->doom_drains) {
            done += receive(channel);
            if (channel->state == WBI_SHM_OPEN && channel->doom_drains &&
                wbi_shm_ring_ready(&channel->in)) {
                continue;
            }
        }
        if (channel->state <= WBI_SHM_OPEN) {
            wbi_shm_lose(channel);
            done++;
        }
    }
    return done;
}

static void free_graves(struct wbi_fabric_lane *lane)
{
    while (lane->graves) {
        void *memory = lane->graves->grave;
        lane->graves = lane->graves->next_grave;
        free(memory);
    }
}

/* ---- polling and sleeping ---- */

static void disarm(struct wbi_fabric_lane *lane)
{
    atomic_store(&lane->page->armed.word, 0);
    wbi_shm_set_hot_attention(lane, WBI_SHM_HOT);
    lane->armed = false;
    lane->awake = 0;
}

/* What is under way but messages, and what is due now and then. */
static __attribute__((noinline)) int do_the_rest(struct wbi_fabric_lane *lane)
{
    int done = answer_doorbells(lane);
    if (lane->sweep) {
        done += sweep(lane);
    }
    if (lane->unlooked >= POLLS_A_LOOK || lane->woken) {
        lane->unlooked = 0;
        done += look(lane);
    }
    if (!wbi_shm_list_empty(&lane->staging)) {
        done += move_staged(lane);
    }
    if (lane->reads.first) {
        done += wbi_shm_reads_move(lane);
    }
    if (lane->doomed > 0) {
        done += tell_doomed(lane);
    }
    return done;
}

/* The doorbells that have been rung, of any channels. */
static inline uint64_t rung(const struct wbi_fabric_lane *lane)
{
    uint64_t bits = atomic_load_explicit(&lane->page->doorbells[0], memory_order_relaxed);
    for (uint32_t word = 1; word * 64 < lane->index_end; word++) {
        bits |= atomic_load_explicit(&lane->page->doorbells[word], memory_order_relaxed);
    }
    return bits;
}

/* Asked as one, and not one after the other, since it is seldom so. */
static inline bool has_more_to_do(const struct wbi_fabric_lane *lane)
{
    uint64_t any = rung(lane) | lane->doomed | (uint64_t)(lane->sweep | lane->woken);
    any |= (uintptr_t)lane->reads.first;
    return any != 0 || lane->unlooked >= POLLS_A_LOOK || !wbi_shm_list_empty(&lane->staging);
}

/* Most polls find nothing, or one message, and are worth a few loads. */
int wbi_shm_lane_poll(struct wbi_fabric_lane *lane)
{
    lane->polling = true;
    lane->slotless = false;
    lane->polls++;
    if (lane->armed) {
        disarm(lane);
        lane->woken = true; /* what woke us must not be readable for ever */
    }
    int done = poll_hot(lane);
    lane->unlooked += done > 0 ? 1 : IDLE_POLL_WEIGHT;
    if (has_more_to_do(lane)) {
        done += do_the_rest(lane);
    }
    lane->polling = false;
    if (lane->graves) {
        free_graves(lane);
    }
    return done;
}

/* Whether a poll would do something now. */
static bool has_anything(struct wbi_fabric_lane *lane)
{
    for (uint32_t word = 0; word * 64 < lane->index_end; word++) {
        if (atomic_load(&lane->page->doorbells[word]) != 0) {
            return true;
        }
    }
    for (unsigned i = 0; i < lane->hot_count; i++) {
        if (wbi_shm_has_work(lane->hot[i])) {
            return true;
        }
    }
    for (struct wbi_shm_list *at = lane->staging.next; at != &lane->staging; at = at->next) {
        if (wbi_shm_stage_ready(WBI_SHM_OF(at, struct wbi_channel, staging))) {
            return true;
        }
    }
    if (wbi_shm_has_arrivals(lane)) {
        return true;
    }
    /* What waits for a slot alone is the engine's to wake us for. */
    return ((lane->sweep || lane->doomed > 0) && !lane->slotless) || wbi_shm_reads_ready(lane);
}

int wbi_shm_lane_arm(struct wbi_fabric_lane *lane)
{
    if (!wbi_shm_promises_nothing(lane)) {
        return WB_AGAIN; /* awake for a moment more, with nothing to do */
    }
    wbi_shm_set_hot_attention(lane, WBI_SHM_COLD);
    atomic_store(&lane->page->armed.word, 1);
    if (has_anything(lane)) {
        disarm(lane);
        lane->woken |= wbi_shm_has_arrivals(lane);
        return WB_AGAIN;
    }
    lane->armed = true;
    return WB_OK;
}
