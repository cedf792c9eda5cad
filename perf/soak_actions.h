/* The one action of wb_soak: arguments and results of every kind, each with the pattern of a stamp
 * that both ends know. */
#ifndef WAYBILL_PERF_SOAK_ACTIONS_H
#define WAYBILL_PERF_SOAK_ACTIONS_H

#include <waybill/waybill.h>

/* client and number are one call's and no other's. want_*: how long the result's parts are to be.
 * The result repeats client and number; sum is that of the arguments' bytes as they arrived. */
#define SOAK_IN(F)                                                                                 \
    F(VALUE, u32, client)                                                                          \
    F(VALUE, u32, number)                                                                          \
    F(VALUE, u64, stamp)                                                                           \
    F(VALUE, u32, want_bytes)                                                                      \
    F(VALUE, u32, want_vector)                                                                     \
    F(VALUE, u32, want_buffer)                                                                     \
    F(BYTES, wb_bytes, bytes)                                                                      \
    F(RMA, wb_rma_vector, vector)                                                                  \
    F(BUFFER, wb_buffer, buffer)
#define SOAK_OUT(F)                                                                                \
    F(VALUE, u32, client)                                                                          \
    F(VALUE, u32, number)                                                                          \
    F(VALUE, u64, sum)                                                                             \
    F(BYTES, wb_bytes, bytes)                                                                      \
    F(RMA, wb_rma_vector, vector)                                                                  \
    F(BUFFER, wb_buffer, buffer)
WB_ACTION(exchange, SOAK_IN, SOAK_OUT)

/* The stamps of a call's six parts: its own plus one of these. */
#define SOAK_STAMP UINT64_C(0xd1342543de82ef95)
enum soak_part { IN_BYTES, IN_VECTOR, IN_BUFFER, OUT_BYTES, OUT_VECTOR, OUT_BUFFER };
static inline uint64_t soak_stamp(uint64_t stamp, enum soak_part part)
{
    return stamp + (uint64_t)part * SOAK_STAMP;
}

#endif
