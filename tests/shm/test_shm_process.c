/* Peers in processes of their own, which die, stop and come again. */
#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shm/side.h"

enum { CHUNK = 3 << 20, DEATH_NOTICED_US = 2000000 };

/* What a child tells its parent first. */
struct greeting {
    struct wbi_offer slab;
    struct wbi_offer user;
};

static char name[64];
static pid_t child;
static unsigned fds_before, maps_before;

static _Atomic unsigned *echoed; /* by the child; shared with it */

/* Answers each message with itself. */
static void echo(struct test_end *end, const uint8_t *bytes, size_t len)
{
    uint8_t *slot;
    if (wbi_shm_fabric.reserve(end->channel, len, false, &slot) == WB_OK) {
        memcpy(slot, bytes, len);
        wbi_shm_fabric.send(end->channel, len);
        atomic_fetch_add(echoed, 1);
    }
}

static void greet(struct test_side *side, struct wbi_region *slab, struct wbi_mr *mr)
{
    static uint8_t memory[CHUNK];
    static struct greeting greeting;
    struct test_end *end = side->ends[side->end_count - 1];
    test_fill(memory, CHUNK, 2);
    greeting.slab =
        (struct wbi_offer){.data = slab->base, .len = CHUNK, .mr = mr, .region_base = slab->base};
    greeting.user = (struct wbi_offer){.data = memory, .len = CHUNK};
    while (wbi_shm_fabric.offer(end->channel, &greeting.slab) != WB_OK) {
        wbi_shm_fabric.poll(side->lane);
    }
    TEST_OK(wbi_shm_fabric.offer(end->channel, &greeting.user));
    test_send(end, NULL, &greeting, sizeof greeting);
}

/* The child: listens, greets who connects, echoes. Never returns. */
static void serve(void)
{
    static struct test_side side;
    test_side_open(&side, 0);
    side.on_message = echo;
    struct wbi_region slab = test_slab(CHUNK);
    struct wbi_mr *mr;
    test_fill(slab.base, CHUNK, 1);
    TEST_OK(side.registrar.reg(side.registrar.context, &slab, &mr));
    TEST_OK(wbi_shm_fabric.listen(side.lane, name));
    for (unsigned greeted = 0;;) {
        wbi_shm_fabric.poll(side.lane);
        if (side.end_count > greeted) {
            greet(&side, &slab, mr);
            greeted++;
        }
    }
}

static pid_t start_child(void)
{
    pid_t pid = fork();
    TEST_THAT(pid >= 0); /* which says nothing to Check in the child */
    if (pid == 0) {
        alarm(60); /* outlives no failed test for long */
        test_become_child();
        serve();
    }
    return pid;
}

