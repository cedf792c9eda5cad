/* Chunk records: their bytes, and what does not decode. */
#include <string.h>

#include "serial/chunk_list.h"
#include "tests/serial/arena.h"
#include "tests/serial/chunks.h"
#include "tests/serial/run.h"

static struct test_arena arena;

static void expect_bytes(const struct wbi_chunk_record *record, const char *expected, size_t len)
{
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    memset(bytes, 0xee, sizeof bytes);
    ck_assert_uint_eq(wbi_chunk_record_size(record->key_len), len);
    ck_assert_uint_eq(wbi_chunk_record_encode(record, bytes), len);
    ck_assert_mem_eq(bytes, expected, len);
    ck_assert(len == sizeof bytes || bytes[len] == 0xee);
}

START_TEST(test_golden_bytes)
{
    struct wbi_chunk_record index = test_index_chunk(0x0102030405060708, 0x1112131415161718);
    expect_bytes(&index,
                 "\x01\x00\x00\x00\x00\x00\x00\x00"
                 "\x18\x17\x16\x15\x14\x13\x12\x11"
                 "\x08\x07\x06\x05\x04\x03\x02\x01",
                 24);
    struct wbi_chunk_record pointer = {.kind = WB_CHUNK_POINTER,
                                       .key_len = 4,
                                       .len = 4096,
                                       .address = 0xfedc,
                                       .key = "\xaa\xbb\xcc\xdd"};
    expect_bytes(&pointer,
                 "\x02\x04\x00\x00\x00\x00\x00\x00"
                 "\x00\x10\x00\x00\x00\x00\x00\x00"
                 "\xdc\xfe\x00\x00\x00\x00\x00\x00"
                 "\xaa\xbb\xcc\xdd\x00\x00\x00\x00",
                 32);
    struct wbi_chunk_record documented = {.kind = WB_CHUNK_RMA,
                                          .key_len = 4,
                                          .len = 16,
                                          .address = 0x1000,
                                          .key = "\xaa\xbb\xcc\xdd"};
    expect_bytes(&documented,
                 "\x03\x04\x00\x00\x00\x00\x00\x00"
                 "\x10\x00\x00\x00\x00\x00\x00\x00"
                 "\x00\x10\x00\x00\x00\x00\x00\x00"
                 "\xaa\xbb\xcc\xdd\x00\x00\x00\x00",
                 32);
    struct wbi_chunk_record rma = {.kind = WB_CHUNK_RMA,
                                   .key_len = 32,
                                   .head = 3,
                                   .tail = 1,
                                   .len = UINT64_C(5) << 30,
                                   .address = 0x1003,
                                   .key = "0123456789abcdef0123456789abcde"};
    rma.key[31] = 'f';
    expect_bytes(&rma,
                 "\x03\x20\x03\x01\x00\x00\x00\x00"
                 "\x00\x00\x00\x40\x01\x00\x00\x00"
                 "\x03\x10\x00\x00\x00\x00\x00\x00"
                 "0123456789abcdef0123456789abcdef",
                 56);
}
END_TEST

START_TEST(test_record_sizes)
{
    ck_assert_uint_eq(wbi_chunk_record_size(0), WBI_CHUNK_RECORD_MIN);
    ck_assert_uint_eq(wbi_chunk_record_size(1), 32);
    ck_assert_uint_eq(wbi_chunk_record_size(8), 32);
    ck_assert_uint_eq(wbi_chunk_record_size(9), 40);
    ck_assert_uint_eq(wbi_chunk_record_size(WBI_KEY_MAX), WBI_CHUNK_RECORD_MAX);
}
END_TEST

/* Of an index chunk only kind, len and address count. */
START_TEST(test_index_chunk_sheds_the_rest)
{
    struct wbi_chunk_record index = {
        .kind = WB_CHUNK_INDEX, .key_len = 7, .head = 1, .tail = 2, .len = 5, .key = "secret"};
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    struct wbi_chunk_record found;
    size_t at = 0;
    ck_assert_uint_eq(wbi_chunk_record_encode(&index, bytes), WBI_CHUNK_RECORD_MIN);
    ck_assert_int_eq(wbi_chunk_record_decode(bytes, WBI_CHUNK_RECORD_MIN, &at, &found), WB_OK);
    ck_assert_uint_eq(found.key_len, 0);
    ck_assert_uint_eq(found.head, 0);
    ck_assert_uint_eq(found.tail, 0);
    ck_assert_uint_eq(found.len, 5);
}
END_TEST

static void expect_same(const struct wbi_chunk_record *a, const struct wbi_chunk_record *b)
{
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->key_len, b->key_len);
    ck_assert_uint_eq(a->head, b->head);
    ck_assert_uint_eq(a->tail, b->tail);
    ck_assert_uint_eq(a->len, b->len);
    ck_assert_uint_eq(a->address, b->address);
    ck_assert_mem_eq(a->key, b->key, WBI_KEY_MAX);
}

/* Keys with and without padding behind them. */
static const uint8_t key_lens[] = {1, 7, 8, 9, 15, 16, 31, 32};
enum { KEY_LENS = sizeof key_lens };

/* A record with a key of `key_len` bytes and all else in use. */
static struct wbi_chunk_record full_record(uint8_t key_len)
{
    struct wbi_chunk_record record = {
        .kind = WB_CHUNK_RMA, .key_len = key_len, .head = 3, .tail = 2, .len = 77, .address = 1000};
    memset(record.key, key_len, key_len);
    return record;
}

