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
#include "tests/engine/lanes.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

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
    lanes_open(LANES, 256);
    lanes_connect(PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        ck_assert_ptr_eq(lanes_scene.peers[i]->lane, lanes_scene.guest->lanes[i % LANES]);
        lanes_call(lanes_scene.peers[i], i);
    }
    for (unsigned i = 0; i < LANES; i++) {
        assert_population(lanes_scene.guest, i, PEERS / LANES);
        assert_population(lanes_scene.host, i, PEERS / LANES);
    }
    wb_peer_close(lanes_scene.peers[2]);
    assert_population(lanes_scene.guest, 2, 1);
    ck_assert_int_eq(wb_connect(lanes_scene.guest, lanes_scene.url, &lanes_scene.peers[2]), WB_OK);
    ck_assert_ptr_eq(lanes_scene.peers[2]->lane, lanes_scene.guest->lanes[2]);
    ck_assert_int_eq(wb_peer_wait(lanes_scene.peers[2], test_patience_us), WB_OK);
    lanes_call(lanes_scene.peers[2], 7);
    lanes_close();
}
END_TEST

/* max_peers is the fabric's, whether or not it is divided without a rest. */
START_TEST(test_max_peers_are_the_fabrics)
{
    struct wb_peer *one_more = NULL;
    lanes_open(LANES, LANES + 1);
    lanes_connect(LANES + 1);
    ck_assert_int_eq(wb_connect(lanes_scene.guest, lanes_scene.url, &one_more), WB_AGAIN);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "max_peers"));
    wb_peer_close(lanes_scene.peers[0]);
    ck_assert_int_eq(wb_connect(lanes_scene.guest, lanes_scene.url, &lanes_scene.peers[0]), WB_OK);
    lanes_close();
}
END_TEST

/* Nobody turns it, arms it, or hears of its descriptor, before its first peer and after its last.
 */
START_TEST(test_an_idle_lane_is_left_alone)
{
    lanes_open(WB_LANES_MOST, 256);
    lanes_connect(2);
    wb_peer_close(lanes_scene.peers[1]);
    uint32_t turns = lanes_scene.guest->lanes[1]->turns;
    lanes_scene.guest->lanes[1]->fabric->wake(lanes_scene.guest->lanes[1]->port);
    for (unsigned i = 0; i < test_scaled(1000); i++) {
        lanes_call(lanes_scene.peers[0], i);
        wb_wait(lanes_scene.guest, 100);
    }
    uint64_t timeout_us;
    while (wb_engine_arm(lanes_scene.guest, &timeout_us) == WB_AGAIN) {
        wb_progress(lanes_scene.guest);
    }
    ck_assert_int_eq(wbi_wait(wb_engine_fd(lanes_scene.guest), 0), 0);
    ck_assert_uint_eq(lanes_scene.guest->lanes[1]->turns, turns);
    ck_assert(lanes_scene.guest->lanes[0]->armed);
    for (unsigned i = 2; i < WB_LANES_MOST; i++) {
        ck_assert_uint_eq(lanes_scene.guest->lanes[i]->turns, 0);
        ck_assert(!lanes_scene.guest->lanes[i]->armed);
    }
    ck_assert_uint_eq(lanes_scene.guest->sleepers.needed, 1);
    lanes_connect(2); /* on the lane that was woken in vain: it comes back */
    lanes_call(lanes_scene.peers[1], 3);
    lanes_close();
}
END_TEST

static unsigned moments;                  /* that lanes want before they sleep */
static unsigned times_asked, times_armed; /* for that, and to be so */

static bool wants_a_moment(struct wbi_fabric_lane *port)
{
    (void)port;
    times_asked++;
    return moments == 0 || --moments == 0;
}

static int count_and_arm(struct wbi_fabric_lane *port)
{
    times_armed++;
    return wbi_shm_fabric.arm(port);
}

