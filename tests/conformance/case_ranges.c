/* Plain ranges that lie in an allocator's blocks, and blocks of another engine: what they are
 * offered by is this engine's business, what arrives is the same. */
#include <string.h>

#include "tests/conformance/world.h"

static const size_t kib = 1 << 10, mib = 1 << 20;

static bool registers(void)
{
    return strcmp(test_world.fabric->scheme, "verbs") == 0;
}

static struct wb_engine_stats stats(void)
{
    struct wb_engine_stats figures;
    wb_engine_stats(test_world.engine, &figures);
    return figures;
}

static void digest_bytes(const void *data, size_t bytes)
{
    struct digest_in in = {.seed = 1, .raw = {.data = data, .len = bytes}};
    struct digest_out out;
    test_pattern_fill((void *)(uintptr_t)data, bytes, 1);
    test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.raw_bytes, bytes);
    ck_assert_uint_eq(out.raw_right, bytes);
    digest_out_drop(&out);
}

/* All of a block, its middle, its last bytes. */
static void digest_parts(uint8_t *memory, size_t bytes)
{
    digest_bytes(memory, bytes);
    digest_bytes(memory + 64, bytes - 128);
    digest_bytes(memory + bytes - 4 * kib, 4 * kib);
}

START_TEST(test_ranges_inside_blocks)
{
    static const size_t sizes[] = {8 << 10, 192 << 10, 3 << 20, 9 << 20};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    struct wb_rma_allocator *other = NULL;
    test_world_open(1);
    test_assert_status(wb_rma_allocator_create(test_world.engine, NULL, &other), WB_OK);
    for (unsigned i = 0; i < 2 * SIZES; i++) {
        void *memory = NULL;
        size_t bytes = sizes[i / 2];
        test_assert_status(wb_rma_alloc(i % 2 ? other : test_world.pool, bytes, 0, &memory), WB_OK);
        digest_parts(memory, bytes);
        wb_rma_free(memory);
    }
    ck_assert_uint_eq(stats().registrations, 0);
    ck_assert_uint_eq(stats().registrations_avoided, registers() ? 6 * SIZES : 0);
    test_world_assert_quiet(0);
    wb_rma_allocator_destroy(other);
    test_world_close();
}
END_TEST

/* A part of a vector, and of what has arrived: their blocks are the pool's, too. */
START_TEST(test_ranges_inside_vectors)
{
    test_world_open(1);
    wb_rma_vector vector = test_world_vector(8, 32 * kib, 1);
    digest_bytes((uint8_t *)vector.data + kib, 100 * kib);
    struct produce_in in = {.seed = 1, .raw_bytes = 64 * kib};
    struct wb_call_options options = {.reply_bytes = 128 * kib};
    struct produce_out out;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    size_t head = -(uintptr_t)out.raw.data & 63;
    struct digest_in again = {.seed = 1};
    again.raw = (wb_bytes){.data = (const uint8_t *)out.raw.data + head, .len = 32 * kib};
    struct digest_out seen;
    test_assert_status(digest_call(test_world.peer, &again, &seen, NULL), WB_OK);
    ck_assert_uint_eq(seen.raw_bytes, 32 * kib);
    digest_out_drop(&seen);
    produce_out_drop(&out);
    ck_assert_uint_eq(stats().registrations, 0);
    wb_rma_vector_drop(&vector);
    test_world_close();
}
END_TEST

/* The block has a key already: the pin stays idle, and what is pinned ends at once. */
START_TEST(test_ranges_that_are_pinned_too)
{
    void *memory = NULL;
    test_world_open(1);
    test_assert_status(wb_rma_alloc(test_world.pool, mib, 0, &memory), WB_OK);
    test_assert_status(wb_mr_pin(test_world.engine, memory, mib, 0), WB_OK);
    digest_parts(memory, mib);
    ck_assert_uint_eq(stats().registrations, 0);
    test_assert_status(wb_mr_unpin(test_world.engine, memory, mib), WB_OK);
    digest_parts(memory, mib);
    ck_assert_uint_eq(stats().registrations, 0);
    wb_rma_free(memory);
    test_world_close();
}
END_TEST

/* ---- another engine's ---- */

static struct wb_engine *make_another(void)
{
    struct wb_engine *another = NULL;
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = 16 * mib;
    config.slab_bytes = 2 * mib;
    config.max_peers = config.max_calls = config.credits = 1;
    test_assert_status(wb_engine_create(&config, &another), WB_OK);
    return another;
}

/* Its vector, a slice that begins anywhere, its bytes as a buffer and as a plain range. */
static void travel(const wb_rma_vector *vector, size_t bytes)
{
    struct wb_call_options options = {.reply_bytes = bytes + 4 * kib};
    struct digest_in in = {.seed = 1, .raw = {.data = vector->data, .len = bytes}};
    struct digest_out out;
    in.data = wb_rma_vector_share(vector);
    test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.raw_bytes, bytes);
    ck_assert_uint_eq(out.data_right, bytes);
    digest_in_drop(&in);
    struct vector_in there = {.data = wb_rma_vector_slice(vector, 3, bytes - 5)};
    struct vector_out back;
    test_assert_status(vector_call(test_world.peer, &there, &back, &options), WB_OK);
    ck_assert_uint_eq(back.data.count, bytes - 5);
    ck_assert_mem_eq(back.data.data, (uint8_t *)vector->data + 3, bytes - 5);
    vector_in_drop(&there);
    vector_out_drop(&back);
}

START_TEST(test_blocks_of_another_engine)
{
    test_world_open(1);
    struct wb_engine *another = make_another();
    wb_rma_vector small, large;
    test_assert_status(wb_rma_vector_create(wb_engine_allocator(another), 1, 9000, &small), WB_OK);
    test_assert_status(wb_rma_vector_create(wb_engine_allocator(another), 1, 3 * mib, &large),
                       WB_OK);
    test_pattern_fill(small.data, 9000, 2);
    test_pattern_fill(large.data, 3 * mib, 2);
    travel(&small, 9000);
    travel(&large, 3 * mib);
    uint64_t registered = stats().registrations;
    ck_assert_uint_eq(registered >= 4, registers());
    wb_engine_destroy(another); /* the vectors stay */
    travel(&small, 9000);
    travel(&large, 3 * mib);
    ck_assert_uint_eq(stats().registrations > registered, registers());
    wb_rma_vector_drop(&small);
    wb_rma_vector_drop(&large);
    test_world_close();
}
END_TEST

TCase *test_ranges_case(void)
{
    const TTest *const tests[] = {test_ranges_inside_blocks, test_ranges_inside_vectors,
                                  test_ranges_that_are_pinned_too, test_blocks_of_another_engine};
    return test_world_case("ranges", tests, sizeof tests / sizeof tests[0]);
}
