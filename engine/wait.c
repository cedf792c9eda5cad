/*
 * Waiting while making progress. There is one loop, wbi_await; everything that waits goes through
 * it.
 *
 * A waiting thread takes turns on the lanes. When nothing has happened for config.spin_us it
 * sleeps: the first such thread on the engine's descriptor, so that the network wakes it (arm, then
 * sleep: a lane that has something refuses to be armed); the others on engine->events, which is
 * stirred whenever a call ends, a peer changes or the first sleeper wakes. The end of a call can be
 * missed by a thread that is just about to park; so nobody who waits for one parks for longer than
 * park_us. A program's own loop that waits for the descriptor is a sleeper too, whom a thread that
 * disarms wakes (hand_over).
 */
#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "mr_cache/allocator.h"

static const uint64_t park_us = 2000;
static const uint64_t sleep_us = 100000; /* a sleeper looks around that often whatever happens */
static const uint64_t sleep_waiting_us =
    1000; /* and that often while something waits for memory or room */

enum {
    POLLS_A_LOOK = 32,       /* the clock is read once in so many polls */
    IDLE_PROGRESS_A_LOOK = 4 /* and once in so many wb_progress that find nothing to do */
};

bool wbi_engine_inside(struct wb_engine *engine)
{
    for (unsigned i = 0; i < engine->lane_count; i++) {
        if (wbi_lane_is_mine(engine->lanes[i])) {
            return true;
        }
    }
    return false;
}

void wbi_engine_notify(struct wb_engine *engine)
{
    atomic_fetch_add_explicit(&engine->events, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&engine->parked, memory_order_seq_cst) > 0) {
        wbi_unpark(&engine->events);
    }
}

static int turn_all(struct wb_engine *engine, bool look)
{
    int done = 0;
    bool may_grow = wbi_rma_thread_may_grow(false);
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct wbi_lane *lane = engine->lanes[i];
        if (wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
            if (lane->armed) {
                lane->armed = false;
                atomic_store_explicit(&engine->disarmed, 1, memory_order_relaxed);
            }
            done += wbi_lane_turn(lane, look);
            wbi_lane_leave(lane);
        }
    }
    wbi_rma_thread_may_grow(may_grow);
    return done;
}

void wbi_engine_rouse(struct wb_engine *engine)
{
    const void *watcher = atomic_load(&engine->watcher);
    bool watched = watcher != NULL && watcher != wbi_thread_token();
    for (unsigned i = 0; i < engine->lane_count; i++) {
        if (watched || atomic_load(&engine->sleeper) != 0) {
            engine->lanes[i]->fabric->wake(engine->lanes[i]->port);
        }
    }
}

/* A thread that stops polling wakes the one that sleeps, if it took the lanes' alarm away: a turn
 * disarms. */
static void hand_over(struct wb_engine *engine)
{
    if (atomic_load_explicit(&engine->disarmed, memory_order_relaxed) == 0) {
        return;
    }
    atomic_store_explicit(&engine->disarmed, 0, memory_order_relaxed);
    wbi_engine_rouse(engine);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int wbi_engine_check_outside(struct wb_engine *engine)
{
    int status = wbi_engine_check_process(engine);
    if (status != WB_OK) {
        return status;
    }
    return wbi_engine_inside(engine)
               ? wbi_error(WB_ERR_DEADLOCK, "waiting inside a handler or callback would stop the "
                                            "progress that is waited for")
               : WB_OK;
}

/* Arms every lane; false where one has something to do, or another thread is at it. */
static bool arm_all(struct wb_engine *engine, uint64_t *limit)
{
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct wbi_lane *lane = engine->lanes[i];
        if (wbi_lane_enter(lane) != WBI_LANE_ENTERED) {
            return false;
        }
        bool armed = lane->fabric->arm(lane->port) == WB_OK;
        lane->armed = armed;
        if (lane->parked != NULL || lane->busy != NULL || lane->rooms.hungry > 0 ||
            wbi_streams_hunger(&lane->streams)) {
            *limit = least(*limit, sleep_waiting_us);
        } else if (lane->peers != NULL) {
            *limit = least(*limit, sleep_us);
        }
        if (lane->dial_at != 0) {
            uint64_t left = lane->dial_at > lane->now ? lane->dial_at - lane->now : 0;
            *limit = least(*limit, left > sleep_waiting_us ? left : sleep_waiting_us);
        }
        lane->turns |= 255; /* the first turn after a sleep looks at the clock */
        wbi_count(&lane->counters.sleeps, armed);
        wbi_lane_leave(lane);
        if (!armed || atomic_load(&lane->rooms.stirred)) {
            return false;
        }
    }
    return true;
}

