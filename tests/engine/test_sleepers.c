/* Who of the threads that wait in an engine is woken by what: the list of them, without threads. */
#include <waybill/waybill.h>

#include "engine/engine.h"
#include "tests/support/program.h"

enum { SLEEPERS = 3 };

static struct wb_engine *engine;
static struct wbi_sleeper sleepers[SLEEPERS];
static struct wbi_vigil vigils[SLEEPERS];
static bool met[SLEEPERS];

static bool is_met(void *context)
{
    const bool *flag = context;
    return *flag;
}

/* Three lie, and one is awake: this one. */
static void open_scene(unsigned most)
{
    ck_assert_int_eq(wb_engine_create(NULL, &engine), WB_OK);
    engine->sleepers.most = most;
    engine->sleepers.needed = 1;
    ck_assert(wbi_sleepers_join(engine));
    for (unsigned i = 0; i < SLEEPERS; i++) {
        met[i] = false;
        vigils[i] = (struct wbi_vigil){.met = is_met, .context = &met[i], .wake = WBI_WAKE_MET};
        sleepers[i] = (struct wbi_sleeper){.vigil = &vigils[i]};
        ck_assert(wbi_sleepers_lie_down(engine, &sleepers[i], false));
    }
}

static void close_scene(void)
{
    for (unsigned i = 0; i < SLEEPERS; i++) {
        wbi_sleepers_get_up(engine, &sleepers[i]);
    }
    ck_assert_uint_eq(atomic_load(&engine->sleepers.count), 0);
    ck_assert_uint_eq(engine->sleepers.rising, 0);
    wb_engine_destroy(engine);
}

static bool is_woken(unsigned i)
{
    return atomic_load(&sleepers[i].woken) != 0;
}

START_TEST(test_an_end_wakes_whom_it_is_for)
{
    open_scene(SLEEPERS);
    wbi_sleepers_wake_met(engine);
    ck_assert(!is_woken(0) && !is_woken(1) && !is_woken(2));
    met[1] = true;
    wbi_sleepers_wake_met(engine);
    ck_assert(!is_woken(0) && is_woken(1) && !is_woken(2));
    close_scene();
}
END_TEST

START_TEST(test_one_after_the_other)
{
    open_scene(1);
    met[0] = met[2] = true;
    wbi_sleepers_wake_met(engine);
    ck_assert(is_woken(0) && !is_woken(1) && !is_woken(2));
    wbi_sleepers_wake_met(engine); /* the first is still on its way */
    ck_assert(!is_woken(2));
    wbi_sleepers_get_up(engine, &sleepers[0]);
    ck_assert(!is_woken(1) && is_woken(2));
    sleepers[0] = (struct wbi_sleeper){.vigil = &vigils[0]};
    ck_assert(wbi_sleepers_lie_down(engine, &sleepers[0], true));
    close_scene();
}
END_TEST

/* Callbacks may keep it: the next one is not to wait for that. */
START_TEST(test_not_after_one_that_looks)
{
    open_scene(1);
    sleepers[0].looks = true;
    met[0] = met[2] = true;
    wbi_sleepers_wake_met(engine);
    ck_assert(is_woken(0) && !is_woken(1) && is_woken(2));
    ck_assert_uint_eq(engine->sleepers.rising, 1);
    wbi_sleepers_look(engine, &sleepers[0]);
    close_scene();
}
END_TEST

START_TEST(test_the_last_wakes_another)
{
    open_scene(1);
    ck_assert(!wbi_sleepers_join(engine)); /* there are enough */
    wbi_sleepers_resign(engine);
    ck_assert(is_woken(0) && !is_woken(1) && !is_woken(2));
    ck_assert_uint_eq(atomic_load(&engine->sleepers.awake), 1);
    close_scene();
}
END_TEST

