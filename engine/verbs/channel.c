/* Channels: made, equipped with a queue pair, opened, doomed, lost. (Their close: close.c.) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/verbs/qp.h"
#include "engine/verbs/rails.h"

/* What only a channel has, and no rail. */
static void take_index(struct wbi_fabric_lane *lane, struct wbi_channel *channel)
{
    while (lane->by_index[channel->index] != NULL) {
        channel->index++;
    }
    lane->by_index[channel->index] = channel;
    lane->channel_count++;
}

int wbi_verbs_channel_new(struct wbi_fabric_lane *lane, void *owner, struct wbi_channel *main,
                          struct wbi_channel **out)
{
    if (main == NULL && lane->channel_count == lane->max_channels) {
        return wbi_error(WB_AGAIN, "the lane has %u channels already (max_peers)",
                         lane->max_channels);
    }
    struct wbi_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a channel");
    }
    channel->lane = lane;
    channel->owner = owner;
    channel->main = main;
    channel->heard = wbi_now();
    channel->next = lane->channels;
    if (channel->next != NULL) {
        channel->next->prev = channel;
    }
    lane->channels = channel;
    wbi_verbs_count_dialling(channel, 1);
    if (main == NULL) {
        take_index(lane, channel);
    }
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
    int status = channel->main != NULL ? wbi_verbs_rail_check(channel, (uint32_t)number) : WB_OK;
    status = status == WB_OK ? wbi_verbs_queues_open(lane, (unsigned)number) : status;
    struct wbi_verbs_queues *queues = &lane->queues[number];
    if (status != WB_OK) {
        return status;
    }
    channel->queues = queues;
    wbi_verbs_send_queue_open(&channel->sends, queues->device->send_depth);
    return wbi_verbs_qp_create(channel);
}

static void look_whether_it_stands(struct wbi_channel *channel)
{
    channel->stands =
        channel->state == WBI_VERBS_OPEN && channel->established && channel->doom == WB_OK;
}

void wbi_verbs_channel_open(struct wbi_channel *channel)
{
    channel->state = WBI_VERBS_OPEN;
    look_whether_it_stands(channel);
    channel->heard = wbi_now();
    wbi_verbs_count_dialling(channel, -1);
}

void wbi_verbs_channel_establish(struct wbi_channel *channel)
{
    bool news = !channel->established;
    channel->established = true;
    look_whether_it_stands(channel);
    channel->heard = channel->lane->now;
    if (news && channel->main != NULL) {
        wbi_verbs_rail_stands(channel);
    }
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
    channel->stands = false;
    channel->doomed_at = channel->queues != NULL ? channel->queues->taken : 0;
    channel->lane->doomed++;
}

void wbi_verbs_lose(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    lane->doomed--;
    if (channel->state == WBI_VERBS_LOOKUP || channel->state == WBI_VERBS_DIALLING) {
        wbi_verbs_count_dialling(channel, -1);
    }
    channel->state = WBI_VERBS_LOST;
    channel->stands = false;
    channel->told = true;
    if (channel->main != NULL) {
        wbi_verbs_rail_lost(channel);
        return;
    }
    lane->events.on_lost(channel->owner, channel->doom, channel->doom_reason, channel->refusal,
                         channel->refusal_len);
}
