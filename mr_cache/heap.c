/* The pool as a heap: memory by address, as malloc gives it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mr_cache/cache.h"
#include "mr_cache/page_map.h"

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

static __attribute__((noinline)) int alloc_slowly(struct wb_rma_allocator *pool, size_t bytes,
                                                  size_t alignment, void **out)
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
    *out = alignment > RUN_ALIGN ? align_up(block->data, alignment) : block->data;
    return WB_OK;
}

int wb_rma_alloc(struct wb_rma_allocator *pool, size_t bytes, size_t alignment, void **out)
{
    if (__builtin_expect(bytes <= WBI_CLASS_MAX_BYTES && alignment <= WBI_RMA_ALIGN, 1)) {
        struct wb_rma_block *block = wbi_cache_take(pool, wbi_class_of(bytes));
        if (__builtin_expect(block != NULL, 1)) {
            *out = wbi_block_hand_out(block)->data;
            return WB_OK;
        }
    }
    return alloc_slowly(pool, bytes, alignment, out);
}

/* What was freed is not what was allocated: nothing that the program does next can be trusted. */
static _Noreturn void die(const void *memory)
{
    (void)fprintf(stderr,
                  "waybill: wb_rma_free(%p): no block of an rma_allocator begins here, or it was "
                  "freed already\n",
                  memory);
    abort();
}

/* An address that is not the beginning of a block with one reference. */
static __attribute__((noinline)) void free_slowly(void *memory)
{
    struct wb_rma_block *block = memory ? wbi_rma_find(memory) : NULL;

    if (!memory)
        return;
    /* The largest alignments are to be had inside a block only. */
    if (!block || (memory != block->data && (uintptr_t)memory % (2 * RUN_ALIGN)))
        die(memory);
    wbi_rma_block_unref(block);
}

void wb_rma_free(void *memory)
{
    struct wbi_run *run = wbi_page_map_find(memory);
    struct wb_rma_block *block;

    if (__builtin_expect(run && wbi_run_block_at(run, memory, &block) && memory == block->data &&
                             wbi_block_end_sole(block),
                         1))
        wbi_block_give_back(run, block);
    else
        free_slowly(memory);
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
