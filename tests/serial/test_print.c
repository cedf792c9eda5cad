/* Archives in words: the exact text of each family of types, and hostile archives, at which the
 * printer must say what the reader says, in bounds and in few lines. */
#include <stdlib.h>
#include <string.h>
#include <waybill/action.h>

#include "tests/serial/printing.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

/* clang-format off */
typedef struct body { uint32_t a, b; } body;
WB_RMA_OBJECT_OF(body, body_handle)
#define HANDLES(F)                                                                                 \
    F(VALUE, f32, third) F(RMA, wb_rma_vector, vector) F(RMA, wb_rma_vector, none)                 \
    F(OBJECT, body_handle, object) F(BUFFER, wb_buffer, buffer)
#define OLD(F) F(VALUE, i32, size)
#define NEW(F) OLD(F) F(ADDED, wb_u16, colour, 7) F(ADDED, wb_bytes, blob, (wb_bytes){0})
WB_ACTION(act_old, OLD, OLD)
WB_ACTION(act_new, NEW, OLD)
WB_ACTION(act_all, EVERYTHING, HANDLES)
/* clang-format on */

static struct test_arena arena;
static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
static const struct wb_thresholds chunked = {.pointer = 16, .rma = 8, .buffer = 8};

static const point points[] = {{1, 2}, {3, 4}};
static const path two_paths[] = {{points, 2}, {NULL, 0}};
static const wb_str words[] = {{"one", 3}, {"tab\there \"and\" \n\\", 17}};
static const wb_f64 numbers[] = {0.5, -0.0, 1e-300, 0.1};
static const wb_u16 many_shorts[] = {1, 65535, 3, 4, 5, 6, 7, 8, 9, 10};
static const shape shapes_there[] = {{.tag = SHAPE_DOT, .as.dot = {7, 8}},
                                     {.tag = SHAPE_WORDS, .as.words = {"round", 5}}};
static const settings_pair pairs[] = {{{"depth", 5}, -16}};
static const cell two_cells[] = {{1, 2, {3, 4}}, {5, 6, {7, 8}}};
static tree leaves[] = {{.weight = 2, .extra = 20}, {.weight = 3, .extra = 30}};
static const struct act_all_in sample = {
    .flag = true,
    .where = {1.5, 2.5},
    .odd = 9,
    .numbers = {numbers, 4},
    .label = {"label", 5},
    .way = {points, 2},
    .ways = {two_paths, 2},
    .words = {words, 2},
    .three = {1, -2, 3},
    .small = {many_shorts, 10},
    .maybe = {true, {6, 7}},
    .paint = NONE,
    .figures = {shapes_there, 2},
    .options = {pairs, 1},
    .one = {9, 8, {7, 6}},
    .many = {two_cells, 2},
    .raw = {1, 2},
    .root = {.weight = 1, .extra = 10, .children = leaves, .count = 2},
    .corners = {{1, 1}, {2, 2}},
    .rest = {"rest", 4}};

static void send_all(const struct act_all_in *value, struct wb_thresholds thresholds,
                     struct test_parcel *parcel)
{
    TEST_SEND(&arena, act_all_in, value, thresholds, parcel);
}

static void expect_text(const struct wb_field *fields, const struct test_parcel *parcel,
                        int expected_status, const char *expected)
{
    char *text;
    int status = test_print(fields, parcel, &text);
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(status, expected_status);
    free(text);
    test_arena_clear(&arena);
}

