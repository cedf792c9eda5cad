/* Housekeeping: what the descriptors report, connections that linger, slabs that come and go. Off
 * the hot path. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/shm/lane.h"

enum {
    VISIT_US = 1000000, /* how long a connection may go without a hello */
    EVENTS_A_LOOK = 64
};

static int take_event(struct wbi_fabric_lane *lane, const struct wbi_shm_watch *watch, uint64_t now)
{
    eventfd_t count;
    struct wbi_channel *channel = watch->self;
    if (!watch->self) {
        return 0; /* closed by an earlier event of the batch */
    }
    switch (watch->kind) {
    case WBI_SHM_EVENT:
        eventfd_read(lane->event, &count);
        return 0;
    case WBI_SHM_LISTENER:
        return wbi_shm_listener_event(watch->self, now);
    case WBI_SHM_VISITOR:
        return wbi_shm_visitor_event(watch->self);
    case WBI_SHM_SOCKET:
        return wbi_shm_channel_drain(channel);
    case WBI_SHM_PROCESS:
        wbi_shm_channel_drain(channel); /* a farewell that came before the death says more */
        wbi_shm_channel_gone(channel);
        return 1;
    }
    return 0;
}

static int take_events(struct wbi_fabric_lane *lane, uint64_t now)
{
    struct epoll_event events[EVENTS_A_LOOK];
    int count = epoll_wait(lane->epoll, events, EVENTS_A_LOOK, 0);
    int done = 0;
    for (int i = 0; i < count; i++) {
        done += take_event(lane, events[i].data.ptr, now);
    }
    return done;
}

static void expire_visitors(struct wbi_fabric_lane *lane, uint64_t now)
{
    while (!wbi_shm_list_empty(&lane->visitors)) {
        struct wbi_shm_visitor *oldest =
            WBI_SHM_OF(lane->visitors.next, struct wbi_shm_visitor, node);
        if (now - oldest->since < VISIT_US) {
            break;
        }
        wbi_shm_visitor_close(oldest);
    }
}

/* The cold business of one channel. */
static int tend(struct wbi_channel *channel)
{
    if (channel->state == WBI_SHM_CONNECTING) {
        channel->lane->hurry = true;
        wbi_shm_dial(channel);
    }
    if (channel->state != WBI_SHM_OPEN || channel->doom != WB_OK) {
        return 0;
    }
    wbi_shm_link_flush(&channel->link);
    int done = wbi_shm_imports_settle(&channel->imports, channel->socket);
    if (done < 0) {
        wbi_shm_doom(channel, done, false, "a slab of the peer could not be mapped: %s",
                     "not enough memory or address space here");
        return 1;
    }
    channel->lane->hurry |= channel->imports.unsettled > 0;
    return done;
}

int wbi_shm_keep_house(struct wbi_fabric_lane *lane)
{
    lane->looked = lane->now;
    int done = take_events(lane, lane->now);
    expire_visitors(lane, lane->now);
    done += wbi_shm_take_arrivals(lane);
    lane->hurry = lane->visitor_count > 0 || wbi_shm_has_arrivals(lane);
    for (uint32_t i = 0; i < lane->index_end; i++) {
        if (lane->channels[i]) {
            done += tend(lane->channels[i]);
        }
    }
    return done;
}
