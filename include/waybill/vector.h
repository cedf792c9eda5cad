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

#include <assert.h>
#include <waybill/allocator.h>

/* A program need not use all that is generated for it. */
#define WBI_UNUSED __attribute__((unused))
#define WBI_GENERATED WBI_UNUSED static inline

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

/*
 * Makes *out a vector over `memory`, which wb_rma_alloc returned, and takes it: its end is
 * wb_rma_vector_drop, no more wb_rma_free. Its first `count` elements of `elem_size` bytes are what
 * the memory holds; the rest of the block is capacity. Nothing is copied or registered. Any thread.
 * On failure the memory is still the caller's and *out the empty vector.
 * Errors: WB_ERR_INVALID (no held block is there, elem_size 0, or the elements do not fit).
 */
WB_API int wb_rma_vector_adopt(void *memory, size_t elem_size, size_t count, wb_rma_vector *out);

/* Returns a second handle to the same elements; each is dropped by itself. While there are several,
 * the size cannot change (WB_ERR_SHARED below). Any thread. */
WB_API wb_rma_vector wb_rma_vector_share(const wb_rma_vector *vector);

/*
 * Returns a handle to elements [first, first + count) of the vector: they stay where they are, the
 * slice holds a reference to their block, and travels as a part of its region without any
 * registration. Its capacity is its elements; while the vector is there both are shared. A range
 * that is not inside the vector gives the empty handle. Any thread.
 */
WB_API wb_rma_vector wb_rma_vector_slice(const wb_rma_vector *vector, size_t first, size_t count);

/* Returns the handle's content and empties the handle: how a handler keeps an argument. Vectors
 * that arrived in one result, or packed in one long archive, may lie in one block: then they are
 * not exclusive while another of them is held, and each keeps the whole block. Any thread.
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

/* End the program with a line on stderr unless the vector is exclusive, or is shared: for code that
 * relies on it, as before it writes what a peer might still read. Any thread. */
WB_API void wb_rma_vector_assert_exclusive(const wb_rma_vector *vector);
WB_API void wb_rma_vector_assert_shared(const wb_rma_vector *vector);

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
 * Errors: as reserve. */
WB_API int wb_rma_vector_push(wb_rma_vector *vector, const void *element);

/* Appends copies of the `count` elements at `elements`, which may lie in the vector itself;
 * amortised O(count). count 0 does nothing, whatever `elements` is. On failure nothing changed.
 * Errors: as reserve. */
WB_API int wb_rma_vector_append(wb_rma_vector *vector, const void *elements, size_t count);

/* Takes the last element off; it is copied to *element unless that is NULL. On failure nothing
 * changed. Errors: WB_ERR_INVALID (there is none), WB_ERR_SHARED. */
WB_API int wb_rma_vector_pop(wb_rma_vector *vector, void *element);

/* Takes all elements off; the capacity stays. Errors: WB_ERR_INVALID (the empty handle),
 * WB_ERR_SHARED. */
static inline int wb_rma_vector_clear(wb_rma_vector *vector)
{
    return wb_rma_vector_resize(vector, 0);
}

/*
 * Moves the elements to a block of their size where the present one has more than twice that; else
 * it does nothing. Never makes the pool grow. On failure nothing changed. Errors: WB_ERR_INVALID
 * (the empty handle), WB_ERR_SHARED, WB_AGAIN (no room for another block now), WB_ERR_NO_MEMORY,
 * WB_ERR_CLOSED.
 */
WB_API int wb_rma_vector_shrink(wb_rma_vector *vector);

/* Bytes that the elements occupy. */
static inline size_t wb_rma_vector_bytes(const wb_rma_vector *vector)
{
    return vector->count * vector->elem_size;
}

/*
 * Declares the type NAME, a vector whose elements are of `type`, and its functions: each does what
 * wb_rma_vector_FUNCTION does. As an action's argument it travels as a field F(RMA, wb_rma_vector,
 * …): NAME_to gives what the field takes, NAME_from takes what a field gave and checks the size of
 * its elements.
 *
 *   WB_RMA_VECTOR_OF(double, dvec)
 *
 *   dvec v;                                   dvec_create(allocator, 100, &v);
 *   *dvec_at(&v, 7) = 1.5;                    dvec_push(&v, 2.5);
 *   in.data = dvec_to(&v);                    status = dvec_from(&out.data, &v);
 */
