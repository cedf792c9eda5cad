#include "tests/wb_sim/chaos.h"

#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/play.h"
#include "tests/wb_sim/rails.h"

void chaos_no_faults(void)
{
    sim_fault_rates(&(struct sim_rates){.late_ns = 0});
}

/* A rate below `most`, or none. */
static uint32_t some_rate(struct play *play, uint32_t most)
{
    return play_chance(play, 500) ? 0 : (uint32_t)play_below(play, most);
}

/* Those that a run with --breaks no does without, from a stream of their own. */
static void add_breaks(struct play *play, struct sim_rates *rates)
{
    struct {
        uint32_t *rate, most;
    } breaks[] = {{&rates->device_fatal, 2000},
                  {&rates->device_stops, 1000},
                  {&rates->link_down, 3000},
                  {&rates->srq_error, 5000},
                  {&rates->connect_crossed, 50000}};
    for (unsigned i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        uint64_t random = test_pattern_random(&play->breaks);
        *breaks[i].rate = random % 2 == 0 ? 0 : (uint32_t)(random >> 8) % breaks[i].most;
    }
}

void chaos_rates(struct play *play)
{
    struct sim_rates rates = {.call_fails = some_rate(play, 10000),
                              .allocation_fails = some_rate(play, 10000),
                              .work_fails = some_rate(play, 10000),
                              .work_late = some_rate(play, 300000),
                              .cq_overrun = some_rate(play, 300),
                              .packet_lost = some_rate(play, 60000),
                              .answer_lost = some_rate(play, 60000),
                              .message_late = some_rate(play, 300000),
                              .message_lost = some_rate(play, 100000),
                              .late_ns = 1000 + play_size(play, 50000000)};
    if (play->options->breaks) {
        add_breaks(play, &rates);
    }
    if (play_chance(play, 300)) {
        chaos_no_faults();
    } else {
        sim_fault_rates(&rates);
    }
}

static void rest(struct node *node, uint64_t most_us)
{
    node->down_until_ns = sim_now_ns() + play_size(node->play, most_us) * 1000;
}

/* What it has executed for others has reached them when the drain is whole. But what came on a
 * channel that was closed before it has begun before that: at broken_ns of its caller. */
static void expect_answers(struct node *node, const uint64_t *broken_ns)
{
    struct ledger *ledger = &node->play->ledger;
    for (size_t i = 0; i < ledger->count; i++) {
        struct entry *entry = &ledger->entries[i];
        entry->answered |= entry->callee == node->number && entry->state == CALL_OPEN &&
                           entry->executed == 1 && entry->begun_ns >= node->up_since_ns &&
                           entry->begun_ns > broken_ns[entry->caller];
    }
}

/* It ends in order, as far as there is time: nobody reaches it from here on. */
static void drain(struct node *node)
{
    struct play *play = node->play;
    uint64_t broken_ns[PLAY_MOST_HOSTS];
    memcpy(broken_ns, &play->broken_ns[node->number * play->host_count],
           play->host_count * sizeof *broken_ns);
    play_break_all(play, node->number);
    node->draining = true;
    node->turning = true;
    int status = wb_engine_drain(node->engine, 1000 + play_below_in_lines(play, 3000000));
    node->turning = false;
    sim_host_enter(node->host);
    calls_take_ended(node);
    play->summary.drains++;
    if (status != WB_OK && status != WB_ERR_TIMED_OUT) {
        play_fail(play, "host %u cannot be drained: %s", node->number, wb_status_name(status));
    }
    if (status == WB_OK && node->calls != NULL) {
        play_fail(play, "host %u is drained, and call %llu of it is open", node->number,
                  (unsigned long long)node->calls->number);
    }
    if (status == WB_OK) {
        play->summary.drained++;
        expect_answers(node, broken_ns);
    }
}

void chaos_restart(struct node *node)
{
    sim_host_enter(node->host);
    if (node->play->comes_and_goes && play_below_in_lines(node->play, 4) != 0) {
        drain(node);
    }
    node_down(node);
    rest(node, 20000);
    node->play->summary.restarts++;
}

