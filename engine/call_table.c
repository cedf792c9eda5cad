/* The table of calls: the lane's own, and those that any thread takes and gives back, without a
 * lock. */
#include <stdlib.h>

#include "engine/call.h"
#include "engine/lane.h"

static uint64_t head_of(uint64_t old, uint32_t index_plus_1)
{
    return ((old >> 32) + 1) << 32 | index_plus_1;
}

enum {
    OWN_SHARE = 4,  /* a lane's own are one in so many, */
    OWN_MOST = 256, /* and so many at most */
    LOOKS = 4,      /* at calls of its own, before it takes one more into use */
    FEW = 8,        /* so many are not worth to be fewer */
    LENT_AT_ONCE = 8
};

int wbi_calls_open(struct wbi_calls *calls, struct wbi_lane *lane, uint32_t count)
{
    uint32_t own = count / OWN_SHARE < OWN_MOST ? count / OWN_SHARE : OWN_MOST;
    uint32_t shared = count - own;
    struct wb_call *table = calloc(count, sizeof *table);
    if (table == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for %u calls; lower max_calls", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        table[i].index = i;
        table[i].generation = 1;
        table[i].lane = lane;
        atomic_init(&table[i].next_free, i + 1 < shared ? i + 2 : 0);
    }
    *calls =
        (struct wbi_calls){.table = table, .count = count, .own_count = own, .own = table + shared};
    atomic_init(&calls->free, 1);
    return WB_OK;
}

void wbi_calls_close(struct wbi_calls *calls)
{
    for (uint32_t i = 0; i < calls->count; i++) {
        wbi_call_forget(&calls->table[i]);
    }
    free(calls->table);
    *calls = (struct wbi_calls){0};
}

/* ---- those that all share ---- */

static struct wb_call *take_shared(struct wbi_calls *calls)
{
    uint64_t head = atomic_load_explicit(&calls->free, memory_order_acquire);
    while ((uint32_t)head != 0) {
        struct wb_call *call = &calls->table[(uint32_t)head - 1];
        uint32_t next = atomic_load_explicit(&call->next_free, memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&calls->free, &head, head_of(head, next),
                                                  memory_order_acq_rel, memory_order_acquire)) {
            return call;
        }
    }
    return NULL;
}

static void list(struct wbi_calls *calls, struct wb_call *call)
{
    uint64_t head = atomic_load_explicit(&calls->free, memory_order_relaxed);
    do {
        atomic_store_explicit(&call->next_free, (uint32_t)head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&calls->free, &head,
                                                    head_of(head, call->index + 1),
                                                    memory_order_seq_cst, memory_order_relaxed));
}

/* ---- the lane's own: lane thread, but for a look whether there is one ---- */

static inline bool is_free(const struct wb_call *call)
{
    return atomic_load_explicit(&call->state, memory_order_acquire) == WBI_CALL_FREE;
}

/* The one whose turn it is, if it is free. They go round, since mostly the oldest ends first; each
 * round has one less to go to, and what is missed then comes back. */
static inline struct wb_call *take_next(struct wbi_calls *calls)
{
    struct wb_call *call = &calls->own[calls->next];
    if (++calls->next >= calls->used) {
        calls->next = 0;
        calls->used -= calls->used > FEW;
    }
    return is_free(call) ? call : NULL;
}

/* One that goes round no more, or has not yet. */
static struct wb_call *take_one_more(struct wbi_calls *calls)
{
    while (calls->used < calls->own_count) {
        struct wb_call *call = &calls->own[calls->used++];
        if (is_free(call)) {
            return call;
        }
    }
    return NULL;
}

static struct wb_call *find_own(struct wbi_calls *calls)
{
    for (uint32_t i = 0; i < calls->own_count; i++) {
        if (is_free(&calls->own[i])) {
            return &calls->own[i];
        }
    }
    return NULL;
}

static __attribute__((noinline)) struct wb_call *take_otherwise(struct wbi_calls *calls)
{
    struct wb_call *call = NULL;
    for (unsigned looks = 1; call == NULL && looks < LOOKS && looks < calls->used; looks++) {
        call = take_next(calls);
    }
    call = call != NULL ? call : take_one_more(calls);
    call = call != NULL ? call : take_shared(calls);
    return call != NULL ? call : find_own(calls);
}

struct wb_call *wbi_call_take_inside(struct wbi_lane *lane)
{
    struct wbi_calls *calls = &lane->calls;
    struct wb_call *call = calls->used > 0 ? take_next(calls) : NULL;
    return call != NULL ? call : take_otherwise(calls);
}

void wbi_calls_lend(struct wbi_calls *calls)
{
    struct wb_call *call;
    for (unsigned lent = 0; lent < LENT_AT_ONCE && (call = find_own(calls)) != NULL; lent++) {
        atomic_store_explicit(&call->state, WBI_CALL_LENT, memory_order_relaxed);
        list(calls, call);
    }
}

/* ---- of any thread ---- */

struct wb_call *wbi_call_take(struct wbi_lane *lane)
{
    struct wb_call *call = take_shared(&lane->calls);
    if (call != NULL || find_own(&lane->calls) == NULL) { /* or there is none, as of a moment ago */
        return call;
    }
    enum wbi_entry_kind entry = wbi_lane_enter_soon(lane);
    call = entry != WBI_LANE_BUSY ? find_own(&lane->calls) : NULL;
    if (call != NULL) { /* before another one that comes in could find it */
        atomic_store_explicit(&call->state, WBI_CALL_WRITING, memory_order_relaxed);
    }
    if (entry == WBI_LANE_ENTERED) {
        wbi_lane_leave(lane);
    }
    if (entry == WBI_LANE_BUSY) {
        wbi_lane_ask(lane, WBI_ASKED_TO_LEND);
        call = take_shared(&lane->calls); /* who holds it may have left by now */
    }
    return call;
}

void wbi_call_give(struct wb_call *call)
{
    struct wbi_lane *lane = call->lane;
    wbi_call_forget(call);
    call->generation++;
    if (call >= lane->calls.own) {
        atomic_store_explicit(&call->state, WBI_CALL_FREE, memory_order_release);
    } else {
        atomic_store_explicit(&call->state, WBI_CALL_FREE, memory_order_relaxed);
        list(&lane->calls, call);
    }
    wbi_rooms_stir(lane);
}

bool wbi_calls_have_room(struct wbi_calls *calls)
{
    return wbi_calls_are_listed(calls) || find_own(calls) != NULL;
}

bool wbi_calls_are_listed(const struct wbi_calls *calls)
{
    return (uint32_t)atomic_load(&calls->free) != 0;
}

uint64_t wbi_call_id(const struct wb_call *call)
{
    return (uint64_t)call->generation << 32 | call->index;
}

struct wb_call *wbi_call_find(struct wbi_calls *calls, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= calls->count) {
        return NULL;
    }
    struct wb_call *call = &calls->table[index];
    /* a call that is not OPEN belongs to another thread: its generation must not even be looked at
     */
    bool open = atomic_load_explicit(&call->state, memory_order_acquire) == WBI_CALL_OPEN;
    return open && call->generation == id >> 32 ? call : NULL;
}
