/* Types made of types: what goes in comes out, packed or as chunks, whatever is cut or changed on
 * the way stays in bounds, and the bytes are those of docs/wire-format.md. */
#include <string.h>

#include "tests/serial/parcel.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

static struct test_arena arena;
static const struct wb_thresholds packed = {
    .pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
static const struct wb_thresholds chunked = {.pointer = 16, .rma = 16, .buffer = 16};

static const point points[] = {{1, 2}, {3, 4}, {-5, 1e300}};
static const path two_paths[] = {{points, 3}, {NULL, 0}};
static const wb_str three_words[] = {{"one", 3}, {NULL, 0}, {"twenty bytes of words", 21}};
static const wb_f64 four[] = {0.5, -0.0, 1e-300, 4};
static const wb_u16 small[] = {1, 65535, 3};
static const shape three_shapes[] = {
    {.tag = SHAPE_DOT, .as.dot = {7, 8}},
    {.tag = SHAPE_PATH, .as.path = {points, 2}},
    {.tag = SHAPE_WORDS, .as.words = {"round", 5}},
};
static const settings_pair two_settings[] = {{{"depth", 5}, 16}, {{"", 0}, -1}};
static const cell two_cells[] = {{1, 2, {3, 4}}, {5, 6, {7, 8}}};
static tree leaves[] = {{.weight = 2, .extra = 20}, {.weight = 3, .extra = 30}};
static const everything sample = {
    .flag = true,
    .where = {1.5, 2.5},
    .odd = 9,
    .numbers = {four, 4},
    .label = {"label", 5},
    .way = {points, 3},
    .ways = {two_paths, 2},
    .words = {three_words, 3},
    .three = {1, -2, 3},
    .small = {small, 3},
    .maybe = {true, {6, 7}},
    .paint = NONE,
    .figures = {three_shapes, 3},
    .options = {two_settings, 2},
    .one = {9, 8, {7, 6}},
    .many = {two_cells, 2},
    .raw = {1, 2},
    .root = {.weight = 1, .extra = 10, .children = leaves, .count = 2},
    .corners = {{1, 1}, {2, 2}},
    .rest = {"rest", 4},
};

static int write_sample(struct test_parcel *parcel, const everything *value,
                        struct wb_thresholds thresholds)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, thresholds);
    everything_size(&sizer, value);
    test_parcel_open(&arena, parcel, &sizer, &writer);
    everything_put(&writer, value);
    return wb_writer_finish(&writer);
}

static void expect_points(const point *expected, size_t count, path found)
{
    ck_assert_uint_eq(found.len, count);
    ck_assert(count == 0 || memcmp(found.data, expected, count * sizeof *expected) == 0);
}

static void expect_str(wb_str expected, wb_str found)
{
    ck_assert_uint_eq(expected.len, found.len);
    ck_assert(found.len == 0 || memcmp(expected.data, found.data, found.len) == 0);
}

static void expect_sample(const everything *v)
{
    ck_assert(v->flag && v->where.x == 1.5 && v->where.y == 2.5 && v->odd == 9);
    ck_assert_uint_eq(v->numbers.len, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert(v->numbers.data[i] == four[i]);
    }
    ck_assert_uint_eq((uintptr_t)v->numbers.data % _Alignof(wb_f64), 0);
    expect_str(sample.label, v->label);
    expect_points(points, 3, v->way);
    ck_assert_uint_eq(v->ways.len, 2);
    expect_points(points, 3, v->ways.data[0]);
    expect_points(points, 0, v->ways.data[1]);
    ck_assert_uint_eq(v->words.len, 3);
    for (size_t i = 0; i < 3; i++) {
        expect_str(three_words[i], v->words.data[i]);
        ck_assert_int_eq(v->three[i], sample.three[i]);
        ck_assert_uint_eq(v->small.data[i], small[i]);
    }
    ck_assert(v->maybe.has && v->maybe.value.y == 7 && v->paint == NONE);
    ck_assert_uint_eq(v->figures.len, 3);
    ck_assert(v->figures.data[0].tag == SHAPE_DOT && v->figures.data[0].as.dot.y == 8);
    ck_assert_int_eq(v->figures.data[1].tag, SHAPE_PATH);
    expect_points(points, 2, v->figures.data[1].as.path);
    ck_assert_int_eq(v->figures.data[2].tag, SHAPE_WORDS);
    expect_str(three_shapes[2].as.words, v->figures.data[2].as.words);
    ck_assert_uint_eq(v->options.len, 2);
    expect_str(two_settings[0].key, v->options.data[0].key);
    ck_assert(v->options.data[0].value == 16 && v->options.data[1].value == -1);
    ck_assert(memcmp(&v->one, &sample.one, sizeof v->one) == 0);
    ck_assert_uint_eq(v->many.len, 2);
    ck_assert(memcmp(v->many.data, two_cells, sizeof two_cells) == 0);
    ck_assert(v->raw.a == 1 && v->raw.b == 2);
    ck_assert(v->root.weight == 1 && v->root.extra == 10 && v->root.count == 2);
    ck_assert(v->root.children[1].weight == 3 && v->root.children[1].extra == 30);
    ck_assert(v->corners[1].x == 2 && v->rest.len == 4);
    ck_assert(memcmp(v->rest.data, "rest", 4) == 0);
}

