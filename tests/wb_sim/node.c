#include "tests/wb_sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/verbs/domain.h"
#include "tests/simverbs/model.h"
#include "tests/wb_sim/bytes.h"
#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/chaos.h"
#include "tests/wb_sim/later.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/rails.h"
#include "tests/wb_sim/streams.h"

enum { PORT = 7000, URL_BYTES = 100, ADDRESS_BYTES = 40 };

/* ---- configuration ---- */

static uint32_t one_of(struct play *play, const uint32_t *values, size_t count)
{
    return values[play_below(play, count)];
}
#define ONE_OF(play, ...)                                                                          \
    one_of(play, (const uint32_t[]){__VA_ARGS__},                                                  \
           sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void configure(struct node *node)
{
    struct play *play = node->play;
    struct wb_engine_config *config = &node->config;
    wb_engine_config_default(config);
    config->slab_bytes = 2 << 20;
    config->budget_bytes = (uint64_t)(play->tight ? 4 : 64) << 20;
    config->eager_bytes = ONE_OF(play, 512, 1024, 4096, 8192);
    config->pointer_threshold = ONE_OF(play, 200, 1000, 4096);
    config->rma_threshold = ONE_OF(play, 64, 1024);
    config->max_calls = ONE_OF(play, 4, 16, 32);
    config->credits = ONE_OF(play, 1, 2, 8, 16);
    config->max_peers = ONE_OF(play, 8, 12);
    config->lanes = play->options->lanes;
    config->liveness_us = ONE_OF(play, 50000, 300000, 1000000);
    config->verbs.ack_timeout = ONE_OF(play, 10, 14, 16);
    config->verbs.retries = ONE_OF(play, 2, 4, 6);
    config->verbs.rails = play->has_rails;
    if (play->filters && node->number % 4 != 3) {
        config->filter = WB_FILTER_LZ4;
        config->filter_from = 64;
    }
}

/* Each device is on a network of its own number. */
static void node_address(unsigned number, unsigned device, char *address, size_t size)
{
    snprintf(address, size, "10.%u.%u.%u", device, number / 200, number % 200 + 1);
}

void node_open(struct node *node, struct play *play, unsigned number)
{
    *node = (struct node){.play = play, .number = number, .host = sim_host_add()};
    node->device_count = play_chance(play, 200) || play->has_rails ? 2 : 1;
    for (unsigned i = 0; i < node->device_count; i++) {
        char address[ADDRESS_BYTES];
        node_address(number, i, address, sizeof address);
        node->devices[i] = sim_device_add(node->host, play->profile, address);
        node->up[i] = true;
    }
    configure(node);
    streams_configure(node);
    later_open_node(node);
}

/* ---- life ---- */

bool node_is_whole(const struct node *node)
{
    return node->engine->lanes[0]->domain->device_count == node->device_count;
}

bool node_up(struct node *node)
{
    char url[URL_BYTES];
    snprintf(url, sizeof url, "verbs://*:%d", PORT);
    sim_host_enter(node->host);
    chaos_speak(node);
    int status = wb_engine_create(&node->config, &node->engine);
    node->up_since_ns = sim_now_ns();
    node->draining = false;
    if (status == WB_OK) {
        status = node_serve(node);
        status = status == WB_OK ? streams_register(node) : status;
        status = status == WB_OK ? wb_listen(node->engine, url) : status;
        if (status != WB_OK) {
            node_down(node);
        }
    } else {
        node->engine = NULL;
    }
    if (status != WB_OK && node->play->calm) {
        play_fail(node->play, "host %u cannot be started: %s: %s", node->number,
                  wb_status_name(status), wb_last_error());
    }
    return status == WB_OK;
}

void node_count(const struct node *node)
{
    struct summary *summary = &node->play->summary;
    struct wb_engine_stats stats;
    wb_engine_stats(node->engine, &stats);
    summary->reads += stats.reads;
    summary->read_requests += stats.read_requests;
    summary->rail_reads += stats.rail_reads;
    summary->read_bytes += stats.read_bytes;
    summary->messages += stats.parcels_received;
    summary->late_replies += stats.late_replies;
    summary->filtered += stats.parcels_filtered;
    summary->bundles += stats.bundles;
    summary->bundled += stats.bundled;
}

void node_down(struct node *node)
{
    sim_host_enter(node->host);
    node_count(node);
    play_break_all(node->play, node->number);
    struct wb_engine *engine = node->engine;
    node->turning = true; /* nobody drives it meanwhile */
    wb_engine_destroy(engine);
    node->turning = false;
    node->engine = NULL;
    for (unsigned i = 0; i < NODE_LINKS; i++) {
        node->links[i].peer = NULL;
    }
    node->back.peer = NULL;
    calls_abandon(node);
    later_forget(node);
    streams_forget(node);
}

void node_drop_kept(struct node *node, unsigned index)
{
    struct kept *kept = &node->kept[index];
    size_t bytes = wb_rma_vector_bytes(&kept->data);
    size_t right = bytes_check(node->play, kept->data.data, bytes, kept->seed);
    if (right != bytes) {
        play_fail(node->play, "the vector kept of call %llu is wrong from byte %zu on",
                  (unsigned long long)kept->number, right);
    }
    wb_rma_vector_drop(&kept->data);
}

void node_close(struct node *node)
{
    node->down_until_ns = UINT64_MAX; /* others may wait until they are down */
    if (node->engine != NULL) {
        node_down(node);
    }
    for (unsigned i = 0; i < NODE_KEPT; i++) {
        node_drop_kept(node, i);
    }
    free(node->answer);
    node->answer = NULL;
}

bool node_runs(const struct node *node)
{
    return node->engine != NULL && !node->turning && sim_now_ns() >= node->stalled_until_ns;
}

/* ---- turns ---- */

bool node_turn(struct node *node)
{
    sim_host_enter(node->host);
    node->turning = true;
    int done = wb_progress(node->engine);
    node->turning = false;
    calls_take_ended(node);
    return done > 0;
}

void node_sleep(struct node *node, uint64_t us)
{
    sim_host_enter(node->host);
    node->turning = node->sleeping = true;
    wb_wait(node->engine, us);
    node->turning = node->sleeping = false;
    node->play->summary.sleeps++;
    calls_take_ended(node);
}

/* ---- connections ---- */

void node_connect(struct node *node, unsigned index)
{
    node_connect_to(node, index, (unsigned)play_below(node->play, node->play->host_count));
}

/* How a connection may come and go. */
static struct wb_peer_options draw_line(struct play *play)
{
    static const uint64_t idles_us[] = {0, 0, 2000, 50000, 1000000};
    static const uint64_t backoffs_us[] = {0, 1000, 30000};
    uint64_t backoff_us = backoffs_us[play_below_in_lines(play, 3)];
    return (struct wb_peer_options){.lazy = play_below_in_lines(play, 2) == 0,
                                    .again = play_below_in_lines(play, 3) != 0,
                                    .backoff_us = backoff_us,
                                    .backoff_most_us = 4 * backoff_us,
                                    .idle_us = idles_us[play_below_in_lines(play, 5)]};
}

static int connect_peer(struct node *node, const char *url, unsigned target, struct wb_peer **peer)
{
    struct play *play = node->play;
    if (!play->comes_and_goes) {
        return wb_connect(node->engine, url, peer);
    }
    struct wb_peer_options options = draw_line(play);
    if (options.idle_us != 0) {
        play->idles[node->number * play->host_count + target] = true;
    }
    play->summary.lines++;
    return wb_connect_with(node->engine, url, &options, peer);
}

/* Of one of its devices; with rails of the other one besides. */
static void draw_url(struct play *play, unsigned target, char *url, size_t size)
{
    unsigned device = (unsigned)play_below(play, play->nodes[target].device_count);
    char first[ADDRESS_BYTES], second[ADDRESS_BYTES];
    device = rails_are_struck(play) ? !RAILS_DEVICE : device;
    node_address(target, device, first, sizeof first);
    node_address(target, !device, second, sizeof second);
    snprintf(url, size, "verbs://%s%s%s:%d", first, play->has_rails ? "," : "",
             play->has_rails ? second : "", PORT);
}

void node_connect_to(struct node *node, unsigned index, unsigned target)
{
    struct play *play = node->play;
    struct link *link = &node->links[index];
    char url[URL_BYTES];
    draw_url(play, target, url, sizeof url);
    sim_host_enter(node->host);
    int status = connect_peer(node, url, target, &link->peer);
    if (status != WB_OK) {
        link->peer = NULL;
        if (play->calm && status != WB_AGAIN && status != WB_ERR_REFUSED) {
            play_fail(play, "host %u cannot connect to %s: %s: %s", node->number, url,
                      wb_status_name(status), wb_last_error());
        }
        return;
    }
    sim_trace(node->devices[0], "wb_sim: connects to", node->number, target, index);
    link->target = target;
    link->begun_ns = sim_now_ns();
    play->summary.connects++;
}

void node_connect_if_free(struct node *node)
{
    unsigned index = (unsigned)play_below(node->play, NODE_LINKS);
    if (node->links[index].peer == NULL) {
        node_connect(node, index);
    }
}

void node_disconnect(struct node *node, struct link *link, bool lost)
{
    struct play *play = node->play;
    sim_host_enter(node->host);
    sim_trace(node->devices[0], lost ? "wb_sim: has lost" : "wb_sim: closes", node->number,
              link->target, 0);
    if (!lost) {
        play_break(play, node->number, link->target);
    }
    calls_forget_peer(node, link->peer);
    node->turning = true;
    wb_peer_close(link->peer);
    node->turning = false;
    link->peer = NULL;
    play->summary.closes += !lost;
    play->summary.losses += lost;
}

void node_disconnect_all(struct node *node)
{
    for (unsigned i = 0; i <= NODE_LINKS; i++) {
        struct link *link = i < NODE_LINKS ? &node->links[i] : &node->back;
        if (link->peer != NULL) {
            node_disconnect(node, link, false);
        }
    }
}

static void mend(struct node *node, struct link *link)
{
    if (link->peer == NULL || wb_peer_state(link->peer) != WB_PEER_LOST) {
        return;
    }
    const struct play *play = node->play;
    const char *reason = wb_peer_reason(link->peer);
    if (reason[0] == 0) {
        play_fail(play, "host %u has lost host %u and does not say why", node->number,
                  link->target);
    }
    if (!play_may_be_lost(play, node->number, link->target, link->begun_ns) &&
        strstr(reason, "(max_peers") == NULL) {
        play_fail(play, "host %u has lost host %u though nothing was disturbed: %s", node->number,
                  link->target, reason);
    }
    node_disconnect(node, link, true);
}

void node_mend(struct node *node)
{
    for (unsigned i = 0; i < NODE_LINKS; i++) {
        mend(node, &node->links[i]);
    }
    mend(node, &node->back);
}