/* All want it together, and none is armed in vain meanwhile. */
START_TEST(test_lanes_that_want_a_moment_have_the_same)
{
    static struct wbi_fabric slow;
    uint64_t timeout_us;
    lanes_open(LANES, 256);
    lanes_connect(LANES);
    slow = wbi_shm_fabric;
    slow.calm = wants_a_moment;
    slow.arm = count_and_arm;
    for (unsigned i = 0; i < LANES; i++) {
        lanes_scene.guest->lanes[i]->fabric = &slow;
    }
    moments = 2 * LANES;
    for (unsigned times = 1; times <= 2; times++) {
        times_asked = times_armed = 0;
        ck_assert_int_eq(wb_engine_arm(lanes_scene.guest, &timeout_us), WB_AGAIN);
        ck_assert_uint_eq(times_asked, LANES);
        ck_assert_uint_eq(times_armed, 0);
    }
    while (wb_engine_arm(lanes_scene.guest, &timeout_us) == WB_AGAIN) {
        wb_progress(lanes_scene.guest);
    }
    ck_assert_uint_ge(times_armed, LANES);
    lanes_close();
}
END_TEST

/* The guest listens, on a lane that has no peer; its one peer is on the next lane. */
static struct wbi_lane *open_bare_listener(void)
{
    struct wb_engine *guest;
    char url[80];
    lanes_open(2, 256);
    lanes_connect(2);
    guest = lanes_scene.guest;
    snprintf(url, sizeof url, "%s.too", lanes_scene.url);
    ck_assert_int_eq(wb_listen(guest, url), WB_OK);
    wb_peer_close(lanes_scene.peers[0]);
    uint64_t start = test_clock_us();
    while ((atomic_load(&guest->bare) & guest->lanes[0]->bit) == 0) {
        wb_progress(guest);
        test_check(test_clock_us() - start < test_patience_us, "the lane has peers");
    }
    ck_assert_uint_eq(atomic_load(&guest->peopled), guest->lanes[0]->bit | guest->lanes[1]->bit);
    return guest->lanes[0];
}

/* Whoever is in that with peers may be long. */
START_TEST(test_who_listens_is_turned_while_others_are_busy)
{
    struct wbi_lane *listener = open_bare_listener();
    uint32_t turns = listener->turns;
    ck_assert_int_eq(wbi_lane_enter(lanes_scene.guest->lanes[1]), WBI_LANE_ENTERED);
    for (unsigned i = 1; i <= 3; i++) {
        wbi_turn_all(lanes_scene.guest, NULL, false, 8);
        ck_assert_uint_eq(listener->turns, turns + i);
    }
    wbi_lane_leave(lanes_scene.guest->lanes[1]);
    lanes_close();
}
END_TEST

/* Seldom, but by a thread with a lane of its own, too. */
START_TEST(test_who_listens_is_turned_now_and_then)
{
    enum { TURNS = 640 };
    struct wbi_lane *listener = open_bare_listener(), *own = lanes_scene.guest->lanes[1];
    uint32_t turns = listener->turns;
    for (unsigned i = 0; i < TURNS; i++) {
        wbi_turn_all(lanes_scene.guest, NULL, false, 1);
    }
    ck_assert_uint_ge(listener->turns - turns, TURNS / 16);
    ck_assert_uint_le(listener->turns - turns, TURNS / 8);
    turns = listener->turns;
    for (unsigned i = 0; i < TURNS; i++) {
        bool round;
        wbi_turn_own(own, 1, &round);
        if (round) {
            wbi_turn_all(lanes_scene.guest, own, false, 1);
        }
    }
    ck_assert_uint_ge(listener->turns - turns, TURNS / 20);
    ck_assert_uint_le(listener->turns - turns, TURNS / 8);
    lanes_close();
}
END_TEST

/* ---- where they live ---- */

static struct wb_peer *connect_lazily(void)
{
    const struct wb_peer_options options = {.lazy = true};
    struct wb_peer *peer;
    ck_assert_int_eq(wb_connect_with(lanes_scene.guest, lanes_scene.url, &options, &peer), WB_OK);
    return peer;
}

