#include "tests/wb_sim/rails.h"

#include "engine/verbs/rails.h"
#include "tests/support/pattern.h"
#include "tests/wb_sim/chaos.h"
#include "tests/wb_sim/play.h"

static const uint64_t redial_us = 300000; /* in which a rail that broke once is dialled again */

static uint64_t lost; /* rails that were ready, of this run's engines */

void __real_wbi_verbs_rail_lost(struct wbi_channel *rail);
void __wrap_wbi_verbs_rail_lost(struct wbi_channel *rail);

void __wrap_wbi_verbs_rail_lost(struct wbi_channel *rail)
{
    lost += rail->established;
    __real_wbi_verbs_rail_lost(rail);
}

uint64_t rails_below(struct play *play, uint64_t limit)
{
    return limit != 0 ? test_pattern_random(&play->rails) % limit : 0;
}

void rails_open(struct play *play)
{
    play->rails = play->seed ^ (uint64_t)0x4a11 << 36;
    play->has_rails = play->options->rails && rails_below(play, 4) == 0;
    play->summary.rail_seeds = play->has_rails;
    lost = 0;
}

void rails_count(struct play *play)
{
    play->summary.rails_lost = lost;
}

bool rails_are_struck(const struct play *play)
{
    return play->has_rails && play->calm && play->options->disturb;
}

void rails_step(struct play *play)
{
    if (!rails_are_struck(play) || rails_below(play, 50) != 0) {
        return;
    }
    chaos_strike_rail(&play->nodes[rails_below(play, play->host_count)]);
    if (rails_below(play, 4) == 0) {
        play_settle(play, rails_below(play, redial_us), 1000, false);
    }
}

void rails_check(const struct node *node, const struct link *link)
{
    struct wb_peer_info info;
    int status = wb_peer_describe(link->peer, &info);
    if (status != WB_OK || info.rails != node->play->has_rails) {
        play_fail(node->play, "host %u has %u rails to host %u though all is well", node->number,
                  status == WB_OK ? info.rails : 0, link->target);
    }
}
