/* Sleeping and waking: nothing that is published while a lane goes to sleep is slept over. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/shm/pair.h"

/* Far longer than any wake-up takes, and far shorter than a test's patience: a lost wake-up shows
 * as a count of these. */
enum { OVERSLEPT_US = 2000000 };

/* Sleeps until there is something, or says that it overslept. */
static bool sleep_well(struct test_side *side)
{
    if (wbi_shm_fabric.arm(side->lane) != WB_OK) {
        return true;
    }
    return wbi_wait(wbi_shm_fabric.fd(side->lane), OVERSLEPT_US) == 1;
}

static void settle(void)
{
    for (uint64_t limit = wbi_now() + 30000; wbi_now() < limit;) {
        wbi_shm_fabric.poll(server.lane);
        wbi_shm_fabric.poll(client.lane);
    }
}

START_TEST(an_idle_lane_can_sleep)
{
    settle();
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), 1000), 0);
}
END_TEST

START_TEST(wake_makes_the_descriptor_readable_once)
{
    settle();
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    wbi_shm_fabric.wake(server.lane);
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US), 1);
    wbi_shm_fabric.poll(server.lane);
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), 1000), 0);
}
END_TEST

START_TEST(a_wake_before_arming_is_not_lost)
{
    settle();
    wbi_shm_fabric.wake(server.lane);
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US), 1);
}
END_TEST

START_TEST(a_message_before_arming_says_again)
{
    settle();
    test_send(at_client, NULL, "x", 1);
    ck_assert_int_eq(wbi_shm_fabric.arm(server.lane), WB_AGAIN);
    wbi_shm_fabric.poll(server.lane);
    ck_assert_uint_eq(at_server->messages, 1);
}
END_TEST

START_TEST(a_message_after_arming_wakes)
{
    for (uint64_t i = 1; i <= 5; i++) {
        settle();
        TEST_OK(wbi_shm_fabric.arm(server.lane));
        test_send(at_client, NULL, "x", 1);
        ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US), 1);
        wbi_shm_fabric.poll(server.lane);
        ck_assert_uint_eq(at_server->messages, i);
    }
}
END_TEST

START_TEST(room_in_the_ring_wakes_a_starved_sender)
{
    uint8_t *slot;
    uint64_t sent = 0;
    settle();
    while (wbi_shm_fabric.reserve(at_client->channel, 1000, false, &slot) == WB_OK) {
        wbi_shm_fabric.send(at_client->channel, 1000);
        sent++;
    }
    while (wbi_shm_fabric.arm(client.lane) == WB_AGAIN) {
        wbi_shm_fabric.poll(client.lane);
    }
    test_until_count(&server, NULL, &at_server->messages, sent);
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(client.lane), OVERSLEPT_US), 1);
    wbi_shm_fabric.poll(client.lane);
    TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 1000, false, &slot));
}
END_TEST

START_TEST(a_connection_wakes_the_listener_and_the_answer_the_connector)
{
    struct test_end *end;
    char name[64];
    snprintf(name, sizeof name, "%s", test_name());
    TEST_OK(wbi_shm_fabric.listen(server.lane, name));
    settle();
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    TEST_OK(test_connect(&client, name, NULL, 0, &end));
    for (uint64_t limit = wbi_now() + OVERSLEPT_US; server.end_count < 2;) {
        ck_assert_uint_lt(wbi_now(), limit);
        ck_assert(sleep_well(&server));
        wbi_shm_fabric.poll(server.lane);
    }
    for (uint64_t limit = wbi_now() + OVERSLEPT_US; !end->connected;) {
        ck_assert_uint_lt(wbi_now(), limit);
        ck_assert(sleep_well(&client));
        wbi_shm_fabric.poll(client.lane);
    }
}
END_TEST

START_TEST(the_peers_close_wakes_and_then_lets_sleep)
{
    settle();
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    test_end_close(at_client);
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US), 1);
    wbi_shm_fabric.poll(server.lane);
    ck_assert_int_eq(at_server->lost, WB_ERR_PEER_LOST);
    TEST_OK(wbi_shm_fabric.arm(server.lane)); /* lost and not yet closed: no reason to stay awake */
    ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), 1000), 0);
}
END_TEST

/* ---- round trips between threads that sleep at random moments ---- */

struct sleeper {
    struct test_side *side;
    struct test_end *end;
    uint64_t rounds, overslept;
    unsigned seed;
    bool begins;
    int style; /* 0: sleeps at once, 1: polls a random while first */
};

static void *run_sleeper(void *argument)
{
    struct sleeper *sleeper = argument;
    struct test_end *end = sleeper->end;
    uint64_t sent = 0;
    while (end->messages < sleeper->rounds || sent < sleeper->rounds) {
        if (sent < sleeper->rounds &&
            (sleeper->begins ? end->messages == sent : end->messages > sent)) {
            uint8_t *slot;
            TEST_OK(wbi_shm_fabric.reserve(end->channel, 8, false, &slot));
            memcpy(slot, &sent, 8);
            wbi_shm_fabric.send(end->channel, 8);
            sent++;
            continue;
        }
        int polls = sleeper->style ? rand_r(&sleeper->seed) % 200 : 1;
        int done = 0;
        while (polls-- > 0 && done == 0) {
            done = wbi_shm_fabric.poll(sleeper->side->lane);
        }
        if (done == 0 && end->messages < sleeper->rounds && !sleep_well(sleeper->side)) {
            sleeper->overslept++;
        }
    }
    return NULL;
}

