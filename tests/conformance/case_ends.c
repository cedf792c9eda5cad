/* Ends: peers and engines that are closed with work under way, servers that come back. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/conformance/world.h"

enum { OPEN = 24 };

/* Calls that stay open at the server's gate, with chunks in some of them. */
static void begin_open_calls(struct wb_peer *peer, struct wb_call *calls[OPEN])
{
    for (unsigned i = 0; i < OPEN; i++) {
        struct wait_at_gate_in in = {.data = test_world_vector(1, i * 3000, i)};
        test_assert_status(wait_at_gate_async(peer, &in, NULL, &calls[i]), WB_OK);
        wait_at_gate_in_drop(&in);
    }
}

static uint64_t parcels_sent(void)
{
    struct wb_engine_stats stats;
    wb_engine_stats(test_world.engine, &stats);
    return stats.parcels_sent;
}

/* Makes progress until so many parcels have left since, which takes as many turns as the peer's
 * credits make it. */
static void await_sent(uint64_t before, uint64_t count)
{
    uint64_t start = test_clock_us();
    while (parcels_sent() - before < count) {
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
        wb_progress(test_world.engine);
    }
}

static void assert_all_end(struct wb_call *calls[OPEN], int wanted)
{
    struct wait_at_gate_out out;
    for (unsigned i = 0; i < OPEN; i++) {
        test_assert_done(calls[i]);
        test_assert_status(wait_at_gate_finish(calls[i], &out), wanted);
    }
}

START_TEST(test_peer_close_with_open_calls)
{
    struct wb_call *calls[OPEN];
    test_world_open(2);
    for (unsigned turns = 0; turns < 300; turns += 100) {
        begin_open_calls(test_world.peers[0], calls);
        for (unsigned i = 0; i < turns; i++) {
            wb_progress(test_world.engine);
        }
        wb_peer_close(test_world.peers[0]);
        assert_all_end(calls, WB_ERR_CLOSED);
        test_world_assert_quiet(0);
        test_world_assert_works(test_world.peers[1]);
        test_world_connect(0);
        test_world_assert_works(test_world.peers[0]);
    }
    test_world_close();
}
END_TEST

START_TEST(test_peer_close_while_connecting)
{
    struct wb_peer *peer;
    struct wb_call *call;
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    test_world_open(1);
    for (unsigned i = 0; i < 10; i++) {
        test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer), WB_OK);
        test_assert_status(add_async(peer, &in, NULL, &call), WB_OK);
        wb_peer_close(peer);
        test_assert_done(call);
        int status = add_finish(call, &out);
        ck_assert_msg(status == WB_OK || status == WB_ERR_CLOSED, "%s", wb_status_name(status));
    }
    wb_peer_close(NULL);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* Calls that are begun before the connection is there wait for it. */
START_TEST(test_calls_before_the_connection)
{
    struct wb_peer *peer;
    struct wb_call *calls[OPEN];
    test_world_open(1);
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer), WB_OK);
    for (unsigned i = 0; i < OPEN; i++) {
        struct vector_in in = {.data = test_world_vector(1, i * 1000, i), .after = i};
        struct wb_call_options options = {.reply_bytes = i * 1000};
        test_assert_status(vector_async(peer, &in, &options, &calls[i]), WB_OK);
        vector_in_drop(&in);
    }
    for (unsigned i = 0; i < OPEN; i++) {
        struct vector_out out;
        test_assert_status(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.after, i);
        ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i), i * 1000);
        vector_out_drop(&out);
    }
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

START_TEST(test_many_connections_one_after_another)
{
    test_world_open(1);
    for (unsigned i = 0; i < test_scaled(200); i++) {
        wb_peer_close(test_world.peer);
        test_world_connect(0);
        test_world_assert_works(test_world.peer);
    }
    test_world_close();
}
END_TEST

START_TEST(test_many_connections_at_once)
{
    enum { PEERS = 40 };
    struct wb_peer *peers[PEERS];
    uint32_t spare = test_world.server_config.lanes > 1; /* for the connection beside */
    test_world.client_config.max_peers = test_world.server_config.max_peers = PEERS + 1 + spare;
    test_world_open(1);
    for (unsigned i = 0; i < PEERS; i++) {
        test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peers[i]),
                           WB_OK);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        test_assert_status(wb_peer_wait(peers[i], test_patience_us), WB_OK);
        test_world_assert_works(peers[i]);
    }
    struct wb_peer *one_more = NULL;
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &one_more),
                       WB_AGAIN);
    for (unsigned i = 0; i < PEERS; i++) {
        test_world_assert_works(peers[PEERS - 1 - i]);
        wb_peer_close(peers[PEERS - 1 - i]);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_a_server_with_all_the_peers_it_takes)
{
    struct wb_peer *peer;
    test_world.server_config.max_peers = 1;
    test_world_open(1);
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(peer), "max_peers"));
    wb_peer_close(peer);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* An engine can be its own peer: one lane, both ends of a channel. */
