/* What identifies an action: the hash of its name and that of its field lists. */
#include <pthread.h>

#include "serial/hash.h"
#include "tests/serial/run.h"

/* From the FNV page, and one name whose plain hash is 0. */
START_TEST(test_names)
{
    ck_assert_uint_eq(wbi_hash_name(""), 0xcbf29ce484222325);
    ck_assert_uint_eq(wbi_hash_name("a"), 0xaf63dc4c8601ec8c);
    ck_assert_uint_eq(wbi_hash_name("foobar"), 0x85944171f73967e8);
    ck_assert_uint_eq(wbi_hash_name("\xff"), (0xcbf29ce484222325 ^ 0xff) * 0x100000001b3);
    ck_assert_uint_ne(wbi_hash_name("77kepQFQ8Kl"), 0);
}
END_TEST

enum { field_object_bytes = 8, other_object_bytes = 8 };

/* clang-format off */
#define NOTHING(F)
#define ONE(F) F(VALUE, f64, a)
#define OTHER_TYPE(F) F(VALUE, f32, a)
#define OTHER_NAME(F) F(VALUE, f64, b)
#define TEXT(F) F(STRING, wb_str, a)
#define OTHER_KIND(F) F(BYTES, wb_bytes, a)
#define TWO(F) F(VALUE, f64, a) F(VALUE, f64, b)
#define OTHER_ORDER(F) F(VALUE, f64, b) F(VALUE, f64, a)
#define LONGER_NAME(F) F(VALUE, f64, ab)
#define OBJECT(F) F(OBJECT, field_object, a)
#define OTHER_OBJECT(F) F(OBJECT, other_object, a)
#define BUFFER(F) F(BUFFER, wb_buffer, a)
#define LISTS(X)                                                                                   \
    X(NOTHING) X(ONE) X(OTHER_TYPE) X(OTHER_NAME) X(TEXT) X(OTHER_KIND) X(TWO) X(OTHER_ORDER)      \
    X(LONGER_NAME) X(OBJECT) X(OTHER_OBJECT) X(BUFFER)
#define FIELDS_OF(LIST) {LIST(WBI_FIELD)WBI_FIELD_END},
/* clang-format on */
static const struct wb_field lists[][3] = {LISTS(FIELDS_OF)};
#define LIST_COUNT (sizeof lists / sizeof *lists)

/* No two pairs of lists share a signature: kind, type, name, order and which list count. */
START_TEST(test_signatures_differ)
{
    uint64_t seen[LIST_COUNT * LIST_COUNT];
    for (size_t i = 0; i < LIST_COUNT * LIST_COUNT; i++) {
        seen[i] = wbi_hash_signature(lists[i / LIST_COUNT], lists[i % LIST_COUNT]);
        ck_assert_uint_ne(seen[i], 0);
        for (size_t j = 0; j < i; j++) {
            ck_assert_msg(seen[i] != seen[j], "pairs %zu and %zu", j, i);
        }
    }
}
END_TEST

/* The parts of a field are apart: "ab" "c" is not "a" "bc". */
START_TEST(test_parts_are_apart)
{
    static const struct wb_field end[] = {WBI_FIELD_END};
    static const struct wb_field fields[][2] = {
        {{.kind = "A", .type = "bc", .name = "d"}, WBI_FIELD_END},
        {{.kind = "Ab", .type = "c", .name = "d"}, WBI_FIELD_END},
        {{.kind = "A", .type = "b", .name = "cd"}, WBI_FIELD_END},
    };
    uint64_t first = wbi_hash_signature(fields[0], end);
    ck_assert_uint_ne(first, wbi_hash_signature(fields[1], end));
    ck_assert_uint_ne(first, wbi_hash_signature(fields[2], end));
}
END_TEST

