/* Latencies: buckets and percentiles, what is counted of a server's handlers, and the text. */
#include <stdio.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "tests/engine/scene.h"

static struct test_scene scene;
static struct wb_latency latency;
static const uint64_t second_ns = 1000000000;

static void open_scene(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.latency = true;
    test_scene_open(&scene, &config);
}

static void read_handlers(void)
{
    memset(&latency, 0xa5, sizeof latency);
    ck_assert_int_eq(wb_engine_latency(scene.host, WB_LATENCY_HANDLERS, &latency), WB_OK);
}

static void assert_near(uint64_t got, uint64_t wanted)
{
    uint64_t slack = wanted / 50; /* half a bucket, and a machine that was busy meanwhile */
    ck_assert_uint_ge(got, wanted - slack);
    ck_assert_uint_le(got, wanted + slack);
}

/* ---- percentiles ---- */

START_TEST(test_small_values_are_exact)
{
    latency = (struct wb_latency){.count = 64, .max_ns = 63};
    for (unsigned i = 0; i < 64; i++) {
        latency.buckets[i] = 1;
    }
    ck_assert_uint_eq(wb_latency_percentile(&latency, 0), 0);
    ck_assert_uint_eq(wb_latency_percentile(&latency, 50), 31);
    ck_assert_uint_eq(wb_latency_percentile(&latency, 100), 63);
    latency.buckets[7] = 1000;
    latency.count = 63 + 1000;
    ck_assert_uint_eq(wb_latency_percentile(&latency, 50), 7);
}
END_TEST

START_TEST(test_none_at_all)
{
    latency = (struct wb_latency){0};
    ck_assert_uint_eq(wb_latency_percentile(&latency, 0), 0);
    ck_assert_uint_eq(wb_latency_percentile(&latency, 50), 0);
    ck_assert_uint_eq(wb_latency_percentile(&latency, 100), 0);
}
END_TEST

/* Each bucket stands for more than the one before. */
START_TEST(test_buckets_rise)
{
    uint64_t before = 0;
    for (unsigned i = 1; i < WB_LATENCY_BUCKETS - 1; i++) {
        latency = (struct wb_latency){.count = 1, .max_ns = UINT64_MAX};
        latency.buckets[i] = 1;
        uint64_t ns = wb_latency_percentile(&latency, 50);
        ck_assert_uint_gt(ns, before);
        ck_assert(i < 64 || ns - before <= ns / 20);
        before = ns;
    }
}
END_TEST

/* As if handlers had begun so long ago. */
START_TEST(test_what_is_counted_comes_out)
{
    open_scene();
    struct wbi_latency *counted = scene.host->lanes[0]->latency;
    for (uint64_t i = 1; i <= 100; i++) {
        wbi_latency_handled(counted, wbi_now_ns() - i * 10 * second_ns);
    }
    read_handlers();
    ck_assert_uint_eq(latency.count, 100);
    assert_near(latency.sum_ns, 50500 * second_ns);
    assert_near(latency.min_ns, 10 * second_ns);
    assert_near(latency.max_ns, 1000 * second_ns);
    assert_near(wb_latency_percentile(&latency, 50), 500 * second_ns);
    assert_near(wb_latency_percentile(&latency, 99), 990 * second_ns);
    assert_near(wb_latency_percentile(&latency, 0), 10 * second_ns);
    assert_near(wb_latency_percentile(&latency, 100), 1000 * second_ns);
    wbi_latency_handled(counted,
                        wbi_now_ns() - 100000 * second_ns); /* more than there is a bucket for */
    read_handlers();
    ck_assert_uint_eq(wb_latency_percentile(&latency, 100), latency.max_ns);
    assert_near(latency.max_ns, 100000 * second_ns);
    test_scene_close(&scene);
}
END_TEST

/* ---- what is counted ---- */

static void sum(uint64_t a, int wanted)
{
    struct wb_call *call;
    struct sum_in in = {.a = a};
    struct sum_out out;
    ck_assert_int_eq(sum_async(scene.peer, &in, NULL, &call), WB_OK);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), wanted);
}

START_TEST(test_handlers)
{
    struct wb_call *call;
    struct never_in in = {.number = 1};
    struct never_out out;
    open_scene();
    read_handlers();
    ck_assert_uint_eq(latency.count, 0);
    ck_assert_uint_eq(latency.min_ns, 0);
    for (unsigned i = 1; i <= 10; i++) {
        sum(i, WB_OK);
    }
    sum(0, WB_ERR_REMOTE);
    read_handlers();
    ck_assert_uint_eq(latency.count, 11);
    ck_assert_uint_gt(latency.max_ns, 0);
    ck_assert_uint_ge(latency.sum_ns, latency.min_ns * 11);
    ck_assert_uint_le(latency.sum_ns, latency.max_ns * 11);
    ck_assert_int_eq(never_async(scene.peer, &in, NULL, &call), WB_OK);
    test_scene_pause(&scene); /* it is run again and again, and never done */
    wb_call_cancel(call);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(never_finish(call, &out), WB_ERR_CANCELLED);
    read_handlers();
    ck_assert_uint_eq(latency.count, 11);
    ck_assert_int_eq(wb_engine_latency(scene.host, WB_LATENCY_CALLS, &latency), WB_OK);
    ck_assert_uint_eq(latency.count, 0);
    test_scene_close(&scene);
}
END_TEST

