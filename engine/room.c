#include "engine/room.h"

#include <stdlib.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "mr_cache/allocator.h"

struct wbi_room {
    struct wbi_room *next;
    struct wb_peer *peer; /* until it is due */
    uint64_t bytes;       /* of the pool that were missing, or 0: something else was */
    void (*room)(void *user);
    void *user;
};

void wbi_rooms_open(struct wbi_rooms *rooms)
{
    rooms->tail = &rooms->first;
    rooms->due_tail = &rooms->due;
}

void wbi_rooms_stir(struct wbi_lane *lane)
{
    /* sequentially consistent, as the place where somebody begins to wait, and as sleepers: either
     * he sees the room (but for a call of the lane's own), or we see him; either the sleeper sees
     * `stirred`, or we see the sleeper */
    if (atomic_load(&lane->rooms.waiting) != 0) {
        wbi_rooms_want_turn(lane);
    }
}

void wbi_rooms_want_turn(struct wbi_lane *lane)
{
    atomic_store(&lane->rooms.stirred, true);
    wbi_engine_rouse(lane->engine);
}

static void make_due(struct wbi_lane *lane, struct wbi_room *room)
{
    struct wbi_rooms *rooms = &lane->rooms;
    room->peer = NULL;
    room->next = NULL;
    *rooms->due_tail = room;
    rooms->due_tail = &room->next;
    lane->owes = true;
    atomic_fetch_sub(&rooms->waiting, 1);
}

static void enlist(struct wbi_lane *lane, struct wbi_room *room)
{
    struct wbi_rooms *rooms = &lane->rooms;
    room->next = NULL;
    *rooms->tail = room;
    rooms->tail = &room->next;
    rooms->hungry += room->bytes > 0;
}

/* Takes what *at points to out of the list. */
static struct wbi_room *unlist(struct wbi_rooms *rooms, struct wbi_room **at)
{
    struct wbi_room *room = *at;
    *at = room->next;
    if (room->next == NULL) {
        rooms->tail = at;
    }
    rooms->hungry -= room->bytes > 0;
    return room;
}

void wbi_rooms_drain(struct wbi_lane *lane)
{
    struct wbi_room *newest = atomic_exchange(&lane->rooms.inbox, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct wbi_room *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct wbi_room *next = oldest->next;
        if (wb_peer_state(oldest->peer) == WB_PEER_LOST) { /* it may be buried already */
            make_due(lane, oldest);
        } else {
            enlist(lane, oldest);
        }
        oldest = next;
    }
}

void wbi_rooms_bury(struct wb_peer *peer)
{
    struct wbi_lane *lane = peer->lane;
    struct wbi_room **at = &lane->rooms.first;
    while (*at != NULL) {
        if ((*at)->peer == peer) {
            make_due(lane, unlist(&lane->rooms, at));
        } else {
            at = &(*at)->next;
        }
    }
}

/* Whether a request could be written straight into the fabric's slot. */
static bool has_slot(struct wb_peer *peer)
{
    const struct wbi_fabric *fabric = peer->lane->fabric;
    uint8_t *slot;
    bool ready = atomic_load_explicit(&peer->state, memory_order_relaxed) == WB_PEER_CONNECTED &&
                 !peer->dying && peer->waiting == NULL && wbi_peer_may_ask(peer, false);
    if (!ready || fabric->reserve(peer->channel,
                                  atomic_load_explicit(&peer->eager_bytes, memory_order_relaxed),
                                  false, &slot) != WB_OK) {
        return false;
    }
    fabric->cancel(peer->channel);
    return true;
}

/* By trying: where it fails otherwise than for now, the next call says how. */
static bool has_memory(struct wb_rma_allocator *pool, uint64_t bytes)
{
    struct wb_rma_block *block = NULL;
    int status = wbi_rma_alloc(pool, (size_t)bytes, false, &block);
    if (status == WB_OK) {
        wbi_rma_block_unref(block);
    }
    return status != WB_AGAIN;
}

static bool has_room(const struct wbi_room *room, bool memory)
{
    struct wbi_lane *lane = room->peer->lane;
    if (!wbi_parcels_left(&lane->parcels) && !has_slot(room->peer)) {
        return false;
    }
    return room->bytes == 0 || (memory && has_memory(lane->engine->allocator, room->bytes));
}

bool wbi_rooms_await_calls(const struct wbi_lane *lane)
{
    return lane->rooms.callless &&
           atomic_load_explicit(&lane->rooms.waiting, memory_order_relaxed) > 0;
}

int wbi_rooms_look(struct wbi_lane *lane, bool closely)
{
    struct wbi_rooms *rooms = &lane->rooms;
    bool stirred = atomic_exchange(&rooms->stirred, false); /* before the look */
    wbi_rooms_drain(lane);
    rooms->callless = stirred || closely ? !wbi_calls_have_room(&lane->calls)
                                         : !wbi_calls_are_listed(&lane->calls);
    if (rooms->callless) {
        return 0;
    }
    struct wbi_room **at = &rooms->first;
    while (*at != NULL && !has_room(*at, closely)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return 0;
    }
    make_due(lane, unlist(rooms, at));
    if (rooms->first !=
        NULL) { /* one a turn, as long as there is room: it takes what it is told of */
        atomic_store(&rooms->stirred, true);
    }
    return 1;
}

void wbi_rooms_tell(struct wbi_lane *lane)
{
    struct wbi_rooms *rooms = &lane->rooms;
    while (rooms->due != NULL) {
        struct wbi_room *room = rooms->due;
        void (*call)(void *user) = room->room;
        void *user = room->user;
        rooms->due = room->next;
        if (rooms->due == NULL) {
            rooms->due_tail = &rooms->due;
        }
        free(room);
        call(user);
    }
}

int wb_peer_on_room(struct wb_peer *peer, void (*room)(void *user), void *user)
{
    struct wbi_lane *lane = peer->lane;
    struct wbi_rooms *rooms = &lane->rooms;
    int status = wbi_engine_check_process(lane->engine);
    if (status != WB_OK) {
        return status;
    }
    if (wb_peer_state(peer) == WB_PEER_LOST) {
        return wbi_error(WB_ERR_NOT_SENT, "%s: the peer is lost; connect anew", peer->url);
    }
    struct wbi_room *asked = malloc(sizeof *asked);
    if (asked == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "%s: no memory to wait for room", peer->url);
    }
    *asked =
        (struct wbi_room){.peer = peer, .bytes = wbi_call_lacked(peer), .room = room, .user = user};
    atomic_fetch_add(&rooms->waiting, 1);
    asked->next = atomic_load_explicit(&rooms->inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&rooms->inbox, &asked->next, asked)) {
    }
    wbi_rooms_stir(lane); /* there may be room already */
    return WB_OK;
}
