/* The structs that WB_ACTION makes of field lists, and their passes: with a real pool, without an
 * engine. */
#include <string.h>
#include <waybill/action.h>

#include "mr_cache/allocator.h"
#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

/* clang-format off */
#define NOTHING(F)
#define VALUES(F)                                                                                  \
    F(VALUE, i8, a) F(VALUE, i16, b) F(VALUE, i32, c) F(VALUE, i64, d) F(VALUE, u8, e)             \
    F(VALUE, u16, f) F(VALUE, u32, g) F(VALUE, u64, h) F(VALUE, f32, i) F(VALUE, f64, j)
#define MIXED(F)                                                                                   \
    F(VALUE, f64, factor) F(STRING, wb_str, label) F(BYTES, wb_bytes, blob)                        \
    F(RMA, wb_rma_vector, data) F(RMA, wb_rma_vector, nothing)
#define HANDLES(F)                                                                                 \
    F(VALUE, u8, before) F(OBJECT, cell_object, cell) F(BUFFER, wb_buffer, raw)                    \
    F(OBJECT, cell_object, none) F(BUFFER, wb_buffer, nothing) F(VALUE, u8, after)
/* Names that the generated code uses itself. */
#define NAMED(F)                                                                                   \
    F(VALUE, u8, s) F(VALUE, u8, v) F(VALUE, u8, w) F(VALUE, u8, r) F(VALUE, u8, status)           \
    F(VALUE, u8, in) F(VALUE, u8, out)
