/* Messages of streams that no honest peer sends: each ends at most the stream that it names, and
 * that only if it is its sender's. */
#include <string.h>

#include "engine/peer.h"
#include "engine/stream.h"
#include "tests/conformance/talks.h"
#include "tests/conformance/world.h"

enum { EMPTY_ITEM = 11 }; /* bytes of an item that is all zero */

/* A message with `more` zero bytes behind its head. Returns how it was answered. */
static int say(struct wb_peer *peer, struct wb_action *action, const struct wbi_stream_head *head,
               size_t more)
{
    static const uint8_t zeros[EMPTY_ITEM];
    struct wb_sizer sizer;
    struct wb_writer writer;
    struct wb_reader reader;
    struct wb_hold hold = {0};
    struct wb_call *call = NULL;
    wb_call_size(&sizer, peer, NULL);
    wb_size_raw(&sizer, WBI_STREAM_HEAD_BYTES + more);
    wb_sizer_finish(&sizer);
    test_assert_status(wb_call_begin(peer, action, &sizer, NULL, &writer), WB_OK);
    wbi_stream_put_head(&writer, head);
    wb_put_raw(&writer, zeros, more);
    test_assert_status(wb_call_commit(&writer, &call), WB_OK);
    int status = wb_call_open(call, &reader);
    wb_call_close(call, &hold, false);
    return status;
}

static void await_none(void)
{
    uint64_t start = test_clock_us();
    while (test_talk_ask(false).open > 0) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not end there");
    }
}

static void await_end(struct wb_stream *stream, int status)
{
    uint64_t start = test_clock_us();
    while (wb_stream_status(stream, NULL) == WB_OK) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not end here");
    }
    test_assert_status(wb_stream_status(stream, NULL), status);
}

static struct wb_stream *opened_talk(enum test_talk_how how)
{
    struct wb_stream *stream = test_talk_open(how, 0);
    test_talk_await_opened(stream);
    return stream;
}

static void assert_echoes(struct wb_stream *stream, uint64_t number)
{
    struct talk_up item = {.number = number};
    struct talk_down back;
    test_assert_status(talk_up_send(stream, &item, test_patience_us), WB_OK);
    test_assert_status(talk_down_next(stream, &back, test_patience_us), WB_OK);
    ck_assert_uint_eq(back.number, number);
    talk_down_drop(&back);
}

START_TEST(test_what_is_not_theirs)
{
    struct wb_peer *other = NULL;
    test_world_open(1);
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &other), WB_OK);
    test_assert_status(wb_peer_wait(other, test_patience_us), WB_OK);
    struct wb_stream *stream = opened_talk(TEST_TALK_ECHO), *gone = opened_talk(TEST_TALK_ECHO);
    uint64_t id = stream->their_id, stale = gone->their_id;
    wb_stream_drop(gone);
    uint64_t start = test_clock_us();
    while (test_world.peer->streams > 1) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not go");
    }
    assert_echoes(stream, 0);
    for (uint32_t what = WBI_STREAM_OPEN; what <= WBI_STREAM_WITHDRAW + 1; what++) {
        const uint64_t ids[] = {id + 1000, id + ((uint64_t)1 << 32), stale, UINT64_MAX, 0};
        struct wbi_stream_head head = {.what = what, .number = 1, .bytes = 1};
        int none = what == WBI_STREAM_WITHDRAW ? WB_OK : WB_ERR_CANCELLED;
        for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
            head.stream = ids[i];
            test_assert_status(say(test_world.peer, &wbi_stream_action, &head, EMPTY_ITEM), none);
        }
        head.stream = what == WBI_STREAM_WITHDRAW ? stream->id : id;
        test_assert_status(say(other, &wbi_stream_action, &head, EMPTY_ITEM), none);
        assert_echoes(stream, what + 1);
    }
    wb_stream_drop(stream);
    await_none();
    wb_peer_close(other);
    test_world_close();
}
END_TEST

struct lie {
    int first; /* a message before it, that is fine; or -1 */
    uint32_t what;
    uint64_t number, bytes;
};

enum { GOOD_BYTES = WBI_STREAM_HEAD_BYTES + EMPTY_ITEM };

