/* Who is in a lane: one at a time, whether it is owned or not; and what is left by those who do not
 * get in is found by those who were in. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "engine/hold.h"
#include "tests/engine/scene.h"

static struct wbi_hold hold;

static void reset(void)
{
    hold = (struct wbi_hold){0};
}

/* Comes and goes until the lane is the calling thread's own, or cannot be. */
static void come_to_own(void)
{
    for (unsigned i = 0; i < WBI_HOLD_ALONE; i++) {
        wbi_hold_enter(&hold);
        wbi_hold_leave(&hold);
    }
}

static bool is_own(void)
{
    uintptr_t number = atomic_load(&hold.owner) ^ (uintptr_t)wbi_thread_token();
    return number < WBI_HOLD_OWNERS;
}

static bool has_barriers; /* of the kernel's: without them nobody owns a lane */

START_TEST(test_one_that_comes_alone)
{
    reset();
    come_to_own();
    ck_assert(is_own() == has_barriers);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(!wbi_hold_is_mine(&hold));
        ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_ENTERED);
        ck_assert(wbi_hold_is_mine(&hold));
        ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_NESTED);
        wbi_hold_leave(&hold);
    }
}
END_TEST

/* What another thread is told: he tries once, and leaves if he got in. */
static void *try(void *entry)
{
    *(enum wbi_entry_kind *)entry = wbi_hold_enter(&hold);
    if (*(enum wbi_entry_kind *)entry == WBI_LANE_ENTERED) {
        wbi_hold_leave(&hold);
    }
    return NULL;
}

static enum wbi_entry_kind another_tries(void)
{
    pthread_t thread;
    enum wbi_entry_kind entry;
    ck_assert_int_eq(pthread_create(&thread, NULL, try, &entry), 0);
    pthread_join(thread, NULL);
    return entry;
}

START_TEST(test_another_takes_it_away)
{
    reset();
    for (unsigned owners = 0; owners < 2 * WBI_HOLD_OWNERS; owners++) {
        come_to_own();
        ck_assert(is_own() == (has_barriers && owners < WBI_HOLD_OWNERS));
        ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_ENTERED);
        for (unsigned tries = 0; tries < 3; tries++) {
            ck_assert_int_eq(another_tries(), WBI_LANE_BUSY);
            ck_assert(!is_own());
        }
        ck_assert(wbi_hold_is_mine(&hold));
        wbi_hold_leave(&hold);
        ck_assert_int_eq(another_tries(), WBI_LANE_ENTERED);
        ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_ENTERED);
        wbi_hold_leave(&hold);
    }
}
END_TEST

START_TEST(test_taken_away_between_two_visits)
{
    reset();
    come_to_own();
    ck_assert_int_eq(another_tries(), WBI_LANE_ENTERED);
    ck_assert(!is_own());
    ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_ENTERED);
    wbi_hold_leave(&hold);
}
END_TEST

/* ---- many ---- */

enum { THREADS = 3, BURSTS = 2000, ALONE = 3 * WBI_HOLD_ALONE };

static atomic_uint left;    /* things that are to be done by whoever is in */
static unsigned long done;  /* of those who are in: no two at a time */
static unsigned inside_now; /* likewise */

/* Leaves one thing to be done, and does what is there if it gets in, as lanes' threads do. */
static void visit(void)
{
    atomic_fetch_add(&left, 1);
    while (atomic_load(&left) != 0 && wbi_hold_enter(&hold) == WBI_LANE_ENTERED) {
        test_check(inside_now++ == 0, "two at a time");
        done += atomic_exchange(&left, 0);
        inside_now--;
        wbi_hold_leave(&hold);
    }
}

/* In bursts, so that each is alone for long enough now and then. */
static void *come_and_go(void *number)
{
    unsigned me = *(unsigned *)number;
    for (unsigned burst = 0; burst < BURSTS; burst++) {
        unsigned visits = burst % THREADS == me ? ALONE : burst % 7;
        for (unsigned i = 0; i < visits; i++) {
            visit();
        }
    }
    return NULL;
}

