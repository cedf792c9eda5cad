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

static void count_ready(struct wb_stream *stream, void *user)
{
    (void)stream;
    ++*(unsigned *)user;
}

/* Fills the window; returns how many items that took. */
static unsigned fill(struct wb_stream *stream, unsigned from)
{
    unsigned count = from;
    int status;
    while ((status = test_talk_send_mixed(stream, count, 0)) == WB_OK) {
        count++;
    }
    test_assert_status(status, WB_AGAIN);
    return count;
}

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
        ck_assert_uint_eq(fill(slow[i], 0), ITEMS);
        ck_assert_int_eq(test_talk_send_mixed(slow[i], ITEMS, 1), WB_ERR_TIMED_OUT);
        test_world_assert_works(test_world.peer);
    }
    struct wb_stream *quick = test_talk_open(TEST_TALK_ECHO, 0);
    test_assert_status(test_talk_send_mixed(quick, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_next(quick, 0, test_patience_us), WB_OK);
    wb_stream_on_ready(slow[0], count_ready, &told);
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
    wb_stream_on_ready(sends, count_ready, &told);
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

/* What has arrived whole is read even when the peer has gone. */
START_TEST(test_a_source_that_is_gone)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_SOURCE, 10);
    test_talk_await(0, 1);
    uint64_t start = test_clock_us();
    while (stream->total != 10 || stream->arrived != 10) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not arrive");
    }
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

/* Ends by the other side: aborted with words, dropped, refused, not there at all. */
START_TEST(test_ends_by_the_other_side)
{
    struct wb_error error;
    test_world_open(1);
    for (unsigned count = 0; count < 4; count++) {
        struct wb_stream *stream = test_talk_open(TEST_TALK_ABORT, count);
        for (unsigned i = 0; i < count; i++) {
            test_assert_status(test_talk_send_mixed(stream, i, test_patience_us), WB_OK);
        }
        test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_REMOTE);
        test_assert_status(test_talk_send_mixed(stream, count, test_patience_us), WB_ERR_REMOTE);
        test_assert_status(wb_stream_finish(stream), WB_ERR_REMOTE);
        test_assert_status(wb_stream_status(stream, &error), WB_ERR_REMOTE);
        ck_assert_int_eq(error.code, 7);
        ck_assert_str_eq(error.text, "enough");
        wb_stream_drop(stream);
        stream = test_talk_open(TEST_TALK_LEAVE, count);
        for (unsigned i = 0; i < count; i++) {
            test_assert_status(test_talk_send_mixed(stream, i, test_patience_us), WB_OK);
        }
        test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_CANCELLED);
        wb_stream_drop(stream);
    }
    struct wb_stream *refused = test_talk_open(TEST_TALK_REFUSE, 0);
    test_assert_status(test_talk_send_mixed(refused, 0, test_patience_us), WB_ERR_REMOTE);
    test_assert_status(wb_stream_status(refused, &error), WB_ERR_REMOTE);
    ck_assert_int_eq(error.code, 5);
    ck_assert_str_eq(error.text, "not today");
    wb_stream_drop(refused);
    struct nobodys_in nothing = {0};
    struct nobodys_down item;
    test_assert_status(nobodys_open(test_world.peer, &nothing, NULL, &refused), WB_OK);
    test_assert_status(nobodys_down_next(refused, &item, test_patience_us), WB_ERR_UNKNOWN_ACTION);
    wb_stream_drop(refused);
    test_world_close();
}
END_TEST

/* Ends by this side, at each moment: before it is open, with items under way, full, finished. */
START_TEST(test_ends_by_this_side)
{
    enum { MOMENTS = 5, ROUNDS = 2 };
    uint32_t ended = 0;
    test_world_open(1);
    for (unsigned i = 0; i < MOMENTS * ROUNDS; i++) {
        bool aborts = i % 2 == 0;
        unsigned moment = i / 2;
        struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
        if (moment > 0) {
            test_talk_await_opened(stream);
        }
        if (moment > 1) {
            test_assert_status(test_talk_send_mixed(stream, 0, 0), WB_OK);
        }
        if (moment > 2) {
            fill(stream, 1);
        }
        if (moment > 3) {
            test_assert_status(wb_stream_finish(stream), WB_OK);
            test_assert_status(test_talk_send_mixed(stream, 0, 0), WB_ERR_INVALID);
        }
        if (aborts) {
            wb_stream_abort(stream, 9, "away");
            test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_CANCELLED);
        }
        wb_stream_drop(stream);
        ended++;
        struct talks_out out = test_talk_await(0, ended);
        /* finished and dropped: what was sent is there, and read by whoever does */
        int left = moment > 3 ? WB_END : WB_ERR_CANCELLED;
        test_assert_status(out.status, aborts ? WB_ERR_REMOTE : left);
        ck_assert_int_eq(out.code, aborts ? 9 : 0);
    }
    test_world_close();
}
END_TEST

