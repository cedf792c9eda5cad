/*
 * The rma_object: one large struct in registered memory, which travels as one rma chunk. After the
 * rma_object of Biddiscombe et al., "Zero copy serialization using RMA in the HPX distributed
 * task-based runtime", section 3.4 (whose own was copied into the archive).
 *
 *   struct field { double cells[1 << 16]; uint64_t step; };
 *   WB_RMA_OBJECT_OF(struct field, field_object)
 *
 *   #define RELAX(F) F(OBJECT, field_object, field)
 *   WB_ACTION(relax, RELAX, RELAX)
 *
 * It is a vector of one element: what include/waybill/vector.h says of ownership, sharing and
 * threads holds for it. All of its bytes travel as they are, padding and pointers included, so a
 * type that holds pointers is of no use to another process. It is a chunk from rma_threshold on; a
 * smaller one is packed, and lands in a block of its own all the same.
 */
#ifndef WAYBILL_OBJECT_H
#define WAYBILL_OBJECT_H

#include <waybill/vector.h>

/*
 * Declares the type NAME, a handle to one `type` in registered memory, and its functions:
 *
 *   NAME_create(allocator, out)  one, contents undefined; errors as wb_rma_vector_create
 *   NAME_adopt(memory, out)      takes memory of wb_rma_alloc; errors as wb_rma_vector_adopt
 *   NAME_get(object)             where it is, or NULL for the empty handle (which travels as such)
 *   NAME_share, NAME_take, NAME_drop, NAME_is_exclusive   as of a vector
 *   NAME_bytes                   the size of the type, which a receiver checks
 */
#define WB_RMA_OBJECT_OF(type, name)                                                               \
    _Static_assert(sizeof(type) <= INT32_MAX, "an object has at most 2 GiB");                      \
    _Static_assert(_Alignof(type) <= 64, "an object is aligned to 64 bytes at most");              \
    typedef struct name {                                                                          \
        wb_rma_vector vector;                                                                      \
    } name;                                                                                        \
    enum { name##_bytes = sizeof(type) };                                                          \
    WBI_GENERATED int name##_create(struct wb_rma_allocator *allocator, name *out)                 \
    {                                                                                              \
        return wb_rma_vector_create(allocator, sizeof(type), 1, &out->vector);                     \
    }                                                                                              \
    WBI_GENERATED int name##_adopt(void *memory, name *out)                                        \
    {                                                                                              \
        return wb_rma_vector_adopt(memory, sizeof(type), 1, &out->vector);                         \
    }                                                                                              \
    WBI_GENERATED type *name##_get(const name *object)                                             \
    {                                                                                              \
        return (type *)object->vector.data;                                                        \
    }                                                                                              \
    WBI_GENERATED name name##_share(const name *object)                                            \
    {                                                                                              \
        return (name){wb_rma_vector_share(&object->vector)};                                       \
    }                                                                                              \
    WBI_GENERATED name name##_take(name *object)                                                   \
    {                                                                                              \
        return (name){wb_rma_vector_take(&object->vector)};                                        \
    }                                                                                              \
    WBI_GENERATED void name##_drop(name *object)                                                   \
    {                                                                                              \
        wb_rma_vector_drop(&object->vector);                                                       \
    }                                                                                              \
    WBI_GENERATED bool name##_is_exclusive(const name *object)                                     \
    {                                                                                              \
        return wb_rma_vector_is_exclusive(&object->vector);                                        \
    }

#endif
