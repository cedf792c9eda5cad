/* Actions whose handlers answer later, or run on threads of the program (service_later.c). */
#ifndef WAYBILL_TESTS_CONFORMANCE_ACTIONS_LATER_H
#define WAYBILL_TESTS_CONFORMANCE_ACTIONS_LATER_H

#include <waybill/waybill.h>

/* How such a handler answers. */
enum test_how {
    TEST_BY_WORKER,    /* another thread does, by parts of the arguments */
    TEST_IN_HANDLER,   /* before the handler has returned */
    TEST_BY_FAILURE,   /* code 7, "later" */
    TEST_BY_CALL_BACK, /* when a call of `add` back to the caller has ended */
    TEST_WHEN_LET_GO,  /* when let_later_go is called, or never */
    TEST_AFTER_AGAIN,  /* on_workers alone: WB_AGAIN first */
    TEST_HOWS
};

/* raw has the pattern of `seed`, data of seed + 1; the answer has them again, and says whether they
 * were right when it was made. */
#define TEST_LATER_IN(F)                                                                           \
    F(VALUE, u32, how)                                                                             \
    F(VALUE, u64, seed)                                                                            \
    F(STRING, wb_str, text) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
#define TEST_LATER_OUT(F)                                                                          \
    F(VALUE, u32, right) F(STRING, wb_str, text) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_ACTION(later, TEST_LATER_IN, TEST_LATER_OUT)
WB_ACTION(on_workers, TEST_LATER_IN, TEST_LATER_OUT)

/* Answers all that waits for it: how many there were, and for how many nobody waited any more. */
#define TEST_LET_LATER_GO_IN(F) F(VALUE, u8, answer)
#define TEST_LET_LATER_GO_OUT(F) F(VALUE, u32, held) F(VALUE, u32, unwanted)
WB_ACTION(let_later_go, TEST_LET_LATER_GO_IN, TEST_LET_LATER_GO_OUT)

#endif
