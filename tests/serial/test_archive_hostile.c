/*
 * Archives from a peer that lies. Whatever the bytes, the reader stays inside them and inside its
 * landings; what decodes is well formed, which is to say that writing it again gives the same
 * bytes.
 */
#include <string.h>

#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

enum { MAX_FIELDS = 16 };

static struct test_arena arena;

static bool lies_in(const void *data, size_t len, const void *range, size_t range_len)
{
    uintptr_t at = (uintptr_t)data, begin = (uintptr_t)range;
    return at >= begin && len <= range_len && at - begin <= range_len - len;
}

static bool has_landed(const struct test_parcel *parcel, wb_bytes view)
{
    for (uint32_t i = 0; i < parcel->landing_count; i++) {
        if (parcel->landings[i].data == view.data && parcel->landings[i].len == view.len) {
            return true;
        }
    }
    return lies_in(view.data, view.len, parcel->archive, parcel->archive_bytes);
}

/* Reads the parcel and judges the outcome; kinds as in `like`. Returns the status. */
static int read_hostile(const struct test_parcel *parcel, const struct test_field *like,
                        size_t count)
{
    size_t mark = arena.count;
    struct test_field fields[MAX_FIELDS];
    struct test_maker maker = {.arena = &arena};
    struct test_parcel again;
    memcpy(fields, like, count * sizeof *fields);
    struct wb_reader reader = test_parcel_reader(parcel, &maker);
    reader.backing = (struct wb_rma_block *)(void *)parcel->archive;
    int status = test_fields_read(&reader, fields, count);
    ck_assert_int_eq(reader.what == NULL, status == WB_OK);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].bytes.len > 0) {
            ck_assert(has_landed(parcel, fields[i].bytes));
        }
    }
    if (status == WB_OK) {
        ck_assert_int_eq(test_parcel_write(&arena, &again, fields, count, NULL), WB_OK);
        ck_assert_uint_eq(again.archive_bytes, parcel->archive_bytes);
        ck_assert(memcmp(again.archive, parcel->archive, again.archive_bytes) == 0);
    } else {
        ck_assert_int_eq(status, WB_ERR_MALFORMED);
    }
    test_arena_rewind(&arena, mark);
    return status;
}

static uint8_t data[5000];

#define IN_BLOCK .block = (void *)data

/* One of each kind, packed and, with the thresholds below, as chunks. */
static const struct test_field small[] = {
    {.kind = TEST_u8, .scalar = 7},
    {.kind = TEST_str, .bytes = {"text", 4}},
    {.kind = TEST_rma, .vector = {.data = data, .count = 3, .elem_size = 2, IN_BLOCK}},
    {.kind = TEST_rma},
    {.kind = TEST_str, .bytes = {data, 5}},
    {.kind = TEST_f32, .scalar = 9},
    {.kind = TEST_rma, .vector = {.data = data, .count = 4, .elem_size = 2, IN_BLOCK}},
    {.kind = TEST_bytes, .bytes = {data, 6}},
    {.kind = TEST_rma, .vector = {.elem_size = 300}},
};
/* Lengths of three bytes. */
static const struct test_field medium[] = {
    {.kind = TEST_bytes, .bytes = {data, 300}},
    {.kind = TEST_str, .bytes = {data, 400}},
    {.kind = TEST_rma, .vector = {.data = data, .count = 40, .elem_size = 8, IN_BLOCK}},
    {.kind = TEST_u64, .scalar = 9},
};
/* Packed data of a size that is aligned. */
static const struct test_field aligned[] = {
    {.kind = TEST_u16, .scalar = 7},
    {.kind = TEST_rma, .vector = {.data = data, .count = 700, .elem_size = 6}},
    {.kind = TEST_str, .bytes = {"text", 4}},
};

/* Objects and buffers: packed, as chunks of both kinds, empty. */
static const struct test_field handles[] = {
    {.kind = TEST_object, .vector = {.data = data, .count = 1, .elem_size = 8, IN_BLOCK}},
    {.kind = TEST_buffer, .buffer = {.data = data, .len = 9}},
    {.kind = TEST_object},
    {.kind = TEST_buffer, .buffer = {.data = data, .len = 20, .owner = (void *)data}},
    {.kind = TEST_buffer, .buffer = {.data = data, .len = 30, IN_BLOCK}},
    {.kind = TEST_buffer},
    {.kind = TEST_u32, .scalar = 9},
};

