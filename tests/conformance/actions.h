/* The actions of the conformance suite. Both sides register all of them (service.c), so that either
 * can be asked by the other. */
#ifndef WAYBILL_TESTS_CONFORMANCE_ACTIONS_H
#define WAYBILL_TESTS_CONFORMANCE_ACTIONS_H

#include <waybill/waybill.h>

#define TEST_NONE(F)

/* Does nothing with nothing. */
WB_ACTION(nothing, TEST_NONE, TEST_NONE)

/* Answers what it was given. */
#define TEST_SCALARS(F)                                                                            \
    F(VALUE, i8, a)                                                                                \
    F(VALUE, i16, b)                                                                               \
    F(VALUE, i32, c)                                                                               \
    F(VALUE, i64, d)                                                                               \
    F(VALUE, u8, e)                                                                                \
    F(VALUE, u16, f) F(VALUE, u32, g) F(VALUE, u64, h) F(VALUE, f32, i) F(VALUE, f64, j)
WB_ACTION(scalars, TEST_SCALARS, TEST_SCALARS)

#define TEST_TEXTS(F) F(STRING, wb_str, text) F(VALUE, u8, between) F(BYTES, wb_bytes, raw)
WB_ACTION(texts, TEST_TEXTS, TEST_TEXTS)

#define TEST_VECTOR(F) F(VALUE, u8, before) F(RMA, wb_rma_vector, data) F(VALUE, u32, after)
WB_ACTION(vector, TEST_VECTOR, TEST_VECTOR)

/* sum = a + b */
#define TEST_ADD_IN(F) F(VALUE, u64, a) F(VALUE, u64, b)
#define TEST_ADD_OUT(F) F(VALUE, u64, sum)
WB_ACTION(add, TEST_ADD_IN, TEST_ADD_OUT)

/* Says what has arrived: lengths in bytes, and where the first byte is that is not of the pattern
 * (raw has `seed`, data has seed + 1). */
#define TEST_DIGEST_IN(F) F(VALUE, u64, seed) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
#define TEST_DIGEST_OUT(F)                                                                         \
    F(VALUE, u64, raw_bytes)                                                                       \
    F(VALUE, u64, raw_right)                                                                       \
    F(VALUE, u64, data_bytes) F(VALUE, u64, data_right) F(VALUE, u32, elem_size)
WB_ACTION(digest, TEST_DIGEST_IN, TEST_DIGEST_OUT)

/* Makes what digest checks: `count` elements of elem_size (0: the empty handle), raw_bytes bytes.
 */
#define TEST_PRODUCE_IN(F)                                                                         \
    F(VALUE, u64, seed)                                                                            \
    F(VALUE, u64, raw_bytes) F(VALUE, u64, count) F(VALUE, u32, elem_size)
#define TEST_PRODUCE_OUT(F) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_ACTION(produce, TEST_PRODUCE_IN, TEST_PRODUCE_OUT)

/* Fails with a code and a text; the second returns `status` from the handler as it is. */
#define TEST_FAIL_IN(F) F(VALUE, i32, code) F(STRING, wb_str, text)
WB_ACTION(fail, TEST_FAIL_IN, TEST_NONE)
#define TEST_STATUS_IN(F) F(VALUE, i32, status)
WB_ACTION(give_status, TEST_STATUS_IN, TEST_NONE)

/* Answers WB_AGAIN `times` times before it says how often it ran and what it saw. */
#define TEST_AGAIN_IN(F)                                                                           \
    F(VALUE, u32, times) F(VALUE, u64, seed) F(STRING, wb_str, text) F(RMA, wb_rma_vector, data)
#define TEST_AGAIN_OUT(F)                                                                          \
    F(VALUE, u32, runs)                                                                            \
    F(VALUE, u64, data_right) F(STRING, wb_str, text) F(RMA, wb_rma_vector, data)
WB_ACTION(again, TEST_AGAIN_IN, TEST_AGAIN_OUT)

/* Answers WB_AGAIN until open_gate is called, or the caller gives it up. */
#define TEST_GATE_IN(F) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_ACTION(wait_at_gate, TEST_GATE_IN, TEST_NONE)
#define TEST_OPEN_IN(F) F(VALUE, u8, open)
WB_ACTION(open_gate, TEST_OPEN_IN, TEST_NONE)

/* Keeps the vector; let_go checks and frees all that was kept on a thread that is no engine's. */
#define TEST_KEEP_IN(F) F(VALUE, u64, seed) F(RMA, wb_rma_vector, data)
WB_ACTION(keep, TEST_KEEP_IN, TEST_NONE)
#define TEST_LET_GO_OUT(F) F(VALUE, u32, kept) F(VALUE, u32, spoilt)
WB_ACTION(let_go, TEST_NONE, TEST_LET_GO_OUT)

/* Holds its engine up for so long. */
#define TEST_STALL_IN(F) F(VALUE, u32, ms)
WB_ACTION(stall, TEST_STALL_IN, TEST_NONE)

/* What functions that wait say inside a handler. */
#define TEST_INSIDE_OUT(F)                                                                         \
    F(VALUE, i32, progress)                                                                        \
    F(VALUE, i32, wait)                                                                            \
    F(VALUE, i32, peer_wait) F(VALUE, i32, call) F(VALUE, i32, call_wait) F(VALUE, i32, finish)
WB_ACTION(inside, TEST_NONE, TEST_INSIDE_OUT)

/* Makes the callee call `vector` back `times` times, with vectors of `bytes` bytes, through a kept
 * peer; called_back says how many of those have ended, and how many of them not as they should. */
#define TEST_CALL_ME_IN(F) F(VALUE, u32, times) F(VALUE, u64, bytes)
#define TEST_CALL_ME_OUT(F) F(VALUE, u32, begun)
WB_ACTION(call_me, TEST_CALL_ME_IN, TEST_CALL_ME_OUT)
#define TEST_CALLED_BACK_OUT(F) F(VALUE, u32, open) F(VALUE, u32, right) F(VALUE, u32, wrong)
WB_ACTION(called_back, TEST_NONE, TEST_CALLED_BACK_OUT)

/* 64 vectors at once. */
#define TEST_EIGHT(F, v)                                                                           \
    F(RMA, wb_rma_vector, v##0)                                                                    \
    F(RMA, wb_rma_vector, v##1)                                                                    \
    F(RMA, wb_rma_vector, v##2)                                                                    \
    F(RMA, wb_rma_vector, v##3)                                                                    \
    F(RMA, wb_rma_vector, v##4)                                                                    \
    F(RMA, wb_rma_vector, v##5) F(RMA, wb_rma_vector, v##6) F(RMA, wb_rma_vector, v##7)
#define TEST_WIDE(F)                                                                               \
    TEST_EIGHT(F, a)                                                                               \
    TEST_EIGHT(F, b)                                                                               \
    TEST_EIGHT(F, c)                                                                               \
    TEST_EIGHT(F, d) TEST_EIGHT(F, e) TEST_EIGHT(F, f) TEST_EIGHT(F, g) TEST_EIGHT(F, h)
WB_ACTION(wide, TEST_WIDE, TEST_WIDE)
enum { TEST_WIDE_FIELDS = 64 };

#endif
