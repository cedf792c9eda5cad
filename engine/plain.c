#include "engine/plain.h"

#include <stdlib.h>

#include "engine/fabric.h"
#include "mr_cache/allocator.h"
#include "mr_cache/buffer.h"

int wbi_plain_get(size_t bytes, struct wbi_plain *out)
{
    static const size_t around = (size_t)2 * WBI_RMA_ALIGN;
    wb_buffer buffer = {0};
    *out = (struct wbi_plain){0};
    unsigned char *memory = bytes <= PTRDIFF_MAX - around ? calloc(1, bytes + around) : NULL;
    int status =
        memory != NULL ? wb_buffer_adopt(memory, bytes + around, NULL, &buffer) : WB_ERR_NO_MEMORY;
    if (status != WB_OK) {
        free(memory);
        return wbi_error(WB_ERR_NO_MEMORY, "no %zu bytes for a part of a result", bytes);
    }
    out->owner = buffer.owner;
    out->data = memory + (-(uintptr_t)memory & (WBI_RMA_ALIGN - 1));
    return WB_OK;
}

void wbi_plain_give(struct wbi_plain *plain)
{
    if (plain->owner != NULL && wbi_buffer_owner_unref(plain->owner)) {
        wbi_buffer_owner_end(plain->owner);
    }
    *plain = (struct wbi_plain){0};
}
