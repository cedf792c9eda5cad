/* Sender's side gone wrong: fields that change between the passes, sums that overflow, bytes that
 * cannot be. */
#include <string.h>

#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

static struct test_arena arena;
static const struct wb_thresholds thresholds = {.pointer = 100, .rma = 100};

static wb_bytes bytes_of(size_t len)
{
    void *data = test_arena_alloc(&arena, len);
    memset(data, 0x5a, len);
    return (wb_bytes){.data = data, .len = len};
}

/* Measures two ranges and writes two others into room of just that size. */
static int write_as_measured(const wb_bytes measured[2], const wb_bytes written[2])
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, thresholds);
    wb_size_bytes(&sizer, measured[0]);
    wb_size_bytes(&sizer, measured[1]);
    wb_sizer_finish(&sizer);
    wb_writer_start(&writer, thresholds, test_arena_alloc(&arena, sizer.bytes), sizer.bytes,
                    test_arena_alloc(&arena, sizer.records * sizeof(struct wb_chunk)),
                    sizer.records);
    wb_put_bytes(&writer, written[0]);
    wb_put_bytes(&writer, written[1]);
    return wb_writer_finish(&writer);
}

/* What the writer can see of two ranges: the archive's bytes, and the records, by which of the two
 * are chunks. */
struct seen {
    size_t bytes, records;
};

static struct seen seen_of(size_t first, size_t second)
{
    static const size_t records[2][2] = {{0, 2}, {3, 4}};
    bool chunk[] = {first >= 100, second >= 100};
    return (struct seen){
        .bytes = (chunk[0] ? 1 : 1 + first) + (chunk[1] ? 1 : 1 + second),
        .records = records[chunk[0]][chunk[1]],
    };
}

START_TEST(test_fields_that_change)
{
    static const size_t lens[] = {0, 1, 50, 99, 100, 101, 300};
    for (size_t i = 0; i < (size_t)7 * 7 * 7 * 7; i++) {
        wb_bytes measured[] = {bytes_of(lens[i % 7]), bytes_of(lens[i / 7 % 7])};
        wb_bytes written[] = {bytes_of(lens[i / 49 % 7]), bytes_of(lens[i / 343])};
        struct seen before = seen_of(measured[0].len, measured[1].len);
        struct seen after = seen_of(written[0].len, written[1].len);
        bool same = before.bytes == after.bytes && before.records == after.records;
        ck_assert_int_eq(write_as_measured(measured, written), same ? WB_OK : WB_ERR_INVALID);
        test_arena_clear(&arena);
    }
}
END_TEST

START_TEST(test_vector_that_changes)
{
    static uint8_t data[8192];
    static const size_t lens[] = {0, 1, 4095, 4096, 4097, 8192};
    for (size_t i = 0; i < 36; i++) {
        struct wb_thresholds off = {.pointer = SIZE_MAX, .rma = SIZE_MAX};
        wb_rma_vector measured = test_vector(data, lens[i % 6], 1);
        wb_rma_vector written = test_vector(data, lens[i / 6], 1);
        struct wb_sizer sizer;
        struct wb_writer writer;
        wb_sizer_start(&sizer, off);
        wb_size_rma(&sizer, &measured);
        wb_sizer_finish(&sizer);
        wb_writer_start(&writer, off, test_arena_alloc(&arena, sizer.bytes), sizer.bytes, NULL, 0);
        wb_put_rma(&writer, &written);
        ck_assert_int_eq(wb_writer_finish(&writer), i % 6 == i / 6 ? WB_OK : WB_ERR_INVALID);
        test_arena_clear(&arena);
    }
}
END_TEST

