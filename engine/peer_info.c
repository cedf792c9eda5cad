/* What is known of a peer, for whoever asks. */
#include <stdio.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"

/* What both sides have agreed on. */
static void add_agreed(const struct wb_peer *peer, struct wb_peer_info *info)
{
    const struct wbi_fabric_caps *caps = peer->lane->caps;
    info->wire_version = peer->wire_version;
    info->eager_bytes = atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed);
    info->credits = peer->credits_max;
    info->credits_granted = peer->granted;
    info->peer_read_depth = peer->their_read_depth;
    info->read_depth = caps->read_depth < WBI_READ_OPS ? caps->read_depth : WBI_READ_OPS;
    info->key_bytes = atomic_load_explicit(&peer->key_bytes, memory_order_relaxed);
    info->read_align = caps->read_align;
    info->max_read_bytes = caps->max_read_bytes;
    info->engine_id = peer->their_id;
    bool rails = caps->rail_key_bytes != 0 && peer->channel != NULL;
    info->rails = rails ? peer->lane->fabric->rails_up(peer->channel) : 0;
}

int wb_peer_describe(struct wb_peer *peer, struct wb_peer_info *info)
{
    struct wbi_lane *lane = peer->lane;
    int status = wbi_engine_check_process(lane->engine);
    if (status != WB_OK) {
        return status;
    }
    enum wbi_entry_kind entry = wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY) {
        return wbi_lane_say_busy(peer->url);
    }
    *info = (struct wb_peer_info){
        .scheme = lane->fabric->scheme, .state = wb_peer_state(peer), .accepted = peer->accepted};
    snprintf(info->url, sizeof info->url, "%s", peer->url);
    if (peer->wire_version != 0) {
        add_agreed(peer, info);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    return WB_OK;
}
