#include "engine/shm/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/clock.h"

int wbi_shm_watch(struct wbi_fabric_lane *lane, int fd, struct wbi_shm_watch *watch)
{
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = watch};
    if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    }
    return WB_OK;
}

void wbi_shm_unwatch(struct wbi_fabric_lane *lane, int fd)
{
    if (fd >= 0) {
        /* Fails where it was unwatched before, which is as good. */
        epoll_ctl(lane->epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event){0});
    }
}

void wbi_shm_bury(struct wbi_fabric_lane *lane, struct wbi_shm_watch *watch, void *memory)
{
    if (!lane->polling) {
        free(memory);
        return;
    }
    watch->grave = memory;
    watch->next_grave = lane->graves;
    lane->graves = watch;
}

static int open_page(struct wbi_fabric_lane *lane)
{
    int status = wbi_shm_mapping_create("waybill-lane", WBI_SHM_LANE_PAGE,
                                        F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
                                        &lane->page_mapping, &lane->page_fd);
    if (status == WB_OK) {
        lane->page = (struct wbi_shm_lane_page *)(void *)lane->page_mapping->base;
    }
    return status;
}

static int open_descriptors(struct wbi_fabric_lane *lane)
{
    lane->epoll = epoll_create1(EPOLL_CLOEXEC);
    lane->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lane->epoll < 0 || lane->event < 0) {
        return wbi_error(WB_ERR_SYSTEM, "no descriptor for a lane: %s", strerror(errno));
    }
    lane->event_watch = (struct wbi_shm_watch){.kind = WBI_SHM_EVENT, .self = lane};
    return wbi_shm_watch(lane, lane->event, &lane->event_watch);
}

int wbi_shm_lane_open(struct wbi_domain *domain, const struct wbi_lane_config *config,
                      const struct wbi_fabric_events *events, void *lane_owner,
                      struct wbi_fabric_lane **out)
{
    if (config->max_channels < 1 || config->max_channels > WBI_SHM_MAX_CHANNELS ||
        config->eager_bytes < WBI_SHM_GRANULE || config->eager_bytes > WBI_SHM_MAX_EAGER) {
        return wbi_error(WB_ERR_INVALID,
                         "shm takes 1 to %d channels and eager messages of %d to %d bytes",
                         WBI_SHM_MAX_CHANNELS, WBI_SHM_GRANULE, WBI_SHM_MAX_EAGER);
    }
    struct wbi_fabric_lane *lane = calloc(1, sizeof *lane);
    if (!lane) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a lane");
    }
    lane->domain = domain;
    lane->events = *events;
    lane->owner = lane_owner;
    lane->eager_bytes = config->eager_bytes;
    lane->max_channels = config->max_channels;
    lane->page_fd = lane->epoll = lane->event = -1;
    wbi_shm_list_init(&lane->staging);
    wbi_shm_list_init(&lane->listeners);
    wbi_shm_list_init(&lane->visitors);
    int status = WB_ERR_NO_MEMORY;
    lane->channels = calloc(lane->max_channels, sizeof *lane->channels);
    if (lane->channels) {
        status = open_page(lane);
    }
    if (status == WB_OK) {
        status = open_descriptors(lane);
    }
    if (status != WB_OK) {
        wbi_shm_lane_close(lane);
        return status;
    }
    lane->now = lane->looked = lane->swept = wbi_true_now(&lane->clock);
    *out = lane;
    return WB_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void wbi_shm_lane_close(struct wbi_fabric_lane *lane)
{
    if (!lane) {
        return;
    }
    while (lane->index_end > 0) {
        wbi_shm_channel_close(lane->channels[lane->index_end - 1]);
    }
    while (!wbi_shm_list_empty(&lane->listeners)) {
        wbi_shm_listener_close(WBI_SHM_OF(lane->listeners.next, struct wbi_shm_listener, node));
    }
    while (!wbi_shm_list_empty(&lane->visitors)) {
        wbi_shm_visitor_close(WBI_SHM_OF(lane->visitors.next, struct wbi_shm_visitor, node));
    }
    wbi_shm_drop_arrivals(lane);
    if (lane->slot) {
        lane->events.return_slot(lane->owner, lane->slot);
    }
    close_fd(lane->event);
    close_fd(lane->epoll);
    close_fd(lane->page_fd);
    wbi_shm_mapping_drop(lane->page_mapping);
    free(lane->channels);
    free(lane);
}

int wbi_shm_lane_fd(const struct wbi_fabric_lane *lane)
{
    return lane->epoll;
}

void wbi_shm_lane_wake(struct wbi_fabric_lane *lane)
{
    eventfd_write(lane->event, 1);
}
