#include "tests/serial/arena.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void *test_arena_alloc(struct test_arena *arena, size_t bytes)
{
    if (arena->count == arena->capacity) {
        arena->capacity = arena->capacity * 2 + 16;
        arena->blocks = realloc(arena->blocks, arena->capacity * sizeof *arena->blocks);
        ck_assert_ptr_nonnull(arena->blocks);
    }
    void *block = malloc(bytes);
    if (block == NULL && bytes > 0) {
        ck_abort_msg("no memory"); /* no ck_assert: those that hold take a call of write() each */
    }
    arena->blocks[arena->count++] = block;
    return block;
}

void *test_arena_copy(struct test_arena *arena, const void *data, size_t bytes)
{
    void *copy = test_arena_alloc(arena, bytes);
    if (bytes > 0) {
        memcpy(copy, data, bytes);
    }
    return copy;
}

void test_arena_rewind(struct test_arena *arena, size_t count)
{
    while (arena->count > count) {
        free(arena->blocks[--arena->count]);
    }
}

void test_arena_clear(struct test_arena *arena)
{
    test_arena_rewind(arena, 0);
    free(arena->blocks);
    *arena = (struct test_arena){0};
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t test_random_below(uint64_t *state, uint64_t bound)
{
    return test_random(state) % bound;
}
