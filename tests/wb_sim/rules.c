#include "tests/wb_sim/rules.h"

#include <string.h>

#include "engine/engine.h"
#include "engine/peer.h"
#include "engine/verbs/lane.h"
#include "mr_cache/page_map.h"
#include "mr_cache/pool.h"
#include "mr_cache/validate.h"
#include "tests/simverbs/model.h"
#include "tests/support/driver.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/streams.h"

/* ---- READs ---- */

/* The queue pair that would answer; NULL: none any more. */
static struct sim_qp *responder_of(const struct sim_qp *from)
{
    struct sim_qp *to = from->peer != NULL ? sim_qp_find(from->peer, from->attr.dest_qp_num) : NULL;
    bool answers = to != NULL && to->attr.dest_qp_num == from->ibv.qp_num &&
                   to->peer == from->device && !to->refusing &&
                   (to->ibv.state == IBV_QPS_RTR || to->ibv.state == IBV_QPS_RTS);
    return answers ? to : NULL;
}

/* Memory of a pool is lent while its block is leased; other memory while it is registered. */
static const char *not_lent(const struct sim_qp *to, const struct sim_work *work)
{
    const uint8_t *memory =
        sim_mr_remote(to, work->rkey, work->remote, work->bytes, IBV_ACCESS_REMOTE_READ);
    if (memory == NULL) {
        return "is registered no more";
    }
    const struct wb_rma_block *block = wbi_rma_find(memory);
    bool pooled = wbi_page_map_find(memory) != NULL;
    if (pooled && (block == NULL || atomic_load(&block->leases) == 0)) {
        return "is back in its pool";
    }
    return NULL;
}

static void check_queue(const struct play *play, const struct sim_qp *from)
{
    const struct sim_qp *to = NULL;
    if (from->ibv.state != IBV_QPS_RTS) {
        return;
    }
    for (uint64_t number = from->done; number < from->posted; number++) {
        const struct sim_work *work = &from->works[number % from->cap.max_send_wr];
        if (work->opcode != IBV_WR_RDMA_READ) {
            continue;
        }
        to = to != NULL ? to : responder_of(from);
        const char *wrong = to != NULL ? not_lent(to, work) : NULL;
        if (wrong != NULL) {
            play_fail(play,
                      "a READ of %llu bytes by host %u (queue pair %u, work %llu) can still be "
                      "served, and what it reads of host %u %s",
                      (unsigned long long)work->bytes, from->device->host->number, from->ibv.qp_num,
                      (unsigned long long)number, to->device->host->number, wrong);
        }
    }
}

void rules_check_reads(const struct play *play)
{
    for (const struct sim_host *host = sim_world.hosts; host != NULL; host = host->next) {
        for (int i = 0; i < host->device_count; i++) {
            for (const struct sim_qp *qp = host->devices[i]->newest_qp; qp != NULL;
                 qp = qp->older_live) {
                check_queue(play, qp);
            }
        }
    }
}

/* ---- credits ---- */

static const struct wb_peer *peer_on(const struct wbi_lane *lane, const struct sim_qp *qp)
{
    const struct wb_peer *at = lane->peers;
    while (at != NULL && (at->channel == NULL || (const struct sim_qp *)at->channel->qp != qp)) {
        at = at->next;
    }
    return at;
}

/* The peer at the other end of a connection that stands, or NULL. */
static const struct wb_peer *other_end(const struct play *play, const struct wb_peer *peer)
{
    const struct sim_qp *mine = peer->channel != NULL ? (struct sim_qp *)peer->channel->qp : NULL;
    const struct sim_qp *theirs = mine != NULL ? responder_of(mine) : NULL;
    const struct wb_engine *engine =
        theirs != NULL ? play->nodes[theirs->device->host->number].engine : NULL;
    const struct wb_peer *other = NULL;
    for (unsigned i = 0; engine != NULL && i < engine->lane_count && other == NULL; i++) {
        other = peer_on(engine->lanes[i], theirs);
    }
    return other;
}

/* What one side may send and what the other has received and not paid back is never more than what
 * was granted; it is that when nothing is under way. */
static void check_credits(const struct play *play, const struct node *node,
                          const struct wb_peer *peer, bool quiet)
{
    const struct wb_peer *other = other_end(play, peer);
    if (other == NULL || peer->channel == NULL || wb_peer_state(peer) != WB_PEER_CONNECTED ||
        wb_peer_state(other) != WB_PEER_CONNECTED) {
        return;
    }
    uint32_t known = peer->credits + other->unreturned;
    if (known > peer->credits_max || (quiet && known != peer->credits_max)) {
        play_fail(play,
                  "host %u has %u credits of %u at a peer that has received %u requests and not "
                  "paid them back (queue pairs %u and %u)",
                  node->number, peer->credits, peer->credits_max, other->unreturned,
                  peer->channel->qp_num, other->channel->qp_num);
    }
    if (quiet && peer->unanswered != 0) {
        play_fail(play, "host %u waits for %u replies of a peer, and nothing is under way",
                  node->number, peer->unanswered);
    }
}

