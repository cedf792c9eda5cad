#include "engine/turns.h"

#include "engine/engine.h"
#include "mr_cache/allocator.h"

/* Lanes count their turns while they are held: threads on different ones write nothing together,
 * and a simulated run does the same each time. */
enum {
    TURNS_A_BARE = 16, /* a lane without peers has one in so many of another's, */
    TURNS_A_ROUND = 4  /* and one with peers in so many, of a thread that has a lane of its own */
};

/* *turns becomes the number of the lane's turns, if it had one. */
static int turn(struct wb_engine *engine, struct wbi_lane *lane, bool look, unsigned polls,
                uint32_t *turns)
{
    int done = 0;
    if (wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
        if (lane->armed) {
            lane->armed = false;
            atomic_store_explicit(&engine->disarmed, 1, memory_order_relaxed);
        }
        done = wbi_lane_turn(lane, look, polls);
        *turns = lane->turns;
        wbi_lane_leave(lane);
    }
    return done;
}

static bool is_bare(const struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->bare, memory_order_relaxed);
}

/* Turns on some of the lanes, a bit each. */
static int turn_these(struct wb_engine *engine, uint32_t lanes, bool look, unsigned polls,
                      uint32_t *turns)
{
    int done = 0;
    for (; lanes != 0; lanes &= lanes - 1) {
        done += turn(engine, engine->lanes[__builtin_ctz(lanes)], look, polls, turns);
    }
    return done;
}

int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    int done = 0;
    uint32_t peopled = atomic_load_explicit(&engine->peopled, memory_order_relaxed), bare = 0;
    uint32_t turns = 1;
    bool may_grow = wbi_rma_thread_may_grow(false);
    for (uint32_t left = peopled; left != 0; left &= left - 1) {
        bare |= is_bare(engine->lanes[__builtin_ctz(left)]) ? left & -left : 0;
    }
    uint32_t busy = peopled & ~bare;
    polls = (busy & (busy - 1)) == 0 ? polls : 1;
    if (own != NULL) {
        done += turn(engine, own, look, polls, &turns);
        busy &= ~own->bit;
        bare &= ~own->bit;
    }
    done += turn_these(engine, busy, look, polls, &turns);
    if (bare != 0 && (done == 0 || look || turns % TURNS_A_BARE == 0)) {
        done += turn_these(engine, bare, look, 1, &turns);
    }
    wbi_rma_thread_may_grow(may_grow);
    return done;
}

int wbi_turn_own(struct wb_engine *engine, struct wbi_lane *own, unsigned polls, bool *round)
{
    uint32_t turns = 1;
    bool may_grow = wbi_rma_thread_may_grow(false);
    int done = turn(engine, own, false, polls, &turns);
    wbi_rma_thread_may_grow(may_grow);
    *round = turns % TURNS_A_ROUND == 0;
    return done;
}
