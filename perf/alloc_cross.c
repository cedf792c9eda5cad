#include "perf/alloc_cross.h"

#include <stdatomic.h>

#include "perf/relax.h"

enum { SLOTS = 1024, LINE_BYTES = 64 };

/*
 * Invariant: slots [head, tail) hold blocks, at most SLOTS, modulo SLOTS; a NULL ends the slice.
 * Each side writes the line with its own index, and keeps there what it last saw of the other's.
 */
struct lane {
    _Alignas(LINE_BYTES) _Atomic uint32_t tail;
    uint32_t head_seen;
    _Alignas(LINE_BYTES) _Atomic uint32_t head;
    uint32_t tail_seen;
    _Alignas(LINE_BYTES) void *slots[SLOTS];
};

struct lane *lane_create(void)
{
    struct lane *lane = aligned_alloc(LINE_BYTES, sizeof *lane);
    if (lane != NULL) {
        *lane = (struct lane){0};
    }
    return lane;
}

static void lane_push(struct lane *lane, void *block)
{
    uint32_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed);
    struct relax wait = {0};
    while (tail - lane->head_seen == SLOTS) {
        lane->head_seen = atomic_load_explicit(&lane->head, memory_order_acquire);
        if (tail - lane->head_seen == SLOTS) {
            relax(&wait);
        }
    }
    lane->slots[tail % SLOTS] = block;
    atomic_store_explicit(&lane->tail, tail + 1, memory_order_release);
}

void lane_serve(struct worker *worker)
{
    struct lane *lane = worker->lane;
    uint32_t head = atomic_load_explicit(&lane->head, memory_order_relaxed);
    for (;;) {
        struct relax wait = {0};
        while (head == lane->tail_seen) {
            lane->tail_seen = atomic_load_explicit(&lane->tail, memory_order_acquire);
            if (head == lane->tail_seen) {
                relax(&wait);
            }
        }
        void *block = lane->slots[head % SLOTS];
        if (block != NULL) {
            worker_give(worker, block);
        }
        /* Only now: a taker that sees the ring empty knows that all was given back. */
        atomic_store_explicit(&lane->head, ++head, memory_order_release);
        if (block == NULL) {
            return;
        }
    }
}

static bool cross_round(struct worker *worker)
{
    for (int i = 0; i < BATCH; i++) {
        void *block = worker_take(worker, worker->size);
        if (block == NULL) {
            return false;
        }
        lane_push(worker->lane, block);
    }
    worker->ops += BATCH;
    return true;
}

/* What is still in the ring is of this slice too. */
static void cross_settle(struct worker *worker)
{
    struct lane *lane = worker->lane;
    struct relax wait = {0};
    lane_push(lane, NULL);
    while (atomic_load_explicit(&lane->head, memory_order_acquire) !=
           atomic_load_explicit(&lane->tail, memory_order_relaxed)) {
        relax(&wait);
    }
}

const struct method cross_method = {.round = cross_round, .settle = cross_settle};