static void check_lane(const struct play *play, const struct node *node,
                       const struct wbi_lane *lane, bool quiet)
{
    const struct wbi_shares *shares = &lane->shares;
    uint32_t credits = lane->shared_credits, replies = lane->shared_replies, asked = lane->asked;
    for (const struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        if (peer->owed > peer->unreturned || peer->unreturned > peer->granted) {
            play_fail(play,
                      "host %u owes a peer %u credits, of %u that it has not paid back, of %u that "
                      "it granted",
                      node->number, peer->owed, peer->unreturned, peer->granted);
        }
        bool counted = peer->placed;
        credits += counted ? peer->granted - shares->credits_kept : 0;
        replies += counted ? peer->replies - shares->replies_kept : 0;
        asked -= counted && peer->unanswered > peer->replies ? peer->unanswered - peer->replies : 0;
        check_credits(play, node, peer, quiet);
    }
    if (credits != shares->credits_shared || replies != shares->replies_granted) {
        play_fail(play, "host %u: %u shared credits of %u in all, and %u replies of %u",
                  node->number, credits, shares->credits_shared, replies, shares->replies_granted);
    }
    if (asked != 0) {
        play_fail(play, "host %u: %d requests are counted that no peer has unanswered",
                  node->number, (int)asked);
    }
}

/* Who is on the way to a lane has come, or has turned back, when the step is over. */
static void check_lanes(const struct play *play, const struct node *node, bool quiet)
{
    const struct wb_engine *engine = node->engine;
    uint32_t placed = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        const struct wbi_lane *lane = engine->lanes[i];
        uint32_t peers = 0;
        for (const struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
            peers++;
        }
        if (lane->population < peers || (quiet && lane->population != peers)) {
            play_fail(play, "host %u counts %u peers on lane %u, which has %u", node->number,
                      lane->population, i, peers);
        }
        placed += wbi_lane_peers(lane);
        check_lane(play, node, lane, quiet);
    }
    if (placed != engine->networks[0].placed || placed > node->config.max_peers) {
        play_fail(play, "host %u counts %u peers with places, and its lanes %u", node->number,
                  engine->networks[0].placed, placed);
    }
}

/* ---- books ---- */

static void check_pool(const struct play *play, const struct node *node)
{
    struct wb_rma_allocator *pool = wb_engine_allocator(node->engine);
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(pool, &stats);
    const char *wrong = wbi_rma_validate(pool);
    if (wrong != NULL || stats.slab_bytes > stats.budget_bytes) {
        play_fail(play, "the pool of host %u: %s (%llu bytes of %llu)", node->number,
                  wrong != NULL ? wrong : "beyond its budget", (unsigned long long)stats.slab_bytes,
                  (unsigned long long)stats.budget_bytes);
    }
}

/* All of them speak the protocol right, whatever is done to them. */
static void check_protocol(const struct play *play, const struct node *node)
{
    struct wb_engine_stats stats;
    wb_engine_stats(node->engine, &stats);
    if (stats.protocol_errors != 0) {
        play_fail(play, "host %u says that a peer has broken the protocol", node->number);
    }
}

/* Whether a device has refused receives, by a fault: what they were for may then find none. */
static bool receives_were_refused(void)
{
    const struct sim_fault_kind *kinds = sim_fault_kinds();
    bool refused = false;
    for (unsigned i = 0; i < SIM_FAULT_KINDS && kinds[i].what != NULL; i++) {
        refused |= strcmp(kinds[i].what, "post of receives") == 0;
    }
    return refused;
}

void rules_check_credits(const struct play *play)
{
    if (sim_not_ready_count() != 0 && !receives_were_refused()) {
        play_fail(play, "a message has found no receive");
    }
    for (unsigned i = 0; i < play->host_count; i++) {
        if (play->nodes[i].engine != NULL) {
            check_lanes(play, &play->nodes[i], false);
            check_protocol(play, &play->nodes[i]);
        }
    }
}

void rules_check_pools(const struct play *play)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        if (play->nodes[i].engine != NULL) {
            check_pool(play, &play->nodes[i]);
        }
    }
}

static uint32_t count_free(const struct wbi_free_slot *slot)
{
    uint32_t count = 0;
    for (; slot != NULL; slot = slot->next) {
        count++;
    }
    return count;
}

/* Every slot is free, posted to a device, or about to be. */
static void check_slots(const struct play *play, const struct node *node,
                        const struct wbi_lane *lane)
{
    const struct wbi_slots *slots = &lane->slots;
    uint32_t found = slots->arena.count - slots->fresh + count_free(slots->free) +
                     count_free(atomic_load(&slots->returned));
    for (unsigned i = 0; i < WBI_VERBS_MAX_DEVICES; i++) {
        found += lane->port->queues[i].posted + lane->port->queues[i].spares.count;
    }
    for (const struct wbi_channel *at = lane->port->channels; at != NULL; at = at->next) {
        found += at->posted;
    }
    if (found != slots->arena.count) {
        play_fail(play, "host %u has %u receive slots, and %u of them are free or posted",
                  node->number, slots->arena.count, found);
    }
}

void rules_check_quiet(const struct play *play)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        const struct node *node = &play->nodes[i];
        struct test_figures figures;
        if (node->engine == NULL) {
            continue;
        }
        test_figures_take(node->engine, &figures);
        const char *unquiet = test_figures_unquiet(&figures, 0);
        if (unquiet != NULL) {
            play_fail(play, "host %u is not quiet: %s", i, unquiet);
        }
        if (node->engine->admission.bytes != 0) {
            play_fail(play, "host %u still has %llu bytes landed", i,
                      (unsigned long long)node->engine->admission.bytes);
        }
        if (node->engine->admission.kept_at != 0) {
            play_fail(play, "host %u thinks that a request keeps its landings", i);
        }
        check_lanes(play, node, true);
        check_pool(play, node);
        for (unsigned k = 0; k < node->engine->lane_count; k++) {
            if (node->engine->lanes[k]->parked != NULL) {
                play_fail(play, "host %u still has parcels that wait", i);
            }
            check_slots(play, node, node->engine->lanes[k]);
        }
        streams_check_quiet(node);
    }
}
