/* Headers and hellos: golden bytes of each, and what is refused. Whole messages, as engines send
 * them, are in test_stranger_bytes.c. */
#include <stdio.h>
#include <string.h>
#include <waybill/status.h>
#include <waybill/version.h>

#include "engine/wire.h"
#include "serial/chunk_list.h"
#include "tests/engine/hex.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

/* One of each kind with every field set, and its bytes. The ids behind them are not the header's.
 */
static const struct golden {
    struct wbi_header header;
    size_t behind; /* bytes that the header says follow at least */
    const char *hex;
} goldens[] = {
    {{.kind = WBI_REQUEST,
      .flags = WBI_FLAG_LEASED | WBI_FLAG_COPY,
      .credits = 0x0102,
      .chunk_count = 2,
      .release_count = 3,
      .call_id = 0x1112131415161718,
      .action = 0x2122232425262728,
      .signature = 0x3132333435363738,
      .deadline_us = 0x41424344,
      .reply_room = 0x5152535455565758},
     8 + 3 * 8 + 2 * 24,
     "01 09 0201 02000000 1817161514131211 2827262524232221 3837363534333231 44434241 03000000"
     "5857565554535251"},
    {{.kind = WBI_REPLY,
      .flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_LONG_LIST,
      .credits = 0xfffe,
      .chunk_count = 0x00010000,
      .release_count = 1,
      .call_id = 0x0000000100000000,
      .code = -2},
     8 + 8 + 2 * 24,
     "02 07 feff 00000100 0000000001000000 00000000 feffffff 01000000 00000000"},
    {{.kind = WBI_REPLY,
      .call_id = 0x0000000200000007,
      .status = WB_ERR_REMOTE,
      .code = 0x7fffffff},
     0,
     "02 00 0000 00000000 0700000002000000 f2ffffff ffffff7f 00000000 00000000"},
    {{.kind = WBI_CONTROL, .credits = 9, .release_count = 2, .cancel_count = 1},
     3 * 8,
     "03 00 0900 02000000 01000000 00000000"},
};
enum { GOLDENS = sizeof goldens / sizeof goldens[0] };

static void assert_same_header(const struct wbi_header *a, const struct wbi_header *b)
{
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->credits, b->credits);
    ck_assert_uint_eq(a->chunk_count, b->chunk_count);
    ck_assert_uint_eq(a->release_count, b->release_count);
    ck_assert_uint_eq(a->cancel_count, b->cancel_count);
    ck_assert_uint_eq(a->call_id, b->call_id);
    ck_assert_uint_eq(a->action, b->action);
    ck_assert_uint_eq(a->signature, b->signature);
    ck_assert_uint_eq(a->deadline_us, b->deadline_us);
    ck_assert_uint_eq(a->reply_room, b->reply_room);
    ck_assert_int_eq(a->status, b->status);
    ck_assert_int_eq(a->code, b->code);
}

/* A golden header with what must follow it (zeros); returns the bytes. */
static size_t message_of(const struct golden *golden, uint8_t *message)
{
    memset(message, 0, TEST_HEX_MOST);
    return test_hex_read(golden->hex, message) + golden->behind;
}

START_TEST(test_golden_headers)
{
    for (int i = 0; i < GOLDENS; i++) {
        uint8_t message[TEST_HEX_MOST];
        struct wbi_header header;
        const char *what = NULL;
        size_t bytes = wbi_header_encode(&goldens[i].header, message);
        ck_assert_uint_eq(bytes, wbi_header_bytes(goldens[i].header.kind));
        test_assert_hex(message, bytes, goldens[i].hex);
        size_t len = message_of(&goldens[i], message);
        ck_assert_msg(wbi_header_decode(message, len, &header, &what) == WB_OK, "%s", what);
        assert_same_header(&header, &goldens[i].header);
    }
}
END_TEST

START_TEST(test_credits_are_rewritten_in_place)
{
    for (int i = 0; i < GOLDENS; i++) {
        uint8_t message[TEST_HEX_MOST];
        struct golden other = goldens[i];
        struct wbi_header header;
        const char *what;
        size_t len = message_of(&goldens[i], message);
        wbi_header_set_credits(message, 0xabcd);
        other.header.credits = 0xabcd;
        ck_assert_int_eq(wbi_header_decode(message, len, &header, &what), WB_OK);
        assert_same_header(&header, &other.header);
    }
}
END_TEST

START_TEST(test_ids)
{
    uint8_t bytes[8];
    wbi_id_encode(0x0102030405060708, bytes);
    test_assert_hex(bytes, 8, "0807060504030201");
    ck_assert_uint_eq(wbi_id_decode(bytes), 0x0102030405060708);
}
END_TEST

