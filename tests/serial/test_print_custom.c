/* Custom types in words: nested deep and wide, and with chunks inside. */
#include <stdlib.h>
#include <string.h>

#include "tests/serial/printing.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

/* clang-format off */
#define FOREST(F) F(TYPE, tree, root)
WB_STRUCT(forest, FOREST)
/* clang-format on */

/* Whose function looks at what it has read. */
typedef struct note {
    wb_str text;
    wb_rma_vector numbers;
    wb_u8 shouts; /* only where the text ends in "!" */
} note;
static void note_pass(struct wb_pass *p, note *v);
WB_CUSTOM(note, note_pass, 1)
static void note_pass(struct wb_pass *p, note *v)
{
    WB_PASS(p, wb_str, &v->text);
    WB_PASS(p, wb_rma_vector, &v->numbers);
    if (v->text.len > 0 && v->text.data[v->text.len - 1] == '!') {
        WB_PASS(p, wb_u8, &v->shouts);
    }
}
/* clang-format off */
WB_OPTION_OF(note, maybe_note)
#define LETTER(F) F(TYPE, maybe_note, inside) F(VALUE, u8, last)
WB_STRUCT(letter, LETTER)
/* clang-format on */

static struct test_arena arena;
static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
static const struct wb_thresholds chunked = {.pointer = 4, .rma = 4, .buffer = 4};

/* A tree of `depth` levels below its root, each node with `wide` children. */
static tree grow(unsigned depth, size_t wide)
{
    tree root = {.weight = (int)depth};
    if (depth > 0) {
        root.children = test_arena_alloc(&arena, wide * sizeof *root.children);
        root.count = wide;
        for (size_t i = 0; i < wide; i++) {
            root.children[i] = grow(depth - 1, wide);
        }
    }
    return root;
}

static int print_tree(const forest *value, char **text)
{
    struct test_parcel parcel;
    TEST_SEND(&arena, forest, value, packed, &parcel);
    int status = test_print(forest_fields, &parcel, text);
    test_arena_clear(&arena);
    return status;
}

START_TEST(test_deep)
{
    char *text;
    forest value = {grow(WB_DEPTH_LIMIT - 1 + (unsigned)_i, 1)};
    ck_assert_int_eq(print_tree(&value, &text), _i == 0 ? WB_OK : WB_ERR_MALFORMED);
    ck_assert_int_eq(strstr(text, "nested too deep") != NULL, _i == 1);
    free(text);
}
END_TEST

/* What is too much to print is checked to its end. */
START_TEST(test_wide)
{
    char *text;
    forest value = {grow(4, 9)};
    ck_assert_int_eq(print_tree(&value, &text), WB_OK);
    ck_assert_ptr_nonnull(strstr(text, "children[7]"));
    ck_assert_ptr_null(strstr(text, "children[8]"));
    ck_assert_ptr_nonnull(strstr(text, " lines more\n"));
    free(text);
}
END_TEST

static void send_letter(struct wb_thresholds thresholds, struct test_parcel *parcel)
{
    static uint32_t numbers[] = {1, 2};
    letter value = {.inside = {true, {{"hello!", 6}, test_vector(numbers, 2, 4), .shouts = 3}},
                    .last = 9};
    TEST_SEND(&arena, letter, &value, thresholds, parcel);
}

static void expect_letter(const struct test_parcel *parcel, int status, const char *expected)
{
    char *text;
    ck_assert_int_eq(test_print(letter_fields, parcel, &text), status);
    ck_assert_str_eq(text, expected);
    free(text);
    test_arena_clear(&arena);
}

START_TEST(test_note_packed)
{
    struct test_parcel parcel;
    send_letter(packed, &parcel);
    expect_letter(&parcel, WB_OK,
                  "       0  maybe_note inside: there is one\n"
                  "       1    note value: version 1\n"
                  "       2      wb_str text = 6 bytes \"hello!\"\n"
                  "       9      wb_rma_vector numbers = 2 of 4 bytes 01000000 02000000\n"
                  "      19      wb_u8 shouts = 3\n"
                  "      20  wb_u8 last = 9\n"
                  "      21  end; 0 chunks\n");
}
END_TEST

START_TEST(test_note_chunked)
{
    struct test_parcel parcel;
    send_letter(chunked, &parcel);
    expect_letter(
        &parcel, WB_OK,
        "       0  maybe_note inside: there is one\n"
        "       1    note value: version 1\n"
        "       2      wb_str text = 6 bytes (chunk 0: POINTER) \"hello!\"\n"
        "       3      wb_rma_vector numbers = 2 of 4 bytes (chunk 1: RMA) 01000000 02000000\n"
        "       5      wb_u8 shouts = 3\n"
        "       6  wb_u8 last = 9\n"
        "       7  end; 2 chunks\n");
}
END_TEST

START_TEST(test_note_not_landed)
{
    struct test_parcel parcel;
    send_letter(chunked, &parcel);
    parcel.landings[0].data = NULL;
    expect_letter(&parcel, WB_ERR_INVALID,
                  "       0  maybe_note inside: there is one\n"
                  "       1    note value: version 1\n"
                  "       2      wb_str text = 6 bytes (chunk 0: POINTER, not landed)\n"
                  "       2      wb_str text ! an argument is out of its range: its type's "
                  "function may look at a chunk that has not landed\n");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("print custom");
    TCase *nested = tcase_create("nested");
    tcase_add_loop_test(nested, test_deep, 0, 2);
    tcase_add_test(nested, test_wide);
    suite_add_tcase(s, nested);
    TCase *chunks = tcase_create("chunks");
    tcase_add_test(chunks, test_note_packed);
    tcase_add_test(chunks, test_note_chunked);
    tcase_add_test(chunks, test_note_not_landed);
    suite_add_tcase(s, chunks);
    return s;
}

int main(void)
{
    return test_run(suite());
}
