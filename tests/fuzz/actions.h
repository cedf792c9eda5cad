/* What the engine of fuzz_parcel serves, and calls. */
#ifndef WAYBILL_TESTS_FUZZ_ACTIONS_H
#define WAYBILL_TESTS_FUZZ_ACTIONS_H

#include "tests/fuzz/types.h"

/* clang-format off */
#define ALL(F)                                                                                     \
    F(VALUE, u32, number) F(TYPE, words, words) F(TYPE, handles, handles) F(TYPE, doubles, few)    \
    F(TYPE, tree, root) F(TYPE, box, box) F(TYPE, color, paint)                                    \
    F(ADDED, wb_str, note, (wb_str){0}) F(ADDED, wb_buffer, more, (wb_buffer){0})
WB_ACTION(all, ALL, ALL)       /* gives back what it is given */
WB_ACTION(never, WORDS, WORDS) /* WB_AGAIN for ever */
#define SUM_IN(F) F(VALUE, u64, a) F(VALUE, u64, b)
#define SUM_OUT(F) F(VALUE, u64, sum)
WB_ACTION(sum, SUM_IN, SUM_OUT) /* fails where a is 0 */
/* clang-format on */

#endif
