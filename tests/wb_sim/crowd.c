#include "tests/wb_sim/crowd.h"

#include <inttypes.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/verbs/lane.h"
#include "tests/simverbs/allocation.h"
#include "tests/simverbs/model.h"
#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/chaos.h"
#include "tests/wb_sim/rules.h"

enum { CALLS_EACH = 4 };

static const uint64_t patience_us = 60000000;
static const uint64_t mourning_us = 30000000; /* for the death of many to be noticed */

/* What the first host has, at one moment. */
struct costs {
    uint64_t peers, queue_pairs, cq_entries, receives, registered_bytes, heap_bytes;
};

static uint64_t registered_bytes(const struct sim_device *device)
{
    uint64_t bytes = 0;
    for (unsigned bin = 0; bin < SIM_BINS; bin++) {
        for (const struct sim_mr *mr = device->mrs[bin]; mr != NULL; mr = mr->next) {
            bytes += mr->ibv.length;
        }
    }
    return bytes;
}

static struct costs costs_of(const struct node *node)
{
    const struct sim_device *device = node->devices[0];
    struct costs costs = {.queue_pairs = (uint64_t)device->qp_count,
                          .registered_bytes = registered_bytes(device),
                          .heap_bytes = (uint64_t)sim_held_bytes(node->host)};
    for (const struct wb_peer *at = node->engine->lanes[0]->peers; at != NULL; at = at->next) {
        costs.peers += at->channel != NULL;
    }
    for (const struct sim_qp *qp = device->newest_qp; qp != NULL; qp = qp->older_live) {
        costs.receives += qp->ibv.srq == NULL ? qp->cap.max_recv_wr : 0;
    }
    const struct wbi_verbs_queues *queues = &node->engine->lanes[0]->port->queues[0];
    costs.cq_entries = queues->entries;
    costs.receives += queues->target;
    return costs;
}

static void print(const struct node *node, const char *stage, FILE *out)
{
    struct costs costs = costs_of(node);
    fprintf(out,
            "%-24s %6" PRIu64 " %12" PRIu64 " %11" PRIu64 " %9" PRIu64 " %17" PRIu64 " %11" PRIu64
            "\n",
            stage, costs.peers, costs.queue_pairs, costs.cq_entries, costs.receives,
            costs.registered_bytes, costs.heap_bytes);
}

static void print_growth(const struct costs *from, const struct costs *to, FILE *out)
{
    uint64_t peers = to->peers - from->peers;
    fprintf(out,
            "per peer, from %" PRIu64 " to %" PRIu64 ": %.2f queue pairs, %.1f CQ entries, %.1f "
            "receives, %.0f registered bytes, %.0f bytes of heap\n",
            from->peers, to->peers, (double)(to->queue_pairs - from->queue_pairs) / (double)peers,
            (double)(to->cq_entries - from->cq_entries) / (double)peers,
            (double)(to->receives - from->receives) / (double)peers,
            (double)(to->registered_bytes - from->registered_bytes) / (double)peers,
            (double)(to->heap_bytes - from->heap_bytes) / (double)peers);
}

/* The first has the defaults, and room for all; the others what a small program needs. */
static void configure(struct play *play)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        struct wb_engine_config *config = &play->nodes[i].config;
        wb_engine_config_default(config);
        config->slab_bytes = 2 << 20;
        config->max_peers = i == 0 ? play->host_count - 1 : 2;
        config->max_calls = i == 0 ? config->max_calls : 8;
        config->credits = i == 0 ? config->credits : 8;
    }
}

/* False: the first host's device has no room for another. */
static bool connect_one(struct play *play, unsigned number)
{
    struct node *hub = &play->nodes[0], *node = &play->nodes[number];
    uint64_t end = sim_now_ns() + patience_us * 1000;
    node_up(node);
    node_connect_to(node, 0, 0);
    while (wb_peer_state(node->links[0].peer) == WB_PEER_CONNECTING && sim_now_ns() < end) {
        bool busy = node_turn(node) | node_turn(hub);
        if (!busy) {
            sim_advance(100);
        }
    }
    if (wb_peer_state(node->links[0].peer) == WB_PEER_CONNECTED) {
        return true;
    }
    const char *reason = wb_peer_reason(node->links[0].peer);
    if (strstr(reason, "(max_peers") == NULL) {
        play_fail(play, "host %u is not connected: %s", number, reason);
    }
    node_mend(node);
    return false;
}

static void call_all(struct play *play)
{
    for (unsigned i = 1; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        for (unsigned k = 0; k < CALLS_EACH && node->links[0].peer != NULL; k++) {
            sim_host_enter(node->host);
            call_begin(node, 0, node->links[0].peer, false);
        }
    }
}

static void kill_half(struct play *play)
{
    for (unsigned i = 1; i < play->host_count; i += 2) {
        if (play->nodes[i].engine != NULL) {
            chaos_kill(&play->nodes[i]);
        }
    }
}

void crowd_run(const struct play_options *options, uint64_t seed, FILE *out)
{
    struct play_options chosen = *options;
    chosen.streams = chosen.rails = false;
    chosen.disturb = chosen.lines = false;
    chosen.profile = options->profile != NULL ? options->profile : &sim_profile_mlx5;
    struct play *play = play_open(&chosen, seed);
    struct node *hub = &play->nodes[0];
    play->tight = false;
    configure(play);
    node_up(hub);
    fprintf(out, "%-24s %6s %12s %11s %9s %17s %11s\n", "the first host", "peers", "queue pairs",
            "CQ entries", "receives", "registered bytes", "heap bytes");
    print(hub, "alone", out);
    connect_one(play, 1);
    print(hub, "one connected", out);
    struct costs one = costs_of(hub);
    unsigned connected = 2;
    while (connected < play->host_count && connect_one(play, connected)) {
        connected++;
    }
    if (connected < play->host_count) {
        fprintf(out, "a device of this kind has room for %u peers\n", connected - 1);
    }
    play_settle(play, 100000, 1000, false);
    print(hub, "all connected, idle", out);
    struct costs all = costs_of(hub);
    call_all(play);
    print(hub, "calls are under way", out);
    play_settle(play, patience_us, 100, true);
    play_settle(play, 1000000, 10000, false);
    print(hub, "calls have ended", out);
    kill_half(play);
    play_settle(play, mourning_us, 20000, false);
    print(hub, "half of them have died", out);
    print_growth(&one, &all, out);
    play_close(play);
}
