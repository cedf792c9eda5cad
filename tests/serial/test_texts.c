/* Arrays of strings and byte ranges: all lengths, then all bytes; short ones by the fast way, and
 * the others, chunks among them, by the slow one. */
#include <string.h>

#include "serial/texts.h"
#include "tests/serial/parcel.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

WB_ARRAY_OF(wb_bytes, blobs)
#define TEXTS(F) F(VALUE, u8, before) F(TYPE, names, words) F(TYPE, blobs, raw) F(VALUE, u8, after)
WB_STRUCT(texts, TEXTS)

static struct test_arena arena;
static const size_t most = SIZE_MAX;
static const struct wb_thresholds packed = {.pointer = SIZE_MAX};

static int write_texts(struct test_parcel *parcel, const texts *value,
                       struct wb_thresholds thresholds)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, thresholds);
    texts_size(&sizer, value);
    test_parcel_open(&arena, parcel, &sizer, &writer);
    texts_put(&writer, value);
    return wb_writer_finish(&writer);
}

static int read_texts(const struct test_parcel *parcel, struct wb_arena *memory, texts *value)
{
    struct wb_reader reader = test_parcel_reader(parcel, NULL);
    reader.arena = memory;
    return texts_get(&reader, value);
}

static wb_bytes random_text(uint64_t *random, size_t len)
{
    uint8_t *data = test_arena_alloc(&arena, len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)test_random(random);
    }
    return (wb_bytes){.data = len > 0 ? data : NULL, .len = len};
}

static size_t random_length(uint64_t *random, bool all_short)
{
    static const size_t edges[] = {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 251, 252, 253, 65535, 65536};
    size_t known = all_short ? 11 : sizeof edges / sizeof edges[0];
    return test_random_below(random, 2) ? edges[test_random_below(random, known)]
                                        : test_random_below(random, all_short ? 252 : 1000);
}

static texts random_texts(uint64_t *random, bool all_short)
{
    size_t words = test_random_below(random, 30), raw = test_random_below(random, 12);
    wb_str *strings = test_arena_alloc(&arena, (words + 1) * sizeof *strings);
    wb_bytes *ranges = test_arena_alloc(&arena, (raw + 1) * sizeof *ranges);
    for (size_t i = 0; i < words; i++) {
        wb_bytes text = random_text(random, random_length(random, all_short));
        strings[i] = (wb_str){.data = text.data, .len = text.len};
    }
    for (size_t i = 0; i < raw; i++) {
        ranges[i] = random_text(random, random_length(random, all_short));
    }
    return (texts){.before = 1, .words = {strings, words}, .raw = {ranges, raw}, .after = 2};
}

static void expect_bytes(const void *expected, size_t len, const void *found, size_t found_len)
{
    ck_assert_uint_eq(found_len, len);
    ck_assert(len == 0 || memcmp(found, expected, len) == 0);
}

static void expect_texts(const texts *expected, const texts *found)
{
    ck_assert(found->before == 1 && found->after == 2);
    ck_assert_uint_eq(found->words.len, expected->words.len);
    ck_assert_uint_eq(found->raw.len, expected->raw.len);
    for (size_t i = 0; i < expected->words.len; i++) {
        wb_str e = expected->words.data[i], f = found->words.data[i];
        expect_bytes(e.data, e.len, f.data, f.len);
    }
    for (size_t i = 0; i < expected->raw.len; i++) {
        wb_bytes e = expected->raw.data[i], f = found->raw.data[i];
        expect_bytes(e.data, e.len, f.data, f.len);
    }
}

typedef bool put_fn(struct wb_out *, const void *, size_t, size_t);

/* Into exactly their room, which is one byte short the second time; and with a limit that one of
 * them reaches. */
static void expect_put(put_fn *put, const wb_bytes *all, size_t count, const uint8_t *expected,
                       size_t bytes)
{
    uint8_t *room = test_arena_alloc(&arena, count + bytes);
    struct wb_out o = {.at = room, .spare = bytes};
    ck_assert(put(&o, all, count, WB_LEN_U16));
    ck_assert(o.at == room + count + bytes && o.spare == 0);
    expect_bytes(expected, count + bytes, room, count + bytes);
    if (bytes == 0) {
        return;
    }
    o = (struct wb_out){.at = room, .spare = bytes - 1};
    ck_assert(!put(&o, all, count, WB_LEN_U16));
    ck_assert(o.at == room && o.spare == bytes - 1);
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        longest = all[i].len > longest ? all[i].len : longest;
    }
    o.spare = bytes;
    ck_assert(!put(&o, all, count, longest));
    ck_assert(o.at == room && o.spare == bytes);
}

static void expect_put_both_ways(const wb_bytes *all, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += all[i].len;
    }
    uint8_t *expected = test_arena_alloc(&arena, count + bytes), *at = expected + count;
    for (size_t i = 0; i < count; i++) {
        expected[i] = (uint8_t)all[i].len;
        if (all[i].len > 0) {
            memcpy(at, all[i].data, all[i].len);
        }
        at += all[i].len;
    }
    expect_put(wbi_texts_put, all, count, expected, bytes);
    expect_put(wbi_texts_put_by_16, all, count, expected, bytes);
}