static const char test_families_text[] =
    "       0  wb_bool flag = true\n"
    "       1  point where:\n"
    "       1    wb_f64 x = 1.5\n"
    "       9    wb_f64 y = 2.5\n"
    "      17  wb_u8 odd = 9\n"
    "      18  doubles numbers = 4 of wb_f64 [0.5, -0, 1e-300, 0.1]\n"
    "      56  wb_str label = 5 bytes \"label\"\n"
    "      62  path way: 2 of point\n"
    "      63    point way[0]:\n"
    "      63      wb_f64 x = 1\n"
    "      71      wb_f64 y = 2\n"
    "      79    point way[1]:\n"
    "      79      wb_f64 x = 3\n"
    "      87      wb_f64 y = 4\n"
    "      95  paths ways: 2 of path\n"
    "      96    path ways[0]: 2 of point\n"
    "      97      point ways[0]:\n"
    "      97        wb_f64 x = 1\n"
    "     105        wb_f64 y = 2\n"
    "     113      point ways[1]:\n"
    "     113        wb_f64 x = 3\n"
    "     121        wb_f64 y = 4\n"
    "     129    path ways[1]: 0 of point\n"
    "     130  names words: 2 of wb_str\n"
    "     133    wb_str words[0] = 3 bytes \"one\"\n"
    "     136    wb_str words[1] = 17 bytes \"tab\\x09here \\\"and\\\" \\n\\\\\"\n"
    "     153  wb_i32 three = 3 of wb_i32 [1, -2, 3]\n"
    "     165  shorts small = 10 of wb_u16 [1, 65535, 3, 4, 5, 6, 7, 8, ...]\n"
    "     186  maybe_point maybe: there is one\n"
    "     187    point value:\n"
    "     187      wb_f64 x = 6\n"
    "     195      wb_f64 y = 7\n"
    "     203  color paint = NONE (-7)\n"
    "     207  shapes figures: 2 of shape\n"
    "     208    shape figures[0]: case SHAPE_DOT\n"
    "     209      point dot:\n"
    "     209        wb_f64 x = 7\n"
    "     217        wb_f64 y = 8\n"
    "     225    shape figures[1]: case SHAPE_WORDS\n"
    "     226      wb_str words = 5 bytes \"round\"\n"
    "     232  settings options: 1 of settings_pair\n"
    "     233    settings_pair options[0]:\n"
    "     233      wb_str key = 5 bytes \"depth\"\n"
    "     239      wb_i64 value = -16\n"
    "     247  cell one = {id 9, row 8, rgb [7, 6]}\n"
    "     255  cells many = 2 of cell [{id 1, row 2, rgb [3, 4]}, {id 5, row 6, rgb [7, 8]}]\n"
    "     272  raw_pair raw = 16 bytes 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00\n"
    "     288  tree root: version 2\n"
    "     289    wb_i32 weight = 1\n"
    "     293    wb_i32 extra = 10\n"
    "     297    count = 2\n"
    "     298    tree children[0]: version 2\n"
    "     299      wb_i32 weight = 2\n"
    "     303      wb_i32 extra = 20\n"
    "     307      count = 0\n"
    "     308    tree children[1]: version 2\n"
    "     309      wb_i32 weight = 3\n"
    "     313      wb_i32 extra = 30\n"
    "     317      count = 0\n"
    "     318  point corners: 2 of point\n"
    "     318    point corners[0]:\n"
    "     318      wb_f64 x = 1\n"
    "     326      wb_f64 y = 1\n"
    "     334    point corners[1]:\n"
    "     334      wb_f64 x = 2\n"
    "     342      wb_f64 y = 2\n"
    "     350  wb_bytes rest = 4 bytes 72 65 73 74\n"
    "     355  end; 0 chunks\n";
START_TEST(test_families)
{
    struct test_parcel parcel;
    send_all(&sample, packed, &parcel);
    expect_text(act_all_in_fields, &parcel, WB_OK, test_families_text);
}
END_TEST

static const char test_chunks_text[] =
    "       0  wb_bool flag = false\n"
    "       1  point where:\n"
    "       1    wb_f64 x = 0\n"
    "       9    wb_f64 y = 0\n"
    "      17  wb_u8 odd = 0\n"
    "      18  doubles numbers = 4 of wb_f64 (chunk 0: POINTER) [0.5, -0, 1e-300, 0.1]\n"
    "      19  wb_str label = 16 bytes (chunk 1: POINTER, not landed)\n"
    "      20  path way: 0 of point\n"
    "      21  paths ways: 0 of path\n"
    "      22  names words: 0 of wb_str\n"
    "      23  wb_i32 three = 3 of wb_i32 [0, 0, 0]\n"
    "      35  shorts small = 0 of wb_u16 []\n"
    "      36  maybe_point maybe = none\n"
    "      37  color paint = RED (1)\n"
    "      41  shapes figures: 0 of shape\n"
    "      42  settings options: 0 of settings_pair\n"
    "      43  cell one = {id 0, row 0, rgb [0, 0]}\n"
    "      51  cells many = 0 of cell []\n"
    "      52  raw_pair raw = 16 bytes 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
    "      68  tree root: version 2\n"
    "      69    wb_i32 weight = 0\n"
    "      73    wb_i32 extra = 0\n"
    "      77    count = 0\n"
    "      78  point corners: 2 of point\n"
    "      78    point corners[0]:\n"
    "      78      wb_f64 x = 0\n"
    "      86      wb_f64 y = 0\n"
    "      94    point corners[1]:\n"
    "      94      wb_f64 x = 0\n"
    "     102      wb_f64 y = 0\n"
    "     110  wb_bytes rest = 0 bytes\n"
    "     111  end; 2 chunks\n";