void chaos_kill(struct node *node)
{
    for (unsigned i = 0; i < node->device_count; i++) {
        sim_device_stop(node->devices[i]);
    }
    node_down(node);
    node->silent_until_ns = 0; /* until it comes up again */
    rest(node, 5000000);
    node->play->summary.kills++;
}

bool chaos_has_lost(const struct node *node)
{
    bool lost = false;
    for (unsigned i = 0; i < node->device_count; i++) {
        lost |= sim_device_is_lost(node->devices[i]);
    }
    return lost;
}

void chaos_bury(struct node *node)
{
    bool due = test_pattern_random(&node->play->breaks) % 50 == 0;
    if (due && node->engine != NULL && !node->turning && chaos_has_lost(node)) {
        node_down(node);
        node->silent_until_ns = 0;
        node->down_until_ns = sim_now_ns() + 1000000;
        node->play->summary.burials++;
    }
}

static void set_link(struct node *node, unsigned device, bool up)
{
    if (node->up[device] != up) {
        node->up[device] = up;
        sim_link_set(node->devices[device], up);
        node->play->summary.links_down += !up;
    }
}

void chaos_link(struct node *node)
{
    unsigned i = (unsigned)play_below(node->play, node->device_count);
    set_link(node, i, !node->up[i]);
}

static void silence(struct node *node, unsigned device, uint64_t us)
{
    sim_device_stop(node->devices[device]);
    node->silent_until_ns = sim_now_ns() + us * 1000;
    node->play->summary.silences++;
}

void chaos_silence(struct node *node)
{
    unsigned i = (unsigned)play_below(node->play, node->device_count);
    silence(node, i, play_size(node->play, 6000000));
}

void chaos_speak(struct node *node)
{
    for (unsigned i = 0; i < node->device_count; i++) {
        sim_device_revive(node->devices[i]);
    }
    node->silent_until_ns = 0;
}

static void upset(struct node *node, unsigned device, unsigned index)
{
    sim_device_upset(node->devices[device], index);
    node->play->summary.upsets++;
}

void chaos_upset(struct node *node)
{
    unsigned i = (unsigned)play_below(node->play, node->device_count);
    upset(node, i, (unsigned)play_below(node->play, 6));
}

void chaos_strike_rail(struct node *node)
{
    static const uint64_t most_us = 1000000;
    struct play *play = node->play;
    uint64_t kind = rails_below(play, 8);
    if (!node->up[RAILS_DEVICE] || kind < 2) {
        set_link(node, RAILS_DEVICE, !node->up[RAILS_DEVICE]);
    } else if (kind < 4) {
        silence(node, RAILS_DEVICE, rails_below(play, most_us >> rails_below(play, 10)));
    } else {
        upset(node, RAILS_DEVICE, (unsigned)rails_below(play, 6));
    }
}

void chaos_stall(struct node *node)
{
    uint64_t us = play_size(node->play, node->play->calm ? 20000 : 4000000);
    node->stalled_until_ns = sim_now_ns() + us * 1000;
    node->play->summary.stalls++;
}

void chaos_end(struct play *play)
{
    chaos_no_faults();
    for (unsigned i = 0; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        node->stalled_until_ns = 0;
        chaos_speak(node);
        for (unsigned k = 0; k < node->device_count; k++) {
            set_link(node, k, true);
            if (!sim_link_is_up(node->devices[k])) {
                sim_link_set(node->devices[k], true);
            }
        }
    }
    for (unsigned i = 0; i < play->host_count; i++) {
        struct node *node = &play->nodes[i];
        if (node->engine != NULL && (!node_is_whole(node) || chaos_has_lost(node))) {
            node_down(node);
        }
        if (node->engine == NULL && !node_up(node)) {
            play_fail(play, "host %u cannot be started though all is well again: %s", i,
                      wb_last_error());
        }
    }
}
