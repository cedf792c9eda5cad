#include "engine/ring.h"

#include <stdlib.h>
#include <waybill/status.h>

int wbi_ring_open(struct wbi_ring *ring, uint32_t count, uint32_t words)
{
    ring->count = count;
    ring->words = words;
    ring->at = calloc((size_t)count * words, sizeof *ring->at);
    return ring->at != NULL ? WB_OK : WB_ERR_NO_MEMORY;
}

void wbi_ring_close(struct wbi_ring *ring)
{
    free(ring->at);
    *ring = (struct wbi_ring){0};
}

static _Atomic uint64_t *place(const struct wbi_ring *ring, uint64_t number)
{
    return ring->at + (number & (ring->count - 1)) * ring->words;
}

void wbi_ring_write(struct wbi_ring *ring, const uint64_t *record)
{
    uint64_t number = atomic_load_explicit(&ring->written, memory_order_relaxed);
    _Atomic uint64_t *at = place(ring, number);
    /* whoever sees a word of this record sees that those before it were written */
    atomic_thread_fence(memory_order_release);
    for (uint32_t i = 0; i < ring->words; i++) {
        atomic_store_explicit(&at[i], record[i], memory_order_relaxed);
    }
    atomic_store_explicit(&ring->written, number + 1, memory_order_release);
}

bool wbi_ring_read(const struct wbi_ring *ring, uint64_t number, uint64_t *record)
{
    _Atomic uint64_t *at = place(ring, number);
    for (uint32_t i = 0; i < ring->words; i++) {
        record[i] = atomic_load_explicit(&at[i], memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    /* its place is that of the record which may be being written now, or of a later one */
    return number + ring->count > atomic_load_explicit(&ring->written, memory_order_relaxed);
}
