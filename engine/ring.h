/*
 * A ring of records of whole words: one thread writes, any thread reads, and neither waits. A
 * reader gets a record as it was written, or is told that it is gone.
 */
#ifndef WBI_ENGINE_RING_H
#define WBI_ENGINE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wbi_ring {
    _Atomic uint64_t written; /* records, from the beginning */
    uint32_t count, words;    /* records that it holds, a power of two; words of each */
    _Atomic uint64_t *at;
};

/* WB_OK or WB_ERR_NO_MEMORY, without words; then it can be closed all the same. */
int wbi_ring_open(struct wbi_ring *ring, uint32_t count, uint32_t words);
/* Accepts a zeroed ring. */
void wbi_ring_close(struct wbi_ring *ring);

/* The writer: appends a record of ring->words words. */
void wbi_ring_write(struct wbi_ring *ring, const uint64_t *record);

/* Any thread: how many were written. */
static inline uint64_t wbi_ring_written(const struct wbi_ring *ring)
{
    return atomic_load_explicit(&ring->written, memory_order_acquire);
}

/* Any thread: record number `number`, from 0, of those that were written. False: it has been
 * overwritten, or is about to be; *record is undefined then. */
bool wbi_ring_read(const struct wbi_ring *ring, uint64_t number, uint64_t *record);

#endif
