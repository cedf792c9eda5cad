/* Workers of an executor that sleep in an engine hear of the executor's work. They sleep here until
 * they are woken, or until the test has lost its patience: a wake-up that is lost is seen. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <waybill/waybill.h>

#include "engine/clock.h"
#include "engine/defer.h"
#include "engine/engine.h"
#include "tests/support/program.h"
#include "tests/support/scale.h"

#define TEST_HOLD_IN(F) F(VALUE, u32, number)
#define TEST_HOLD_OUT(F) F(VALUE, u32, number)
WB_ACTION(hold, TEST_HOLD_IN, TEST_HOLD_OUT)

#define TEST_POKE_IN(F) F(VALUE, u32, number)
#define TEST_POKE_OUT(F)
WB_ACTION(poke, TEST_POKE_IN, TEST_POKE_OUT)

enum { WORKERS_MOST = 3 };

static char url[64];
static struct wb_engine *host, *friend;
static struct wb_peer *peer, *back; /* and how the host sees it */
static struct wb_deferred *_Atomic held[WORKERS_MOST];
static atomic_uint held_count, given, taken, done, overslept;
static atomic_uint ended; /* threads that have waited for their call */
static bool long_has_run; /* what took as long as the thread slept */

/* ---- sleeping, which the linker takes here ---- */

static _Thread_local bool sleeps_long;

void __real_wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us);
void __wrap_wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us);
int __real_wbi_wait(int fd, uint64_t timeout_us);
int __wrap_wbi_wait(int fd, uint64_t timeout_us);

/* Whether the sleep that has begun then was ended by its time. */
static void check_sleep(uint64_t start)
{
    atomic_fetch_add(&overslept, test_clock_us() - start >= test_patience_us);
}

void __wrap_wbi_park(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_us)
{
    uint64_t start = test_clock_us();
    __real_wbi_park(word, expected, sleeps_long ? test_patience_us : timeout_us);
    check_sleep(start);
}

int __wrap_wbi_wait(int fd, uint64_t timeout_us)
{
    uint64_t start = test_clock_us();
    int ready = __real_wbi_wait(fd, sleeps_long ? test_patience_us : timeout_us);
    check_sleep(start);
    return ready;
}

/* The calling thread's. */
static _Thread_local unsigned yields;

int __real_sched_yield(void);
int __wrap_sched_yield(void);

int __wrap_sched_yield(void)
{
    yields++;
    return __real_sched_yield();
}

/* ---- the executor ---- */

static bool help(void *self)
{
    (void)self;
    unsigned next = atomic_load(&taken);
    while (next < atomic_load(&given)) {
        if (atomic_compare_exchange_weak(&taken, &next, next + 1)) {
            atomic_fetch_add(&done, 1);
            return true;
        }
    }
    return false;
}

static const struct wb_executor executor = {.help = help};

struct worker {
    pthread_t thread;
    const struct wb_executor *executor;
    int status;
};

/* Waits for a call that is answered at the end of the test, and helps meanwhile. */
static void *work(void *context)
{
    struct worker *worker = context;
    struct wb_call_options options = {.timeout_us = 2 * test_patience_us};
    struct hold_in in;
    struct hold_out out;
    memset(&in, 0, sizeof in);
    sleeps_long = true;
    wb_executor_adopt(worker->executor);
    worker->status = hold_call(peer, &in, &out, &options);
    wb_executor_adopt(NULL);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void start(struct worker *worker, const struct wb_executor *its_executor)
{
    *worker = (struct worker){.executor = its_executor};
    ck_assert_int_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
}

/* ---- the scene ---- */

static void await_count(const atomic_uint *count, unsigned wanted)
{
    uint64_t start = test_clock_us();
    while (atomic_load(count) < wanted && test_clock_us() - start < test_patience_us) {
        sched_yield();
    }
    ck_assert_uint_ge(atomic_load(count), wanted);
}

static int on_hold(struct wb_context *context, struct hold_in *in, struct hold_out *out, void *user)
{
    struct wb_deferred *deferred;
    (void)in;
    (void)out;
    (void)user;
    back = wb_context_peer(context);
    int status = wb_context_defer(context, &deferred);
    if (status == WB_OK) {
        atomic_store(&held[atomic_load(&held_count)], deferred);
        atomic_fetch_add(&held_count, 1);
    }
    return status;
}

/* Takes long: until the thread that sleeps has gone. */
static int on_poke(struct wb_context *context, struct poke_in *in, struct poke_out *out, void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    await_count(&ended, 1);
    long_has_run = true;
    return WB_OK;
}

static void then_take_long(struct wb_call *call, void *user)
{
    int *status = user;
    struct hold_out out;
    await_count(&ended, 1);
    *status = hold_finish(call, &out);
    long_has_run = true;
}

static void open_scene(uint64_t spin_us)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.spin_us = spin_us;
    atomic_store(&held_count, 0);
    atomic_store(&given, 0);
    atomic_store(&taken, 0);
    atomic_store(&done, 0);
    atomic_store(&overslept, 0);
    atomic_store(&ended, 0);
    long_has_run = false;
    snprintf(url, sizeof url, "shm://wake.%ld", (long)getpid());
    ck_assert_int_eq(wb_engine_create(NULL, &host), WB_OK);
    ck_assert_int_eq(hold_register(host, on_hold, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(host, url), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 1), WB_OK);
    ck_assert_int_eq(wb_engine_create(&config, &friend), WB_OK);
    ck_assert_int_eq(poke_register(friend, on_poke, NULL), WB_OK);
    ck_assert_int_eq(wb_connect(friend, url, &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, test_patience_us), WB_OK);
}

