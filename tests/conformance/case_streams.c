/* Streams: a call that carries a sequence of items each way. */
#include <pthread.h>
#include <string.h>

#include "engine/peer.h"
#include "engine/stream.h"
#include "tests/conformance/actions_later.h"
#include "tests/conformance/talks.h"
#include "tests/conformance/world.h"

START_TEST(test_both_ways_in_order)
{
    unsigned items = test_scaled(40) + 20, sent = 0, got = 0;
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_ECHO, 0);
    while (got < items) {
        uint64_t patience_us = sent == got ? test_patience_us : 0; /* it may be opening */
        int status = sent < items ? test_talk_send_mixed(stream, sent, patience_us) : WB_AGAIN;
        if (status == WB_OK) {
            sent++;
            test_assert_status(sent == items ? wb_stream_finish(stream) : WB_OK, WB_OK);
        } else {
            test_assert_status(status, WB_AGAIN);
            test_assert_status(test_talk_next(stream, got, test_patience_us), WB_OK);
            got++;
        }
    }
    test_assert_status(test_talk_next(stream, got, test_patience_us), WB_END);
    test_assert_status(test_talk_next(stream, got, 0), WB_END);
    test_assert_status(wb_stream_status(stream, NULL), WB_OK);
    wb_stream_drop(stream);
    ck_assert_int_eq(test_talk_await(0, 1).status, WB_END);
    test_world_close();
}
END_TEST

struct sender {
    struct wb_stream *stream;
    unsigned items;
    int status;
};

static void *send_all(void *context)
{
    struct sender *sender = context;
    for (unsigned i = 0; i < sender->items && sender->status == WB_OK; i++) {
        uint8_t raw[500];
        struct talk_up item = {.number = i, .raw = {.data = raw, .len = sizeof raw}};
        test_pattern_fill(raw, sizeof raw, i);
        sender->status = talk_up_send(sender->stream, &item, test_patience_us);
    }
    sender->status = sender->status == WB_OK ? wb_stream_finish(sender->stream) : sender->status;
    return NULL;
}

/* One thread sends, another takes, both waiting. */
START_TEST(test_two_threads)
{
    pthread_t thread;
    test_world_open(1);
    struct sender sender = {.stream = test_talk_open(TEST_TALK_ECHO, 0),
                            .items = test_scaled(100) + 20};
    ck_assert_int_eq(pthread_create(&thread, NULL, send_all, &sender), 0);
    for (unsigned i = 0; i < sender.items; i++) {
        test_assert_status(test_talk_next(sender.stream, i, test_patience_us), WB_OK);
    }
    test_assert_status(test_talk_next(sender.stream, 0, test_patience_us), WB_END);
    pthread_join(thread, NULL);
    test_assert_status(sender.status, WB_OK);
    wb_stream_drop(sender.stream);
    test_world_close();
}
END_TEST

/* Slow takers, of whom there are more than the peer has credits: all is full, and other calls and
 * streams go on. Room comes back when they take, and is told of. */
START_TEST(test_slow_takers)
{
    enum { SLOW = 6, ITEMS = 5 };
    struct wb_stream *slow[SLOW];
    unsigned told = 0;
    test_world.server_config.credits = 8;
    test_world.server_config.stream_items = ITEMS;
    test_world_open(1);
    for (unsigned i = 0; i < SLOW; i++) {
        slow[i] = test_talk_open(TEST_TALK_HOLD, 0);
        test_talk_await_opened(slow[i]);
        ck_assert_uint_eq(test_talk_fill(slow[i], 0), ITEMS);
        ck_assert_int_eq(test_talk_send_mixed(slow[i], ITEMS, 1), WB_ERR_TIMED_OUT);
        test_world_assert_works(test_world.peer);
    }
    struct wb_stream *quick = test_talk_open(TEST_TALK_ECHO, 0);
    test_assert_status(test_talk_send_mixed(quick, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_next(quick, 0, test_patience_us), WB_OK);
    wb_stream_on_ready(slow[0], test_talk_count_ready, &told);
    unsigned told_before = told;
    test_assert_status(test_talk_send_mixed(slow[0], ITEMS, 0), WB_AGAIN);
    test_talk_ask(true);
    uint64_t start = test_clock_us();
    while (told == told_before) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "nobody tells of room");
    }
    for (unsigned i = 0; i < SLOW; i++) {
        test_assert_status(test_talk_send_mixed(slow[i], ITEMS, test_patience_us), WB_OK);
        test_assert_status(wb_stream_finish(slow[i]), WB_OK);
        test_assert_status(test_talk_next(slow[i], 0, test_patience_us), WB_END);
        wb_stream_drop(slow[i]);
    }
    wb_stream_drop(quick);
    test_talk_await(0, SLOW + 1);
    test_world_close();
}
END_TEST

