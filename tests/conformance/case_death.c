/* Servers that are killed, and servers that are stopped and go on: what waits for them ends, and
 * the other peer does not notice. */
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/world.h"

/* A peer's death is found within milliseconds; a busy machine is given seconds. */
static const uint64_t soon_us = 10000000;

static void turn(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        wb_progress(test_world.engine);
    }
}

/* Server 0 is dead: its peer too, and the other lives. A new one takes its place. */
static void assert_lost_and_replace(void)
{
    uint64_t start = test_clock_us();
    while (wb_peer_state(test_world.peers[0]) != WB_PEER_LOST &&
           test_clock_us() - start < soon_us) {
        wb_wait(test_world.engine, 1000);
    }
    ck_assert_int_eq(wb_peer_state(test_world.peers[0]), WB_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(test_world.peers[0]), test_world.servers[0].url));
    test_world_assert_works(test_world.peers[1]);
    wb_peer_close(test_world.peers[0]);
    test_assert_status(
        test_server_start(&test_world.host, &test_world.servers[0], &test_world.server_config),
        WB_OK);
    test_world_connect(0);
    test_world_assert_works(test_world.peers[0]);
}

START_TEST(test_killed_in_the_middle_of_a_call)
{
    static char raw[100000];
    struct wait_at_gate_out out;
    struct wb_call *call;
    test_world_open(2);
    for (unsigned turns = 0; turns <= 10000; turns = turns * 10 + 1) {
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                     .data = test_world_vector(1, 100000, 1)};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &call), WB_OK);
        turn(turns);
        test_server_kill(&test_world.host, &test_world.servers[0]);
        uint64_t start = test_clock_us();
        test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_PEER_LOST);
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
        ck_assert(wb_rma_vector_is_exclusive(&in.data));
        memset(raw, (int)turns, sizeof raw);
        wait_at_gate_in_drop(&in);
        assert_lost_and_replace();
    }
    test_world_close();
}
END_TEST

/* The server reads our chunks, which takes it a while; we are the ones to stage what is no rma. */
START_TEST(test_killed_while_it_reads)
{
    struct wait_at_gate_out out;
    struct wb_call *call;
    size_t bytes = test_largest_vector() / 4;
    char *raw = malloc(bytes);
    ck_assert_ptr_nonnull(raw);
    test_pattern_fill(raw, bytes, 0);
    test_world_open(2);
    for (uint64_t delay_us = 0; delay_us < 20000; delay_us = delay_us * 3 + 50) {
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = bytes},
                                     .data = test_world_vector(1, bytes, 1)};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &call), WB_OK);
        uint64_t start = test_clock_us();
        while (test_clock_us() - start < delay_us) {
            wb_progress(test_world.engine);
        }
        test_server_kill(&test_world.host, &test_world.servers[0]);
        start = test_clock_us();
        test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_PEER_LOST);
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
        wait_at_gate_in_drop(&in);
        assert_lost_and_replace();
    }
    free(raw);
    test_world_close();
}
END_TEST

/* We fetch its result when it dies: that is lost, or it was there already and is right. */
START_TEST(test_killed_while_we_read)
{
    struct produce_in in = {.seed = 1, .count = test_largest_vector() / 4, .elem_size = 1};
    struct wb_call_options options = {.reply_bytes = in.count};
    struct produce_out out;
    struct wb_call *call;
    struct wb_engine_stats stats;
    test_world_open(2);
    for (unsigned turns = 0; turns <= 100; turns = turns * 4 + 1) {
        wb_engine_stats(test_world.engine, &stats);
        uint64_t reads = stats.reads, start = test_clock_us();
        test_assert_status(produce_async(test_world.peer, &in, &options, &call), WB_OK);
        while (stats.reads == reads && test_clock_us() - start < soon_us) {
            wb_progress(test_world.engine);
            wb_engine_stats(test_world.engine, &stats);
        }
        turn(turns);
        test_server_kill(&test_world.host, &test_world.servers[0]);
        start = test_clock_us();
        int status = produce_finish(call, &out);
        ck_assert_msg(status == WB_OK || status == WB_ERR_PEER_LOST, "%s", wb_status_name(status));
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
        if (status == WB_OK) {
            ck_assert_uint_eq(test_pattern_check(out.data.data, in.count, 2), in.count);
        }
        produce_out_drop(&out);
        assert_lost_and_replace();
    }
    test_world_close();
}
END_TEST

/* Vectors that came from a server are ours: its death does not take them away. */
START_TEST(test_results_outlive_their_server)
{
    struct produce_in in = {.seed = 1, .raw_bytes = 5000, .count = 100000, .elem_size = 8};
    struct wb_call_options options = {.reply_bytes = 900000};
    struct produce_out out;
    test_world_open(2);
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    test_server_kill(&test_world.host, &test_world.servers[0]);
    assert_lost_and_replace();
    ck_assert_uint_eq(test_pattern_check(out.raw.data, 5000, 1), 5000);
    ck_assert_uint_eq(test_pattern_check(out.data.data, 800000, 2), 800000);
    produce_out_drop(&out);
    test_world_close();
}
END_TEST

/* One that was killed is no obstacle to the next of its name, and what it left is cleared away. */
START_TEST(test_killed_again_and_again)
{
    test_world_open(2);
    for (unsigned i = 0; i < test_scaled(40); i++) {
        test_server_kill(&test_world.host, &test_world.servers[0]);
        assert_lost_and_replace();
    }
    test_world_close();
}
END_TEST

/* ---- stopped ---- */

/* A stopped server that goes on: its peer is there still, or was lost with the chunks that it held,
 * and can be had anew. */
