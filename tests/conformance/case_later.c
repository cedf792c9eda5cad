/* Calls that are answered later, and handlers on a program's own threads. */
#include <string.h>

#include "tests/conformance/actions_later.h"
#include "tests/conformance/world.h"

enum { MANY = 60 };

static const struct wb_call_options roomy = {.reply_bytes = 300000, .timeout_us = 60000000};

/* Arguments of round `i`: some on board, some long, some with chunks. */
static struct later_in arguments(uint32_t how, unsigned i)
{
    static uint8_t raw[40000];
    static const size_t sizes[] = {0, 100, 7000, 40000};
    struct later_in in = {.how = how, .seed = 3, .text = wb_str_of("what stays")};
    if (raw[1] == 0) { /* once: calls under way offer it */
        test_pattern_fill(raw, sizeof raw, 3);
    }
    in.raw = (wb_bytes){.data = raw, .len = sizes[i % 4]};
    in.data = test_world_vector(1, sizes[i / 4 % 4], 4);
    return in;
}

static void expect_answer(const struct later_in *in, struct later_out *out)
{
    ck_assert_uint_eq(out->right, 1);
    ck_assert_uint_eq(out->text.len, in->text.len);
    ck_assert(memcmp(out->text.data, in->text.data, in->text.len) == 0);
    ck_assert_uint_eq(out->raw.len, in->raw.len);
    ck_assert_uint_eq(test_pattern_check(out->raw.data, out->raw.len, 3), in->raw.len);
    ck_assert_uint_eq(wb_rma_vector_bytes(&out->data), wb_rma_vector_bytes(&in->data));
    ck_assert_uint_eq(test_pattern_check(out->data.data, wb_rma_vector_bytes(&in->data), 4),
                      wb_rma_vector_bytes(&in->data));
    later_out_drop(out);
}

/* One of the two actions: they have the same lists. */
static int begin(bool on_workers, const struct later_in *in, const struct wb_call_options *options,
                 struct wb_call **call)
{
    struct on_workers_in same;
    memcpy(&same, in, sizeof same);
    return on_workers ? on_workers_async(test_world.peer, &same, options, call)
                      : later_async(test_world.peer, in, options, call);
}

static struct let_later_go_out let_go(bool answer)
{
    struct let_later_go_in in = {.answer = answer};
    struct let_later_go_out out;
    test_assert_status(let_later_go_call(test_world.peer, &in, &out, NULL), WB_OK);
    return out;
}

/* Until so many are held there: what has been begun may not have arrived. */
static void await_held(unsigned count)
{
    uint64_t start = test_clock_us();
    while (let_go(false).held != count) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "they do not arrive");
    }
}

/* Each way to answer, many at once, of all kinds of arguments, with other calls between them. */
START_TEST(test_answers_come_later)
{
    bool on_workers = _i >= TEST_HOWS;
    uint32_t how = (uint32_t)_i % TEST_HOWS;
    struct wb_call *calls[MANY];
    struct later_in ins[MANY];
    struct later_out out;
    if (how == TEST_AFTER_AGAIN && !on_workers) {
        return;
    }
    test_world_open(1);
    for (unsigned i = 0; i < MANY; i++) {
        ins[i] = arguments(how, i);
        int status = WB_AGAIN;
        while (status == WB_AGAIN) {
            status = begin(on_workers, &ins[i], &roomy, &calls[i]);
            if (status == WB_AGAIN) {
                wb_progress(test_world.engine);
            }
        }
        test_assert_status(status, WB_OK);
        if (i % 8 == 0) {
            test_world_assert_works(test_world.peer); /* slots and landings are used again */
        }
    }
    if (how == TEST_WHEN_LET_GO) {
        await_held(MANY);
        let_go(true);
    }
    for (unsigned i = 0; i < MANY; i++) {
        int status = later_finish(calls[i], &out);
        test_assert_status(status, how == TEST_BY_FAILURE ? WB_ERR_REMOTE : WB_OK);
        if (status == WB_OK) {
            expect_answer(&ins[i], &out);
        }
        later_in_drop(&ins[i]);
    }
    test_world_close();
}
END_TEST

