/*
 * The arena of a call: memory of nested arrays that are decoded, freed as one. Memory comes in
 * blocks of malloc; no block moves. Invariant: `bytes` is the sum of what was asked for, and at
 * most `limit`. An arena is used by one thread at a time.
 */
#ifndef WAYBILL_ARENA_H
#define WAYBILL_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <waybill/status.h>

struct wb_arena_block;

/* All zero is an empty arena with the default limit. */
struct wb_arena {
    uint8_t *at; /* free bytes of the newest block */
    size_t left;
    size_t bytes;                  /* asked for since the last reset */
    size_t limit;                  /* bytes; 0: WB_ARENA_LIMIT */
    struct wb_arena_block *blocks; /* the newest first; owned */
};

#define WB_ARENA_LIMIT ((size_t)64 << 20)

/*
 * Returns `bytes` bytes, aligned to 16 and undefined, that last until the arena is reset or freed;
 * NULL where memory or the limit is exhausted. 0 bytes: some address that is not NULL.
 */
WB_API void *wb_arena_alloc(struct wb_arena *arena, size_t bytes);

/* Makes all that was returned free for the next use; keeps the largest block, so that work of the
 * same size allocates nothing. */
WB_API void wb_arena_reset(struct wb_arena *arena);

/* Gives all memory back; the arena is empty then, and can be used again. */
WB_API void wb_arena_free(struct wb_arena *arena);

#endif