/* Two come at once, and the lane with the fewer peers has one place left. */
START_TEST(test_places_are_kept_for_those_who_come)
{
    enum { LAZY = 5, COMING = 4 };
    struct wb_peer *lazy[LAZY];
    lanes_open(2, 4);
    struct wbi_network *network = &lanes_scene.guest->networks[0];
    struct wbi_lane **lanes = lanes_scene.guest->lanes;
    lanes_connect(1);
    for (unsigned i = 0; i < LAZY; i++) {
        lazy[i] = connect_lazily();
        ck_assert_ptr_eq(lazy[i]->lane, lanes[1 - i % 2]);
    }
    wb_peer_close(lazy[1]);
    wb_peer_close(lazy[3]);
    assert_population(lanes_scene.guest, 0, 1);
    assert_population(lanes_scene.guest, 1, 3);
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
    assert_population(lanes_scene.guest, 0, 1);
    assert_population(lanes_scene.guest, 1, 3);
    lanes_close();
}
END_TEST

/* One that lives there and connects late does not take the place of one who comes. */
START_TEST(test_a_place_is_kept_against_who_lives_there)
{
    enum { COMING = 4 };
    struct wbi_lane *homes[COMING];
    lanes_open(2, 4);
    struct wb_peer *late[] = {connect_lazily(), connect_lazily()};
    for (unsigned i = 0; i < COMING; i++) {
        homes[i] = wbi_home_find(&lanes_scene.guest->networks[0], NULL);
    }
    ck_assert_int_ne(wb_peer_wait(late[0], test_patience_us), WB_OK);
    for (unsigned i = 0; i < COMING; i++) {
        wbi_home_leave(homes[i], true);
    }
    ck_assert_int_eq(wb_peer_wait(late[1], test_patience_us), WB_OK);
    lanes_close();
}
END_TEST

static void assert_found(unsigned lane)
{
    struct wbi_lane *found = wbi_home_find(&lanes_scene.guest->networks[0], NULL);
    ck_assert_ptr_eq(found, lanes_scene.guest->lanes[lane]);
    ck_assert((atomic_load(&found->engine->bare) & found->bit) ==
              0); /* it has to be turned: its events are awaited */
    wbi_turn_all(lanes_scene.guest, NULL, true, 1);
    ck_assert((atomic_load(&found->engine->bare) & found->bit) == 0);
    wbi_home_leave(found, true);
}

/* A lane that refuses for what those that have gone have left is nobody's; nor for some time one
 * whose peers have asked too much. */
START_TEST(test_who_comes_goes_where_all_is)
{
    struct wb_peer *lazy;
    lanes_open(2, 8);
    struct wbi_lane *second = lanes_scene.guest->lanes[1];
    lanes_connect(1);
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
    lanes_close();
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
    ck_assert_int_eq(wbi_await_calls(lanes_scene.guest, lanes_scene.guest->lanes[1], after_a_turn,
                                     &asked, test_patience_us),
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
    char url[sizeof lanes_scene.url];
    lanes_open(2, 256);
    lanes_connect(2);
    snprintf(url, sizeof url, "shm://lanes-guest-%ld", (long)getpid());
    ck_assert_int_eq(twice_register(lanes_scene.guest, lanes_on_twice, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(lanes_scene.guest, url), WB_OK);
    ck_assert_int_eq(wb_engine_create(NULL, &stranger), WB_OK);
    ck_assert_int_eq(wb_connect(stranger, url, &peer), WB_OK);
    ck_assert_int_eq(twice_async(peer, &in, NULL, &call), WB_OK);
    uint32_t turns = lanes_scene.guest->lanes[0]->turns;
    for (unsigned i = 0; i < 100; i++) {
        wait_shortly();
    }
    ck_assert_uint_gt(lanes_scene.guest->lanes[0]->turns, turns);
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
    lanes_close();
}
END_TEST

static void *call_often(void *context)
{
    struct wb_peer *peer = context;
    for (unsigned i = 0; i < test_scaled(400); i++) {
        lanes_call(peer, i);
    }
    return NULL;
}

/* Connects, calls and closes, over and over: lanes fill and empty under the others' calls. */
static void *come_and_go(void *context)
{
    (void)context;
    for (unsigned i = 0; i < test_scaled(60); i++) {
        struct wb_peer *peer;
        ck_assert_int_eq(wb_connect(lanes_scene.guest, lanes_scene.url, &peer), WB_OK);
        ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_OK);
        lanes_call(peer, i);
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
                                        goes ? NULL : lanes_scene.peers[i]),
                         0);
    }
    for (unsigned i = 0; i < PEERS + 2; i++) {
        pthread_join(threads[i], NULL);
    }
    test_assert_quiet(lanes_scene.guest, 0);
}