/* ---- answered later ---- */

#define LATER_IN(F) F(VALUE, u32, number)
#define LATER_OUT(F) F(VALUE, u32, number)
WB_ACTION(later, LATER_IN, LATER_OUT)
WB_ACTION(elsewhere, LATER_IN, LATER_OUT)

enum { PAUSE_US = 20000 };

static struct wb_deferred *held;

static int on_later(struct wb_context *context, struct later_in *in, struct later_out *out,
                    void *user)
{
    (void)in;
    (void)out;
    (void)user;
    return wb_context_defer(context, &held);
}

static int on_elsewhere(struct wb_context *context, struct elsewhere_in *in,
                        struct elsewhere_out *out, void *again)
{
    (void)context;
    bool *first = again, was_first = *first;
    *first = false;
    out->number = in->number;
    return was_first ? WB_AGAIN : WB_OK;
}

static void hold(void *self, struct wb_deferred *work)
{
    (void)self;
    held = work;
}

static void assert_paused(uint64_t count)
{
    read_handlers();
    ck_assert_uint_eq(latency.count, count);
    ck_assert_uint_ge(latency.max_ns, PAUSE_US * 1000);
}

/* The time until the answer counts, not that until the handler has returned. */
START_TEST(test_a_deferred_answer)
{
    struct wb_call *call;
    struct later_in in = {.number = 1};
    struct later_out out = {.number = 2};
    open_scene();
    ck_assert_int_eq(later_register(scene.host, on_later, NULL), WB_OK);
    ck_assert_int_eq(later_async(scene.peer, &in, NULL, &call), WB_OK);
    test_scene_until(&scene, held != NULL);
    test_sleep_us(PAUSE_US);
    read_handlers();
    ck_assert_uint_eq(latency.count, 0);
    ck_assert_int_eq(later_reply(held, &out), WB_OK);
    held = NULL;
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(later_finish(call, &out), WB_OK);
    assert_paused(1);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_on_an_executor)
{
    struct wb_call *call;
    bool again = true;
    struct wb_executor executor = {.run = hold};
    struct elsewhere_in in = {.number = 1};
    struct elsewhere_out out;
    open_scene();
    ck_assert_int_eq(elsewhere_register_on(scene.host, &executor, on_elsewhere, &again), WB_OK);
    ck_assert_int_eq(elsewhere_async(scene.peer, &in, NULL, &call), WB_OK);
    for (unsigned run = 0; run < 2; run++) {
        test_scene_until(&scene, held != NULL);
        test_sleep_us(PAUSE_US);
        read_handlers();
        ck_assert_uint_eq(latency.count, 0); /* WB_AGAIN is no answer */
        struct wb_deferred *work = held;
        held = NULL;
        wb_deferred_run(work);
    }
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(elsewhere_finish(call, &out), WB_OK);
    assert_paused(1);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_nobody_asked)
{
    test_scene_open(&scene, NULL);
    latency.count = 17;
    ck_assert_int_eq(wb_engine_latency(scene.host, WB_LATENCY_CALLS, &latency), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "config.latency"));
    ck_assert_uint_eq(latency.count, 17);
    test_scene_close(&scene);
    open_scene();
    ck_assert_int_eq(wb_engine_latency(scene.host, WB_LATENCY_KINDS, &latency), WB_ERR_INVALID);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_a_text)
{
    char text[512], cut[20];
    latency = (struct wb_latency){.count = 4, .sum_ns = 40, .min_ns = 1, .max_ns = 30};
    latency.buckets[1] = latency.buckets[4] = latency.buckets[5] = latency.buckets[30] = 1;
    static const char *const whole = "count 4 times\nmean 10 ns\nmin 1 ns\np50 4 ns\np90 30 ns\n"
                                     "p99 30 ns\np99.9 30 ns\nmax 30 ns\n";
    int needed = wb_latency_text(&latency, text, sizeof text);
    ck_assert_str_eq(text, whole);
    ck_assert_int_eq(needed, (int)strlen(whole));
    ck_assert_int_eq(wb_latency_text(&latency, cut, sizeof cut), needed);
    ck_assert_uint_eq(strlen(cut), sizeof cut - 1);
    ck_assert_int_eq(wb_latency_text(&latency, NULL, 0), needed);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_small_values_are_exact,
                                  test_none_at_all,
                                  test_buckets_rise,
                                  test_what_is_counted_comes_out,
                                  test_handlers,
                                  test_a_deferred_answer,
                                  test_on_an_executor,
                                  test_nobody_asked,
                                  test_a_text};
    Suite *suite = suite_create("engine: latencies");
    suite_add_tcase(suite, test_program_case("latency", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
