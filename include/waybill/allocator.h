/*
 * The rma_allocator: a heap of registered memory under a budget, whose every block knows its keys.
 * After the rma_allocator of Biddiscombe et al., "Zero copy serialization using RMA in the HPX
 * distributed task-based runtime", section 3.4.
 */
#ifndef WAYBILL_ALLOCATOR_H
#define WAYBILL_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/status.h>

struct wb_rma_allocator; /* a registered pool with a budget */
struct wb_rma_block;     /* one block of a pool; opaque, reference counted */

struct wb_rma_stats {
    uint64_t budget_bytes; /* the bound on slab_bytes */
    uint64_t slab_bytes;   /* registered now, including slabs that a peer has not yet let go */
    uint64_t used_bytes; /* in blocks that someone holds a reference to, rounded to their classes */
    uint64_t leased_bytes;    /* of used_bytes, in blocks of which a lease holds a reference */
    uint64_t peak_used_bytes; /* largest used_bytes so far, with what threads' caches held then */
    uint64_t slabs;           /* slabs registered now */
    uint64_t registrations;   /* slabs registered since the start */
    uint64_t blocks;          /* blocks held now */
    uint64_t waits;           /* allocations answered WB_AGAIN since the start */
    uint64_t huge_page_bytes; /* of slab_bytes, in slabs for which the kernel grants huge pages */
};

/* Reads an allocator's figures; each is exact, together they may be of slightly different moments.
 */
WB_API void wb_rma_allocator_stats(struct wb_rma_allocator *allocator, struct wb_rma_stats *stats);

/*
 * Sets *out to at least `bytes` of registered memory at a multiple of `alignment` (a power of two
 * up to 2 MiB; 0 means 64), contents undefined; the caller owns it and gives it back with
 * wb_rma_free. bytes == 0 gives the smallest block. Memory that travels is leased to its readers;
 * freed while a peer may still read it, it returns to the pool when that has ended. May register a
 * new slab (slow) when the pool has no room. Any thread but one that is inside a handler or a
 * callback (there: WB_AGAIN instead of growth, and the pool grows in the background). Errors:
 * WB_ERR_INVALID (alignment); WB_ERR_BUDGET (can never fit); WB_AGAIN (would fit, but other blocks
 * hold the room or the pool is growing); WB_ERR_NO_MEMORY; WB_ERR_CLOSED. *out is NULL on failure.
 */
WB_API int wb_rma_alloc(struct wb_rma_allocator *allocator, size_t bytes, size_t alignment,
                        void **out);

/*
 * Gives back what wb_rma_alloc returned, from whatever allocator it came. NULL is fine. Any thread,
 * no lock. An address that is no held block's ends the program with a line on stderr: what follows
 * would be corruption.
 */
WB_API void wb_rma_free(void *memory);

/* Bytes that may be used at `memory`, a block of wb_rma_alloc: what was asked for, or more. */
WB_API size_t wb_rma_usable_bytes(const void *memory);

#endif
