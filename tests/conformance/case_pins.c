/* User memory that is pinned: calls are what they are without, on every fabric, whatever is pinned
 * around their arguments. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/world.h"

enum { BYTES = 200000, CALLS = 20, THREADS = 4, ROUNDS = 30 };

static _Alignas(64) uint8_t memory[THREADS * BYTES];

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

/* One call with these bytes, which are filled anew. */
static int digest(uint8_t *data, size_t bytes, uint64_t seed)
{
    struct digest_in in = {.seed = seed, .raw = {.data = data, .len = bytes}};
    struct digest_out out;
    test_pattern_fill(data, bytes, seed);
    int status = digest_call(test_world.peer, &in, &out, NULL);
    if (status == WB_OK) {
        test_check(out.raw_bytes == bytes && out.raw_right == bytes, "%zu bytes are wrong", bytes);
    }
    digest_out_drop(&out);
    return status;
}

START_TEST(test_calls_with_pinned_memory)
{
    test_world_open(1);
    struct wb_engine_stats before = stats();
    test_assert_status(wb_mr_pin(test_world.engine, memory, BYTES, 0), WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest(memory + 64 * (size_t)i, BYTES - 64 * (size_t)i, i), WB_OK);
    }
    struct wb_engine_stats after = stats();
    ck_assert_uint_eq(after.pins, 1);
    ck_assert_uint_eq(after.pinned_bytes, BYTES);
    ck_assert_uint_eq(after.registrations, before.registrations);
    ck_assert_uint_eq(after.registrations_avoided, registers() ? CALLS : 0);
    ck_assert_uint_eq(after.pin_registrations, registers());
    ck_assert_uint_eq(after.pin_registered_bytes, registers() ? BYTES : 0);
    test_assert_status(wb_mr_unpin(test_world.engine, memory, BYTES), WB_OK);
    ck_assert_uint_eq(stats().pins, 0);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    test_assert_status(digest(memory, BYTES, 1), WB_OK);
    ck_assert_uint_eq(stats().registrations, after.registrations + registers());
    test_world_close();
}
END_TEST

/* The range is the program's to unmap when unpin has returned, with calls under way as without. */
START_TEST(test_unpin_with_calls_under_way)
{
    struct wb_call *calls[CALLS];
    struct digest_in in = {.seed = 1, .raw = {.data = memory, .len = BYTES}};
    struct digest_out out;
    test_world_open(1);
    test_pattern_fill(memory, BYTES, 1);
    test_assert_status(wb_mr_pin(test_world.engine, memory, BYTES, 0), WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    test_assert_status(wb_mr_unpin(test_world.engine, memory, BYTES), WB_OK);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.raw_right, BYTES);
        digest_out_drop(&out);
    }
    test_world_close();
}
END_TEST

START_TEST(test_pins_that_are_none)
{
    test_world_open(1);
    struct wb_engine *engine = test_world.engine;
    const void *high = (const void *)(UINTPTR_MAX - 100); // NOLINT(performance-no-int-to-ptr)
    test_assert_status(wb_mr_pin(engine, memory, 0, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, NULL, 100, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, NULL, SIZE_MAX, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, memory, SIZE_MAX, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, high, 200, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, memory, BYTES, 2), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin_dmabuf(engine, -1, 0, BYTES, memory, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin_dmabuf(engine, 0, UINT64_MAX, BYTES, memory, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin_dmabuf(engine, 0, 0, BYTES, memory, WB_MR_ON_DEMAND),
                       WB_ERR_INVALID);
    test_assert_status(wb_mr_pin_dmabuf(engine, 0, 0, 0, memory, 0), WB_ERR_INVALID);
    ck_assert_uint_eq(stats().pins, 0);
    test_assert_status(wb_mr_unpin(engine, memory, BYTES), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "not pinned"));
    test_assert_status(wb_mr_unpin(engine, NULL, 0), WB_ERR_INVALID);
    test_assert_status(wb_mr_unpin(engine, high, 200), WB_ERR_INVALID);
    test_assert_status(wb_mr_pin(engine, memory, BYTES, 0), WB_OK);
    test_assert_status(wb_mr_pin(engine, memory, BYTES, 0), WB_OK);
    test_assert_status(wb_mr_unpin(engine, memory, BYTES - 1), WB_ERR_INVALID);
    test_assert_status(wb_mr_unpin(engine, memory + 1, BYTES - 1), WB_ERR_INVALID);
    test_assert_status(wb_mr_unpin(engine, memory, BYTES), WB_OK);
    test_assert_status(wb_mr_unpin(engine, memory, BYTES), WB_OK);
    test_assert_status(wb_mr_unpin(engine, memory, BYTES), WB_ERR_INVALID);
    test_world_close();
}
END_TEST

/* What is pinned at the end goes with the engine. */
START_TEST(test_an_engine_that_ends_with_pins)
{
    test_world_open(1);
    test_assert_status(wb_mr_pin(test_world.engine, memory, BYTES, 0), WB_OK);
    test_assert_status(wb_mr_pin(test_world.engine, memory + 100, BYTES, 0), WB_OK);
    test_assert_status(digest(memory + 100, BYTES, 1), WB_OK);
    test_world_close();
}
END_TEST

/* A thread pins ranges that others pin too, calls with its own part of them, and unpins them. */
static void *pin_and_call(void *argument)
{
    size_t number = (uintptr_t)argument;
    uint8_t *own = memory + number * BYTES;
    int failed = WB_OK;
    for (unsigned i = 0; i < ROUNDS && failed == WB_OK; i++) {
        bool all = (i + number) % 3 == 0;
        uint8_t *at = all ? memory : own;
        size_t bytes = all ? sizeof memory : BYTES;
        failed = wb_mr_pin(test_world.engine, at, bytes, 0);
        failed = failed == WB_OK ? digest(own, 10000 + 1000 * (size_t)i, i) : failed;
        failed = failed == WB_OK ? wb_mr_unpin(test_world.engine, at, bytes) : failed;
    }
    return (void *)(intptr_t)failed; // NOLINT(performance-no-int-to-ptr)
}

START_TEST(test_many_threads_pin)
{
    pthread_t threads[THREADS];
    test_world.client_config.pin_bytes = sizeof memory + BYTES; /* less than they may want */
    test_world_open(1);
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *number = (void *)i; // NOLINT(performance-no-int-to-ptr)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, pin_and_call, number), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        test_assert_status((int)(intptr_t)failed, WB_OK);
    }
    ck_assert_uint_eq(stats().pins, 0);
    ck_assert_uint_eq(stats().pin_registered_bytes, 0);
    test_world_close();
}
END_TEST

TCase *test_pins_case(void)
{
    const TTest *const tests[] = {test_calls_with_pinned_memory, test_unpin_with_calls_under_way,
                                  test_pins_that_are_none, test_an_engine_that_ends_with_pins,
                                  test_many_threads_pin};
    return test_world_case("pins", tests, sizeof tests / sizeof tests[0]);
}
