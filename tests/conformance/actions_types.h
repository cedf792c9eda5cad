/* Actions whose arguments are types made of types. */
#ifndef WAYBILL_TESTS_CONFORMANCE_ACTIONS_TYPES_H
#define WAYBILL_TESTS_CONFORMANCE_ACTIONS_TYPES_H

#include <waybill/waybill.h>

/* clang-format off */
WB_ARRAY_OF(wb_f64, test_doubles)
WB_ARRAY_OF(wb_u16, test_shorts)
WB_ARRAY_OF(wb_str, test_words)
WB_ARRAY_OF(wb_rma_vector, test_vectors)
#define TEST_SAMPLE(F)                                                                             \
    F(STRING, wb_str, name) F(TYPE, test_doubles, values) F(TYPE, test_shorts, tags)
WB_STRUCT(test_sample, TEST_SAMPLE)
WB_ARRAY_OF(test_sample, test_samples)
#define TEST_SURVEY(F)                                                                             \
    F(VALUE, u8, odd) F(TYPE, test_doubles, numbers) F(TYPE, test_words, words)                    \
    F(TYPE, test_samples, samples) F(TYPE, test_vectors, vectors)
/* clang-format on */

/* Answers what the call before was given, out of a copy that was kept of it: if its `odd` was not
 * 0; otherwise nothing was kept, and the answer is empty. */
WB_ACTION(echo_later, TEST_SURVEY, TEST_SURVEY)

/* Answers what it was given, and how many READs the server has made so far. */
#define TEST_ECHO_OUT(F) TEST_SURVEY(F) F(VALUE, u64, reads)
WB_ACTION(echo_types, TEST_SURVEY, TEST_ECHO_OUT)

/* The copies. */
struct test_types {
    unsigned calls;
    struct echo_later_in kept[2];
    struct wb_arena arenas[2];
};

void test_types_close(struct test_types *types);

#endif
