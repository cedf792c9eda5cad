#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/memory.h>

#include "mr_cache/allocator.h"
#include "mr_cache/checks.h"
#include "mr_cache/pool.h"

/* A vector over all of a block, whose reference it takes. */
static wb_rma_vector over_block(struct wb_rma_block *block, uint32_t elem_size, size_t count)
{
    return (wb_rma_vector){.data = wbi_rma_block_data(block),
                           .count = count,
                           .capacity = wbi_rma_block_bytes(block),
                           .elem_size = elem_size,
                           .block = block};
}

int wb_rma_vector_create(struct wb_rma_allocator *allocator, size_t elem_size, size_t count,
                         wb_rma_vector *out)
{
    struct wb_rma_block *block;
    size_t bytes;

    *out = (wb_rma_vector){0};
    if (elem_size == 0 || elem_size > UINT32_MAX ||
        __builtin_mul_overflow(elem_size, count, &bytes))
        return WB_ERR_INVALID;
    wbi_checks_from(allocator, __builtin_return_address(0));
    int rc = wbi_pool_alloc(allocator, bytes, wbi_growth_of_this_thread(), &block);
    if (rc)
        return rc;
    *out = over_block(block, (uint32_t)elem_size, count);
    return WB_OK;
}

int wbi_rma_vector_copy(struct wb_rma_allocator *allocator, const void *data, uint32_t elem_size,
                        size_t count, wb_rma_vector *out)
{
    struct wb_rma_block *block;

    *out = (wb_rma_vector){0};
    wbi_checks_from(allocator, wbi_site_landing);
    int rc = wbi_rma_alloc(allocator, elem_size * count,
                           wbi_growth_of_this_thread() == WBI_GROWTH_HERE, &block);
    if (rc)
        return rc;
    *out = over_block(block, elem_size, count);
    if (count)
        memcpy(out->data, data, wb_rma_vector_bytes(out));
    return WB_OK;
}

int wb_rma_vector_adopt(void *memory, size_t elem_size, size_t count, wb_rma_vector *out)
{
    size_t bytes, usable = wb_rma_usable_bytes(memory);

    *out = (wb_rma_vector){0};
    if (usable == 0 || elem_size == 0 || elem_size > UINT32_MAX ||
        __builtin_mul_overflow(elem_size, count, &bytes) || bytes > usable)
        return WB_ERR_INVALID;
    /* wb_rma_alloc may have aligned it: it need not be where its block begins. */
    *out = (wb_rma_vector){.data = memory,
                           .count = count,
                           .capacity = usable,
                           .elem_size = (uint32_t)elem_size,
                           .block = wbi_rma_find(memory)};
    return WB_OK;
}

void wb_rma_vector_drop(wb_rma_vector *vector)
{
    wb_rma_vector dropped = wb_rma_vector_take(vector);

    if (dropped.block)
        wbi_rma_block_unref(dropped.block);
}

wb_rma_vector wb_rma_vector_share(const wb_rma_vector *vector)
{
    if (vector->block)
        (void)wbi_rma_block_ref(vector->block);
    return *vector;
}

bool wb_rma_vector_is_exclusive(const wb_rma_vector *vector)
{
    /* Acquire: what the former holders did comes before what the sole owner does next. */
    return !vector->block || atomic_load_explicit(&vector->block->refs, memory_order_acquire) == 1;
}

static _Noreturn void end_program(const wb_rma_vector *vector, const char *what)
{
    (void)fprintf(stderr, "waybill: the vector of %zu elements at %p is %s\n", vector->count,
                  vector->data, what);
    abort();
}

void wb_rma_vector_assert_exclusive(const wb_rma_vector *vector)
{
    if (!wb_rma_vector_is_exclusive(vector))
        end_program(vector, "shared, where its owner counts on having it alone");
}

void wb_rma_vector_assert_shared(const wb_rma_vector *vector)
{
    if (wb_rma_vector_is_exclusive(vector))
        end_program(vector, "exclusive, where its owner counts on sharing it");
}

wb_rma_vector wb_rma_vector_slice(const wb_rma_vector *vector, size_t first, size_t count)
{
    if (!vector->block || first > vector->count || count > vector->count - first)
        return (wb_rma_vector){0};
    size_t before = (size_t)((unsigned char *)vector->data -
                             (unsigned char *)wbi_rma_block_data(vector->block));
    return wbi_rma_vector_slice(vector->block, before + first * vector->elem_size,
                                vector->elem_size, count);
}

wb_rma_vector wbi_rma_vector_slice(struct wb_rma_block *block, size_t offset, uint32_t elem_size,
                                   size_t count)
{
    size_t bytes, end;

    if (elem_size == 0 || __builtin_mul_overflow(count, elem_size, &bytes) ||
        __builtin_add_overflow(offset, bytes, &end) || end > wbi_rma_block_bytes(block))
        return (wb_rma_vector){0};
    /* What follows the slice in the block belongs to others: the capacity ends with the elements.
     */
    return (wb_rma_vector){.data = (unsigned char *)wbi_rma_block_data(block) + offset,
                           .count = count,
                           .capacity = bytes,
                           .elem_size = elem_size,
                           .block = wbi_rma_block_ref(block)};
}

/*
 * A block for `bytes`, with as much slack up to `wished` as can be had. Slack is never worth a
 * refusal, nor growth that was asked of the worker.
 */
