/* Turns: what whoever makes progress does on a lane, and on which lanes. */
#include "engine/turns.h"

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/peer.h"
#include "mr_cache/allocator.h"

/* Lanes count their turns while they are held: threads on different ones write nothing together,
 * and a simulated run does the same each time. */
enum {
    TURNS_A_LOOK = 256, /* the clock is read once in so many turns */
    TURNS_A_RETRY = 64, /* parked parcels are tried again once in so many turns */
    TURNS_A_BARE = 16,  /* a lane without peers has one in so many of another's, */
    TURNS_A_ROUND = 4,  /* and one with peers in so many, of a thread that has a lane of its own */
    IDLE_PROGRESS_A_LOOK = 4 /* the clock is read once in so many wb_progress that find nothing */
};

static const uint64_t housekeeping_us = 1000;

/* ---- of a lane ---- */

/* Peers with something to send, or that may have: those for whom there is still no room stay in the
 * list, before those that could send, so that what is scarce goes round. */
static int flush_busy(struct wbi_lane *lane)
{
    int done = 0;
    struct wb_peer *peer = lane->busy, *first = NULL, **tail = &first;
    lane->busy = NULL;
    while (peer != NULL) {
        struct wb_peer *next = peer->busy_next;
        peer->busy = false;
        if (atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTED) {
            bool clear = wbi_control_flush(peer);
            int sent = wbi_parcels_flush(peer);
            done += sent;
            wbi_inbound_fetch(peer);
            if (sent == 0 && peer->waiting != NULL && !peer->busy) {
                peer->busy = true;
                *tail = peer;
                tail = &peer->busy_next;
            } else if (!clear || peer->waiting != NULL) {
                wbi_peer_busy(peer);
            }
        }
        peer = next;
    }
    *tail = lane->busy;
    lane->busy = first;
    return done;
}

static void keep_house(struct wbi_lane *lane)
{
    if (wbi_rough_now(&lane->clock) - lane->now < housekeeping_us) {
        return;
    }
    uint64_t now = lane->now = wbi_true_now(&lane->clock);
    lane->dial_at = 0; /* whoever still waits says so */
    struct wb_peer *next;
    for (struct wb_peer *peer = lane->peers; peer != NULL; peer = next) {
        next = peer->next;
        if (!peer->dying) {
            wbi_peer_expire(peer, now);
        }
    }
}

/* Tries again what waits, in the order in which room is given. */
static int go_on(struct wbi_lane *lane, bool retry)
{
    int done = 0;
    if (lane->busy != NULL) {
        wbi_lane_gather(lane);
        done += flush_busy(lane);
        wbi_lane_flush(lane);
    }
    if (lane->parked != NULL && retry) {
        done += wbi_inbound_retry(lane); /* replies do not wait for the next ones' handlers */
    }
    return done;
}

/* Polls once more, and so until there is something, `polls` times at most. Who enters and leaves
 * the lane between any two of them pays for it with what comes meanwhile; others that would have it
 * see to it that this one does not keep it. */
static __attribute__((noinline)) int look_again(struct wbi_lane *lane, unsigned polls)
{
    int done = 0;
    for (; done == 0 && polls > 0 && !wbi_lane_is_asked(lane, memory_order_relaxed); polls--) {
        wbi_relax();
        done = lane->fabric->poll(lane->port);
    }
    return done;
}

/* Whether there is more to do in a turn than to poll, which is seldom; asked as one, and not one
 * after the other. */
static inline bool has_more_to_do(const struct wbi_lane *lane)
{
    uintptr_t any = (uintptr_t)lane->busy | (uintptr_t)lane->parked | (uintptr_t)lane->dying;
    any |= (uintptr_t)lane->bare | wbi_rooms_want(&lane->rooms);
    return any != 0 || lane->turns % TURNS_A_RETRY == 0;
}

static __attribute__((noinline)) int do_the_rest(struct wbi_lane *lane, bool look)
{
    int done = 0;
    bool retry = look || lane->turns % TURNS_A_RETRY == 0;
    if (lane->busy != NULL || lane->parked != NULL) {
        done += go_on(lane, retry);
    }
    if (look || lane->turns % TURNS_A_LOOK == 0) {
        keep_house(lane);
        wbi_streams_retry(lane); /* nothing is done by that: who waits is not to spin */
    }
    if (lane->dying != NULL) {
        wbi_lane_bury(lane);
    }
    if (wbi_rooms_want(&lane->rooms) != 0) {
        done += wbi_rooms_look(lane, retry);
    }
    lane->bare = !wbi_home_has_peers(lane);
    wbi_home_set_bare(lane, lane->bare);
    return done;
}

/* Whether there is something to do before the poll, likewise. */
static inline bool has_to_begin(struct wbi_lane *lane)
{
    uintptr_t any = (uintptr_t)lane->armed | lane->crowded;
    return (any | (uintptr_t)atomic_load_explicit(&lane->inbox, memory_order_relaxed)) != 0;
}