int wb_engine_fd(const struct wb_engine *engine)
{
    return engine->epoll;
}

int wb_engine_arm(struct wb_engine *engine, uint64_t *timeout_us)
{
    *timeout_us = sleep_us;
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    /* before the lanes are armed: whoever disarms one afterwards has to see it */
    atomic_store(&engine->watcher, wbi_thread_token());
    return arm_all(engine, timeout_us) ? WB_OK : WB_AGAIN;
}

/* What a thread waits for. */
struct vigil {
    bool (*met)(void *context);
    void *context;
    bool any;         /* or until something was done */
    uint64_t park_us; /* how long it parks at most */
};

/* `seen` is as the events were when another thread was the sleeper: that one stirs when it stops,
 * and somebody has to take over. */
static void park(struct wb_engine *engine, const struct vigil *vigil, uint32_t seen, uint64_t limit)
{
    hand_over(engine);
    atomic_fetch_add_explicit(&engine->parked, 1, memory_order_seq_cst);
    if (!vigil->met(vigil->context)) {
        wbi_park(&engine->events, seen, least(limit, vigil->park_us));
    }
    atomic_fetch_sub_explicit(&engine->parked, 1, memory_order_seq_cst);
}

/* Sleeps until something may have happened, `limit` at most. */
static void rest(struct wb_engine *engine, const struct vigil *vigil, uint64_t limit)
{
    uint32_t nobody = 0;
    uint32_t seen = atomic_load_explicit(&engine->events, memory_order_seq_cst);
    if (!atomic_compare_exchange_strong(&engine->sleeper, &nobody, 1)) {
        park(engine, vigil, seen, limit);
        return;
    }
    uint64_t bound = least(limit, sleep_us);
    if (arm_all(engine, &bound) && !vigil->met(vigil->context)) {
        wbi_wait(engine->epoll, bound);
    }
    atomic_store(&engine->sleeper, 0);
    wbi_engine_notify(engine); /* somebody else may have to take over */
}

/* The loop. Returns WB_OK (met), the number of things done, or an error. */
static int await(struct wb_engine *engine, const struct vigil *vigil, uint64_t timeout_us)
{
    uint64_t start = 0, useful = 0;
    for (unsigned polls = 1; !vigil->met(vigil->context); polls++) {
        int done = turn_all(engine, false);
        if (done > 0 && vigil->any) {
            return done;
        }
        useful = done > 0 ? 0 : useful;
        if (polls % POLLS_A_LOOK != 0) {
            if (done == 0 && !wbi_executor_help()) {
                wbi_relax();
            }
            continue;
        }
        uint64_t now = wbi_now();
        start = start != 0 ? start : now;
        useful = useful != 0 ? useful : now;
        if (now - start >= timeout_us) {
            return WB_ERR_TIMED_OUT;
        }
        if (now - useful >= engine->config.spin_us && !wbi_executor_help()) {
            rest(engine, vigil, timeout_us - (now - start));
        }
    }
    return WB_OK;
}

int wbi_await(struct wb_engine *engine, bool (*met)(void *context), void *context,
              uint64_t timeout_us)
{
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    const struct vigil vigil = {.met = met, .context = context, .park_us = park_us};
    status = await(engine, &vigil, timeout_us);
    hand_over(engine);
    return status == WB_ERR_TIMED_OUT
               ? wbi_error(status, "not within %llu us", (unsigned long long)timeout_us)
               : status;
}

void wbi_await_notified(struct wb_engine *engine, bool (*met)(void *context), void *context)
{
    const struct vigil vigil = {.met = met, .context = context, .park_us = sleep_us};
    await(engine, &vigil, UINT64_MAX);
    hand_over(engine);
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
    int done = turn_all(engine, looked);
    if (looked || done == 0) {
        atomic_store_explicit(&engine->idle, looked ? 0 : idle + 1, memory_order_relaxed);
    }
    hand_over(engine);
    return done;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

int wb_wait(struct wb_engine *engine, uint64_t timeout_us)
{
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    const struct vigil vigil = {.met = never, .any = true, .park_us = park_us};
    status = await(engine, &vigil, timeout_us);
    hand_over(engine);
    return status == WB_ERR_TIMED_OUT ? 0 : status;
}