START_TEST(test_chunks)
{
    struct test_parcel parcel;
    struct act_all_in value = {
        .paint = RED, .numbers = {numbers, 4}, .label = {"sixteen and more", 16}};
    send_all(&value, chunked, &parcel);
    parcel.landings[1].data = NULL;
    expect_text(act_all_in_fields, &parcel, WB_OK, test_chunks_text);
}
END_TEST

static void send_handles(struct wb_thresholds thresholds, struct test_parcel *parcel)
{
    static uint32_t data[] = {1, 2, 3};
    struct act_all_out value = {.third = 1.0f / 3,
                                .vector = test_vector(data, 3, 4),
                                .object.vector = test_vector(data, 1, 8),
                                .buffer = wb_buffer_view("bytes", 5)};
    TEST_SEND(&arena, act_all_out, &value, thresholds, parcel);
}

START_TEST(test_handles)
{
    struct test_parcel parcel;
    static const char *const texts[] = {
        "       0  wb_f32 third = 0.33333334\n"
        "       4  wb_rma_vector vector = 3 of 4 bytes 01000000 02000000 03000000\n"
        "      18  wb_rma_vector none = empty handle\n"
        "      20  body_handle object = 8 bytes 01 00 00 00 02 00 00 00\n"
        "      30  wb_buffer buffer = 5 bytes 62 79 74 65 73\n"
        "      36  end; 0 chunks\n",
        "       0  wb_f32 third = 0.33333334\n"
        "       4  wb_rma_vector vector = 3 of 4 bytes (chunk 0: RMA) 01000000 02000000 03000000\n"
        "       6  wb_rma_vector none = empty handle\n"
        "       8  body_handle object = 8 bytes (chunk 1: RMA) 01 00 00 00 02 00 00 00\n"
        "      10  wb_buffer buffer = 5 bytes 62 79 74 65 73\n"
        "      16  end; 2 chunks\n"};
    send_handles(_i == 0 ? packed : chunked, &parcel);
    expect_text(act_all_out_fields, &parcel, WB_OK, texts[_i]);
}
END_TEST

static const struct act_new_in newer = {.size = -5, .colour = 3, .blob = {"0123456789abcdef", 16}};

static const char test_added_text[] = "       0  wb_i32 size = -5\n"
                                      "      12  wb_u16 colour = 3\n"
                                      "      22  wb_bytes blob = 16 bytes (chunk 0: POINTER) 30 31 "
                                      "32 33 34 35 36 37 38 39 61 62 63 64 65 66\n"
                                      "      23  end; 1 chunks\n";
START_TEST(test_added)
{
    struct test_parcel parcel;
    TEST_SEND(&arena, act_new_in, &newer, chunked, &parcel);
    expect_text(act_new_in_fields, &parcel, WB_OK, test_added_text);
}
END_TEST

static const char test_unknown_added_text[] =
    "       0  wb_i32 size = -5\n"
    "       4  added field of id ddd1cb59 that is not known here, 2 bytes\n"
    "      14  added field of id 2621cd83 that is not known here, 1 bytes\n"
    "      23  end; 1 chunks\n";
START_TEST(test_unknown_added)
{
    struct test_parcel parcel;
    TEST_SEND(&arena, act_new_in, &newer, chunked, &parcel);
    expect_text(act_old_in_fields, &parcel, WB_OK, test_unknown_added_text);
}
END_TEST

static const char test_missing_added_text[] =
    "       0  wb_i32 size = 1\n"
    "       4  wb_u16 colour = not sent: the reader's default\n"
    "       4  wb_bytes blob = not sent: the reader's default\n"
    "       4  end; 0 chunks\n";
START_TEST(test_missing_added)
{
    struct test_parcel parcel;
    const struct act_old_in old = {.size = 1};
    TEST_SEND(&arena, act_old_in, &old, packed, &parcel);
    expect_text(act_new_in_fields, &parcel, WB_OK, test_missing_added_text);
}
END_TEST

/* ---- hostile archives ---- */

/* The reader drops what it has made before it failed: so nothing is in a block. */
static int make_view(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                     uint32_t elem_size, wb_rma_vector *out)
{
    (void)context;
    (void)block;
    *out = (wb_rma_vector){
        .data = (void *)(uintptr_t)data, .count = bytes / elem_size, .elem_size = elem_size};
    return WB_OK;
}

typedef int judge_fn(struct wb_reader *reader);
#define JUDGE(record)                                                                              \
    static int judge_##record(struct wb_reader *reader)                                            \
    {                                                                                              \
        struct record found;                                                                       \
        int status = record##_get(reader, &found);                                                 \
        record##_drop(&found);                                                                     \
        return status;                                                                             \
    }