/* What was read is written again: the same bytes. */
static void expect_same_bytes(const everything *value, struct wb_thresholds thresholds,
                              const struct test_parcel *parcel)
{
    struct test_parcel again;
    ck_assert_int_eq(write_sample(&again, value, thresholds), WB_OK);
    ck_assert_uint_eq(again.archive_bytes, parcel->archive_bytes);
    ck_assert(memcmp(again.archive, parcel->archive, again.archive_bytes) == 0);
}

START_TEST(test_everything)
{
    const struct wb_thresholds thresholds[] = {packed, chunked};
    struct wb_arena memory = {0};
    for (size_t i = 0; i < 2; i++) {
        struct test_parcel parcel;
        everything found;
        ck_assert_int_eq(write_sample(&parcel, &sample, thresholds[i]), WB_OK);
        test_parcel_land(&arena, &parcel);
        ck_assert_uint_eq(parcel.landing_count > 0, i);
        struct wb_reader reader = test_parcel_reader(&parcel, NULL);
        reader.arena = &memory;
        ck_assert_int_eq(everything_get(&reader, &found), WB_OK);
        expect_sample(&found);
        expect_same_bytes(&found, thresholds[i], &parcel);
        everything_drop(&found);
        wb_arena_reset(&memory);
    }
    wb_arena_free(&memory);
    test_arena_clear(&arena);
}
END_TEST

/* What is kept owes nothing to the parcel, or to what it was made of. */
START_TEST(test_kept)
{
    struct wb_arena memory = {0}, keep = {0}, narrow = {.limit = 100};
    struct test_parcel parcel;
    everything found, kept, again;
    ck_assert_int_eq(write_sample(&parcel, &sample, chunked), WB_OK);
    test_parcel_land(&arena, &parcel);
    struct wb_reader reader = test_parcel_reader(&parcel, NULL);
    reader.arena = &memory;
    ck_assert_int_eq(everything_get(&reader, &found), WB_OK);
    ck_assert_int_eq(everything_keep(&found, &kept, &narrow), WB_ERR_NO_MEMORY);
    ck_assert_ptr_null(kept.words.data);
    ck_assert_int_eq(everything_keep(&found, &kept, &keep), WB_OK);
    everything_drop(&found);
    wb_arena_free(&memory);
    test_arena_clear(&arena); /* ASan would see who reads there */
    expect_sample(&kept);
    ck_assert_int_eq(everything_keep(&kept, &again, &memory), WB_OK);
    everything_drop(&kept);
    wb_arena_free(&keep);
    expect_sample(&again);
    again.paint = (color)3;
    ck_assert_int_eq(everything_keep(&again, &kept, &keep), WB_ERR_INVALID);
    everything_drop(&again);
    wb_arena_free(&memory);
    wb_arena_free(&keep);
    wb_arena_free(&narrow);
}
END_TEST

/* A copy of just these bytes, so that ASan sees the first one beside them. */
static int read_bytes(const uint8_t *bytes, size_t len, everything *found, struct wb_arena *memory)
{
    struct test_parcel parcel = {.archive = test_arena_copy(&arena, bytes, len),
                                 .archive_bytes = len};
    struct wb_reader reader = test_parcel_reader(&parcel, NULL);
    reader.arena = memory;
    int status = everything_get(&reader, found);
    ck_assert_int_eq(reader.what == NULL, status == WB_OK);
    if (status == WB_OK) {
        expect_same_bytes(found, packed, &parcel);
    } else {
        ck_assert(status == WB_ERR_MALFORMED || status == WB_ERR_NO_MEMORY);
    }
    return status;
}

