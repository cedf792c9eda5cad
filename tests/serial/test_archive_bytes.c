/* The archive's bytes as docs/wire-format.md has them, in literals: what keeps the format from
 * drifting. */
#include <stdio.h>
#include <string.h>

#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

static struct test_arena arena;

/* Asserts that the bytes are those of the literal, two digits each, spaces anywhere. */
static void expect_hex(const uint8_t *bytes, size_t len, const char *hex)
{
    size_t count = 0;
    for (; *hex != '\0'; hex++) {
        unsigned byte;
        if (*hex == ' ') {
            continue;
        }
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        ck_assert_uint_lt(count, len);
        ck_assert_msg(bytes[count] == byte, "byte %zu is %02x, not %02x", count, bytes[count],
                      byte);
        count++;
        hex++;
    }
    ck_assert_uint_eq(count, len);
}

/* Writes the fields and compares; returns the parcel for a look at its chunks. */
static struct test_parcel expect_archive(const struct test_field *fields, size_t count,
                                         struct wb_thresholds thresholds, const char *hex)
{
    struct test_parcel parcel;
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, count, &thresholds), WB_OK);
    expect_hex(parcel.archive, parcel.archive_bytes, hex);
    return parcel;
}

static const struct wb_thresholds no_chunks = {.pointer = SIZE_MAX, .rma = SIZE_MAX};

START_TEST(test_scalars)
{
    const struct test_field fields[] = {
        {.kind = TEST_i8, .scalar = 0xfe},
        {.kind = TEST_i16, .scalar = 0xfffe},
        {.kind = TEST_i32, .scalar = 0xfffffffe},
        {.kind = TEST_i64, .scalar = 0xfffffffffffffffe},
        {.kind = TEST_u8, .scalar = 0x01},
        {.kind = TEST_u16, .scalar = 0x0102},
        {.kind = TEST_u32, .scalar = 0x01020304},
        {.kind = TEST_u64, .scalar = 0x0102030405060708},
        {.kind = TEST_f32, .scalar = 0x3fc00000},         /* 1.5 */
        {.kind = TEST_f64, .scalar = 0xc002000000000000}, /* -2.25 */
    };
    expect_archive(fields, 10, no_chunks,
                   "fe feff feffffff feffffffffffffff"
                   "01 0201 04030201 0807060504030201"
                   "0000c03f 00000000000002c0");
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_floats)
{
    uint8_t archive[12];
    struct wb_writer writer;
    wb_writer_start(&writer, no_chunks, archive, sizeof archive, NULL, 0);
    wb_put_f32(&writer, 1.5F);
    wb_put_f64(&writer, -2.25);
    ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
    expect_hex(archive, sizeof archive, "0000c03f 00000000000002c0");
}
END_TEST