START_TEST(test_an_engine_calls_itself)
{
    char url[TEST_URL_BYTES];
    struct wb_peer *peer;
    test_world_open(1);
    test_world_own_url(5, url);
    test_assert_status(wb_listen(test_world.engine, url), WB_OK);
    test_assert_status(wb_connect(test_world.engine, url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    for (unsigned i = 0; i < 20; i++) {
        struct vector_in in = {.data = test_world_vector(1, i * 10000, i)};
        struct vector_out out;
        struct wb_call_options options = {.reply_bytes = i * 10000};
        test_assert_status(vector_call(peer, &in, &out, &options), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i), i * 10000);
        vector_out_drop(&out);
        vector_in_drop(&in);
        test_world_assert_works(peer);
    }
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

START_TEST(test_several_addresses)
{
    char urls[3][TEST_URL_BYTES];
    struct wb_engine *second;
    struct wb_peer *peer;
    test_world_open(1);
    for (unsigned i = 0; i < 3; i++) {
        test_world_own_url(10 + i, urls[i]);
        test_assert_status(wb_listen(test_world.engine, urls[i]), WB_OK);
    }
    test_assert_status(wb_listen(test_world.engine, urls[1]), WB_ERR_IN_USE);
    test_assert_status(wb_engine_create(&test_world.client_config, &second), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        struct add_in in = {.a = i, .b = 1};
        struct add_out out;
        struct wb_call *call;
        test_assert_status(wb_connect(second, urls[i], &peer), WB_OK);
        test_assert_status(add_async(peer, &in, NULL, &call), WB_OK);
        uint64_t start = test_clock_us();
        while (!wb_call_done(call) && test_clock_us() - start < test_patience_us) {
            wb_progress(second);
            wb_progress(test_world.engine);
        }
        test_assert_status(add_finish(call, &out), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
    wb_engine_destroy(second);
    test_world_close();
}
END_TEST

START_TEST(test_engine_destroy_with_open_calls_and_vectors)
{
    struct wb_call *calls[OPEN];
    struct vector_out out;
    struct wb_call_options options = {.reply_bytes = 100000};
    test_world_open(1);
    struct vector_in in = {.data = test_world_vector(1, 100000, 6)};
    test_assert_status(vector_call(test_world.peer, &in, &out, &options), WB_OK);
    begin_open_calls(test_world.peer, calls);
    for (unsigned i = 0; i < 100; i++) {
        wb_progress(test_world.engine);
    }
    test_service_close(&test_world.client);
    test_world.engine = NULL;
    test_world.peers[0] = NULL;
    /* both vectors outlive the engine */
    ck_assert_uint_eq(test_pattern_check(in.data.data, 100000, 6), 100000);
    ck_assert_uint_eq(test_pattern_check(out.data.data, 100000, 6), 100000);
    memset(out.data.data, 0, 100000);
    test_assert_status(wb_rma_vector_resize(&in.data, 64 << 20), WB_ERR_CLOSED);
    wb_rma_vector_drop(&out.data);
    wb_rma_vector_drop(&in.data);

    test_assert_status(test_service_open(&test_world.client, &test_world.client_config, NULL),
                       WB_OK);
    test_world.engine = test_world.client.engine;
    test_world.pool = wb_engine_allocator(test_world.engine);
    test_world_connect(0);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* The server goes in order, with calls open; a new one takes its name. */
START_TEST(test_server_restart)
{
    struct wb_call *calls[OPEN];
    test_world_open(2);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t before = parcels_sent();
        begin_open_calls(test_world.peers[0], calls);
        await_sent(before, OPEN);
        test_server_stop(&test_world.host, &test_world.servers[0]);
        assert_all_end(calls, WB_ERR_PEER_LOST);
        ck_assert_int_eq(wb_peer_state(test_world.peers[0]), WB_PEER_LOST);
        ck_assert_ptr_nonnull(
            strstr(wb_peer_reason(test_world.peers[0]), test_world.servers[0].url));
        struct add_in in = {.a = 1};
        struct add_out out;
        test_assert_status(add_call(test_world.peers[0], &in, &out, NULL), WB_ERR_NOT_SENT);
        test_assert_quiet(test_world.engine, 0);
        test_world_assert_works(test_world.peers[1]);
        wb_peer_close(test_world.peers[0]);
        test_assert_status(
            test_server_start(&test_world.host, &test_world.servers[0], &test_world.server_config),
            WB_OK);
        test_world_connect(0);
        test_world_assert_works(test_world.peers[0]);
    }
    test_world_close();
}
END_TEST

/* ---- what is left ---- */

struct traces {
    unsigned descriptors, mappings;
};

static struct traces count_traces(void)
{
    struct traces traces = {0};
    char line[512];
    DIR *folder = opendir("/proc/self/fd");
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert(folder != NULL && maps != NULL);
    while (readdir(folder) != NULL) {
        traces.descriptors++;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        traces.mappings += strstr(line, "memfd:") != NULL;
    }
    fclose(maps);
    closedir(folder);
    return traces;
}

START_TEST(test_nothing_is_left)
{
    struct traces before = count_traces();
    for (unsigned i = 0; i < 5; i++) {
        struct wb_call *calls[OPEN];
        struct wait_at_gate_out out;
        test_world_prepare();
        test_world_open(2);
        test_world_assert_works(test_world.peers[0]);
        test_world_assert_works(test_world.peers[1]);
        begin_open_calls(test_world.peers[0], calls);
        wb_peer_close(test_world.peers[0]);
        test_world.peers[0] = NULL;
        for (unsigned j = 0; j < OPEN; j++) {
            test_assert_status(wait_at_gate_finish(calls[j], &out), WB_ERR_CLOSED);
        }
        test_world_close();
        struct traces after = count_traces();
        ck_assert_uint_eq(after.mappings, before.mappings);
        ck_assert_uint_eq(after.descriptors, before.descriptors);
    }
}
END_TEST

TCase *test_ends_case(void)
{
    const TTest *const tests[] = {test_peer_close_with_open_calls,
                                  test_peer_close_while_connecting,
                                  test_calls_before_the_connection,
                                  test_many_connections_one_after_another,
                                  test_many_connections_at_once,
                                  test_a_server_with_all_the_peers_it_takes,
                                  test_engine_destroy_with_open_calls_and_vectors,
                                  test_server_restart,
                                  test_an_engine_calls_itself,
                                  test_several_addresses,
                                  test_nothing_is_left};
    return test_world_case("ends", tests, sizeof tests / sizeof tests[0]);
}