JUDGE(act_all_in)
JUDGE(act_all_out)
JUDGE(act_new_in)
JUDGE(act_old_in)

/* Prints the archive as it is now, and expects the reader's words and few lines. */
static void expect_judged(const struct wb_field *fields, judge_fn *judge,
                          const struct test_parcel *parcel)
{
    char *text;
    size_t mark = arena.count;
    struct wb_reader reader = test_parcel_reader(parcel, NULL);
    reader.make_vector = make_view;
    int status = test_print(fields, parcel, &text);
    int expected = judge(&reader);
    ck_assert_msg(status == expected, "%d, but the reader %d %s:\n%s", status, expected,
                  reader.what, text);
    ck_assert_msg(status == WB_OK || strstr(text, reader.what) != NULL, "no '%s' in:\n%s",
                  reader.what, text);
    char fault[200];
    wb_reader_find_fault(&reader, fields, fault, sizeof fault);
    ck_assert_msg(status != WB_ERR_MALFORMED || strstr(fault, "at byte ") != NULL, "%s", fault);
    ck_assert_msg(status == WB_OK || strstr(fault, reader.what) != NULL, "%s in %s", reader.what,
                  fault);
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; lines++) {
        size_t len = strcspn(c, "\n");
        ck_assert_uint_lt(len, WB_PRINT_LINE);
        c += len + 1;
    }
    ck_assert_uint_le(lines, WB_PRINT_LINES + 2);
    free(text);
    test_arena_rewind(&arena, mark);
}

static void cut_and_change(const struct wb_field *fields, judge_fn *judge,
                           const struct test_parcel *parcel)
{
    static const uint8_t flips[] = {1, 2, 4, 0x80, 0xff};
    struct test_parcel cut = *parcel;
    for (size_t len = 0; len <= parcel->archive_bytes; len++) {
        cut.archive = malloc(len > 0 ? len : 1); /* of that size, for who watches bounds */
        ck_assert_ptr_nonnull(cut.archive);
        memcpy(cut.archive, parcel->archive, len);
        cut.archive_bytes = len;
        expect_judged(fields, judge, &cut);
        free(cut.archive);
    }
    for (size_t i = 0; i < parcel->archive_bytes * sizeof flips; i++) {
        uint8_t *byte = &parcel->archive[i / sizeof flips];
        *byte ^= flips[i % sizeof flips];
        expect_judged(fields, judge, parcel);
        *byte ^= flips[i % sizeof flips];
    }
    test_arena_clear(&arena);
}

START_TEST(test_hostile_types)
{
    struct test_parcel parcel;
    send_all(&sample, _i == 0 ? packed : chunked, &parcel);
    cut_and_change(act_all_in_fields, judge_act_all_in, &parcel);
}
END_TEST

START_TEST(test_hostile_handles)
{
    struct test_parcel parcel;
    send_handles(_i == 0 ? packed : chunked, &parcel);
    cut_and_change(act_all_out_fields, judge_act_all_out, &parcel);
}
END_TEST

START_TEST(test_hostile_added)
{
    struct test_parcel parcel;
    TEST_SEND(&arena, act_new_in, &newer, _i == 0 ? packed : chunked, &parcel);
    cut_and_change(act_old_in_fields, judge_act_old_in, &parcel);
    TEST_SEND(&arena, act_new_in, &newer, _i == 0 ? packed : chunked, &parcel);
    cut_and_change(act_new_in_fields, judge_act_new_in, &parcel);
}
END_TEST

START_TEST(test_not_aligned)
{
    char *text;
    struct test_parcel parcel;
    TEST_SEND(&arena, act_new_in, &newer, packed, &parcel);
    parcel.archive++;
    parcel.archive_bytes--;
    ck_assert_int_eq(test_print(act_new_in_fields, &parcel, &text), WB_ERR_INVALID);
    free(text);
    test_arena_clear(&arena);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("print");
    TCase *text = tcase_create("text");
    tcase_add_test(text, test_families);
    tcase_add_test(text, test_chunks);
    tcase_add_loop_test(text, test_handles, 0, 2);
    tcase_add_test(text, test_added);
    tcase_add_test(text, test_unknown_added);
    tcase_add_test(text, test_missing_added);
    suite_add_tcase(s, text);
    TCase *hostile = tcase_create("hostile");
    tcase_add_loop_test(hostile, test_hostile_types, 0, 2);
    tcase_add_loop_test(hostile, test_hostile_handles, 0, 2);
    tcase_add_loop_test(hostile, test_hostile_added, 0, 2);
    tcase_add_test(hostile, test_not_aligned);
    suite_add_tcase(s, hostile);
    return s;
}

int main(void)
{
    return test_run(suite());
}
