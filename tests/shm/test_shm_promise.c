/* Lanes that promise to stay awake for a while, so that their peers need no fences: promised once
 * they have been awake for long, kept before they sleep, and no message slept over. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/shm/lane.h"
#include "tests/shm/pair.h"
#include "tests/support/program.h"

enum { OVERSLEPT_US = 2000000 };

/* What the client is told of the server's attention. */
static uint32_t attention(void)
{
    return atomic_load(&at_client->channel->theirs.head->attention.word);
}

/* Polls the server until its attention is `wanted`; with `traffic` its channel is in use. */
static bool comes_to(uint32_t wanted, bool traffic)
{
    uint64_t start = wbi_now();
    while (attention() != wanted && wbi_now() - start < OVERSLEPT_US) {
        if (traffic) {
            test_send(at_client, NULL, "x", 1);
        }
        wbi_shm_fabric.poll(server.lane);
    }
    return attention() == wanted;
}

/* An unread message at the client, so that it sends without a fence. */
static void leave_one_unread(void)
{
    test_send(at_server, NULL, "x", 1);
    ck_assert(wbi_shm_ring_ready(&at_client->channel->in));
}

/* As after a sleep: it promises nothing, however long it took to meet. */
static void begin_awake(void)
{
    while (wbi_shm_fabric.arm(server.lane) == WB_AGAIN) {
        wbi_shm_fabric.poll(server.lane);
    }
    wbi_shm_fabric.poll(server.lane);
}

START_TEST(test_a_lane_in_use_promises)
{
    begin_awake();
    ck_assert_uint_eq(attention(), WBI_SHM_HOT);
    ck_assert(comes_to(WBI_SHM_PROMISED, true));
}
END_TEST

/* It is awake for as long as a message may take to be seen, and another promise needs its time. */
START_TEST(test_a_promise_is_kept_before_sleep)
{
    begin_awake();
    for (unsigned naps = 0; naps < 2; naps++) {
        ck_assert(comes_to(WBI_SHM_PROMISED, true));
        uint64_t start = wbi_now();
        ck_assert_int_eq(wbi_shm_fabric.arm(server.lane), WB_AGAIN);
        ck_assert_uint_eq(attention(), WBI_SHM_HOT);
        while (wbi_shm_fabric.arm(server.lane) == WB_AGAIN) {
            wbi_shm_fabric.poll(server.lane);
        }
        ck_assert_uint_ge(wbi_now() - start, 500);
        ck_assert_uint_eq(attention(), WBI_SHM_COLD);
        wbi_shm_fabric.poll(server.lane);
        ck_assert_uint_eq(attention(), WBI_SHM_HOT);
        TEST_OK(wbi_shm_fabric.arm(server.lane)); /* at once: it had promised nothing */
        wbi_shm_fabric.poll(server.lane);
    }
}
END_TEST

START_TEST(test_an_idle_lane_promises_nothing)
{
    ck_assert(comes_to(WBI_SHM_PROMISED, true));
    ck_assert(comes_to(WBI_SHM_HOT, false));
    for (uint64_t start = wbi_now(); wbi_now() - start < 20000;) {
        wbi_shm_fabric.poll(server.lane);
    }
    ck_assert_uint_eq(attention(), WBI_SHM_HOT);
    TEST_OK(wbi_shm_fabric.arm(server.lane));
}
END_TEST

static bool is_told(const struct test_end *end, uint32_t wanted)
{
    return atomic_load(&end->channel->theirs.head->attention.word) == wanted;
}

static unsigned count_told(struct test_end *const *ends, unsigned count, uint32_t wanted)
{
    unsigned told = 0;
    for (unsigned i = 0; i < count; i++) {
        told += is_told(ends[i], wanted);
    }
    return told;
}

/* One message on each channel, and all have come. */
static void say_once(struct test_end *const *says, struct test_end *const *hear, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t before = hear[i]->messages;
        test_send(says[i], NULL, "x", 1);
        test_until_count(&server, NULL, &hear[i]->messages, before + 1);
    }
}

/* All places of hot channels are promised; the one that has none gets another's when it is alone in
 * use, once the promise is kept, and whoever has lost a place is heard as before. */