START_TEST(test_truncations)
{
    struct wbi_chunk_record record = full_record(key_lens[_i]), found;
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    size_t size = wbi_chunk_record_encode(&record, bytes);
    for (size_t len = 0; len <= size; len++) {
        const uint8_t *cut = test_arena_copy(&arena, bytes, len);
        size_t at = 0;
        int status = wbi_chunk_record_decode(cut, len, &at, &found);
        ck_assert_int_eq(status, len == size ? WB_OK : WB_ERR_PROTOCOL);
        ck_assert_uint_eq(at, len == size ? size : 0);
    }
    expect_same(&found, &record);
    test_arena_clear(&arena);
}
END_TEST

/* Every byte, every value: what decodes encodes to the same. */
START_TEST(test_mutations)
{
    struct wbi_chunk_record record = full_record(key_lens[_i]), found;
    size_t size = wbi_chunk_record_size(record.key_len);
    uint8_t *bytes = test_arena_alloc(&arena, size), again[WBI_CHUNK_RECORD_MAX];
    wbi_chunk_record_encode(&record, bytes);
    for (size_t i = 0; i < size * 255; i++) {
        size_t at = 0;
        uint8_t change = (uint8_t)(i % 255 + 1);
        bytes[i / 255] ^= change;
        if (wbi_chunk_record_decode(bytes, size, &at, &found) == WB_OK) {
            ck_assert_uint_le(at, size);
            ck_assert_uint_eq(wbi_chunk_record_encode(&found, again), at);
            ck_assert_mem_eq(again, bytes, at);
        } else {
            ck_assert_uint_eq(at, 0);
        }
        bytes[i / 255] ^= change;
    }
    test_arena_clear(&arena);
}
END_TEST

/* The record with one thing changed is refused. */
static void expect_refused(struct wbi_chunk_record record)
{
    uint8_t bytes[WBI_CHUNK_RECORD_MAX];
    struct wbi_chunk_record found;
    size_t at = 0;
    size_t size = wbi_chunk_record_encode(&record, bytes);
    ck_assert_int_eq(wbi_chunk_record_decode(bytes, size, &at, &found), WB_ERR_PROTOCOL);
    ck_assert_uint_eq(at, 0);
}

START_TEST(test_unsound_records)
{
    const struct wbi_chunk_record good = test_offered_chunk(WB_CHUNK_POINTER, 8, 8);
    struct wbi_chunk_record bad = good;
    bad.kind = 0;
    expect_refused(bad);
    bad.kind = 4;
    expect_refused(bad);
    bad = good;
    bad.len = 0;
    expect_refused(bad);
    bad = good;
    bad.key_len = 0;
    expect_refused(bad);
    bad = good;
    bad.head = 9; /* before address 0 */
    expect_refused(bad);
    bad = good;
    bad.address = UINT64_MAX - 7; /* ends at 2^64 */
    expect_refused(bad);
    bad.address = UINT64_MAX - 8;
    bad.tail = 1;
    expect_refused(bad);
    bad = good;
    bad.address = 0;
    bad.len = UINT64_MAX;
    bad.tail = 255;
    expect_refused(bad);
}
END_TEST

START_TEST(test_unsound_bytes)
{
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {1, 33}, {1, 255}, {4, 1}, {5, 1}, {6, 1}, {7, 0x80}, {28, 1}, {31, 1},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct wbi_chunk_record record = test_offered_chunk(WB_CHUNK_RMA, 8, 8), found;
        uint8_t bytes[WBI_CHUNK_RECORD_MAX] = {0};
        size_t at = 0;
        wbi_chunk_record_encode(&record, bytes);
        bytes[changes[i].at] = changes[i].value;
        ck_assert_int_eq(wbi_chunk_record_decode(bytes, sizeof bytes, &at, &found),
                         WB_ERR_PROTOCOL);
    }
    /* An index chunk with a key, a head, a tail. */
    for (size_t i = 1; i < 4; i++) {
        struct wbi_chunk_record index = test_index_chunk(0, 8), found;
        uint8_t bytes[WBI_CHUNK_RECORD_MAX] = {0};
        size_t at = 0;
        wbi_chunk_record_encode(&index, bytes);
        bytes[i] = 1;
        ck_assert_int_eq(wbi_chunk_record_decode(bytes, sizeof bytes, &at, &found),
                         WB_ERR_PROTOCOL);
    }
}
END_TEST

START_TEST(test_position_past_the_end)
{
    uint8_t bytes[WBI_CHUNK_RECORD_MIN] = {WB_CHUNK_INDEX};
    struct wbi_chunk_record found;
    for (size_t at = 1; at < 40; at++) {
        size_t moved = at;
        ck_assert_int_eq(wbi_chunk_record_decode(bytes, sizeof bytes, &moved, &found),
                         WB_ERR_PROTOCOL);
        ck_assert_uint_eq(moved, at);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk record");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, test_golden_bytes);
    tcase_add_test(tcase, test_record_sizes);
    tcase_add_test(tcase, test_index_chunk_sheds_the_rest);
    tcase_add_loop_test(tcase, test_truncations, 0, KEY_LENS);
    tcase_add_loop_test(tcase, test_mutations, 0, KEY_LENS);
    tcase_add_test(tcase, test_unsound_records);
    tcase_add_test(tcase, test_unsound_bytes);
    tcase_add_test(tcase, test_position_past_the_end);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
