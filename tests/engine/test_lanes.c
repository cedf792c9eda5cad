/* Several lanes of a fabric: peers are spread over them on both sides, threads that call different
 * peers do not meet, and a lane without peers costs nothing. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/home.h"
#include "engine/peer.h"
#include "engine/turns.h"
#include "tests/support/driver.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

#define TEST_TWICE(F) F(VALUE, u64, number) F(RMA, wb_rma_vector, data)
WB_ACTION(twice, TEST_TWICE, TEST_TWICE)

enum { LANES = 4, PEERS = 2 * LANES, DRIVERS = 2 };

static struct {
    struct wb_engine *host, *guest;
    struct test_driver drivers[DRIVERS]; /* of the host */
    struct wb_peer *peers[PEERS];        /* the guest's */
    char url[64];
} scene;

static int on_twice(struct wb_context *context, struct twice_in *in, struct twice_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->number = 2 * in->number;
    out->data = wb_rma_vector_take(&in->data);
    return WB_OK;
}

static void open_engines(uint32_t lanes, uint32_t max_peers)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.lanes = lanes;
    config.max_peers = max_peers;
    config.budget_bytes = 64 << 20;
    snprintf(scene.url, sizeof scene.url, "shm://lanes-%ld", (long)getpid());
    ck_assert_int_eq(wb_engine_create(&config, &scene.host), WB_OK);
    ck_assert_int_eq(wb_engine_create(&config, &scene.guest), WB_OK);
    ck_assert_int_eq(twice_register(scene.host, on_twice, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(scene.host, scene.url), WB_OK);
    for (unsigned i = 0; i < DRIVERS; i++) {
        scene.drivers[i] = (struct test_driver){.engine = scene.host};
        ck_assert(test_driver_start(&scene.drivers[i]));
    }
}

static void connect_peers(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(wb_connect(scene.guest, scene.url, &scene.peers[i]), WB_OK);
    }
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(wb_peer_wait(scene.peers[i], test_patience_us), WB_OK);
    }
}

static void close_engines(void)
{
    for (unsigned i = 0; i < DRIVERS; i++) {
        test_driver_stop(&scene.drivers[i]);
    }
    wb_engine_destroy(scene.guest);
    wb_engine_destroy(scene.host);
}

static void call_once(struct wb_peer *peer, uint64_t number)
{
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 1 << 16};
    struct twice_in in = {.number = number};
    struct twice_out out;
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.guest), 1, 3000, &in.data),
                     WB_OK);
    test_pattern_fill(in.data.data, 3000, number);
    int status = twice_call(peer, &in, &out, &options);
    test_check(status == WB_OK, "a call: %s", wb_last_error());
    test_check(out.number == 2 * number, "an answer of another call");
    test_check(test_pattern_check(out.data.data, out.data.count, number) == 3000, "other bytes");
    twice_out_drop(&out);
    twice_in_drop(&in);
}

/* A peer that has just been accepted may count twice for a moment. */
static void assert_population(const struct wb_engine *engine, unsigned lane, uint32_t wanted)
{
    uint64_t start = test_clock_us();
    while (atomic_load(&engine->lanes[lane]->population) != wanted) {
        test_check(test_clock_us() - start < test_patience_us, "lane %u has other peers", lane);
        test_sleep_us(100);
    }
}

/* Fewest first, on the side that connects and on that which is asked. */
START_TEST(test_peers_are_spread)
{
    open_engines(LANES, 256);
    connect_peers(PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        ck_assert_ptr_eq(scene.peers[i]->lane, scene.guest->lanes[i % LANES]);
        call_once(scene.peers[i], i);
    }
    for (unsigned i = 0; i < LANES; i++) {
        assert_population(scene.guest, i, PEERS / LANES);
        assert_population(scene.host, i, PEERS / LANES);
    }
    wb_peer_close(scene.peers[2]);
    assert_population(scene.guest, 2, 1);
    ck_assert_int_eq(wb_connect(scene.guest, scene.url, &scene.peers[2]), WB_OK);
    ck_assert_ptr_eq(scene.peers[2]->lane, scene.guest->lanes[2]);
    ck_assert_int_eq(wb_peer_wait(scene.peers[2], test_patience_us), WB_OK);
    call_once(scene.peers[2], 7);
    close_engines();
}
END_TEST

/* max_peers is the fabric's, whether or not it is divided without a rest. */
START_TEST(test_max_peers_are_the_fabrics)
{
    struct wb_peer *one_more = NULL;
    open_engines(LANES, LANES + 1);
    connect_peers(LANES + 1);
    ck_assert_int_eq(wb_connect(scene.guest, scene.url, &one_more), WB_AGAIN);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "max_peers"));
    wb_peer_close(scene.peers[0]);
    ck_assert_int_eq(wb_connect(scene.guest, scene.url, &scene.peers[0]), WB_OK);
    close_engines();
}
END_TEST