static void start(void)
{
    fds_before = test_open_fds();
    maps_before = test_mapped_memfds();
    snprintf(name, sizeof name, "%s", test_name());
    echoed = mmap(NULL, sizeof *echoed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(echoed, MAP_FAILED);
    child = start_child();
}

static void end_child(int signal)
{
    kill(child, signal);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

static void stop(void)
{
    end_child(SIGKILL);
    munmap(echoed, sizeof *echoed);
    ck_assert_uint_eq(test_open_fds(), fds_before);
    ck_assert_uint_eq(test_mapped_memfds(), maps_before);
}

/* Connects to the child and takes its greeting. */
static struct test_end *meet_child(struct test_side *side, struct greeting *greeting)
{
    struct test_end *end = NULL;
    int status;
    uint64_t limit = wbi_now() + 10000000;
    while ((status = test_connect(side, name, "hi", 2, &end)) == WB_ERR_REFUSED) {
        ck_assert_uint_lt(wbi_now(), limit);
        usleep(1000);
    }
    TEST_OK(status);
    test_until_flag(side, NULL, &end->connected);
    test_until_count(side, NULL, &end->messages, 1);
    ck_assert_uint_eq(end->last_len, sizeof *greeting);
    memcpy(greeting, end->last, sizeof *greeting);
    return end;
}

static void check_read(struct test_side *side, struct test_end *end, const struct wbi_offer *offer,
                       uint64_t seed)
{
    static uint8_t landing[CHUNK];
    struct test_read read;
    memset(landing, 0, sizeof landing);
    test_read_of(&read, offer, 0, CHUNK, landing);
    TEST_OK(wbi_shm_fabric.read(end->channel, &read.read));
    test_until_flag(side, NULL, &read.ended);
    TEST_OK(read.status);
    ck_assert(test_filled(landing, CHUNK, seed));
}

START_TEST(messages_and_reads_between_processes)
{
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    for (uint64_t i = 1; i <= 1000; i++) {
        test_send(end, NULL, &i, sizeof i);
        test_until_count(&side, NULL, &end->messages, i + 1);
        ck_assert_mem_eq(end->last, &i, sizeof i);
    }
    check_read(&side, end, &greeting.slab, 1);
    check_read(&side, end, &greeting.user, 2);
    test_side_close(&side);
}
END_TEST

START_TEST(a_killed_peer_is_noticed_while_polling)
{
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    for (int i = 0; i < 100; i++) {
        wbi_shm_fabric.poll(side.lane);
    }
    uint64_t before = wbi_now();
    end_child(SIGKILL);
    test_until_lost(&side, NULL, end);
    ck_assert_uint_lt(wbi_now() - before, DEATH_NOTICED_US);
    ck_assert_int_eq(end->lost, WB_ERR_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(end->reason, "died"));
    uint8_t *slot;
    ck_assert_int_eq(wbi_shm_fabric.reserve(end->channel, 8, false, &slot), WB_AGAIN);
    test_side_close(&side);
    child = start_child();
}
END_TEST

START_TEST(a_killed_peer_wakes_a_sleeper)
{
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    while (wbi_shm_fabric.arm(side.lane) != WB_OK) {
        wbi_shm_fabric.poll(side.lane);
    }
    kill(child, SIGKILL);
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(side.lane), DEATH_NOTICED_US), 1);
    test_until_lost(&side, NULL, end);
    test_side_close(&side);
}
END_TEST

START_TEST(what_a_killed_peer_had_sent_still_arrives)
{
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    for (uint64_t i = 0; i < 100; i++) {
        test_send(end, NULL, &i, sizeof i);
    }
    for (uint64_t limit = wbi_now() + 10000000; atomic_load(echoed) < 100;) {
        ck_assert_uint_lt(wbi_now(), limit);
        usleep(1000);
    }
    end_child(SIGKILL);
    test_until_lost(&side, NULL, end);
    ck_assert_uint_eq(end->messages, 101);
    test_side_close(&side);
    child = start_child();
}
END_TEST

START_TEST(reads_of_a_killed_peer_end)
{
    static uint8_t landing[CHUNK];
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    kill(child, SIGSTOP);
    struct test_read read;
    test_read_of(&read, &greeting.user, 0, CHUNK, landing);
    TEST_OK(wbi_shm_fabric.read(end->channel, &read.read));
    end_child(SIGKILL);
    test_until_lost(&side, NULL, end);
    test_end_close(end);
    ck_assert(read.ended);
    ck_assert_int_eq(read.status, WB_ERR_PEER_LOST);
    test_side_close(&side);
    child = start_child();
}
END_TEST

START_TEST(a_stopped_peer_holds_up_nothing)
{
    struct test_side side, other;
    struct test_end *at_other, *at_side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    for (int i = 0; i < 20000; i++) {
        wbi_shm_fabric.poll(side.lane); /* its slab is mapped meanwhile */
    }
    kill(child, SIGSTOP);
    check_read(&side, end, &greeting.slab, 1); /* which asks nothing of the peer */
    test_side_open(&other, 0);
    test_meet(&side, &other, &at_side, &at_other);
    uint8_t *slot;
    while (wbi_shm_fabric.reserve(end->channel, 1000, false, &slot) == WB_OK) {
        memset(slot, 0, 1000);
        wbi_shm_fabric.send(end->channel, 1000);
    }
    for (uint64_t i = 1; i <= 1000; i++) {
        test_send(at_other, NULL, &i, sizeof i);
        test_until_count(&side, NULL, &at_side->messages, i);
    }
    ck_assert_int_eq(end->lost, WB_OK);
    test_end_close(end); /* does not wait for the stopped one either */
    test_side_close(&other);
    test_side_close(&side);
    kill(child, SIGCONT);
}
END_TEST

