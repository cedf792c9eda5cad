/* Deadlines, timeouts and sleep: whatever the other side does, what waits here ends. */
#include <string.h>

#include "tests/conformance/world.h"

/* A machine that is busy with other things is slow; a bound that is missed means that nobody looks.
 */
static const uint64_t soon_us = 5000000;

/* A call that the server cannot answer in time, with chunks of both kinds in it. */
static void assert_times_out(struct wb_peer *peer)
{
    static char raw[200000];
    struct wb_call_options options = {.timeout_us = 50000};
    struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                 .data = test_world_vector(1, 200000, 1)};
    struct wait_at_gate_out out;
    uint64_t start = test_clock_us();
    test_assert_status(wait_at_gate_call(peer, &in, &out, &options), WB_ERR_TIMED_OUT);
    uint64_t took = test_clock_us() - start;
    ck_assert_uint_ge(took, options.timeout_us);
    ck_assert_uint_lt(took, soon_us);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), test_world.fabric->scheme));
    /* nobody reads them any more */
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    memset(raw, 0xee, sizeof raw);
    memset(in.data.data, 0xee, 200000);
    wait_at_gate_in_drop(&in);
}

START_TEST(test_deadlines_of_calls_that_wait_at_the_server)
{
    test_world_open(2);
    for (unsigned i = 0; i < 3; i++) {
        assert_times_out(test_world.peers[0]);
        test_world_assert_works(test_world.peers[1]);
        test_world_assert_works(test_world.peers[0]);
    }
    test_world_close();
}
END_TEST

START_TEST(test_the_default_deadline_is_the_engines)
{
    test_world.client_config.call_timeout_us = 50000;
    test_world_open(1);
    struct wait_at_gate_in in = {0};
    struct wait_at_gate_out out;
    uint64_t start = test_clock_us();
    test_assert_status(wait_at_gate_call(test_world.peer, &in, &out, NULL), WB_ERR_TIMED_OUT);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    test_world_close();
}
END_TEST

/* The server is held up in a handler, and hears nothing meanwhile. */
START_TEST(test_deadlines_with_a_server_that_is_held_up)
{
    struct wb_call *stalled;
    struct stall_in stall = {.ms = 500};
    struct stall_out out;
    struct wb_engine_stats stats;
    test_world_open(2);
    test_assert_status(stall_async(test_world.peers[0], &stall, NULL, &stalled), WB_OK);
    assert_times_out(test_world.peers[0]);
    for (unsigned i = 0; i < 10; i++) {
        test_world_assert_works(test_world.peers[1]);
    }
    test_assert_status(stall_finish(stalled, &out), WB_OK);
    test_world_assert_works(test_world.peers[0]);
    wb_engine_stats(test_world.engine, &stats);
    ck_assert_uint_eq(stats.peers_lost, 0);
    test_world_close();
}
END_TEST

