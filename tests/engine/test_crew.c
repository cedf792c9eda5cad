/* What the engine's own threads are like, and how asking for them fails. On every fabric they are
 * tested by conformance/case_crew.c. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <waybill/waybill.h>

#include "tests/support/program.h"

#define TEST_WHERE_IN(F)
#define TEST_WHERE_OUT(F)                                                                          \
    F(STRING, wb_str, thread)                                                                      \
    F(VALUE, i32, run) F(VALUE, i32, halt) F(VALUE, u8, takes_signals)
WB_ACTION(where, TEST_WHERE_IN, TEST_WHERE_OUT)

enum { NEVER = -1 };

static char url[64];
static struct wb_engine *host, *friend;
static struct wb_peer *peer;

/* ---- pthread_create, which the linker takes here ---- */

static int threads_left = NEVER; /* that can still be made */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                          void *argument)
{
    if (threads_left == 0) {
        return EAGAIN;
    }
    threads_left -= threads_left > 0;
    return __real_pthread_create(thread, attr, start, argument);
}

/* ---- the scene ---- */

static int on_where(struct wb_context *context, struct where_in *in, struct where_out *out,
                    void *user)
{
    char *name = user;
    sigset_t blocked;
    (void)in;
    pthread_getname_np(pthread_self(), name, 16);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    out->thread = wb_str_of(name);
    out->takes_signals = sigismember(&blocked, SIGTERM) != 1 || sigismember(&blocked, SIGINT) != 1;
    out->run = wb_engine_run(wb_context_engine(context), 1);
    out->halt = wb_engine_halt(wb_context_engine(context));
    return WB_OK;
}

static void open_scene(void)
{
    static char name[16];
    snprintf(url, sizeof url, "shm://crew.%ld", (long)getpid());
    ck_assert_int_eq(wb_engine_create(NULL, &host), WB_OK);
    ck_assert_int_eq(where_register(host, on_where, name), WB_OK);
    ck_assert_int_eq(wb_listen(host, url), WB_OK);
    ck_assert_int_eq(wb_engine_create(NULL, &friend), WB_OK);
    ck_assert_int_eq(wb_connect(friend, url, &peer), WB_OK);
}

static void close_scene(void)
{
    wb_peer_close(peer);
    wb_engine_destroy(friend);
    wb_engine_destroy(host);
}

/* Nobody drives the host but its own threads. */
static void assert_crew_serves(void)
{
    struct wb_call_options options = {.timeout_us = test_patience_us};
    struct where_in in;
    struct where_out out;
    memset(&in, 0, sizeof in);
    ck_assert_int_eq(where_call(peer, &in, &out, &options), WB_OK);
    ck_assert_uint_eq(out.thread.len, strlen("waybill-engine"));
    ck_assert_mem_eq(out.thread.data, "waybill-engine", out.thread.len);
    ck_assert(!out.takes_signals);
    ck_assert_int_eq(out.run, WB_ERR_DEADLOCK);
    ck_assert_int_eq(out.halt, WB_ERR_DEADLOCK);
    where_out_drop(&out);
}

START_TEST(test_handlers_run_there)
{
    open_scene();
    ck_assert_int_eq(wb_engine_run(host, 2), WB_OK);
    assert_crew_serves();
    close_scene();
}
END_TEST

START_TEST(test_what_is_refused)
{
    open_scene();
    ck_assert_int_eq(wb_engine_halt(host), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 0), WB_ERR_INVALID);
    ck_assert_int_eq(wb_engine_run(host, 65), WB_ERR_INVALID);
    ck_assert_int_eq(wb_engine_run(host, 64), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 1), WB_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "64 threads"));
    assert_crew_serves();
    ck_assert_int_eq(wb_engine_halt(host), WB_OK);
    ck_assert_int_eq(wb_engine_halt(host), WB_OK);
    ck_assert_int_eq(wb_engine_run(host, 1), WB_OK);
    assert_crew_serves();
    close_scene();
}
END_TEST

/* ---- threads that cannot be had ---- */

static unsigned count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;
    ck_assert_ptr_nonnull(tasks);
    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    return count;
}

START_TEST(test_some_that_cannot_be_made)
{
    open_scene();
    unsigned before = count_threads();
    for (int able = 0; able < 4; able++) {
        char words[64];
        threads_left = able;
        ck_assert_int_eq(wb_engine_run(host, 4), WB_ERR_SYSTEM);
        threads_left = NEVER;
        snprintf(words, sizeof words, "thread %d of 4", able + 1);
        ck_assert_ptr_nonnull(strstr(wb_last_error(), words));
        uint64_t start = test_clock_us(); /* the kernel lists a thread for a moment after its end */
        while (count_threads() > before && test_clock_us() - start < test_patience_us) {
            test_sleep_us(100);
        }
        ck_assert_uint_eq(count_threads(), before);
    }
    ck_assert_int_eq(wb_engine_run(host, 4), WB_OK);
    assert_crew_serves();
    close_scene();
}
END_TEST

/* ---- a child ---- */

START_TEST(test_a_child_has_none)
{
    open_scene();
    ck_assert_int_eq(wb_engine_run(host, 2), WB_OK);
    assert_crew_serves();
    pid_t child = fork();
    if (child == 0) {
        bool refused =
            wb_engine_run(host, 1) == WB_ERR_CLOSED && wb_engine_halt(host) == WB_ERR_CLOSED;
        wb_engine_destroy(host); /* does nothing, and does not wait for the parent's threads */
        _exit(refused ? 0 : 1);
    }
    int how = -1;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_int_eq(how, 0);
    assert_crew_serves();
    close_scene();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: threads of its own");
    const TTest *const tests[] = {test_handlers_run_there, test_what_is_refused,
                                  test_some_that_cannot_be_made, test_a_child_has_none};
    suite_add_tcase(suite, test_program_case("crew", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