START_TEST(test_lengths)
{
    static const struct {
        uint64_t len;
        const char *hex;
    } forms[] = {
        {0, "00"},
        {1, "01"},
        {251, "fb"},
        {252, "fcfc00"},
        {253, "fcfd00"},
        {255, "fcff00"},
        {256, "fc0001"},
        {65535, "fcffff"},
        {65536, "fd00000100"},
        {UINT32_MAX, "fdffffffff"},
        {UINT64_C(1) << 32, "fe0000000001000000"},
        {UINT64_MAX, "feffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        uint8_t archive[9];
        struct wb_writer writer;
        wb_writer_start(&writer, no_chunks, archive, wb_len_size(forms[i].len), NULL, 0);
        wb_put_len(&writer, forms[i].len);
        ck_assert_int_eq(wb_writer_finish(&writer), WB_OK);
        expect_hex(archive, wb_len_size(forms[i].len), forms[i].hex);
    }
}
END_TEST

START_TEST(test_packed_ranges)
{
    static uint32_t elements[] = {0x04030201, 0x08070605};
    const struct test_field fields[] = {
        {.kind = TEST_str, .bytes = {"hi", 2}},
        {.kind = TEST_bytes, .bytes = {NULL, 0}},
        {.kind = TEST_bytes, .bytes = {"\xff", 1}},
        {.kind = TEST_rma}, /* the empty handle */
        {.kind = TEST_rma, .vector = {.elem_size = 8}},
        {.kind = TEST_rma, .vector = test_vector(elements, 2, 4)},
        {.kind = TEST_rma, .vector = {.elem_size = 300}},
    };
    expect_archive(fields, 7, no_chunks,
                   "02 6869  00  01ff  00 00  08 00  04 08 0102030405060708  fc2c01 00");
    test_arena_clear(&arena);
}
END_TEST

START_TEST(test_chunks)
{
    static uint64_t elements[] = {1, 2};
    static const char text[] = "abc";
    const struct test_field fields[] = {
        {.kind = TEST_u8, .scalar = 7},
        {.kind = TEST_str, .bytes = {text, 3}},
        {.kind = TEST_u8, .scalar = 9},
        {.kind = TEST_rma, .vector = test_vector(elements, 2, 8)},
        {.kind = TEST_str, .bytes = {text, 2}},
    };
    struct test_parcel parcel = expect_archive(
        fields, 5, (struct wb_thresholds){.pointer = 3, .rma = 16}, "07 ff  09 08 ff  02 6162");
    const struct wb_chunk expected[] = {
        {.kind = WB_CHUNK_INDEX, .offset = 0, .len = 2},
        {.kind = WB_CHUNK_POINTER, .data = text, .len = 3},
        {.kind = WB_CHUNK_INDEX, .offset = 2, .len = 3},
        {.kind = WB_CHUNK_RMA, .data = elements, .len = 16, .block = fields[3].vector.block},
        {.kind = WB_CHUNK_INDEX, .offset = 5, .len = 3},
    };
    ck_assert_uint_eq(parcel.chunk_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(parcel.chunks[i].kind, expected[i].kind);
        ck_assert_uint_eq(parcel.chunks[i].offset, expected[i].offset);
        ck_assert_uint_eq(parcel.chunks[i].len, expected[i].len);
        ck_assert_ptr_eq(parcel.chunks[i].data, expected[i].data);
        ck_assert_ptr_eq(parcel.chunks[i].block, expected[i].block);
    }
    test_arena_clear(&arena);
}
END_TEST

/* Objects and buffers, packed: those that nothing keeps, that something keeps, that are empty. */
START_TEST(test_packed_objects_and_buffers)
{
    static uint64_t object = 0x0807060504030201;
    struct wb_thresholds packed = {.pointer = SIZE_MAX, .rma = SIZE_MAX, .buffer = SIZE_MAX};
    const struct test_field fields[] = {
        {.kind = TEST_object, .vector = test_vector(&object, 1, 8)},
        {.kind = TEST_object}, /* the empty handle */
        {.kind = TEST_buffer, .buffer = {.data = "abc", .len = 3}},
        {.kind = TEST_buffer, .buffer = {.data = "de", .len = 2, .owner = (void *)&object}},
        {.kind = TEST_buffer, .buffer = {.data = "f", .len = 1, .block = (void *)&object}},
        {.kind = TEST_buffer},
    };
    struct test_parcel parcel = expect_archive(
        fields, 6, packed, "08 08 0102030405060708  00 00  03 616263  02 6465  01 66  00");
    ck_assert_uint_eq(parcel.chunk_count, 0);
    test_arena_clear(&arena);
}
END_TEST

/* The same as chunks, each by the threshold of what keeps it. */
START_TEST(test_objects_and_buffers_as_chunks)
{
    static uint64_t object;
    struct wb_buffer_owner *owner = (void *)&object;
    struct wb_rma_block *block = (void *)&object;
    const struct test_field fields[] = {
        {.kind = TEST_object, .vector = test_vector(&object, 1, 8)},
        {.kind = TEST_buffer, .buffer = {.data = "abc", .len = 3}},
        {.kind = TEST_buffer, .buffer = {.data = "de", .len = 2, .owner = owner}},
        {.kind = TEST_buffer, .buffer = {.data = "fghijklm", .len = 8, .block = block}},
        {.kind = TEST_buffer, .buffer = {.data = "n", .len = 1, .owner = owner}},
        {.kind = TEST_buffer},
    };
    struct wb_thresholds thresholds = {.pointer = 3, .rma = 8, .buffer = 2};
    struct test_parcel parcel =
        expect_archive(fields, 6, thresholds, "08 ff  ff  ff  ff  01 6e  00");
    const struct wb_chunk offered[] = {
        {.kind = WB_CHUNK_RMA, .data = &object, .len = 8, .block = block},
        {.kind = WB_CHUNK_POINTER, .data = fields[1].buffer.data, .len = 3},
        {.kind = WB_CHUNK_POINTER, .data = fields[2].buffer.data, .len = 2, .owner = owner},
        {.kind = WB_CHUNK_RMA, .data = fields[3].buffer.data, .len = 8, .block = block},
    };
    ck_assert_uint_eq(parcel.chunk_count, 9);
    for (size_t i = 0; i < 4; i++) {
        const struct wb_chunk *chunk = &parcel.chunks[2 * i + 1];
        ck_assert_uint_eq(chunk->kind, offered[i].kind);
        ck_assert_ptr_eq(chunk->data, offered[i].data);
        ck_assert_uint_eq(chunk->len, offered[i].len);
        ck_assert_ptr_eq(chunk->block, offered[i].block);
        ck_assert_ptr_eq(chunk->owner, offered[i].owner);
        ck_assert_ptr_null(parcel.chunks[2 * i].owner);
    }
    thresholds = (struct wb_thresholds){.pointer = 4, .rma = 9, .buffer = 3};
    parcel = expect_archive(fields, 6, thresholds,
                            "08 08 0000000000000000  03 616263  02 6465  08 666768696a6b6c6d"
                            "  01 6e  00");
    ck_assert_uint_eq(parcel.chunk_count, 0);
    test_arena_clear(&arena);
}
END_TEST

/* The examples of docs/wire-format.md. */
START_TEST(test_documented_examples)
{
    static uint32_t elements[] = {1, 2};
    const struct test_field fields[] = {
        {.kind = TEST_u8, .scalar = 7},
        {.kind = TEST_str, .bytes = {"hi", 2}},
        {.kind = TEST_rma, .vector = test_vector(elements, 2, 4)},
        {.kind = TEST_rma},
        {.kind = TEST_f32, .scalar = 0x3fc00000},
    };
    expect_archive(fields, 5, no_chunks,
                   "07  02 68 69  04 08 01 00 00 00 02 00 00 00  00 00  00 00 c0 3f");
    struct test_parcel parcel =
        expect_archive(fields, 5, (struct wb_thresholds){.pointer = 2, .rma = 8},
                       "07 ff  04 ff  00 00 00 00 c0 3f");
    static const uint64_t lens[] = {2, 2, 2, 8, 6};
    ck_assert_uint_eq(parcel.chunk_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(parcel.chunks[i].len, lens[i]);
    }
    const struct test_field handles[] = {
        {.kind = TEST_object, .vector = test_vector(elements, 1, 8)},
        {.kind = TEST_buffer, .buffer = {.data = "hi", .len = 2}},
    };
    expect_archive(handles, 2, no_chunks, "08 08 01 00 00 00 02 00 00 00  02 68 69");
    expect_archive(handles, 2, (struct wb_thresholds){.pointer = 2, .rma = 8}, "08 ff  ff");
    test_arena_clear(&arena);
}
END_TEST

/* A list that ends with an offered chunk has no empty index chunk behind it. */
START_TEST(test_chunk_at_the_end)
{
    static const char text[] = "abc";
    const struct test_field fields[] = {
        {.kind = TEST_str, .bytes = {text, 3}},
        {.kind = TEST_str, .bytes = {text, 3}},
    };
    struct test_parcel parcel =
        expect_archive(fields, 2, (struct wb_thresholds){.pointer = 1, .rma = 1}, "ff ff");
    ck_assert_uint_eq(parcel.chunk_count, 4);
    ck_assert_uint_eq(parcel.chunks[2].kind, WB_CHUNK_INDEX);
    ck_assert_uint_eq(parcel.chunks[2].offset, 1);
    ck_assert_uint_eq(parcel.chunks[2].len, 1);
    test_arena_clear(&arena);
}
END_TEST

/* 4096 bytes begin on a line, with zeros before them; 4095 do not. */
START_TEST(test_aligned_data)
{
    static uint8_t data[4096] = {0xaa, [4095] = 0xbb};
    struct test_field fields[] = {
        {.kind = TEST_u8, .scalar = 1},
        {.kind = TEST_rma, .vector = test_vector(data, 4096, 1)},
    };
    struct test_parcel parcel;
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, 2, &no_chunks), WB_OK);
    ck_assert_uint_eq(parcel.archive_bytes, 64 + 4096);
    expect_hex(parcel.archive, 66,
               "01 01 fc0010 000000000000000000000000000000000000000000000000000000"
               "0000000000000000000000000000000000000000000000000000000000000000 aa00");
    ck_assert_uint_eq(parcel.archive[64 + 4095], 0xbb);
    fields[1].vector.count = 4095;
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, 2, &no_chunks), WB_OK);
    ck_assert_uint_eq(parcel.archive_bytes, 5 + 4095);
    expect_hex(parcel.archive, 7, "01 01 fcff0f aa00");
    test_arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive bytes");
    TCase *tcase = tcase_create("golden");
    tcase_add_test(tcase, test_scalars);
    tcase_add_test(tcase, test_floats);
    tcase_add_test(tcase, test_lengths);
    tcase_add_test(tcase, test_packed_ranges);
    tcase_add_test(tcase, test_chunks);
    tcase_add_test(tcase, test_packed_objects_and_buffers);
    tcase_add_test(tcase, test_objects_and_buffers_as_chunks);
    tcase_add_test(tcase, test_documented_examples);
    tcase_add_test(tcase, test_chunk_at_the_end);
    tcase_add_test(tcase, test_aligned_data);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
