/* What is written is what was measured, and is read back: for all kinds, sizes and thresholds. */
#include <string.h>

#include "tests/serial/parcel.h"
#include "tests/serial/run.h"

enum { MAX_FIELDS = 24, SEEDS = 2000 };

static struct test_arena arena;

/* Where something changes: lengths' forms, alignment, and the default thresholds. */
static const size_t sizes[] = {0,    1,    2,    7,    63,   64,    65,    250,   251,  252,  253,
                               254,  255,  256,  1023, 1024, 1025,  4031,  4032,  4095, 4096, 4097,
                               4160, 8191, 8192, 8193, 9000, 65534, 65535, 65536, 65537};
static const size_t thresholds_at[] = {0,    1,    2,     64,    251,   252,   253,     1024,
                                       4096, 8192, 65535, 65536, 65537, 70000, SIZE_MAX};

enum { SIZES = sizeof sizes / sizeof *sizes, THRESHOLDS = sizeof thresholds_at / sizeof(size_t) };

static void *random_bytes(uint64_t *seed, size_t len)
{
    uint8_t *bytes = test_arena_alloc(&arena, len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(test_random(seed) >> 32);
    }
    return bytes;
}

static struct test_field scalar_field(enum test_kind kind, uint64_t bits)
{
    static const uint8_t bytes_of[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
    return (struct test_field){.kind = kind, .scalar = bits >> (64 - 8 * bytes_of[kind])};
}

/* A field of `len` bytes, where it has a length. */
static struct test_field sized_field(enum test_kind kind, size_t len, uint64_t *seed)
{
    static const uint32_t elem_sizes[] = {1, 2, 8, 12, 64, 251, 252, 300, 70000};
    struct test_field field = {.kind = kind};
    if (kind < TEST_str) {
        return scalar_field(kind, test_random(seed));
    }
    if (kind == TEST_rma) {
        uint32_t elem_size = elem_sizes[test_random_below(seed, 9)];
        size_t count = len / elem_size;
        field.vector = test_vector(random_bytes(seed, count * elem_size), count, elem_size);
        return field;
    }
    field.bytes = (wb_bytes){.data = random_bytes(seed, len), .len = len};
    return field;
}

static struct test_field random_field(uint64_t *seed)
{
    enum test_kind kind = (enum test_kind)test_random_below(seed, TEST_KINDS + 3);
    if (kind >= TEST_KINDS) { /* lengths are what is worth trying */
        kind = TEST_str + (kind - TEST_KINDS);
    }
    size_t len = test_random(seed) % 4 == 0 ? sizes[test_random_below(seed, SIZES)]
                                            : test_random_below(seed, 300);
    struct test_field field = sized_field(kind, len, seed);
    if (test_random(seed) % 8 == 0) {
        field.vector.block = NULL; /* never a chunk */
    }
    if (kind == TEST_rma && test_random(seed) % 8 == 0) {
        field.vector = (wb_rma_vector){0};
    }
    return field;
}

/* Writes, lands and reads; then writes what was read, which gives the same bytes again. */
static void go_round(const struct test_field *fields, size_t count,
                     const struct wb_thresholds *thresholds, bool in_block)
{
    struct test_parcel parcel, again;
    struct test_field found[MAX_FIELDS];
    struct test_maker maker = {.arena = &arena};
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, count, thresholds), WB_OK);
    test_parcel_land(&arena, &parcel);
    memcpy(found, fields, count * sizeof *found);
    struct wb_reader reader = test_parcel_reader(&parcel, &maker);
    reader.backing = in_block ? (struct wb_rma_block *)(void *)parcel.archive : NULL;
    ck_assert_int_eq(test_fields_read(&reader, found, count), WB_OK);
    ck_assert_ptr_null(reader.what);
    test_fields_expect(fields, found, count);
    ck_assert_int_eq(test_parcel_write(&arena, &again, found, count, NULL), WB_OK);
    ck_assert_uint_eq(again.archive_bytes, parcel.archive_bytes);
    ck_assert_uint_eq(again.chunk_count, parcel.chunk_count);
    ck_assert(memcmp(again.archive, parcel.archive, parcel.archive_bytes) == 0);
    for (size_t i = 0; i < count; i++) {
        bool expected = fields[i].kind == TEST_rma
                            ? fields[i].vector.block != NULL &&
                                  wb_rma_vector_bytes(&fields[i].vector) > 0 &&
                                  wb_rma_vector_bytes(&fields[i].vector) >= thresholds->rma
                            : fields[i].bytes.len > 0 && fields[i].bytes.len >= thresholds->pointer;
        ck_assert_msg(found[i].was_chunk == expected, "field %zu", i);
    }
}

/* The loop's number is the seed: a failure names it. */
START_TEST(test_random_list)
{
    uint64_t state = (uint64_t)_i;
    struct test_field fields[MAX_FIELDS];
    size_t count = test_random_below(&state, MAX_FIELDS + 1);
    struct wb_thresholds thresholds = {
        .pointer = thresholds_at[test_random_below(&state, THRESHOLDS)],
        .rma = thresholds_at[test_random_below(&state, THRESHOLDS)],
    };
    for (size_t i = 0; i < count; i++) {
        fields[i] = random_field(&state);
    }
    go_round(fields, count, &thresholds, _i % 2 == 0);
    test_arena_clear(&arena);
}
END_TEST

