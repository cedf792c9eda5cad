/* The message ring, alone: wrap, full, the control reserve, and words that a hostile producer or
 * consumer writes. */
#include <check.h>
#include <string.h>

#include "engine/shm/ring.h"
#include "engine/shm/segment.h"
#include "tests/shm/side.h"

enum { BYTES = 4096, MAX = 512 };

static _Alignas(64) uint8_t memory[BYTES];
static _Atomic uint64_t consumed;
static struct wbi_shm_ring_out out;
static struct wbi_shm_ring_in in;

static void reset(void)
{
    memset(memory, 0, sizeof memory);
    atomic_store(&consumed, 0);
    out = (struct wbi_shm_ring_out){.base = memory, .bytes = BYTES, .consumed = &consumed};
    in = (struct wbi_shm_ring_in){.base = memory, .bytes = BYTES, .consumed = &consumed};
}

static int put(uint32_t len, uint8_t value, bool control)
{
    uint8_t *payload;
    int status = wbi_shm_ring_reserve(&out, len, control, &payload);
    if (status == WB_OK) {
        memset(payload, value, len);
        wbi_shm_ring_publish(&out, WBI_SHM_DATA, len);
    }
    return status;
}

static void expect(uint32_t len, uint8_t value)
{
    struct wbi_shm_message message = {0};
    bool right = wbi_shm_ring_peek(&in, MAX, &message) == 1 && message.kind == WBI_SHM_DATA &&
                 message.len == len;
    for (uint32_t i = 0; right && i < len; i++) {
        right = message.payload[i] == value;
    }
    TEST_THAT(right);
    wbi_shm_ring_consume(&in, len);
}

START_TEST(an_empty_ring_has_nothing)
{
    struct wbi_shm_message message;
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), 0);
    ck_assert(!wbi_shm_ring_ready(&in));
    ck_assert_int_eq(put(0, 0, false), WB_OK);
    ck_assert(wbi_shm_ring_ready(&in));
    expect(0, 0);
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), 0);
}
END_TEST

START_TEST(messages_of_all_lengths_wrap)
{
    struct wbi_shm_message message;
    uint32_t len = 1;
    for (uint32_t round = 0; round < 20000; round++) {
        len = (len * 7 + round) % (MAX + 1);
        TEST_OK(put(len, (uint8_t)(round | 1), false));
        expect(len, (uint8_t)(round | 1));
        /* What lies there from the last lap is no message. */
        TEST_THAT(wbi_shm_ring_peek(&in, MAX, &message) == 0);
    }
    ck_assert_uint_gt(out.head, 100 * BYTES);
}
END_TEST

/* Words of the same length at the same places in each lap: only their numbers tell them apart; and
 * payloads that are words themselves, of the lap in which they will be looked at. */
START_TEST(what_was_there_before_is_no_message)
{
    struct wbi_shm_message message;
    for (uint32_t round = 0; round < 5 * BYTES / 64; round++) {
        TEST_OK(put(8, 1, false));
        expect(8, 1);
        TEST_THAT(wbi_shm_ring_peek(&in, MAX, &message) == 0 && !wbi_shm_ring_ready(&in));
    }
    for (uint32_t round = 0; round < 2000; round++) {
        uint8_t *payload;
        uint32_t len = round % 3 == 0 ? 8 : 64 * (round % 5) + 56;
        TEST_OK(wbi_shm_ring_reserve(&out, len, false, &payload));
        memset(payload, 0, len);
        for (uint64_t at = 64; at + 8 <= len + 8; at += 64) { /* where a message might begin */
            uint64_t word = 8ull << 32 | wbi_shm_ring_number(out.at + at + BYTES) | WBI_SHM_DATA;
            memcpy(payload + at - 8, &word, sizeof word);
        }
        wbi_shm_ring_publish(&out, WBI_SHM_DATA, len);
        TEST_THAT(wbi_shm_ring_peek(&in, MAX, &message) == 1 && message.len == len);
        wbi_shm_ring_consume(&in, len);
        TEST_THAT(wbi_shm_ring_peek(&in, MAX, &message) == 0 && !wbi_shm_ring_ready(&in));
    }
}
END_TEST

