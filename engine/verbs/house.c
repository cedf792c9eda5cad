/* Housekeeping: what the descriptors report, names that resolve, peers that are silent. Off the hot
 * path. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/verbs/explain.h"
#include "engine/verbs/rails.h"

enum {
    EVENTS_A_LOOK = 16,
    PROBE_LOOK_US = 100000,      /* silent channels are looked for that often, at most */
    ESTABLISH_US = 10 * 1000000, /* for a peer that we accepted to say that it is there */
    RAIL_DIAL_US = 10 * 1000000, /* for a rail to be connected */
};

/* ---- devices ---- */

void wbi_verbs_doom_device(struct wbi_fabric_lane *lane, const struct wbi_verbs_device *device,
                           const char *words)
{
    lane->queues[device - lane->domain->devices].broken = true;
    for (struct wbi_channel *channel = lane->channels; channel != NULL; channel = channel->next) {
        if (channel->queues != NULL && channel->queues->device == device) {
            wbi_verbs_doom(channel, WB_ERR_PEER_LOST, "%s: %s", device->name, words);
        }
    }
}

static void leave_word(struct wbi_fabric_lane *reader, struct wbi_fabric_lane *whose,
                       _Atomic uint32_t *reported, enum ibv_event_type type)
{
    atomic_fetch_or(reported, 1U << type);
    atomic_store(&whose->reported, true);
    if (whose != reader) {
        wbi_verbs_lane_wake(whose);
    }
}

/* What it is of lives: nothing of verbs is destroyed before its events are acknowledged. */
static void sort_event(struct wbi_fabric_lane *reader, struct wbi_verbs_device *device,
                       const struct ibv_async_event *event)
{
    struct wbi_channel *channel;
    struct wbi_verbs_queues *queues;
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_PATH_MIG:
    case IBV_EVENT_PATH_MIG_ERR:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
        channel = event->element.qp->qp_context;
        if (event->event_type == IBV_EVENT_QP_LAST_WQE_REACHED) {
            atomic_store(&device->tells_last_wqe, true); /* whatever it was thought to do */
        }
        leave_word(reader, channel->lane, &channel->reported, event->event_type);
        break;
    case IBV_EVENT_CQ_ERR:
    case IBV_EVENT_SRQ_ERR:
        queues = event->event_type == IBV_EVENT_CQ_ERR ? event->element.cq->cq_context
                                                       : event->element.srq->srq_context;
        leave_word(reader, queues->lane, &queues->reported, event->event_type);
        break;
    case IBV_EVENT_DEVICE_FATAL:
        atomic_fetch_add(&device->deaths, 1);
        break;
    default: /* ports that go and come: retries decide */
        break;
    }
}

/* The first of the events in `reported` for which there are words; or NULL. */
static const char *words_of(uint32_t reported)
{
    const char *words = NULL;
    for (; reported != 0 && words == NULL; reported &= reported - 1) {
        words = wbi_verbs_device_words((enum ibv_event_type)__builtin_ctz(reported));
    }
    return words;
}

static void take_channel_reports(struct wbi_channel *channel)
{
    static const uint32_t said = 1U << IBV_EVENT_QP_LAST_WQE_REACHED | 1U << IBV_EVENT_COMM_EST;
    uint32_t reported = atomic_exchange(&channel->reported, 0);
    const char *words = words_of(reported & ~said);
    if ((reported & 1U << IBV_EVENT_QP_LAST_WQE_REACHED) != 0) {
        channel->last_wqe = true;
    }
    if ((reported & 1U << IBV_EVENT_COMM_EST) != 0 && channel->state == WBI_VERBS_OPEN &&
        !channel->established) {
        wbi_verbs_channel_establish_by_data(channel);
    }
    if (words != NULL) {
        wbi_verbs_doom(channel, WB_ERR_PEER_LOST, "%s: %s", channel->queues->device->name, words);
    }
}

void wbi_verbs_take_queue_reports(struct wbi_verbs_queues *queues)
{
    const struct wbi_verbs_device *device = queues->device;
    if (device == NULL) {
        return;
    }
    const char *words = words_of(atomic_exchange(&queues->reported, 0));
    uint32_t deaths = atomic_load(&device->deaths);
    if (queues->deaths != deaths) {
        queues->deaths = deaths;
        words = wbi_verbs_device_words(IBV_EVENT_DEVICE_FATAL);
    }
    if (words != NULL) {
        wbi_verbs_doom_device(queues->lane, device, words);
    }
}

