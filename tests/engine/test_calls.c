/* The table of calls: the lane's own, and those that all threads share. */
#include <pthread.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "tests/engine/scene.h"

static struct test_scene scene;
static struct wbi_lane *lane; /* the friend's, whose calls they are */

/* So many calls in the friend's table. */
static void open_with(uint32_t max_calls)
{
    test_scene_open(&scene, NULL);
    lane = scene.friend->lanes[0];
    ck_assert_int_eq(wbi_lane_enter_waiting(lane), WBI_LANE_ENTERED);
    wbi_calls_close(&lane->calls);
    ck_assert_int_eq(wbi_calls_open(&lane->calls, lane, max_calls), WB_OK);
}

static void close_all(void)
{
    wbi_lane_leave(lane);
    test_scene_close(&scene);
}

/* As a stub does it. */
static struct wb_call *take(void)
{
    struct wb_call *call = wbi_call_take_inside(lane);
    if (call != NULL) {
        atomic_store(&call->state, WBI_CALL_WRITING);
    }
    return call;
}

static struct wb_call *take_outside(void)
{
    struct wb_call *call = wbi_call_take(lane);
    if (call != NULL) {
        atomic_store(&call->state, WBI_CALL_WRITING);
    }
    return call;
}

static const uint32_t sizes[] = {1, 3, 4, 5, 64, 1024, 2000};
enum { SIZES = sizeof sizes / sizeof sizes[0], MOST = 2000 };

/* Each once, by whatever way, and then none; whoever gives one back gets that. */
START_TEST(test_each_call_is_taken_once)
{
    uint32_t count = sizes[_i % SIZES];
    bool mixed = _i >= SIZES;
    static struct wb_call *taken[MOST];
    open_with(count);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < count; i++) {
            taken[i] = mixed && i % 3 == 0 ? take_outside() : take();
            ck_assert_ptr_nonnull(taken[i]);
        }
        ck_assert_ptr_null(take());
        ck_assert_ptr_null(take_outside());
        ck_assert(!wbi_calls_have_room(&lane->calls));
        bool seen[MOST] = {false};
        for (uint32_t i = 0; i < count; i++) {
            ck_assert(!seen[taken[i]->index]);
            seen[taken[i]->index] = true;
        }
        struct wb_call *one = taken[count / 2];
        uint32_t generation = one->generation;
        wbi_call_give(one);
        ck_assert(wbi_calls_have_room(&lane->calls));
        ck_assert_ptr_eq(round % 2 == 0 ? take() : take_outside(), one);
        ck_assert_uint_ne(one->generation, generation);
        for (uint32_t i = 0; i < count; i++) {
            wbi_call_give(taken[round % 2 == 0 ? i : count - 1 - i]);
        }
    }
    close_all();
}
END_TEST

/* One call at a time goes round few of them, also after there were many, and whatever lasts. */
START_TEST(test_few_calls_stay_few)
{
    struct wb_call *taken[200], *lasts[6];
    open_with(1024);
    for (unsigned i = 0; i < 200; i++) {
        taken[i] = take();
    }
    for (unsigned i = 0; i < 6; i++) {
        lasts[i] = taken[i * 30];
    }
    for (unsigned i = 0; i < 200; i++) {
        if (i % 30 != 0 || i >= 180) {
            wbi_call_give(taken[i]);
        }
    }
    uint32_t highest = 0;
    for (unsigned i = 0; i < 50000; i++) {
        struct wb_call *call = take();
        ck_assert_ptr_nonnull(call);
        ck_assert(call >= lane->calls.own);
        uint32_t place = (uint32_t)(call - lane->calls.own);
        highest = i >= 49000 && place > highest ? place : highest;
        wbi_call_give(call);
    }
    ck_assert_uint_lt(highest, 16);
    for (unsigned i = 0; i < 6; i++) {
        wbi_call_give(lasts[i]);
    }
    close_all();
}
END_TEST

static void *take_as_another(void *result)
{
    *(struct wb_call **)result = take_outside();
    return NULL;
}

static struct wb_call *taken_by_another(void)
{
    struct wb_call *call = NULL;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, take_as_another, &call), 0);
    pthread_join(thread, NULL);
    return call;
}

/* What is the lane's own is taken by who holds it alone. */
START_TEST(test_others_keep_off_what_is_the_lanes)
{
    open_with(8);
    struct wb_call *taken[8];
    unsigned count = 0;
    while (count < 8 && (taken[count] = taken_by_another()) != NULL) {
        ck_assert(taken[count++] < lane->calls.own);
    }
    ck_assert_uint_eq(count, 6);
    ck_assert(wbi_calls_have_room(&lane->calls));
    wbi_lane_leave(lane);
    taken[count] = taken_by_another();
    ck_assert_ptr_nonnull(taken[count]);
    ck_assert(taken[count++] >= lane->calls.own);
    ck_assert_int_eq(wbi_lane_enter_waiting(lane), WBI_LANE_ENTERED);
    while (count > 0) {
        wbi_call_give(taken[--count]);
    }
    close_all();
}
END_TEST

/* ---- given back by other threads ---- */

enum { HANDED = 20000 };

static struct wb_call *_Atomic handed;
static _Atomic bool ends;

