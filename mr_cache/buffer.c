#include "mr_cache/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "mr_cache/allocator.h"
#include "mr_cache/pool.h"

/* An owner with one reference, and room for `extra` bytes behind it; or NULL. */
static struct wb_buffer_owner *new_owner(size_t extra)
{
    struct wb_buffer_owner *owner;
    size_t bytes;

    if (__builtin_add_overflow(sizeof(*owner), extra, &bytes))
        return NULL;
    owner = malloc(bytes);
    if (owner) {
        *owner = (struct wb_buffer_owner){0};
        atomic_init(&owner->refs, 1);
    }
    return owner;
}

void wbi_buffer_owner_ref(struct wb_buffer_owner *owner)
{
    atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
}

bool wbi_buffer_owner_unref(struct wb_buffer_owner *owner)
{
    /* Release and acquire: what every holder did comes before the memory's end. */
    return atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1;
}

void wbi_buffer_owner_end(struct wb_buffer_owner *owner)
{
    if (owner->release)
        owner->release(owner->context, owner->data, owner->len);
    if (owner->free_memory)
        owner->free_memory(owner->memory);
    free(owner);
}

int wb_buffer_copy(const void *data, size_t len, wb_buffer *out)
{
    struct wb_buffer_owner *owner = new_owner(len);

    *out = (wb_buffer){0};
    if (!owner)
        return WB_ERR_NO_MEMORY;
    if (len > 0)
        memcpy(owner + 1, data, len);
    *out = (wb_buffer){.data = owner + 1, .len = len, .owner = owner};
    return WB_OK;
}

int wb_buffer_reference(const void *data, size_t len, wb_buffer_release release, void *context,
                        wb_buffer *out)
{
    struct wb_buffer_owner *owner = new_owner(0);

    *out = (wb_buffer){0};
    if (!owner)
        return WB_ERR_NO_MEMORY;
    owner->release = release;
    owner->context = context;
    owner->data = data;
    owner->len = len;
    *out = (wb_buffer){.data = data, .len = len, .owner = owner};
    return WB_OK;
}

int wb_buffer_adopt(void *memory, size_t len, void (*free_memory)(void *), wb_buffer *out)
{
    struct wb_buffer_owner *owner = new_owner(0);

    *out = (wb_buffer){0};
    if (!owner)
        return WB_ERR_NO_MEMORY;
    owner->free_memory = free_memory ? free_memory : free;
    owner->memory = memory;
    *out = (wb_buffer){.data = memory, .len = len, .owner = owner};
    return WB_OK;
}

wb_buffer wb_buffer_share(const wb_buffer *buffer)
{
    if (buffer->block)
        (void)wbi_rma_block_ref(buffer->block);
    if (buffer->owner)
        wbi_buffer_owner_ref(buffer->owner);
    return *buffer;
}

wb_buffer wb_buffer_slice(const wb_buffer *buffer, size_t first, size_t len)
{
    if (len == 0 || first > buffer->len || len > buffer->len - first)
        return (wb_buffer){0};
    wb_buffer slice = wb_buffer_share(buffer);
    slice.data = (const unsigned char *)buffer->data + first;
    slice.len = len;
    return slice;
}

int wb_buffer_keep(wb_buffer *buffer, wb_buffer *out)
{
    if (wb_buffer_is_view(buffer)) {
        int rc = wb_buffer_copy(buffer->data, buffer->len, out);
        if (!rc)
            *buffer = (wb_buffer){0};
        return rc;
    }
    *out = wb_buffer_take(buffer);
    return WB_OK;
}

void wb_buffer_drop(wb_buffer *buffer)
{
    wb_buffer dropped = wb_buffer_take(buffer);

    if (dropped.block)
        wbi_rma_block_unref(dropped.block);
    if (dropped.owner && wbi_buffer_owner_unref(dropped.owner))
        wbi_buffer_owner_end(dropped.owner);
}

bool wb_buffer_is_exclusive(const wb_buffer *buffer)
{
    /* Acquire: what the former holders did comes before what the sole owner does next. */
    if (buffer->block)
        return atomic_load_explicit(&buffer->block->refs, memory_order_acquire) == 1;
    if (buffer->owner)
        return atomic_load_explicit(&buffer->owner->refs, memory_order_acquire) == 1;
    return buffer->len == 0;
}