/* ---- what is refused ---- */

static void assert_refused(const uint8_t *message, size_t len, const char *why)
{
    struct wbi_header header;
    const char *what = NULL;
    int status = wbi_header_decode(message, len, &header, &what);
    ck_assert_msg(status == WB_ERR_PROTOCOL, "%s: %s", why, wb_status_name(status));
    ck_assert_ptr_nonnull(what);
    ck_assert_uint_gt(strlen(what), 0);
}

START_TEST(test_every_truncation)
{
    for (int i = 0; i < GOLDENS; i++) {
        uint8_t message[TEST_HEX_MOST];
        size_t len = message_of(&goldens[i], message);
        for (size_t shorter = 0; shorter < len; shorter++) {
            assert_refused(message, shorter, "a truncated message");
        }
    }
}
END_TEST

START_TEST(test_every_unknown_kind)
{
    uint8_t message[TEST_HEX_MOST] = {0};
    for (unsigned kind = 0; kind < 256; kind++) {
        message[0] = (uint8_t)kind;
        if (kind < WBI_REQUEST || kind > WBI_CONTROL) {
            ck_assert_uint_eq(wbi_header_bytes((uint8_t)kind), 0);
            assert_refused(message, sizeof message, "an unknown kind");
        }
    }
}
END_TEST

/* What flags may be together, by the page that describes the wire. */
static bool flags_can_be(uint8_t kind, unsigned flags, uint32_t chunks)
{
    bool leased = (flags & WBI_FLAG_LEASED) != 0;
    bool parts = (flags & (WBI_FLAG_LONG_ARCHIVE | WBI_FLAG_LONG_LIST)) != 0 || chunks > 0;
    bool requests = (flags & (WBI_FLAG_COPY | WBI_FLAG_ONE_WAY)) != 0;
    return flags <= WBI_FLAGS_KNOWN && leased == parts &&
           !((flags & WBI_FLAG_LONG_LIST) != 0 && chunks == 0) && !(requests && kind == WBI_REPLY);
}

START_TEST(test_every_combination_of_flags)
{
    for (int kind = WBI_REQUEST; kind <= WBI_REPLY; kind++) {
        for (unsigned flags = 0; flags < 256; flags++) {
            for (uint32_t chunks = 0; chunks < 3; chunks++) {
                uint8_t message[TEST_HEX_MOST] = {0};
                struct wbi_header header = {
                    .kind = (uint8_t)kind, .flags = (uint8_t)flags, .chunk_count = chunks};
                const char *what;
                wbi_header_encode(&header, message);
                int status = wbi_header_decode(message, sizeof message, &header, &what);
                ck_assert_msg((status == WB_OK) == flags_can_be((uint8_t)kind, flags, chunks),
                              "kind %d, flags %02x, %u chunks: %s", kind, flags, chunks,
                              wb_status_name(status));
            }
        }
    }
    for (unsigned flags = 1; flags < 256; flags++) {
        uint8_t message[TEST_HEX_MOST] = {WBI_CONTROL, (uint8_t)flags};
        assert_refused(message, WBI_CONTROL_BYTES, "a control message with flags");
    }
}
END_TEST

START_TEST(test_reserved_fields_are_zero)
{
    for (size_t at = 0; at < 4; at++) {
        uint8_t control[WBI_CONTROL_BYTES] = {WBI_CONTROL};
        uint8_t reply[WBI_REPLY_BYTES] = {WBI_REPLY};
        control[12 + at] = 1;
        reply[28 + at] = 0x80;
        assert_refused(control, sizeof control, "a reserved field");
        assert_refused(reply, sizeof reply, "a reserved field");
    }
}
END_TEST

START_TEST(test_statuses_that_no_reply_has)
{
    uint8_t message[WBI_REPLY_BYTES + 64] = {0};
    struct wbi_header positive = {.kind = WBI_REPLY, .status = 1};
    wbi_header_encode(&positive, message);
    assert_refused(message, WBI_REPLY_BYTES, "a positive status");
    struct wbi_header leased = {.kind = WBI_REPLY,
                                .status = WB_ERR_REMOTE,
                                .flags = WBI_FLAG_LEASED | WBI_FLAG_LONG_ARCHIVE};
    wbi_header_encode(&leased, message);
    assert_refused(message, sizeof message, "a failure with chunks");
}
END_TEST

