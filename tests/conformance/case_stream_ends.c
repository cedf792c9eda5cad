/* How streams end, on both sides and at each moment. */
#include "engine/call.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "engine/stream.h"
#include "tests/conformance/talks.h"
#include "tests/conformance/world.h"

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
    refused = test_talk_open(TEST_TALK_QUIT, 0);
    int quit = test_talk_next(refused, 0, test_patience_us); /* by the drop, or by the answer */
    ck_assert(quit == WB_ERR_CANCELLED || quit == WB_ERR_REMOTE);
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
            test_talk_fill(stream, 1);
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
        /* whose finish has arrived before the abort is read by whoever does */
        if (moment <= 3 || !aborts || out.status != WB_ERR_REMOTE) {
            int left = aborts ? WB_ERR_REMOTE : WB_ERR_CANCELLED;
            test_assert_status(out.status, moment > 3 ? WB_END : left);
        }
        ck_assert_int_eq(out.code, aborts ? 9 : 0);
    }
    test_world_close();
}
END_TEST

/* An answer that breaks the rules opens nothing here; so the other side hears that. */
START_TEST(test_opened_by_a_lie)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_LIE, 0);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_PROTOCOL);
    wb_stream_drop(stream);
    test_assert_status(test_talk_await(0, 1).status, WB_ERR_CANCELLED);
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
            test_talk_fill(streams[i], 0);
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
    test_talk_fill(stream, 0);
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
    test_talk_fill(open, 0);
    test_assert_status(test_talk_send_mixed(echo, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_send_mixed(echo, 1, test_patience_us), WB_OK);
    test_assert_status(talk_down_next(echo, &item, test_patience_us), WB_OK);
    wb_stream_on_ready(open, test_talk_count_ready, &told);
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

/* All has been said and has arrived when the peer goes: that is no end but in order. */
START_TEST(test_in_order_before_the_peer_goes)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_ECHO, 0);
    test_assert_status(test_talk_send_mixed(stream, 0, test_patience_us), WB_OK);
    test_assert_status(wb_stream_finish(stream), WB_OK);
    uint64_t start = test_clock_us();
    while (stream->total != 1 || stream->arrived != 1 || stream->in_flight > 0) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not arrive");
    }
    wb_peer_close(test_world.peers[0]);
    test_world.peers[0] = test_world.peer = NULL;
    wb_stream_abort(stream, 9, "away");
    test_assert_status(wb_stream_status(stream, NULL), WB_OK);
    test_assert_status(test_talk_next(stream, 0, 0), WB_OK);
    test_assert_status(test_talk_next(stream, 1, 0), WB_END);
    test_assert_status(wb_stream_status(stream, NULL), WB_OK);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

static void drop_at_once(struct wb_stream *stream, void *dropped)
{
    *(bool *)dropped = true;
    wb_stream_drop(stream);
}

/* `ready` runs inside a wait of the same thread, and drops the stream that is waited for. */
START_TEST(test_dropped_within_a_wait)
{
    test_world_open(1);
    for (unsigned sends = 0; sends < 2; sends++) {
        bool dropped = false;
        struct talk_in in = {.how = TEST_TALK_HOLD};
        struct talk_up up = {0};
        struct talk_down down;
        struct wb_stream_options options = {.ready = drop_at_once, .user = &dropped};
        struct wb_stream *stream = NULL;
        test_assert_status(talk_open(test_world.peer, &in, &options, &stream), WB_OK);
        int status = sends ? talk_up_send(stream, &up, test_patience_us)
                           : talk_down_next(stream, &down, test_patience_us);
        test_assert_status(status, WB_ERR_CANCELLED);
        ck_assert(dropped);
        test_talk_await(0, sends + 1);
    }
    test_world_close();
}
END_TEST

/* The peer goes when an opening has been answered, and its program has not been told yet. */
START_TEST(test_lost_while_it_opens)
{
    test_world_open(1);
    struct wbi_lane *lane = test_world.peer->lane;
    wbi_lane_enter_waiting(lane);
    lane->inside = true; /* or the opening's call would leave it */
    struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
    wbi_streams_end(test_world.peer, WB_ERR_PEER_LOST, "gone");
    lane->inside = false;
    wbi_lane_leave(lane);
    test_talk_await_opened(stream);
    struct wb_error error;
    test_assert_status(wb_stream_status(stream, &error), WB_ERR_PEER_LOST);
    ck_assert_str_eq(error.text, "gone");
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* All calls that are open time out. */
static void expire_all(void)
{
    struct wb_peer *peer = test_world.peer;
    wbi_lane_enter_waiting(peer->lane);
    ck_assert_ptr_nonnull(peer->calls);
    while (peer->calls != NULL) {
        wbi_call_end(peer->calls, WB_ERR_TIMED_OUT, NULL);
    }
    wbi_lane_leave(peer->lane);
}

/* Last words whose call times out are said again. */
START_TEST(test_last_words_are_said_again)
{
    test_world_open(1);
    struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
    test_talk_await_opened(stream);
    wb_stream_abort(stream, 9, "away");
    expire_all();
    ck_assert_ptr_nonnull(test_world.peer->calls);
    wb_stream_drop(stream);
    ck_assert_int_eq(test_talk_await(0, 1).code, 9);
    stream = test_talk_open(TEST_TALK_HOLD, 0);
    expire_all(); /* the opening */
    test_assert_status(wb_stream_status(stream, NULL), WB_ERR_TIMED_OUT);
    expire_all(); /* the withdrawal */
    ck_assert_ptr_nonnull(test_world.peer->calls);
    wb_stream_drop(stream);
    uint64_t start = test_clock_us();
    while (test_talk_ask(false).open > 0 || test_world.peer->calls != NULL) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not end there");
    }
    test_world_close();
}
END_TEST

