/* A program's own loop: it waits for the engine's descriptor beside its own, and misses nothing,
 * whatever other threads do with the engine meanwhile. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <waybill/waybill.h>

#include "tests/support/driver.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

#define TEST_TWICE_IN(F) F(VALUE, u64, number)
#define TEST_TWICE_OUT(F) F(VALUE, u64, number)
WB_ACTION(twice, TEST_TWICE_IN, TEST_TWICE_OUT)

enum { CALLS = 300, THREADS = 3 };

static char url[64];

static int on_twice(struct wb_context *context, struct twice_in *in, struct twice_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->number = 2 * in->number;
    return WB_OK;
}

/* The loop of a program that has an event of its own besides. */
struct loop {
    struct wb_engine *engine;
    int stop; /* an eventfd */
    pthread_t thread;
    unsigned waits, idle; /* how often it slept; of those, how often in vain */
    atomic_uint trouble;
};

static bool wait_once(struct loop *loop)
{
    uint64_t timeout_us;
    int status;
    while ((status = wb_engine_arm(loop->engine, &timeout_us)) == WB_AGAIN) {
        wb_progress(loop->engine);
    }
    struct pollfd fds[] = {{.fd = wb_engine_fd(loop->engine), .events = POLLIN},
                           {.fd = loop->stop, .events = POLLIN}};
    int ready = poll(fds, 2, (int)(timeout_us / 1000) + 1);
    loop->trouble += status != WB_OK || ready < 0;
    loop->waits++;
    loop->idle += wb_progress(loop->engine) == 0;
    return fds[1].revents == 0;
}

static void *run_loop(void *argument)
{
    while (wait_once(argument)) {
    }
    return NULL;
}

static void loop_start(struct loop *loop)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    *loop = (struct loop){.stop = eventfd(0, EFD_CLOEXEC)};
    ck_assert_int_ge(loop->stop, 0);
    ck_assert_int_eq(wb_engine_create(&config, &loop->engine), WB_OK);
    ck_assert_int_ge(wb_engine_fd(loop->engine), 0);
    ck_assert_int_eq(twice_register(loop->engine, on_twice, NULL), WB_OK);
    snprintf(url, sizeof url, "shm://loop-%ld", (long)getpid());
    ck_assert_int_eq(wb_listen(loop->engine, url), WB_OK);
    ck_assert_int_eq(pthread_create(&loop->thread, NULL, run_loop, loop), 0);
}

static void loop_stop(struct loop *loop)
{
    uint64_t one = 1;
    ck_assert_int_eq(write(loop->stop, &one, sizeof one), sizeof one);
    pthread_join(loop->thread, NULL);
    ck_assert_uint_eq(loop->trouble, 0);
    wb_engine_destroy(loop->engine);
    close(loop->stop);
}

static unsigned call_many(struct wb_engine *engine, unsigned count, uint64_t pause_us)
{
    struct wb_peer *peer;
    struct wb_call_options options = {.timeout_us = 2 * test_patience_us};
    unsigned right = 0;
    if (wb_connect(engine, url, &peer) != WB_OK) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        struct twice_in in = {.number = i};
        struct twice_out out;
        right += twice_call(peer, &in, &out, &options) == WB_OK && out.number == 2 * (uint64_t)i;
        if (pause_us > 0 && i % 8 == 7) {
            test_sleep_us(pause_us); /* the loop goes to sleep */
        }
    }
    wb_peer_close(peer);
    return right;
}

START_TEST(test_served_by_a_loop)
{
    struct loop loop;
    struct wb_engine *client;
    unsigned calls = test_scaled(CALLS);
    loop_start(&loop);
    ck_assert_int_eq(wb_engine_create(NULL, &client), WB_OK);
    ck_assert_uint_eq(call_many(client, calls, 500), calls);
    wb_engine_destroy(client);
    loop_stop(&loop);
    /* it sleeps until there is something: each wake-up in vain is one too many, and a call may
     * bring a few by its credits and its connection, but no stream of them */
    ck_assert_uint_le(loop.idle, 20 * calls + 100);
    ck_assert_uint_gt(loop.waits, calls / 8);
}
END_TEST

static void *call_itself(void *argument)
{
    struct loop *loop = argument;
    unsigned calls = test_scaled(CALLS);
    loop->trouble += call_many(loop->engine, calls, 200) != calls;
    return NULL;
}

/* Threads that poll the same engine take the alarm away from the loop, and give it back. */
START_TEST(test_beside_other_threads)
{
    struct loop loop;
    pthread_t threads[THREADS];
    loop_start(&loop);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_itself, &loop), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    struct wb_engine *client;
    ck_assert_int_eq(wb_engine_create(NULL, &client), WB_OK);
    ck_assert_uint_eq(call_many(client, 20, 500), 20);
    wb_engine_destroy(client);
    loop_stop(&loop);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_test(tcase, test_served_by_a_loop);
    tcase_add_test(tcase, test_beside_other_threads);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
