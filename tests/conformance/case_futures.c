/* Calls as futures: waited for together, given up, followed by callbacks; and calls that nobody
 * answers. */
#include <pthread.h>
#include <string.h>

#include "tests/conformance/world.h"

static struct wb_call *begin_gate(const struct wb_call_options *options)
{
    struct wait_at_gate_in in = {0};
    struct wb_call *call;
    test_assert_status(wait_at_gate_async(test_world.peer, &in, options, &call), WB_OK);
    return call;
}

static struct wb_call *begin_add(uint64_t a, const struct wb_call_options *options)
{
    struct add_in in = {.a = a, .b = 1};
    struct wb_call *call;
    test_assert_status(add_async(test_world.peer, &in, options, &call), WB_OK);
    return call;
}

static void finish_gate(struct wb_call *call, int status)
{
    struct wait_at_gate_out out;
    test_assert_status(wait_at_gate_finish(call, &out), status);
    wait_at_gate_out_drop(&out);
}

static void finish_add(struct wb_call *call, uint64_t a)
{
    struct add_out out;
    test_assert_status(add_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.sum, a + 1);
}

static void open_the_gate(void)
{
    struct open_gate_in in = {.open = 1};
    struct open_gate_out out;
    test_assert_status(open_gate_call(test_world.peer, &in, &out, NULL), WB_OK);
}

