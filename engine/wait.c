/*
 * Waiting while making progress. There is one loop, await; everything that waits goes through it.
 *
 * A waiting thread takes turns on the lanes. Most calls end within the first few, and such a thread
 * is nobody's business. One that has to wait for longer joins those that stay awake, if the CPUs
 * have room for it, and lies down else (sleepers.h): threads that poll in vain take the CPU from
 * whoever holds the lane, and from the peer. When nothing has happened for config.spin_us, one of
 * those that are awake sleeps on the engine's descriptor, so that the network wakes it (arm, then
 * sleep: a lane that has something refuses to be armed); the others lie down. A program's own loop
 * that waits for the descriptor is a sleeper too, whom a thread that disarms wakes
 * (wbi_engine_hand_over).
 *
 * A worker of an executor does other work between its turns, which may take long. So it is awake
 * only while it sleeps, and others hear of it when it stops that.
 */
#include <sched.h>

#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/turns.h"

static const uint64_t park_us = 2000;    /* for what nobody may have told */
static const uint64_t sleep_us = 100000; /* a sleeper looks around that often whatever happens */
static const uint64_t sleep_waiting_us =
    1000; /* and that often while something waits for memory or room */

enum {
    POLLS_A_TURN = 8,  /* of a lane that is alone, by a thread that waits */
    POLLS_A_LOOK = 32, /* the clock is read once in so many turns */
    YIELDS = 4,        /* where others lie, before a thread decides whether to */
    CALLS_A_YIELD = 64 /* where others lie, by a thread whose calls end at once */
};

/* Whether a fabric has several lanes. */
static bool has_several(const struct wb_engine *engine)
{
    return engine->lane_count > engine->network_count;
}

bool wbi_engine_inside(struct wb_engine *engine)
{
    if (has_several(engine)) { /* without a look at what others write */
        return wbi_thread_is_inside_of(engine);
    }
    for (unsigned i = 0; i < engine->lane_count; i++) {
        if (wbi_lane_is_mine(engine->lanes[i])) {
            return true;
        }
    }
    return false;
}

void wbi_engine_notify(struct wb_engine *engine)
{
    /* a full fence: whoever lies down after our change sees it, or we see him */
    if (atomic_fetch_add_explicit(&engine->sleepers.count, 0, memory_order_seq_cst) > 0) {
        wbi_sleepers_wake_all(engine);
    }
}

/* One descriptor that is always in the engine's: whoever sleeps on that gets up, and turns all. */
void wbi_engine_wake(struct wb_engine *engine)
{
    engine->lanes[0]->fabric->wake(engine->lanes[0]->port);
}

void wbi_engine_rouse(struct wb_engine *engine)
{
    const void *watcher = atomic_load(&engine->watcher);
    bool wanted = watcher != NULL && watcher != wbi_thread_token();
    if (atomic_load(&engine->sleeper) != 0) {
        /* it may be about to sleep, and a turn of another's take from the descriptor what was to
         * wake it: that one sees this when it stops (wbi_engine_hand_over) */
        wbi_sleepers_call_watch(engine);
        wanted = true;
    }
    if (wanted) {
        wbi_engine_wake(engine);
    }
}

