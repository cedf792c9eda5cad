/* Two generations of an action: what may be added without breaking the older program, and what is
 * refused in words. */
#include <string.h>
#include <waybill/action.h>

#include "serial/hash.h"
#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

/* clang-format off */
WB_ARRAY_OF(wb_str, labels)
#define NOTHING(F)
#define OLD(F) F(VALUE, i32, size) F(STRING, wb_str, name)
#define NEW(F) OLD(F) F(ADDED, wb_u16, colour, 77) F(ADDED, labels, labels, (labels){0})             \
    F(ADDED, wb_bytes, blob, (wb_bytes){"none", 4})
#define NEWER(F) NEW(F) F(ADDED, wb_bool, bold, true)
#define FOREIGN(F) OLD(F) F(ADDED, wb_u16, weight, 1)
#define CHANGED(F) F(VALUE, i64, size) F(STRING, wb_str, name)
WB_ACTION(paint_old, OLD, NOTHING)
WB_ACTION(paint_new, NEW, NOTHING)
WB_ACTION(paint_newer, NEWER, NOTHING)
WB_ACTION(paint_foreign, FOREIGN, NOTHING)
WB_ACTION(paint_changed, CHANGED, NOTHING)
/* clang-format on */

static struct test_arena arena;
static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
static const struct wb_thresholds chunked = {.pointer = 8, .rma = 8, .buffer = 8};

/* Writes a record into a parcel, lands it, and opens a reader. */
#define SEND(record, value, thresholds, parcel, reader)                                            \
    do {                                                                                           \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_sizer_start(&sizer, thresholds);                                                        \
        record##_size(&sizer, value);                                                              \
        test_parcel_open(&arena, parcel, &sizer, &writer);                                         \
        record##_put(&writer, value);                                                              \
        ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);                                        \
        test_parcel_land(&arena, parcel);                                                          \
        *(reader) = test_parcel_reader(parcel, NULL);                                              \
    } while (0)

static const wb_str two_labels[] = {{"a", 1}, {"a label of some length", 22}};
static const struct paint_new_in full = {.size = 5,
                                         .name = {"the name of it", 14},
                                         .colour = 3,
                                         .labels = {two_labels, 2},
                                         .blob = {"0123456789", 10}};

static const struct wb_thresholds *thresholds_of(int i)
{
    return i == 0 ? &packed : &chunked;
}

START_TEST(test_old_reads_new)
{
    struct test_parcel parcel;
    struct wb_reader reader;
    struct paint_old_in found = {0};
    SEND(paint_new_in, &full, *thresholds_of(_i), &parcel, &reader);
    ck_assert_int_eq(paint_old_in_get(&reader, &found), WB_OK);
    ck_assert(found.size == 5 && found.name.len == 14);
    paint_old_in_drop(&found);
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_new_reads_old)
{
    struct test_parcel parcel;
    struct wb_reader reader;
    struct paint_new_in found = {0};
    const struct paint_old_in old = {.size = 6, .name = {"the name of it", 14}};
    SEND(paint_old_in, &old, *thresholds_of(_i), &parcel, &reader);
    ck_assert_int_eq(paint_new_in_get(&reader, &found), WB_OK);
    ck_assert(found.size == 6 && found.colour == 77 && found.labels.len == 0);
    ck_assert(found.blob.len == 4 && memcmp(found.blob.data, "none", 4) == 0);
    paint_new_in_drop(&found);
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_newer_reads_new)
{
    struct test_parcel parcel;
    struct wb_reader reader;
    struct paint_newer_in found = {0};
    SEND(paint_new_in, &full, *thresholds_of(_i), &parcel, &reader);
    ck_assert_int_eq(paint_newer_in_get(&reader, &found), WB_OK);
    ck_assert(found.colour == 3 && found.labels.len == 2 && found.bold);
    ck_assert_uint_eq(found.labels.data[1].len, 22);
    ck_assert(found.blob.len == 10 && memcmp(found.blob.data, "0123456789", 10) == 0);
    paint_newer_in_drop(&found);
    test_arena_clear(&arena);
}
END_TEST

/* Two programs have each added a field of their own: that is no garbage, but an error. */
START_TEST(test_another_addition)
{
    struct test_parcel parcel;
    struct wb_reader reader;
    struct paint_foreign_in found = {0};
    SEND(paint_new_in, &full, packed, &parcel, &reader);
    ck_assert_int_eq(paint_foreign_in_get(&reader, &found), WB_ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(reader.what, "added another field"));
    ck_assert_int_eq(found.size, 0);
    test_arena_clear(&arena);
}
END_TEST

/* Each byte of the tail in turn is changed, or the tail is cut: refused, or read inside its bounds.
 */
START_TEST(test_hostile_tail)
{
    struct test_parcel parcel;
    struct wb_reader reader;
    SEND(paint_new_in, &full, packed, &parcel, &reader);
    size_t tail = 4 + 1 + 14;
    for (size_t i = tail * 256; i < parcel.archive_bytes * 256; i++) {
        struct paint_new_in found = {0};
        struct paint_old_in old = {0};
        uint8_t *byte = &parcel.archive[i / 256], was = *byte;
        *byte = (uint8_t)i;
        reader = test_parcel_reader(&parcel, NULL);
        paint_new_in_get(&reader, &found);
        paint_new_in_drop(&found);
        reader = test_parcel_reader(&parcel, NULL);
        paint_old_in_get(&reader, &old);
        paint_old_in_drop(&old);
        *byte = was;
    }
    for (size_t cut = tail + 1; cut < parcel.archive_bytes; cut++) {
        struct paint_old_in old = {0};
        wb_reader_start(&reader, test_arena_copy(&arena, parcel.archive, cut), cut);
        int status = paint_old_in_get(&reader, &old);
        ck_assert(status == WB_ERR_MALFORMED || cut == tail + 8 + 2 || cut == tail + 10 + 8 + 26);
        paint_old_in_drop(&old);
    }
    test_arena_clear(&arena);
}
END_TEST

/* Additions are no part of the signature; whatever else changes is. */
START_TEST(test_signatures)
{
    uint64_t old = wbi_hash_signature(paint_old_in_fields, paint_old_out_fields);
    ck_assert_uint_eq(old, wbi_hash_signature(paint_new_in_fields, paint_new_out_fields));
    ck_assert_uint_eq(old, wbi_hash_signature(paint_newer_in_fields, paint_newer_out_fields));
    ck_assert_uint_ne(old, wbi_hash_signature(paint_changed_in_fields, paint_changed_out_fields));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evolution");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, test_old_reads_new, 0, 2);
    tcase_add_loop_test(tcase, test_new_reads_old, 0, 2);
    tcase_add_loop_test(tcase, test_newer_reads_new, 0, 2);
    tcase_add_test(tcase, test_another_addition);
    tcase_add_test(tcase, test_hostile_tail);
    tcase_add_test(tcase, test_signatures);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
