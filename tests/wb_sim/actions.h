/* What the hosts of wb_sim call on each other. The number of a call names its entry in the ledger,
 * which knows what its arguments are and what must come out. */
#ifndef WAYBILL_TESTS_WB_SIM_ACTIONS_H
#define WAYBILL_TESTS_WB_SIM_ACTIONS_H

#include <waybill/waybill.h>

#define SIM_NONE(F)

/* Everything at once: an integer, a string, a byte range, a vector; and all of them back. */
#define SIM_WORK(F)                                                                                \
    F(VALUE, u64, number)                                                                          \
    F(STRING, wb_str, text) F(BYTES, wb_bytes, raw) F(RMA, wb_rma_vector, data)
WB_ACTION(work, SIM_WORK, SIM_WORK)

/* The same beside 24 more byte ranges: a long chunk list. */
#define SIM_SIX(F, r)                                                                              \
    F(BYTES, wb_bytes, r##0)                                                                       \
    F(BYTES, wb_bytes, r##1)                                                                       \
    F(BYTES, wb_bytes, r##2)                                                                       \
    F(BYTES, wb_bytes, r##3) F(BYTES, wb_bytes, r##4) F(BYTES, wb_bytes, r##5)
#define SIM_RANGES(F) SIM_SIX(F, a) SIM_SIX(F, b) SIM_SIX(F, c) SIM_SIX(F, d)
#define SIM_MANY_IN(F) SIM_WORK(F) SIM_RANGES(F)
WB_ACTION(many, SIM_MANY_IN, SIM_WORK)
enum { SIM_RANGE_COUNT = 24 };

/* Nobody serves it. */
WB_ACTION(absent, SIM_NONE, SIM_NONE)

#endif
