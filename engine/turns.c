#include "engine/turns.h"

#include "engine/engine.h"
#include "mr_cache/allocator.h"

enum { TURNS_A_BARE = 16 }; /* a lane without peers has one in about so many */

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

/* Whether lanes without peers are to be looked at though others have done something: each thread
 * counts for itself, so that those on different lanes write nothing together. */
static bool bare_are_due(void)
{
    static _Thread_local uint32_t phase __attribute__((tls_model("initial-exec")));
    return wbi_once_in(TURNS_A_BARE, &phase);
}

/* Turns on some of the lanes, a bit each. */
static int turn_these(struct wb_engine *engine, uint32_t lanes, bool look, unsigned polls)
{
    int done = 0;
    for (; lanes != 0; lanes &= lanes - 1) {
        done += turn(engine, engine->lanes[__builtin_ctz(lanes)], look, polls);
    }
    return done;
}

int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    int done = 0;
    uint32_t peopled = atomic_load_explicit(&engine->peopled, memory_order_relaxed), bare = 0;
    bool may_grow = wbi_rma_thread_may_grow(false);
    for (uint32_t left = peopled; left != 0; left &= left - 1) {
        bare |= is_bare(engine->lanes[__builtin_ctz(left)]) ? left & -left : 0;
    }
    uint32_t busy = peopled & ~bare;
    polls = (busy & (busy - 1)) == 0 ? polls : 1;
    if (own != NULL) {
        done += turn(engine, own, look, polls);
        busy &= ~own->bit;
        bare &= ~own->bit;
    }
    done += turn_these(engine, busy, look, polls);
    if (bare != 0 && (done == 0 || look || bare_are_due())) {
        done += turn_these(engine, bare, look, 1);
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