/* Nobody turns it, arms it, or hears of its descriptor, before its first peer and after its last.
 */
START_TEST(test_an_idle_lane_is_left_alone)
{
    open_engines(WB_LANES_MOST, 256);
    connect_peers(2);
    wb_peer_close(scene.peers[1]);
    uint32_t turns = scene.guest->lanes[1]->turns;
    scene.guest->lanes[1]->fabric->wake(scene.guest->lanes[1]->port);
    for (unsigned i = 0; i < test_scaled(1000); i++) {
        call_once(scene.peers[0], i);
        wb_wait(scene.guest, 100);
    }
    uint64_t timeout_us;
    while (wb_engine_arm(scene.guest, &timeout_us) == WB_AGAIN) {
        wb_progress(scene.guest);
    }
    ck_assert_int_eq(wbi_wait(wb_engine_fd(scene.guest), 0), 0);
    ck_assert_uint_eq(scene.guest->lanes[1]->turns, turns);
    ck_assert(scene.guest->lanes[0]->armed);
    for (unsigned i = 2; i < WB_LANES_MOST; i++) {
        ck_assert_uint_eq(scene.guest->lanes[i]->turns, 0);
        ck_assert(!scene.guest->lanes[i]->armed);
    }
    ck_assert_uint_eq(scene.guest->sleepers.needed, 1);
    connect_peers(2); /* on the lane that was woken in vain: it comes back */
    call_once(scene.peers[1], 3);
    close_engines();
}
END_TEST

/* ---- where they live ---- */

static struct wb_peer *connect_lazily(void)
{
    const struct wb_peer_options options = {.lazy = true};
    struct wb_peer *peer;
    ck_assert_int_eq(wb_connect_with(scene.guest, scene.url, &options, &peer), WB_OK);
    return peer;
}

/* Two come at once, and the lane with the fewer peers has one place left. */
START_TEST(test_places_are_kept_for_those_who_come)
{
    enum { LAZY = 5, COMING = 4 };
    struct wb_peer *lazy[LAZY];
    open_engines(2, 4);
    struct wbi_network *network = &scene.guest->networks[0];
    struct wbi_lane **lanes = scene.guest->lanes;
    connect_peers(1);
    for (unsigned i = 0; i < LAZY; i++) {
        lazy[i] = connect_lazily();
        ck_assert_ptr_eq(lazy[i]->lane, lanes[1 - i % 2]);
    }
    wb_peer_close(lazy[1]);
    wb_peer_close(lazy[3]);
    assert_population(scene.guest, 0, 1);
    assert_population(scene.guest, 1, 3);
    struct wbi_lane *homes[COMING];
    static const unsigned wanted[COMING] = {0, 1, 1,
                                            1}; /* the last one finds no place, and stays */
    for (unsigned i = 0; i < COMING; i++) {
        homes[i] = wbi_home_find(network, lanes[1]);
        ck_assert_ptr_eq(homes[i], lanes[wanted[i]]);
    }
    for (unsigned i = 0; i < COMING; i++) {
        wbi_home_leave(homes[i], true);
    }
    ck_assert_uint_eq(lanes[0]->coming + lanes[1]->coming, 0);
    assert_population(scene.guest, 0, 1);
    assert_population(scene.guest, 1, 3);
    close_engines();
}
END_TEST

/* One that lives there and connects late does not take the place of one who comes. */
START_TEST(test_a_place_is_kept_against_who_lives_there)
{
    enum { COMING = 4 };
    struct wbi_lane *homes[COMING];
    open_engines(2, 4);
    struct wb_peer *late[] = {connect_lazily(), connect_lazily()};
    for (unsigned i = 0; i < COMING; i++) {
        homes[i] = wbi_home_find(&scene.guest->networks[0], NULL);
    }
    ck_assert_int_ne(wb_peer_wait(late[0], test_patience_us), WB_OK);
    for (unsigned i = 0; i < COMING; i++) {
        wbi_home_leave(homes[i], true);
    }
    ck_assert_int_eq(wb_peer_wait(late[1], test_patience_us), WB_OK);
    close_engines();
}
END_TEST

static void assert_found(unsigned lane)
{
    struct wbi_lane *found = wbi_home_find(&scene.guest->networks[0], NULL);
    ck_assert_ptr_eq(found, scene.guest->lanes[lane]);
    ck_assert(!atomic_load(&found->bare)); /* it has to be turned: its events are awaited */
    wbi_turn_all(scene.guest, NULL, true, 1);
    ck_assert(!atomic_load(&found->bare));
    wbi_home_leave(found, true);
}

/* A lane that refuses for what those that have gone have left is nobody's; nor for some time one
 * whose peers have asked too much. */
