/* The actions of wb_perf, which both sides know. */
#ifndef WAYBILL_PERF_ACTIONS_H
#define WAYBILL_PERF_ACTIONS_H

#include <waybill/waybill.h>

/* One word there and answer_to(word) back: 8 bytes each way, on the eager path. */
#define PERF_WORD_IN(F) F(VALUE, u64, word)
#define PERF_WORD_OUT(F) F(VALUE, u64, answer)
WB_ACTION(perf_word, PERF_WORD_IN, PERF_WORD_OUT)

/* A payload of a struct's fixed length there, as small records are sent, and back as below. */
enum { PERF_LINE = 64 /* bytes */ };
#define PERF_LINE_IN(F) F(VALUE, u64, stamp) F(FIXED, wb_u8, data, PERF_LINE)

/*
 * A payload there, two words back: answer_to(stamp + length), and how long the receiver took to
 * check the bytes. A stamp that is not 0 says that data holds its pattern (payload.h) and is to be
 * checked.
 */
#define PERF_BYTES_IN(F) F(VALUE, u64, stamp) F(BYTES, wb_bytes, data)
#define PERF_RMA_IN(F) F(VALUE, u64, stamp) F(RMA, wb_rma_vector, data)
#define PERF_TAKEN_OUT(F) F(VALUE, u64, answer) F(VALUE, u64, check_ns)
WB_ACTION(perf_line, PERF_LINE_IN, PERF_TAKEN_OUT)
WB_ACTION(perf_bytes, PERF_BYTES_IN, PERF_TAKEN_OUT)
WB_ACTION(perf_rma, PERF_RMA_IN, PERF_TAKEN_OUT)

/* The same with `reply` bytes of REPLY_STAMP's pattern back. */
#define PERF_BYTES_BOTH_IN(F) F(VALUE, u64, stamp) F(VALUE, u64, reply) F(BYTES, wb_bytes, data)
#define PERF_BYTES_BOTH_OUT(F)                                                                     \
    F(VALUE, u64, answer) F(VALUE, u64, check_ns) F(BUFFER, wb_buffer, data)
#define PERF_RMA_BOTH_IN(F) F(VALUE, u64, stamp) F(VALUE, u64, reply) F(RMA, wb_rma_vector, data)
#define PERF_RMA_BOTH_OUT(F)                                                                       \
    F(VALUE, u64, answer) F(VALUE, u64, check_ns) F(RMA, wb_rma_vector, data)
WB_ACTION(perf_bytes_both, PERF_BYTES_BOTH_IN, PERF_BYTES_BOTH_OUT)
WB_ACTION(perf_rma_both, PERF_RMA_BOTH_IN, PERF_RMA_BOTH_OUT)
#define REPLY_STAMP UINT64_C(0x5bd1e995a3c59ac2)

/* A payload in several pieces: piece j has the pattern of stamp + j * PAYLOAD_STRIDE. */
WB_ARRAY_OF(wb_bytes, perf_pieces)
WB_ARRAY_OF(wb_rma_vector, perf_vectors)
#define PERF_PIECES_IN(F) F(VALUE, u64, stamp) F(TYPE, perf_pieces, data)
#define PERF_VECTORS_IN(F) F(VALUE, u64, stamp) F(TYPE, perf_vectors, data)
WB_ACTION(perf_bytes_many, PERF_PIECES_IN, PERF_TAKEN_OUT)
WB_ACTION(perf_rma_many, PERF_VECTORS_IN, PERF_TAKEN_OUT)

/* Has the server call back, for bibw: the steps of mirror.h. */
#define PERF_MIRROR_IN(F)                                                                          \
    F(VALUE, u32, step)                                                                            \
    F(VALUE, u32, path)                                                                            \
    F(VALUE, u64, size)                                                                            \
    F(VALUE, u32, calls) F(VALUE, u32, window) F(VALUE, u8, verify) F(VALUE, u8, same)
#define PERF_MIRROR_OUT(F) F(VALUE, u8, ready)
WB_ACTION(perf_mirror, PERF_MIRROR_IN, PERF_MIRROR_OUT)

static inline uint64_t answer_to(uint64_t word)
{
    return word * 0x9e3779b97f4a7c15U + 1;
}

#endif
