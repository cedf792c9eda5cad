#include "engine/home.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "engine/clock.h"
#include "engine/engine.h"

static const uint64_t shun_us = 100000; /* about as long as a peer waits before it comes again */

/* ---- whether a lane is peopled; `homes` is held ---- */

static int watch(struct wbi_lane *lane, int operation, bool peopled)
{
    struct epoll_event event = {.events = peopled ? EPOLLIN : 0};
    return epoll_ctl(lane->engine->epoll, operation, lane->fabric->fd(lane->port), &event);
}

static bool is_peopled(const struct wbi_lane *lane)
{
    return lane->index == 0 || wbi_home_has_peers(lane);
}

/* Before who may sleep is looked for: he arms what he finds here (wait.c). */
static void set_peopled(struct wbi_lane *lane, bool is)
{
    struct wb_engine *engine = lane->engine;
    uint32_t peopled = atomic_load(&engine->peopled) & ~lane->bit;
    peopled |= is ? lane->bit : 0;
    atomic_store(&engine->peopled, peopled);
    wbi_sleepers_limit(engine, engine->network_count, (unsigned)__builtin_popcount(peopled));
}

static void change_population(struct wbi_lane *lane, int more)
{
    bool was = is_peopled(lane);
    atomic_fetch_add_explicit(&lane->population, (uint32_t)more, memory_order_relaxed);
    bool is = is_peopled(lane);
    if (was != is) {
        watch(lane, EPOLL_CTL_MOD, is); /* of one that is there: it allocates nothing */
        set_peopled(lane, is);
    }
}

void wbi_home_set_bare(struct wbi_lane *lane, bool bare)
{
    _Atomic uint32_t *all = &lane->engine->bare;
    bool is = (atomic_load_explicit(all, memory_order_relaxed) & lane->bit) != 0;
    if (bare && !is) {
        atomic_fetch_or_explicit(all, lane->bit, memory_order_relaxed);
    } else if (is && !bare) {
        atomic_fetch_and_explicit(all, ~lane->bit, memory_order_relaxed);
    }
}

/* True: somebody may sleep who has not armed it. */
static bool begin_to_come(struct wbi_lane *lane)
{
    bool was = is_peopled(lane);
    lane->coming++;
    change_population(lane, 1);
    wbi_home_set_bare(lane, false);
    return !was;
}

/* ---- which one; `homes` is held ---- */

/* None, where those that have gone have left so many deferred calls that another one's might take
 * the last slot. */
bool wbi_home_fits(const struct wbi_lane *lane, uint32_t peers)
{
    return peers < lane->shares.peers &&
           atomic_load_explicit(&lane->orphans, memory_order_relaxed) <=
               lane->engine->config.credits;
}

static bool has_place(const struct wbi_lane *lane)
{
    return wbi_home_fits(lane, wbi_lane_peers(lane) + lane->coming);
}

/* What a lane has for one more: nothing, a place, or more than that, as far as is known. */
static unsigned offer(const struct wbi_lane *lane, uint64_t now)
{
    bool shunned = now < atomic_load_explicit(&lane->shunned, memory_order_relaxed);
    return !has_place(lane) ? 0 : shunned ? 1 : 2;
}

/* Not by the population first: a lane may have few peers, and all of them connected; or lack
 * something, and so never get more. */
static bool is_better(const struct wbi_lane *lane, const struct wbi_lane *than, uint64_t now)
{
    unsigned ours = offer(lane, now), theirs = offer(than, now);
    if (ours != theirs) {
        return ours > theirs;
    }
    return atomic_load_explicit(&lane->population, memory_order_relaxed) <
           atomic_load_explicit(&than->population, memory_order_relaxed);
}

static struct wbi_lane *best(const struct wbi_network *network)
{
    struct wbi_lane *found = network->lanes[0];
    uint64_t now = wbi_now();
    for (unsigned i = 1; i < network->lane_count; i++) {
        found = is_better(network->lanes[i], found, now) ? network->lanes[i] : found;
    }
    return found;
}

/* ---- what others call ---- */

int wbi_home_open(struct wbi_lane *lane)
{
    struct wb_engine *engine = lane->engine;
    if (watch(lane, EPOLL_CTL_ADD, is_peopled(lane)) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    }
    pthread_mutex_lock(&engine->homes);
    set_peopled(lane, is_peopled(lane));
    pthread_mutex_unlock(&engine->homes);
    return WB_OK;
}