START_TEST(test_cut_anywhere)
{
    struct test_parcel parcel;
    struct wb_arena memory = {0};
    everything found;
    ck_assert_int_eq(write_sample(&parcel, &sample, packed), WB_OK);
    for (size_t len = 0; len < parcel.archive_bytes; len++) {
        ck_assert_int_eq(read_bytes(parcel.archive, len, &found, &memory), WB_ERR_MALFORMED);
        ck_assert_uint_eq(found.words.len, 0);
    }
    wb_arena_free(&memory);
    test_arena_clear(&arena);
}
END_TEST

/* Each byte in turn takes every value: what decodes is well formed, and nothing leaves the bytes.
 */
START_TEST(test_every_byte_changed)
{
    struct test_parcel parcel;
    struct wb_arena memory = {0};
    everything found;
    ck_assert_int_eq(write_sample(&parcel, &sample, packed), WB_OK);
    size_t mark = arena.count, refused = 0;
    for (size_t i = 0; i < parcel.archive_bytes * 256; i++) {
        uint8_t *byte = &parcel.archive[i / 256], was = *byte;
        *byte = (uint8_t)i;
        refused += read_bytes(parcel.archive, parcel.archive_bytes, &found, &memory) != WB_OK;
        *byte = was;
        wb_arena_reset(&memory);
        test_arena_rewind(&arena, mark);
    }
    ck_assert_uint_gt(refused, parcel.archive_bytes);
    wb_arena_free(&memory);
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_random_bytes)
{
    struct wb_arena memory = {.limit = 100000};
    uint64_t state = (uint64_t)_i;
    uint8_t bytes[600];
    everything found;
    for (size_t round = 0; round < 200; round++) {
        size_t len = test_random_below(&state, sizeof bytes);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (uint8_t)(test_random_below(&state, 3) ? test_random_below(&state, 4)
                                                              : test_random(&state));
        }
        read_bytes(bytes, len, &found, &memory);
        wb_arena_reset(&memory);
        test_arena_clear(&arena);
    }
    wb_arena_free(&memory);
}
END_TEST

/* Nothing of a small archive makes the arena grow past its limit. */
START_TEST(test_arena_limit)
{
    static wb_str strings[1000];
    struct wb_arena memory = {.limit = 999 * sizeof *strings};
    everything value = sample, found;
    struct test_parcel parcel;
    value.words = (names){strings, 1000};
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_OK);
    ck_assert_int_eq(read_bytes(parcel.archive, parcel.archive_bytes, &found, &memory),
                     WB_ERR_NO_MEMORY);
    wb_arena_free(&memory);
    memory.limit = 0;
    ck_assert_int_eq(read_bytes(parcel.archive, parcel.archive_bytes, &found, &memory), WB_OK);
    wb_arena_free(&memory);
    test_arena_clear(&arena);
}
END_TEST

/* What its type does not have is refused by the sender, too. */
START_TEST(test_values_that_are_none)
{
    struct test_parcel parcel;
    everything value = sample;
    value.paint = (color)3;
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_ERR_INVALID);
    value = sample;
    shape none = {.tag = (enum shape_tag)3};
    value.figures = (shapes){&none, 1};
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_ERR_INVALID);
    value = sample;
    value.ways = (paths){NULL, 2};
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_ERR_INVALID);
    value = sample;
    value.words = (names){NULL, 2};
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_ERR_INVALID);
    value.words = (names){NULL, 0};
    ck_assert_int_eq(write_sample(&parcel, &value, packed), WB_OK);
    test_arena_clear(&arena);
}
END_TEST

/* A tree of `levels` levels, one child each. */
static int read_chain(size_t levels)
{
    struct wb_arena memory = {0};
    struct wb_sizer sizer;
    struct wb_writer writer;
    tree *chain = test_arena_alloc(&arena, levels * sizeof *chain), found;
    for (size_t i = 0; i < levels; i++) {
        bool last = i + 1 == levels;
        chain[i] = (tree){.children = last ? NULL : &chain[i + 1], .count = !last};
    }
    wb_sizer_start(&sizer, packed);
    sizer.bytes = tree_wire_size(&sizer, 0, chain);
    wb_sizer_finish(&sizer);
    uint8_t *bytes = test_arena_alloc(&arena, sizer.bytes);
    wb_writer_start(&writer, packed, bytes, sizer.bytes, NULL, 0);
    struct wb_pass pass = {.mode = WB_PASS_PUT, .writer = &writer};
    WB_PASS(&pass, tree, chain);
    ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
    struct wb_reader reader;
    wb_reader_start(&reader, bytes, sizer.bytes);
    reader.arena = &memory;
    struct wb_pass get = {.mode = WB_PASS_GET, .reader = &reader};
    WB_PASS(&get, tree, &found);
    int status = wb_reader_finish(&reader);
    wb_arena_free(&memory);
    test_arena_clear(&arena);
    return status;
}