/* Many of them, so that late replies meet slots that have new tenants. */
START_TEST(test_late_replies_meet_no_new_call)
{
    struct wb_call *stalled;
    struct stall_in stall = {.ms = 200};
    struct stall_out done;
    struct add_out out;
    test_world.client_config.max_calls = 16;
    test_world_open(1);
    for (unsigned round = 0; round < 4; round++) {
        struct wb_call_options hasty = {.timeout_us = 1000};
        struct wb_call *calls[12];
        test_assert_status(stall_async(test_world.peer, &stall, NULL, &stalled), WB_OK);
        for (unsigned i = 0; i < 12; i++) {
            struct add_in in = {.a = 1000 * round, .b = i};
            test_assert_status(add_async(test_world.peer, &in, &hasty, &calls[i]), WB_OK);
        }
        for (unsigned i = 0; i < 12; i++) {
            int status = add_finish(calls[i], &out);
            ck_assert_msg(status == WB_ERR_TIMED_OUT || status == WB_OK, "%s",
                          wb_status_name(status));
        }
        for (unsigned i = 0; i < 12; i++) {
            struct add_in in = {.a = 7, .b = i};
            test_assert_status(add_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
        }
        for (unsigned i = 0; i < 12; i++) {
            test_assert_status(add_finish(calls[i], &out), WB_OK);
            ck_assert_uint_eq(out.sum, 7 + i);
        }
        test_assert_status(stall_finish(stalled, &done), WB_OK);
    }
    test_world_close();
}
END_TEST

/* A result that is being fetched when the call's time is over. */
START_TEST(test_deadlines_in_the_middle_of_a_fetch)
{
    test_world_open(1);
    struct produce_in in = {.seed = 1, .count = test_largest_vector() / 4, .elem_size = 1};
    struct produce_out out;
    for (uint64_t timeout_us = 1; timeout_us < 200000; timeout_us *= 3) {
        struct wb_call_options options = {.timeout_us = timeout_us, .reply_bytes = in.count};
        int status = produce_call(test_world.peer, &in, &out, &options);
        ck_assert_msg(status == WB_OK || status == WB_ERR_TIMED_OUT, "%s", wb_status_name(status));
        if (status == WB_OK) {
            ck_assert_uint_eq(test_pattern_check(out.data.data, in.count, 2), in.count);
        }
        produce_out_drop(&out);
        test_world_assert_quiet(0);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_deadlines_in_the_middle_of_a_read)
{
    test_world_open(1);
    struct digest_in in = {.seed = 1, .data = test_world_vector(1, test_largest_vector() / 4, 2)};
    struct digest_out out;
    for (uint64_t timeout_us = 1; timeout_us < 200000; timeout_us *= 3) {
        struct wb_call_options options = {.timeout_us = timeout_us};
        int status = digest_call(test_world.peer, &in, &out, &options);
        ck_assert_msg(status == WB_OK || status == WB_ERR_TIMED_OUT, "%s", wb_status_name(status));
        if (status == WB_OK) {
            ck_assert_uint_eq(out.data_right, in.data.count);
        }
        test_world_assert_quiet(1);
        ck_assert(wb_rma_vector_is_exclusive(&in.data));
    }
    digest_in_drop(&in);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_deadlines_that_never_come)
{
    static const uint64_t timeouts[] = {UINT32_MAX - 1, UINT32_MAX,     (uint64_t)UINT32_MAX + 1,
                                        UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
    test_world_open(1);
    for (unsigned i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        struct wb_call_options options = {.timeout_us = timeouts[i]};
        struct again_in in = {.times = 3, .data = test_world_vector(1, 20000, 0)};
        struct again_out out;
        options.reply_bytes = 30000;
        test_assert_status(again_call(test_world.peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(out.runs, 4);
        again_out_drop(&out);
        again_in_drop(&in);
    }
    test_world_close();
}
END_TEST

/* ---- waiting ---- */

/* The server is held up, and accepts later. */
START_TEST(test_waiting_for_a_connection)
{
    struct wb_peer *peer;
    struct wb_call *stalled;
    struct stall_in stall = {.ms = 300};
    struct stall_out out;
    test_world_open(1);
    test_assert_status(stall_async(test_world.peer, &stall, NULL, &stalled), WB_OK);
    test_sleep_us(50000); /* the request is with the server, by all likelihood */
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer), WB_OK);
    uint64_t start = test_clock_us();
    int status = wb_peer_wait(peer, 20000);
    ck_assert(status == WB_ERR_TIMED_OUT || status == WB_OK);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    test_world_assert_works(peer);
    wb_peer_close(peer);
    test_assert_status(stall_finish(stalled, &out), WB_OK);
    test_world_close();
}
END_TEST

START_TEST(test_waits_end)
{
    struct wb_call *call;
    struct wait_at_gate_in in = {0};
    struct wait_at_gate_out out;
    struct open_gate_in open = {.open = 1};
    struct open_gate_out opened;
    test_world_open(1);
    test_assert_quiet(test_world.engine, 0);
    uint64_t start = test_clock_us();
    while (wb_wait(test_world.engine, 30000) > 0) {
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
    }
    ck_assert_uint_ge(test_clock_us() - start, 30000);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    ck_assert_int_eq(wb_wait(test_world.engine, 0), 0);

    test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &call), WB_OK);
    start = test_clock_us();
    test_assert_status(wb_call_wait(call, 30000), WB_ERR_TIMED_OUT);
    ck_assert_uint_ge(test_clock_us() - start, 30000);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    ck_assert(!wb_call_done(call));
    test_assert_status(wb_call_wait(call, 0), WB_ERR_TIMED_OUT);
    test_assert_status(open_gate_call(test_world.peer, &open, &opened, NULL), WB_OK);
    test_assert_status(wb_call_wait(call, test_patience_us), WB_OK);
    ck_assert(wb_call_done(call));
    test_assert_status(wb_call_wait(call, 0), WB_OK);
    test_assert_status(wait_at_gate_finish(call, &out), WB_OK);
    test_world_close();
}
END_TEST

/* What is called back all the time looks at the clock all the same. */
START_TEST(test_waits_end_in_traffic)
{
    struct call_me_in wish = {.times = TEST_BACK_MOST, .bytes = 1};
    struct call_me_out begun;
    struct called_back_in nothing = {0};
    struct called_back_out back;
    struct wb_call *call;
    struct wait_at_gate_in in = {0};
    struct wait_at_gate_out out;
    test_world_open(2);
    struct wb_call_options options = {.timeout_us = 20000};
    test_assert_status(call_me_call(test_world.peers[0], &wish, &begun, NULL), WB_OK);
    test_assert_status(call_me_call(test_world.peers[1], &wish, &begun, NULL), WB_OK);
    test_assert_status(wait_at_gate_async(test_world.peer, &in, &options, &call), WB_OK);
    uint64_t start = test_clock_us();
    test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_TIMED_OUT);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    for (unsigned i = 0; i < TEST_SERVERS; i++) {
        do {
            test_assert_status(called_back_call(test_world.peers[i], &nothing, &back, NULL), WB_OK);
        } while (back.open > 0);
        ck_assert_uint_eq(back.wrong, 0);
    }
    test_world_close();
}
END_TEST

