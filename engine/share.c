#include "engine/share.h"

#include "engine/wire.h"

enum {
    CREDITS_KEPT = 4,   /* of a peer, where there are enough */
    SHARED_GRANTS = 16, /* full grants of credits that the shared ones make */
    PEERS_OF_8 = 7      /* eighths of scarce receives that peers may keep */
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A limit, where 0 is none. */
static uint32_t limited(uint32_t value, uint32_t limit)
{
    return limit != 0 ? least(value, limit) : value;
}

/* Receives that `shares` need. */
static uint32_t needed(const struct wbi_shares *shares, const struct wbi_fabric_caps *caps)
{
    return caps->late_receives * (caps->own_receives ? shares->peers : 1) +
           shares->peers * (caps->kept_slots + shares->credits_kept + shares->replies_kept) +
           shares->credits_shared + shares->replies_shared;
}

/* Receives that can be posted beside the work of so many channels. */
static uint32_t available(const struct wbi_fabric_caps *caps, uint32_t peers)
{
    bool limits = caps->max_receives != 0 && !caps->own_receives;
    uint32_t receives = limits ? caps->max_receives : UINT32_MAX;
    if (caps->max_completions != 0) {
        uint32_t work = peers * caps->channel_work;
        uint32_t left = caps->max_completions > work ? caps->max_completions - work : 0;
        receives = least(receives, left);
    }
    return receives;
}

/* Credits, and likewise replies, for which a channel has receives of its own. */
static uint32_t channel_most(const struct wbi_fabric_caps *caps)
{
    uint32_t other = caps->kept_slots + caps->late_receives;
    if (!caps->own_receives || caps->max_receives == 0) {
        return UINT32_MAX;
    }
    return caps->max_receives > other ? (caps->max_receives - other) / 2 : 0;
}

/* What the configuration asks for. */
static struct wbi_shares wished(const struct wb_engine_config *config,
                                const struct wbi_fabric_caps *caps)
{
    uint32_t most = channel_most(caps);
    return (struct wbi_shares){.peers = limited(wbi_config_lane_peers(config), caps->max_channels),
                               .channel_most = most,
                               .credits_kept = least(least(config->credits, CREDITS_KEPT), most),
                               .credits_shared = config->credits * SHARED_GRANTS,
                               .replies_kept = 1,
                               .replies_shared = config->max_calls};
}

/* One peer may have all; more of them leave something to share. */
static bool has_room(const struct wbi_shares *shares, const struct wbi_fabric_caps *caps)
{
    uint32_t all = available(caps, shares->peers);
    return needed(shares, caps) <= (shares->peers > 1 ? all / 8 * PEERS_OF_8 : all);
}

/* Peers come first, with one credit and one reply each; the rest is for replies and credits alike.
 */
static void share_scarce(const struct wbi_shares *wish, const struct wbi_fabric_caps *caps,
                         struct wbi_shares *shares)
{
    *shares = (struct wbi_shares){.peers = wish->peers,
                                  .channel_most = wish->channel_most,
                                  .credits_kept = 1,
                                  .replies_kept = 1};
    while (shares->peers > 0 && !has_room(shares, caps)) {
        shares->peers--;
    }
    if (shares->peers == 0) {
        return;
    }
    uint32_t left = available(caps, shares->peers) - needed(shares, caps);
    uint32_t credits = least(wish->credits_shared, left / 2);
    shares->replies_shared = least(wish->replies_shared, left - credits);
    shares->credits_shared = least(wish->credits_shared, left - shares->replies_shared);
}

/* What was reckoned as if it were shared by all at any time, parted when peers are made. */
static void part_replies(const struct wb_engine_config *config, struct wbi_shares *shares)
{
    shares->replies_granted = shares->replies_shared;
    shares->replies_shared = 0;
    shares->place = 0;
    shares->waiting = config->credits;
}

int wbi_share_out(const struct wb_engine_config *config, const struct wbi_fabric_caps *caps,
                  struct wbi_shares *shares)
{
    struct wbi_shares wish = wished(config, caps), got = wish;
    if (needed(&wish, caps) > available(caps, wish.peers)) {
        share_scarce(&wish, caps, &got);
        got.waiting = config->credits; /* a block is memory: only receives are few */
    }
    got.eager_bytes = limited(config->eager_bytes, caps->max_eager_bytes);
    if (got.peers == 0 || got.channel_most == 0) {
        return wbi_error(WB_ERR_NO_FABRIC,
                         "%u receives and %u completions are too few to serve even one peer",
                         caps->max_receives, caps->max_completions);
    }
    if (got.eager_bytes < WBI_EAGER_MIN) {
        return wbi_error(WB_ERR_NO_FABRIC, "a message can have %u bytes at most; %u are needed",
                         got.eager_bytes, (unsigned)WBI_EAGER_MIN);
    }
    got.place = caps->kept_slots + got.credits_kept + got.replies_kept;
    got.receives = needed(&got, caps);
    if (caps->own_receives) {
        part_replies(config, &got);
    }
    got.slots = got.receives * (caps->own_receives ? 1 : caps->slot_sets) + config->max_calls +
                got.waiting +
                2 * config->credits; /* orphans, and those that one more burial makes */
    *shares = got;
    return WB_OK;
}