START_TEST(test_who_comes_goes_where_all_is)
{
    struct wb_peer *lazy;
    open_engines(2, 8);
    struct wbi_lane *second = scene.guest->lanes[1];
    connect_peers(1);
    atomic_store(&second->orphans, UINT32_MAX);
    assert_found(0);
    atomic_store(&second->orphans, 0);
    assert_found(1);
    lazy = connect_lazily();
    ck_assert_ptr_eq(lazy->lane, second);
    second->asked = UINT32_MAX;
    ck_assert_int_ne(wb_peer_wait(lazy, test_patience_us), WB_OK);
    second->asked = 0;
    wb_peer_close(lazy);
    ck_assert_uint_ne(atomic_load(&second->shunned), 0);
    atomic_store(&second->shunned, UINT64_MAX); /* however slow this is */
    assert_found(0);
    atomic_store(&second->shunned, 0);
    assert_found(1);
    close_engines();
}
END_TEST

/* ---- threads ---- */

static bool after_a_turn(void *context)
{
    unsigned *asked = context;
    return ++*asked > 1;
}

/* What the guest's only thread waits for has ended each time when it has turned its lane once. */
static void wait_shortly(void)
{
    unsigned asked = 0;
    ck_assert_int_eq(
        wbi_await_calls(scene.guest, scene.guest->lanes[1], after_a_turn, &asked, test_patience_us),
        WB_OK);
}

/* A window on the second lane; somebody comes to the first. */
START_TEST(test_short_waits_on_one_lane_serve_the_other)
{
    struct wb_engine *stranger;
    struct wb_peer *peer;
    struct wb_call *call;
    struct twice_in in = {.number = 21};
    struct twice_out out;
    char url[sizeof scene.url];
    open_engines(2, 256);
    connect_peers(2);
    snprintf(url, sizeof url, "shm://lanes-guest-%ld", (long)getpid());
    ck_assert_int_eq(twice_register(scene.guest, on_twice, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(scene.guest, url), WB_OK);
    ck_assert_int_eq(wb_engine_create(NULL, &stranger), WB_OK);
    ck_assert_int_eq(wb_connect(stranger, url, &peer), WB_OK);
    ck_assert_int_eq(twice_async(peer, &in, NULL, &call), WB_OK);
    uint32_t turns = scene.guest->lanes[0]->turns;
    for (unsigned i = 0; i < 100; i++) {
        wait_shortly();
    }
    ck_assert_uint_gt(scene.guest->lanes[0]->turns, turns);
    uint64_t start = test_clock_us();
    while (!wb_call_done(call)) {
        test_check(test_clock_us() - start < test_patience_us, "nobody serves the stranger");
        wait_shortly();
        wb_progress(stranger);
    }
    ck_assert_int_eq(twice_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.number, 42);
    twice_out_drop(&out);
    wb_engine_destroy(stranger);
    close_engines();
}
END_TEST

static void *call_often(void *context)
{
    struct wb_peer *peer = context;
    for (unsigned i = 0; i < test_scaled(400); i++) {
        call_once(peer, i);
    }
    return NULL;
}

/* Connects, calls and closes, over and over: lanes fill and empty under the others' calls. */
static void *come_and_go(void *context)
{
    (void)context;
    for (unsigned i = 0; i < test_scaled(60); i++) {
        struct wb_peer *peer;
        ck_assert_int_eq(wb_connect(scene.guest, scene.url, &peer), WB_OK);
        ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_OK);
        call_once(peer, i);
        wb_peer_close(peer);
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[PEERS + 2];
    for (unsigned i = 0; i < PEERS + 2; i++) {
        bool goes = i >= PEERS;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, goes ? come_and_go : call_often,
                                        goes ? NULL : scene.peers[i]),
                         0);
    }
    for (unsigned i = 0; i < PEERS + 2; i++) {
        pthread_join(threads[i], NULL);
    }
    test_assert_quiet(scene.guest, 0);
}

START_TEST(test_threads_on_lanes)
{
    open_engines(LANES, 256);
    connect_peers(PEERS);
    run_threads();
    close_engines();
}
END_TEST

/* The same with threads of the engines' own on both sides, more of them than lanes, and fewer. */
START_TEST(test_a_crew_on_lanes)
{
    open_engines(LANES, 256);
    ck_assert_int_eq(wb_engine_run(scene.guest, LANES + 1), WB_OK);
    ck_assert_int_eq(wb_engine_run(scene.host, LANES - 2), WB_OK);
    connect_peers(PEERS);
    run_threads();
    ck_assert_int_eq(wb_engine_halt(scene.host), WB_OK);
    close_engines();
}
END_TEST

/* ---- lanes that want one another ---- */

struct side {
    struct wb_peer *own, *others;
    struct wb_peer *made;
    void (*want)(struct wb_call *call, void *user);
    int described, connected;
    atomic_bool ended; /* the callback, in whatever thread */
};