START_TEST(test_both_sides_sleep)
{
    struct wb_engine_stats stats;
    test_world.client_config.spin_us = test_world.server_config.spin_us = 0;
    test_world_open(1);
    for (unsigned i = 0; i < 10; i++) {
        test_sleep_us(i * 5000); /* so that the server sleeps, by all likelihood */
        uint64_t start = test_clock_us();
        test_world_assert_works(test_world.peer);
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
    }
    for (unsigned i = 0; i < test_scaled(2000); i++) {
        struct add_in in = {.a = i, .b = 1};
        struct add_out out;
        test_assert_status(add_call(test_world.peer, &in, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
    while (wb_wait(test_world.engine, 20000) > 0) {
    }
    wb_engine_stats(test_world.engine, &stats);
    ck_assert_uint_gt(stats.sleeps, 0);
    test_world_close();
}
END_TEST

TCase *test_time_case(void)
{
    const TTest *const tests[] = {test_deadlines_of_calls_that_wait_at_the_server,
                                  test_the_default_deadline_is_the_engines,
                                  test_deadlines_with_a_server_that_is_held_up,
                                  test_late_replies_meet_no_new_call,
                                  test_deadlines_in_the_middle_of_a_fetch,
                                  test_deadlines_in_the_middle_of_a_read,
                                  test_deadlines_that_never_come,
                                  test_waiting_for_a_connection,
                                  test_waits_end,
                                  test_waits_end_in_traffic,
                                  test_both_sides_sleep};
    return test_world_case("time", tests, sizeof tests / sizeof tests[0]);
}
