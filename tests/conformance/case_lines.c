/* Peers that come and go under one handle: connected when they are needed, connected anew, closed
 * when they are not used; and two that connect to each other at once. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "tests/conformance/world.h"

enum { OPEN = 24 };

static const uint64_t soon_us = 10000; /* pauses between attempts */
static const uint64_t short_us = 20000, idle_us = 30000;

static struct wb_peer *line_to(const char *url, struct wb_peer_options options)
{
    struct wb_peer *peer = NULL;
    options.backoff_us = soon_us;
    options.backoff_most_us = 5 * soon_us;
    test_assert_status(wb_connect_with(test_world.engine, url, &options, &peer), WB_OK);
    return peer;
}

static void await_state(const struct wb_peer *peer, enum wb_peer_state wanted)
{
    uint64_t start = test_clock_us();
    while (wb_peer_state(peer) != wanted && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 1000);
    }
    ck_assert_int_eq(wb_peer_state(peer), wanted);
}

static void start_server(void)
{
    test_assert_status(
        test_server_start(&test_world.host, &test_world.servers[0], &test_world.server_config),
        WB_OK);
}

START_TEST(test_lazy_peers)
{
    char nowhere[TEST_URL_BYTES];
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    test_world_open(1);
    const char *url = test_world.servers[0].url;
    struct wb_peer *peer = line_to(url, (struct wb_peer_options){.lazy = true});
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_IDLE);
    test_world_assert_works(peer);
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_CONNECTED);
    wb_peer_close(peer);
    peer = line_to(url, (struct wb_peer_options){.lazy = true});
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    test_world_assert_works(peer);
    wb_peer_close(peer);
    wb_peer_close(line_to(url, (struct wb_peer_options){.lazy = true, .again = true}));
    test_world_url(9, nowhere);
    peer = line_to(nowhere, (struct wb_peer_options){.lazy = true});
    test_assert_status(add_call(peer, &in, &out, NULL), WB_ERR_NOT_SENT);
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_LOST);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_ERR_REFUSED);
    test_assert_status(add_call(peer, &in, &out, NULL), WB_ERR_NOT_SENT);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

START_TEST(test_options_that_are_refused)
{
    struct wb_peer *peer = NULL;
    struct wb_peer_options options = {.again = true, .backoff_us = 2, .backoff_most_us = 1};
    test_world_open(1);
    const char *url = test_world.servers[0].url;
    test_assert_status(wb_connect_with(test_world.engine, url, &options, &peer), WB_ERR_INVALID);
    test_assert_status(wb_connect_with(test_world.engine, "nothing", NULL, &peer), WB_ERR_BAD_URL);
    ck_assert_ptr_null(peer);
    test_world_close();
}
END_TEST

/* Nobody is there: a call waits for its time and says why; one that has more of it is answered when
 * somebody has come. */
START_TEST(test_a_server_that_comes_later)
{
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *call;
    struct wb_call_options hasty = {.timeout_us = short_us};
    test_world_open(0);
    test_world_url(0, test_world.servers[0].url);
    struct wb_peer *peer =
        line_to(test_world.servers[0].url, (struct wb_peer_options){.again = true});
    test_assert_status(add_call(peer, &in, &out, &hasty), WB_ERR_TIMED_OUT);
    ck_assert_msg(strstr(wb_last_error(), test_world.servers[0].url) != NULL, "%s",
                  wb_last_error());
    test_assert_status(wb_peer_wait(peer, short_us), WB_ERR_TIMED_OUT);
    ck_assert_int_ne(wb_peer_state(peer), WB_PEER_LOST);
    test_assert_status(add_async(peer, &in, NULL, &call), WB_OK);
    test_assert_status(wb_call_wait(call, short_us), WB_ERR_TIMED_OUT);
    start_server();
    test_assert_status(add_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.sum, 3);
    test_world_assert_works(peer);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

/* Those that are down keep no parcels of calls that have ended. */
START_TEST(test_calls_that_time_out_leave_nothing)
{
    struct texts_in in = {.text = wb_str_of("nobody will ever read this")};
    struct texts_out out;
    struct wb_call *calls[OPEN], *patient;
    struct wb_call_options hasty = {.timeout_us = 1000}, patiently = {.timeout_us = 600000000};
    test_world.client_config.max_calls = OPEN + 1;
    test_world_open(0);
    test_world_url(9, test_world.servers[0].url);
    struct wb_peer *peer =
        line_to(test_world.servers[0].url, (struct wb_peer_options){.again = true});
    test_assert_status(texts_async(peer, &in, &patiently, &patient), WB_OK);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < OPEN; i++) {
            int status;
            while ((status = texts_async(peer, &in, &hasty, &calls[i])) == WB_AGAIN) {
                wb_wait(test_world.engine, 1000);
            }
            test_assert_status(status, WB_OK);
        }
        for (unsigned i = 0; i < OPEN; i++) {
            test_assert_status(texts_finish(calls[i], &out), WB_ERR_TIMED_OUT);
        }
    }
    wb_peer_close(peer);
    test_assert_done(patient);
    test_assert_status(texts_finish(patient, &out), WB_ERR_CLOSED);
    test_world_close();
}
END_TEST

