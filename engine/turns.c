#include "engine/turns.h"

#include "engine/engine.h"
#include "engine/home.h"
#include "mr_cache/allocator.h"

enum { TURNS_A_BARE = 16 }; /* a lane without peers has a turn once in so many */

static int turn(struct wb_engine *engine, struct wbi_lane *lane, bool look, unsigned polls)
{
    int done = 0;
    if (wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
        if (lane->armed) {
            lane->armed = false;
            atomic_store_explicit(&engine->disarmed, 1, memory_order_relaxed);
        }
        done = wbi_lane_turn(lane, look, polls);
        wbi_lane_leave(lane);
    }
    return done;
}

static bool is_bare(const struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->bare, memory_order_relaxed);
}

/* Whether lanes without peers, where at most somebody is coming, are to be looked at though others
 * have done something: once in so many times, whoever makes progress. */
static bool bare_are_due(struct wb_engine *engine)
{
    uint32_t turns = atomic_load_explicit(&engine->turns, memory_order_relaxed) + 1;
    atomic_store_explicit(&engine->turns, turns, memory_order_relaxed);
    return turns % TURNS_A_BARE == 0;
}

/* Turns on those lanes that are bare, or on those that are not; but `own`. */
static int turn_others(struct wb_engine *engine, const struct wbi_lane *own, bool bare, bool look,
                       unsigned polls)
{
    int done = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct wbi_lane *lane = engine->lanes[i];
        if (lane != own && wbi_home_is_peopled(lane) && is_bare(lane) == bare) {
            done += turn(engine, lane, look, polls);
        }
    }
    return done;
}

int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    int done = 0;
    unsigned peopled = 0, bare = 0;
    bool may_grow = wbi_rma_thread_may_grow(false);
    for (unsigned i = 0; i < engine->lane_count; i++) {
        peopled += wbi_home_is_peopled(engine->lanes[i]) ? 1 : 0;
        bare += wbi_home_is_peopled(engine->lanes[i]) && is_bare(engine->lanes[i]) ? 1 : 0;
    }
    polls = peopled - bare <= 1 ? polls : 1;
    done += own != NULL ? turn(engine, own, look, polls) : 0;
    done += bare < peopled ? turn_others(engine, own, false, look, polls) : 0;
    if (bare > 0 && (done == 0 || look || bare_are_due(engine))) {
        done += turn_others(engine, own, true, look, 1);
    }
    wbi_rma_thread_may_grow(may_grow);
    return done;
}

int wbi_turn_own(struct wb_engine *engine, struct wbi_lane *own, unsigned polls)
{
    bool may_grow = wbi_rma_thread_may_grow(false);
    int done = turn(engine, own, false, polls);
    wbi_rma_thread_may_grow(may_grow);
    return done;
}
