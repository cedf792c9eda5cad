#include "tests/wb_sim/play.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/filter.h"
#include "tests/simverbs/fault.h"
#include "tests/simverbs/model.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/chaos.h"
#include "tests/wb_sim/later.h"
#include "tests/wb_sim/rails.h"
#include "tests/wb_sim/region.h"
#include "tests/wb_sim/rules.h"
#include "tests/wb_sim/streams.h"

enum {
    STEPS_A_POOL = 64, /* the pools' books are checked once in so many steps */
    MOST_OPEN = 40,    /* calls of a host at once */
    BURST = 24
};

static const uint64_t notice_us = 1500000;     /* for the end of a channel to be noticed */
static const uint64_t patience_us = 700000000; /* of the world's time, for a run to come to rest */
static const uint64_t quarantine_us = 6000000; /* after the last call: grace periods end */

/* ---- failing ---- */

static void (*say_replay)(uint64_t seed, FILE *out);
static unsigned trace_lines = 100;
static const struct play *current;

void play_on_fail(void (*say)(uint64_t seed, FILE *out), unsigned lines)
{
    say_replay = say;
    trace_lines = lines;
}

void play_fail(const struct play *play, const char *format, ...)
{
    va_list arguments;
    sim_trace_print(stderr, trace_lines);
    const char *calm = rails_are_struck(play) ? ", rails alone disturbed" : ", nothing disturbed";
    fprintf(stderr, "wb_sim: seed %" PRIu64 ", step %" PRIu64 ", profile %s%s: ", play->seed,
            play->step, play->profile->name, play->calm ? calm : "");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    if (say_replay != NULL) {
        say_replay(play->seed, stderr);
    }
    fflush(NULL);
    _Exit(PLAY_FAILED);
}

static void on_bug(const char *line)
{
    play_fail(current, "the device complains: %s", line);
}

/* ---- chance and time ---- */

uint64_t play_below(struct play *play, uint64_t limit)
{
    return limit != 0 ? test_pattern_random(&play->random) % limit : 0;
}

uint64_t play_below_in_lines(struct play *play, uint64_t limit)
{
    return test_pattern_random(&play->lines) % limit;
}

bool play_chance(struct play *play, unsigned in_1000)
{
    return play_below(play, 1000) < in_1000;
}

uint64_t play_size(struct play *play, uint64_t limit)
{
    unsigned bits = 0;
    while (limit >> bits > 0) {
        bits++;
    }
    uint64_t size = play_below(play, (uint64_t)1 << play_below(play, bits + 1));
    return size < limit ? size : limit;
}

void play_pass(uint64_t us)
{
    uint64_t end = sim_now_ns() + us * 1000;
    while (sim_now_ns() < end) {
        sim_advance((end - sim_now_ns() + 999) / 1000);
    }
}

void play_break(struct play *play, unsigned a, unsigned b)
{
    play->broken_ns[a * play->host_count + b] = sim_now_ns();
    play->broken_ns[b * play->host_count + a] = sim_now_ns();
}

void play_break_all(struct play *play, unsigned a)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        play_break(play, a, i);
    }
}

/* The other side hears of it a little later: a goodbye takes its time. What b closes for want of
 * use, a may just want. And while one is drained, which may take longer than that, it refuses. */
bool play_may_be_lost(const struct play *play, unsigned a, unsigned b, uint64_t begun_ns)
{
    if (play->idles[b * play->host_count + a] || play->nodes[a].draining ||
        play->nodes[b].draining) {
        return true;
    }
    uint64_t broken_ns = play->broken_ns[a * play->host_count + b];
    return !play->calm || (broken_ns != 0 && begun_ns <= broken_ns + notice_us * 1000);
}

/* ---- steps ---- */

/* A host that takes turns; NULL: the one that was drawn does not. */
static struct node *some_node(struct play *play)
{
    struct node *node = &play->nodes[play_below(play, play->host_count)];
    return node_runs(node) ? node : NULL;
}

/* Hosts whose time has come end, come up again, or speak; not those in the middle of something. */
static void revive(struct play *play)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        if (node->turning && !node->sleeping) {
            continue;
        }
        if (node->silent_until_ns != 0 && sim_now_ns() >= node->silent_until_ns) {
            chaos_speak(node);
        }
        if (play->options->breaks && !play->calm) {
            chaos_bury(node);
        }
        if (node->engine == NULL && sim_now_ns() >= node->down_until_ns) {
            node_up(node);
        }
    }
}

/* While one waits in its engine, the others go on, and so do other threads of its own. */
static bool others_turn(void *context)
{
    struct play *play = context;
    struct sim_host *host = sim_world.here;
    struct node *node = some_node(play);
    bool later = later_turn_some(play);
    bool done = later || (node != NULL && play_chance(play, 800) && node_turn(node));
    revive(play);
    for (unsigned i = 0; i < play->host_count; i++) {
        calls_give_up_beside(&play->nodes[i]);
    }
    sim_host_enter(host);
    return done;
}