START_TEST(test_threads_on_lanes)
{
    lanes_open(LANES, 256);
    lanes_connect(PEERS);
    run_threads();
    lanes_close();
}
END_TEST

/* The same with threads of the engines' own on both sides, more of them than lanes, and fewer. */
START_TEST(test_a_crew_on_lanes)
{
    lanes_open(LANES, 256);
    ck_assert_int_eq(wb_engine_run(lanes_scene.guest, LANES + 1), WB_OK);
    ck_assert_int_eq(wb_engine_run(lanes_scene.host, LANES - 2), WB_OK);
    lanes_connect(PEERS);
    run_threads();
    ck_assert_int_eq(wb_engine_halt(lanes_scene.host), WB_OK);
    lanes_close();
}
END_TEST

static int called_back; /* what begin_another's call came to, below WB_OK */

static void begin_another(struct wb_call *call, void *user)
{
    struct wb_peer *peer = user;
    struct twice_in in = {.number = 1};
    struct twice_out out;
    struct wb_call *another;
    ck_assert_int_eq(twice_finish(call, &out), WB_ERR_NOT_SENT);
    called_back = twice_async(peer, &in, NULL, &another);
}

/* A drain has begun on all lanes before it calls anybody back on one. */
START_TEST(test_a_drain_begins_on_all_lanes_at_once)
{
    struct wb_peer_options options = {
        .lazy = true, .again = true, .backoff_us = 10000000, .backoff_most_us = 10000000};
    struct wb_peer *absent;
    struct wb_call *waiting;
    char url[80];
    lanes_open(2, 256);
    snprintf(url, sizeof url, "%s.absent", lanes_scene.url);
    ck_assert_int_eq(wb_connect_with(lanes_scene.guest, url, &options, &absent), WB_OK);
    lanes_connect(1);
    ck_assert_ptr_eq(absent->lane, lanes_scene.guest->lanes[0]);
    ck_assert_ptr_eq(lanes_scene.peers[0]->lane, lanes_scene.guest->lanes[1]);
    struct twice_in in = {.number = 1};
    struct wb_call_options then = {
        .timeout_us = test_patience_us, .then = begin_another, .user = lanes_scene.peers[0]};
    ck_assert_int_eq(twice_async(absent, &in, &then, &waiting), WB_OK);
    uint64_t start = test_clock_us();
    while (absent->line.not_before == 0) { /* the first attempt has not failed yet */
        wb_progress(lanes_scene.guest);
        test_check(test_clock_us() - start < test_patience_us, "somebody is there");
    }
    called_back = WB_OK;
    ck_assert_int_eq(wb_engine_drain(lanes_scene.guest, test_patience_us), WB_OK);
    ck_assert_int_eq(called_back, WB_ERR_CLOSED);
    wb_peer_close(absent);
    lanes_close();
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
                            test_lanes_that_want_a_moment_have_the_same,
                            test_who_listens_is_turned_while_others_are_busy,
                            test_who_listens_is_turned_now_and_then,
                            test_places_are_kept_for_those_who_come,
                            test_a_place_is_kept_against_who_lives_there,
                            test_who_comes_goes_where_all_is,
                            test_short_waits_on_one_lane_serve_the_other,
                            test_a_drain_begins_on_all_lanes_at_once,
                            test_threads_on_lanes,
                            test_a_crew_on_lanes};
    Suite *suite = suite_create("lanes");
    suite_add_tcase(suite, test_program_case("lanes", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
