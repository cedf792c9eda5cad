/* Eager messages: every length, both ways, order, back-pressure, the control reserve. One thread
 * and two. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/shm/pair.h"

START_TEST(handshake_carries_both_hellos)
{
    ck_assert_uint_eq(at_server->hello_len, 5);
    ck_assert_mem_eq(at_server->hello, "hello", 5);
    ck_assert_uint_eq(at_client->hello_len, 7);
    ck_assert_mem_eq(at_client->hello, "welcome", 7);
}
END_TEST

static void send_length(struct test_end *from, struct test_end *to, size_t len)
{
    static uint8_t bytes[TEST_EAGER];
    uint64_t before = to->messages;
    test_fill(bytes, len, len);
    test_send(from, to->side, bytes, len);
    test_until_count(to->side, NULL, &to->messages, before + 1);
    ck_assert_uint_eq(to->last_len, len);
    ck_assert(test_filled(to->last, len, len));
}

START_TEST(every_length_arrives_both_ways)
{
    for (size_t len = 1; len <= TEST_EAGER; len += len < 600 ? 1 : 97) {
        send_length(at_client, at_server, len);
        send_length(at_server, at_client, len);
    }
    send_length(at_client, at_server, TEST_EAGER);
    send_length(at_server, at_client, TEST_EAGER);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_an_error)
{
    uint8_t *slot;
    ck_assert_int_eq(wbi_shm_fabric.reserve(at_client->channel, TEST_EAGER + 1, false, &slot),
                     WB_ERR_INVALID);
    send_length(at_client, at_server, 8);
}
END_TEST

START_TEST(a_cancelled_reservation_leaves_nothing)
{
    uint8_t *slot;
    TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 1000, false, &slot));
    memset(slot, 0xff, 1000);
    wbi_shm_fabric.cancel(at_client->channel);
    send_length(at_client, at_server, 16);
    ck_assert_uint_eq(at_server->messages, 1);
}
END_TEST

START_TEST(fewer_bytes_may_be_sent_than_reserved)
{
    uint8_t *slot;
    for (int i = 0; i < 2000; i++) {
        TEST_OK(wbi_shm_fabric.reserve(at_client->channel, TEST_EAGER, false, &slot));
        size_t len = (size_t)(1 + i % 700);
        test_fill(slot, len, (uint64_t)i);
        wbi_shm_fabric.send(at_client->channel, len);
        test_until_count(&server, NULL, &at_server->messages, (uint64_t)i + 1);
        ck_assert_uint_eq(at_server->last_len, len);
        ck_assert(test_filled(at_server->last, len, (uint64_t)i));
    }
}
END_TEST

START_TEST(a_full_ring_says_again_and_keeps_room_for_control)
{
    uint8_t *slot;
    uint64_t sent = 0;
    while (wbi_shm_fabric.reserve(at_client->channel, 512, false, &slot) == WB_OK) {
        test_fill(slot, 512, sent);
        wbi_shm_fabric.send(at_client->channel, 512);
        sent++;
    }
    ck_assert_uint_gt(sent, 300);
    for (int i = 0; i < 2; i++) {
        TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 256, true, &slot));
        memset(slot, 0, 256);
        wbi_shm_fabric.send(at_client->channel, 256);
    }
    test_until_count(&server, NULL, &at_server->messages, sent + 2);
    TEST_OK(wbi_shm_fabric.reserve(at_client->channel, 512, false, &slot));
}
END_TEST

START_TEST(without_slots_messages_wait)
{
    unsigned all = server.free_count;
    uint8_t byte = 1;
    server.free_count = 0;
    for (int i = 0; i < 10; i++) {
        test_send(at_client, NULL, &byte, 1);
    }
    for (int i = 0; i < 1000; i++) {
        wbi_shm_fabric.poll(server.lane);
    }
    ck_assert_uint_eq(at_server->messages, 0);
    TEST_OK(wbi_shm_fabric.arm(server.lane)); /* only the engine can change that */
    server.free_count = all;
    test_until_count(&server, NULL, &at_server->messages, 10);
}
END_TEST

/* ---- two threads ---- */

enum { STREAM = 20000 };

struct stream {
    struct test_side *side;
    struct test_end *end;
    uint64_t sent, received, wrong;
};

/* Message number n: its length and bytes follow from n. */
static size_t stream_len(uint64_t n)
{
    return 8 + n * 37 % (n % 64 == 0 ? 8000 : 200);
}

static void count_stream(struct test_end *end, const uint8_t *bytes, size_t len)
{
    struct stream *stream = end->extra;
    uint64_t n;
    memcpy(&n, bytes, sizeof n);
    if (n != stream->received || len != stream_len(n) || !test_filled(bytes + 8, len - 8, n)) {
        stream->wrong++;
    }
    stream->received++;
}

static void *run_stream(void *argument)
{
    struct stream *stream = argument;
    while (stream->sent < STREAM || stream->received < STREAM) {
        uint8_t *slot;
        size_t len = stream_len(stream->sent);
        if (stream->sent < STREAM &&
            wbi_shm_fabric.reserve(stream->end->channel, len, false, &slot) == WB_OK) {
            memcpy(slot, &stream->sent, 8);
            test_fill(slot + 8, len - 8, stream->sent);
            wbi_shm_fabric.send(stream->end->channel, len);
            stream->sent++;
        }
        wbi_shm_fabric.poll(stream->side->lane);
    }
    return NULL;
}

START_TEST(two_threads_stream_both_ways_in_order)
{
    struct stream a = {.side = &server, .end = at_server};
    struct stream b = {.side = &client, .end = at_client};
    at_server->extra = &a;
    at_client->extra = &b;
    server.on_message = client.on_message = count_stream;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_stream, &a), 0);
    run_stream(&b);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(a.received, STREAM);
    ck_assert_uint_eq(b.received, STREAM);
    ck_assert_uint_eq(a.wrong + b.wrong, 0);
}
END_TEST

/* ---- many channels ---- */

START_TEST(more_channels_than_hot_places_all_get_through)
{
    struct test_end *to[40], *from[40];
    for (int i = 0; i < 40; i++) {
        test_meet(&server, &client, &to[i], &from[i]);
    }
    for (uint64_t round = 1; round <= 200; round++) {
        for (int i = 0; i < 40; i++) {
            test_send(from[i], NULL, &round, sizeof round);
        }
        for (int i = 0; i < 40; i++) {
            test_until_count(&server, NULL, &to[i]->messages, round);
        }
    }
    /* Closing some in the middle disturbs no other. */
    for (int i = 0; i < 40; i += 2) {
        test_end_close(from[i]);
        test_until_lost(&server, NULL, to[i]);
        test_end_close(to[i]);
    }
    for (int i = 1; i < 40; i += 2) {
        test_send(from[i], NULL, "x", 1);
        test_until_count(&server, NULL, &to[i]->messages, 201);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm messages");
    TCase *tests = tcase_create("messages");
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, meet_pair, part_pair);
    tcase_add_test(tests, handshake_carries_both_hellos);
    tcase_add_test(tests, every_length_arrives_both_ways);
    tcase_add_test(tests, a_message_that_is_too_long_is_an_error);
    tcase_add_test(tests, a_cancelled_reservation_leaves_nothing);
    tcase_add_test(tests, fewer_bytes_may_be_sent_than_reserved);
    tcase_add_test(tests, a_full_ring_says_again_and_keeps_room_for_control);
    tcase_add_test(tests, without_slots_messages_wait);
    tcase_add_test(tests, two_threads_stream_both_ways_in_order);
    tcase_add_test(tests, more_channels_than_hot_places_all_get_through);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