/* A long message that was written and then given up for a short one: its bytes are no words. */
START_TEST(what_was_given_up_is_no_message)
{
    struct wbi_shm_message message;
    for (uint32_t round = 0; round < 3 * BYTES / 64; round++) {
        uint8_t *payload;
        for (uint32_t i = 0; i < 2 * BYTES / 64; i++) { /* nothing long for some laps */
            TEST_OK(put(8, 1, false));
            expect(8, 1);
        }
        TEST_OK(wbi_shm_ring_reserve(&out, 300, false, &payload));
        for (uint64_t at = 64; at <= 256; at += 64) {
            uint64_t word = 8ull << 32 | wbi_shm_ring_number(out.at + at) | WBI_SHM_DATA;
            memcpy(payload + at - 8, &word, sizeof word);
        }
        for (uint32_t i = 0; i < 6; i++) {
            TEST_OK(put(8 * (round % 8), 2, false));
            expect(8 * (round % 8), 2);
            TEST_THAT(wbi_shm_ring_peek(&in, MAX, &message) == 0 && !wbi_shm_ring_ready(&in));
        }
        TEST_OK(put(8, 1, false)); /* not always from the same place */
        expect(8, 1);
    }
}
END_TEST

START_TEST(batches_wrap)
{
    uint32_t sent = 0;
    uint32_t got = 0;
    for (int round = 0; round < 5000; round++) {
        while (put(sent * 31 % 300, (uint8_t)sent, false) == WB_OK) {
            sent++;
        }
        for (int i = 0; i <= round % 7 && got < sent; i++, got++) {
            expect(got * 31 % 300, (uint8_t)got);
        }
        wbi_shm_ring_settle(&in);
    }
    while (got < sent) {
        expect(got * 31 % 300, (uint8_t)got);
        got++;
    }
    ck_assert_uint_gt(sent, 5000);
}
END_TEST

START_TEST(a_full_ring_keeps_room_for_two_control_messages)
{
    /* From every place in the ring, so that the pad comes in between too. */
    for (uint32_t start = 0; start < BYTES / 64; start++) {
        reset();
        for (uint32_t i = 0; i < start; i++) {
            TEST_OK(put(8, 1, false));
            expect(8, 1);
        }
        wbi_shm_ring_settle(&in);
        uint32_t sent = 0;
        while (put(100, (uint8_t)sent, false) == WB_OK) {
            sent++;
        }
        ck_assert_uint_gt(sent, 10);
        ck_assert_int_eq(put(WBI_SHM_CONTROL_BYTES, 0xc1, true), WB_OK);
        ck_assert_int_eq(put(WBI_SHM_CONTROL_BYTES, 0xc2, true), WB_OK);
        for (uint32_t i = 0; i < sent; i++) {
            expect(100, (uint8_t)i);
        }
        expect(WBI_SHM_CONTROL_BYTES, 0xc1);
        expect(WBI_SHM_CONTROL_BYTES, 0xc2);
    }
}
END_TEST

START_TEST(room_comes_back_at_the_quarter)
{
    while (put(56, 1, false) == WB_OK) {
    }
    uint64_t before = atomic_load(&consumed);
    for (int i = 0; i < 15; i++) {
        expect(56, 1);
        ck_assert_uint_eq(atomic_load(&consumed), before);
    }
    expect(56, 1);
    ck_assert_uint_eq(atomic_load(&consumed), BYTES / 4);
    ck_assert(wbi_shm_ring_moved(&out));
    ck_assert_int_eq(put(56, 1, false), WB_OK);
}
END_TEST