#define EIGHT(F, x)                                                                                \
    F(VALUE, u16, x##0) F(VALUE, u32, x##1) F(STRING, wb_str, x##2) F(VALUE, u16, x##3)            \
    F(VALUE, u16, x##4) F(VALUE, u16, x##5) F(VALUE, u16, x##6) F(VALUE, u64, x##7)
#define SIXTY_FOUR(F)                                                                              \
    EIGHT(F, a) EIGHT(F, b) EIGHT(F, c) EIGHT(F, d) EIGHT(F, e) EIGHT(F, f) EIGHT(F, g) EIGHT(F, h)
/* clang-format on */

struct cell {
    double values[100];
    uint64_t step;
};
WB_RMA_OBJECT_OF(struct cell, cell_object)

WB_ACTION(nothing, NOTHING, NOTHING)
WB_ACTION(handles, HANDLES, HANDLES)
WB_ACTION(values, VALUES, NOTHING)
WB_ACTION(mixed, MIXED, MIXED)
WB_ACTION(named, NAMED, NAMED)
WB_ACTION(long_list, NOTHING, SIXTY_FOUR)

static struct test_arena arena;
static struct wb_rma_allocator *pool;
static const struct wb_thresholds packed = {.pointer = SIZE_MAX,
                                            .rma = SIZE_MAX,
                                            .buffer = SIZE_MAX},
                                  chunked = {.pointer = 1, .rma = 1, .buffer = 1};

static void open_pool(void)
{
    struct wbi_rma_config config = {
        .budget_bytes = 4 << 20, .slab_bytes = 2 << 20, .numa_node = -1};
    ck_assert_int_eq(wbi_rma_allocator_create(&config, &pool), WB_OK);
}

static uint64_t blocks_held(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(pool, &stats);
    return stats.blocks;
}

static void close_pool(void)
{
    ck_assert_uint_eq(blocks_held(), 0);
    wbi_rma_allocator_destroy(pool);
    test_arena_clear(&arena);
}

static int make_vector(void *context, struct wb_rma_block *block, const void *data, uint64_t bytes,
                       uint32_t elem_size, wb_rma_vector *out)
{
    size_t count = bytes / elem_size;
    if (block != NULL) {
        const uint8_t *base = wbi_rma_block_data(block);
        size_t offset = (size_t)((const uint8_t *)data - base);
        *out = wbi_rma_vector_slice(block, offset, elem_size, count);
        return WB_OK;
    }
    int status = wb_rma_vector_create(context, elem_size, count, out);
    if (status == WB_OK && bytes > 0) {
        memcpy(out->data, data, bytes);
    }
    return status;
}

static bool lands_in_pool; /* all chunks, as they do in an engine */

/* Lands the chunks, those of vectors in blocks of the pool, and opens a reader. */
static struct wb_reader land(struct test_parcel *parcel)
{
    test_parcel_land(&arena, parcel);
    for (uint32_t i = 0; i < parcel->landing_count; i++) {
        struct wb_landing *landing = &parcel->landings[i];
        if (landing->kind == WB_CHUNK_RMA || lands_in_pool) {
            ck_assert_int_eq(wbi_rma_alloc(pool, landing->len, true, &landing->block), WB_OK);
            memcpy(wbi_rma_block_data(landing->block), landing->data, landing->len);
            landing->data = wbi_rma_block_data(landing->block);
        }
    }
    struct wb_reader reader = test_parcel_reader(parcel, NULL);
    reader.make_vector = make_vector;
    reader.context = pool;
    return reader;
}

static void drop_landings(struct test_parcel *parcel)
{
    for (uint32_t i = 0; i < parcel->landing_count; i++) {
        if (parcel->landings[i].kind == WB_CHUNK_RMA || lands_in_pool) {
            wbi_rma_block_unref(parcel->landings[i].block);
        }
    }
}

/* Sizes and writes a record into a parcel. */
#define WRITE(record, value, thresholds, parcel)                                                   \
    do {                                                                                           \
        struct wb_sizer sizer;                                                                     \
        struct wb_writer writer;                                                                   \
        wb_sizer_start(&sizer, thresholds);                                                        \
        record##_size(&sizer, value);                                                              \
        test_parcel_open(&arena, parcel, &sizer, &writer);                                         \
        record##_put(&writer, value);                                                              \
        ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);                                        \
    } while (0)

START_TEST(test_empty_lists)
{
    struct nothing_in in = {0}, found;
    struct test_parcel parcel;
    WRITE(nothing_in, &in, chunked, &parcel);
    ck_assert_uint_eq(parcel.archive_bytes, 0);
    ck_assert_uint_eq(parcel.chunk_count, 0);
    struct wb_reader reader = land(&parcel);
    ck_assert_int_eq(nothing_in_get(&reader, &found), WB_OK);
    ck_assert_ptr_null(found.hold.call);
    nothing_in_drop(&found);
    ck_assert_ptr_null(nothing_in_fields[0].kind);
    parcel.archive_bytes = 1;
    parcel.archive = test_arena_copy(&arena, "", 1);
    reader = land(&parcel);
    ck_assert_int_eq(nothing_in_get(&reader, &found), WB_ERR_MALFORMED);
}
END_TEST

START_TEST(test_values)
{
    struct values_in in = {.a = INT8_MIN,
                           .b = INT16_MIN,
                           .c = INT32_MIN,
                           .d = INT64_MIN,
                           .e = UINT8_MAX,
                           .f = UINT16_MAX,
                           .g = UINT32_MAX,
                           .h = UINT64_MAX,
                           .i = -1.5F,
                           .j = 1e300};
    struct values_in found = {0};
    struct test_parcel parcel;
    WRITE(values_in, &in, chunked, &parcel);
    ck_assert_uint_eq(parcel.archive_bytes, 42);
    struct wb_reader reader = land(&parcel);
    ck_assert_int_eq(values_in_get(&reader, &found), WB_OK);
    ck_assert_int_eq(found.a, in.a);
    ck_assert_int_eq(found.b, in.b);
    ck_assert_int_eq(found.c, in.c);
    ck_assert_int_eq(found.d, in.d);
    ck_assert_uint_eq(found.e, in.e);
    ck_assert_uint_eq(found.f, in.f);
    ck_assert_uint_eq(found.g, in.g);
    ck_assert_uint_eq(found.h, in.h);
    ck_assert(found.i == in.i && found.j == in.j);
}
END_TEST

START_TEST(test_names_of_the_generated_code)
{
    struct named_in in = {.s = 1, .v = 2, .w = 3, .r = 4, .status = 5, .in = 6, .out = 7}, found;
    struct test_parcel parcel;
    WRITE(named_in, &in, packed, &parcel);
    struct wb_reader reader = land(&parcel);
    ck_assert_int_eq(named_in_get(&reader, &found), WB_OK);
    ck_assert_int_eq(found.s == 1 && found.status == 5 && found.out == 7, 1);
}
END_TEST

START_TEST(test_sixty_four_fields)
{
    struct long_list_out out = {.a0 = 1, .a7 = 2, .d2 = wb_str_of("in the middle"), .h7 = 3};
    struct long_list_out found;
    struct test_parcel parcel;
    size_t fields = sizeof long_list_out_fields / sizeof *long_list_out_fields - 1;
    ck_assert_uint_eq(fields, 64);
    ck_assert_str_eq(long_list_out_fields[63].name, "h7");
    ck_assert_int_eq(long_list_out_views, 1);
    WRITE(long_list_out, &out, packed, &parcel);
    ck_assert_uint_eq(parcel.archive_bytes, 8 * (2 + 4 + 1 + 4 * 2 + 8) + 13);
    struct wb_reader reader = land(&parcel);
    ck_assert_int_eq(long_list_out_get(&reader, &found), WB_OK);
    ck_assert_uint_eq(found.a0, 1);
    ck_assert_uint_eq(found.a7, 2);
    ck_assert_uint_eq(found.h7, 3);
    ck_assert_uint_eq(found.d2.len, 13);
    ck_assert_mem_eq(found.d2.data, "in the middle", 13);
}
END_TEST

/* A record with each kind in it, whose vector has `count` elements. */
static struct mixed_in full_record(size_t count)
{
    struct mixed_in in = {
        .factor = 2.5, .label = wb_str_of("label"), .blob = {.data = "\0\1\2", .len = 3}};
    ck_assert_int_eq(wb_rma_vector_create(pool, sizeof(double), count, &in.data), WB_OK);
    for (size_t i = 0; i < count; i++) {
        ((double *)in.data.data)[i] = (double)i;
    }
    return in;
}

static void expect_same(const struct mixed_in *a, const struct mixed_in *b)
{
    ck_assert(a->factor == b->factor);
    ck_assert_uint_eq(a->label.len, b->label.len);
    ck_assert_mem_eq(a->label.data, b->label.data, a->label.len);
    ck_assert_uint_eq(a->blob.len, b->blob.len);
    ck_assert_mem_eq(a->blob.data, b->blob.data, a->blob.len);
    ck_assert_uint_eq(a->data.count, b->data.count);
    ck_assert_uint_eq(a->data.elem_size, b->data.elem_size);
    ck_assert_mem_eq(a->data.data, b->data.data, wb_rma_vector_bytes(&a->data));
    ck_assert_ptr_null(b->nothing.block);
}

START_TEST(test_each_kind)
{
    const struct wb_thresholds thresholds[] = {packed, chunked};
    static const size_t counts[] = {1, 100, 512, 1000};
    for (size_t i = 0; i < 8; i++) {
        struct mixed_in in = full_record(counts[i / 2]), found;
        struct test_parcel parcel;
        WRITE(mixed_in, &in, thresholds[i % 2], &parcel);
        ck_assert_uint_eq(parcel.chunk_count, i % 2 == 0 ? 0 : 7);
        struct wb_reader reader = land(&parcel);
        ck_assert_int_eq(mixed_in_get(&reader, &found), WB_OK);
        expect_same(&in, &found);
        drop_landings(&parcel);
        mixed_in_drop(&in);
        ck_assert_uint_eq(blocks_held(), 1); /* the record owns its vector */
        mixed_in_drop(&found);
        ck_assert_ptr_null(found.data.data);
        ck_assert_ptr_null(found.label.data);
        ck_assert_uint_eq(found.blob.len, 0);
        mixed_in_drop(&found); /* a dropped one is fine */
    }
    ck_assert_int_eq(mixed_out_views, 1);
}
END_TEST

/* Cut anywhere: the vectors that were made are dropped, and all is zero. */
START_TEST(test_failure_drops_what_was_made)
{
    const struct wb_thresholds thresholds[] = {packed, chunked};
    struct mixed_in in = full_record(20);
    for (size_t i = 0; i < 2; i++) {
        struct test_parcel parcel;
        WRITE(mixed_in, &in, thresholds[i], &parcel);
        struct wb_reader reader = land(&parcel);
        uint64_t blocks = blocks_held();
        for (size_t len = 0; len < parcel.archive_bytes; len++) {
            struct mixed_in found;
            struct wb_reader cut = reader;
            memset(&found, 0xee, sizeof found);
            cut.end = cut.begin + len;
            ck_assert_int_eq(mixed_in_get(&cut, &found), WB_ERR_MALFORMED);
            ck_assert_uint_eq(blocks_held(), blocks);
            ck_assert_ptr_null(found.data.block);
            ck_assert(found.factor == 0);
            ck_assert_ptr_null(found.label.data);
            ck_assert_ptr_null(found.hold.call);
        }
        drop_landings(&parcel);
    }
    mixed_in_drop(&in);
}
END_TEST

static void end_raw(void *context, const void *data, size_t len)
{
    (void)data;
    *(size_t *)context += len;
}

static struct handles_in full_handles(size_t *ended)
{
    static const uint8_t raw[5000] = {1, 2, 3, [4999] = 4};
    struct handles_in in = {.before = 1, .after = 2};
    ck_assert_int_eq(cell_object_create(pool, &in.cell), WB_OK);
    *cell_object_get(&in.cell) = (struct cell){.values = {[99] = 2.5}, .step = 7};
    ck_assert_int_eq(wb_buffer_reference(raw, sizeof raw, end_raw, ended, &in.raw), WB_OK);
    return in;
}

/* Packed, as chunks; and packed in an archive that landed in a block. */
START_TEST(test_objects_and_buffers)
{
    size_t ended = 0;
    struct handles_in in = full_handles(&ended);
    lands_in_pool = true;
    for (unsigned i = 0; i < 2; i++) {
        struct handles_in found;
        struct test_parcel parcel;
        WRITE(handles_in, &in, i == 0 ? packed : chunked, &parcel);
        ck_assert_uint_eq(parcel.chunk_count, i == 0 ? 0 : 5);
        struct wb_reader reader = land(&parcel);
        ck_assert_int_eq(handles_in_get(&reader, &found), WB_OK);
        drop_landings(&parcel);
        ck_assert_uint_eq(found.before + found.after, 3);
        ck_assert_ptr_ne(cell_object_get(&found.cell), cell_object_get(&in.cell));
        ck_assert_mem_eq(cell_object_get(&found.cell), cell_object_get(&in.cell),
                         cell_object_bytes);
        ck_assert_ptr_null(cell_object_get(&found.none));
        ck_assert_uint_eq(found.raw.len, 5000);
        ck_assert_mem_eq(found.raw.data, in.raw.data, 5000);
        ck_assert_int_eq(wb_buffer_is_view(&found.raw), i == 0);
        ck_assert_ptr_null(found.nothing.data);
        wb_buffer kept;
        ck_assert_int_eq(wb_buffer_keep(&found.raw, &kept), WB_OK);
        handles_in_drop(&found);
        handles_in_drop(&found);
        ck_assert_mem_eq(kept.data, in.raw.data, 5000);
        wb_buffer_drop(&kept);
        ck_assert_uint_eq(blocks_held(), 1);
    }
    ck_assert_uint_eq(ended, 0);
    handles_in_drop(&in);
    ck_assert_uint_eq(ended, 5000);
    ck_assert_int_eq(handles_out_views, 1);
}
END_TEST

START_TEST(test_a_buffer_in_a_long_archive)
{
    size_t ended = 0;
    struct handles_in in = full_handles(&ended), found;
    struct test_parcel parcel;
    struct wb_rma_block *block;
    WRITE(handles_in, &in, packed, &parcel);
    ck_assert_int_eq(wbi_rma_alloc(pool, parcel.archive_bytes, true, &block), WB_OK);
    memcpy(wbi_rma_block_data(block), parcel.archive, parcel.archive_bytes);
    parcel.archive = wbi_rma_block_data(block);
    struct wb_reader reader = land(&parcel);
    reader.backing = block;
    ck_assert_int_eq(handles_in_get(&reader, &found), WB_OK);
    ck_assert_ptr_eq(found.raw.block, block);
    wbi_rma_block_unref(block);
    ck_assert_mem_eq(found.raw.data, in.raw.data, 5000);
    handles_in_drop(&in);
    handles_in_drop(&found);
}
END_TEST

/* Cut anywhere: what was made is dropped. */
START_TEST(test_failure_drops_objects_and_buffers)
{
    size_t ended = 0;
    struct handles_in in = full_handles(&ended);
    lands_in_pool = true;
    for (size_t i = 0; i < 2; i++) {
        struct test_parcel parcel;
        WRITE(handles_in, &in, i == 0 ? packed : chunked, &parcel);
        struct wb_reader reader = land(&parcel);
        uint64_t blocks = blocks_held();
        for (size_t len = 0; len < parcel.archive_bytes; len++) {
            struct handles_in found;
            struct wb_reader cut = reader;
            cut.end = cut.begin + len;
            ck_assert_int_eq(handles_in_get(&cut, &found), WB_ERR_MALFORMED);
            ck_assert_uint_eq(blocks_held(), blocks);
            ck_assert_ptr_null(cell_object_get(&found.cell));
            ck_assert_ptr_null(found.raw.data);
        }
        drop_landings(&parcel);
    }
    handles_in_drop(&in);
}
END_TEST

START_TEST(test_zeroed_records_drop)
{
    struct mixed_out out = {0};
    struct nothing_out none = {0};
    mixed_out_drop(&out);
    nothing_out_drop(&none);
    ck_assert_ptr_null(out.data.data);
}
END_TEST

/* The descriptor has the lists that the structs have. */
START_TEST(test_descriptor)
{
    wb_action_prepare(&mixed_action);
    wb_action_prepare(&named_action);
    ck_assert_str_eq(mixed_action.name, "mixed");
    ck_assert_ptr_eq(mixed_action.in, mixed_in_fields);
    ck_assert_str_eq(mixed_action.out[3].kind, "RMA");
    ck_assert_str_eq(mixed_action.out[3].type, "wb_rma_vector");
    ck_assert_str_eq(mixed_action.out[3].name, "data");
    ck_assert_ptr_null(mixed_action.out[5].kind);
    ck_assert_uint_ne(mixed_action.id, 0);
    ck_assert_uint_ne(mixed_action.id, named_action.id);
    ck_assert_uint_ne(mixed_action.signature, named_action.signature);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("action record");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, open_pool, close_pool);
    tcase_add_test(tcase, test_empty_lists);
    tcase_add_test(tcase, test_values);
    tcase_add_test(tcase, test_names_of_the_generated_code);
    tcase_add_test(tcase, test_sixty_four_fields);
    tcase_add_test(tcase, test_each_kind);
    tcase_add_test(tcase, test_failure_drops_what_was_made);
    tcase_add_test(tcase, test_objects_and_buffers);
    tcase_add_test(tcase, test_a_buffer_in_a_long_archive);
    tcase_add_test(tcase, test_failure_drops_objects_and_buffers);
    tcase_add_test(tcase, test_zeroed_records_drop);
    tcase_add_test(tcase, test_descriptor);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