START_TEST(no_wake_up_is_lost)
{
    uint64_t rounds = test_under_tsan() ? 3000 : 50000;
    struct sleeper a = {&server, at_server, rounds, 0, 1, false, _i};
    struct sleeper b = {&client, at_client, rounds, 0, 2, true, _i};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_sleeper, &a), 0);
    run_sleeper(&b);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(a.overslept, 0);
    ck_assert_uint_eq(b.overslept, 0);
    ck_assert_uint_eq(at_client->messages, rounds);
}
END_TEST

/* ---- a message that is published in the very moment in which its receiver arms ---- */

struct crash {
    _Atomic uint64_t round; /* the receiver is about to arm for message number `round` */
    uint64_t rounds;
    unsigned seed;
};

static void wait_a_moment(unsigned *seed, int turns)
{
    for (int i = rand_r(seed) % turns; i > 0; i--) {
        atomic_signal_fence(memory_order_seq_cst); /* a turn of the loop, and no more */
    }
}

static void *run_sender(void *argument)
{
    struct crash *crash = argument;
    for (uint64_t round = 1; round <= crash->rounds; round++) {
        uint8_t *slot;
        TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 8, false, &slot));
        memcpy(slot, &round, 8);
        while (atomic_load(&crash->round) != round) {
        }
        wait_a_moment(&crash->seed, 64);
        wbi_shm_fabric.send(at_client->channel, 8);
    }
    return NULL;
}

START_TEST(no_message_is_slept_over)
{
    struct crash crash = {.rounds = test_under_tsan() ? 5000 : 300000, .seed = 1};
    unsigned seed = 2;
    unsigned slept = 0;
    pthread_t thread;
    settle();
    ck_assert_int_eq(pthread_create(&thread, NULL, run_sender, &crash), 0);
    for (uint64_t round = 1; round <= crash.rounds; round++) {
        atomic_store(&crash.round, round);
        wait_a_moment(&seed, 1000);
        while (at_server->messages < round) {
            if (wbi_shm_fabric.arm(server.lane) == WB_OK) {
                TEST_THAT(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US) == 1);
                slept++;
            }
            wbi_shm_fabric.poll(server.lane);
        }
    }
    pthread_join(thread, NULL);
    ck_assert_uint_gt(slept, 0);
}
END_TEST

/* ---- staged READs between threads that sleep ---- */

struct owner {
    _Atomic bool stop;
    uint64_t overslept;
};

static void *run_owner(void *argument)
{
    struct owner *owner = argument;
    while (!atomic_load(&owner->stop)) {
        if (wbi_shm_fabric.poll(server.lane) == 0) {
            if (wbi_shm_fabric.arm(server.lane) == WB_OK) {
                wbi_wait(wbi_shm_fabric.fd(server.lane), 100000);
            }
        }
    }
    return NULL;
}

START_TEST(staged_reads_wake_both_sides)
{
    static uint8_t memory[3 << 20];
    static uint8_t landing[sizeof memory];
    test_fill(memory, sizeof memory, 5);
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    TEST_OK(wbi_shm_fabric.offer(at_server->channel, &offer));
    struct owner owner = {.stop = false};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_owner, &owner), 0);
    for (int i = 0; i < 30; i++) {
        struct test_read read;
        memset(landing, 0, sizeof landing);
        test_read_of(&read, &offer, 0, sizeof memory, landing);
        TEST_OK(wbi_shm_fabric.read(at_client->channel, &read.read));
        while (!read.ended) {
            if (wbi_shm_fabric.poll(client.lane) == 0) {
                ck_assert(sleep_well(&client));
            }
        }
        ck_assert_int_eq(read.status, WB_OK);
        ck_assert(test_filled(landing, sizeof landing, 5));
    }
    atomic_store(&owner.stop, true);
    wbi_shm_fabric.wake(server.lane);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm sleep");
    TCase *tests = tcase_create("sleep");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, meet_pair, part_pair);
    tcase_add_test(tests, an_idle_lane_can_sleep);
    tcase_add_test(tests, wake_makes_the_descriptor_readable_once);
    tcase_add_test(tests, a_wake_before_arming_is_not_lost);
    tcase_add_test(tests, a_message_before_arming_says_again);
    tcase_add_test(tests, a_message_after_arming_wakes);
    tcase_add_test(tests, room_in_the_ring_wakes_a_starved_sender);
    tcase_add_test(tests, a_connection_wakes_the_listener_and_the_answer_the_connector);
    tcase_add_test(tests, the_peers_close_wakes_and_then_lets_sleep);
    tcase_add_loop_test(tests, no_wake_up_is_lost, 0, 2);
    tcase_add_test(tests, no_message_is_slept_over);
    tcase_add_test(tests, staged_reads_wake_both_sides);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
