/* The table of calls: taken and given back by any thread, without a lock. */
#include <stdlib.h>

#include "engine/call.h"
#include "engine/lane.h"

static uint64_t head_of(uint64_t old, uint32_t index_plus_1)
{
    return ((old >> 32) + 1) << 32 | index_plus_1;
}

int wbi_calls_open(struct wbi_calls *calls, struct wbi_lane *lane, uint32_t count)
{
    struct wb_call *table = calloc(count, sizeof *table);
    if (table == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for %u calls; lower max_calls", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        table[i].index = i;
        table[i].generation = 1;
        table[i].lane = lane;
        atomic_init(&table[i].next_free, i + 1 < count ? i + 2 : 0);
    }
    calls->table = table;
    calls->count = count;
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

struct wb_call *wbi_call_take(struct wbi_calls *calls)
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

void wbi_call_give(struct wb_call *call)
{
    struct wbi_calls *calls = &call->lane->calls;
    wbi_call_forget(call);
    call->generation++;
    atomic_store_explicit(&call->state, WBI_CALL_FREE, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&calls->free, memory_order_relaxed);
    do {
        atomic_store_explicit(&call->next_free, (uint32_t)head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&calls->free, &head,
                                                    head_of(head, call->index + 1),
                                                    memory_order_seq_cst, memory_order_relaxed));
    wbi_rooms_stir(call->lane);
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