static atomic_uint inside;

static void want(struct wb_call *call, void *user)
{
    struct side *side = user;
    struct wb_peer_info info;
    uint64_t start = test_clock_us();
    (void)call;
    atomic_fetch_add(&inside, 1);
    while (atomic_load(&inside) < 2 && test_clock_us() - start < test_patience_us) {
        test_sleep_us(100);
    }
    side->described = wb_peer_describe(side->others, &info);
    side->connected = wb_connect(scene.guest, scene.url, &side->made);
    atomic_store(&side->ended, true);
}

static void *call_and_want(void *context)
{
    struct side *side = context;
    struct wb_call_options options = {
        .then = side->want, .user = side, .timeout_us = test_patience_us};
    struct twice_in in = {0};
    struct twice_out out;
    struct wb_call *call;
    ck_assert_int_eq(twice_async(side->own, &in, &options, &call), WB_OK);
    /* the other thread may run it, and this one that one's */
    uint64_t start = test_clock_us();
    while (!atomic_load(&side->ended) && test_clock_us() - start < 2 * test_patience_us) {
        wb_wait(scene.guest, 1000);
    }
    ck_assert_int_eq(twice_finish(call, &out), WB_OK);
    return NULL;
}

/* Two callbacks, each on its lane, that want the other's: one at least is told; and neither waits
 * to connect. */
START_TEST(test_callbacks_that_want_each_others_lanes)
{
    pthread_t thread;
    atomic_store(&inside, 0);
    open_engines(2, 256);
    connect_peers(2);
    struct side sides[2] = {{.own = scene.peers[0], .others = scene.peers[1], .want = want},
                            {.own = scene.peers[1], .others = scene.peers[0], .want = want}};
    ck_assert_int_eq(pthread_create(&thread, NULL, call_and_want, &sides[0]), 0);
    call_and_want(&sides[1]);
    pthread_join(thread, NULL);
    ck_assert(sides[0].described == WB_ERR_DEADLOCK || sides[1].described == WB_ERR_DEADLOCK);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(sides[i].described == WB_OK || sides[i].described == WB_ERR_DEADLOCK);
        ck_assert_int_eq(sides[i].connected, WB_OK);
        ck_assert_int_eq(wb_peer_wait(sides[i].made, test_patience_us), WB_OK);
        call_once(sides[i].made, i);
    }
    close_engines();
}
END_TEST

static void want_one_more(struct wb_call *call, void *user)
{
    struct side *side = user;
    (void)call;
    side->connected = wb_connect(scene.guest, scene.url, &side->made);
    atomic_store(&side->ended, true);
}

/* A callback on a lane that is full connects while another thread keeps the other one: it waits for
 * that. */
START_TEST(test_a_full_lane_takes_no_more)
{
    pthread_t thread;
    struct side side = {.want = want_one_more};
    open_engines(2, 4);
    struct wbi_lane **lanes = scene.guest->lanes;
    connect_peers(3);
    side.own = scene.peers[2];
    ck_assert_ptr_eq(side.own->lane, lanes[0]);
    ck_assert_int_eq(wbi_lane_enter(lanes[1]), WBI_LANE_ENTERED);
    ck_assert_int_eq(pthread_create(&thread, NULL, call_and_want, &side), 0);
    uint64_t start = test_clock_us();
    while (!atomic_load(&side.ended) && atomic_load(&lanes[0]->holder_waits) == 0) {
        test_check(test_clock_us() - start < test_patience_us, "the callback does not connect");
        test_sleep_us(100);
    }
    wbi_lane_leave(lanes[1]);
    pthread_join(thread, NULL);
    ck_assert_int_eq(side.connected, WB_OK);
    ck_assert_ptr_eq(side.made->lane, lanes[1]);
    close_engines();
}
END_TEST

START_TEST(test_how_many)
{
    struct wb_engine_config config;
    struct wb_engine *engine;
    char text[4096];
    wb_engine_config_default(&config);
    wb_engine_config_text(&config, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "lanes 1 a fabric\n"));
    config.lanes = WB_LANES_MOST + 1;
    ck_assert_int_eq(wb_engine_create(&config, &engine), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "config.lanes"));
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *tests[] = {test_how_many,
                            test_peers_are_spread,
                            test_max_peers_are_the_fabrics,
                            test_an_idle_lane_is_left_alone,
                            test_places_are_kept_for_those_who_come,
                            test_a_place_is_kept_against_who_lives_there,
                            test_who_comes_goes_where_all_is,
                            test_short_waits_on_one_lane_serve_the_other,
                            test_threads_on_lanes,
                            test_a_crew_on_lanes,
                            test_callbacks_that_want_each_others_lanes,
                            test_a_full_lane_takes_no_more};
    Suite *suite = suite_create("lanes");
    suite_add_tcase(suite, test_program_case("lanes", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
