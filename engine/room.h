/*
 * Who waits for room: programs that were answered WB_AGAIN and want to be told when a call would be
 * taken (wb_peer_on_room). They wait in their lane, first come first served. The lane looks at them
 * at the end of a turn, and never elsewhere: a callback that asks again is not called again in the
 * same breath.
 *
 * What makes room tells of it (wbi_rooms_stir), but for memory of the pool that others free, which
 * nobody announces, and for the lane's own calls, where whoever gives one back may not see who has
 * just begun to wait: for those the lane looks once in a while.
 */
#ifndef WBI_ENGINE_ROOM_H
#define WBI_ENGINE_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wb_peer;
struct wbi_lane;
struct wbi_room;

struct wbi_rooms {
    _Atomic(struct wbi_room *) inbox; /* newest first; of any thread */
    _Atomic uint32_t waiting;         /* in the inbox and the list */
    _Atomic bool stirred;             /* there may be room since the lane last looked */
    bool callless;                    /* no call was free when it was last looked */
    uint32_t hungry;                  /* in the list, and want memory */
    struct wbi_room *first, **tail;   /* in the list, oldest first */
    struct wbi_room *due, **due_tail; /* to be called when the lane is left */
};

void wbi_rooms_open(struct wbi_rooms *rooms);

/* Any thread: whoever makes progress is to look. Costs a load where nobody waits. */
void wbi_rooms_stir(struct wbi_lane *lane);

/* Lane thread: whether somebody waits, and it may be for a call: none was free at the last look. */
bool wbi_rooms_await_calls(const struct wbi_lane *lane);

/* Any thread: the lane is to take a turn, though whoever makes progress may be asleep, or about to
 * sleep: who is just arming sees it. */
void wbi_rooms_want_turn(struct wbi_lane *lane);

/* Any thread: whether a look is due: not 0. */
static inline uint32_t wbi_rooms_want(const struct wbi_rooms *rooms)
{
    return atomic_load_explicit(&rooms->waiting, memory_order_relaxed) |
           (uint32_t)atomic_load_explicit(&rooms->stirred, memory_order_relaxed);
}

/* Lane thread, in a turn: finds the first for whom there is room, and makes it due; `closely`: also
 * of what is not announced. Returns how many. */
int wbi_rooms_look(struct wbi_lane *lane, bool closely);

/* Lane thread: takes over what is in the inbox; the peers that it names may go then. */
void wbi_rooms_drain(struct wbi_lane *lane);

/* Lane thread, after a drain: the peer is lost, and who waits for it is due. */
void wbi_rooms_bury(struct wb_peer *peer);

/* Lane thread, nothing half done: calls those that are due. */
void wbi_rooms_tell(struct wbi_lane *lane);

#endif