START_TEST(test_puts_of_every_length)
{
    uint64_t random = 7;
    wb_bytes all[WB_LEN_U16];
    for (size_t len = 0; len < WB_LEN_U16; len++) {
        all[len] = random_text(&random, len);
    }
    expect_put_both_ways(all, WB_LEN_U16);
    test_arena_clear(&arena);
}
END_TEST

enum { MANY = 40 };

START_TEST(test_puts_of_every_count)
{
    uint64_t random = 11;
    wb_bytes all[MANY] = {{0}};
    for (size_t count = 0; count <= MANY; count++) {
        for (size_t i = 0; i < count; i++) {
            all[i] = random_text(&random, random_length(&random, true));
        }
        expect_put_both_ways(all, count);
        if (count > 0) { /* bytes that are nowhere */
            struct wb_out o = {.at = test_arena_alloc(&arena, 300 * MANY), .spare = 299 * MANY};
            all[test_random_below(&random, count)] = (wb_bytes){.data = NULL, .len = 3};
            ck_assert(!wbi_texts_put(&o, all, count, WB_LEN_U16));
            ck_assert(!wbi_texts_put_by_16(&o, all, count, WB_LEN_U16));
        }
        test_arena_clear(&arena);
    }
}
END_TEST

/* Both ways, of `count` lengths: what they add up to, and the views. */
static void expect_lengths(const uint8_t *lengths, size_t count, bool fit)
{
    /* of their own, so that ASan says whether what is behind is read */
    const uint8_t *at = test_arena_copy(&arena, lengths, count);
    wb_bytes *all = test_arena_alloc(&arena, count * sizeof *all);
    uintptr_t data = (uintptr_t)(at + count);
    size_t sum = 0, bytes;
    for (size_t way = 0; way < 2; way++) {
        ck_assert((way ? wbi_lengths_get_one_by_one : wbi_lengths_get)(at, all, count, &bytes) ==
                  fit);
        sum = 0;
        for (size_t i = 0; i < count && fit; i++) {
            ck_assert_uint_eq((uintptr_t)all[i].data, data + sum);
            ck_assert_uint_eq(all[i].len, lengths[i]);
            sum += lengths[i];
        }
        ck_assert(!fit || bytes == sum);
        memset(all, 0xff, count * sizeof *all);
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = (wb_bytes){.data = at, .len = lengths[i]};
    }
    for (size_t way = 0; way < 2; way++) {
        ck_assert((way ? wbi_lengths_add_one_by_one : wbi_lengths_add)(all, count, WB_LEN_U16,
                                                                       &bytes) == fit);
        ck_assert(!fit || bytes == sum);
    }
}

START_TEST(test_lengths_of_every_count)
{
    uint64_t random = 13;
    uint8_t lengths[MANY] = {0};
    for (size_t count = 0; count <= MANY; count++) {
        for (size_t i = 0; i < count; i++) {
            lengths[i] = (uint8_t)random_length(&random, true);
        }
        expect_lengths(lengths, count, true);
        for (size_t i = 0; i < count; i++) { /* each of them too long */
            uint8_t kept = lengths[i];
            lengths[i] = (uint8_t)(WB_LEN_U16 + i % 4);
            expect_lengths(lengths, count, false);
            lengths[i] = kept;
        }
        test_arena_clear(&arena);
    }
}
END_TEST

/* No length is so long that it seems short. */
START_TEST(test_lengths_of_any_size)
{
    wb_bytes all[MANY] = {{0}};
    size_t bytes;
    for (size_t i = 0; i < MANY; i++) {
        for (size_t shift = 8; shift < 64; shift++) {
            all[i].len = (size_t)1 << shift;
            ck_assert(!wbi_lengths_add(all, MANY, WB_LEN_U16, &bytes));
            ck_assert(!wbi_lengths_add_one_by_one(all, MANY, WB_LEN_U16, &bytes));
        }
        for (size_t below = 1; below <= WB_LEN_U16; below++) {
            all[i].len = below - 1;
            ck_assert(wbi_lengths_add(all, MANY, below, &bytes) && bytes == below - 1);
            all[i].len = below;
            ck_assert(!wbi_lengths_add(all, MANY, below, &bytes));
        }
        all[i].len = 0;
    }
}
END_TEST