/* Counts that the message does not hold, up to those whose bytes overflow. */
START_TEST(test_counts_that_lie)
{
    static const uint32_t lies[] = {1, 2, 3, 0x1fffffff, 0x20000000, 0x7fffffff, 0xffffffff};
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        for (int kind = WBI_REQUEST; kind <= WBI_CONTROL; kind++) {
            uint8_t message[TEST_HEX_MOST] = {0};
            struct wbi_header releases = {.kind = (uint8_t)kind, .release_count = lies[i]};
            size_t bytes = wbi_header_encode(&releases, message);
            assert_refused(message, bytes + (i < 3 ? lies[i] * 8 - 1 : 500), "releases");
            struct wbi_header both = {.kind = (uint8_t)kind,
                                      .release_count = lies[i],
                                      .cancel_count = UINT32_MAX - lies[i] + 1};
            bytes = wbi_header_encode(&both, message);
            assert_refused(message, bytes, "ids whose sum overflows 32 bits");
            if (kind != WBI_CONTROL) {
                struct wbi_header chunks = {
                    .kind = (uint8_t)kind, .flags = WBI_FLAG_LEASED, .chunk_count = lies[i]};
                bytes = wbi_header_encode(&chunks, message);
                assert_refused(message, bytes + (i < 3 ? 8 + lies[i] * 24 - 1 : 500), "chunks");
            }
        }
    }
}
END_TEST

START_TEST(test_control_messages_are_nothing_but_ids)
{
    enum { LEN = WBI_CONTROL_BYTES + 2 * WBI_ID_BYTES };
    uint8_t message[LEN + WBI_REQUEST_BYTES] = {0}; /* for all that a compiler knows of the kind */
    struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 1, .cancel_count = 1};
    const char *what;
    wbi_header_encode(&header, message);
    ck_assert_int_eq(wbi_header_decode(message, LEN, &header, &what), WB_OK);
    assert_refused(message, LEN + 1, "a byte behind the last id");
}
END_TEST

/* Whether a bit of a plain message's header may be anything: of its credits, and of what says which
 * call it is for and what is to be done. */
static bool is_free(uint8_t kind, size_t byte, unsigned bit)
{
    bool anybodys = byte == 2 || byte == 3 || (byte >= 8 && byte < 16);
    bool requests = (byte == 1 && (1U << bit & (WBI_FLAG_COPY | WBI_FLAG_ONE_WAY)) != 0) ||
                    (byte >= 16 && byte < 36) || byte >= 40;
    return anybodys || (kind == WBI_REQUEST && requests);
}

static bool is_plain(uint8_t kind, const uint8_t *message)
{
    return kind == WBI_REQUEST ? wbi_request_is_plain(message) : wbi_reply_is_plain(message);
}

START_TEST(test_plain_are_those_with_nothing_on_board)
{
    for (unsigned number = WBI_REQUEST; number <= WBI_REPLY; number++) {
        uint8_t kind = (uint8_t)number;
        const struct wbi_header plain = {.kind = kind};
        uint8_t message[WBI_REQUEST_BYTES] = {0};
        size_t len = wbi_header_encode(&plain, message);
        ck_assert(is_plain(kind, message));
        for (size_t i = 0; i < len * 8; i++) {
            struct wbi_header header;
            const char *what;
            message[i / 8] ^= (uint8_t)(1U << i % 8);
            bool any = is_free(kind, i / 8, i % 8);
            ck_assert_msg(is_plain(kind, message) == any, "kind %d, bit %zu", kind, i);
            if (any) {
                ck_assert_int_eq(wbi_header_decode(message, len, &header, &what), WB_OK);
                ck_assert_uint_eq(header.credits, wbi_message_credits(message));
                ck_assert_uint_eq(header.call_id, wbi_message_call(message));
            }
            message[i / 8] ^= (uint8_t)(1U << i % 8);
        }
    }
}
END_TEST

/* Whatever decodes has one form: it encodes to the same bytes. */
START_TEST(test_noise)
{
    uint64_t seed = 20240607;
    unsigned accepted = 0;
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t message[128], again[64];
        struct wbi_header header;
        const char *what = NULL;
        size_t len = test_pattern_random(&seed) % (sizeof message + 1);
        for (size_t at = 0; at < sizeof message; at++) {
            uint64_t dice = test_pattern_random(&seed);
            message[at] = dice % 4 == 0 ? (uint8_t)(dice >> 8) : 0;
        }
        message[0] = (uint8_t)(test_pattern_random(&seed) % 5);
        message[1] &= 0x1f;
        if (wbi_header_decode(message, len, &header, &what) == WB_OK) {
            size_t bytes = wbi_header_encode(&header, again);
            test_check(bytes <= len && memcmp(message, again, bytes) == 0, "message %u", i);
            accepted++;
        } else {
            test_check(what != NULL, "no words for message %u", i);
        }
    }
    ck_assert_uint_gt(accepted, 1000);
}
END_TEST

