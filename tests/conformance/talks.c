#include "tests/conformance/talks.h"

#include <string.h>

#include "engine/stream.h"
#include "tests/conformance/world.h"

struct wb_stream *test_talk_open(enum test_talk_how how, uint32_t count)
{
    struct wb_stream *stream = NULL;
    struct talk_in in = {.how = how, .count = count, .text = wb_str_of("not today")};
    test_assert_status(talk_open(test_world.peer, &in, NULL, &stream), WB_OK);
    return stream;
}

int test_talk_send(struct wb_stream *stream, uint64_t number, size_t raw_bytes, size_t data_bytes,
                   uint64_t timeout_us)
{
    static uint8_t raw[40000];
    struct talk_up item = {.number = number, .raw = {.data = raw, .len = raw_bytes}};
    item.data = test_world_vector(1, data_bytes, number + 1);
    test_pattern_fill(raw, raw_bytes, number);
    int status = talk_up_send(stream, &item, timeout_us);
    talk_up_drop(&item);
    return status;
}

/* Some small, some long, some with chunks. */
int test_talk_send_mixed(struct wb_stream *stream, uint64_t number, uint64_t timeout_us)
{
    static const size_t sizes[] = {0, 100, 7000, 40000};
    return test_talk_send(stream, number, sizes[number % 4], sizes[number / 4 % 4], timeout_us);
}

static void expect_down(const struct talk_down *item, uint64_t number)
{
    uint64_t bytes = wb_rma_vector_bytes(&item->data);
    ck_assert_uint_eq(item->number, number);
    ck_assert_uint_eq(test_pattern_check(item->raw.data, item->raw.len, number), item->raw.len);
    ck_assert_uint_eq(test_pattern_check(item->data.data, bytes, number + 1), bytes);
}

int test_talk_next(struct wb_stream *stream, uint64_t number, uint64_t timeout_us)
{
    struct talk_down item;
    int status = talk_down_next(stream, &item, timeout_us);
    if (status == WB_OK) {
        expect_down(&item, number);
    }
    talk_down_drop(&item);
    return status;
}

struct talks_out test_talk_ask(bool let_go)
{
    struct talks_in in = {.let_go = let_go};
    struct talks_out out;
    test_assert_status(talks_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.wrong, 0);
    return out;
}

/* Until so many of the server's streams are open, and `ended` have ended. */
struct talks_out test_talk_await(uint32_t open, uint32_t ended)
{
    uint64_t start = test_clock_us();
    struct talks_out out = test_talk_ask(false);
    while (out.open != open || out.ended != ended) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "%u open, %u ended", out.open,
                      out.ended);
        out = test_talk_ask(false);
    }
    return out;
}

void test_talk_await_opened(struct wb_stream *stream)
{
    uint64_t start = test_clock_us();
    while (!stream->opened && wb_stream_status(stream, NULL) == WB_OK) {
        wb_wait(test_world.engine, 1000);
        ck_assert_msg(test_clock_us() - start < test_patience_us, "it does not open");
    }
}

unsigned test_talk_fill(struct wb_stream *stream, unsigned from)
{
    unsigned count = from;
    int status;
    while ((status = test_talk_send_mixed(stream, count, 0)) == WB_OK) {
        count++;
    }
    test_assert_status(status, WB_AGAIN);
    return count;
}

void test_talk_count_ready(struct wb_stream *stream, void *user)
{
    (void)stream;
    ++*(unsigned *)user;
}
