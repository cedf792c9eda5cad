/*
 * Homes: on which of its fabric's lanes a peer lives. For good, since all that hangs on it is in
 * that lane's tables: calls, leases, parcels, receives.
 *
 * A lane's population is its peers, and those that are about to come. A lane is peopled if it has
 * any, or is its fabric's first, which listens. No other lane is in anybody's turn, nor armed, and
 * its descriptor is mute in the engine's: nothing can happen on it.
 */
#ifndef WBI_ENGINE_HOME_H
#define WBI_ENGINE_HOME_H

#include <stdatomic.h>
#include <stdbool.h>

#include "engine/lane.h"

struct wb_engine;
struct wbi_network;

/* Adds the lane's descriptor to the engine's. WB_ERR_SYSTEM with words. */
int wbi_home_open(struct wbi_lane *lane);

/* Any thread: the lane with the fewest of those that have a place to give, for a peer that is about
 * to come; it counts there until wbi_home_leave. */
struct wbi_lane *wbi_home_find(struct wbi_network *network);

/* Any thread: one more lives there, or is about to; one less. */
void wbi_home_enter(struct wbi_lane *lane);
void wbi_home_leave(struct wbi_lane *lane);

/* Finds a lane, as wbi_home_find does, and enters it, as wbi_lane_enter_in_turn does. A thread that
 * is inside of a lane of this network takes that where another thread keeps the other one: it waits
 * for nobody. */
enum wbi_entry_kind wbi_home_find_in_turn(struct wbi_network *network, struct wbi_lane **home);

/* Any thread: lane number `place` of those that have peers, counted around; or NULL. *count: how
 * many they are. */
struct wbi_lane *wbi_home_at(struct wb_engine *engine, unsigned place, unsigned *count);

static inline bool wbi_home_has_peers(const struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->population, memory_order_relaxed) != 0;
}

static inline bool wbi_home_is_peopled(const struct wbi_lane *lane)
{
    return lane->index == 0 || wbi_home_has_peers(lane);
}

#endif
