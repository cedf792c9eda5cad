/* What the action `shape` is. */
#include "tests/conformance/service.h"

#define SHAPE_IN(F) F(VALUE, u32, sides) F(VALUE, f32, colour)
#define SHAPE_OUT(F) F(VALUE, f64, area)
WB_ACTION(shape, SHAPE_IN, SHAPE_OUT)

static int on_shape(struct wb_context *context, struct shape_in *in, struct shape_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->area = in->sides;
    return WB_OK;
}

int test_shape_register(struct wb_engine *engine)
{
    return shape_register(engine, on_shape, NULL);
}

int test_shape_call_right(struct wb_peer *peer)
{
    struct shape_in in = {.sides = 3};
    struct shape_out out;
    int status = shape_call(peer, &in, &out, NULL);
    int right = out.area == 3;
    shape_out_drop(&out);
    return status == WB_OK && !right ? WB_ERR_MALFORMED : status;
}
