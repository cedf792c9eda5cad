/*
 * Homes: on which of its fabric's lanes a peer lives. For good, since all that hangs on it is in
 * that lane's tables: calls, leases, parcels, receives.
 *
 * A lane's population is its peers, and those that are coming: for whom it was found, and whom it
 * does not know yet, or who have yet to take a place. A lane is peopled if it has any, or is its
 * fabric's first, which listens. No other lane is in anybody's turn, nor armed, and its descriptor
 * is mute in the engine's: nothing can happen on it.
 *
 * Invariant, under `homes`: who is coming has a place kept, if there was one when the lane was
 * found, against others who come, and against peers that live there and connect again; so peers
 * with places and those that are coming are together no more than a lane's places. Those for whom
 * no lane had one may make them more: who is late is refused.
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

/* Any thread: the lane with the fewest of those that have a place to give, for a peer that is
 * coming; `own`, if it is not NULL, where none has. It counts there until it leaves. */
struct wbi_lane *wbi_home_find(struct wbi_network *network, struct wbi_lane *own);

/* Any thread: who was coming is there, and needs no place yet; one has gone, who may still have
 * been coming. */
void wbi_home_settle(struct wbi_lane *lane);
void wbi_home_leave(struct wbi_lane *lane, bool was_coming);

/* Lane thread: takes a place of the lane's, which has one, and of max_peers: false where that has
 * none, or that of the lane is kept for another. Who `was_coming` is so no more. And gives it back;
 * `stood`: what it had beside it, too. */
bool wbi_home_take_place(struct wbi_lane *lane, bool was_coming);
void wbi_home_give_place(struct wbi_lane *lane, bool stood);

/* Lane thread: a peer could not have what it needs there: who comes is sent to other lanes for some
 * time, where those have a place. Not any more: something was given back. */
void wbi_home_shun(struct wbi_lane *lane);
static inline void wbi_home_shun_not(struct wbi_lane *lane)
{
    atomic_store_explicit(&lane->shunned, 0, memory_order_relaxed);
}

/* Finds a lane, as wbi_home_find does, and enters it, as wbi_lane_enter_in_turn does. A thread that
 * is inside of a lane of this network takes that where another thread keeps the other one: it waits
 * for nobody, unless its own has no place. */
enum wbi_entry_kind wbi_home_find_in_turn(struct wbi_network *network, struct wbi_lane **home);

/* Any thread: lane number `place` of those that have peers, counted around; or NULL. *count: how
 * many they are. */
struct wbi_lane *wbi_home_at(struct wb_engine *engine, unsigned place, unsigned *count);

static inline bool wbi_home_has_peers(const struct wbi_lane *lane)
{
    return atomic_load_explicit(&lane->population, memory_order_relaxed) != 0;
}

/* Any thread: whether the lane is among engine->bare. */
void wbi_home_set_bare(struct wbi_lane *lane, bool bare);

/* Any thread: whether a lane has what one more needs beside so many peers, but for max_peers; as it
 * was a moment ago. */
bool wbi_home_fits(const struct wbi_lane *lane, uint32_t peers);

#endif
