#include <stdbool.h>
#include <stdlib.h>
#include <waybill/arena.h>

enum { ARENA_ALIGN = 16, FIRST_BLOCK = 4096 };

struct wb_arena_block {
    struct wb_arena_block *next;
    size_t bytes; /* behind this header, which is ARENA_ALIGN bytes */
};
_Static_assert(sizeof(struct wb_arena_block) == ARENA_ALIGN, "what follows is aligned");

static bool add_block(struct wb_arena *arena, size_t bytes)
{
    /* each as large as all before: few of them, whatever is asked for */
    size_t size = arena->bytes > FIRST_BLOCK ? arena->bytes : FIRST_BLOCK;
    size = size > bytes ? size : bytes;
    struct wb_arena_block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return false;
    }
    *block = (struct wb_arena_block){.next = arena->blocks, .bytes = size};
    arena->blocks = block;
    arena->at = (uint8_t *)(block + 1);
    arena->left = size;
    return true;
}

void *wb_arena_alloc(struct wb_arena *arena, size_t bytes)
{
    size_t limit = arena->limit != 0 ? arena->limit : WB_ARENA_LIMIT;
    if (limit > PTRDIFF_MAX) {
        limit = PTRDIFF_MAX;
    }
    if (bytes > limit - arena->bytes) {
        return NULL;
    }
    size_t size = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if ((arena->blocks == NULL || arena->left < size) && !add_block(arena, size)) {
        return NULL;
    }
    void *memory = arena->at;
    arena->at += size;
    arena->left -= size;
    arena->bytes += bytes;
    return memory;
}

static void free_blocks(struct wb_arena_block *block)
{
    while (block != NULL) {
        struct wb_arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void wb_arena_reset(struct wb_arena *arena)
{
    struct wb_arena_block *largest = arena->blocks;
    for (struct wb_arena_block *b = arena->blocks; b != NULL; b = b->next) {
        largest = b->bytes > largest->bytes ? b : largest;
    }
    arena->bytes = 0;
    if (largest == NULL) {
        return;
    }
    struct wb_arena_block **link = &arena->blocks;
    while (*link != largest) {
        link = &(*link)->next;
    }
    *link = largest->next;
    free_blocks(arena->blocks);
    largest->next = NULL;
    arena->blocks = largest;
    arena->at = (uint8_t *)(largest + 1);
    arena->left = largest->bytes;
}

void wb_arena_free(struct wb_arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct wb_arena){.limit = arena->limit};
}
