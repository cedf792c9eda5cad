/* The engine's own threads: a program that never makes progress itself, and their end while calls
 * are open. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/conformance/world.h"

enum { CREW = 3, CALLERS = 16, CALLS = 60, OPEN = 10, PATIENCE_S = 60 };

/* What `then` has seen, of one thread's calls. */
struct seen {
    sem_t ended;
    atomic_uint wrong;
    atomic_int status;
};

static void seen_open(struct seen *seen)
{
    *seen = (struct seen){.status = WB_OK};
    ck_assert_int_eq(sem_init(&seen->ended, 0, 0), 0);
}

/* The program's thread waits outside of the engine. */
static bool await(struct seen *seen)
{
    struct timespec until;
    int failed;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while ((failed = sem_timedwait(&seen->ended, &until)) != 0 && errno == EINTR) {
    }
    return failed == 0;
}

static void then_take(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct digest_out out;
    int status = digest_finish(call, &out);
    seen->wrong += status != WB_OK || out.raw_right != out.raw_bytes ||
                   out.data_right != out.data_bytes || out.data_bytes == 0;
    digest_out_drop(&out);
    sem_post(&seen->ended);
}

/* Strings and vectors small and large: on all paths there are. */
static void *call_many(void *user)
{
    char raw[6000];
    struct seen *seen = user;
    struct wb_call_options options = {
        .timeout_us = test_patience_us, .then = then_take, .user = seen};
    unsigned calls = test_scaled(CALLS);
    test_pattern_fill(raw, sizeof raw, 0);
    for (unsigned i = 0; i < calls; i++) {
        struct digest_in in = {.raw.data = raw, .raw.len = i % 3 * 3000};
        struct wb_call *call;
        int status = wb_rma_vector_create(test_world.pool, 8, i % 2 * 1000 + 1, &in.data);
        if (status == WB_OK) {
            test_pattern_fill(in.data.data, wb_rma_vector_bytes(&in.data), 1);
            status = digest_async(test_world.peer, &in, &options, &call);
        }
        digest_in_drop(&in);
        if (status != WB_OK || !await(seen)) {
            seen->wrong++;
            return NULL;
        }
    }
    return NULL;
}

START_TEST(test_nobody_else_makes_progress)
{
    struct seen seen[CALLERS];
    pthread_t threads[CALLERS];
    test_world_open(1);
    test_assert_status(wb_engine_run(test_world.engine, CREW), WB_OK);
    for (unsigned i = 0; i < CALLERS; i++) {
        seen_open(&seen[i]);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_many, &seen[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(seen[i].wrong, 0);
        sem_destroy(&seen[i].ended);
    }
    test_world_assert_works(test_world.peer); /* who waits in the engine may do so besides */
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    test_world_close();
}
END_TEST

static void then_end(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct wait_at_gate_out out;
    seen->status = wait_at_gate_finish(call, &out);
    sem_post(&seen->ended);
}

static void begin_gates(struct wb_peer *peer, struct seen *seen)
{
    struct wb_call_options options = {
        .timeout_us = test_patience_us, .then = then_end, .user = seen};
    struct wait_at_gate_in in = {0};
    struct wb_call *call;
    for (unsigned i = 0; i < OPEN; i++) {
        test_assert_status(wait_at_gate_async(peer, &in, &options, &call), WB_OK);
    }
}

static void await_gates(struct seen *seen, int status)
{
    for (unsigned i = 0; i < OPEN; i++) {
        ck_assert(await(seen));
        test_assert_status(seen->status, status);
    }
}

static void then_count(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct open_gate_out out;
    seen->wrong += open_gate_finish(call, &out) != WB_OK;
    sem_post(&seen->ended);
}

/* Calls stay open without threads, and go on when there are some again. */
START_TEST(test_halted_and_run_again)
{
    struct seen seen;
    struct wb_call_options options = {.then = then_count, .user = &seen};
    struct open_gate_in in = {.open = 1};
    struct wb_call *call;
    test_world_open(1);
    seen_open(&seen);
    test_assert_status(wb_engine_run(test_world.engine, CREW), WB_OK);
    begin_gates(test_world.peer, &seen);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    ck_assert_int_ne(sem_trywait(&seen.ended), 0);
    test_assert_status(wb_engine_run(test_world.engine, 1), WB_OK);
    test_assert_status(open_gate_async(test_world.peer, &in, &options, &call), WB_OK);
    for (unsigned i = 0; i < OPEN + 1; i++) {
        ck_assert(await(&seen));
    }
    test_assert_status(seen.status, WB_OK);
    ck_assert_uint_eq(seen.wrong, 0);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    sem_destroy(&seen.ended);
    test_world_close();
}
END_TEST

/* An engine that ends with threads at work and calls open ends both. */
START_TEST(test_destroyed_without_halt)
{
    struct seen seen;
    struct wb_engine *engine;
    struct wb_peer *peer;
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(0, url);
    seen_open(&seen);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(wb_engine_create(&test_world.client_config, &engine), WB_OK);
        test_assert_status(wb_engine_run(engine, CREW), WB_OK);
        test_assert_status(wb_connect(engine, url, &peer), WB_OK);
        if (i > 0) {
            test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
        }
        begin_gates(peer, &seen);
        wb_engine_destroy(engine);
        await_gates(&seen, WB_ERR_CLOSED);
    }
    sem_destroy(&seen.ended);
    test_world_close();
}
END_TEST