/* clang-format off */
#define PLAIN(F) F(VALUE, f64, x)
#define RENAMED(F) F(VALUE, f64, y)
WB_STRUCT(plain, PLAIN)
WB_STRUCT(renamed, RENAMED)
WB_ARRAY_OF(plain, plains)
WB_ARRAY_OF(renamed, renameds)
#define SMALL_RAW(F) F(VALUE, u32, a)
#define LARGE_RAW(F) F(VALUE, u64, a)
WB_BITWISE_STRUCT(small_raw, SMALL_RAW)
WB_BITWISE_STRUCT(large_raw, LARGE_RAW)
#define FEW(E) E(FEW_ONE, 1)
#define OTHERS(E) E(OTHERS_ONE, 2)
WB_ENUM(few, FEW)
WB_ENUM(others, OTHERS)
/* clang-format on */

/* A signature sees what is inside the types that a field names: names alike do not suffice. */
START_TEST(test_nested_lists_count)
{
    const struct wb_type *const types[] = {&plain_type,    &renamed_type,   &plains_type,
                                           &renameds_type, &small_raw_type, &large_raw_type,
                                           &few_type,      &others_type};
    uint64_t seen[8];
    for (size_t i = 0; i < 8; i++) {
        const struct wb_field list[] = {
            {.kind = "TYPE", .type = "same", .name = "a", .of = types[i]}, WBI_FIELD_END};
        seen[i] = wbi_hash_signature(list, list);
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(seen[i], seen[j]);
        }
    }
}
END_TEST

/* clang-format off */
#define SCALE_IN(F) F(VALUE, f64, factor) F(STRING, wb_str, label) F(RMA, wb_rma_vector, data)
#define SCALE_OUT(F) F(VALUE, f64, sum) F(RMA, wb_rma_vector, scaled)
/* clang-format on */

static const struct wb_field scale_in[] = {SCALE_IN(WBI_FIELD) WBI_FIELD_END};
static const struct wb_field scale_out[] = {SCALE_OUT(WBI_FIELD) WBI_FIELD_END};
static struct wb_action scale = {.name = "scale", .in = scale_in, .out = scale_out};

/* FNV-1a of "VALUE\0f64\0factor\0STRING\0wb_str\0label\0RMA\0wb_rma_vector\0data\0", "\0",
 * "VALUE\0f64\0sum\0RMA\0wb_rma_vector\0scaled\0". */
static const uint64_t scale_signature = 0x855662cddcb1fba5;

START_TEST(test_golden_signature)
{
    ck_assert_uint_eq(wbi_hash_signature(scale_in, scale_out), scale_signature);
    ck_assert_uint_eq(wbi_hash_name("scale"), 0x6aacb9fbb71a1d91);
}
END_TEST

/* FNV-1a of "OBJECT\0field_object\0field\0BUFFER\0wb_buffer\0raw\0", "\0",
 * "BUFFER\0wb_buffer\0raw\0". */
START_TEST(test_golden_signature_of_handles)
{
    static const struct wb_field in[] = {
        {.kind = "OBJECT", .type = "field_object", .name = "field"},
        {.kind = "BUFFER", .type = "wb_buffer", .name = "raw"},
        WBI_FIELD_END};
    ck_assert_uint_eq(wbi_hash_signature(in, in + 1), 0xe8da093c99add958);
}
END_TEST

static void *prepare(void *action)
{
    wb_action_prepare(action);
    wb_action_prepare(action);
    ck_assert_uint_eq(scale.signature, scale_signature);
    return NULL;
}

START_TEST(test_prepare_from_many_threads)
{
    pthread_t threads[8];
    ck_assert_uint_eq(scale.id, 0);
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, prepare, &scale), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(scale.id, 0x6aacb9fbb71a1d91);
    ck_assert_uint_eq(scale.signature, scale_signature);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("action hash");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_signatures_differ);
    tcase_add_test(tcase, test_parts_are_apart);
    tcase_add_test(tcase, test_nested_lists_count);
    tcase_add_test(tcase, test_golden_signature);
    tcase_add_test(tcase, test_golden_signature_of_handles);
    tcase_add_test(tcase, test_prepare_from_many_threads);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