/* Every pair of kinds that have lengths around a byte, at every size and threshold. */
START_TEST(test_all_pairs)
{
    static const enum test_kind kinds[] = {TEST_str, TEST_bytes, TEST_rma};
    for (size_t i = 0; i < (size_t)SIZES * 9; i++) {
        uint64_t seed = i;
        struct test_field fields[] = {
            sized_field(kinds[i % 3], sizes[i / 9], &seed),
            sized_field(TEST_u8, 0, &seed),
            sized_field(kinds[i / 3 % 3], sizes[i / 9], &seed),
        };
        for (size_t t = 0; t < THRESHOLDS; t++) {
            size_t rma = thresholds_at[THRESHOLDS - 1 - t];
            struct wb_thresholds thresholds = {.pointer = thresholds_at[t], .rma = rma};
            go_round(fields, 3, &thresholds, t % 2 == 0);
            thresholds.rma = thresholds.pointer;
            go_round(fields, 3, &thresholds, t % 2 == 0);
        }
        test_arena_clear(&arena);
    }
}
END_TEST

START_TEST(test_nothing)
{
    struct wb_thresholds thresholds = {0};
    struct test_field none = {0};
    go_round(&none, 0, &thresholds, false);
    test_arena_clear(&arena);
}
END_TEST

/* Packed data shares the parcel's block from WB_INLINE_RMA_ALIGNED bytes on, and begins on a line
 * there. */
START_TEST(test_packed_vectors_share_the_backing)
{
    static uint8_t data[WB_INLINE_RMA_ALIGNED];
    for (size_t before = 0; before < (size_t)2 * WB_INLINE_RMA_ALIGN; before++) {
        struct test_field fields[] = {
            {.kind = TEST_str, .bytes = {data, before}},
            {.kind = TEST_rma, .vector = test_vector(data, sizeof data, 1)},
            {.kind = TEST_rma, .vector = test_vector(data, sizeof data - 1, 1)},
        };
        struct wb_thresholds none = {.pointer = SIZE_MAX, .rma = SIZE_MAX};
        struct test_maker maker = {.arena = &arena};
        struct test_parcel parcel;
        ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, 3, &none), WB_OK);
        ck_assert_uint_eq(parcel.chunk_count, 0);
        struct wb_reader reader = test_parcel_reader(&parcel, &maker);
        reader.backing = (struct wb_rma_block *)(void *)parcel.archive;
        ck_assert_int_eq(test_fields_read(&reader, fields, 3), WB_OK);
        ck_assert_ptr_eq(fields[1].vector.block, reader.backing);
        size_t position = (size_t)((uint8_t *)fields[1].vector.data - parcel.archive);
        ck_assert_uint_eq(position % WB_INLINE_RMA_ALIGN, 0);
        ck_assert_uint_eq(maker.made, 2);
        ck_assert_uint_eq(maker.copied, 1);
        ck_assert_ptr_ne(fields[2].vector.block, reader.backing);
        test_arena_clear(&arena);
    }
}
END_TEST

/* The empty handle is nothing to make; a vector without elements has an element type still. */
START_TEST(test_empty_vectors)
{
    struct test_field fields[] = {
        {.kind = TEST_rma},
        {.kind = TEST_rma, .vector = {.elem_size = 300}},
    };
    struct wb_thresholds thresholds = {0};
    struct test_maker maker = {.arena = &arena};
    struct test_parcel parcel;
    ck_assert_int_eq(test_parcel_write(&arena, &parcel, fields, 2, &thresholds), WB_OK);
    struct wb_reader reader = test_parcel_reader(&parcel, &maker);
    ck_assert_int_eq(test_fields_read(&reader, fields, 2), WB_OK);
    ck_assert_ptr_null(fields[0].vector.data);
    ck_assert_uint_eq(fields[0].vector.elem_size, 0);
    ck_assert_uint_eq(fields[1].vector.elem_size, 300);
    ck_assert_uint_eq(fields[1].vector.count, 0);
    ck_assert_uint_eq(maker.made, 1);
    test_arena_clear(&arena);
}
END_TEST

/* Lengths beyond 32 bits, in chunks that nobody touches. */
START_TEST(test_chunks_beyond_32_bits)
{
    static uint8_t byte;
    struct wb_landing landings[] = {
        {.data = &byte, .len = UINT64_C(5) << 30, .archive_offset = 1, .kind = WB_CHUNK_POINTER},
        {.data = &byte,
         .len = UINT64_C(5) << 30,
         .archive_offset = 3,
         .kind = WB_CHUNK_RMA,
         .block = (struct wb_rma_block *)(void *)&byte},
    };
    uint8_t archive[] = {255, 8, 255};
    struct test_parcel parcel = {.archive = archive,
                                 .archive_bytes = sizeof archive,
                                 .landings = landings,
                                 .landing_count = 2};
    struct test_field fields[] = {{.kind = TEST_bytes}, {.kind = TEST_rma}};
    struct test_maker maker = {.arena = &arena};
    struct wb_reader reader = test_parcel_reader(&parcel, &maker);
    ck_assert_int_eq(test_fields_read(&reader, fields, 2), WB_OK);
    ck_assert_uint_eq(fields[0].bytes.len, UINT64_C(5) << 30);
    ck_assert_ptr_eq(fields[0].bytes.data, &byte);
    ck_assert_uint_eq(fields[1].vector.count, (UINT64_C(5) << 30) / 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive round trip");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 100);
    tcase_add_loop_test(tcase, test_random_list, 1, SEEDS + 1);
    tcase_add_test(tcase, test_all_pairs);
    tcase_add_test(tcase, test_nothing);
    tcase_add_test(tcase, test_packed_vectors_share_the_backing);
    tcase_add_test(tcase, test_empty_vectors);
    tcase_add_test(tcase, test_chunks_beyond_32_bits);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