/* One that it made, or the caller that it has kept; connected or not. */
static struct link *some_link(struct node *node)
{
    unsigned index = (unsigned)play_below(node->play, NODE_LINKS + 1);
    return index < NODE_LINKS ? &node->links[index] : &node->back;
}

static void begin_call(struct node *node)
{
    struct link *link = some_link(node);
    sim_host_enter(node->host);
    if (link->peer == NULL && link != &node->back) {
        node_connect(node, (unsigned)(link - node->links));
    } else if (link->peer != NULL && node->call_count < MOST_OPEN) {
        call_begin(node, link->target, link->peer, false);
    }
}

/* Many at once: credits and receives run out. */
static void begin_burst(struct node *node)
{
    struct link *link = some_link(node);
    sim_host_enter(node->host);
    for (unsigned i = 0; i < BURST && link->peer != NULL && node->call_count < MOST_OPEN; i++) {
        call_begin(node, link->target, link->peer, false);
    }
}

static void close_link(struct node *node)
{
    struct link *link = some_link(node);
    if (link->peer != NULL) {
        node_disconnect(node, link, false);
    }
}

static void wait_for_call(struct node *node)
{
    struct link *link = &node->links[play_below(node->play, NODE_LINKS)];
    sim_host_enter(node->host);
    if (link->peer != NULL && node->call_count < MOST_OPEN) {
        call_and_wait(node, link);
    }
}

static void pass_time(struct play *play)
{
    unsigned kind = (unsigned)play_below(play, 100);
    if (kind < 85) {
        play_pass(play_below(play, 30));
    } else if (kind < 98 || play->calm) {
        play_pass(play_below(play, 3000));
    } else {
        play_pass(play_below(play, 1500000));
    }
}

/* What is done to a host; now and then. */
static void disturb(struct node *node)
{
    struct play *play = node->play;
    unsigned kind = (unsigned)play_below(play, 100);
    if (kind < 25) {
        chaos_stall(node);
    } else if (kind < 30) {
        chaos_restart(node);
    } else if (play->calm) {
        return;
    } else if (kind < 45) {
        chaos_kill(node);
    } else if (kind < 55) {
        chaos_link(node);
    } else if (kind < 65) {
        chaos_silence(node);
    } else if (kind < 72) {
        chaos_upset(node);
    } else {
        chaos_rates(play);
    }
}

static void act(struct play *play, struct node *node)
{
    unsigned kind = (unsigned)play_below(play, 1000);
    if (kind < 150) {
        begin_call(node);
    } else if (kind < 153) {
        begin_burst(node);
    } else if (kind < 160) {
        node_connect_if_free(node);
    } else if (kind < 164) {
        close_link(node);
    } else if (kind < 184) {
        node_drop_kept(node, (unsigned)play_below(play, NODE_KEPT));
    } else if (kind < 196) {
        node_sleep(node, play_below(play, 2000));
    } else if (kind < 200) {
        wait_for_call(node);
    } else if (kind < 207) {
        disturb(node);
    } else {
        node_turn(node);
    }
    if (node->engine != NULL) {
        node_mend(node);
    }
}

static void step(struct play *play)
{
    struct node *node = some_node(play);
    if (node == NULL || play_chance(play, 150)) {
        pass_time(play);
    } else {
        act(play, node);
    }
    later_turn_some(play);
    streams_step(play);
    rails_step(play);
    revive(play);
    sim_background();
    rules_check_reads(play);
    rules_check_credits(play);
    if (play->step % STEPS_A_POOL == 0) {
        rules_check_pools(play);
    }
    play->summary.rules_checked++;
}

/* ---- the end ---- */

/* Calls, and sides of streams. */
static unsigned count_open(const struct play *play)
{
    unsigned count = streams_count(play);
    for (unsigned i = 0; i < play->host_count; i++) {
        count += play->nodes[i].call_count;
    }
    return count;
}

void play_settle(struct play *play, uint64_t us, uint64_t idle_us, bool calls)
{
    uint64_t end = sim_now_ns() + us * 1000;
    while (sim_now_ns() < end && (!calls || count_open(play) > 0)) {
        bool busy = false;
        for (unsigned i = 0; i < play->host_count; i++) {
            if (node_runs(&play->nodes[i])) {
                busy |= node_turn(&play->nodes[i]);
                busy |= later_turn(&play->nodes[i]);
                busy |= streams_turn(&play->nodes[i]);
                node_mend(&play->nodes[i]);
            }
        }
        rules_check_reads(play);
        rules_check_credits(play);
        if (!busy) {
            sim_advance(idle_us);
        }
    }
}

static void check_ledger(const struct play *play)
{
    streams_check_ended(play);
    for (uint64_t number = 1; number <= play->ledger.count; number++) {
        const struct entry *entry = &play->ledger.entries[number - 1];
        if (entry->state == CALL_OPEN) {
            play_fail(play, "call %" PRIu64 " from host %u to %u has not ended", number,
                      entry->caller, entry->callee);
        }
    }
}

/* After all that was done to them, each host reaches the next as if nothing had been: from here on
 * nothing may fail that fails in a calm run. */