static unsigned long visits_of(unsigned me)
{
    unsigned long sum = 0;
    for (unsigned burst = 0; burst < BURSTS; burst++) {
        sum += burst % THREADS == me ? ALONE : burst % 7;
    }
    return sum;
}

START_TEST(test_one_at_a_time_and_nothing_is_left)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    unsigned long all = 0;
    reset();
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        all += visits_of(i);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(atomic_load(&left), 0);
    ck_assert_uint_eq(done, all);
}
END_TEST

/* ---- the moment at which it is taken away ---- */

enum { ROUNDS = 200000, SPINS = 1000 };

static atomic_uint meetings; /* each round both come twice: before it and behind it */
static atomic_bool over;

static void meet(unsigned *met)
{
    *met += 2;
    atomic_fetch_add(&meetings, 1);
    for (unsigned spins = 1; atomic_load(&meetings) < *met; spins++) {
        if (spins % SPINS == 0) {
            sched_yield();
        }
    }
}

/* Does what is there, if it gets in. */
static void enter_once(void)
{
    if (wbi_hold_enter(&hold) == WBI_LANE_ENTERED) {
        test_check(inside_now++ == 0, "two at a time");
        done += atomic_load_explicit(&left, memory_order_relaxed);
        atomic_store_explicit(&left, 0, memory_order_relaxed);
        inside_now--;
        wbi_hold_leave(&hold);
    }
}

/* A few instructions' time, another one in each round. */
static void dawdle(unsigned round)
{
    for (volatile unsigned i = 0; i < round % 64; i++) {
    }
}

static void *take_away(void *nothing)
{
    unsigned met = 0;
    meet(&met);
    for (unsigned round = 0; !atomic_load(&over); round++) {
        if (round % 2 != 0) { /* a first time, while the owner is in */
            enter_once();
            meet(&met);
        }
        dawdle(round / 2);
        atomic_store(&left, 1);
        enter_once();
        meet(&met);
        meet(&met);
    }
    return nothing;
}

/* The owner comes and goes, and looks. */
static void visit_as_owner(unsigned round, unsigned *met)
{
    atomic_store(&hold.owner, has_barriers ? (uintptr_t)wbi_thread_token() : 0);
    if (round % 2 == 0) {
        meet(met);
        dawdle(round / 128);
        enter_once();
    } else {
        ck_assert_int_eq(wbi_hold_enter(&hold), WBI_LANE_ENTERED);
        meet(met);
        meet(met);
        dawdle(round / 128);
        wbi_hold_leave(&hold);
    }
    if (atomic_load(&left) != 0) {
        enter_once();
    }
}

/* The owner looks once after he has left, and the other leaves something and tries once: whoever is
 * last has to find it. */
START_TEST(test_what_is_left_at_the_last_moment)
{
    pthread_t other;
    unsigned met = 0;
    uint64_t start = test_clock_us();
    ck_assert_int_eq(pthread_create(&other, NULL, take_away, NULL), 0);
    for (unsigned round = 0; !atomic_load(&over); round++) {
        reset();
        visit_as_owner(round, &met);
        meet(&met);
        test_check(atomic_load(&left) == 0, "something is left, and nobody will look");
        atomic_store(&over, round == ROUNDS || test_clock_us() - start > test_patience_us / 10);
    }
    meet(&met);
    pthread_join(other, NULL);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_one_that_comes_alone, test_another_takes_it_away, test_taken_away_between_two_visits,
        test_one_at_a_time_and_nothing_is_left, test_what_is_left_at_the_last_moment};
    has_barriers = wbi_hold_prepare();
    Suite *suite = suite_create("engine: who is in a lane");
    suite_add_tcase(suite, test_program_case("hold", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