/* A stream that is used as another, or by its other end. */
START_TEST(test_used_as_it_is_not)
{
    struct talk_up up = {0};
    struct talk_down down = {0};
    struct nobodys_up other = {0};
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_ECHO, 0);
    test_assert_status(talk_down_send(stream, &down, 0), WB_ERR_INVALID);
    test_assert_status(talk_up_next(stream, &up, 0), WB_ERR_INVALID);
    test_assert_status(nobodys_up_send(stream, &other, 0), WB_ERR_INVALID);
    test_assert_status(test_talk_next(stream, 0, 1), WB_ERR_TIMED_OUT);
    test_assert_status(test_talk_next(stream, 0, 0), WB_AGAIN);
    wb_stream_drop(stream);
    wb_stream_drop(NULL);
    test_world_close();
}
END_TEST

/* The peer is closed while streams are open; the other side hears of it, too. */
START_TEST(test_the_peer_goes)
{
    struct wb_stream *streams[4];
    test_world_open(1);
    for (unsigned i = 0; i < 4; i++) {
        streams[i] = test_talk_open(i % 2 == 0 ? TEST_TALK_HOLD : TEST_TALK_ECHO, 0);
        if (i < 3) { /* the last one may be opening */
            test_talk_await_opened(streams[i]);
            fill(streams[i], 0);
        }
    }
    wb_peer_close(test_world.peers[0]);
    for (unsigned i = 0; i < 4; i++) {
        test_assert_status(wb_stream_status(streams[i], NULL), WB_ERR_CLOSED);
        test_assert_status(test_talk_next(streams[i], 0, test_patience_us), WB_ERR_CLOSED);
        test_assert_status(test_talk_send_mixed(streams[i], 99, test_patience_us), WB_ERR_CLOSED);
        wb_stream_drop(streams[i]);
    }
    test_world.peers[0] = test_world.peer = NULL;
    test_world_connect(0);
    uint64_t start = test_clock_us();
    while (test_talk_ask(false).open > 0) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "the server still has some");
    }
    test_world_close();
}
END_TEST

START_TEST(test_the_peer_dies)
{
    if (!test_world.fabric->two_processes) {
        return;
    }
    test_world_open(2);
    struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
    test_talk_await_opened(stream);
    fill(stream, 0);
    test_server_kill(&test_world.host, &test_world.servers[0]);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_PEER_LOST);
    test_assert_status(test_talk_send_mixed(stream, 99, 0), WB_ERR_PEER_LOST);
    wb_stream_drop(stream);
    test_world_assert_works(test_world.peers[1]);
    test_world_close();
}
END_TEST

/* The engine ends before the streams do, and before items that were taken are dropped. */
START_TEST(test_the_engine_goes)
{
    unsigned told = 0;
    struct talk_down item;
    test_world_open(1);
    struct wb_stream *open = test_talk_open(TEST_TALK_HOLD, 0),
                     *echo = test_talk_open(TEST_TALK_ECHO, 0);
    test_talk_await_opened(open);
    fill(open, 0);
    test_assert_status(test_talk_send_mixed(echo, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_send_mixed(echo, 1, test_patience_us), WB_OK);
    test_assert_status(talk_down_next(echo, &item, test_patience_us), WB_OK);
    wb_stream_on_ready(open, count_ready, &told);
    told = 0;
    test_world.peers[0] = test_world.peer = NULL;
    test_service_close(&test_world.client);
    test_world.engine = NULL;
    ck_assert_uint_eq(told, 1);
    test_assert_status(wb_stream_status(open, NULL), WB_ERR_CLOSED);
    test_assert_status(test_talk_next(echo, 1, 0), WB_ERR_CLOSED);
    wb_stream_drop(open);
    wb_stream_drop(echo);
    talk_down_drop(&item);
    test_server_stop(&test_world.host, &test_world.servers[0]);
}
END_TEST

/* Nothing of a stream that is gone is kept: more than a peer may have, one after the other. */
START_TEST(test_many_come_and_go)
{
    unsigned rounds = 3 + test_scaled(3);
    test_world.server_config.streams = test_world.client_config.streams = 8;
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

/* A drained side ends its streams. */
START_TEST(test_drained)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
    test_talk_await_opened(stream);
    test_assert_status(test_talk_send_mixed(stream, 0, 0), WB_OK);
    test_assert_status(wb_peer_drain(test_world.peer, test_patience_us), WB_OK);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_CLOSED);
    test_assert_status(test_talk_send_mixed(stream, 1, 0), WB_ERR_CLOSED);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

TCase *test_streams_case(void)
{
    const TTest *const tests[] = {test_both_ways_in_order,
                                  test_two_threads,
                                  test_slow_takers,
                                  test_no_calls_left,
                                  test_few_large_ones,
                                  test_a_source,
                                  test_a_source_that_is_gone,
                                  test_ends_by_the_other_side,
                                  test_ends_by_this_side,
                                  test_used_as_it_is_not,
                                  test_the_peer_goes,
                                  test_the_peer_dies,
                                  test_the_engine_goes,
                                  test_many_come_and_go,
                                  test_drained};
    return test_world_case("streams", tests, sizeof tests / sizeof tests[0]);
}
