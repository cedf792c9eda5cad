/* Back-pressure: a program that was answered WB_AGAIN is told, once, when there is room again. */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/world.h"

enum { MAX_CALLS = 4, PATIENCE_S = 60 };

/* What `room` has seen, and what the call said that it tried. */
struct seen {
    atomic_uint told;
    int status;
    struct wb_call *call;
};

static int try_add(struct wb_call **call)
{
    struct add_in in = {.a = 7, .b = 1};
    return add_async(test_world.peer, &in, NULL, call);
}

static void count(void *user)
{
    ((struct seen *)user)->told++;
}

static void take_it(void *user)
{
    struct seen *seen = user;
    seen->told++;
    seen->status = try_add(&seen->call);
}

static void finish_add(struct wb_call *call)
{
    struct add_out out;
    test_assert_status(add_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.sum, 8);
}

static void give_up(struct wb_call *call)
{
    struct wait_at_gate_out out;
    test_assert_status(wb_call_cancel(call), WB_OK);
    test_assert_status(wait_at_gate_finish(call, &out), WB_ERR_CANCELLED);
}

static bool is_told(struct seen *seen, unsigned times)
{
    uint64_t start = test_clock_us();
    while (seen->told < times && test_clock_us() - start < test_patience_us) {
        wb_wait(test_world.engine, 10000);
    }
    return seen->told == times;
}

/* Time for what should not happen. */
static void pass_time(void)
{
    for (unsigned i = 0; i < 20; i++) {
        wb_wait(test_world.engine, 1000);
    }
}

