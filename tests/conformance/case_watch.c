/* What an engine tells of itself: the log of events and latencies, on each fabric. */
#include <string.h>

#include "tests/conformance/world.h"

enum { MOST = 4096 };

/* How many events of that kind the client has, for the server's URL. */
static unsigned count(enum wb_event_kind kind)
{
    static struct wb_event events[MOST];
    unsigned found = 0;
    int all = wb_engine_events(test_world.engine, events, MOST);
    ck_assert_int_ge(all, 0);
    for (int i = 0; i < all; i++) {
        ck_assert_str_eq(events[i].scheme, test_world.fabric->scheme);
        found +=
            events[i].kind == kind && strcmp(events[i].peer_url, test_world.servers[0].url) == 0;
    }
    return found;
}

START_TEST(test_events_of_calls)
{
    struct produce_in in = {.seed = 1, .count = 100000, .elem_size = 1};
    struct wb_call_options options = {.reply_bytes = in.count};
    struct produce_out out;
    test_world_open(1);
    ck_assert_uint_eq(count(WB_EVENT_CONNECTED), 1 + test_world.others);
    ck_assert_uint_eq(count(WB_EVENT_READ), 0);
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    produce_out_drop(&out);
    ck_assert_uint_eq(count(WB_EVENT_REPLY_CAME), 1);
    ck_assert_uint_ge(count(WB_EVENT_READ), 1);
    ck_assert_uint_eq(count(WB_EVENT_READ_FAILED), 0);
    ck_assert_uint_eq(count(WB_EVENT_CALL_ENDED), 0);
    struct wait_at_gate_in wait = {.data = test_world_vector(1, 100000, 1)};
    struct wait_at_gate_out none;
    options = (struct wb_call_options){.timeout_us = 20000};
    test_assert_status(wait_at_gate_call(test_world.peer, &wait, &none, &options),
                       WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(count(WB_EVENT_REQUEST_SENT), 1);
    ck_assert_uint_eq(count(WB_EVENT_CALL_ENDED), 1);
    ck_assert_uint_eq(count(WB_EVENT_CANCEL_SENT), 1);
    wait_at_gate_in_drop(&wait);
    ck_assert_uint_eq(count(WB_EVENT_LOST), 0);
    test_world_close();
}
END_TEST

START_TEST(test_events_of_a_server_that_ends)
{
    char text[8192];
    test_world_open(2);
    test_server_stop(&test_world.host, &test_world.servers[0]);
    uint64_t start = test_clock_us();
    while (wb_peer_state(test_world.peers[0]) != WB_PEER_LOST &&
           test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    wb_peer_close(test_world.peers[0]);
    test_world.peers[0] = NULL;
    unsigned lost =
        count(WB_EVENT_LOST); /* by its name, though it is gone; the other maybe later */
    ck_assert(lost >= 1 && lost <= 1 + test_world.others);
    int needed = wb_engine_events_text(test_world.engine, 16, text, sizeof text);
    ck_assert_uint_eq(strlen(text), (size_t)needed);
    ck_assert_ptr_nonnull(strstr(text, test_world.servers[0].url));
    test_assert_status(
        test_server_start(&test_world.host, &test_world.servers[0], &test_world.server_config),
        WB_OK);
    test_world_connect(0);
    test_world_close();
}
END_TEST

START_TEST(test_latencies_of_calls)
{
    static struct wb_latency latency;
    static const uint64_t stall_ns = 20000000;
    struct stall_in in = {.ms = 20};
    struct stall_out out;
    struct add_in numbers = {.a = 1, .b = 2};
    struct wait_at_gate_in gate = {0};
    struct wait_at_gate_out none;
    struct wb_call_options options = {.timeout_us = 20000};
    test_world.client_config.latency = test_world.server_config.latency = true;
    test_world_open(1);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(stall_call(test_world.peer, &in, &out, NULL), WB_OK);
    }
    test_assert_status(wait_at_gate_call(test_world.peer, &gate, &none, &options),
                       WB_ERR_TIMED_OUT);
    test_assert_status(add_apply(test_world.peer, &numbers, NULL), WB_OK); /* has no end to count */
    test_world_assert_works(test_world.peer);
    test_assert_status(wb_engine_latency(test_world.engine, WB_LATENCY_CALLS, &latency), WB_OK);
    ck_assert_uint_eq(latency.count, 3 + 1 + 1);
    ck_assert_uint_ge(latency.max_ns, stall_ns);
    ck_assert_uint_ge(latency.sum_ns, 3 * stall_ns);
    ck_assert_uint_ge(wb_latency_percentile(&latency, 80), stall_ns - stall_ns / 60);
    test_assert_status(wb_engine_latency(test_world.engine, WB_LATENCY_HANDLERS, &latency), WB_OK);
    ck_assert_uint_eq(latency.count, 0);
    test_world_close();
}
END_TEST

TCase *test_watch_case(void)
{
    const TTest *const tests[] = {test_events_of_calls, test_events_of_a_server_that_ends,
                                  test_latencies_of_calls};
    return test_world_case("watch", tests, sizeof tests / sizeof tests[0]);
}