static void close_scene(void)
{
    wb_peer_close(peer);
    wb_engine_destroy(friend);
    wb_engine_destroy(host);
}

/* One piece of work at a time: in half of the rounds all workers sleep before, in the others they
 * may be anywhere. */
static void give_work(unsigned workers)
{
    unsigned rounds = test_scaled(12);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = test_clock_us();
        while (i % 2 == 0 && atomic_load(&friend->sleepers.count) < workers &&
               test_clock_us() - start < test_patience_us) {
            sched_yield();
        }
        atomic_fetch_add(&given, 1);
        wb_executor_wake(&executor);
        await_count(&done, i + 1);
    }
}

static void start_workers(struct worker *workers, unsigned count, const struct wb_executor *its)
{
    for (unsigned i = 0; i < count; i++) {
        start(&workers[i], its);
    }
    await_count(&held_count, count);
}

static void reply(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct hold_out out = {.number = i};
        ck_assert_int_eq(hold_reply(atomic_load(&held[i]), &out), WB_OK);
    }
}

static void end_workers(struct worker *workers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].status, WB_OK);
    }
    ck_assert_uint_eq(atomic_load(&overslept), 0);
    close_scene();
}

static void wake_workers(unsigned count, uint64_t spin_us)
{
    struct worker workers[WORKERS_MOST];
    open_scene(spin_us);
    start_workers(workers, count, &executor);
    give_work(count);
    reply(count);
    end_workers(workers, count);
}

START_TEST(test_one_that_sleeps_on_the_network)
{
    wake_workers(1, 0);
}
END_TEST

START_TEST(test_one_that_spins_before)
{
    wake_workers(1, 20);
}
END_TEST

START_TEST(test_several)
{
    wake_workers(WORKERS_MOST, 0);
}
END_TEST

/* ---- an end that is found just before something long ---- */

/* None of the threads sleeps on the network: somebody seems to. */
static void open_sleep(struct worker *workers, unsigned count, const struct wb_executor *its)
{
    open_scene(0);
    ck_assert(wbi_sleepers_join(friend));
    atomic_store(&friend->sleeper, 1);
    start_workers(workers, count, its);
    await_count(&friend->sleepers.count, count);
}

static void close_sleep(struct worker *workers, unsigned count)
{
    atomic_store(&friend->sleeper, 0);
    wbi_sleepers_resign(friend);
    end_workers(workers, count);
}

/* From now on this thread is all that makes progress. */
static void reply_alone(unsigned count)
{
    ck_assert_int_eq(wb_engine_halt(host), WB_OK);
    reply(count);
}

static void progress_until_long_has_run(void)
{
    uint64_t begun = test_clock_us();
    while (!long_has_run && test_clock_us() - begun < test_patience_us) {
        ck_assert_int_ge(wb_progress(friend), 0);
    }
}

START_TEST(test_an_end_before_a_long_handler)
{
    struct worker worker;
    struct wb_call *call;
    struct poke_in in = {.number = 0};
    struct poke_out out;
    open_sleep(&worker, 1, NULL);
    reply_alone(1);
    ck_assert_int_eq(poke_async(back, &in, NULL, &call), WB_OK);
    progress_until_long_has_run();
    ck_assert_int_eq(wb_call_wait(call, test_patience_us), WB_OK);
    ck_assert_int_eq(poke_finish(call, &out), WB_OK);
    ck_assert(long_has_run);
    close_sleep(&worker, 1);
}
END_TEST