START_TEST(test_a_promise_gives_way)
{
    enum { ALL = WBI_SHM_HOT_CHANNELS + 1 };
    struct test_end *hear[ALL] = {at_server}, *says[ALL] = {at_client};
    for (unsigned i = 1; i < ALL; i++) {
        test_meet(&server, &client, &hear[i], &says[i]);
    }
    ck_assert_uint_eq(count_told(says, ALL, WBI_SHM_COLD), 1);
    unsigned cold = 0;
    while (!is_told(says[cold], WBI_SHM_COLD)) {
        cold++;
    }
    say_once(says, hear, cold);
    say_once(says + cold + 1, hear + cold + 1, ALL - cold - 1);
    wbi_shm_promise(server.lane);
    ck_assert_uint_eq(count_told(says, ALL, WBI_SHM_PROMISED), WBI_SHM_HOT_CHANNELS);
    uint64_t start = wbi_now(), kept_since = 0;
    while (is_told(says[cold], WBI_SHM_COLD) && wbi_now() - start < OVERSLEPT_US) {
        test_send(says[cold], NULL, "x", 1);
        uint64_t before = wbi_now();
        wbi_shm_fabric.poll(server.lane);
        if (kept_since == 0 && count_told(says, ALL, WBI_SHM_PROMISED) == 0) {
            kept_since = before;
        }
    }
    ck_assert(is_told(says[cold], WBI_SHM_HOT));
    ck_assert_uint_ne(kept_since, 0);
    ck_assert_uint_ge(wbi_now() - kept_since, 500);
    ck_assert_uint_eq(count_told(says, ALL, WBI_SHM_COLD), 1);
    say_once(says, hear, ALL);
}
END_TEST

/* A word that means nothing is not taken for attention. */
START_TEST(test_rubbish_is_no_attention)
{
    begin_awake();
    TEST_OK(wbi_shm_fabric.arm(server.lane));
    atomic_store(&at_server->channel->mine.head->attention.word, 77);
    for (unsigned unread = 0; unread <= 1; unread++) {
        if (unread == 1) {
            leave_one_unread();
        }
        test_send(at_client, NULL, "x", 1);
        ck_assert_int_eq(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US), 1);
        wbi_shm_fabric.poll(server.lane);
        ck_assert_uint_eq(at_server->messages, unread + 1);
        TEST_OK(wbi_shm_fabric.arm(server.lane));
        atomic_store(&at_server->channel->mine.head->attention.word, 77);
    }
}
END_TEST

/* ---- a message that is published in the very moment in which its receiver keeps its promise ----
 */

struct crash {
    _Atomic uint64_t round; /* the receiver is about to arm for message number `round` */
    uint64_t rounds;
};

static void *run_sender(void *argument)
{
    struct crash *crash = argument;
    for (uint64_t round = 1; round <= crash->rounds; round++) {
        uint8_t *slot;
        while (atomic_load(&crash->round) != round) {
        }
        /* as the promise is taken back, and as the receiver falls asleep, more or less */
        for (uint64_t start = wbi_now(); round % 2 == 1 && wbi_now() - start < 490 + round % 20;) {
        }
        TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 8, false, &slot));
        memcpy(slot, &round, 8);
        wbi_shm_fabric.send(at_client->channel, 8);
    }
    return NULL;
}

START_TEST(test_no_message_is_slept_over)
{
    struct crash crash = {.rounds = test_under_tsan() ? 300 : 3000};
    pthread_t thread;
    wbi_shm_fabric.poll(server.lane);
    leave_one_unread();
    ck_assert_int_eq(pthread_create(&thread, NULL, run_sender, &crash), 0);
    for (uint64_t round = 1; round <= crash.rounds; round++) {
        wbi_shm_promise(server.lane);
        atomic_store(&crash.round, round);
        while (at_server->messages < round) {
            if (wbi_shm_fabric.arm(server.lane) == WB_OK) {
                TEST_THAT(wbi_wait(wbi_shm_fabric.fd(server.lane), OVERSLEPT_US) == 1);
            }
            wbi_shm_fabric.poll(server.lane);
        }
    }
    pthread_join(thread, NULL);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const cases[] = {
        test_a_lane_in_use_promises,        test_a_promise_is_kept_before_sleep,
        test_an_idle_lane_promises_nothing, test_a_promise_gives_way,
        test_rubbish_is_no_attention,       test_no_message_is_slept_over,
    };
    Suite *suite = suite_create("promise");
    TCase *tests = test_program_case("promise", cases, sizeof cases / sizeof cases[0]);
    tcase_add_checked_fixture(tests, meet_pair, part_pair);
    suite_add_tcase(suite, tests);
    return test_program_run(suite, argc, argv);
}