START_TEST(test_bytes_on_the_wire)
{
    static const wb_str words[] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    static const uint8_t expected[] = {9, 3, 2, 0, 3, 'a', 'b', 'c', 'd', 'e', 0, 8};
    texts value = {.before = 9, .words = {words, 3}, .after = 8};
    struct test_parcel parcel;
    ck_assert_int_eq(write_texts(&parcel, &value, packed), WB_OK);
    expect_bytes(expected, sizeof expected, parcel.archive, parcel.archive_bytes);

    /* a chunk leaves its mark among the lengths, and its bytes where they are */
    static const uint8_t marked[] = {9, 3, 2, 0, WB_LEN_CHUNK, 'a', 'b', 0, 8};
    ck_assert_int_eq(write_texts(&parcel, &value, (struct wb_thresholds){.pointer = 3}), WB_OK);
    expect_bytes(marked, sizeof marked, parcel.archive, parcel.archive_bytes);
    ck_assert_uint_eq(parcel.chunk_count, 3);
    ck_assert_uint_eq(parcel.chunks[0].len, 5);
    ck_assert_uint_eq(parcel.chunks[1].len, 3);
    ck_assert_uint_eq(parcel.chunks[2].len, 4);
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_what_goes_in_comes_out)
{
    const size_t pointers[] = {most, 1, 20, 252, 300, 65536};
    struct wb_arena memory = {0};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t random = seed;
        texts value = random_texts(&random, seed % 2 == 0), found;
        struct wb_thresholds thresholds = {.pointer = pointers[seed % 6],
                                           .pointer_mask = seed % 5 == 0 ? 3 : 0};
        struct test_parcel parcel;
        ck_assert_int_eq(write_texts(&parcel, &value, thresholds), WB_OK);
        test_parcel_land(&arena, &parcel);
        ck_assert_int_eq(read_texts(&parcel, &memory, &found), WB_OK);
        expect_texts(&value, &found);
        texts_drop(&found);
        wb_arena_reset(&memory);
        test_arena_clear(&arena);
    }
    wb_arena_free(&memory);
}
END_TEST

/* Cut anywhere, it is refused; with a byte changed, it is read or refused: nothing else, and ASan
 * says whether a byte beyond was read. */
START_TEST(test_what_came_wrong)
{
    struct wb_arena memory = {0};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        uint64_t random = seed;
        texts value = random_texts(&random, seed % 2 == 0), found;
        struct test_parcel parcel;
        ck_assert_int_eq(write_texts(&parcel, &value,
                                     (struct wb_thresholds){.pointer = seed % 3 ? SIZE_MAX : 500}),
                         WB_OK);
        test_parcel_land(&arena, &parcel);
        size_t kept = arena.count, step = parcel.archive_bytes / 400 + 1;
        for (size_t at = 0; at < parcel.archive_bytes; at += step) {
            struct test_parcel cut = parcel, changed = parcel;
            cut.archive = test_arena_copy(&arena, parcel.archive, at);
            cut.archive_bytes = at;
            ck_assert_int_eq(read_texts(&cut, &memory, &found), WB_ERR_MALFORMED);
            ck_assert(found.words.data == NULL && found.raw.data == NULL);
            changed.archive = test_arena_copy(&arena, parcel.archive, parcel.archive_bytes);
            changed.archive[at] ^= (uint8_t)(1 + test_random_below(&random, 255));
            int status = read_texts(&changed, &memory, &found);
            ck_assert(status == WB_OK || status == WB_ERR_MALFORMED);
            wb_arena_reset(&memory);
            test_arena_rewind(&arena, kept);
        }
        test_arena_clear(&arena);
    }
    wb_arena_free(&memory);
}
END_TEST

/* What the sender does wrong is told to it, and writes no byte that was not measured. */
START_TEST(test_what_cannot_be_sent)
{
    char letters[300];
    wb_str words[] = {{"ab", 2}, {letters, 3}};
    texts value = {.words = {words, 2}};
    const size_t longer[] = {4, 251, 252, 300};
    memset(letters, 'x', sizeof letters);
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++) {
        struct wb_sizer sizer;
        struct wb_writer writer;
        struct test_parcel parcel;
        words[1].len = 3;
        wb_sizer_start(&sizer, packed);
        texts_size(&sizer, &value);
        test_parcel_open(&arena, &parcel, &sizer, &writer);
        words[1].len = longer[i];
        texts_put(&writer, &value);
        ck_assert_int_eq(wb_writer_finish(&writer), WB_ERR_INVALID);
    }
    struct test_parcel parcel;
    words[1] = (wb_str){.data = NULL, .len = 3};
    ck_assert_int_eq(write_texts(&parcel, &value, packed), WB_ERR_INVALID);
    test_arena_clear(&arena);

    /* what no memory holds is measured as such */
    struct wb_sizer sizer;
    words[1].len = SIZE_MAX - 1;
    wb_sizer_start(&sizer, packed);
    texts_size(&sizer, &value);
    ck_assert_uint_eq(sizer.bytes, SIZE_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("texts");
    TCase *tcase = tcase_create("texts");
    tcase_add_test(tcase, test_puts_of_every_length);
    tcase_add_test(tcase, test_puts_of_every_count);
    tcase_add_test(tcase, test_lengths_of_every_count);
    tcase_add_test(tcase, test_lengths_of_any_size);
    tcase_add_test(tcase, test_bytes_on_the_wire);
    tcase_add_test(tcase, test_what_goes_in_comes_out);
    tcase_add_test(tcase, test_what_came_wrong);
    tcase_add_test(tcase, test_what_cannot_be_sent);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