static void reach_each_other(struct play *play)
{
    play->calm = true;
    play->comes_and_goes = false;
    memset(play->idles, 0, (size_t)play->host_count * play->host_count * sizeof *play->idles);
    memset(play->broken_ns, 0,
           (size_t)play->host_count * play->host_count * sizeof *play->broken_ns);
    for (unsigned i = 0; i < play->host_count; i++) {
        node_disconnect_all(&play->nodes[i]);
    }
    play_settle(play, notice_us, 1000, false);
    for (unsigned i = 0; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        node_connect_to(node, 0, (i + 1) % play->host_count);
        if (node->links[0].peer == NULL) {
            play_fail(play, "host %u cannot connect though all is well: %s", i, wb_last_error());
        }
        sim_host_enter(node->host);
        call_begin(node, node->links[0].target, node->links[0].peer, false);
        streams_begin_in_order(node, &node->links[0]);
    }
    play_settle(play, patience_us, 1000, true);
    check_ledger(play);
    play_settle(play, notice_us, 1000, false); /* a call may end before its connection stands */
    for (unsigned i = 0; i < play->host_count; i++) {
        struct link *link = &play->nodes[i].links[0];
        if (link->peer == NULL || wb_peer_state(link->peer) != WB_PEER_CONNECTED) {
            play_fail(play, "host %u does not reach host %u though all is well", i, link->target);
        }
        rails_check(&play->nodes[i], link);
    }
}

static void come_to_rest(struct play *play)
{
    later_let_go(play);
    chaos_end(play);
    play_settle(play, patience_us, 1000, true);
    check_ledger(play);
    play_settle(play, quarantine_us, 20000, false);
    reach_each_other(play);
    play_settle(play, quarantine_us, 20000, false);
    for (unsigned i = 0; i < play->host_count; i++) {
        for (unsigned k = 0; k < NODE_KEPT; k++) {
            node_drop_kept(&play->nodes[i], k);
        }
    }
    rules_check_quiet(play);
}

/* ---- the whole ---- */

static void count(struct play *play)
{
    struct summary *summary = &play->summary;
    for (unsigned i = 0; i < play->host_count; i++) {
        node_count(&play->nodes[i]);
    }
    rails_count(play);
    summary->virtual_us += sim_now_ns() / 1000;
    summary->faults += sim_faults_happened();
    summary_add_kinds(summary, sim_fault_kinds());
    summary->steps += play->step;
    summary->seeds++;
}

static const struct sim_profile *draw_profile(struct play *play)
{
    const struct sim_profile *drawn = sim_profiles[play_below(play, SIM_PROFILES)];
    return play->options->profile != NULL ? play->options->profile : drawn;
}

struct play *play_open(const struct play_options *options, uint64_t seed)
{
    struct play *play = sim_new(sizeof *play);
    play->options = options;
    play->seed = play->random = seed;
    play->breaks = ~seed;
    play->filters = seed % 8 == 3 && wbi_filter_is_here(WB_FILTER_LZ4);
    later_open(play);
    play->lines = seed ^ (uint64_t)0x11e5 << 48;
    play->comes_and_goes = options->lines && play_below_in_lines(play, 3) == 0;
    streams_open(play);
    rails_open(play);
    play->host_count = options->hosts;
    play->nodes = sim_new(play->host_count * sizeof *play->nodes);
    play->broken_ns =
        sim_new((size_t)play->host_count * play->host_count * sizeof *play->broken_ns);
    play->idles = sim_new((size_t)play->host_count * play->host_count * sizeof *play->idles);
    current = play;
    sim_open(&(struct sim_options){.seed = seed, .clock_ns = 100, .poll_ns = 50});
    sim_on_bug(on_bug);
    play->calm = play_chance(play, 250) || !options->disturb;
    play->tight = play_chance(play, 250);
    play->summary.calm_seeds = play->calm;
    play->profile = draw_profile(play);
    for (unsigned i = 0; i < play->host_count; i++) {
        node_open(&play->nodes[i], play, i);
    }
    return play;
}

void play_close(struct play *play)
{
    for (unsigned i = 0; i < play->host_count; i++) {
        node_close(&play->nodes[i]);
    }
    unsigned left = sim_close();
    if (left != 0) {
        play_fail(play, "%u things of verbs are left", left);
    }
    if (region_count() != 0) {
        play_fail(play, "%u regions of pools are left", region_count());
    }
    streams_close(play);
    ledger_close(&play->ledger);
    free(play->nodes);
    free(play->broken_ns);
    free(play->idles);
    free(play);
    current = NULL;
}

uint64_t play_run(const struct play_options *options, uint64_t seed, struct summary *summary)
{
    struct play *play = play_open(options, seed);
    for (unsigned i = 0; i < play->host_count; i++) {
        node_up(&play->nodes[i]);
    }
    sim_on_wait(others_turn, play);
    if (!play->calm) {
        chaos_rates(play);
    }
    for (play->step = 1; play->step <= options->steps; play->step++) {
        step(play);
    }
    come_to_rest(play);
    count(play);
    uint64_t hash = sim_trace_hash();
    summary_add(summary, &play->summary);
    play_close(play);
    return hash;
}