static const struct {
    const struct test_field *fields;
    size_t count;
    struct wb_thresholds thresholds;
} samples[] = {
    {small, 9, {5, 8, 0, 0}},
    {small, 9, {SIZE_MAX, SIZE_MAX, 0, SIZE_MAX}},
    {small, 9, {0, 0, 0, 0}},
    {medium, 4, {400, 400, 0, 0}},
    {medium, 4, {SIZE_MAX, SIZE_MAX, 0, SIZE_MAX}},
    {handles, 7, {8, 8, 0, 8}},
    {handles, 7, {SIZE_MAX, 8, 0, 8}},
    {handles, 7, {SIZE_MAX, SIZE_MAX, 0, SIZE_MAX}},
    {aligned, 3, {SIZE_MAX, SIZE_MAX, 0, SIZE_MAX}},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static struct test_parcel send_sample(int i)
{
    struct test_parcel parcel;
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, samples[i].fields, samples[i].count,
                                       &samples[i].thresholds),
                     WB_OK);
    test_parcel_land(&arena, &parcel);
    ck_assert_int_eq(read_hostile(&parcel, samples[i].fields, samples[i].count), WB_OK);
    return parcel;
}

START_TEST(test_truncations)
{
    struct test_parcel whole = send_sample(_i);
    for (size_t len = 0; len < whole.archive_bytes; len++) {
        struct test_parcel cut = whole;
        size_t mark = arena.count;
        cut.archive = test_arena_copy(&arena, whole.archive, len);
        cut.archive_bytes = len;
        ck_assert_int_eq(read_hostile(&cut, samples[_i].fields, samples[_i].count),
                         WB_ERR_MALFORMED);
        test_arena_rewind(&arena, mark);
    }
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_a_byte_more)
{
    struct test_parcel whole = send_sample(_i);
    uint8_t *longer = test_arena_alloc(&arena, whole.archive_bytes + 1);
    memcpy(longer, whole.archive, whole.archive_bytes);
    longer[whole.archive_bytes++] = 0;
    whole.archive = longer;
    ck_assert_int_eq(read_hostile(&whole, samples[_i].fields, samples[_i].count), WB_ERR_MALFORMED);
    test_arena_clear(&arena);
}
END_TEST

/* Every byte; every value where the archive is small. */
START_TEST(test_mutations)
{
    struct test_parcel parcel = send_sample(_i);
    unsigned decoded = 0, refused = 0;
    for (size_t at = 0; at < parcel.archive_bytes; at++) {
        uint8_t original = parcel.archive[at];
        unsigned stride = parcel.archive_bytes < 100 || at < 16 ? 1 : 51;
        for (unsigned change = 1; change < 256; change += stride) {
            parcel.archive[at] = (uint8_t)(original ^ change);
            int status = read_hostile(&parcel, samples[_i].fields, samples[_i].count);
            *(status == WB_OK ? &decoded : &refused) += 1;
        }
        parcel.archive[at] = original;
    }
    ck_assert_uint_gt(decoded, 0);
    ck_assert_uint_gt(refused, 0);
    test_arena_clear(&arena);
}
END_TEST

/* Several bytes at once, of values that mean something in a prefix; the loop's number is the seed.
 */
START_TEST(test_random_damage)
{
    static const uint8_t special[] = {0, 1, 8, 251, 252, 253, 254, 255};
    uint64_t seed = (uint64_t)_i;
    int sample = _i % SAMPLES;
    struct test_parcel parcel = send_sample(sample);
    for (size_t i = 0; i < 100; i++) {
        size_t mark = arena.count;
        struct test_parcel damaged = parcel;
        damaged.archive_bytes -= test_random_below(&seed, 3) % damaged.archive_bytes;
        damaged.archive = test_arena_copy(&arena, parcel.archive, damaged.archive_bytes);
        size_t near = test_random(&seed) % 2 == 0 ? damaged.archive_bytes : 64;
        for (uint64_t n = test_random_below(&seed, 6); n > 0; n--) {
            size_t at = test_random_below(&seed, near) % damaged.archive_bytes;
            damaged.archive[at] = special[test_random_below(&seed, sizeof special)];
        }
        read_hostile(&damaged, samples[sample].fields, samples[sample].count);
        test_arena_rewind(&arena, mark);
    }
    test_arena_clear(&arena);
}
END_TEST

/* Reads one field of a kind from literal bytes, with the landings given. */
static int read_one(enum test_kind kind, const void *bytes, size_t len,
                    const struct wb_landing *landings, uint32_t landing_count)
{
    struct test_parcel parcel = {
        .archive = test_arena_copy(&arena, bytes, len),
        .archive_bytes = len,
        .landings = test_arena_copy(&arena, landings, landing_count * sizeof *landings),
        .landing_count = landing_count,
    };
    struct test_field field = {.kind = kind};
    int status = read_hostile(&parcel, &field, 1);
    test_arena_clear(&arena);
    return status;
}