/* ---- hellos ---- */

static const struct wbi_hello hello = {.version_min = 1,
                                       .version_max = 1,
                                       .eager_bytes = 0x2000,
                                       .credits = 0x01020304,
                                       .read_depth = 16,
                                       .features = 0,
                                       .engine_id = 0x1112131415161718,
                                       .token = 0x2122232425262728};
static const char *const hello_hex =
    "5742594c 01 01 00 00 00200000 04030201 10000000 00000000 0000000000000000"
    "1817161514131211 2827262524232221 0000000000000000";

START_TEST(test_golden_hello)
{
    uint8_t bytes[WBI_HELLO_BYTES];
    struct wbi_hello found;
    wbi_hello_encode(&hello, bytes);
    test_assert_hex(bytes, sizeof bytes, hello_hex);
    ck_assert_int_eq(wbi_hello_decode(bytes, sizeof bytes, &found), WB_OK);
    ck_assert_uint_eq(found.version_min, 1);
    ck_assert_uint_eq(found.version_max, 1);
    ck_assert_int_eq(found.status, 0);
    ck_assert_uint_eq(found.eager_bytes, hello.eager_bytes);
    ck_assert_uint_eq(found.credits, hello.credits);
    ck_assert_uint_eq(found.read_depth, hello.read_depth);
    ck_assert_uint_eq(found.features, 0);
    ck_assert_uint_eq(found.engine_id, hello.engine_id);
    ck_assert_uint_eq(found.token, hello.token);
    struct wbi_hello refusal = hello;
    refusal.status = WB_ERR_VERSION;
    wbi_hello_encode(&refusal, bytes);
    ck_assert_uint_eq(bytes[6], 0xf6);
    ck_assert_int_eq(wbi_hello_decode(bytes, sizeof bytes, &found), WB_OK);
    ck_assert_int_eq(found.status, WB_ERR_VERSION);
}
END_TEST

START_TEST(test_hellos_of_others)
{
    uint8_t bytes[WBI_HELLO_BYTES];
    struct wbi_hello found;
    for (size_t len = 0; len < WBI_HELLO_BYTES; len++) {
        wbi_hello_encode(&hello, bytes);
        ck_assert_int_eq(wbi_hello_decode(bytes, len, &found), WB_ERR_PROTOCOL);
    }
    for (size_t at = 0; at < 4; at++) {
        wbi_hello_encode(&hello, bytes);
        bytes[at] ^= 1;
        ck_assert_int_eq(wbi_hello_decode(bytes, sizeof bytes, &found), WB_ERR_PROTOCOL);
    }
    struct wbi_hello little = hello;
    for (little.eager_bytes = 0; little.eager_bytes < WBI_EAGER_MIN; little.eager_bytes += 73) {
        wbi_hello_encode(&little, bytes);
        ck_assert_int_eq(wbi_hello_decode(bytes, sizeof bytes, &found), WB_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(test_versions)
{
    for (unsigned low = 0; low < 256; low += low < 5 ? 1 : 50) {
        for (unsigned high = 0; high < 256; high += high < 5 ? 1 : 50) {
            uint8_t bytes[WBI_HELLO_BYTES];
            struct wbi_hello theirs = hello, found = {0};
            theirs.version_min = (uint8_t)low;
            theirs.version_max = (uint8_t)high;
            bool common = low <= WB_WIRE_VERSION_MAX && high >= WB_WIRE_VERSION_MIN;
            wbi_hello_encode(&theirs, bytes);
            int status = wbi_hello_decode(bytes, sizeof bytes, &found);
            ck_assert_int_eq(status, common ? WB_OK : WB_ERR_VERSION);
            ck_assert_uint_eq(found.version_min, low); /* set all the same */
            ck_assert_uint_eq(found.version_max, high);
        }
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const headers[] = {test_golden_headers,
                                    test_credits_are_rewritten_in_place,
                                    test_ids,
                                    test_every_truncation,
                                    test_every_unknown_kind,
                                    test_every_combination_of_flags,
                                    test_reserved_fields_are_zero,
                                    test_statuses_that_no_reply_has,
                                    test_counts_that_lie,
                                    test_control_messages_are_nothing_but_ids,
                                    test_plain_are_those_with_nothing_on_board,
                                    test_noise};
    const TTest *const hellos[] = {test_golden_hello, test_hellos_of_others, test_versions};
    Suite *suite = suite_create("wire");
    suite_add_tcase(suite,
                    test_program_case("headers", headers, sizeof headers / sizeof headers[0]));
    suite_add_tcase(suite, test_program_case("hellos", hellos, sizeof hellos / sizeof hellos[0]));
    return test_program_run(suite, argc, argv);
}
