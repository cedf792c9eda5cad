/* The actions whose arguments and results are objects, buffers and slices, and what serves them
 * (service_handles.c). */
#ifndef WAYBILL_TESTS_CONFORMANCE_ACTIONS_HANDLES_H
#define WAYBILL_TESTS_CONFORMANCE_ACTIONS_HANDLES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <waybill/waybill.h>

#include "tests/conformance/actions.h"

/* Objects just below rma_threshold, at it, and of many pages with an odd end. */
struct test_small {
    uint8_t bytes[1023];
};
struct test_edge {
    uint8_t bytes[1024];
};
struct test_large {
    uint8_t bytes[300001];
};
WB_RMA_OBJECT_OF(struct test_small, small_object)
WB_RMA_OBJECT_OF(struct test_edge, edge_object)
WB_RMA_OBJECT_OF(struct test_large, large_object)

/* Answers what it was given. */
#define TEST_OBJECTS(F)                                                                            \
    F(VALUE, u8, before)                                                                           \
    F(OBJECT, small_object, small)                                                                 \
    F(OBJECT, edge_object, edge)                                                                   \
    F(OBJECT, large_object, large) F(OBJECT, large_object, none) F(VALUE, u32, after)
WB_ACTION(objects, TEST_OBJECTS, TEST_OBJECTS)

/* Answers what it was given, as it keeps it; says whether that was a view. */
#define TEST_BUFFER_IN(F) F(VALUE, u8, before) F(BUFFER, wb_buffer, raw) F(VALUE, u32, after)
#define TEST_BUFFER_OUT(F) F(VALUE, u8, was_view) F(BUFFER, wb_buffer, raw) F(VALUE, u32, after)
WB_ACTION(return_buffer, TEST_BUFFER_IN, TEST_BUFFER_OUT)

/* Answers `bytes` bytes with the pattern of `seed`, in memory of its own, lent by `mode`. */
enum test_lending { TEST_LEND_VIEW, TEST_LEND_COPY, TEST_LEND_REFERENCE, TEST_LEND_ADOPTED };
#define TEST_LEND_IN(F) F(VALUE, u64, seed) F(VALUE, u64, bytes) F(VALUE, u8, mode)
#define TEST_LEND_OUT(F) F(BUFFER, wb_buffer, raw)
WB_ACTION(lend, TEST_LEND_IN, TEST_LEND_OUT)

/* How many it lent by reference, and how many of those came back. */
#define TEST_LENT_OUT(F) F(VALUE, u32, lent) F(VALUE, u32, returned)
WB_ACTION(lent, TEST_NONE, TEST_LENT_OUT)

/* Hands all of it to a thread of its own, which checks and drops it when the handler has long
 * ended; the second waits for all those threads, and says how many of them found something wrong.
 */
#define TEST_HAND_ON_IN(F)                                                                         \
    F(VALUE, u64, seed)                                                                            \
    F(BUFFER, wb_buffer, raw) F(RMA, wb_rma_vector, data) F(OBJECT, large_object, large)
WB_ACTION(hand_on, TEST_HAND_ON_IN, TEST_NONE)
#define TEST_HANDED_OUT(F) F(VALUE, u32, threads) F(VALUE, u32, spoilt)
WB_ACTION(handed, TEST_NONE, TEST_HANDED_OUT)

/* Says whether the bytes are as the pattern has them; `checked` how often they were not. */
#define TEST_CHECK_IN(F) F(VALUE, u64, seed) F(BUFFER, wb_buffer, raw)
#define TEST_CHECK_OUT(F) F(VALUE, u64, right)
WB_ACTION(check_buffer, TEST_CHECK_IN, TEST_CHECK_OUT)
#define TEST_CHECKED_OUT(F) F(VALUE, u32, spoilt)
WB_ACTION(checked, TEST_NONE, TEST_CHECKED_OUT)

enum { TEST_HANDED_MOST = 64 };

struct test_handed {
    pthread_t thread;
    uint64_t seed;
    wb_buffer raw;
    wb_rma_vector data;
    large_object large;
    bool spoilt;
};

struct test_handles {
    struct test_handed handed[TEST_HANDED_MOST];
    uint32_t handed_count;
    uint32_t spoilt; /* buffers that check_buffer found wrong */
    uint32_t lent;   /* by reference */
    atomic_uint returned;
    void *viewed; /* the bytes of the last view that was lent */
};

struct test_service;

int test_service_register_handles(struct test_service *service);

/* Waits for the threads, and frees what is left. */
void test_handles_close(struct test_handles *handles);

#endif
