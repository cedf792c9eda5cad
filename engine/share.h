/*
 * How a lane shares out the receives that its fabric can post: a pure function of what the
 * configuration asks for and the fabric has. Where that is less, the lane takes fewer peers, grants
 * fewer credits and has fewer requests unanswered at once; what goes beyond waits.
 *
 * Nobody sends what finds no receive, so, with f = kept_slots and l = late_receives of the fabric:
 *
 *   receives >= l + peers * (f + credits_kept + replies_kept) + credits_shared + replies_shared
 *   max_completions >= receives + peers * channel_work
 *
 * Where each channel has receives of its own, l counts for each, and a peer gets its part of the
 * shared replies, as of the shared credits, when it is made: its channel has f + l receives and one
 * for each of its credits and replies, of both of which no more than channel_most.
 *
 * A peer's place is f + credits_kept + replies_kept. Of places that no peer has, one is kept for
 * the next and half of the others are lent to requests that are unanswered beyond replies_shared:
 * so a peer finds a place as long as there is one.
 */
#ifndef WBI_ENGINE_SHARE_H
#define WBI_ENGINE_SHARE_H

#include "engine/fabric.h"

/* Lanes of each fabric, and peers that one of them takes. */
static inline uint32_t wbi_config_lanes(const struct wb_engine_config *config)
{
    return config->lanes != 0 ? config->lanes : 1;
}
static inline uint32_t wbi_config_lane_peers(const struct wb_engine_config *config)
{
    return (config->max_peers + wbi_config_lanes(config) - 1) / wbi_config_lanes(config);
}

struct wbi_shares {
    uint32_t peers;
    uint32_t credits_kept; /* requests that every peer may send, whatever the others may */
    uint32_t credits_shared;
    uint32_t replies_kept; /* requests that may be unanswered at every peer, likewise */
    uint32_t replies_shared;
    uint32_t replies_granted; /* in the place of those where each channel has its own receives */
    uint32_t channel_most;
    uint32_t place;    /* receives that a peer takes */
    uint32_t waiting;  /* requests whose credits go back although they wait and keep a block */
    uint32_t receives; /* to be posted, on each device, or by all channels together */
    uint32_t slots; /* blocks: for all receives, those that calls and `waiting` keep, and two peers'
                       credits, of deferred calls whose peers have gone */
    uint32_t eager_bytes; /* of a slot: the largest message */
};

/* WB_OK; or WB_ERR_NO_FABRIC, with words: not even one peer can be served. */
int wbi_share_out(const struct wb_engine_config *config, const struct wbi_fabric_caps *caps,
                  struct wbi_shares *shares);

/* Unanswered requests beyond the kept ones that a lane with so many peers may have; and that it may
 * still have when it takes another. */
static inline uint32_t wbi_share_replies(const struct wbi_shares *shares, uint32_t peer_count)
{
    uint32_t places = shares->peers - peer_count;
    return shares->replies_shared + (places > 1 ? (places - 1) * shares->place / 2 : 0);
}
static inline uint32_t wbi_share_replies_most(const struct wbi_shares *shares, uint32_t peer_count)
{
    return shares->replies_shared + (shares->peers - peer_count - 1) * shares->place;
}

#endif