static __attribute__((noinline)) void begin_turn(struct wbi_lane *lane)
{
    if (lane->armed) {
        lane->armed = false;
        atomic_store_explicit(&lane->engine->disarmed, 1, memory_order_relaxed);
    }
    lane->crowded -= lane->crowded > 0;
    if (wbi_lane_inbox_waits(lane)) {
        lane->crowded = WBI_TURNS_CROWDED;
        wbi_lane_gather(lane); /* until the poll, which sends first */
        wbi_lane_drain(lane);
    }
}

/* A thread that is not in the lane: one turn, if nobody is in it; `look` at the clock and at what
 * waits, whether or not it is time; `polls` times at most until there is something. Returns the
 * number of things done; *turns becomes the number of the lane's turns, if it had one. Inline in
 * the loop of who makes progress. */
static inline __attribute__((always_inline)) int turn(struct wbi_lane *lane, bool look,
                                                      unsigned polls, uint32_t *turns)
{
    if (wbi_lane_enter(lane) != WBI_LANE_ENTERED) {
        return 0;
    }
    wbi_lane_go_inside(lane);
    if (has_to_begin(lane)) {
        begin_turn(lane);
    }
    int done = lane->fabric->poll(lane->port);
    if (done == 0 && polls > 1 && lane->crowded == 0) {
        done = look_again(lane, polls - 1);
    }
    *turns = ++lane->turns;
    if (look || has_more_to_do(lane)) {
        done += do_the_rest(lane, look);
    }
    wbi_lane_come_out(lane);
    wbi_lane_leave(lane);
    return done;
}

/* ---- of a thread ---- */

/* Whether lanes without peers are due behind `first`, which has had its turn number `turns`, or
 * none (0): seldom, for to poll them would be half of an idle turn. A thread that turns a lane of
 * its own comes here in one of its rounds only. */
static inline bool bare_are_due(const struct wbi_lane *own, bool look, uint32_t turns)
{
    return look || turns % TURNS_A_BARE < (own != NULL ? TURNS_A_ROUND : 1);
}

/* On lanes other than `first`; those without peers come last. */
static __attribute__((noinline)) int
turn_others(struct wb_engine *engine, const struct wbi_lane *first, bool look, bool with_bare)
{
    int done = 0;
    uint32_t turns, others = atomic_load_explicit(&engine->peopled, memory_order_relaxed);
    others &= first != NULL ? ~first->bit : ~0U;
    uint32_t bare = others & atomic_load_explicit(&engine->bare, memory_order_relaxed);
    for (uint32_t lanes = others & ~bare; lanes != 0; lanes &= lanes - 1) {
        done += turn(engine->lanes[__builtin_ctz(lanes)], look, 1, &turns);
    }
    for (; with_bare && bare != 0; bare &= bare - 1) {
        done += turn(engine->lanes[__builtin_ctz(bare)], look, 1, &turns);
    }
    return done;
}

/* Those that have peers, a bit each. */
static inline uint32_t lanes_with_peers(const struct wb_engine *engine)
{
    return atomic_load_explicit(&engine->peopled, memory_order_relaxed) &
           ~atomic_load_explicit(&engine->bare, memory_order_relaxed);
}

static inline bool is_one(uint32_t lanes)
{
    return lanes != 0 && (lanes & (lanes - 1)) == 0;
}

/* The lane of a thread that has one comes first, and then the others. */
static __attribute__((noinline)) int turn_several(struct wb_engine *engine, struct wbi_lane *own,
                                                  bool look, unsigned polls)
{
    uint32_t turns = 0;
    int done = 0;
    if (own != NULL) {
        done = turn(own, look, lanes_with_peers(engine) == own->bit ? polls : 1, &turns);
    }
    return done + turn_others(engine, own, look, bare_are_due(own, look, turns));
}

/* Mostly one lane alone has peers, and a turn of wb_progress is nothing but one of that: so it is
 * inline. */
static inline __attribute__((always_inline)) int
turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    uint32_t lanes = lanes_with_peers(engine), turns = 0;
    if (own != NULL || !is_one(lanes)) {
        return turn_several(engine, own, look, polls);
    }
    struct wbi_lane *lone = engine->lanes[__builtin_ctz(lanes)];
    int done = turn(lone, look, polls, &turns);
    return bare_are_due(NULL, look, turns) ? done + turn_others(engine, lone, look, true) : done;
}

int wbi_turn_all(struct wb_engine *engine, struct wbi_lane *own, bool look, unsigned polls)
{
    bool may_grow = wbi_rma_thread_may_grow(false);
    int done = turn_all(engine, own, look, polls);
    wbi_rma_thread_may_grow(may_grow);
    return done;
}

int wbi_turn_own(struct wbi_lane *own, unsigned polls, bool *round)
{
    uint32_t turns = 1;
    bool may_grow = wbi_rma_thread_may_grow(false);
    int done = turn(own, false, polls, &turns);
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
    wbi_rma_thread_may_grow(false);
    int done = turn_all(engine, NULL, looked, 1);
    wbi_rma_thread_may_grow(true); /* as of all threads that are not inside */
    if (looked || done == 0) {
        atomic_store_explicit(&engine->idle, looked ? 0 : idle + 1, memory_order_relaxed);
    }
    wbi_engine_hand_over(engine);
    return done;
}