/* A peer that is closed, and a deadline that passes, while nobody is in the engine but its own. */
START_TEST(test_ends_that_come_by_themselves)
{
    struct seen seen;
    struct wait_at_gate_in in = {0};
    struct wb_call *call;
    test_world_open(1);
    seen_open(&seen);
    struct wb_call_options options = {.timeout_us = 20000, .then = then_end, .user = &seen};
    test_assert_status(wb_engine_run(test_world.engine, 2), WB_OK);
    test_assert_status(wait_at_gate_async(test_world.peer, &in, &options, &call), WB_OK);
    ck_assert(await(&seen));
    test_assert_status(seen.status, WB_ERR_TIMED_OUT);
    begin_gates(test_world.peer, &seen);
    wb_peer_close(test_world.peer);
    await_gates(&seen, WB_ERR_CLOSED);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    test_world_connect(0);
    test_world_assert_works(test_world.peer);
    sem_destroy(&seen.ended);
    test_world_close();
}
END_TEST

static void then_end_too(struct wb_call *call, void *user)
{
    struct seen *seen = user;
    struct add_out out;
    seen->wrong += add_finish(call, &out) != WB_OK;
    sem_post(&seen->ended);
}

/* While the engine's threads are at work, and in callbacks: all that has begun has ended when the
 * drain says so. It may be halted and run in between. */
START_TEST(test_drained_with_threads)
{
    struct seen seen;
    struct wb_call_options options = {.then = then_end_too, .user = &seen};
    struct add_in in = {.a = 1, .b = 2};
    struct open_gate_in open = {.open = 1};
    struct open_gate_out opened;
    struct wb_call *call;
    struct wb_peer *other;
    test_world_open(1);
    seen_open(&seen);
    test_assert_status(wb_connect(test_world.engine, test_world.servers[0].url, &other), WB_OK);
    test_assert_status(wb_peer_wait(other, test_patience_us), WB_OK);
    test_assert_status(wb_engine_run(test_world.engine, CREW), WB_OK);
    begin_gates(test_world.peer, &seen);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(add_async(other, &in, &options, &call), WB_OK);
    }
    test_assert_status(wb_peer_drain(test_world.peer, 1000), WB_ERR_TIMED_OUT);
    test_assert_status(open_gate_call(other, &open, &opened, NULL), WB_OK);
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    for (unsigned i = 0; i < OPEN + CALLS; i++) { /* their callbacks are over, too */
        ck_assert_int_eq(sem_trywait(&seen.ended), 0);
    }
    test_assert_status(seen.status, WB_OK);
    ck_assert_uint_eq(seen.wrong, 0);
    test_assert_status(wb_engine_run(test_world.engine, 1), WB_OK);
    test_assert_status(wb_engine_drain(test_world.engine, test_patience_us), WB_OK);
    test_assert_status(add_async(other, &in, &options, &call), WB_ERR_CLOSED);
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    wb_peer_close(other);
    sem_destroy(&seen.ended);
    test_world_close();
}
END_TEST

TCase *test_crew_case(void)
{
    const TTest *const tests[] = {test_nobody_else_makes_progress, test_halted_and_run_again,
                                  test_destroyed_without_halt, test_ends_that_come_by_themselves,
                                  test_drained_with_threads};
    return test_world_case("crew", tests, sizeof tests / sizeof tests[0]);
}
