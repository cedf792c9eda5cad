/* What callers of this file believe the action `shape` to be. */
#include "tests/conformance/service.h"

#define SHAPE_IN(F) F(VALUE, u32, sides) F(VALUE, u32, colour)
#define SHAPE_OUT(F) F(VALUE, f64, area)
WB_ACTION(shape, SHAPE_IN, SHAPE_OUT)

int test_shape_call(struct wb_peer *peer)
{
    struct shape_in in = {.sides = 3, .colour = 0xff0000};
    struct shape_out out;
    int status = shape_call(peer, &in, &out, NULL);
    shape_out_drop(&out);
    return status;
}
