#include "engine/verbs/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/clock.h"

int wbi_verbs_watch(struct wbi_fabric_lane *lane, int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    return epoll_ctl(lane->epoll, EPOLL_CTL_ADD, fd, &event) == 0
               ? WB_OK
               : wbi_error(WB_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
}

/* The connection manager's events, on a descriptor that does not block. */
static int open_cm(struct wbi_fabric_lane *lane)
{
    lane->cm = wbi_verbs_cm_open();
    if (lane->cm == NULL) {
        return WB_ERR_SYSTEM;
    }
    if (!wbi_verbs_unblock(lane->cm->fd)) {
        return wbi_error(WB_ERR_SYSTEM, "the connection manager's descriptor: %s", strerror(errno));
    }
    return wbi_verbs_watch(lane, lane->cm->fd, WBI_VERBS_WATCH_CM);
}

static int open_descriptors(struct wbi_fabric_lane *lane)
{
    lane->epoll = epoll_create1(EPOLL_CLOEXEC);
    lane->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->epoll < 0 || lane->event < 0) {
        return wbi_error(WB_ERR_SYSTEM, "no descriptors for a lane: %s", strerror(errno));
    }
    int status = wbi_verbs_watch(lane, lane->event, WBI_VERBS_WATCH_EVENT);
    for (unsigned i = 0; i < lane->domain->device_count && status == WB_OK; i++) {
        status = wbi_verbs_watch(lane, lane->domain->devices[i].context->async_fd,
                                 WBI_VERBS_WATCH_DEVICE + i);
    }
    return status == WB_OK ? open_cm(lane) : status;
}

int wbi_verbs_lane_open(struct wbi_domain *domain, const struct wbi_lane_config *config,
                        const struct wbi_fabric_events *events, void *lane_owner,
                        struct wbi_fabric_lane **out)
{
    struct wbi_fabric_lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a lane");
    }
    lane->domain = domain;
    lane->events = *events;
    lane->owner = lane_owner;
    lane->slots = config->slots;
    lane->receives = config->receives;
    lane->eager_bytes = config->eager_bytes;
    lane->max_channels = config->max_channels;
    lane->liveness_us = config->liveness_us;
    lane->now = wbi_true_now(&lane->clock);
    lane->at_once.sge.addr = (uintptr_t)lane->at_once.message;
    lane->at_once.request = (struct ibv_send_wr){
        .opcode = IBV_WR_SEND_WITH_IMM, .sg_list = &lane->at_once.sge, .num_sge = 1};
    lane->epoll = lane->event = -1;
    lane->by_index = calloc(config->max_channels, sizeof(struct wbi_channel *));
    int status =
        lane->by_index != NULL ? WB_OK : wbi_error(WB_ERR_NO_MEMORY, "no memory for a lane");
    if (status == WB_OK) {
        status =
            wbi_verbs_send_slots_open(&lane->send_slots, config->eager_bytes, config->max_channels);
    }
    status = status == WB_OK ? open_descriptors(lane) : status;
    if (status != WB_OK) {
        wbi_verbs_lane_close(lane);
        return status;
    }
    *out = lane;
    return WB_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void wbi_verbs_lane_close(struct wbi_fabric_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    while (lane->channels != NULL) {
        wbi_verbs_close(lane->channels);
    }
    wbi_verbs_listeners_close(lane);
    wbi_verbs_drop_arrivals(lane);
    for (unsigned i = 0; i < lane->domain->device_count; i++) {
        wbi_verbs_queues_close(&lane->queues[i]);
    }
    wbi_verbs_orphans_reap(&lane->orphans, true);
    if (lane->cm != NULL) {
        rdma_destroy_event_channel(lane->cm);
    }
    close_fd(lane->event);
    close_fd(lane->epoll);
    wbi_verbs_send_slots_close(&lane->send_slots);
    free(lane->by_index);
    free(lane);
}

int wbi_verbs_lane_fd(const struct wbi_fabric_lane *lane)
{
    return lane->epoll;
}

void wbi_verbs_lane_wake(struct wbi_fabric_lane *lane)
{
    eventfd_write(lane->event, 1);
}

void wbi_verbs_lane_count(const struct wbi_fabric_lane *lane, struct wbi_fabric_counters *counters)
{
    counters->read_requests = wbi_counted(&lane->read_requests);
    counters->reads_peak = wbi_counted(&lane->reads_peak);
    counters->rail_reads = wbi_counted(&lane->rail_reads);
    counters->probes = wbi_counted(&lane->probes);
    counters->bundles = wbi_counted(&lane->bundles);
    counters->bundled = wbi_counted(&lane->bundled);
}