#define WB_RMA_VECTOR_OF(type, name)                                                               \
    _Static_assert(_Alignof(type) <= 64, "elements of a vector are aligned to 64 bytes at most");  \
    typedef struct name {                                                                          \
        wb_rma_vector vector;                                                                      \
    } name;                                                                                        \
    WBI_GENERATED int name##_create(struct wb_rma_allocator *allocator, size_t count, name *out)   \
    {                                                                                              \
        return wb_rma_vector_create(allocator, sizeof(type), count, &out->vector);                 \
    }                                                                                              \
    WBI_GENERATED int name##_adopt(void *memory, size_t count, name *out)                          \
    {                                                                                              \
        return wb_rma_vector_adopt(memory, sizeof(type), count, &out->vector);                     \
    }                                                                                              \
    /* Moves *from to *out; WB_ERR_INVALID, *out empty and *from as it was, where its elements are \
     * of another size, or lie unaligned (a slice). The empty handle passes. */                    \
    WBI_GENERATED int name##_from(wb_rma_vector *from, name *out)                                  \
    {                                                                                              \
        bool fits = from->block == NULL || (from->elem_size == sizeof(type) &&                     \
                                            (uintptr_t)from->data % _Alignof(type) == 0);          \
        out->vector = fits ? wb_rma_vector_take(from) : (wb_rma_vector){0};                        \
        return fits ? WB_OK : WB_ERR_INVALID;                                                      \
    }                                                                                              \
    WBI_GENERATED wb_rma_vector name##_to(name *v)                                                 \
    {                                                                                              \
        return wb_rma_vector_take(&v->vector);                                                     \
    }                                                                                              \
    WBI_GENERATED void name##_drop(name *v)                                                        \
    {                                                                                              \
        wb_rma_vector_drop(&v->vector);                                                            \
    }                                                                                              \
    WBI_GENERATED name name##_take(name *v)                                                        \
    {                                                                                              \
        return (name){wb_rma_vector_take(&v->vector)};                                             \
    }                                                                                              \
    WBI_GENERATED name name##_share(const name *v)                                                 \
    {                                                                                              \
        return (name){wb_rma_vector_share(&v->vector)};                                            \
    }                                                                                              \
    WBI_GENERATED name name##_slice(const name *v, size_t first, size_t count)                     \
    {                                                                                              \
        return (name){wb_rma_vector_slice(&v->vector, first, count)};                              \
    }                                                                                              \
    WBI_GENERATED bool name##_is_exclusive(const name *v)                                          \
    {                                                                                              \
        return wb_rma_vector_is_exclusive(&v->vector);                                             \
    }                                                                                              \
    WBI_GENERATED type *name##_data(const name *v)                                                 \
    {                                                                                              \
        return (type *)v->vector.data;                                                             \
    }                                                                                              \
    WBI_GENERATED size_t name##_count(const name *v)                                               \
    {                                                                                              \
        return v->vector.count;                                                                    \
    }                                                                                              \
    WBI_GENERATED type *name##_at(const name *v, size_t index)                                     \
    {                                                                                              \
        assert(index < v->vector.count);                                                           \
        return (type *)v->vector.data + index;                                                     \
    }                                                                                              \
    WBI_GENERATED int name##_push(name *v, type element)                                           \
    {                                                                                              \
        return wb_rma_vector_push(&v->vector, &element);                                           \
    }                                                                                              \
    WBI_GENERATED int name##_append(name *v, const type *elements, size_t count)                   \
    {                                                                                              \
        return wb_rma_vector_append(&v->vector, elements, count);                                  \
    }                                                                                              \
    WBI_GENERATED int name##_pop(name *v, type *element)                                           \
    {                                                                                              \
        return wb_rma_vector_pop(&v->vector, element);                                             \
    }                                                                                              \
    WBI_GENERATED int name##_resize(name *v, size_t count)                                         \
    {                                                                                              \
        return wb_rma_vector_resize(&v->vector, count);                                            \
    }                                                                                              \
    WBI_GENERATED int name##_reserve(name *v, size_t count)                                        \
    {                                                                                              \
        return wb_rma_vector_reserve(&v->vector, count);                                           \
    }                                                                                              \
    WBI_GENERATED int name##_clear(name *v)                                                        \
    {                                                                                              \
        return wb_rma_vector_clear(&v->vector);                                                    \
    }                                                                                              \
    WBI_GENERATED int name##_shrink(name *v)                                                       \
    {                                                                                              \
        return wb_rma_vector_shrink(&v->vector);                                                   \
    }

#endif