static const struct lie lies[] = {
    {-1, WBI_STREAM_ITEM, 16, GOOD_BYTES},               /* beyond the window */
    {-1, WBI_STREAM_ITEM, UINT64_MAX, GOOD_BYTES},       /* likewise */
    {-1, WBI_STREAM_ITEM, 0, GOOD_BYTES - 1},            /* lighter than it is */
    {-1, WBI_STREAM_ITEM, 0, (2 << 20) + 1},             /* more than the window holds */
    {-1, WBI_STREAM_ITEM, 0, UINT64_MAX},                /* likewise */
    {WBI_STREAM_ITEM, WBI_STREAM_ITEM, 0, GOOD_BYTES},   /* twice */
    {WBI_STREAM_ITEM, WBI_STREAM_ITEM, 1, 2 << 20},      /* more than the window has left */
    {WBI_STREAM_FINISH, WBI_STREAM_ITEM, 0, GOOD_BYTES}, /* behind the end */
    {WBI_STREAM_FINISH, WBI_STREAM_FINISH, 0, 0},        /* a second end */
    {WBI_STREAM_ITEM, WBI_STREAM_FINISH, 0, 0},          /* before what has come */
    {-1, WBI_STREAM_FINISH, UINT64_MAX, 0},              /* which means that it is not known */
    {-1, WBI_STREAM_GRANT, 1, 0},                        /* of what was never sent */
    {-1, WBI_STREAM_GRANT, 0, 1},                        /* likewise */
    {-1, WBI_STREAM_OPEN, 1, 1},                         /* is not opened so */
    {-1, WBI_STREAM_WITHDRAW + 1, 0, 0}};                /* no message at all */

/* Each ends the stream, for both sides, and nothing else. */
START_TEST(test_lies)
{
    test_world_open(1);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const struct lie *lie = &lies[i];
        struct wb_stream *stream = opened_talk(TEST_TALK_HOLD);
        struct wbi_stream_head head = {.stream = stream->their_id,
                                       .what = (uint32_t)lie->first,
                                       .bytes = lie->first == WBI_STREAM_ITEM ? GOOD_BYTES : 0};
        size_t more = lie->first == WBI_STREAM_ITEM ? EMPTY_ITEM : 0;
        if (lie->first >= 0) {
            test_assert_status(say(test_world.peer, &wbi_stream_action, &head, more), WB_OK);
        }
        head.what = lie->what;
        head.number = lie->number;
        head.bytes = lie->bytes;
        more = lie->what == WBI_STREAM_ITEM ? EMPTY_ITEM : 0;
        int status = say(test_world.peer, &wbi_stream_action, &head, more);
        ck_assert_msg(status == WB_ERR_INVALID, "lie %zu: %s", i, wb_status_name(status));
        await_end(stream, WB_ERR_PROTOCOL);
        await_none();
        bool whole = lie->first == WBI_STREAM_FINISH; /* what had arrived is read to its end */
        test_assert_status(test_talk_ask(false).status, whole ? WB_END : WB_ERR_PROTOCOL);
        wb_stream_drop(stream);
        test_world_assert_works(test_world.peer);
    }
    test_world_close();
}
END_TEST

/* An item that does not decode ends the stream when it is taken. */
START_TEST(test_no_item_at_all)
{
    test_world_open(1);
    struct wb_stream *stream = opened_talk(TEST_TALK_ECHO);
    struct wbi_stream_head head = {
        .stream = stream->their_id, .what = WBI_STREAM_ITEM, .bytes = GOOD_BYTES};
    test_assert_status(say(test_world.peer, &wbi_stream_action, &head, EMPTY_ITEM - 1), WB_OK);
    await_end(stream, WB_ERR_MALFORMED);
    await_none();
    test_assert_status(test_talk_ask(false).status, WB_ERR_MALFORMED);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

/* Openings that promise no room, messages without a head, and an opening that is taken back. */
START_TEST(test_openings)
{
    test_world_open(1);
    struct wb_stream *stream = opened_talk(TEST_TALK_HOLD);
    struct wbi_stream_head head = {.stream = 1, .what = WBI_STREAM_OPEN};
    test_assert_status(say(test_world.peer, &talk_stream.action, &head, EMPTY_ITEM),
                       WB_ERR_INVALID);
    head.number = 1;
    test_assert_status(say(test_world.peer, &talk_stream.action, &head, EMPTY_ITEM),
                       WB_ERR_INVALID);
    head.bytes = 1;
    head.what = WBI_STREAM_ITEM;
    test_assert_status(say(test_world.peer, &talk_stream.action, &head, EMPTY_ITEM),
                       WB_ERR_INVALID);
    head.what = WBI_STREAM_OPEN;
    test_assert_status(say(test_world.peer, &talk_stream.action, &head, 1), WB_ERR_MALFORMED);
    head = (struct wbi_stream_head){.stream = stream->id, .what = WBI_STREAM_WITHDRAW};
    test_assert_status(say(test_world.peer, &wbi_stream_action, &head, 0), WB_OK);
    await_none();
    test_assert_status(test_talk_ask(false).status, WB_ERR_CANCELLED);
    wb_stream_drop(stream);
    test_world_close();
}
END_TEST

TCase *test_strange_streams_case(void)
{
    const TTest *const tests[] = {test_what_is_not_theirs, test_lies, test_no_item_at_all,
                                  test_openings};
    return test_world_case("strange_streams", tests, sizeof tests / sizeof tests[0]);
}
