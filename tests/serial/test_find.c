/* Where the vectors of an archive are, before anything has landed. */
#include <string.h>
#include <waybill/action.h>

#include "serial/find.h"
#include "tests/serial/printing.h"
#include "tests/serial/run.h"
#include "tests/serial/types.h"

/* clang-format off */
typedef struct body { uint32_t a, b; } body;
WB_RMA_OBJECT_OF(body, body_handle)
#define PIECE(F) F(STRING, wb_str, name) F(RMA, wb_rma_vector, data)
WB_STRUCT(piece, PIECE)
WB_ARRAY_OF(piece, pieces)
WB_OPTION_OF(piece, maybe_piece)
#define EITHER(C) C(EITHER_POINT, point, where) C(EITHER_VECTOR, wb_rma_vector, vector)
WB_UNION(either, EITHER)
#define MANY(F)                                                                                    \
    F(TYPE, names, words) F(TYPE, pieces, parts) F(TYPE, maybe_piece, maybe)                       \
    F(TYPE, either, other) F(BUFFER, wb_buffer, between) F(RMA, wb_rma_vector, none)               \
    F(OBJECT, body_handle, object) F(FIXED, wb_rma_vector, twins, 2) F(TYPE, tree, root)           \
    F(RMA, wb_rma_vector, hidden)
#define LITTLE(F) F(VALUE, u8, n)
WB_ACTION(act_many, MANY, LITTLE)
/* clang-format on */

enum { FOUND = 7, GUARD = 0xee, PACKED = 4, CHUNK = 8 };

static const struct wb_thresholds thresholds = {.pointer = 16, .rma = CHUNK, .buffer = 16};

/* Vector number i, which is filled with i + 1. */
static uint8_t bytes[FOUND + 1][CHUNK];

/* The size of each, in their order; 0: an empty handle. And its landing: the buffer has number 2.
 */
static const struct {
    size_t bytes;
    uint32_t landing;
} expected[FOUND] = {{PACKED, WBI_NO_LANDING}, {CHUNK, 0}, {CHUNK, 1}, {PACKED, WBI_NO_LANDING},
                     {0, WBI_NO_LANDING},      {CHUNK, 3}, {CHUNK, 4}};

static struct test_arena arena;

static wb_rma_vector vector(unsigned i)
{
    return test_vector(bytes[i], i < FOUND ? expected[i].bytes : CHUNK, 1);
}

/* All of it is sent, and nothing has landed. */
static struct wb_reader send(void)
{
    static const uint8_t large[100];
    static const wb_str words[] = {{"one", 3}, {"two", 3}};
    struct test_parcel parcel;
    for (unsigned i = 0; i <= FOUND; i++) {
        memset(bytes[i], (int)i + 1, CHUNK);
    }
    piece two[] = {{{"small", 5}, vector(0)}, {{"large", 5}, vector(1)}};
    body_handle object = {.vector = vector(5)};
    object.vector.elem_size = CHUNK;
    object.vector.count = 1;
    struct act_many_in value = {.words = {words, 2},
                                .parts = {two, 2},
                                .maybe = {true, {{"maybe", 5}, vector(2)}},
                                .other = {.tag = EITHER_VECTOR, .as.vector = vector(3)},
                                .between = wb_buffer_view(large, sizeof large),
                                .object = object,
                                .twins = {vector(6), vector(7)},
                                .root = {.weight = 1},
                                .hidden = vector(7)};
    TEST_SEND(&arena, act_many_in, &value, thresholds, &parcel);
    for (uint32_t i = 0; i < parcel.landing_count; i++) {
        parcel.landings[i].data = NULL;
        parcel.landings[i].block = NULL;
    }
    return test_parcel_reader(&parcel, NULL);
}

static uint32_t find(const struct wb_reader *archive, uint32_t most, struct wbi_vector_at *at)
{
    uint32_t count;
    memset(at, GUARD, (FOUND + 2) * sizeof *at);
    ck_assert_int_eq(wbi_find_vectors(archive, act_many_in_fields, most, at, &count), WB_OK);
    ck_assert_uint_le(count, most);
    for (uint32_t i = count; i < FOUND + 2; i++) {
        struct wbi_vector_at untouched;
        memset(&untouched, GUARD, sizeof untouched);
        ck_assert(at[i].packed == untouched.packed && at[i].landing == untouched.landing);
    }
    return count;
}

/* Inside arrays, options, unions, between other chunks; up to the custom type, or to as many as are
 * wanted. */
START_TEST(test_each_is_found)
{
    struct wbi_vector_at at[FOUND + 2];
    struct wb_reader archive = send();
    for (uint32_t most = 0; most <= FOUND + 2; most++) {
        uint32_t all = FOUND + 1; /* the second twin is there, too */
        uint32_t count = find(&archive, most, at);
        ck_assert_uint_eq(count, most < all ? most : all);
        for (uint32_t i = 0; i < count && i < FOUND; i++) {
            bool packed = expected[i].bytes == PACKED;
            ck_assert_uint_eq(at[i].landing, expected[i].landing);
            ck_assert_int_eq(at[i].packed != NULL, packed);
            ck_assert(!packed || memcmp(at[i].packed, bytes[i], PACKED) == 0);
        }
    }
    test_arena_clear(&arena);
}
END_TEST

/* Cut anywhere, with any byte changed, and with the landings of another: whatever is found lies in
 * the archive, and names a landing that there is. */
START_TEST(test_hostile)
{
    struct wbi_vector_at at[FOUND + 2];
    struct wb_reader whole = send();
    size_t len = (size_t)(whole.end - whole.begin);
    for (size_t i = 0; i < 9 * len; i++) {
        size_t mark = arena.count, cut = i < len ? i : len;
        uint8_t *copy = test_arena_copy(&arena, whole.begin, cut);
        if (i >= len) {
            static const uint8_t changes[] = {0, 1, 3, 251, 252, 253, 254, 255};
            copy[i % len] = changes[i / len - 1];
        }
        struct wb_reader archive;
        wb_reader_start(&archive, copy, cut);
        archive.landings = whole.landings;
        archive.landing_count = i % 3 == 0 ? whole.landing_count / 2 : whole.landing_count;
        uint32_t count = find(&archive, FOUND + 2, at);
        for (uint32_t n = 0; n < count; n++) {
            const uint8_t *packed = at[n].packed;
            ck_assert(packed == NULL || (packed >= copy && packed <= copy + cut));
            ck_assert(at[n].landing == WBI_NO_LANDING || at[n].landing < archive.landing_count);
        }
        test_arena_rewind(&arena, mark);
    }
    test_arena_clear(&arena);
}
END_TEST

/* Lists that a program has written without their types. */
START_TEST(test_fields_that_are_not_described)
{
    static const struct wb_field plain[] = {
        {.kind = "RMA", .type = "wb_rma_vector", .name = "data"}, {.kind = NULL}};
    struct wbi_vector_at at[FOUND + 2];
    struct wb_reader archive = send();
    uint32_t count;
    ck_assert_int_eq(wbi_find_vectors(&archive, plain, FOUND, at, &count), WB_OK);
    ck_assert_uint_eq(count, 0);
    test_arena_clear(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("find");
    TCase *tcase = tcase_create("vectors");
    tcase_add_test(tcase, test_each_is_found);
    tcase_add_test(tcase, test_hostile);
    tcase_add_test(tcase, test_fields_that_are_not_described);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