/* All calls are taken: what a stream owes is sent when there is one again, and a sender is told. */
START_TEST(test_no_calls_left)
{
    enum { CALLS = 4 };
    struct wb_call *calls[CALLS];
    struct later_out out;
    unsigned told = 0;
    test_world.client_config.max_calls = CALLS;
    test_world_open(1);
    struct wb_stream *sends = test_talk_open(TEST_TALK_ECHO, 0);
    struct wb_stream *finishes = test_talk_open(TEST_TALK_ECHO, 0);
    struct wb_stream *goes = test_talk_open(TEST_TALK_HOLD, 0);
    test_talk_await_opened(sends);
    test_talk_await_opened(finishes);
    test_talk_await_opened(goes);
    struct later_in in = {.how = TEST_WHEN_LET_GO};
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(later_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    wb_stream_on_ready(sends, test_talk_count_ready, &told);
    told = 0;
    test_assert_status(test_talk_send_mixed(sends, 0, 0), WB_AGAIN);
    test_assert_status(wb_stream_finish(finishes), WB_OK);
    test_assert_status(test_talk_next(finishes, 0, 0), WB_AGAIN);
    wb_stream_drop(goes);
    ck_assert_uint_eq(told, 0);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(wb_call_cancel(calls[i]), WB_OK);
        test_assert_done(calls[i]);
        later_finish(calls[i], &out);
        later_out_drop(&out);
    }
    test_assert_status(test_talk_next(finishes, 0, test_patience_us), WB_END);
    test_assert_status(test_talk_send_mixed(sends, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_next(sends, 0, test_patience_us), WB_OK);
    ck_assert_uint_gt(told, 0);
    ck_assert_int_eq(test_talk_await(1, 2).code, 0);
    wb_stream_drop(finishes);
    wb_stream_drop(sends);
    struct let_later_go_in let_go = {.answer = 1};
    struct let_later_go_out gone;
    test_assert_status(let_later_go_call(test_world.peer, &let_go, &gone, NULL), WB_OK);
    test_world_close();
}
END_TEST

struct hunger {
    unsigned agains, items;
};

static void take_hungry(struct wb_stream *stream, void *user)
{
    struct hunger *hunger = user;
    int status = test_talk_next(stream, hunger->items, 0);
    hunger->agains += status == WB_AGAIN && stream->arrived > hunger->items;
    hunger->items += status == WB_OK;
}

/* Until *count is not 0. */
static void await_some(const unsigned *count, const char *what)
{
    uint64_t start = test_clock_us();
    while (*count == 0) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "no %s", what);
    }
}

/* The program has all of the pool when an item is to be taken that needs some: it is told again. */
START_TEST(test_no_memory_to_take)
{
    enum { MOST = 4096 };
    static wb_rma_vector all[MOST];
    struct hunger hunger = {0};
    unsigned count = 0;
    test_world.client_config.budget_bytes = test_world.client_config.slab_bytes = 2 << 20;
    test_world.client_config.reserve_percent = 0;
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_ECHO, 0);
    test_assert_status(test_talk_send(stream, 0, 0, 100, test_patience_us), WB_OK);
    while (count < MOST && wb_rma_vector_create(test_world.pool, 1, 1000, &all[count]) == WB_OK) {
        count++;
    }
    wb_stream_on_ready(stream, take_hungry, &hunger);
    await_some(&hunger.agains, "lack of memory");
    ck_assert_uint_eq(hunger.items, 0);
    while (count > 0) {
        wb_rma_vector_drop(&all[--count]);
    }
    await_some(&hunger.items, "item");
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* Bounded by bytes: large items fill the window before their number does; one that is larger than
 * half of it is refused. */