static void begin_open(struct wb_peer *peer, struct wb_call *calls[OPEN])
{
    for (size_t i = 0; i < OPEN; i++) {
        struct wait_at_gate_in in = {.data = test_world_vector(1, i * 3000, i)};
        test_assert_status(wait_at_gate_async(peer, &in, NULL, &calls[i]), WB_OK);
        wait_at_gate_in_drop(&in);
    }
}

static void assert_lost(struct wb_call *calls[OPEN])
{
    struct wait_at_gate_out out;
    for (unsigned i = 0; i < OPEN; i++) {
        test_assert_done(calls[i]);
        int status = wait_at_gate_finish(calls[i], &out);
        ck_assert_msg(status == WB_ERR_PEER_LOST || status == WB_ERR_NOT_SENT, "%s",
                      wb_status_name(status));
    }
}

static void begin_vectors(struct wb_peer *peer, struct wb_call *calls[OPEN])
{
    for (size_t i = 0; i < OPEN; i++) {
        struct vector_in in = {.data = test_world_vector(1, i * 1000, i), .after = (uint32_t)i};
        struct wb_call_options options = {.reply_bytes = i * 1000};
        test_assert_status(vector_async(peer, &in, &options, &calls[i]), WB_OK);
        vector_in_drop(&in);
    }
}

static void assert_vectors(struct wb_call *calls[OPEN])
{
    struct vector_out out;
    for (size_t i = 0; i < OPEN; i++) {
        test_assert_status(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.after, i);
        ck_assert_uint_eq(test_pattern_check(out.data.data, out.data.count, i), i * 1000);
        vector_out_drop(&out);
    }
}