START_TEST(test_depth)
{
    ck_assert_int_eq(read_chain(1), WB_OK);
    ck_assert_int_eq(read_chain(WB_DEPTH_LIMIT), WB_OK);
    ck_assert_int_eq(read_chain(WB_DEPTH_LIMIT + 1), WB_ERR_MALFORMED);
}
END_TEST

/* A newer program reads what an older one wrote, and not the other way round. */
START_TEST(test_versions)
{
    uint8_t old_bytes[] = {1, 5, 0, 0, 0, 0}, new_bytes[] = {2, 5, 0, 0, 0, 6, 0, 0, 0, 0};
    struct wb_arena memory = {0};
    tree found;
    struct wb_reader reader;
    wb_reader_start(&reader, old_bytes, sizeof old_bytes);
    struct wb_pass pass = {.mode = WB_PASS_GET, .reader = &reader};
    reader.arena = &memory;
    WB_PASS(&pass, tree, &found);
    ck_assert_int_eq(wb_reader_finish(&reader), WB_OK);
    ck_assert(found.weight == 5 && found.extra == 0 && found.count == 0);
    wb_reader_start(&reader, new_bytes, sizeof new_bytes);
    WB_PASS(&pass, tree, &found);
    ck_assert_int_eq(wb_reader_finish(&reader), WB_OK);
    ck_assert(found.weight == 5 && found.extra == 6);
    wb_reader_start(&reader, new_bytes, sizeof new_bytes);
    WB_PASS(&pass, old_tree, &found);
    ck_assert_int_eq(wb_reader_finish(&reader), WB_ERR_MALFORMED);
    wb_arena_free(&memory);
}
END_TEST

#define GOLDEN(F)                                                                                  \
    F(TYPE, wb_bool, flag)                                                                         \
    F(TYPE, shorts, small)                                                                         \
    F(TYPE, names, words)                                                                          \
    F(TYPE, maybe_point, maybe)                                                                    \
    F(TYPE, color, paint)                                                                          \
    F(TYPE, shape, figure)                                                                         \
    F(TYPE, settings, options)
WB_STRUCT(golden, GOLDEN)

START_TEST(test_golden_bytes)
{
    static const uint8_t expected[] = {
        1,                                                 /* true */
        3, 1, 0,   255, 255, 3,   0,                       /* three u16, aligned as it is */
        3, 3, 0,   2,   'o', 'n', 'e', 'h', 'i',           /* three strings */
        0,                                                 /* none */
        2, 0, 0,   0,                                      /* GREEN */
        2, 2, 'o', 'k',                                    /* the third case */
        1, 1, 'k', 254, 255, 255, 255, 255, 255, 255, 255, /* k: -2 */
    };
    wb_str words[] = {{"one", 3}, {NULL, 0}, {"hi", 2}};
    settings_pair pair = {{"k", 1}, -2};
    golden value = {.flag = true,
                    .small = {small, 3},
                    .words = {words, 3},
                    .paint = GREEN,
                    .figure = {.tag = SHAPE_WORDS, .as.words = {"ok", 2}},
                    .options = {&pair, 1}};
    uint8_t bytes[sizeof expected];
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_sizer_start(&sizer, packed);
    golden_size(&sizer, &value);
    ck_assert_uint_eq(sizer.bytes, sizeof expected);
    wb_writer_start(&writer, packed, bytes, sizeof bytes, NULL, 0);
    golden_put(&writer, &value);
    ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
    ck_assert(memcmp(bytes, expected, sizeof expected) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("types");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, test_everything);
    tcase_add_test(tcase, test_kept);
    tcase_add_test(tcase, test_cut_anywhere);
    tcase_add_test(tcase, test_every_byte_changed);
    tcase_add_loop_test(tcase, test_random_bytes, 0, 50);
    tcase_add_test(tcase, test_arena_limit);
    tcase_add_test(tcase, test_values_that_are_none);
    tcase_add_test(tcase, test_depth);
    tcase_add_test(tcase, test_versions);
    tcase_add_test(tcase, test_golden_bytes);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
