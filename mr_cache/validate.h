/* Checks a pool's books: for tests and for debugging. */
#ifndef WBI_MR_CACHE_VALIDATE_H
#define WBI_MR_CACHE_VALIDATE_H

struct wb_rma_allocator;

/*
 * Checks every invariant of pool.h: runs fill their slabs, free runs are merged and in their bins,
 * blocks are either held or free, the figures are the sums of what they count, the budget holds,
 * and the address map knows the slabs. Returns NULL, or the first sentence that is not true, in
 * static storage. Takes the mutex for O(pages + blocks). Any thread, while others use the pool.
 */
const char *wbi_rma_validate(struct wb_rma_allocator *allocator);

#endif
