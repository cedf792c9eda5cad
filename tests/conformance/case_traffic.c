/* Many calls: in windows, in both directions at once, from many threads over two peers. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/conformance/world.h"

enum { WINDOW_MOST = 300 };

/* Keeps `window` calls open until `count` have ended, in the order in which they began. */
static void call_in_window(unsigned window, unsigned count)
{
    struct wb_call *calls[WINDOW_MOST] = {NULL};
    struct add_out out;
    unsigned begun = 0, ended = 0;
    while (ended < count) {
        int status = WB_OK;
        while (begun < count && begun - ended < window && status == WB_OK) {
            struct add_in in = {.a = begun, .b = (uint64_t)begun << 32};
            status = add_async(test_world.peer, &in, NULL, &calls[begun % window]);
            begun += status == WB_OK;
        }
        ck_assert_msg(status == WB_OK || status == WB_AGAIN, "%s", wb_status_name(status));
        test_assert_status(add_finish(calls[ended % window], &out), WB_OK);
        ck_assert_uint_eq(out.sum, (uint64_t)ended << 32 | ended);
        add_out_drop(&out);
        ended++;
    }
}

START_TEST(test_ten_thousand_calls_one_by_one)
{
    test_world_open(1);
    call_in_window(1, test_scaled(10000));
    test_world_close();
}
END_TEST

START_TEST(test_ten_thousand_calls_16_at_a_time)
{
    test_world_open(1);
    call_in_window(16, test_scaled(10000));
    test_world_close();
}
END_TEST

START_TEST(test_ten_thousand_calls_more_than_credits)
{
    test_world_open(1);
    call_in_window(WINDOW_MOST, test_scaled(10000));
    test_world_close();
}
END_TEST

START_TEST(test_with_one_credit)
{
    test_world.server_config.credits = test_world.client_config.credits = 1;
    test_world_open(1);
    call_in_window(1, test_scaled(1000));
    call_in_window(64, test_scaled(2000));
    test_world_close();
}
END_TEST

START_TEST(test_no_more_calls_than_max_calls)
{
    enum { CALLS = 8 };
    struct wb_call *calls[CALLS + 1];
    struct add_in in = {.a = 1, .b = 1};
    struct add_out out;
    test_world.client_config.max_calls = CALLS;
    test_world_open(1);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(add_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    test_assert_status(add_async(test_world.peer, &in, NULL, &calls[CALLS]), WB_AGAIN);
    struct wb_call_options options = {.timeout_us = 20000};
    test_assert_status(add_call(test_world.peer, &in, &out, &options), WB_ERR_TIMED_OUT);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(add_finish(calls[i], &out), WB_OK);
    }
    call_in_window(16, 200); /* waits for its own */
    test_world_close();
}
END_TEST

/* ---- both directions ---- */

static void call_while_called(uint32_t times, uint64_t bytes)
{
    struct call_me_in wish = {.times = times, .bytes = bytes};
    struct call_me_out begun;
    struct called_back_in nothing = {0};
    struct called_back_out back;
    test_assert_status(call_me_call(test_world.peer, &wish, &begun, NULL), WB_OK);
    ck_assert_uint_eq(begun.begun, times);
    uint64_t start = test_clock_us();
    do {
        struct wb_call_options options = {.reply_bytes = bytes};
        struct vector_in in = {.before = 1, .data = test_world_vector(1, bytes, 8), .after = 2};
        struct vector_out out;
        test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, 8), bytes);
        vector_out_drop(&out);
        vector_in_drop(&in);
        test_assert_status(called_back_call(test_world.peer, &nothing, &back, NULL), WB_OK);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    } while (back.open > 0);
    ck_assert_uint_eq(back.right, times);
    ck_assert_uint_eq(back.wrong, 0);
}

START_TEST(test_both_directions_at_once)
{
    test_world_open(1);
    call_while_called(test_scaled(400), 8);
    call_while_called(test_scaled(400), 2000);
    call_while_called(test_scaled(200), 300000);
    test_world_close();
}
END_TEST

/* ---- many threads ---- */

enum { THREADS = 8 };

struct caller {
    pthread_t thread;
    unsigned number;
    int status;
    uint32_t wrong;
};