static int alloc_with_slack(struct wb_rma_allocator *allocator, size_t bytes, size_t wished,
                            const void *site, struct wb_rma_block **out)
{
    enum wbi_growth growth = wbi_growth_of_this_thread();

    if (wished > bytes && wbi_pool_can_ever_fit(allocator, wished)) {
        enum wbi_growth quietly = growth == WBI_GROWTH_HERE ? growth : WBI_GROWTH_NONE;
        wbi_checks_from(allocator, site);
        if (wbi_pool_alloc(allocator, wished, quietly, out) == WB_OK)
            return WB_OK;
    }
    wbi_checks_from(allocator, site);
    return wbi_pool_alloc(allocator, bytes, growth, out);
}

/* The elements move into `block`, whose reference the vector takes; returns the former block. */
static struct wb_rma_block *move_to(wb_rma_vector *vector, struct wb_rma_block *block)
{
    struct wb_rma_block *former = vector->block;
    wb_rma_vector moved = over_block(block, vector->elem_size, vector->count);

    memcpy(moved.data, vector->data, wb_rma_vector_bytes(vector));
    *vector = moved;
    return former;
}

/*
 * Makes room for `bytes`, in a new block if the present one is too small; the elements are copied
 * and *former is the old block, which the caller drops when it needs the old elements no more.
 * *former is NULL if nothing moved. `site` is in the program: who moves it.
 */
static int make_room(wb_rma_vector *vector, size_t bytes, size_t wished, const void *site,
                     struct wb_rma_block **former)
{
    struct wb_rma_block *block;

    *former = NULL;
    if (bytes <= vector->capacity)
        return WB_OK;
    int rc = alloc_with_slack(wbi_rma_block_allocator(vector->block), bytes, wished, site, &block);
    if (rc)
        return rc;
    *former = move_to(vector, block);
    return WB_OK;
}

/* Sets *bytes to the bytes of `count` elements, if the vector's size may be changed to that. */
static int check_change(const wb_rma_vector *vector, size_t count, size_t *bytes)
{
    if (!vector->block || __builtin_mul_overflow(count, vector->elem_size, bytes))
        return WB_ERR_INVALID;
    return wb_rma_vector_is_exclusive(vector) ? WB_OK : WB_ERR_SHARED;
}

/* A capacity from which repeated growth costs amortised O(1) copies an element. */
static size_t next_capacity(const wb_rma_vector *vector, size_t bytes)
{
    size_t wished = vector->capacity + vector->capacity / 2;

    return wished > bytes ? wished : bytes;
}

int wb_rma_vector_reserve(wb_rma_vector *vector, size_t count)
{
    struct wb_rma_block *former;
    size_t bytes;
    int rc = check_change(vector, count, &bytes);

    if (!rc)
        rc = make_room(vector, bytes, bytes, __builtin_return_address(0), &former);
    if (!rc && former)
        wbi_rma_block_unref(former);
    return rc;
}

int wb_rma_vector_resize(wb_rma_vector *vector, size_t count)
{
    struct wb_rma_block *former;
    size_t bytes, present = wb_rma_vector_bytes(vector);
    int rc = check_change(vector, count, &bytes);

    if (!rc)
        rc = make_room(vector, bytes, next_capacity(vector, bytes), __builtin_return_address(0),
                       &former);
    if (rc)
        return rc;
    if (former)
        wbi_rma_block_unref(former);
    if (bytes > present)
        memset((unsigned char *)vector->data + present, 0, bytes - present);
    vector->count = count;
    return WB_OK;
}

static int append(wb_rma_vector *vector, const void *elements, size_t count, const void *site)
{
    struct wb_rma_block *former;
    size_t total, bytes, present = wb_rma_vector_bytes(vector);

    if (__builtin_add_overflow(vector->count, count, &total))
        return WB_ERR_INVALID;
    int rc = check_change(vector, total, &bytes);
    if (!rc)
        rc = make_room(vector, bytes, next_capacity(vector, bytes), site, &former);
    if (rc)
        return rc;
    /* The elements may lie in the vector itself, so the old block is dropped after the copy. */
    if (bytes > present)
        memmove((unsigned char *)vector->data + present, elements, bytes - present);
    vector->count = total;
    if (former)
        wbi_rma_block_unref(former);
    return WB_OK;
}

int wb_rma_vector_push(wb_rma_vector *vector, const void *element)
{
    return append(vector, element, 1, __builtin_return_address(0));
}

int wb_rma_vector_append(wb_rma_vector *vector, const void *elements, size_t count)
{
    return append(vector, elements, count, __builtin_return_address(0));
}

int wb_rma_vector_pop(wb_rma_vector *vector, void *element)
{
    size_t bytes;

    if (vector->count == 0)
        return WB_ERR_INVALID;
    int rc = check_change(vector, vector->count - 1, &bytes);
    if (rc)
        return rc;
    if (element)
        memcpy(element, (unsigned char *)vector->data + bytes, vector->elem_size);
    vector->count--;
    return WB_OK;
}

int wb_rma_vector_shrink(wb_rma_vector *vector)
{
    struct wb_rma_block *block;
    size_t bytes;
    int rc = check_change(vector, vector->count, &bytes);

    if (rc || bytes >= wbi_rma_block_bytes(vector->block) / 2)
        return rc;
    struct wb_rma_allocator *allocator = wbi_rma_block_allocator(vector->block);
    wbi_checks_from(allocator, __builtin_return_address(0));
    rc = wbi_pool_alloc(allocator, bytes, WBI_GROWTH_NONE, &block);
    if (rc)
        return rc;
    if (wbi_rma_block_bytes(block) >= wbi_rma_block_bytes(vector->block))
        wbi_rma_block_unref(block); /* the smallest block is that large */
    else
        wbi_rma_block_unref(move_to(vector, block));
    return WB_OK;
}