static void assert_goes_on(void)
{
    if (!test_world.fabric->revokes_at_once) {
        ck_assert_int_eq(wb_peer_state(test_world.peers[0]), WB_PEER_LOST);
        wb_peer_close(test_world.peers[0]);
        test_world_connect(0);
    }
    test_world_assert_works(test_world.peers[0]);
}

START_TEST(test_stopped_and_continued)
{
    static char raw[300000];
    struct wait_at_gate_out out;
    struct wb_call_options options = {.timeout_us = 100000};
    test_world_open(2);
    for (unsigned round = 0; round < 3; round++) {
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = sizeof raw},
                                     .data = test_world_vector(1, 300000, round)};
        test_server_freeze(&test_world.host, &test_world.servers[0]);
        uint64_t start = test_clock_us();
        test_assert_status(wait_at_gate_call(test_world.peers[0], &in, &out, &options),
                           WB_ERR_TIMED_OUT);
        ck_assert_uint_lt(test_clock_us() - start, soon_us);
        ck_assert(wb_rma_vector_is_exclusive(&in.data));
        memset(raw, (int)round, sizeof raw);
        wait_at_gate_in_drop(&in);
        test_assert_quiet(test_world.engine, 0);
        test_world_assert_works(test_world.peers[1]);
        test_server_thaw(&test_world.host, &test_world.servers[0]);
        assert_goes_on();
    }
    test_world_close();
}
END_TEST

START_TEST(test_late_replies_are_dropped)
{
    enum { CALLS = 50 };
    struct wb_call *calls[CALLS];
    struct add_out out;
    struct wb_call_options options = {.timeout_us = 50000};
    struct wb_engine_stats stats;
    test_world_open(2);
    test_server_freeze(&test_world.host, &test_world.servers[0]);
    for (unsigned i = 0; i < CALLS; i++) {
        struct add_in in = {.a = i};
        test_assert_status(add_async(test_world.peers[0], &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(add_finish(calls[i], &out), WB_ERR_TIMED_OUT);
    }
    test_world_assert_works(test_world.peers[1]);
    test_server_thaw(&test_world.host, &test_world.servers[0]);
    uint64_t start = test_clock_us();
    do {
        wb_wait(test_world.engine, 1000);
        wb_engine_stats(test_world.engine, &stats);
    } while (stats.late_replies < CALLS && test_clock_us() - start < soon_us);
    ck_assert_uint_eq(stats.late_replies, CALLS);
    for (unsigned i = 0; i < 300; i++) { /* and every credit has come back */
        struct add_in in = {.a = i, .b = i};
        test_assert_status(add_call(test_world.peers[0], &in, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.sum, 2 * i);
    }
    test_world_close();
}
END_TEST

/* Its rings fill, its credits run out: what cannot be sent waits and ends too. */
START_TEST(test_more_than_a_stopped_server_can_take)
{
    enum { CALLS = 700 };
    static struct wb_call *calls[CALLS];
    static char text[3000];
    struct texts_out out;
    struct wb_call_options options = {.timeout_us = 300000};
    test_world_open(2);
    test_server_freeze(&test_world.host, &test_world.servers[0]);
    struct texts_in in = {.text = {.data = text, .len = sizeof text}};
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(texts_async(test_world.peers[0], &in, &options, &calls[i]), WB_OK);
    }
    test_world_assert_works(test_world.peers[1]);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(texts_finish(calls[i], &out), WB_ERR_TIMED_OUT);
    }
    test_server_thaw(&test_world.host, &test_world.servers[0]);
    for (unsigned i = 0; i < 600; i++) {
        test_assert_status(texts_call(test_world.peers[0], &in, &out, NULL), WB_OK);
        texts_out_drop(&out);
    }
    test_world_close();
}
END_TEST

START_TEST(test_closing_a_stopped_peer)
{
    struct wb_call *call;
    struct wait_at_gate_out out;
    test_world_open(2);
    struct wait_at_gate_in in = {.data = test_world_vector(1, 500000, 1)};
    test_server_freeze(&test_world.host, &test_world.servers[0]);
    test_assert_status(wait_at_gate_async(test_world.peers[0], &in, NULL, &call), WB_OK);
    uint64_t start = test_clock_us();
    wb_peer_close(test_world.peers[0]);
    test_assert_done(call);
    test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_CLOSED);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    wait_at_gate_in_drop(&in);
    test_server_thaw(&test_world.host, &test_world.servers[0]);
    test_world_connect(0);
    test_world_assert_works(test_world.peers[0]);
    test_world_close();
}
END_TEST

/* To one that is stopped nobody connects: that ends by its own timeout. */
START_TEST(test_connecting_to_a_stopped_server)
{
    struct wb_peer *peer = NULL;
    test_world.client_config.connect_timeout_us = 1000000;
    test_world_open(2);
    test_server_freeze(&test_world.host, &test_world.servers[0]);
    uint64_t start = test_clock_us();
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_ERR_TIMED_OUT);
    ck_assert_uint_lt(test_clock_us() - start, soon_us);
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_LOST);
    wb_peer_close(peer);
    test_world_assert_works(test_world.peers[1]);
    test_server_thaw(&test_world.host, &test_world.servers[0]);
    test_world_assert_works(test_world.peers[0]);
    test_world_close();
}
END_TEST

TCase *test_death_case(void)
{
    const TTest *const tests[] = {
        test_killed_in_the_middle_of_a_call, test_killed_while_it_reads,
        test_killed_while_we_read,           test_results_outlive_their_server,
        test_killed_again_and_again,         test_stopped_and_continued,
        test_late_replies_are_dropped,       test_more_than_a_stopped_server_can_take,
        test_closing_a_stopped_peer,         test_connecting_to_a_stopped_server};
    return test_world_case("death", tests, sizeof tests / sizeof tests[0]);
}