START_TEST(test_few_large_ones)
{
    test_world.server_config.stream_bytes = 100000;
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
    test_talk_await_opened(stream);
    test_assert_status(test_talk_send(stream, 0, 0, 60000, 0), WB_ERR_BUDGET);
    test_assert_status(test_talk_send(stream, 0, 0, 40000, 0), WB_OK);
    test_assert_status(test_talk_send(stream, 1, 40000, 0, 0), WB_OK);
    test_assert_status(test_talk_send(stream, 2, 0, 40000, 0), WB_AGAIN);
    test_assert_status(test_talk_send(stream, 2, 5000, 0, 0), WB_OK);
    test_talk_ask(true);
    for (unsigned i = 3; i < 20; i++) {
        test_assert_status(
            test_talk_send(stream, i, i % 2 * 40000, (i + 1) % 2 * 49000, test_patience_us), WB_OK);
    }
    test_assert_status(wb_stream_finish(stream), WB_OK);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_END);
    wb_stream_drop(stream);
    ck_assert_uint_eq(test_talk_await(0, 1).taken, 20);
    test_world_close();
}
END_TEST

/* Until all have arrived, and the finish. */
static void await_arrived(struct wb_stream *stream, uint64_t items)
{
    uint64_t start = test_clock_us();
    while (stream->arrived != items || stream->total != items) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not arrive");
    }
}

/* What a chunk leaves behind when it is taken out of an item counts, too. */
START_TEST(test_gaps)
{
    enum { FROM = 1017, SIZES = 16 };
    static const double few[4] = {1, 2, 3, 4};
    struct gaps_in in = {.hold = {0}};
    struct gaps_down none;
    struct wb_stream *stream = NULL;
    test_world_open(1);
    test_assert_status(gaps_open(test_world.peer, &in, NULL, &stream), WB_OK);
    for (size_t i = 0; i < SIZES; i++) {
        struct gaps_up item = {.data = test_world_vector(1, FROM + i, i),
                               .few = {.data = few, .len = sizeof few / sizeof few[0]}};
        test_assert_status(gaps_up_send(stream, &item, test_patience_us), WB_OK);
        gaps_up_drop(&item);
    }
    test_assert_status(wb_stream_finish(stream), WB_OK);
    test_assert_status(gaps_down_next(stream, &none, test_patience_us), WB_END);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* The other side sends all it has, finishes, and is gone: all of it is read. */
START_TEST(test_a_source)
{
    unsigned items = test_scaled(40) + 20;
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_SOURCE, items);
    for (unsigned i = 0; i < items; i++) {
        test_assert_status(test_talk_next(stream, i, test_patience_us), WB_OK);
    }
    test_assert_status(test_talk_next(stream, items, test_patience_us), WB_END);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* All that was sent arrives, though this side is gone, and is sent what it does not want any more
 * while its own items still wait for credits. */
START_TEST(test_sends_all_and_does_not_listen)
{
    enum { ITEMS = 12 };
    test_world.server_config.credits = 2;
    test_world.server_config.stream_items = ITEMS;
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_CHATTER, 0);
    test_talk_await_opened(stream);
    for (unsigned i = 0; i < ITEMS; i++) {
        test_assert_status(test_talk_send(stream, i, 10, 0, 0), WB_OK);
    }
    test_assert_status(wb_stream_finish(stream), WB_OK);
    wb_stream_drop(stream);
    struct talks_out out = test_talk_await(0, 1);
    test_assert_status(out.status, WB_END);
    ck_assert_uint_eq(out.taken, ITEMS);
    test_world_close();
}
END_TEST