START_TEST(test_the_last_does_not_lie_down)
{
    struct wbi_sleeper last = {.vigil = &vigils[0]};
    open_scene(1);
    ck_assert(!wbi_sleepers_lie_down(engine, &last, true));
    ck_assert_uint_eq(atomic_load(&engine->sleepers.awake), 1);
    wbi_sleepers_wake_all(engine);
    ck_assert(is_woken(0) && is_woken(1) && is_woken(2));
    ck_assert(wbi_sleepers_crowd(engine));
    close_scene();
}
END_TEST

/* Each lane may keep one for long: two are to be awake, unless one sleeps on the network. */
START_TEST(test_one_for_each_lane)
{
    struct wbi_sleeper second = {.vigil = &vigils[0]};
    open_scene(2);
    engine->sleepers.needed = 2;
    ck_assert(wbi_sleepers_join(engine));
    ck_assert(!wbi_sleepers_lie_down(engine, &second, true));
    atomic_store(&engine->sleeper, 1);
    ck_assert(wbi_sleepers_lie_down(engine, &second, true));
    wbi_sleepers_get_up(engine, &second);
    wbi_sleepers_resign(engine);
    ck_assert(!is_woken(0) && !is_woken(1) && !is_woken(2));
    atomic_store(&engine->sleeper, 0);
    ck_assert(wbi_sleepers_join(engine));
    wbi_sleepers_resign(engine);
    ck_assert(is_woken(0) && !is_woken(1) && !is_woken(2));
    ck_assert_uint_eq(atomic_load(&engine->sleepers.awake), 2);
    close_scene();
}
END_TEST

/* Where that one is up again there are to be three, and no more than that whatever it does next. */
START_TEST(test_up_from_the_network)
{
    struct wbi_sleeper watch = {.vigil = &vigils[0]};
    open_scene(SLEEPERS);
    engine->sleepers.needed = 3;
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&engine->sleeper, 1);
        wbi_sleepers_watch(engine, &watch);
        ck_assert(i > 0 || (!is_woken(0) && !is_woken(1)));
        wbi_sleepers_unwatch(engine, &watch);
        ck_assert_uint_eq(atomic_load(&engine->sleeper), 0);
        ck_assert(is_woken(0) && is_woken(1) && !is_woken(2));
        ck_assert_uint_eq(atomic_load(&engine->sleepers.awake), 3);
    }
    close_scene();
}
END_TEST

START_TEST(test_the_one_on_the_network)
{
    bool watched = false;
    struct wbi_vigil vigil = {.met = is_met, .context = &watched, .wake = WBI_WAKE_MET};
    struct wbi_sleeper watch = {.vigil = &vigil};
    open_scene(1);
    atomic_store(&engine->sleeper, 1);
    wbi_engine_rouse(engine); /* there is none yet */
    ck_assert(!atomic_load(&engine->sleepers.called));
    wbi_sleepers_watch(engine, &watch);
    ck_assert(!wbi_sleepers_called(engine, &watch));
    wbi_sleepers_wake_all(engine); /* but not this one */
    ck_assert(!atomic_load(&engine->sleepers.called));
    watched = true;
    wbi_sleepers_wake_met(engine);
    ck_assert(atomic_load(&engine->sleepers.called));
    ck_assert(wbi_sleepers_called(engine, &watch));
    wbi_sleepers_unwatch(engine, &watch);
    ck_assert(!atomic_load(&engine->sleepers.called));
    wbi_engine_rouse(engine); /* none any more */
    ck_assert(!atomic_load(&engine->sleepers.called));
    close_scene();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: threads that sleep");
    const TTest *const tests[] = {test_an_end_wakes_whom_it_is_for, test_one_after_the_other,
                                  test_the_last_wakes_another,      test_the_last_does_not_lie_down,
                                  test_one_for_each_lane,           test_not_after_one_that_looks,
                                  test_the_one_on_the_network,      test_up_from_the_network};
    suite_add_tcase(suite, test_program_case("sleepers", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