static void assert_texts(struct wb_peer *peer, size_t len)
{
    static char text[8000];
    struct texts_in in = {.text = {.data = text, .len = len}};
    struct texts_out out;
    struct wb_call_options options = {.reply_bytes = 1 << 14};
    memset(text, 't', sizeof text);
    test_assert_status(texts_call(peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.text.len, len);
    texts_out_drop(&out);
}

/* The server goes with calls open, and is there again: other calls are begun while it is away. Each
 * time it takes other messages than before. */
START_TEST(test_a_server_that_goes_and_comes)
{
    static const uint32_t eager_bytes[] = {8192, 512, 2048, 8192};
    struct wb_call *calls[OPEN];
    struct wb_peer_info before, after;
    test_world.server_config.eager_bytes = 512;
    test_world_open(1);
    struct wb_peer *peer =
        line_to(test_world.servers[0].url, (struct wb_peer_options){.again = true});
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    for (unsigned round = 0; round < 4; round++) {
        test_assert_status(wb_peer_describe(peer, &before), WB_OK);
        begin_open(peer, calls);
        for (unsigned turns = 0; turns < round * 40; turns++) {
            wb_progress(test_world.engine);
        }
        test_server_stop(&test_world.host, &test_world.servers[0]);
        assert_lost(calls);
        test_world_assert_quiet(0);
        ck_assert_int_ne(wb_peer_state(peer), WB_PEER_LOST);
        begin_vectors(peer, calls);
        test_world.server_config.eager_bytes = eager_bytes[round];
        start_server();
        assert_vectors(calls);
        test_assert_status(wb_peer_describe(peer, &after), WB_OK);
        ck_assert(after.engine_id != before.engine_id);
        uint32_t most = eager_bytes[round]; /* a device may take less than the largest */
        ck_assert(most > 4096 ? after.eager_bytes >= 4096 : after.eager_bytes == most);
        for (size_t len = 100; len < 8000; len *= 2) {
            assert_texts(peer, len);
        }
        test_world_assert_works(peer);
    }
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

/* Closed when it is not used, and not while it is: with a call open it stays. */
START_TEST(test_channels_that_are_not_used)
{
    struct wb_call *call;
    struct wait_at_gate_out out;
    struct open_gate_out opened;
    test_world_open(1);
    struct wb_peer *peer =
        line_to(test_world.servers[0].url, (struct wb_peer_options){.idle_us = idle_us});
    for (unsigned i = 0; i < 5; i++) {
        test_world_assert_works(peer);
        await_state(peer, WB_PEER_IDLE);
        test_world_assert_quiet(0);
    }
    struct wait_at_gate_in in = {.data = test_world_vector(1, 100000, 1)};
    test_assert_status(wait_at_gate_async(peer, &in, NULL, &call), WB_OK);
    wait_at_gate_in_drop(&in);
    test_assert_status(wb_call_wait(call, 10 * idle_us), WB_ERR_TIMED_OUT);
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_CONNECTED);
    struct open_gate_in open = {.open = 1};
    test_assert_status(open_gate_call(test_world.peer, &open, &opened, NULL), WB_OK);
    test_assert_status(wait_at_gate_finish(call, &out), WB_OK);
    await_state(peer, WB_PEER_IDLE);
    ck_assert_int_eq(wb_peer_state(test_world.peer), WB_PEER_CONNECTED); /* which has none */
    struct wb_engine_stats stats;
    wb_engine_stats(test_world.engine, &stats);
    ck_assert_uint_eq(stats.peers_lost, 0);
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

enum { THREADS = 3, ROUNDS = 150 };

static void *call_now_and_then(void *context)
{
    static char text[3000];
    struct wb_peer *peer = context;
    struct wb_call_options options = {.reply_bytes = 1 << 14};
    uintptr_t wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct texts_in in = {.text = {.data = text, .len = i % 3 * 1000}};
        struct texts_out out;
        int status = texts_call(peer, &in, &out, &options);
        wrong += status == WB_OK ? out.text.len != in.text.len : status != WB_ERR_NOT_SENT;
        texts_out_drop(&out);
        test_sleep_us(i % 16 == 0 ? 5000 : 0);
    }
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr): a thread's result is one */
}

/* While the channel goes for want of use, again and again. */
START_TEST(test_threads_on_a_line)
{
    pthread_t threads[THREADS];
    test_world_open(1);
    struct wb_peer *peer = line_to(test_world.servers[0].url,
                                   (struct wb_peer_options){.again = true, .idle_us = 1000});
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_now_and_then, peer), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    wb_peer_close(peer);
    test_world_close();
}
END_TEST

/* What is not connected has no place: of two handles on one place one is served after the other. */
START_TEST(test_more_lines_than_places)
{
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_peer *peers[8];
    test_world.client_config.max_peers = 2; /* one is the world's own */
    test_world_open(1);
    const char *url = test_world.servers[0].url;
    for (unsigned i = 0; i < 8; i++) {
        peers[i] =
            line_to(url, (struct wb_peer_options){.lazy = true, .again = true, .idle_us = idle_us});
    }
    for (unsigned i = 0; i < 16; i++) {
        test_assert_status(add_call(peers[i % 8], &in, &out, NULL), WB_OK);
    }
    for (unsigned i = 0; i < 8; i++) {
        wb_peer_close(peers[i]);
    }
    test_world_close();
}
END_TEST