#define EXPECT_REFUSED(kind, literal)                                                              \
    ck_assert_int_eq(read_one(kind, literal, sizeof literal - 1, NULL, 0), WB_ERR_MALFORMED)

START_TEST(test_bad_lengths)
{
    /* Longer forms than needed. */
    EXPECT_REFUSED(TEST_str, "\xfc\x01\x00x");
    EXPECT_REFUSED(TEST_str, "\xfc\x00\x00");
    EXPECT_REFUSED(TEST_str, "\xfd\x01\x00\x00\x00x");
    EXPECT_REFUSED(TEST_bytes, "\xfe\x01\x00\x00\x00\x00\x00\x00\x00x");
    EXPECT_REFUSED(TEST_bytes, "\xfe\x00\x00\x00\x00\x00\x00\x00\x00");
    EXPECT_REFUSED(TEST_rma, "\xfc\x01\x00\x01x");
    EXPECT_REFUSED(TEST_rma, "\x01\xfc\x01\x00x");
    /* Ends within and behind the length. */
    EXPECT_REFUSED(TEST_str, "");
    EXPECT_REFUSED(TEST_str, "\x01");
    EXPECT_REFUSED(TEST_str, "\xfc\xff");
    EXPECT_REFUSED(TEST_str, "\xfc\xff\xff");
    EXPECT_REFUSED(TEST_str, "\xfe\xff\xff\xff\xff\xff\xff\xff");
    EXPECT_REFUSED(TEST_str, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff");
    /* Vectors: elements of no bytes, of too many, in part; the empty handle with elements. */
    EXPECT_REFUSED(TEST_rma, "\x00\x01x");
    EXPECT_REFUSED(TEST_rma, "\x00");
    EXPECT_REFUSED(TEST_rma, "\x00\xff");
    EXPECT_REFUSED(TEST_rma, "\xff\x00");
    EXPECT_REFUSED(TEST_rma, "\x02\x03xyz");
    EXPECT_REFUSED(TEST_rma, "\xfe\x00\x00\x00\x00\x01\x00\x00\x00\x00");
    EXPECT_REFUSED(TEST_rma, "\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff");
    /* Objects: of another size, in part, twice, none of no size; the empty handle in part. */
    EXPECT_REFUSED(TEST_object, "\x07\x07sevenby");
    EXPECT_REFUSED(TEST_object, "\x08\x07sevenby");
    EXPECT_REFUSED(TEST_object, "\x08\x00");
    EXPECT_REFUSED(TEST_object, "\x08\x10twice eight byte");
    EXPECT_REFUSED(TEST_object, "\x04\x08two of 4");
    EXPECT_REFUSED(TEST_object, "\x00");
    EXPECT_REFUSED(TEST_object, "\x00\x01x");
    EXPECT_REFUSED(TEST_object, "\xfe\x08\x00\x00\x00\x01\x00\x00\x00\x08"
                                "eight by");
    EXPECT_REFUSED(TEST_buffer, "");
    EXPECT_REFUSED(TEST_buffer, "\x02x");
    EXPECT_REFUSED(TEST_buffer, "\xfc\x01\x00x");
    /* An archive of nothing but a mark. */
    EXPECT_REFUSED(TEST_object, "\x08\xff");
    EXPECT_REFUSED(TEST_buffer, "\xff");
    EXPECT_REFUSED(TEST_str, "\xff");
    EXPECT_REFUSED(TEST_rma, "\x01\xff");
}
END_TEST

START_TEST(test_bad_landings)
{
    struct wb_landing good = {.data = data,
                              .len = 8,
                              .archive_offset = 1,
                              .kind = WB_CHUNK_POINTER,
                              .block = (void *)data};
    struct wb_landing vector = {
        .data = data, .len = 8, .archive_offset = 2, .kind = WB_CHUNK_RMA, .block = (void *)data};
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, &good, 1), WB_OK);
    ck_assert_int_eq(read_one(TEST_rma, "\x08\xff", 2, &vector, 1), WB_OK);

    struct wb_landing bad = good;
    bad.kind = WB_CHUNK_RMA;
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, &bad, 1), WB_ERR_MALFORMED);
    bad.kind = WB_CHUNK_INDEX;
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, &bad, 1), WB_ERR_MALFORMED);
    bad = vector;
    bad.kind = WB_CHUNK_POINTER;
    ck_assert_int_eq(read_one(TEST_rma, "\x08\xff", 2, &bad, 1), WB_ERR_MALFORMED);
    bad = good;
    bad.archive_offset = 0;
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, &bad, 1), WB_ERR_MALFORMED);
    bad.archive_offset = UINT64_MAX;
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, &bad, 1), WB_ERR_MALFORMED);
    /* A buffer lands as either; an object as the one, whole and alone. */
    ck_assert_int_eq(read_one(TEST_buffer, "\xff", 1, &good, 1), WB_OK);
    struct wb_landing object = vector;
    ck_assert_int_eq(read_one(TEST_object, "\x08\xff", 2, &object, 1), WB_OK);
    ck_assert_int_eq(read_one(TEST_object, "\x07\xff", 2, &object, 1), WB_ERR_MALFORMED);
    ck_assert_int_eq(read_one(TEST_object, "\x00\xff", 2, &object, 1), WB_ERR_MALFORMED);
    object.len = 7;
    ck_assert_int_eq(read_one(TEST_object, "\x08\xff", 2, &object, 1), WB_ERR_MALFORMED);
    object.len = 16;
    ck_assert_int_eq(read_one(TEST_object, "\x08\xff", 2, &object, 1), WB_ERR_MALFORMED);
    object.len = 8;
    object.kind = WB_CHUNK_POINTER;
    ck_assert_int_eq(read_one(TEST_object, "\x08\xff", 2, &object, 1), WB_ERR_MALFORMED);
    object = good;
    object.kind = WB_CHUNK_RMA;
    ck_assert_int_eq(read_one(TEST_buffer, "\xff", 1, &object, 1), WB_OK);
    object.kind = WB_CHUNK_INDEX;
    ck_assert_int_eq(read_one(TEST_buffer, "\xff", 1, &object, 1), WB_ERR_MALFORMED);
    object.kind = WB_CHUNK_RMA;
    object.archive_offset = 2;
    ck_assert_int_eq(read_one(TEST_buffer, "\xff", 1, &object, 1), WB_ERR_MALFORMED);
    /* Not a multiple of the element; the empty handle as a chunk. */
    ck_assert_int_eq(read_one(TEST_rma, "\x07\xff", 2, &vector, 1), WB_ERR_MALFORMED);
    ck_assert_int_eq(read_one(TEST_rma, "\x00\xff", 2, &vector, 1), WB_ERR_MALFORMED);
    /* Offered more, or where nothing is marked. */
    struct wb_landing two[] = {good, good};
    ck_assert_int_eq(read_one(TEST_str, "\xff", 1, two, 2), WB_ERR_MALFORMED);
    ck_assert_int_eq(read_one(TEST_str, "\x01x", 2, &good, 1), WB_ERR_MALFORMED);
}
END_TEST