/* A world whose client has all its calls at a gate. */
static void open_full(struct wb_call *calls[MAX_CALLS])
{
    test_world.client_config.max_calls = MAX_CALLS;
    test_world_open(1);
    for (unsigned i = 0; i < MAX_CALLS; i++) {
        struct wait_at_gate_in in = {0};
        test_assert_status(wait_at_gate_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
}

START_TEST(test_told_when_a_call_is_free)
{
    struct wb_call *calls[MAX_CALLS];
    struct seen seen = {0};
    open_full(calls);
    test_assert_status(try_add(&seen.call), WB_AGAIN);
    test_assert_status(wb_peer_on_room(test_world.peer, take_it, &seen), WB_OK);
    pass_time();
    ck_assert_uint_eq(seen.told, 0);
    give_up(calls[0]);
    ck_assert(is_told(&seen, 1));
    test_assert_status(seen.status, WB_OK);
    give_up(calls[1]); /* more room: nobody asked again */
    pass_time();
    ck_assert_uint_eq(seen.told, 1);
    give_up(calls[2]);
    give_up(calls[3]);
    finish_add(seen.call); /* now: it may have been sent behind them */
    test_world_close();
}
END_TEST

/* What became free between the answer and the question counts; and who never had to ask is told. */
START_TEST(test_room_already)
{
    struct wb_call *calls[MAX_CALLS];
    struct seen seen = {0};
    open_full(calls);
    test_assert_status(try_add(&seen.call), WB_AGAIN);
    for (unsigned i = 0; i < MAX_CALLS; i++) {
        give_up(calls[i]);
    }
    test_assert_status(wb_peer_on_room(test_world.peer, take_it, &seen), WB_OK);
    ck_assert_uint_eq(seen.told, 0); /* not in there */
    ck_assert(is_told(&seen, 1));
    test_assert_status(seen.status, WB_OK);
    finish_add(seen.call);
    test_assert_status(wb_peer_on_room(test_world.peer, count, &seen), WB_OK);
    ck_assert(is_told(&seen, 2));
    test_world_close();
}
END_TEST

/* One free call: the first who asked takes it, and the second waits on. */
START_TEST(test_in_the_order_of_asking)
{
    struct wb_call *calls[MAX_CALLS];
    struct seen seen[3] = {{0}};
    open_full(calls);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(wb_peer_on_room(test_world.peer, take_it, &seen[i]), WB_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        give_up(calls[i]);
        ck_assert(is_told(&seen[i], 1));
        test_assert_status(seen[i].status, WB_OK);
        pass_time();
        ck_assert_uint_eq(seen[1].told, i >= 1);
        ck_assert_uint_eq(seen[2].told, i >= 2);
    }
    give_up(calls[3]);
    for (unsigned i = 0; i < 3; i++) {
        finish_add(seen[i].call);
    }
    test_world_close();
}
END_TEST

static int try_reply(struct wb_call **call)
{
    struct wb_call_options options = {.reply_bytes = 6 << 20};
    struct produce_in in = {.elem_size = 1, .count = 100};
    return produce_async(test_world.peer, &in, &options, call);
}

static void take_reply(void *user)
{
    struct seen *seen = user;
    seen->told++;
    seen->status = try_reply(&seen->call);
}

START_TEST(test_told_when_the_pool_has_room)
{
    wb_rma_vector held[16];
    unsigned count = 0;
    struct seen seen = {0};
    test_world.client_config.budget_bytes = 24 << 20;
    test_world_open(1);
    int status = WB_OK;
    while (status == WB_OK && count < 16) {
        status = wb_rma_vector_create(test_world.pool, 1, 2 << 20, &held[count]);
        count += status == WB_OK;
    }
    test_assert_status(try_reply(&seen.call), WB_AGAIN);
    test_assert_status(wb_peer_on_room(test_world.peer, take_reply, &seen), WB_OK);
    pass_time();
    ck_assert_uint_eq(seen.told, 0);
    while (count > 0) {
        wb_rma_vector_drop(&held[--count]);
    }
    ck_assert(is_told(&seen, 1));
    test_assert_status(seen.status, WB_OK);
    struct produce_out out;
    test_assert_status(produce_finish(seen.call, &out), WB_OK);
    ck_assert_uint_eq(out.data.count, 100);
    produce_out_drop(&out);
    test_world_close();
}
END_TEST

static void ask_again(void *user)
{
    struct seen *seen = user;
    seen->told++;
    seen->status = wb_peer_on_room(test_world.peer, count, seen);
}

/* Told of the end, once; what is lost is not waited for. */
START_TEST(test_told_of_the_end)
{
    struct wb_call *calls[MAX_CALLS];
    struct wait_at_gate_out out;
    struct seen seen = {0}, again = {0};
    open_full(calls);
    struct wb_peer *peer = test_world.peer;
    test_assert_status(wb_peer_on_room(peer, count, &seen), WB_OK);
    test_assert_status(wb_peer_on_room(peer, count, &seen), WB_OK);
    test_assert_status(wb_peer_on_room(peer, ask_again, &again), WB_OK);
    test_server_stop(&test_world.host, &test_world.servers[0]);
    ck_assert(is_told(&seen, 2));
    ck_assert(is_told(&again, 1));
    test_assert_status(again.status, WB_ERR_NOT_SENT);
    test_assert_status(wb_peer_on_room(peer, count, &seen), WB_ERR_NOT_SENT);
    for (unsigned i = 0; i < MAX_CALLS; i++) {
        ck_assert_int_ne(wait_at_gate_finish(calls[i], &out), WB_OK);
    }
    pass_time();
    ck_assert_uint_eq(seen.told, 2);
    ck_assert_uint_eq(again.told, 1);
    test_world_close();
}
END_TEST

/* Closed by its owner, and by the end of the engine. */
START_TEST(test_told_of_a_close)
{
    struct seen seen = {0};
    struct wb_engine *engine;
    struct wb_peer *peers[3];
    char url[TEST_URL_BYTES];
    test_world_open(1);
    test_world_url(0, url);
    test_world.client_config.max_calls = 1;
    test_assert_status(wb_engine_create(&test_world.client_config, &engine), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(wb_connect(engine, url, &peers[i]), WB_OK);
    }
    struct wait_at_gate_in in = {0};
    struct wb_call *call;
    test_assert_status(wait_at_gate_async(peers[2], &in, NULL, &call), WB_OK);
    for (unsigned i = 0; i < 3; i++) {
        test_assert_status(wb_peer_on_room(peers[i], count, &seen), WB_OK);
    }
    wb_peer_close(peers[0]);
    ck_assert_uint_eq(seen.told, 1);
    test_assert_status(wb_peer_wait(peers[1], test_patience_us), WB_OK);
    wb_peer_close(peers[1]);
    ck_assert_uint_eq(seen.told, 2);
    test_assert_status(wb_peer_on_room(peers[2], count, &seen), WB_OK);
    wb_engine_destroy(engine);
    ck_assert_uint_eq(seen.told, 4);
    test_world_close();
}
END_TEST

/* ---- many at once ---- */

enum { CHAINS = 16, LINKS = 100 };

/* Calls one after another, by callbacks alone. */
struct chain {
    unsigned left, wrong, waits;
    sem_t *ended;
};

static void go_on(void *user);

static void then_go_on(struct wb_call *call, void *user)
{
    struct chain *chain = user;
    struct add_out out;
    chain->wrong += add_finish(call, &out) != WB_OK || out.sum != 8;
    chain->left--;
    go_on(chain);
}

static void go_on(void *user)
{
    struct chain *chain = user;
    struct wb_call_options options = {.then = then_go_on, .user = chain};
    struct add_in in = {.a = 7, .b = 1};
    struct wb_call *call;
    if (chain->left == 0) {
        sem_post(chain->ended);
        return;
    }
    int status = add_async(test_world.peer, &in, &options, &call);
    if (status == WB_AGAIN) {
        chain->waits++;
        status = wb_peer_on_room(test_world.peer, go_on, chain);
    }
    if (status != WB_OK) {
        chain->wrong++;
        sem_post(chain->ended);
    }
}

static void *start_chain(void *chain)
{
    go_on(chain);
    return NULL;
}

static bool await(sem_t *ended)
{
    struct timespec until;
    int failed;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while ((failed = sem_timedwait(ended, &until)) != 0 && errno == EINTR) {
    }
    return failed == 0;
}

/* More chains than calls, and all of them wait when the first call becomes free. One that is not
 * told stops for good. */
START_TEST(test_nobody_is_forgotten)
{
    struct chain chains[CHAINS];
    pthread_t threads[CHAINS];
    struct wb_call *calls[MAX_CALLS];
    sem_t ended;
    sem_init(&ended, 0, 0);
    open_full(calls);
    test_assert_status(wb_engine_run(test_world.engine, 2), WB_OK);
    for (unsigned i = 0; i < CHAINS; i++) {
        chains[i] = (struct chain){.left = test_scaled(LINKS), .ended = &ended};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, start_chain, &chains[i]), 0);
    }
    for (unsigned i = 0; i < CHAINS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(chains[i].waits, 1);
    }
    for (unsigned i = 0; i < MAX_CALLS; i++) {
        give_up(calls[i]);
    }
    for (unsigned i = 0; i < CHAINS; i++) {
        ck_assert(await(&ended));
    }
    test_assert_status(wb_engine_halt(test_world.engine), WB_OK);
    for (unsigned i = 0; i < CHAINS; i++) {
        ck_assert_uint_eq(chains[i].wrong, 0);
        ck_assert_uint_eq(chains[i].left, 0);
    }
    sem_destroy(&ended);
    test_world_close();
}
END_TEST

TCase *test_room_case(void)
{
    const TTest *const tests[] = {
        test_told_when_a_call_is_free,    test_room_already,    test_in_the_order_of_asking,

        test_told_when_the_pool_has_room, test_told_of_the_end, test_told_of_a_close,
        test_nobody_is_forgotten};
    return test_world_case("room", tests, sizeof tests / sizeof tests[0]);
}