START_TEST(a_hostile_consumer_is_noticed)
{
    uint8_t *payload;
    static const uint64_t wrong[] = {1 << 20, UINT64_MAX, BYTES};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reset();
        while (put(56, 1, false) == WB_OK) {
        }
        atomic_store(&consumed, wrong[i]);
        ck_assert_int_eq(wbi_shm_ring_reserve(&out, 56, false, &payload), WB_ERR_PROTOCOL);
    }
}
END_TEST

static uint64_t word(uint32_t len, uint32_t kind)
{
    return (uint64_t)len << 32 | kind;
}

START_TEST(a_hostile_producer_is_noticed)
{
    const uint64_t wrong[] = {
        word(MAX + 1, WBI_SHM_DATA),
        word(UINT32_MAX, WBI_SHM_DATA),
        word(8, 0),
        word(8, 4),
        word(8, 77),
        word(BYTES - 8, WBI_SHM_PAD),
        word(0, WBI_SHM_PAD),
        word(UINT32_MAX, WBI_SHM_PAD),
        1ull << 40,
    };
    struct wbi_shm_message message;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reset();
        atomic_store(wbi_shm_ring_word(memory, BYTES, 0), wrong[i]);
        ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), WB_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(a_message_over_the_end_is_noticed)
{
    struct wbi_shm_message message;
    uint64_t number = wbi_shm_ring_number(BYTES - 64);
    in.position = BYTES - 64;
    atomic_store(wbi_shm_ring_word(memory, BYTES, BYTES - 64), number | word(57, WBI_SHM_DATA));
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), WB_ERR_PROTOCOL);
    atomic_store(wbi_shm_ring_word(memory, BYTES, BYTES - 64), number | word(56, WBI_SHM_DATA));
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), 1);
    atomic_store(wbi_shm_ring_word(memory, BYTES, BYTES - 64), number | word(55, WBI_SHM_PAD));
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), WB_ERR_PROTOCOL);
    atomic_store(wbi_shm_ring_word(memory, BYTES, BYTES - 64), number | word(56, WBI_SHM_PAD));
    ck_assert_int_eq(wbi_shm_ring_peek(&in, MAX, &message), 0);
    ck_assert_uint_eq(in.position, BYTES);
}
END_TEST

START_TEST(segments_have_room_for_what_the_ring_promises)
{
    static const uint32_t eager[] = {64, 512, 8192, 16384, 16385, 65536};
    for (unsigned i = 0; i < sizeof eager / sizeof *eager; i++) {
        uint32_t bytes = wbi_shm_ring_bytes(eager[i]);
        ck_assert_uint_eq(bytes & (bytes - 1), 0);
        ck_assert_uint_ge(bytes, 16 * eager[i]);
        ck_assert_uint_ge(bytes, WBI_SHM_RING_MIN);
        ck_assert_uint_le(bytes, WBI_SHM_RING_MAX);
        ck_assert_uint_gt(wbi_shm_segment_bytes(bytes),
                          bytes + WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES + WBI_SHM_SHELVES_BYTES);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shm ring");
    TCase *tests = tcase_create("ring");
    tcase_add_checked_fixture(tests, reset, NULL);
    tcase_add_test(tests, an_empty_ring_has_nothing);
    tcase_add_test(tests, messages_of_all_lengths_wrap);
    tcase_add_test(tests, what_was_there_before_is_no_message);
    tcase_add_test(tests, what_was_given_up_is_no_message);
    tcase_add_test(tests, batches_wrap);
    tcase_add_test(tests, a_full_ring_keeps_room_for_two_control_messages);
    tcase_add_test(tests, room_comes_back_at_the_quarter);
    tcase_add_test(tests, a_hostile_consumer_is_noticed);
    tcase_add_test(tests, a_hostile_producer_is_noticed);
    tcase_add_test(tests, a_message_over_the_end_is_noticed);
    tcase_add_test(tests, segments_have_room_for_what_the_ring_promises);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