void wbi_engine_hand_over_now(struct wb_engine *engine)
{
    atomic_store_explicit(&engine->disarmed, 0, memory_order_relaxed);
    wbi_engine_rouse(engine);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int wbi_engine_say_inside(struct wb_engine *engine)
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

/* Whether no lane wants a moment before it is armed. All are asked before one is: they may want the
 * same moment, and none is to be armed in vain meanwhile. */
static bool all_are_calm(struct wb_engine *engine)
{
    bool calm = true;
    for (uint32_t lanes = atomic_load(&engine->peopled); lanes != 0; lanes &= lanes - 1) {
        struct wbi_lane *lane = engine->lanes[__builtin_ctz(lanes)];
        if (lane->fabric->calm != NULL && wbi_lane_enter(lane) == WBI_LANE_ENTERED) {
            calm &= lane->fabric->calm(lane->port);
            wbi_lane_leave(lane);
        }
    }
    return calm;
}

/* Arms every lane that has something to do; false where one has something to do, another thread is
 * at it, or one more has come to have. */
static bool arm_all(struct wb_engine *engine, uint64_t *limit)
{
    /* whoever peoples another one from here on sees that this one may sleep */
    uint32_t peopled = atomic_load(&engine->peopled), all = peopled;
    if (!all_are_calm(engine)) {
        return false;
    }
    for (; peopled != 0; peopled &= peopled - 1) {
        struct wbi_lane *lane = engine->lanes[__builtin_ctz(peopled)];
        if (wbi_lane_enter(lane) != WBI_LANE_ENTERED) {
            return false;
        }
        bool armed = lane->fabric->arm(lane->port) == WB_OK;
        lane->armed = armed;
        lane->bare = false; /* until it is disarmed */
        wbi_home_set_bare(lane, false);
        if (lane->parked != NULL || lane->busy != NULL || lane->rooms.hungry > 0 ||
            wbi_rooms_await_calls(lane) || wbi_streams_hunger(&lane->streams)) {
            *limit = least(*limit, sleep_waiting_us);
        } else if (lane->peers != NULL) {
            *limit = least(*limit, sleep_us);
        }
        if (lane->dial_at != 0) {
            uint64_t left = lane->dial_at > lane->now ? lane->dial_at - lane->now : 0;
            *limit = least(*limit, left > sleep_waiting_us ? left : sleep_waiting_us);
        }
        lane->turns |= 255; /* the first turn after a sleep looks at the clock */
        wbi_rough_forget(&lane->clock);
        wbi_count(&lane->counters.sleeps, armed);
        wbi_lane_leave(lane);
        if (!armed || atomic_load(&lane->rooms.stirred)) {
            return false;
        }
    }
    return (atomic_load(&engine->peopled) & ~all) == 0;
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

/* ---- the loop ---- */

/* A thread that waits. */
struct stay {
    struct wb_engine *engine;
    const struct wbi_vigil *vigil;
    uint64_t timeout_us;
    struct wbi_rough_clock clock;
    uint64_t start, useful; /* when it began, and when something was last done; 0: just now */
    struct wbi_lane *own;   /* that it looks after first, or NULL; and */
    bool apart;             /* it leaves the others to others, but for now and then */
    bool awake;             /* it has promised to make progress */
    unsigned yields;        /* that it has made in favour of others */
};

/* How a thread's rest was ended. */
enum rest {
    REST_OVER,   /* by what it waits for, or by its time */
    REST_PLACE,  /* it was called since somebody has to make progress, and for nothing else */
    REST_REFUSED /* it has not rested: it could not arm the lanes, or has to stay awake */
};

static enum rest lie_down(struct stay *stay, struct wbi_helper *helper, uint64_t limit)
{
    struct wb_engine *engine = stay->engine;
    const struct wbi_vigil *vigil = stay->vigil;
    struct wbi_sleeper sleeper = {.vigil = vigil, .looks = vigil->wake == WBI_WAKE_MET};
    bool lies = wbi_sleepers_lie_down(engine, &sleeper, stay->awake);
    stay->awake = true; /* when it is up again */
    if (!lies) {
        return REST_REFUSED;
    }
    wbi_engine_hand_over(engine);
    if (sleeper.looks) {
        wbi_sleepers_look(engine, &sleeper);
    }
    if (!wbi_sleepers_met(engine, vigil) && wbi_helper_sleeps(helper, &sleeper)) {
        wbi_park(&sleeper.woken, 0, least(limit, vigil->park_us));
    }
    wbi_helper_wakes(helper);
    wbi_sleepers_get_up(engine, &sleeper);
    if (atomic_load_explicit(&sleeper.woken, memory_order_relaxed) == 0) {
        return REST_OVER;
    }
    if (helper != NULL && !helper->called && !vigil->any && !vigil->met(vigil->context)) {
        return REST_PLACE;
    }
    stay->useful = 0; /* who was called has something to look at */
    return REST_OVER;
}

/* The caller is the engine's sleeper. */
static enum rest sleep_on_network(struct stay *stay, struct wbi_helper *helper, uint64_t limit)
{
    struct wb_engine *engine = stay->engine;
    struct wbi_sleeper sleeper = {.vigil = stay->vigil};
    uint64_t bound = least(limit, sleep_us);
    wbi_sleepers_watch(engine, &sleeper);
    bool armed = arm_all(engine, &bound);
    if (armed && !wbi_sleepers_called(engine, &sleeper) && wbi_helper_sleeps(helper, &sleeper)) {
        wbi_wait(engine->epoll, bound);
    }
    wbi_helper_wakes(helper);
    wbi_sleepers_unwatch(engine, &sleeper);
    return armed ? REST_OVER : REST_REFUSED;
}

/* Sleeps until something may have happened, `limit` at most. */
static enum rest rest(struct stay *stay, struct wbi_helper *helper, uint64_t limit)
{
    uint32_t nobody = 0;
    struct wb_engine *engine = stay->engine;
    stay->awake = stay->awake || wbi_sleepers_join(engine);
    if (stay->awake && atomic_compare_exchange_strong(&engine->sleeper, &nobody, 1)) {
        return sleep_on_network(stay, helper, limit);
    }
    return lie_down(stay, helper, limit);
}

static void resign(struct stay *stay)
{
    if (stay->awake) {
        stay->awake = false;
        wbi_sleepers_resign(stay->engine);
    }
}

/* What is left of its time, which has begun. */
static uint64_t time_left(const struct stay *stay)
{
    uint64_t passed = wbi_now() - stay->start;
    return passed < stay->timeout_us ? stay->timeout_us - passed : 0;
}

/* Whether it has something to do but to keep a place: turns find that where lanes are not armed. */
static bool has_business(struct stay *stay, const struct wbi_helper *helper, enum rest ended)
{
    if (ended == REST_REFUSED && wbi_turn_all(stay->engine, NULL, false, 1) > 0) {
        stay->useful = 0;
        return true;
    }
    return helper->called || stay->vigil->met(stay->vigil->context);
}

/* One that is called to make progress keeps that place, and rests again: no work has come since it
 * looked for some. If it gave the place up to look for work, the next one would be called to do the
 * same, and so all of them. */
static void rest_in_place(struct stay *stay, struct wbi_helper *helper, uint64_t limit)
{
    enum rest ended = rest(stay, helper, limit);
    bool keeps = ended == REST_PLACE;
    while (keeps && ended != REST_OVER && !has_business(stay, helper, ended) &&
           (limit = time_left(stay)) > 0) {
        ended = rest(stay, helper, limit);
    }
}

/* Nobody knows how long its work takes: it is not awake while it may be at that. It is known as one
 * that helps before it looks for work the last time. */
static void rest_helping(struct stay *stay, uint64_t limit)
{
    struct wbi_helper helper;
    wbi_helper_open(&helper, stay->engine);
    bool helped = wbi_executor_help();
    if (!helped) {
        rest_in_place(stay, &helper, limit);
        resign(stay);
    }
    if (wbi_helper_close(&helper) && !helped) {
        wbi_executor_help();
    }
}

static bool others_lie(struct wb_engine *engine)
{
    return atomic_load_explicit(&engine->sleepers.count, memory_order_relaxed) > 0;
}

/* Once in so many polls: looks at the clock, and whether to sleep. Where others lie the CPUs are
 * scarce, and the peer may be waiting for this one: to let it have that is cheaper than to lie down
 * as well and be woken. */
static int look(struct stay *stay)
{
    struct wb_engine *engine = stay->engine;
    uint64_t now = wbi_rough_now(&stay->clock);
    stay->start = stay->start != 0 ? stay->start : now;
    stay->useful = stay->useful != 0 ? stay->useful : now;
    if (now - stay->start >= stay->timeout_us) {
        return WB_ERR_TIMED_OUT;
    }
    if (stay->yields < YIELDS && others_lie(engine)) {
        stay->yields++; /* its time runs: others may have the CPU for long */
        wbi_rough_forget(&stay->clock);
        sched_yield();
        return WB_OK;
    }
    if (atomic_load_explicit(&engine->sleepers.called, memory_order_relaxed)) {
        wbi_engine_rouse(engine); /* a turn may have taken what was to wake it */
    }
    uint64_t limit = stay->timeout_us - (now - stay->start);
    bool long_idle = now - stay->useful >= engine->config.spin_us;
    if (wbi_executor_helps()) {
        if (long_idle) {
            wbi_rough_forget(&stay->clock);
            rest_helping(stay, limit);
        }
        return WB_OK;
    }
    if (!stay->awake) {
        stay->awake = wbi_sleepers_join(engine);
    }
    if (!stay->awake || wbi_sleepers_crowd(engine)) {
        wbi_rough_forget(&stay->clock);
        lie_down(stay, NULL, limit);
    } else if (long_idle) {
        wbi_rough_forget(&stay->clock);
        rest(stay, NULL, limit);
    }
    return WB_OK;
}

/* A thread whose calls all end at once lets those that are getting up have the CPU now and then. */
static bool has_had_its_turn(struct wb_engine *engine)
{
    static _Thread_local unsigned calls;
    return others_lie(engine) && ++calls % CALLS_A_YIELD == 0;
}

/* Which lane the thread looks after first: that of what it waits for; or by its place in the crew,
 * which leaves the others to others where it has one for each. */
static void choose_own(struct stay *stay)
{
    struct wb_engine *engine = stay->engine;
    const struct wbi_vigil *vigil = stay->vigil;
    unsigned peopled = 0;
    stay->own = vigil->place != 0 ? wbi_home_at(engine, vigil->place - 1, &peopled) : vigil->lane;
    stay->apart = stay->own != NULL &&
                  atomic_load_explicit(&engine->crew.places, memory_order_relaxed) >= peopled;
}

/* A thread that has a lane of its own turns the others now and then, whatever becomes of its waits,
 * and before it `looks` whether to sleep: whose they are has their cache lines. */
static int turn_some(struct stay *stay, bool looks)
{
    int done = 0;
    bool round = !stay->apart || looks;
    if (!round) {
        done = wbi_turn_own(stay->own, POLLS_A_TURN, &round);
    }
    if (round && has_several(stay->engine)) {
        choose_own(stay);
    }
    return round ? done + wbi_turn_all(stay->engine, stay->own, false, POLLS_A_TURN) : done;
}

/* Returns WB_OK (met), the number of things done, or an error. */
static int await(struct wb_engine *engine, const struct wbi_vigil *vigil, uint64_t timeout_us)
{
    bool apart = vigil->lane != NULL && has_several(engine);
    struct stay stay = {.engine = engine,
                        .vigil = vigil,
                        .timeout_us = timeout_us,
                        .own = apart ? vigil->lane : NULL,
                        .apart = apart};
    int status = WB_OK;
    wbi_lanes_begin_wait(); /* a handler may wait for another engine's work */
    for (unsigned polls = has_had_its_turn(engine) ? POLLS_A_LOOK : 1;
         status == WB_OK && !vigil->met(vigil->context); polls++) {
        int done = turn_some(&stay, polls % POLLS_A_LOOK == 0);
        if (done > 0 && vigil->any) {
            status = done;
            break;
        }
        stay.useful = done > 0 ? 0 : stay.useful;
        if (polls % POLLS_A_LOOK == 0) {
            status = look(&stay);
        } else if (done == 0 && !wbi_executor_help()) {
            wbi_relax();
        }
    }
    wbi_lanes_end_wait();
    resign(&stay);
    wbi_engine_hand_over(engine);
    return status;
}

static int await_outside(struct wb_engine *engine, const struct wbi_vigil *vigil,
                         uint64_t timeout_us)
{
    int status = wbi_engine_check_outside(engine);
    if (status != WB_OK) {
        return status;
    }
    status = await(engine, vigil, timeout_us);
    return status == WB_ERR_TIMED_OUT
               ? wbi_error(status, "not within %llu us", (unsigned long long)timeout_us)
               : status;
}

int wbi_await(struct wb_engine *engine, bool (*met)(void *context), void *context,
              uint64_t timeout_us)
{
    if (timeout_us == UINT64_MAX && wbi_thread_is_inside()) { /* of what engine ever: circle.h */
        return wbi_error(WB_ERR_DEADLOCK, "inside a handler or callback this waits for no longer "
                                          "than a time that is said");
    }
    const struct wbi_vigil vigil = {
        .met = met, .context = context, .wake = WBI_WAKE_END, .park_us = park_us};
    return await_outside(engine, &vigil, timeout_us);
}

int wbi_await_calls(struct wb_engine *engine, struct wbi_lane *lane, bool (*met)(void *context),
                    void *context, uint64_t timeout_us)
{
    const struct wbi_vigil vigil = {
        .met = met, .context = context, .wake = WBI_WAKE_MET, .park_us = sleep_us, .lane = lane};
    return await_outside(engine, &vigil, timeout_us);
}

void wbi_await_notified(struct wb_engine *engine, unsigned place, bool (*met)(void *context),
                        void *context)
{
    const struct wbi_vigil vigil = {.met = met,
                                    .context = context,
                                    .wake = WBI_WAKE_NOT,
                                    .park_us = sleep_us,
                                    .place = place + 1};
    await(engine, &vigil, UINT64_MAX);
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
    const struct wbi_vigil vigil = {
        .met = never, .any = true, .wake = WBI_WAKE_NOT, .park_us = sleep_us};
    status = await(engine, &vigil, timeout_us);
    return status == WB_ERR_TIMED_OUT ? 0 : status;
}
