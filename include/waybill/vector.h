/*
 * The rma_vector: a growable typed array in registered memory. After the rma_vector of Biddiscombe
 * et al., "Zero copy serialization using RMA in the HPX distributed task-based runtime", section
 * 3.4.
 *
 * A block is returned to the pool when its last reference is dropped: the program's handles are
 * references, and so is every lease by which a peer may still read the block.
 */
#ifndef WAYBILL_VECTOR_H
#define WAYBILL_VECTOR_H

#include <waybill/allocator.h>

/*
 * A growable array in registered memory; a handle that is passed by value.
 * Invariant: block == NULL if and only if data == NULL; count * elem_size <= capacity (bytes);
 * [data, data + capacity) lies inside the block. All zero is the empty vector of no element type.
 * Read data and count directly; change them only by the functions below.
 */
typedef struct wb_rma_vector {
    void *data;                 /* first element, aligned to 64 bytes in a vector's own block */
    size_t count;               /* elements */
    size_t capacity;            /* bytes from data that this handle may use */
    uint32_t elem_size;         /* bytes of an element, at least 1 unless the handle is empty */
    struct wb_rma_block *block; /* one reference is held by this handle */
} wb_rma_vector;

/*
 * Makes *out a vector of `count` elements of `elem_size` bytes each, contents undefined.
 * The caller owns *out and ends it with wb_rma_vector_drop. May register a new slab (slow) when the
 * pool has no room. Any thread but one that is inside a handler or a callback (there: WB_AGAIN
 * instead of growth, and the pool grows in the background). On failure *out is the empty vector.
 * Errors: WB_ERR_INVALID (elem_size 0, or the bytes overflow size_t); WB_ERR_BUDGET (can never
 * fit); WB_AGAIN (would fit, but other blocks hold the room or the pool is growing);
 * WB_ERR_NO_MEMORY.
 */
WB_API int wb_rma_vector_create(struct wb_rma_allocator *allocator, size_t elem_size, size_t count,
                                wb_rma_vector *out);

/* Drops this handle's reference and empties the handle. Any thread; an empty handle is fine. */
WB_API void wb_rma_vector_drop(wb_rma_vector *vector);

/* Returns a second handle to the same elements; each is dropped by itself. While there are several,
 * the size cannot change (WB_ERR_SHARED below). Any thread. */
WB_API wb_rma_vector wb_rma_vector_share(const wb_rma_vector *vector);

/* Returns the handle's content and empties the handle: how a handler keeps an argument. Any thread.
 */
static inline wb_rma_vector wb_rma_vector_take(wb_rma_vector *vector)
{
    wb_rma_vector taken = *vector;
    *vector = (wb_rma_vector){0};
    return taken;
}

/* Whether this handle is the only reference to its block (a lease counts as one too); so is an
 * empty handle. Any thread. */
WB_API bool wb_rma_vector_is_exclusive(const wb_rma_vector *vector);

/*
 * Grows the capacity to at least `count` elements; elements keep their values, data may move.
 * The vector must not be the empty handle (it has no allocator). On failure nothing changed.
 * Errors: as wb_rma_vector_create, and WB_ERR_SHARED; WB_ERR_CLOSED if it had to grow and its
 * engine is closed.
 */
WB_API int wb_rma_vector_reserve(wb_rma_vector *vector, size_t count);

/* Sets the number of elements; new ones are zero. On failure nothing changed. Errors: as reserve.
 */
WB_API int wb_rma_vector_resize(wb_rma_vector *vector, size_t count);

/* Appends a copy of the `elem_size` bytes at `element`; amortised O(1). On failure nothing changed.
 */
WB_API int wb_rma_vector_push(wb_rma_vector *vector, const void *element);

/* Bytes that the elements occupy. */
static inline size_t wb_rma_vector_bytes(const wb_rma_vector *vector)
{
    return vector->count * vector->elem_size;
}

#endif