/* Closed wherever it stands, with calls that wait. */
START_TEST(test_lines_are_closed)
{
    char nowhere[TEST_URL_BYTES];
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *call;
    test_world_open(1);
    test_world_url(9, nowhere);
    for (unsigned i = 0; i < 60; i++) {
        struct wb_peer *peer =
            line_to(i % 2 == 0 ? nowhere : test_world.servers[0].url,
                    (struct wb_peer_options){.lazy = i % 4 < 2, .again = true, .idle_us = 1000});
        test_assert_status(add_async(peer, &in, NULL, &call), WB_OK);
        for (unsigned turns = 0; turns < i * 3; turns++) {
            wb_progress(test_world.engine);
        }
        wb_peer_close(peer);
        test_assert_done(call);
        int status = add_finish(call, &out);
        ck_assert_msg(status == WB_ERR_CLOSED || (i % 2 == 1 && status == WB_OK), "%s",
                      wb_status_name(status));
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* What is away when the engine ends, with a call that waits. */
START_TEST(test_lines_at_the_end)
{
    char nowhere[TEST_URL_BYTES];
    struct add_in in = {.a = 1, .b = 2};
    struct wb_call *call;
    test_world_open(1);
    test_world_url(9, nowhere);
    (void)line_to(nowhere, (struct wb_peer_options){.lazy = true});
    (void)line_to(nowhere, (struct wb_peer_options){.again = true});
    struct wb_peer *peer = line_to(nowhere, (struct wb_peer_options){.again = true});
    test_assert_status(add_async(peer, &in, NULL, &call), WB_OK);
    test_assert_status(wb_call_wait(call, short_us), WB_ERR_TIMED_OUT);
    test_assert_status(wb_call_cancel(call), WB_OK);
    test_assert_done(call);
    struct add_out out;
    test_assert_status(add_finish(call, &out), WB_ERR_CANCELLED);
    test_world_close();
}
END_TEST

/* Two engines connect to each other at the same time: each has its own channel, and what the other
 * has accepted is one more. Nothing is lost, whoever was first. */
START_TEST(test_two_that_connect_to_each_other)
{
    struct test_service other = {.engine = NULL};
    char urls[2][TEST_URL_BYTES];
    struct wb_peer *peers[2];
    struct wb_call *calls[2][OPEN];
    test_world_open(0);
    test_world_own_url(5, urls[0]);
    test_world_own_url(6, urls[1]);
    test_assert_status(test_service_open(&other, &test_world.client_config, urls[1]), WB_OK);
    test_assert_status(wb_listen(test_world.engine, urls[0]), WB_OK);
    struct wb_engine *engines[2] = {test_world.engine, other.engine};
    for (unsigned round = 0; round < test_scaled(20); round++) {
        for (unsigned i = 0; i < 2; i++) {
            test_assert_status(wb_connect(engines[i], urls[1 - i], &peers[i]), WB_OK);
            for (size_t k = 0; k < OPEN; k++) {
                struct vector_in in = {.after = (uint32_t)k};
                test_assert_status(vector_async(peers[i], &in, NULL, &calls[i][k]), WB_OK);
            }
        }
        for (unsigned i = 0; i < 2 * OPEN; i++) {
            uint64_t start = test_clock_us();
            struct wb_call *call = calls[i / OPEN][i % OPEN];
            struct vector_out out;
            while (!wb_call_done(call) && test_clock_us() - start < test_patience_us) {
                wb_progress(engines[0]);
                wb_progress(engines[1]);
            }
            test_assert_status(vector_finish(call, &out), WB_OK);
            ck_assert_uint_eq(out.after, i % OPEN);
            vector_out_drop(&out);
        }
        wb_peer_close(peers[round % 2]);
        wb_peer_close(peers[1 - round % 2]);
    }
    test_service_close(&other);
    test_world_close();
}
END_TEST

TCase *test_lines_case(void)
{
    const TTest *const tests[] = {
        test_lazy_peers,
        test_options_that_are_refused,
        test_a_server_that_comes_later,
        test_calls_that_time_out_leave_nothing,
        test_a_server_that_goes_and_comes,
        test_channels_that_are_not_used,
        test_threads_on_a_line,
        test_more_lines_than_places,
        test_lines_are_closed,
        test_lines_at_the_end,
        test_two_that_connect_to_each_other,
    };
    return test_world_case("lines", tests, sizeof tests / sizeof tests[0]);
}
