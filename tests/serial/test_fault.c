/* Where an archive is refused, in words: the value's path and its byte. */
#include <string.h>
#include <waybill/action.h>

#include "tests/serial/printing.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

/* clang-format off */
#define PARTS(F)                                                                                   \
    F(TYPE, wb_bool, flag) F(TYPE, paths, ways) F(TYPE, shapes, figures) F(TYPE, tree, root)       \
    F(FIXED, wb_bool, switches, 3) F(STRING, wb_str, label)
#define NOTHING(F) F(VALUE, u8, none)
WB_ACTION(parts, PARTS, NOTHING)
/* clang-format on */

static struct test_arena arena;
static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
static const point points[] = {{1, 2}, {3, 4}};
static const path two_ways[] = {{NULL, 0}, {points, 2}};
static const shape two_shapes[] = {{.tag = SHAPE_WORDS, .as.words = {"round", 5}},
                                   {.tag = SHAPE_DOT, .as.dot = {7, 8}}};
static tree leaves[] = {{.weight = 2}, {.weight = 3}};
static const struct parts_in sample = {.flag = true,
                                       .ways = {two_ways, 2},
                                       .figures = {two_shapes, 2},
                                       .root = {.weight = 1, .children = leaves, .count = 2},
                                       .switches = {true, false, true},
                                       .label = {"label", 5}};

/* Where the parts of the sample lie in its archive. */
enum {
    FLAG = 0,
    WAYS = 1,
    WAY_1 = WAYS + 1 + 1,
    FIGURES = WAY_1 + 1 + 32,
    FIGURE_1 = FIGURES + 1 + 1 + 1 + 5,
    ROOT = FIGURE_1 + 1 + 16,
    CHILD_1 = ROOT + 10 + 10,
    SWITCHES = CHILD_1 + 10,
    LABEL = SWITCHES + 3,
    END = LABEL + 1 + 5
};

/* Reads the sample with the byte at `at` changed to `value`, cut after `bytes`; returns the status,
 * and the fault in words. */
static int read_spoilt(size_t at, uint8_t value, size_t bytes, char *text, size_t size)
{
    struct test_parcel parcel;
    struct parts_in found;
    TEST_SEND(&arena, parts_in, &sample, packed, &parcel);
    ck_assert_uint_eq(parcel.archive_bytes, END);
    if (at < END) {
        parcel.archive[at] = value;
    }
    parcel.archive_bytes = bytes;
    struct wb_reader reader = test_parcel_reader(&parcel, NULL);
    int status = parts_in_get(&reader, &found);
    int needed = wb_reader_find_fault(&reader, parts_in_fields, text, size);
    ck_assert(needed >= 0 && strlen(text) == ((size_t)needed < size ? (size_t)needed : size - 1));
    parts_in_drop(&found);
    test_arena_clear(&arena);
    return status;
}

START_TEST(test_the_place_of_each_fault)
{
    static const struct {
        size_t at, bytes;
        uint8_t value;
        const char *words;
    } faults[] = {
        {FLAG, END, 2, "flag, at byte 0: a truth value is neither 0 nor 1"},
        {WAYS, END, 200, "ways, at byte 1: an array is counted longer than the archive"},
        {WAY_1, END, 99, "ways[1], at byte 3: an array is counted longer than the archive"},
        {FIGURE_1, END, 3, "figures[1], at byte 44: a tag stands for nothing that its type can be"},
        {CHILD_1, END, 9,
         "root.children[1], at byte 81: a value is of a later version than its type here"},
        {SWITCHES + 1, END, 7, "switches[1], at byte 92: a truth value is neither 0 nor 1"},
        {LABEL, END, 6, "label, at byte 94: the archive ends inside a value"},
        {LABEL, END, 255, "label, at byte 94: the archive marks more chunks than were offered"},
        {END, END - 1, 0, "label, at byte 94: the archive ends inside a value"},
        {END, 3, 0, "at byte 0: the archive ends inside a value"},
    };
    char text[200];
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        int status = read_spoilt(faults[i].at, faults[i].value, faults[i].bytes, text, sizeof text);
        ck_assert_int_eq(status, WB_ERR_MALFORMED);
        ck_assert_str_eq(text, faults[i].words);
    }
}
END_TEST

START_TEST(test_no_fault_and_no_room_for_words)
{
    char text[200], little[8];
    ck_assert_int_eq(read_spoilt(END, 0, END, text, sizeof text), WB_OK);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(read_spoilt(FLAG, 2, END, little, sizeof little), WB_ERR_MALFORMED);
    ck_assert_str_eq(little, "flag, a");
}
END_TEST

/* A receiver's own limits: the same archive is refused by one and read by the other. */
START_TEST(test_limits)
{
    struct test_parcel parcel;
    struct parts_in found;
    char text[200];
    TEST_SEND(&arena, parts_in, &sample, packed, &parcel);
    for (uint32_t depth = 1; depth <= 2; depth++) {
        struct wb_reader reader = test_parcel_reader(&parcel, NULL);
        reader.depth_limit = depth;
        ck_assert_int_eq(parts_in_get(&reader, &found), depth < 2 ? WB_ERR_MALFORMED : WB_OK);
        wb_reader_find_fault(&reader, parts_in_fields, text, sizeof text);
        ck_assert_str_eq(
            text, depth < 2 ? "root.children[0], at byte 71: values are nested too deep" : "");
        parts_in_drop(&found);
    }
    size_t needed = 0;
    for (uint32_t limit = 1; limit < 1000 && needed == 0; limit++) {
        struct wb_reader reader = test_parcel_reader(&parcel, NULL);
        reader.arena_limit = limit;
        int status = parts_in_get(&reader, &found);
        needed = status == WB_OK ? limit : 0;
        ck_assert(status == WB_OK || status == WB_ERR_NO_MEMORY);
        wb_reader_find_fault(&reader, parts_in_fields, text, sizeof text);
        ck_assert(status == WB_OK || strstr(text, "arena") != NULL);
        parts_in_drop(&found);
    }
    ck_assert_uint_eq(needed,
                      2 * sizeof(path) + 2 * sizeof(point) + 2 * sizeof(shape) + 2 * sizeof(tree));
    test_arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tcase = tcase_create("faults");
    tcase_add_test(tcase, test_the_place_of_each_fault);
    tcase_add_test(tcase, test_no_fault_and_no_room_for_words);
    tcase_add_test(tcase, test_limits);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
