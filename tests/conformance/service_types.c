/* The handlers of types made of types. */
#include "tests/conformance/actions_types.h"
#include "tests/conformance/service.h"

static int on_echo_types(struct wb_context *context, struct echo_types_in *in,
                         struct echo_types_out *out, void *user)
{
    struct wb_engine_stats stats;
    (void)user;
    wb_engine_stats(wb_context_engine(context), &stats);
    out->reads = stats.reads;
    out->odd = in->odd;
    out->numbers = in->numbers;
    out->words = in->words;
    out->samples = in->samples;
    out->vectors = in->vectors; /* moved: the result drops them */
    in->vectors = (test_vectors){0};
    return WB_OK;
}

/* Two places, since the answer is read after the handler, and the next call's copy is made in it.
 */
static int on_echo_later(struct wb_context *context, struct echo_later_in *in,
                         struct echo_later_out *out, void *user)
{
    struct test_types *types = &((struct test_service *)user)->types;
    unsigned place = types->calls++ % 2;
    (void)context;
    echo_later_in_drop(&types->kept[place]);
    wb_arena_free(&types->arenas[place]);
    int status =
        in->odd != 0 ? echo_later_in_keep(in, &types->kept[place], &types->arenas[place]) : WB_OK;
    struct echo_later_in *last = &types->kept[1 - place];
    out->odd = last->odd;
    out->numbers = last->numbers;
    out->words = last->words;
    out->samples = last->samples;
    out->vectors = last->vectors;
    last->vectors = (test_vectors){0};
    return status;
}

void test_types_close(struct test_types *types)
{
    for (unsigned i = 0; i < 2; i++) {
        echo_later_in_drop(&types->kept[i]);
        wb_arena_free(&types->arenas[i]);
    }
}

int test_service_register_types(struct test_service *service)
{
    int status = echo_types_register(service->engine, on_echo_types, service);
    return status == WB_OK ? echo_later_register(service->engine, on_echo_later, service) : status;
}