/* A finish that does not arrive, or is not sent since the opening was not answered, is no end in
 * order, though all else has been said. */
START_TEST(test_unheard_finish)
{
    test_world_open(1);
    for (unsigned i = 0; i < 2; i++) {
        struct wb_stream *stream = test_talk_open(TEST_TALK_HOLD, 0);
        if (i == 0) {
            test_talk_await_opened(stream);
        }
        pthread_mutex_lock(&stream->lock);
        stream->total = 0; /* as if the other side had finished */
        pthread_mutex_unlock(&stream->lock);
        test_assert_status(wb_stream_finish(stream), WB_OK);
        expire_all();
        test_assert_status(wb_stream_status(stream, NULL), WB_ERR_TIMED_OUT);
        wb_stream_drop(stream);
        test_talk_await(0, i + 1);
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

/* Opened with a deadline, which must succeed. */
static struct wb_stream *open_for(enum test_talk_how how, uint64_t deadline_us)
{
    struct wb_stream_options options = {.deadline_us = deadline_us};
    struct talk_in in = {.how = (uint32_t)how};
    struct wb_stream *stream = NULL;
    test_assert_status(talk_open(test_world.peer, &in, &options, &stream), WB_OK);
    return stream;
}

/* Sends to one that takes nothing until the deadline is over. Whether there was time to open it. */
static bool wait_for_room(uint64_t deadline_us)
{
    struct wb_stream *stream = open_for(TEST_TALK_HOLD, deadline_us);
    int status = WB_OK;
    for (unsigned i = 0; status == WB_OK; i++) { /* until the window is full, and beyond */
        status = test_talk_send_mixed(stream, i, test_patience_us);
    }
    test_assert_status(status, WB_ERR_TIMED_OUT);
    test_assert_status(wb_stream_status(stream, NULL), WB_ERR_TIMED_OUT);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_TIMED_OUT);
    bool opened = stream->opened;
    wb_stream_drop(stream);
    return opened;
}

/* What waits for the other side waits no longer than the whole stream may last; both sides hear. */
START_TEST(test_a_deadline_ends_it)
{
    uint64_t deadline_us = 50000;
    test_world_open(1);
    while (!wait_for_room(deadline_us)) {
        deadline_us *= 2;
    }
    uint64_t start = test_clock_us();
    struct talks_out said = test_talk_ask(false);
    while (said.open > 0 || said.status != WB_ERR_TIMED_OUT) {
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
        said = test_talk_ask(false);
    }
    test_world_close();
}
END_TEST

/* One that has more time than it needs, and one that has not even time to be opened. */
START_TEST(test_deadlines_of_all_lengths)
{
    test_world_open(1);
    struct wb_stream *stream = open_for(TEST_TALK_ECHO, 3600ULL * 1000000);
    test_assert_status(test_talk_send_mixed(stream, 0, test_patience_us), WB_OK);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_OK);
    test_assert_status(wb_stream_finish(stream), WB_OK);
    test_assert_status(test_talk_next(stream, 1, test_patience_us), WB_END);
    wb_stream_drop(stream);
    stream = open_for(TEST_TALK_HOLD, 1);
    test_assert_status(test_talk_next(stream, 0, test_patience_us), WB_ERR_TIMED_OUT);
    wb_stream_drop(stream);
    stream = open_for(TEST_TALK_HOLD, UINT64_MAX);
    test_talk_await_opened(stream);
    test_assert_status(wb_stream_status(stream, NULL), WB_OK);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

TCase *test_stream_ends_case(void)
{
    const TTest *const tests[] = {test_ends_by_the_other_side,
                                  test_ends_by_this_side,
                                  test_opened_by_a_lie,
                                  test_used_as_it_is_not,
                                  test_the_peer_goes,
                                  test_the_peer_dies,
                                  test_the_engine_goes,
                                  test_in_order_before_the_peer_goes,
                                  test_dropped_within_a_wait,
                                  test_lost_while_it_opens,
                                  test_last_words_are_said_again,
                                  test_unheard_finish,
                                  test_drained,
                                  test_a_deadline_ends_it,
                                  test_deadlines_of_all_lengths};
    return test_world_case("stream_ends", tests, sizeof tests / sizeof tests[0]);
}
