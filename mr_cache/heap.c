/* The pool as a heap: memory by address, as malloc gives it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mr_cache/pool.h"

enum {
    HEAP_ALIGN_MAX = 2 << 20,
    RUN_ALIGN =
        WBI_PAGE_BYTES /* every run begins at a multiple, so every block of a power of two */
};

/* Bytes to ask for, so that a block has an address at a multiple of `alignment` with `bytes` after
 * it; 0 where there is no such number. */
static size_t bytes_to_ask(size_t bytes, size_t alignment)
{
    size_t most = SIZE_MAX - HEAP_ALIGN_MAX;

    if (alignment <= WBI_RMA_ALIGN)
        return bytes ? bytes : 1;
    if (bytes > most)
        return 0;
    if (alignment > RUN_ALIGN) /* somewhere in a block that begins at a multiple of a page */
        return bytes + alignment - RUN_ALIGN;
    if (bytes > WBI_CLASS_MAX_BYTES)
        return bytes;
    unsigned class_index = wbi_class_of(bytes > alignment ? bytes : alignment);
    while (wbi_class_bytes(class_index) % alignment)
        class_index++; /* ends at the next power of two */
    return wbi_class_bytes(class_index);
}

static void *align_up(void *data, size_t alignment)
{
    return (unsigned char *)data + (-(uintptr_t)data & (alignment - 1));
}

int wb_rma_alloc(struct wb_rma_allocator *pool, size_t bytes, size_t alignment, void **out)
{
    struct wb_rma_block *block;

    *out = NULL;
    if ((alignment & (alignment - 1)) || alignment > HEAP_ALIGN_MAX)
        return WB_ERR_INVALID;
    size_t asked = bytes_to_ask(bytes, alignment);
    if (!asked)
        return WB_ERR_BUDGET;
    int rc = wbi_pool_alloc(pool, asked, wbi_growth_of_this_thread(), &block);
    if (rc)
        return rc;
    void *data = wbi_rma_block_data(block);
    *out = alignment > RUN_ALIGN ? align_up(data, alignment) : data;
    return WB_OK;
}

/* Whether wb_rma_alloc may have returned that address of the block. */
static bool is_start(const struct wb_rma_block *block, const void *memory)
{
    return memory == wbi_rma_block_data(block) ||
           (uintptr_t)memory % (2 * (uintptr_t)RUN_ALIGN) == 0;
}

void wb_rma_free(void *memory)
{
    if (!memory)
        return;
    struct wb_rma_block *block = wbi_rma_find(memory);
    if (!block || !is_start(block, memory)) {
        (void)fprintf(stderr,
                      "waybill: wb_rma_free(%p): no block of an rma_allocator begins here, "
                      "or it was freed already\n",
                      memory);
        abort();
    }
    wbi_rma_block_unref(block);
}

size_t wb_rma_usable_bytes(const void *memory)
{
    const struct wb_rma_block *block = memory ? wbi_rma_find(memory) : NULL;

    if (!block)
        return 0;
    size_t before =
        (size_t)((const unsigned char *)memory - (const unsigned char *)wbi_rma_block_data(block));
    return wbi_rma_block_bytes(block) - before;
}