START_TEST(test_an_end_before_a_long_callback)
{
    struct worker worker;
    struct wb_call *call;
    int status = WB_AGAIN;
    struct hold_in in = {.number = 0};
    struct wb_call_options options = {.then = then_take_long, .user = &status};
    open_sleep(&worker, 1, NULL);
    ck_assert_int_eq(hold_async(peer, &in, &options, &call), WB_OK);
    await_count(&held_count, 2);
    reply_alone(2);
    progress_until_long_has_run();
    ck_assert_int_eq(status, WB_OK);
    ck_assert(long_has_run);
    close_sleep(&worker, 1);
}
END_TEST

/* ---- who is called for nothing but progress ---- */

/* The first of those that lie, as whoever goes and leaves too few does it. */
static void call_first(void)
{
    pthread_mutex_lock(&friend->sleepers.lock);
    struct wbi_sleeper *first = friend->sleepers.first;
    while (first->network) {
        first = first->next;
    }
    pthread_mutex_unlock(&friend->sleepers.lock);
    wbi_sleepers_wake_this(friend, first); /* nobody else calls it */
}

/* It finds another at that, and lies down again. If it looked for work instead, it would do so for
 * longer than the test has patience. */
START_TEST(test_called_for_nothing_but_progress)
{
    struct worker workers[WORKERS_MOST];
    open_sleep(workers, WORKERS_MOST, &executor);
    friend->config.spin_us = 2 * test_patience_us; /* whoever is called sees it */
    for (unsigned i = 0; i < WORKERS_MOST; i++) {
        call_first();
        await_count(&friend->sleepers.count, WORKERS_MOST);
    }
    reply(WORKERS_MOST);
    close_sleep(workers, WORKERS_MOST);
}
END_TEST

/* ---- who has no time ---- */

START_TEST(test_no_time_to_give_away)
{
    struct worker worker;
    struct wb_call *call;
    struct hold_in in = {.number = 0};
    struct hold_out out = {.number = 0};
    open_sleep(&worker, 1, NULL);
    ck_assert_int_eq(hold_async(peer, &in, NULL, &call), WB_OK);
    await_count(&held_count, 2);
    yields = 0;
    ck_assert_int_eq(wb_call_wait(call, 0), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(yields, 0);
    reply_alone(2);
    ck_assert_int_eq(wb_call_wait(call, test_patience_us), WB_OK);
    ck_assert_int_eq(hold_finish(call, &out), WB_OK);
    close_sleep(&worker, 1);
}
END_TEST

START_TEST(test_of_another_executor)
{
    static const struct wb_executor other = {.help = help};
    struct wbi_helper helper;
    struct wbi_sleeper sleeper = {.network = false};
    open_scene(0);
    wb_executor_adopt(&executor);
    wbi_helper_open(&helper, friend);
    wb_executor_wake(&other);
    ck_assert(wbi_helper_sleeps(&helper, &sleeper)); /* it was not meant */
    wbi_helper_wakes(&helper);
    wb_executor_wake(&executor);
    ck_assert(!wbi_helper_sleeps(&helper, &sleeper)); /* it was about to sleep, and is not to */
    wbi_helper_wakes(&helper);
    ck_assert(wbi_helper_close(&helper));
    wb_executor_adopt(NULL);
    close_scene();
}
END_TEST

/* Work that a helper looks for may fork: what it returns to in the child is in no list there. */
START_TEST(test_in_a_child_of_fork)
{
    struct wbi_helper before, last, helper;
    struct wbi_sleeper sleeper = {.network = false};
    wb_executor_adopt(&executor);
    wbi_helper_open(&before, NULL);
    wbi_helper_open(&last, NULL);
    wbi_helpers_forget();
    wbi_helper_open(&helper, NULL);
    wbi_helper_close(&last);
    wbi_helper_close(&before);
    wb_executor_wake(&executor);
    ck_assert(!wbi_helper_sleeps(&helper, &sleeper));
    wbi_helper_wakes(&helper);
    ck_assert(wbi_helper_close(&helper));
    wb_executor_adopt(NULL);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: work for those that sleep");
    const TTest *const tests[] = {test_one_that_sleeps_on_the_network,
                                  test_one_that_spins_before,
                                  test_several,
                                  test_of_another_executor,
                                  test_an_end_before_a_long_handler,
                                  test_an_end_before_a_long_callback,
                                  test_no_time_to_give_away,
                                  test_in_a_child_of_fork,
                                  test_called_for_nothing_but_progress};
    suite_add_tcase(suite, test_program_case("wake", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