/* Whether this process may read its child's memory: a sandbox or a security module can forbid it.
 */
static bool may_take(void)
{
    char copy[sizeof name];
    struct iovec here = {copy, sizeof copy};
    struct iovec there = {name, sizeof name};
    return process_vm_readv(child, &here, 1, &there, 1, 0) == (ssize_t)sizeof copy;
}

/* Where it may, user memory of a stopped peer is read all the same; elsewhere the READ waits. */
START_TEST(staged_reads_of_a_stopped_peer)
{
    static uint8_t landing[CHUNK];
    struct test_side side;
    struct greeting greeting;
    test_side_open(&side, 0);
    struct test_end *end = meet_child(&side, &greeting);
    kill(child, SIGSTOP);
    struct test_read reads[3];
    for (int i = 0; i < 3; i++) {
        test_read_of(&reads[i], &greeting.user, (uint64_t)i << 20, 1 << 20, landing + (i << 20));
        TEST_OK(wbi_shm_fabric.read(end->channel, &reads[i].read));
    }
    if (may_take()) {
        test_until_flag(&side, NULL, &reads[2].ended);
    }
    kill(child, SIGCONT);
    for (int i = 0; i < 3; i++) {
        test_until_flag(&side, NULL, &reads[i].ended);
        TEST_OK(reads[i].status);
    }
    ck_assert(test_filled(landing, CHUNK, 2));
    for (int i = 0; i < 20; i++) { /* the late pieces disturb nothing that follows */
        check_read(&side, end, &greeting.user, 2);
    }
    test_side_close(&side);
}
END_TEST

START_TEST(the_name_is_free_after_kill_9)
{
    struct test_side side;
    struct greeting greeting;
    for (int i = 0; i < 5; i++) {
        test_side_open(&side, 0);
        meet_child(&side, &greeting);
        ck_assert_int_eq(wbi_shm_fabric.listen(side.lane, name), WB_ERR_IN_USE);
        end_child(SIGKILL);
        TEST_OK(wbi_shm_fabric.listen(side.lane, name));
        test_side_close(&side);
        child = start_child();
    }
}
END_TEST

START_TEST(a_forked_child_of_ours_does_not_keep_the_channel_open)
{
    struct test_side side, other;
    struct test_end *at_side, *at_other;
    test_side_open(&side, 0);
    test_side_open(&other, 0);
    test_meet(&side, &other, &at_side, &at_other);
    pid_t idler = fork();
    if (idler == 0) {
        alarm(60);
        for (;;) {
            pause();
        }
    }
    test_end_close(at_other);
    test_until_lost(&side, NULL, at_side);
    kill(idler, SIGKILL);
    waitpid(idler, NULL, 0);
    test_side_close(&other);
    test_side_close(&side);
}
END_TEST

int main(void)
{
    if (test_under_tsan()) {
        return 77; /* it sees one process only, and a fork of a threaded one not at all */
    }
    Suite *suite = suite_create("shm process");
    TCase *tests = tcase_create("process");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, messages_and_reads_between_processes);
    tcase_add_test(tests, a_killed_peer_is_noticed_while_polling);
    tcase_add_test(tests, a_killed_peer_wakes_a_sleeper);
    tcase_add_test(tests, what_a_killed_peer_had_sent_still_arrives);
    tcase_add_test(tests, reads_of_a_killed_peer_end);
    tcase_add_test(tests, a_stopped_peer_holds_up_nothing);
    tcase_add_test(tests, staged_reads_of_a_stopped_peer);
    tcase_add_test(tests, the_name_is_free_after_kill_9);
    tcase_add_test(tests, a_forked_child_of_ours_does_not_keep_the_channel_open);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
