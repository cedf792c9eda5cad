/* Threads in callbacks on several lanes of one fabric, that want one another's lanes. */
#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "tests/engine/lanes.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

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
    side->connected = wb_connect(lanes_scene.guest, lanes_scene.url, &side->made);
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
        wb_wait(lanes_scene.guest, 1000);
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
    lanes_open(2, 256);
    lanes_connect(2);
    struct side sides[2] = {
        {.own = lanes_scene.peers[0], .others = lanes_scene.peers[1], .want = want},
        {.own = lanes_scene.peers[1], .others = lanes_scene.peers[0], .want = want}};
    ck_assert_int_eq(pthread_create(&thread, NULL, call_and_want, &sides[0]), 0);
    call_and_want(&sides[1]);
    pthread_join(thread, NULL);
    ck_assert(sides[0].described == WB_ERR_DEADLOCK || sides[1].described == WB_ERR_DEADLOCK);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(sides[i].described == WB_OK || sides[i].described == WB_ERR_DEADLOCK);
        ck_assert_int_eq(sides[i].connected, WB_OK);
        ck_assert_int_eq(wb_peer_wait(sides[i].made, test_patience_us), WB_OK);
        lanes_call(sides[i].made, i);
    }
    lanes_close();
}
END_TEST

static void want_one_more(struct wb_call *call, void *user)
{
    struct side *side = user;
    (void)call;
    side->connected = wb_connect(lanes_scene.guest, lanes_scene.url, &side->made);
    atomic_store(&side->ended, true);
}

/* A callback on a lane that is full connects while another thread keeps the other one: it waits for
 * that. */
START_TEST(test_a_full_lane_takes_no_more)
{
    pthread_t thread;
    struct side side = {.want = want_one_more};
    lanes_open(2, 4);
    struct wbi_lane **lanes = lanes_scene.guest->lanes;
    lanes_connect(3);
    side.own = lanes_scene.peers[2];
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
    lanes_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_callbacks_that_want_each_others_lanes,
                                  test_a_full_lane_takes_no_more};
    Suite *suite = suite_create("lanes that want one another");
    suite_add_tcase(suite, test_program_case("lanes", tests, 2));
    return test_program_run(suite, argc, argv);
}
