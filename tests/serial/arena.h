/* Memory of one test, freed together; and the numbers that a seed stands for. */
#ifndef WAYBILL_TESTS_SERIAL_ARENA_H
#define WAYBILL_TESTS_SERIAL_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* Every block is a malloc of its own of just the size asked for, so that ASan sees the first byte
 * beside it. */
struct test_arena {
    void **blocks;
    size_t count, capacity;
};

void *test_arena_alloc(struct test_arena *arena, size_t bytes);
void *test_arena_copy(struct test_arena *arena, const void *data, size_t bytes);

/* Frees every block; the arena can be used again. */
void test_arena_clear(struct test_arena *arena);

/* Frees those blocks that are younger than the first `count`. */
void test_arena_rewind(struct test_arena *arena, size_t count);

/* Steele, Lea, Flood: splitmix64. */
uint64_t test_random(uint64_t *state);

/* Below `bound`, which is at least 1. */
uint64_t test_random_below(uint64_t *state, uint64_t bound);

#endif
