#include "engine/turns.h"

#include "engine/engine.h"
#include "mr_cache/allocator.h"

/* Lanes count their turns while they are held: threads on different ones write nothing together,
 * and a simulated run does the same each time. */
enum {
    TURNS_A_BARE = 16, /* a lane without peers has one in so many of another's, */
    TURNS_A_ROUND = 4, /* and one with peers in so many, of a thread that has a lane of its own */
    IDLE_PROGRESS_A_LOOK = 4 /* the clock is read once in so many wb_progress that find nothing */
};

/* Turns on some of the lanes, a bit each. */
static inline int turn_these(struct wb_engine *engine, uint32_t lanes, bool look, unsigned polls,
                             uint32_t *turns)
{
    int done = 0;
    for (; lanes != 0; lanes &= lanes - 1) {
        done += wbi_lane_turn(engine->lanes[__builtin_ctz(lanes)], look, polls, turns);
    }
    return done;
}

/* Inline, since a turn of wb_progress is nothing else. */
static inline __attribute__((always_inline)) int
turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    int done = 0;
    uint32_t peopled = atomic_load_explicit(&engine->peopled, memory_order_relaxed);
    uint32_t bare = peopled & atomic_load_explicit(&engine->bare, memory_order_relaxed);
    uint32_t busy = peopled & ~bare, turns = 1;
    bool may_grow = wbi_rma_thread_may_grow(false);
    polls = (busy & (busy - 1)) == 0 ? polls : 1;
    if (own != NULL) {
        done += wbi_lane_turn(own, look, polls, &turns);
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

int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    return turn_all(engine, own, look, polls);
}

int wbi_turn_own(struct wbi_lane *own, unsigned polls, bool *round)
{
    uint32_t turns = 1;
    bool may_grow = wbi_rma_thread_may_grow(false);
    int done = wbi_lane_turn(own, false, polls, &turns);
    wbi_rma_thread_may_grow(may_grow);
    *round = turns % TURNS_A_ROUND == 0;
    return done;
}

int wb_progress(struct wb_engine *engine)
{
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    /* a program may call this seldom, from a loop of its own, and deadlines have to be kept all the
     * same */
    uint32_t idle = atomic_load_explicit(&engine->idle, memory_order_relaxed);
    bool looked = idle >= IDLE_PROGRESS_A_LOOK;
    int done = turn_all(engine, NULL, looked, 1);
    if (looked || done == 0) {
        atomic_store_explicit(&engine->idle, looked ? 0 : idle + 1, memory_order_relaxed);
    }
    wbi_engine_hand_over(engine);
    return done;
}
