/* What handlers may do: ask to be run again, keep what they got, call back; and what they may not.
 */
#include <string.h>

#include "tests/conformance/world.h"

static void assert_runs_again(uint32_t times, const wb_rma_vector *data, uint64_t seed)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 1 << 20};
    struct again_in in = {
        .times = times, .seed = seed, .text = wb_str_of("what was said stays said"), .data = *data};
    struct again_out out;
    test_assert_status(again_call(test_world.peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.runs, times + 1);
    ck_assert_uint_eq(out.data_right, data->count);
    ck_assert_uint_eq(out.text.len, in.text.len);
    ck_assert_mem_eq(out.text.data, in.text.data, in.text.len);
    ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, seed), data->count);
    again_out_drop(&out);
}

START_TEST(test_handlers_that_run_again)
{
    test_world.server_config.credits = 2; /* none of which may get lost */
    test_world_open(1);
    for (uint32_t times = 0; times < 8; times++) {
        wb_rma_vector data = test_world_vector(1, (size_t)times * 40000, times);
        assert_runs_again(times, &data, times);
        wb_rma_vector_drop(&data);
    }
    test_world_close();
}
END_TEST

/* Those that wait do not stop those that come. */
START_TEST(test_calls_go_on_past_those_that_wait)
{
    enum { WAITING = 40 };
    struct wb_call *calls[WAITING];
    struct wait_at_gate_out out;
    struct open_gate_out opened;
    test_world_open(1);
    for (unsigned i = 0; i < WAITING; i++) {
        struct wait_at_gate_in in = {.data = test_world_vector(1, i * 1000, i)};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
        wait_at_gate_in_drop(&in);
    }
    for (unsigned i = 0; i < 100; i++) {
        test_world_assert_works(test_world.peer);
    }
    for (unsigned i = 0; i < WAITING; i++) {
        ck_assert(!wb_call_done(calls[i]));
    }
    struct open_gate_in open = {.open = 1};
    test_assert_status(open_gate_call(test_world.peer, &open, &opened, NULL), WB_OK);
    for (unsigned i = 0; i < WAITING; i++) {
        test_assert_status(wait_at_gate_finish(calls[i], &out), WB_OK);
    }
    test_world_close();
}
END_TEST

/* Chunks that have arrived are released at once, though their handler has not answered. */
START_TEST(test_a_late_handler_does_not_hold_chunks)
{
    static char raw[100000];
    struct wb_call *call;
    struct wait_at_gate_out out;
    struct open_gate_out opened;
    struct wb_engine_stats stats;
    test_world_open(1);
    struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                 .data = test_world_vector(1, 100000, 1)};
    test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &call), WB_OK);
    uint64_t start = test_clock_us();
    do {
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &stats);
    } while ((stats.releases_received == 0 || stats.leases_open > 0) &&
             test_clock_us() - start < test_patience_us / 6);
    ck_assert_uint_eq(stats.leases_open, 0);
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    ck_assert(!wb_call_done(call));
    struct open_gate_in open = {.open = 1};
    test_assert_status(open_gate_call(test_world.peer, &open, &opened, NULL), WB_OK);
    test_assert_status(wait_at_gate_finish(call, &out), WB_OK);
    wait_at_gate_in_drop(&in);
    test_world_close();
}
END_TEST

START_TEST(test_handlers_that_keep_vectors)
{
    enum { KEPT = 20 };
    struct let_go_in nothing = {0};
    struct let_go_out gone;
    test_world_open(1);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < KEPT; i++) {
            struct keep_in in = {.seed = i, .data = test_world_vector(3, (size_t)i * 5000, i)};
            struct keep_out out;
            test_assert_status(keep_call(test_world.peer, &in, &out, NULL), WB_OK);
            /* ours may change: the receiver has its own */
            memset(in.data.data, 0x55, wb_rma_vector_bytes(&in.data));
            keep_in_drop(&in);
        }
        test_assert_status(let_go_call(test_world.peer, &nothing, &gone, NULL), WB_OK);
        ck_assert_uint_eq(gone.kept, KEPT);
        ck_assert_uint_eq(gone.spoilt, 0);
    }
    test_world_close();
}
END_TEST

START_TEST(test_waiting_inside_a_handler_is_refused)
{
    test_world_open(1);
    struct inside_in in = {0};
    struct inside_out out;
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(inside_call(test_world.peer, &in, &out, NULL), WB_OK);
        test_assert_status(out.progress, WB_ERR_DEADLOCK);
        test_assert_status(out.wait, WB_ERR_DEADLOCK);
        test_assert_status(out.peer_wait, WB_ERR_DEADLOCK);
        test_assert_status(out.call, WB_ERR_DEADLOCK);
        /* the call that was begun there went out, and was not lost by that */
        test_assert_status(out.call_wait, WB_ERR_DEADLOCK);
        test_assert_status(out.finish, WB_ERR_DEADLOCK);
        test_world_assert_quiet(0);
    }
    test_world_close();
}
END_TEST

/* A handler that calls its caller back; asked by both sides of each other. */
START_TEST(test_calls_back_outlive_the_handler)
{
    struct call_me_in wish = {.times = 50, .bytes = 5000};
    struct call_me_out begun;
    struct called_back_in nothing = {0};
    struct called_back_out back;
    test_world_open(2);
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        test_assert_status(call_me_call(test_world.peers[i], &wish, &begun, NULL), WB_OK);
        ck_assert_uint_eq(begun.begun, 50);
    }
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        uint64_t start = test_clock_us();
        do {
            wb_wait(test_world.engine, 1000);
            test_assert_status(called_back_call(test_world.peers[i], &nothing, &back, NULL), WB_OK);
        } while (back.open > 0 && test_clock_us() - start < test_patience_us / 6);
        ck_assert_uint_eq(back.right, 50);
        ck_assert_uint_eq(back.wrong, 0);
    }
    test_world_close();
}
END_TEST

/* Whoever was to be called back goes away: the calls end, the server works on. */
START_TEST(test_calls_back_to_one_who_left)
{
    struct call_me_in wish = {.times = 200, .bytes = 100000};
    struct call_me_out begun;
    struct called_back_in nothing = {0};
    struct called_back_out back;
    test_world_open(1);
    test_assert_status(call_me_call(test_world.peer, &wish, &begun, NULL), WB_OK);
    wb_peer_close(test_world.peer);
    test_world_connect(0);
    uint64_t start = test_clock_us();
    do {
        test_assert_status(called_back_call(test_world.peer, &nothing, &back, NULL), WB_OK);
    } while (back.open > 0 && test_clock_us() - start < test_patience_us / 6);
    ck_assert_uint_eq(back.open, 0);
    ck_assert_uint_eq(back.right + back.wrong, 200);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_handlers_case(void)
{
    const TTest *const tests[] = {test_handlers_that_run_again,
                                  test_calls_go_on_past_those_that_wait,
                                  test_a_late_handler_does_not_hold_chunks,
                                  test_handlers_that_keep_vectors,
                                  test_waiting_inside_a_handler_is_refused,
                                  test_calls_back_outlive_the_handler,
                                  test_calls_back_to_one_who_left};
    return test_world_case("handlers", tests, sizeof tests / sizeof tests[0]);
}