/* What has arrived whole is read even when the peer has gone. */
START_TEST(test_a_source_that_is_gone)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_SOURCE, 10);
    test_talk_await(0, 1);
    await_arrived(stream, 10);
    wb_peer_close(test_world.peers[0]);
    test_world.peers[0] = test_world.peer = NULL;
    ck_assert_int_ne(wb_stream_status(stream, NULL), WB_OK);
    for (unsigned i = 0; i < 10; i++) {
        test_assert_status(test_talk_next(stream, i, test_patience_us), WB_OK);
    }
    test_assert_status(test_talk_next(stream, 10, test_patience_us), WB_END);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* Nothing of a stream that is gone is kept: more than a peer may have, one after the other. */
START_TEST(test_many_come_and_go)
{
    unsigned rounds = 3 + test_scaled(3);
    test_world.client_config.streams = 8;
    test_world.server_config.streams = 16; /* the last ones' last words may not be answered yet */
    test_world_open(1);
    for (unsigned round = 0; round < rounds; round++) {
        struct wb_stream *streams[8], *more = NULL;
        struct talk_in in = {.how = TEST_TALK_ECHO};
        for (unsigned i = 0; i < 8; i++) {
            streams[i] = test_talk_open(TEST_TALK_ECHO, 0);
        }
        test_assert_status(talk_open(test_world.peer, &in, NULL, &more), WB_ERR_BUSY);
        for (unsigned i = 0; i < 8; i++) {
            if (i % 4 < 3) {
                test_assert_status(test_talk_send_mixed(streams[i], 0, test_patience_us), WB_OK);
            }
            if (i % 4 < 2) {
                test_assert_status(wb_stream_finish(streams[i]), WB_OK);
                test_assert_status(test_talk_next(streams[i], 0, test_patience_us), WB_OK);
            }
            if (i % 4 == 0) {
                test_assert_status(test_talk_next(streams[i], 1, test_patience_us), WB_END);
            }
            wb_stream_drop(streams[i]);
        }
        uint64_t start = test_clock_us();
        test_talk_await(0, 8 * (round + 1));
        while (test_world.peer->streams > 0) { /* until its last words have arrived */
            wb_wait(test_world.engine, 1000);
            ck_assert_msg(test_clock_us() - start < test_patience_us, "they do not go");
        }
    }
    test_world_close();
}
END_TEST

/* A peer that opens as many as it can leaves some of the budget to others. */
START_TEST(test_leaves_some_to_others)
{
    enum { MOST = 20 };
    struct wb_stream *streams[MOST], *others = NULL;
    struct wb_peer *other = NULL;
    struct talk_in in = {.how = TEST_TALK_HOLD};
    unsigned count = 0;
    int status = WB_OK;
    test_world.server_config.budget_bytes = 16 << 20; /* 16 streams may hold a quarter of it */
    test_world_open(1);
    while (count < MOST && status == WB_OK) {
        streams[count] = test_talk_open(TEST_TALK_HOLD, 0);
        test_talk_await_opened(streams[count]);
        status = wb_stream_status(streams[count], NULL);
        count++;
    }
    test_assert_status(status, WB_ERR_BUSY);
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &other), WB_OK);
    test_assert_status(wb_peer_wait(other, test_patience_us), WB_OK);
    test_assert_status(talk_open(other, &in, NULL, &others), WB_OK);
    test_talk_await_opened(others);
    test_assert_status(wb_stream_status(others, NULL), WB_OK);
    wb_stream_drop(others);
    while (count > 0) {
        wb_stream_drop(streams[--count]);
    }
    wb_peer_close(other);
    test_world_close();
}
END_TEST

TCase *test_streams_case(void)
{
    const TTest *const tests[] = {test_both_ways_in_order,
                                  test_two_threads,
                                  test_slow_takers,
                                  test_no_calls_left,
                                  test_no_memory_to_take,
                                  test_few_large_ones,
                                  test_gaps,
                                  test_a_source,
                                  test_a_source_that_is_gone,
                                  test_sends_all_and_does_not_listen,
                                  test_many_come_and_go,
                                  test_leaves_some_to_others};
    return test_world_case("streams", tests, sizeof tests / sizeof tests[0]);
}
