#include "engine/home.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "engine/engine.h"

/* ---- whether a lane is peopled; `homes` is held ---- */

static int watch(struct wbi_lane *lane, int operation, bool peopled)
{
    struct epoll_event event = {.events = peopled ? EPOLLIN : 0};
    return epoll_ctl(lane->engine->epoll, operation, lane->fabric->fd(lane->port), &event);
}

static void count_peopled(struct wb_engine *engine)
{
    unsigned peopled = 0;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        peopled += wbi_home_is_peopled(engine->lanes[i]);
    }
    wbi_sleepers_limit(engine, engine->network_count, peopled);
}

/* True: somebody may sleep who has not armed it. */
static bool add(struct wbi_lane *lane)
{
    bool was = wbi_home_is_peopled(lane);
    atomic_fetch_add_explicit(&lane->population, 1, memory_order_relaxed);
    if (!was) {
        watch(lane, EPOLL_CTL_MOD, true); /* of one that is there: it allocates nothing */
        count_peopled(lane->engine);
    }
    return !was;
}

static void take_away(struct wbi_lane *lane)
{
    atomic_fetch_sub_explicit(&lane->population, 1, memory_order_relaxed);
    if (!wbi_home_is_peopled(lane)) {
        watch(lane, EPOLL_CTL_MOD, false);
        count_peopled(lane->engine);
    }
}

/* ---- which one ---- */

static bool has_place(const struct wbi_lane *lane)
{
    return wbi_lane_peers(lane) < lane->shares.peers;
}

/* Places first: a lane may have few peers, and all of them connected. */
static bool is_better(const struct wbi_lane *lane, const struct wbi_lane *than)
{
    bool place = has_place(lane);
    if (place != has_place(than)) {
        return place;
    }
    return atomic_load_explicit(&lane->population, memory_order_relaxed) <
           atomic_load_explicit(&than->population, memory_order_relaxed);
}

static struct wbi_lane *best(const struct wbi_network *network)
{
    struct wbi_lane *found = network->lanes[0];
    for (unsigned i = 1; i < network->lane_count; i++) {
        found = is_better(network->lanes[i], found) ? network->lanes[i] : found;
    }
    return found;
}

/* ---- what others call ---- */

int wbi_home_open(struct wbi_lane *lane)
{
    struct wb_engine *engine = lane->engine;
    if (watch(lane, EPOLL_CTL_ADD, wbi_home_is_peopled(lane)) != 0) {
        return wbi_error(WB_ERR_SYSTEM, "epoll_ctl: %s", strerror(errno));
    }
    pthread_mutex_lock(&engine->homes);
    count_peopled(engine);
    pthread_mutex_unlock(&engine->homes);
    return WB_OK;
}

struct wbi_lane *wbi_home_find(struct wbi_network *network)
{
    struct wb_engine *engine = network->lanes[0]->engine;
    pthread_mutex_lock(&engine->homes); /* two that come at once do not find the same */
    struct wbi_lane *lane = best(network);
    bool rouse = add(lane);
    pthread_mutex_unlock(&engine->homes);
    if (rouse) {
        wbi_engine_rouse(engine);
    }
    return lane;
}

void wbi_home_enter(struct wbi_lane *lane)
{
    pthread_mutex_lock(&lane->engine->homes);
    bool rouse = add(lane);
    pthread_mutex_unlock(&lane->engine->homes);
    if (rouse) {
        wbi_engine_rouse(lane->engine);
    }
}

void wbi_home_leave(struct wbi_lane *lane)
{
    pthread_mutex_lock(&lane->engine->homes);
    take_away(lane);
    pthread_mutex_unlock(&lane->engine->homes);
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
    struct wbi_lane *own = own_lane(network), *lane = wbi_home_find(network);
    enum wbi_entry_kind entry =
        own != NULL ? wbi_lane_enter_soon(lane) : wbi_lane_enter_in_turn(lane);
    if (entry == WBI_LANE_BUSY && own != NULL) {
        wbi_home_enter(own);
        wbi_home_leave(lane);
        lane = own;
        entry = WBI_LANE_NESTED;
    } else if (entry == WBI_LANE_BUSY) {
        wbi_home_leave(lane);
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
