/* The pool as a heap: memory by address, as malloc gives it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mr_cache/cache.h"
#include "mr_cache/checks.h"
#include "mr_cache/page_map.h"

enum {
    HEAP_ALIGN_MAX = 2 << 20,
    RUN_ALIGN =
        WBI_PAGE_BYTES /* every run begins at a multiple, so every block of a power of two */
};

/* Bytes to ask for, so that a block has an address at a multiple of `alignment` with `bytes` after
 * it, somewhere `inside` or at its beginning; 0 where there is no such number. */
static size_t bytes_to_ask(size_t bytes, size_t alignment, bool inside)
{
    size_t most = SIZE_MAX - HEAP_ALIGN_MAX;

    if (alignment <= WBI_RMA_ALIGN)
        return bytes ? bytes : 1;
    if (bytes > most)
        return 0;
    if (inside) {
        size_t slack = alignment - (alignment > RUN_ALIGN ? RUN_ALIGN : WBI_RMA_ALIGN);
        size_t asked = bytes + (bytes == 0) + slack;
        /* Blocks of a class follow one another in a run; above the classes one begins with a page.
         */
        return alignment > RUN_ALIGN && asked <= WBI_CLASS_MAX_BYTES ? WBI_CLASS_MAX_BYTES + 1
                                                                     : asked;
    }
    unsigned class_index;
    if (!wbi_class_find(bytes > alignment ? bytes : alignment, &class_index))
        return bytes;
    while (wbi_class_bytes(class_index) % alignment)
        class_index++; /* ends at the next power of two */
    return wbi_class_bytes(class_index);
}

static void *align_up(void *data, size_t alignment)
{
    return (unsigned char *)data + (-(uintptr_t)data & (alignment - 1));
}

static __attribute__((noinline)) int alloc_slowly(struct wb_rma_allocator *pool, size_t bytes,
                                                  size_t alignment, void **out, const void *site)
{
    struct wb_rma_block *block;

    *out = NULL;
    if ((alignment & (alignment - 1)) || alignment > HEAP_ALIGN_MAX)
        return WB_ERR_INVALID;
    /* The canary makes blocks of other sizes, in which an alignment is to be found. */
    bool inside = alignment > RUN_ALIGN || (pool->checks && alignment > WBI_RMA_ALIGN);
    size_t asked = bytes_to_ask(bytes, alignment, inside);
    if (!asked)
        return WB_ERR_BUDGET;
    wbi_checks_from(pool, site);
    int rc = wbi_pool_alloc(pool, asked, wbi_growth_of_this_thread(), &block);
    if (rc)
        return rc;
    *out = inside ? align_up(block->data, alignment) : block->data;
    if (pool->checks)
        wbi_checks_given(block, *out, bytes);
    return WB_OK;
}

/* Whether every block begins at such a multiple. */
static inline bool is_usual(size_t alignment)
{
    return __builtin_expect(!alignment, 1) ||
           (alignment <= WBI_RMA_ALIGN && !(alignment & (alignment - 1)));
}

int wb_rma_alloc(struct wb_rma_allocator *pool, size_t bytes, size_t alignment, void **out)
{
    unsigned class_index;

    if (__builtin_expect(wbi_class_find(bytes, &class_index) && is_usual(alignment), 1)) {
        struct wbi_spare spare = wbi_cache_take(pool, class_index);
        if (__builtin_expect(spare.block != NULL, 1)) {
            wbi_block_hand_out(spare.block);
            *out = spare.data;
            return WB_OK;
        }
    }
    return alloc_slowly(pool, bytes, alignment, out, __builtin_return_address(0));
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

/* Whether wb_rma_alloc may have returned that address of a block: its beginning, or, for the
 * largest alignments, a multiple of these. */
static bool may_be_given(const struct wb_rma_block *block, const void *memory)
{
    const struct wbi_note *note = wbi_note_of(block);

    if (note)
        return memory == note->given;
    return memory == block->data || (uintptr_t)memory % (2 * RUN_ALIGN) == 0;
}

/* An address that is not the beginning of a block with one reference. */
static __attribute__((noinline)) void free_slowly(void *memory)
{
    struct wb_rma_block *block = memory ? wbi_rma_find(memory) : NULL;

    if (!memory)
        return;
    if (!block || !may_be_given(block, memory))
        die(memory);
    wbi_checks_let_go(block);
    wbi_rma_block_unref(block);
}

void wb_rma_free(void *memory)
{
    struct wbi_run *run = wbi_page_map_find(memory);
    struct wb_rma_block *block;

    if (__builtin_expect(run && wbi_run_block_at(run, memory, &block) && memory == block->data &&
                             wbi_block_end_sole(block),
                         1))
        wbi_block_give_back(run, block, memory);
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