/* Handles that are no object: several, none, of another size. */
START_TEST(test_objects_that_are_none)
{
    static uint64_t data[2];
    const struct {
        wb_rma_vector vector;
        int status;
    } cases[] = {
        {test_vector(data, 1, 8), WB_OK},          {{0}, WB_OK},
        {test_vector(data, 2, 8), WB_ERR_INVALID}, {test_vector(data, 0, 8), WB_ERR_INVALID},
        {test_vector(data, 1, 4), WB_ERR_INVALID}, {test_vector(data, 2, 4), WB_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wb_thresholds off = {.pointer = SIZE_MAX, .rma = SIZE_MAX};
        struct wb_sizer sizer;
        struct wb_writer writer;
        wb_sizer_start(&sizer, off);
        wb_size_rma(&sizer, &cases[i].vector);
        wb_sizer_finish(&sizer);
        wb_writer_start(&writer, off, test_arena_alloc(&arena, sizer.bytes), sizer.bytes, NULL, 0);
        wb_put_object(&writer, &cases[i].vector, 8);
        ck_assert_int_eq(wb_writer_finish(&writer), cases[i].status);
        test_arena_clear(&arena);
    }
}
END_TEST

/* A chunk more than was measured is not written past the list, whatever room the archive has. */
START_TEST(test_too_many_chunks)
{
    for (uint32_t room = 0; room < 8; room++) {
        struct wb_writer writer;
        wb_bytes large = bytes_of(100);
        wb_writer_start(&writer, thresholds, test_arena_alloc(&arena, 4), 4,
                        test_arena_alloc(&arena, room * sizeof(struct wb_chunk)), room);
        for (size_t i = 0; i < 4; i++) {
            wb_put_bytes(&writer, large);
        }
        ck_assert_int_eq(wb_writer_finish(&writer), WB_ERR_INVALID);
        ck_assert_uint_eq(writer.chunk_count, room);
        test_arena_clear(&arena);
    }
}
END_TEST

START_TEST(test_bytes_that_cannot_be)
{
    static uint8_t byte;
    static const wb_bytes impossible[] = {
        {NULL, 1},   {NULL, 99},        {NULL, 100},
        {NULL, 300}, {&byte, SIZE_MAX}, {&byte, SIZE_MAX / 2 + 1},
    };
    for (size_t i = 0; i < 6; i++) {
        const wb_bytes fields[] = {impossible[i], {.data = NULL, .len = 0}};
        ck_assert_int_eq(write_as_measured(fields, fields), WB_ERR_INVALID);
        test_arena_clear(&arena);
    }
}
END_TEST

START_TEST(test_sums_stick)
{
    static const size_t lens[] = {SIZE_MAX - 1, SIZE_MAX - 8, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < 3; i++) {
        struct wb_sizer sizer;
        wb_sizer_start(&sizer, (struct wb_thresholds){.pointer = SIZE_MAX, .rma = SIZE_MAX});
        wb_size_bytes(&sizer, (wb_bytes){.len = lens[i]});
        wb_size_bytes(&sizer, (wb_bytes){.len = lens[i]});
        ck_assert_uint_gt(sizer.bytes, PTRDIFF_MAX);
        ck_assert_uint_eq(sizer.records, 0);
        wb_rma_vector vector = {.count = SIZE_MAX, .elem_size = 1};
        wb_size_u64(&sizer, 0);
        wb_size_str(&sizer, wb_str_of("more"));
        wb_size_rma(&sizer, &vector);
        wb_size_rma(&sizer, &vector);
        wb_size_chunk(&sizer);
        wb_sizer_finish(&sizer);
        ck_assert_uint_eq(sizer.bytes, SIZE_MAX);
    }
}
END_TEST

/* After a failure nothing is read, nothing is made, and the first words stay. */
START_TEST(test_reader_stays_failed)
{
    uint8_t archive[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct test_parcel parcel = {.archive = archive, .archive_bytes = sizeof archive};
    struct test_maker maker = {.arena = &arena};
    struct wb_reader reader = test_parcel_reader(&parcel, &maker);
    ck_assert_uint_eq(wb_get_u8(&reader), 1);
    static const char what[] = "because";
    wb_reader_fail(&reader, WB_AGAIN, what);
    wb_reader_fail(&reader, WB_ERR_MALFORMED, "something later");
    ck_assert_uint_eq(wb_get_u64(&reader), 0);
    ck_assert(wb_get_f64(&reader) == 0.0);
    ck_assert_uint_eq(wb_get_str(&reader).len, 0);
    ck_assert_ptr_null(wb_get_bytes(&reader).data);
    ck_assert_ptr_null(wb_get_rma(&reader).data);
    ck_assert_int_eq(wb_reader_finish(&reader), WB_AGAIN);
    ck_assert_ptr_eq(reader.what, what);
    ck_assert_uint_eq(maker.made, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive misuse");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_fields_that_change);
    tcase_add_test(tcase, test_vector_that_changes);
    tcase_add_test(tcase, test_objects_that_are_none);
    tcase_add_test(tcase, test_too_many_chunks);
    tcase_add_test(tcase, test_bytes_that_cannot_be);
    tcase_add_test(tcase, test_sums_stick);
    tcase_add_test(tcase, test_reader_stays_failed);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
