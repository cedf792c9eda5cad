/* The end of a channel, whatever it has come to. */
#include <stdlib.h>

#include "engine/verbs/qp.h"
#include "engine/verbs/rails.h"

static void unlink_ready(struct wbi_channel *channel)
{
    struct wbi_channel **at = &channel->lane->ready;
    while (channel->ready && *at != channel) {
        at = &(*at)->next_ready;
    }
    if (channel->ready) {
        *at = channel->next_ready;
    }
}

static void unlink_channel(struct wbi_channel *channel)
{
    struct wbi_fabric_lane *lane = channel->lane;
    if (channel->next != NULL) {
        channel->next->prev = channel->prev;
    }
    if (channel->prev != NULL) {
        channel->prev->next = channel->next;
    } else {
        lane->channels = channel->next;
    }
    if (channel->main == NULL) {
        lane->by_index[channel->index] = NULL;
        lane->channel_count--;
    }
    lane->doomed -= channel->doom != WB_OK && !channel->told;
    if (channel->state == WBI_VERBS_LOOKUP || channel->state == WBI_VERBS_DIALLING) {
        wbi_verbs_count_dialling(channel, -1);
    }
}

void wbi_verbs_close(struct wbi_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    wbi_verbs_qp_linger(channel);
    if (channel->id != NULL && channel->running) {
        rdma_disconnect(channel->id);
    }
    wbi_verbs_qp_destroy(channel);
    wbi_verbs_offers_close(channel);
    unlink_ready(channel);
    unlink_channel(channel);
    channel->state = WBI_VERBS_LOST;
    channel->stands = false;
    wbi_verbs_work_drop(channel);
    wbi_verbs_rails_close(channel);
    if (channel->main != NULL) {
        wbi_verbs_rail_leave(channel);
    }
    wbi_verbs_lookup_drop(channel->lookup, &channel->lane->orphans);
    if (channel->id != NULL) {
        rdma_destroy_id(channel->id);
    }
    free(channel);
}