START_TEST(test_any_and_all)
{
    enum { COUNT = 6 };
    size_t which;
    test_world_open(1);
    struct wb_call *calls[COUNT] = {begin_gate(NULL), NULL, begin_gate(NULL), begin_add(3, NULL)};
    test_assert_status(wb_call_wait_any(calls, COUNT, test_patience_us, &which), WB_OK);
    ck_assert_uint_eq(which, 3);
    test_assert_status(wb_call_wait_all(calls, COUNT, 1000), WB_ERR_TIMED_OUT);
    finish_add(calls[3], 3);
    calls[3] = NULL;
    test_assert_status(wb_call_wait_any(calls, COUNT, 1000, &which), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(which, COUNT);
    open_the_gate();
    test_assert_status(wb_call_wait_all(calls, COUNT, test_patience_us), WB_OK);
    finish_gate(calls[0], WB_OK);
    finish_gate(calls[2], WB_OK);
    calls[0] = calls[2] = NULL;
    test_assert_status(wb_call_wait_any(calls, COUNT, test_patience_us, &which), WB_OK);
    ck_assert_uint_eq(which, COUNT);
    test_assert_status(wb_call_wait_all(NULL, 0, 0), WB_OK);
    test_world_close();
}
END_TEST

START_TEST(test_calls_of_two_engines)
{
    struct wb_engine *other;
    struct wb_peer *peer;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(0, url);
    test_assert_status(wb_engine_create(&test_world.client_config, &other), WB_OK);
    test_assert_status(wb_connect(other, url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    struct add_in in = {.a = 5, .b = 1};
    struct wb_call *calls[2] = {begin_add(1, NULL), NULL};
    test_assert_status(add_async(peer, &in, NULL, &calls[1]), WB_OK);
    size_t which;
    test_assert_status(wb_call_wait_any(calls, 2, 1000, &which), WB_ERR_INVALID);
    test_assert_status(wb_call_wait_all(calls, 2, 1000), WB_ERR_INVALID);
    finish_add(calls[0], 1);
    finish_add(calls[1], 5);
    wb_peer_close(peer);
    wb_engine_destroy(other);
    test_world_close();
}
END_TEST

static void *cancel(void *call)
{
    return wb_call_cancel(call) == WB_OK ? NULL : call;
}

/* Given up by this thread and by another; with nothing but a number, and with chunks of each kind:
 * closing the world shows that nothing of them is left at either end. */
START_TEST(test_given_up)
{
    enum { CALLS = 24 };
    static uint8_t raw[100000];
    struct wb_call *calls[CALLS];
    test_world_open(1);
    for (unsigned i = 0; i < CALLS; i++) {
        struct wait_at_gate_in in = {.data = test_world_vector(1, i % 3 * 50000, i)};
        in.raw = (wb_bytes){.data = raw, .len = i % 4 == 3 ? sizeof raw : 0};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
        wait_at_gate_in_drop(&in);
        if (i % 5 == 4) {
            wb_progress(test_world.engine); /* some are on their way, others wait */
        }
    }
    for (unsigned i = 0; i < CALLS; i++) {
        pthread_t thread;
        void *failed = NULL;
        if (i % 2 == 0) {
            failed = cancel(calls[i]);
        } else {
            ck_assert_int_eq(pthread_create(&thread, NULL, cancel, calls[i]), 0);
            pthread_join(thread, &failed);
        }
        ck_assert_ptr_null(failed);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_done(calls[i]);
        test_assert_status(wb_call_cancel(calls[i]), WB_OK); /* too late: nothing happens */
        finish_gate(calls[i], WB_ERR_CANCELLED);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* A call that has ended stays as it ended, and the next one in its place is not given up for it. */
START_TEST(test_given_up_too_late)
{
    test_world_open(1);
    for (unsigned i = 0; i < 50; i++) {
        struct wb_call *call = begin_add(i, NULL);
        test_assert_done(call);
        test_assert_status(wb_call_cancel(call), WB_OK);
        finish_add(call, i);
        test_world_assert_works(test_world.peer);
    }
    test_world_close();
}
END_TEST

/* What callbacks have seen. */
struct seen {
    unsigned thens, sents, wrong;
    uint64_t next;          /* a call that `then` is to make */
    struct wb_call *passed; /* to be finished by the test */
};

static void then_finish(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct add_out out;
    seen->wrong += !wb_call_done(call) || add_finish(call, &out) != WB_OK || out.sum == 0;
    seen->thens++;
}

/* Each call makes the next: a chain of them on the stack of nobody. */
static void then_again(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct wb_call_options options = {.then = then_again, .user = user};
    struct add_in in = {.a = seen->next, .b = 1};
    struct add_out out;
    struct wb_call *next;
    int status = add_finish(call, &out);
    seen->wrong += status != WB_OK;
    seen->thens++;
    if (status == WB_OK && seen->next > 0) {
        seen->next--;
        seen->wrong += add_async(test_world.peer, &in, &options, &next) != WB_OK;
    }
}

static void then_pass(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    seen->thens++;
    seen->passed = call;
}

static void count_sent(void *user)
{
    ((struct seen *)user)->sents++;
}

static bool is_reached(const unsigned *figure, unsigned wanted)
{
    uint64_t start = test_clock_us();
    while (*figure < wanted && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 10000);
    }
    return *figure == wanted;
}

START_TEST(test_then)
{
    enum { CALLS = 40, CHAIN = 200 };
    struct seen seen = {.next = CHAIN};
    struct wb_call_options options = {.then = then_finish, .on_sent = count_sent, .user = &seen};
    test_world_open(1);
    for (unsigned i = 0; i < CALLS; i++) {
        begin_add(i, &options);
    }
    ck_assert(is_reached(&seen.thens, CALLS));
    ck_assert_uint_eq(seen.sents, CALLS);

    seen.thens = 0;
    options = (struct wb_call_options){.then = then_again, .user = &seen};
    begin_add(0, &options);
    ck_assert(is_reached(&seen.thens, CHAIN + 1));

    /* finished outside; and with ends that are not good */
    seen.thens = 0;
    options = (struct wb_call_options){.then = then_pass, .user = &seen, .timeout_us = 20000};
    struct wb_call *call = begin_gate(&options);
    ck_assert(is_reached(&seen.thens, 1));
    ck_assert_ptr_eq(seen.passed, call);
    finish_gate(call, WB_ERR_TIMED_OUT);
    options.timeout_us = 0;
    call = begin_gate(&options);
    test_assert_status(wb_call_cancel(call), WB_OK);
    ck_assert(is_reached(&seen.thens, 2));
    finish_gate(call, WB_ERR_CANCELLED);
    ck_assert_uint_eq(seen.wrong, 0);
    test_world_close();
}
END_TEST

static void then_closed(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct wait_at_gate_out out;
    seen->wrong += wait_at_gate_finish(call, &out) != WB_ERR_CLOSED;
    seen->thens++;
}

START_TEST(test_then_of_an_engine_that_ends)
{
    struct seen seen = {0};
    struct wb_call_options options = {.then = then_closed, .on_sent = count_sent, .user = &seen};
    struct wb_engine *engine;
    struct wb_peer *peer;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(0, url);
    test_assert_status(wb_engine_create(&test_world.client_config, &engine), WB_OK);
    test_assert_status(wb_connect(engine, url, &peer), WB_OK);
    for (unsigned i = 0; i < 10; i++) {
        struct wait_at_gate_in in = {0};
        struct wb_call *call;
        test_assert_status(wait_at_gate_async(peer, &in, &options, &call), WB_OK);
        if (i == 4) {
            test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
        }
    }
    wb_engine_destroy(engine);
    ck_assert_uint_eq(seen.thens, 10);
    ck_assert_uint_eq(seen.sents, 10);
    ck_assert_uint_eq(seen.wrong, 0);
    test_world_close();
}
END_TEST

/* The arguments are the program's again while the handler still waits. */
START_TEST(test_sent_before_the_end)
{
    static uint8_t raw[300000];
    struct seen seen = {0};
    struct wb_call_options options = {.on_sent = count_sent, .user = &seen};
    struct wb_call *call;
    test_world_open(1);
    for (size_t len = 0; len <= sizeof raw; len += sizeof raw / 3) {
        struct wait_at_gate_in in = {.raw = {.data = raw, .len = len}};
        seen.sents = 0;
        test_assert_status(wait_at_gate_async(test_world.peer, &in, &options, &call), WB_OK);
        ck_assert(is_reached(&seen.sents, 1));
        ck_assert(!wb_call_done(call));
        memset(raw, (int)len, sizeof raw);
        test_assert_status(wb_call_cancel(call), WB_OK);
        finish_gate(call, WB_ERR_CANCELLED);
        ck_assert_uint_eq(seen.sents, 1);
    }
    test_world_close();
}
END_TEST

/* Sent, and not answered: what they did is seen by a later call, which overtakes none of them that
 * has no chunks. */
START_TEST(test_one_way)
{
    enum { TIMES = 500, KEPT = 8 };
    struct seen seen = {0};
    struct wb_call_options options = {.on_sent = count_sent, .user = &seen};
    struct let_go_in nothing;
    struct let_go_out out;
    memset(&nothing, 0, sizeof nothing);
    test_world.server_config.credits = 3;
    test_world_open(1);
    for (unsigned i = 0; i < TIMES; i++) {
        struct give_status_in in = {.status = i % 2 ? WB_OK : 7}; /* nobody hears of it */
        int status;
        while ((status = give_status_apply(test_world.peer, &in, &options)) == WB_AGAIN) {
            wb_wait(test_world.engine, 10000);
        }
        test_assert_status(status, WB_OK);
    }
    ck_assert(is_reached(&seen.sents, TIMES));
    for (unsigned i = 0; i < KEPT; i++) {
        struct keep_in in = {.seed = i, .data = test_world_vector(1, 5000, i)};
        test_assert_status(keep_apply(test_world.peer, &in, &options), WB_OK);
        keep_in_drop(&in);
    }
    ck_assert(is_reached(&seen.sents, TIMES + KEPT));
    unsigned kept = 0;
    while (kept < KEPT) { /* chunks are read before the handler runs: the last may not have yet */
        test_assert_status(let_go_call(test_world.peer, &nothing, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.spoilt, 0);
        kept += out.kept;
    }
    ck_assert_uint_eq(kept, KEPT);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* What has no end has no handle. */
START_TEST(test_one_way_with_a_handle)
{
    struct wb_call_options options = {.flags = WB_CALL_ONE_WAY};
    struct add_in in = {.a = 1, .b = 1};
    struct add_out out;
    struct wb_call *call = NULL;
    test_world_open(1);
    test_assert_status(add_async(test_world.peer, &in, &options, &call), WB_ERR_INVALID);
    ck_assert_ptr_null(call);
    test_assert_status(add_call(test_world.peer, &in, &out, &options), WB_ERR_INVALID);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* Nobody minds what is wrong with them either. */
START_TEST(test_one_way_that_fails)
{
    struct wb_call_options options = {.timeout_us = 20000};
    struct seen seen = {0};
    test_world.server_config.budget_bytes = 16 << 20;
    test_world_open(1);
    struct keep_in large = {.data = test_world_vector(1, 20 << 20, 1)};
    struct wait_at_gate_in gate = {0};
    test_assert_status(keep_apply(test_world.peer, &large, NULL), WB_OK);
    test_assert_status(wait_at_gate_apply(test_world.peer, &gate, &options), WB_OK);
    test_world_assert_works(test_world.peer);
    options = (struct wb_call_options){.on_sent = count_sent, .user = &seen};
    test_assert_status(keep_apply(test_world.peer, &large, &options), WB_OK);
    ck_assert(is_reached(&seen.sents, 1)); /* refused, and so not read */
    keep_in_drop(&large);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

TCase *test_futures_case(void)
{
    const TTest *const tests[] = {test_any_and_all,
                                  test_calls_of_two_engines,
                                  test_given_up,
                                  test_given_up_too_late,
                                  test_then,
                                  test_then_of_an_engine_that_ends,
                                  test_sent_before_the_end,
                                  test_one_way,
                                  test_one_way_with_a_handle,
                                  test_one_way_that_fails};
    return test_world_case("futures", tests, sizeof tests / sizeof tests[0]);
}