static int call_once(struct caller *caller, unsigned i)
{
    struct wb_peer *peer = test_world.peers[(caller->number + i) % TEST_SERVERS];
    size_t bytes = i % 4 == 0 ? 0 : (size_t)700 * (i % 32);
    uint64_t seed = (uint64_t)caller->number << 32 | i;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = bytes};
    struct vector_in in = {.before = (uint8_t)i, .after = i};
    struct vector_out out = {0};
    int status = wb_rma_vector_create(test_world.pool, 1, bytes, &in.data);
    if (status == WB_OK) {
        test_pattern_fill(in.data.data, bytes, seed);
        status = vector_call(peer, &in, &out, &options);
    }
    caller->wrong +=
        status == WB_OK && (out.before != in.before || out.after != i || out.data.count != bytes ||
                            test_pattern_check(out.data.data, bytes, seed) != bytes);
    vector_out_drop(&out);
    vector_in_drop(&in);
    return status;
}

static void *call_from_thread(void *context)
{
    struct caller *caller = context;
    unsigned calls = test_scaled(500);
    for (unsigned i = 0; i < calls && caller->status == WB_OK; i++) {
        caller->status = call_once(caller, i);
    }
    return NULL;
}

/* Each of the servers calls back meanwhile. */
static void ask_for_calls_back(uint32_t times)
{
    struct call_me_in wish = {.times = times, .bytes = 3000};
    struct call_me_out begun;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        test_assert_status(call_me_call(test_world.peers[i], &wish, &begun, NULL), WB_OK);
    }
}

static void assert_called_back(uint32_t times)
{
    struct called_back_in nothing = {0};
    struct called_back_out back;
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        uint64_t start = test_clock_us();
        do {
            test_assert_status(called_back_call(test_world.peers[i], &nothing, &back, NULL), WB_OK);
        } while (back.open > 0 && test_clock_us() - start < test_patience_us);
        ck_assert_uint_eq(back.right, times);
        ck_assert_uint_eq(back.wrong, 0);
    }
}

static void call_from_threads(void)
{
    struct caller callers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.number = i};
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call_from_thread, &callers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        test_assert_status(callers[i].status, WB_OK);
        ck_assert_uint_eq(callers[i].wrong, 0);
    }
}

START_TEST(test_eight_threads_on_two_peers)
{
    test_world_open(2);
    ask_for_calls_back(200);
    call_from_threads();
    assert_called_back(200);
    test_world_close();
}
END_TEST

/* Nobody spins: every wake-up counts. */
START_TEST(test_eight_threads_that_sleep)
{
    test_world.client_config.spin_us = test_world.server_config.spin_us = 0;
    test_world_open(2);
    ask_for_calls_back(50);
    call_from_threads();
    assert_called_back(50);
    test_world_close();
}
END_TEST

/* ---- calls that change hands ---- */

enum { HANDED = 400 };

struct finisher {
    pthread_t thread;
    struct wb_call **calls;
    unsigned count, wrong;
};

static void *finish_calls(void *context)
{
    struct finisher *finisher = context;
    for (unsigned i = 0; i < finisher->count; i++) {
        struct add_out out;
        int status = add_finish(finisher->calls[i], &out);
        finisher->wrong += status != WB_OK || out.sum != 11;
        add_out_drop(&out);
    }
    return NULL;
}

START_TEST(test_calls_that_others_finish)
{
    static struct wb_call *calls[HANDED];
    struct finisher finishers[4];
    struct add_in in = {.a = 5, .b = 6};
    test_world_open(1);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < HANDED; i++) {
            test_assert_status(add_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
        }
        for (unsigned i = 0; i < 4; i++) {
            finishers[i] =
                (struct finisher){.calls = calls + i * (HANDED / 4), .count = HANDED / 4};
            ck_assert_int_eq(
                pthread_create(&finishers[i].thread, NULL, finish_calls, &finishers[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(finishers[i].thread, NULL);
            ck_assert_uint_eq(finishers[i].wrong, 0);
        }
    }
    test_world_close();
}
END_TEST

TCase *test_traffic_case(void)
{
    const TTest *const tests[] = {test_ten_thousand_calls_one_by_one,
                                  test_ten_thousand_calls_16_at_a_time,
                                  test_ten_thousand_calls_more_than_credits,
                                  test_with_one_credit,
                                  test_no_more_calls_than_max_calls,
                                  test_both_directions_at_once,
                                  test_eight_threads_on_two_peers,
                                  test_eight_threads_that_sleep,
                                  test_calls_that_others_finish};
    return test_world_case("traffic", tests, sizeof tests / sizeof tests[0]);
}