struct wbi_lane *wbi_home_find(struct wbi_network *network, struct wbi_lane *own)
{
    struct wb_engine *engine = network->lanes[0]->engine;
    pthread_mutex_lock(&engine->homes); /* two that come at once do not find the same */
    struct wbi_lane *lane = best(network);
    lane = has_place(lane) || own == NULL ? lane : own;
    bool rouse = begin_to_come(lane);
    pthread_mutex_unlock(&engine->homes);
    if (rouse) {
        wbi_engine_rouse(engine);
    }
    return lane;
}

void wbi_home_settle(struct wbi_lane *lane)
{
    pthread_mutex_lock(&lane->engine->homes);
    lane->coming--;
    pthread_mutex_unlock(&lane->engine->homes);
}

void wbi_home_leave(struct wbi_lane *lane, bool was_coming)
{
    pthread_mutex_lock(&lane->engine->homes);
    lane->coming -= was_coming;
    change_population(lane, -1);
    pthread_mutex_unlock(&lane->engine->homes);
}

bool wbi_home_take_place(struct wbi_lane *lane, bool was_coming)
{
    struct wb_engine *engine = lane->engine;
    struct wbi_network *network = &engine->networks[lane->registrar];
    pthread_mutex_lock(&engine->homes);
    bool kept = was_coming || wbi_lane_peers(lane) + lane->coming < lane->shares.peers;
    bool is = kept && network->placed < engine->config.max_peers;
    if (is) {
        network->placed++;
        atomic_fetch_add_explicit(&lane->peer_count, 1, memory_order_relaxed);
        lane->coming -= was_coming;
    }
    pthread_mutex_unlock(&engine->homes);
    return is;
}

void wbi_home_give_place(struct wbi_lane *lane, bool stood)
{
    struct wb_engine *engine = lane->engine;
    if (stood) {
        wbi_home_shun_not(lane);
    }
    pthread_mutex_lock(&engine->homes);
    engine->networks[lane->registrar].placed--;
    atomic_fetch_sub_explicit(&lane->peer_count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&engine->homes);
}

void wbi_home_shun(struct wbi_lane *lane)
{
    atomic_store_explicit(&lane->shunned, wbi_now() + shun_us, memory_order_relaxed);
}

/* Who is coming goes to another lane, if that has a place. */
static bool move(struct wbi_lane *from, struct wbi_lane *to)
{
    pthread_mutex_lock(&from->engine->homes);
    bool moves = has_place(to), rouse = false;
    if (moves) {
        rouse = begin_to_come(to);
        from->coming--;
        change_population(from, -1);
    }
    pthread_mutex_unlock(&from->engine->homes);
    if (rouse) {
        wbi_engine_rouse(from->engine);
    }
    return moves;
}

/* The lane of this network that the calling thread is inside of, or NULL. */
static struct wbi_lane *own_lane(const struct wbi_network *network)
{
    struct wbi_lane *own = NULL;
    for (unsigned i = 0; i < network->lane_count && own == NULL; i++) {
        own = wbi_lane_is_mine(network->lanes[i]) ? network->lanes[i] : NULL;
    }
    return own;
}

enum wbi_entry_kind wbi_home_find_in_turn(struct wbi_network *network, struct wbi_lane **home)
{
    struct wbi_lane *own = own_lane(network), *lane = wbi_home_find(network, own);
    enum wbi_entry_kind entry = own != NULL ? wbi_lane_enter_soon(lane) : WBI_LANE_BUSY;
    if (entry == WBI_LANE_BUSY && own != NULL && move(lane, own)) {
        lane = own;
        entry = WBI_LANE_NESTED;
    }
    if (entry == WBI_LANE_BUSY) {
        entry = wbi_lane_enter_in_turn(lane);
    }
    if (entry == WBI_LANE_BUSY) {
        wbi_home_leave(lane, true);
    }
    *home = lane;
    return entry;
}

int wbi_lane_say_busy(const char *what)
{
    return wbi_error(WB_ERR_DEADLOCK,
                     "%s: another thread's handler keeps its lane, and waits for one as well",
                     what);
}

struct wbi_lane *wbi_home_at(struct wb_engine *engine, unsigned place, unsigned *count)
{
    struct wbi_lane *found[WBI_MAX_LANES];
    unsigned peopled = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        if (wbi_home_has_peers(engine->lanes[i])) {
            found[peopled++] = engine->lanes[i];
        }
    }
    *count = peopled;
    return peopled > 0 ? found[place % peopled] : NULL;
}