START_TEST(test_its_words_arrive)
{
    for (unsigned on_workers = 0; on_workers < 2; on_workers++) {
        struct wb_error error = {0};
        struct wb_call_options options = {.error = &error};
        struct wb_call *call;
        struct later_out out;
        test_world_open(1);
        struct later_in in = arguments(TEST_BY_FAILURE, 1);
        test_assert_status(begin(on_workers, &in, &options, &call), WB_OK);
        test_assert_status(later_finish(call, &out), WB_ERR_REMOTE);
        ck_assert_int_eq(error.code, 7);
        ck_assert_str_eq(error.text, "later");
        later_in_drop(&in);
        test_world_close();
    }
}
END_TEST

/* A result for which the caller has no room: told to both. */
START_TEST(test_a_result_too_large)
{
    for (unsigned on_workers = 0; on_workers < 2; on_workers++) {
        struct wb_call *call;
        struct later_out out;
        test_world_open(1);
        struct later_in in = arguments(TEST_IN_HANDLER, 3);
        test_assert_status(begin(on_workers, &in, NULL, &call), WB_OK);
        test_assert_status(later_finish(call, &out), WB_ERR_REPLY_TOO_LARGE);
        later_in_drop(&in);
        test_world_close();
    }
}
END_TEST

/* Given up by the caller, or by the clock: at once there, and the answer goes nowhere. Each holds a
 * credit until it is answered: all are used, and come back, several times. */
START_TEST(test_nobody_waits_any_more)
{
    enum { CREDITS = 8 };
    bool on_workers = _i % 2 == 1, cancels = _i / 2 == 1;
    struct wb_call *calls[CREDITS - 1];
    struct later_out out;
    struct wb_call_options options = {.timeout_us = cancels ? test_patience_us : 300000,
                                      .reply_bytes = 50000};
    test_world.server_config.credits = CREDITS;
    test_world_open(1);
    for (unsigned round = 0; round < 4; round++) {
        struct later_in in = arguments(TEST_WHEN_LET_GO, round);
        for (unsigned i = 0; i < CREDITS - 1; i++) {
            test_assert_status(begin(on_workers, &in, &options, &calls[i]), WB_OK);
        }
        if (cancels) {
            await_held(CREDITS - 1);
        }
        for (unsigned i = 0; i < CREDITS - 1; i++) {
            if (cancels) {
                test_assert_status(wb_call_cancel(calls[i]), WB_OK);
            }
            test_assert_done(calls[i]);
            test_assert_status(later_finish(calls[i], &out),
                               cancels ? WB_ERR_CANCELLED : WB_ERR_TIMED_OUT);
        }
        struct let_later_go_out gone = let_go(true);
        ck_assert_uint_eq(gone.held, cancels ? CREDITS - 1 : gone.held);
        ck_assert_uint_le(gone.unwanted, gone.held);
        test_world_assert_works(test_world.peer);
        later_in_drop(&in);
    }
    let_go(true);
    test_world_close();
}
END_TEST

/* The peer goes while answers are to come; they go nowhere, and nothing stays behind. */
START_TEST(test_the_peer_goes_first)
{
    struct wb_call *calls[10];
    struct later_out out;
    test_world_open(1);
    for (unsigned i = 0; i < 10; i++) {
        struct later_in in = arguments(TEST_WHEN_LET_GO, i);
        test_assert_status(begin(i % 2 == 1, &in, &roomy, &calls[i]), WB_OK);
        later_in_drop(&in);
    }
    await_held(10);
    wb_peer_close(test_world.peers[0]);
    for (unsigned i = 0; i < 10; i++) {
        test_assert_status(later_finish(calls[i], &out), WB_ERR_CLOSED);
    }
    test_world.peers[0] = test_world.peer = NULL;
    test_world_connect(0);
    uint64_t start = test_clock_us();
    struct let_later_go_out gone = let_go(false);
    while (gone.unwanted != 10 && test_clock_us() - start < test_patience_us) {
        gone = let_go(false); /* the server may not have seen it go */
    }
    ck_assert_uint_eq(gone.held, 10);
    ck_assert_uint_eq(gone.unwanted, 10);
    let_go(true);
    test_world_close();
}
END_TEST

