/* Channels: made, equipped with a queue pair, opened, doomed, lost. (Their close: close.c.) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/verbs/lane.h"
#include "engine/verbs/qp.h"

int wbi_verbs_channel_new(struct wbi_fabric_lane *lane, void *owner, struct wbi_channel **out)
{
    uint32_t index = 0;
    if (lane->channel_count == lane->max_channels) {
        return wbi_error(WB_AGAIN, "the lane has %u channels already (max_peers)",
                         lane->max_channels);
    }
    while (lane->by_index[index] != NULL) {
        index++;
    }
    struct wbi_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a channel");
    }
    channel->lane = lane;
    channel->owner = owner;
    channel->index = index;
    channel->heard = wbi_now();
    channel->next = lane->channels;
    if (channel->next != NULL) {
        channel->next->prev = channel;
    }
    lane->channels = channel;
    lane->by_index[index] = channel;
    lane->channel_count++;
    lane->dialling++;
    *out = channel;
    return WB_OK;
}

int wbi_verbs_channel_equip(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    int number = wbi_verbs_device_of(lane->domain, channel->id);
    if (number < 0) {
        return wbi_error(WB_ERR_INVALID,
                         "the address is reached over a device that this engine does not use "
                         "(config.verbs.devices)");
    }
    int status = wbi_verbs_queues_open(lane, (unsigned)number);
    struct wbi_verbs_queues *queues = &lane->queues[number];
    if (status != WB_OK) {
        return status;
    }
    channel->queues = queues;
    wbi_verbs_send_queue_open(&channel->sends, queues->device->send_depth);
    return wbi_verbs_qp_create(channel);
}

void wbi_verbs_channel_open(struct wbi_channel *channel)
{
    channel->state = WBI_VERBS_OPEN;
    channel->heard = wbi_now();
    channel->lane->dialling--;
}

void wbi_verbs_channel_establish(struct wbi_channel *channel)
{
    channel->established = true;
    channel->heard = channel->lane->now;
}

void wbi_verbs_channel_establish_by_data(struct wbi_channel *channel)
{
    wbi_verbs_channel_establish(channel);
    rdma_notify(channel->id, IBV_EVENT_COMM_EST);
}

void wbi_verbs_doom(struct wbi_channel *channel, int status, const char *format, ...)
{
    if (channel->doom != WB_OK || channel->state == WBI_VERBS_LOST) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(channel->doom_reason, sizeof channel->doom_reason, format, arguments);
    va_end(arguments);
    channel->doom = status;
    channel->doomed_at = channel->queues != NULL ? channel->queues->taken : 0;
    channel->lane->doomed++;
}

void wbi_verbs_lose(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    lane->doomed--;
    lane->dialling -= channel->state == WBI_VERBS_LOOKUP || channel->state == WBI_VERBS_DIALLING;
    channel->state = WBI_VERBS_LOST;
    channel->told = true;
    lane->events.on_lost(channel->owner, channel->doom, channel->doom_reason, channel->refusal,
                         channel->refusal_len);
}