void wbi_verbs_take_reports(struct wbi_fabric_lane *lane)
{
    bool reported = atomic_exchange(&lane->reported, false);
    for (struct wbi_channel *channel = lane->channels; channel != NULL && reported;
         channel = channel->next) {
        take_channel_reports(channel);
    }
    for (unsigned i = 0; i < lane->domain->device_count; i++) {
        wbi_verbs_take_queue_reports(&lane->queues[i]);
    }
}

int wbi_verbs_device_events(struct wbi_fabric_lane *lane, struct wbi_verbs_device *device)
{
    struct ibv_async_event event;
    int done = 0;
    atomic_fetch_add(&device->readers, 1);
    for (; ibv_get_async_event(device->context, &event) == 0; done++) {
        sort_event(lane, device, &event);
        ibv_ack_async_event(&event);
    }
    atomic_fetch_sub(&device->readers, 1);
    wbi_verbs_take_reports(lane);
    return done;
}

/* ---- descriptors ---- */

static void take_completion_events(struct wbi_verbs_queues *queues)
{
    struct ibv_cq *cq;
    void *context;
    if (queues->completions == NULL) {
        return; /* they broke, and could not be made anew since this was reported */
    }
    while (ibv_get_cq_event(queues->completions, &cq, &context) == 0) {
        ibv_ack_cq_events(cq, 1);
    }
}

static int take_event(struct wbi_fabric_lane *lane, uint32_t tag)
{
    eventfd_t count;
    if (tag >= WBI_VERBS_WATCH_COMPLETIONS) {
        take_completion_events(&lane->queues[tag - WBI_VERBS_WATCH_COMPLETIONS]);
        return 0;
    }
    if (tag >= WBI_VERBS_WATCH_DEVICE) {
        return wbi_verbs_device_events(lane, &lane->domain->devices[tag - WBI_VERBS_WATCH_DEVICE]);
    }
    if (tag == WBI_VERBS_WATCH_CM) {
        return wbi_verbs_cm_events(lane);
    }
    eventfd_read(lane->event, &count);
    return 0;
}

/* ---- channels ---- */

/* The engine limits the time of a channel, and nobody else that of a rail. */
static void tend_dialling(struct wbi_channel *channel, uint64_t now)
{
    if (channel->main != NULL && channel->doom == WB_OK && now > channel->heard &&
        now - channel->heard > RAIL_DIAL_US) {
        wbi_verbs_doom(channel, WB_ERR_TIMED_OUT, "%s: no answer", channel->address.host);
    }
}

static void tend(struct wbi_channel *channel, uint64_t now)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (channel->state != WBI_VERBS_OPEN || channel->doom != WB_OK) {
        tend_dialling(channel, now);
        return;
    }
    uint64_t silence = now > channel->heard ? now - channel->heard : 0;
    if (channel->rails != NULL) {
        wbi_verbs_rails_tend(channel, now);
    }
    if (!channel->established) {
        if (silence > ESTABLISH_US) {
            wbi_verbs_doom(channel, WB_ERR_PEER_LOST, "it was accepted and never came");
        }
    } else if (silence >= lane->liveness_us && !channel->probing) {
        wbi_verbs_probe(channel);
    }
}

/* Names are asked for at every look, silent peers some times within their time. */
static void tend_channels(struct wbi_fabric_lane *lane)
{
    uint64_t interval =
        lane->liveness_us / 4 < PROBE_LOOK_US ? lane->liveness_us / 4 : PROBE_LOOK_US;
    bool dialling = lane->dialling + lane->rails_dialling > 0;
    for (struct wbi_channel *channel = lane->channels; channel != NULL && dialling;
         channel = channel->next) {
        if (channel->state == WBI_VERBS_LOOKUP && channel->doom == WB_OK &&
            channel->lookup != NULL) {
            wbi_verbs_dial_name(channel);
        }
    }
    if (lane->now - lane->probed < interval) {
        return;
    }
    lane->probed = lane->now;
    for (struct wbi_channel *channel = lane->channels; channel != NULL; channel = channel->next) {
        tend(channel, lane->now);
    }
}

int wbi_verbs_keep_house(struct wbi_fabric_lane *lane)
{
    struct epoll_event events[EVENTS_A_LOOK];
    int count = epoll_wait(lane->epoll, events, EVENTS_A_LOOK, 0);
    int done = 0;
    lane->looked = lane->now;
    for (int i = 0; i < count; i++) {
        done += take_event(lane, events[i].data.u32);
    }
    wbi_verbs_take_reports(lane);
    done += wbi_verbs_take_arrivals(lane);
    lane->woken |= wbi_verbs_has_arrivals(lane); /* soon again */
    tend_channels(lane);
    if (lane->orphans != NULL) {
        wbi_verbs_orphans_reap(&lane->orphans, false);
    }
    return done;
}