START_TEST(test_gap_not_zero)
{
    struct test_parcel parcel = send_sample(SAMPLES - 1);
    ck_assert_uint_eq(parcel.archive_bytes, 64 + 4200 + 5);
    for (size_t at = 6; at < 64; at++) {
        parcel.archive[at] = 1;
        ck_assert_int_eq(read_hostile(&parcel, aligned, 3), WB_ERR_MALFORMED);
        parcel.archive[at] = 0;
    }
    test_arena_clear(&arena);
}
END_TEST

/* No memory for the first vector: that status is the decoding's, and later fields are empty. */
START_TEST(test_vector_that_cannot_be_made)
{
    static const int statuses[] = {WB_AGAIN, WB_ERR_NO_MEMORY, WB_ERR_BUDGET};
    for (size_t i = 0; i < 3; i++) {
        for (size_t fields_of = 0; fields_of < SAMPLES; fields_of++) {
            struct test_parcel parcel = send_sample((int)fields_of);
            size_t count = samples[fields_of].count;
            struct test_field fields[MAX_FIELDS];
            struct test_maker maker = {
                .arena = &arena, .fails_at = 1, .status = (unsigned)-statuses[i]};
            memcpy(fields, samples[fields_of].fields, count * sizeof *fields);
            struct wb_reader reader = test_parcel_reader(&parcel, &maker);
            ck_assert_int_eq(test_fields_read(&reader, fields, count), statuses[i]);
            ck_assert_ptr_nonnull(reader.what);
            ck_assert_uint_eq(maker.made, 1);
            ck_assert_uint_eq(fields[count - 1].bytes.len, 0);
            ck_assert_ptr_null(fields[count - 1].vector.data);
            test_arena_clear(&arena);
        }
    }
}
END_TEST

int main(void)
{
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    Suite *suite = suite_create("archive hostile");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, test_truncations, 0, SAMPLES);
    tcase_add_loop_test(tcase, test_a_byte_more, 0, SAMPLES);
    tcase_add_loop_test(tcase, test_mutations, 0, SAMPLES);
    tcase_add_loop_test(tcase, test_random_damage, 0, 60);
    tcase_add_test(tcase, test_bad_lengths);
    tcase_add_test(tcase, test_bad_landings);
    tcase_add_test(tcase, test_gap_not_zero);
    tcase_add_test(tcase, test_vector_that_cannot_be_made);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