/* Connects, leaves as many calls there as it may, which nobody answers, and goes. Returns their
 * number; 0: it was not let in. */
static unsigned come_and_go(const char *url, unsigned held)
{
    enum { MOST = 8 };
    struct wb_peer *peer = NULL;
    struct wb_call *calls[MOST];
    struct wb_peer_info info;
    struct later_in in = arguments(TEST_WHEN_LET_GO, 1);
    struct later_out out;
    unsigned count = 0;
    test_assert_status(wb_connect(test_world.engine, url, &peer), WB_OK);
    if (wb_peer_wait(peer, test_patience_us) == WB_OK) {
        test_assert_status(wb_peer_describe(peer, &info), WB_OK);
        for (; count < info.credits && count < MOST; count++) {
            test_assert_status(later_async(peer, &in, NULL, &calls[count]), WB_OK);
        }
        await_held(held + count);
    }
    wb_peer_close(peer);
    for (unsigned i = 0; i < count; i++) {
        test_assert_status(later_finish(calls[i], &out), WB_ERR_CLOSED);
    }
    later_in_drop(&in);
    return count;
}

/* What they have left unanswered holds its messages: before that takes the last receives of those
 * who stay, nobody new is let in. */
START_TEST(test_those_who_come_and_go)
{
    enum { ROUNDS = 12 };
    char url[TEST_URL_BYTES];
    unsigned held = 0, refused = 0;
    test_world.server_config.credits = 8;
    test_world.server_config.max_peers = 4;
    test_world.server_config.max_calls = 16;
    test_world_open(1);
    test_world_url(0, url);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned count = come_and_go(url, held);
        held += count;
        refused += count == 0;
        test_world_assert_works(test_world.peer);
    }
    ck_assert_uint_gt(held, 0);
    ck_assert_uint_gt(refused, 0);
    let_go(true);
    uint64_t start = test_clock_us();
    while (come_and_go(url, 0) == 0) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "nobody is let in any more");
    }
    let_go(true);
    test_world_close();
}
END_TEST

/* A server that ends with calls that it never answers. */
START_TEST(test_never_answered)
{
    struct wb_call *calls[6];
    struct later_out out;
    struct wb_call_options options = {.timeout_us = 300000, .reply_bytes = 50000};
    test_world_open(1);
    for (unsigned i = 0; i < 6; i++) {
        struct later_in in = arguments(TEST_WHEN_LET_GO, 2);
        test_assert_status(begin(i % 2 == 1, &in, &options, &calls[i]), WB_OK);
        later_in_drop(&in);
    }
    for (unsigned i = 0; i < 6; i++) {
        test_assert_status(later_finish(calls[i], &out), WB_ERR_TIMED_OUT);
    }
    /* closing asserts that nothing is held: what they hold in the server is so on purpose */
    test_world_clear();
}
END_TEST

/* One-way calls may be deferred, too. */
START_TEST(test_one_way)
{
    test_world_open(1);
    for (unsigned i = 0; i < 40; i++) {
        struct later_in in = arguments(i % 2 == 0 ? TEST_BY_WORKER : TEST_IN_HANDLER, i);
        struct on_workers_in same;
        memcpy(&same, &in, sizeof same);
        int status = i % 4 < 2 ? later_apply(test_world.peer, &in, NULL)
                               : on_workers_apply(test_world.peer, &same, NULL);
        test_assert_status(status, WB_OK);
        later_in_drop(&in);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_later_case(void)
{
    const TTest *const tests[] = {test_its_words_arrive,    test_a_result_too_large,
                                  test_the_peer_goes_first, test_those_who_come_and_go,
                                  test_never_answered,      test_one_way};
    TCase *tcase = test_world_case("later", tests, sizeof tests / sizeof tests[0]);
    tcase_add_loop_test(tcase, test_answers_come_later, 0, 2 * TEST_HOWS);
    tcase_add_loop_test(tcase, test_nobody_waits_any_more, 0, 4);
    return tcase;
}