static void *give_all(void *nothing)
{
    (void)nothing;
    while (!atomic_load(&ends) || atomic_load(&handed) != NULL) {
        struct wb_call *call = atomic_exchange(&handed, NULL);
        if (call != NULL) {
            ck_assert_int_eq((int)call->timeout_us, 1);
            call->timeout_us = 0;
            wbi_call_give(call);
        }
    }
    return NULL;
}

START_TEST(test_given_back_by_another_thread)
{
    pthread_t thread;
    open_with(_i == 0 ? 8 : 64);
    atomic_store(&ends, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, give_all, NULL), 0);
    for (unsigned i = 0; i < HANDED; i++) {
        struct wb_call *call;
        while ((call = i % 5 == 0 ? take_outside() : take()) == NULL) {
            sched_yield();
        }
        ck_assert_int_eq((int)call->timeout_us, 0); /* nobody else has it */
        call->timeout_us = 1;
        struct wb_call *none = NULL;
        while (!atomic_compare_exchange_weak(&handed, &none, call)) {
            none = NULL;
            sched_yield();
        }
    }
    atomic_store(&ends, true);
    pthread_join(thread, NULL);
    close_all();
}
END_TEST

/* ---- taken by several threads, none of which keeps the lane ---- */

static void *take_and_give(void *nothing)
{
    (void)nothing;
    for (unsigned i = 0; i < HANDED;) {
        struct wb_call *call = take_outside();
        if (call != NULL) {
            ck_assert(call->timeout_us == 0); /* nobody else has it */
            call->timeout_us = 1;
            call->timeout_us = 0;
            wbi_call_give(call);
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

START_TEST(test_taken_by_several_threads)
{
    pthread_t threads[2];
    struct wb_call *kept[6];
    open_with(8);
    for (unsigned i = 0; i < 6; i++) { /* so that they all but live on the lane's own */
        kept[i] = take_outside();
    }
    wbi_lane_leave(lane);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(wbi_lane_enter_waiting(lane), WBI_LANE_ENTERED);
    for (unsigned i = 0; i < 6; i++) {
        wbi_call_give(kept[i]);
    }
    close_all();
}
END_TEST

/* One that holds the lane, and is asked, lends what it does not need, and has it back. */
START_TEST(test_lent_on_demand)
{
    struct wb_call *taken[8];
    open_with(8);
    for (unsigned i = 0; i < 6; i++) {
        taken[i] = taken_by_another();
    }
    ck_assert_ptr_null(taken_by_another());
    wbi_lane_leave(lane); /* which looks at what it was asked */
    ck_assert_int_eq(wbi_lane_enter_waiting(lane), WBI_LANE_ENTERED);
    for (unsigned i = 6; i < 8; i++) {
        ck_assert(wbi_calls_are_listed(&lane->calls));
        taken[i] = taken_by_another();
        ck_assert_ptr_nonnull(taken[i]);
    }
    ck_assert(!wbi_calls_have_room(&lane->calls));
    wbi_call_give(taken[7]);
    ck_assert(!wbi_calls_are_listed(&lane->calls));
    ck_assert_ptr_eq(take(), taken[7]);
    for (unsigned i = 0; i < 8; i++) {
        wbi_call_give(taken[i]);
    }
    close_all();
}
END_TEST

struct many {
    struct wb_call **calls;
    uint32_t count;
};

static void *take_many_as_another(void *argument)
{
    struct many *many = argument;
    for (uint32_t i = 0; i < many->count; i++) {
        many->calls[i] = take_outside();
        ck_assert_ptr_nonnull(many->calls[i]);
    }
    ck_assert_ptr_null(take_outside()); /* and asks the lane for one more */
    return NULL;
}

/* A loan takes little of what is the lane's own. */
START_TEST(test_few_are_lent)
{
    static struct wb_call *taken[MOST];
    pthread_t thread;
    open_with(1024);
    struct many many = {taken, 1024 - lane->calls.own_count};
    ck_assert_int_eq(pthread_create(&thread, NULL, take_many_as_another, &many), 0);
    pthread_join(thread, NULL);
    wbi_lane_leave(lane);
    ck_assert_int_eq(wbi_lane_enter_waiting(lane), WBI_LANE_ENTERED);
    ck_assert(wbi_calls_are_listed(&lane->calls));
    unsigned still_own = 0;
    for (uint32_t i = 0; i < lane->calls.own_count; i++) {
        still_own += atomic_load(&lane->calls.own[i].state) == WBI_CALL_FREE;
    }
    ck_assert_uint_lt(still_own, lane->calls.own_count);
    ck_assert_uint_ge(still_own, lane->calls.own_count - 8);
    for (uint32_t i = 0; i < many.count; i++) {
        wbi_call_give(taken[i]);
    }
    close_all();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("calls");
    TCase *tcase = test_program_case("calls", NULL, 0);
    tcase_add_loop_test(tcase, test_each_call_is_taken_once, 0, 2 * SIZES);
    tcase_add_test(tcase, test_few_calls_stay_few);
    tcase_add_test(tcase, test_others_keep_off_what_is_the_lanes);
    tcase_add_loop_test(tcase, test_given_back_by_another_thread, 0, 2);
    tcase_add_test(tcase, test_taken_by_several_threads);
    tcase_add_test(tcase, test_lent_on_demand);
    tcase_add_test(tcase, test_few_are_lent);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
