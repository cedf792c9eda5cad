/* The actions of wb_demo, which client and server know. */
#ifndef WAYBILL_PERF_DEMO_ACTIONS_H
#define WAYBILL_PERF_DEMO_ACTIONS_H

#include <waybill/waybill.h>

/*
 * Scales a field of doubles, which comes either as a byte range or as an rma_vector (the other one
 * is empty), and sums up what results. handler_ns is how long the server's own arithmetic took, so
 * that the client can tell it from the way there and back.
 */
#define DEMO_SCALE_IN(F)                                                                           \
    F(VALUE, f64, factor)                                                                          \
    F(STRING, wb_str, label) F(BYTES, wb_bytes, bytes) F(RMA, wb_rma_vector, vector)
#define DEMO_SCALE_OUT(F)                                                                          \
    F(VALUE, f64, sum)                                                                             \
    F(VALUE, u64, handler_ns) F(STRING, wb_str, label) F(RMA, wb_rma_vector, scaled)
WB_ACTION(demo_scale, DEMO_SCALE_IN, DEMO_SCALE_OUT)

/* A record: 64-bit integers, as a byte range or as an rma_vector, and 100 strings, each an argument
 * of its own. */
enum { DEMO_STRINGS_COUNT = 100 };
#define DEMO_TEN(F, s)                                                                             \
    F(STRING, wb_str, s##0)                                                                        \
    F(STRING, wb_str, s##1)                                                                        \
    F(STRING, wb_str, s##2)                                                                        \
    F(STRING, wb_str, s##3)                                                                        \
    F(STRING, wb_str, s##4)                                                                        \
    F(STRING, wb_str, s##5)                                                                        \
    F(STRING, wb_str, s##6)                                                                        \
    F(STRING, wb_str, s##7)                                                                        \
    F(STRING, wb_str, s##8)                                                                        \
    F(STRING, wb_str, s##9)
#define DEMO_STRINGS(F)                                                                            \
    DEMO_TEN(F, s0)                                                                                \
    DEMO_TEN(F, s1)                                                                                \
    DEMO_TEN(F, s2)                                                                                \
    DEMO_TEN(F, s3)                                                                                \
    DEMO_TEN(F, s4)                                                                                \
    DEMO_TEN(F, s5)                                                                                \
    DEMO_TEN(F, s6)                                                                                \
    DEMO_TEN(F, s7)                                                                                \
    DEMO_TEN(F, s8)                                                                                \
    DEMO_TEN(F, s9)

#define DEMO_RECORD_IN(F) F(BYTES, wb_bytes, bytes) F(RMA, wb_rma_vector, vector) DEMO_STRINGS(F)
#define DEMO_RECORD_OUT(F) F(VALUE, u64, id_sum) F(VALUE, u64, characters) F(VALUE, u64, hash)
WB_ACTION(demo_record, DEMO_RECORD_IN, DEMO_RECORD_OUT)

/* What both sides make of a record; the client compares. */
struct demo_tally {
    uint64_t id_sum, characters, hash;
};
#define DEMO_TALLY_START ((struct demo_tally){.hash = UINT64_C(0xcbf29ce484222325)})

static inline void demo_tally_ids(struct demo_tally *tally, wb_bytes ids)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= ids.len; at += sizeof(uint64_t)) {
        uint64_t id;
        memcpy(&id, (const uint8_t *)ids.data + at, sizeof id);
        tally->id_sum += id;
    }
}

/* FNV-1a over the characters. */
static inline void demo_tally_string(struct demo_tally *tally, wb_str string)
{
    for (size_t i = 0; i < string.len; i++) {
        tally->hash = (tally->hash ^ (uint8_t)string.data[i]) * UINT64_C(0x100000001b3);
    }
    tally->characters += string.len;
}

#endif
