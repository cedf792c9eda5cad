#include "tests/conformance/service.h"

#include <stdlib.h>

#include "tests/conformance/actions.h"
#include "tests/conformance/bundle.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static int on_nothing(struct wb_context *context, struct nothing_in *in, struct nothing_out *out,
                      void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    return WB_OK;
}

static int on_scalars(struct wb_context *context, struct scalars_in *in, struct scalars_out *out,
                      void *user)
{
    (void)context;
    (void)user;
    *out = (struct scalars_out){.a = in->a,
                                .b = in->b,
                                .c = in->c,
                                .d = in->d,
                                .e = in->e,
                                .f = in->f,
                                .g = in->g,
                                .h = in->h,
                                .i = in->i,
                                .j = in->j};
    return WB_OK;
}

static int on_texts(struct wb_context *context, struct texts_in *in, struct texts_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->text = in->text;
    out->between = in->between;
    out->raw = in->raw;
    return WB_OK;
}

static int on_vector(struct wb_context *context, struct vector_in *in, struct vector_out *out,
                     void *user)
{
    (void)context;
    (void)user;
    out->before = in->before;
    out->data = wb_rma_vector_take(&in->data);
    out->after = in->after;
    return WB_OK;
}

static int on_add(struct wb_context *context, struct add_in *in, struct add_out *out, void *user)
{
    (void)context;
    (void)user;
    out->sum = in->a + in->b;
    return WB_OK;
}

static int on_digest(struct wb_context *context, struct digest_in *in, struct digest_out *out,
                     void *user)
{
    (void)context;
    (void)user;
    out->raw_bytes = in->raw.len;
    out->raw_right = test_pattern_check(in->raw.data, in->raw.len, in->seed);
    out->data_bytes = wb_rma_vector_bytes(&in->data);
    out->data_right = test_pattern_check(in->data.data, out->data_bytes, in->seed + 1);
    out->elem_size = in->data.elem_size;
    return WB_OK;
}

static int on_produce(struct wb_context *context, struct produce_in *in, struct produce_out *out,
                      void *user)
{
    struct test_service *service = user;
    if (in->elem_size > 0) {
        struct wb_rma_allocator *pool = wb_engine_allocator(wb_context_engine(context));
        int status = wb_rma_vector_create(pool, in->elem_size, in->count, &out->data);
        if (status != WB_OK) {
            return status;
        }
        test_pattern_fill(out->data.data, wb_rma_vector_bytes(&out->data), in->seed + 1);
    }
    free(service->produced);
    service->produced = malloc(in->raw_bytes + 1);
    if (service->produced == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    test_pattern_fill(service->produced, in->raw_bytes, in->seed);
    out->raw = (wb_bytes){.data = service->produced, .len = in->raw_bytes};
    return WB_OK;
}

static int on_wide(struct wb_context *context, struct wide_in *in, struct wide_out *out, void *user)
{
    (void)context;
    (void)user;
#define TAKE(kind, type, name) out->name = wb_rma_vector_take(&in->name);
    TEST_WIDE(TAKE)
#undef TAKE
    return WB_OK;
}

int test_service_open(struct test_service *service, const struct wb_engine_config *config,
                      const char *url)
{
    *service = (struct test_service){0};
    int status = wb_engine_create(config, &service->engine);
    if (status != WB_OK) {
        return status;
    }
    struct wb_engine *engine = service->engine;
    int results[] = {nothing_register(engine, on_nothing, service),
                     scalars_register(engine, on_scalars, service),
                     texts_register(engine, on_texts, service),
                     vector_register(engine, on_vector, service),
                     add_register(engine, on_add, service),
                     digest_register(engine, on_digest, service),
                     produce_register(engine, on_produce, service),
                     wide_register(engine, on_wide, service),
                     test_bundle_register(engine),
                     test_shape_register(engine),
                     test_service_register_odd(service),
                     test_service_register_handles(service),
                     test_service_register_types(service),
                     test_service_register_later(service),
                     test_service_register_streams(service),
                     url != NULL ? wb_listen(engine, url) : WB_OK};
    for (size_t i = 0; i < sizeof results / sizeof results[0] && status == WB_OK; i++) {
        status = results[i];
    }
    if (status != WB_OK) {
        test_later_stop(&service->later);
        wb_engine_destroy(engine);
        test_later_close(&service->later);
        service->engine = NULL;
    }
    return status;
}

int test_service_drive(struct test_service *service)
{
    service->driver = (struct test_driver){
        .engine = service->engine, .tick = test_service_tick, .context = service};
    return test_driver_start(&service->driver) ? WB_OK : WB_ERR_NO_MEMORY;
}

void test_service_close(struct test_service *service)
{
    if (service->engine == NULL) {
        return;
    }
    test_later_stop(&service->later); /* while the driver moves what workers wait for */
    test_driver_stop(&service->driver);
    for (uint32_t i = 0; i < service->kept_count; i++) {
        wb_rma_vector_drop(&service->kept[i].data);
    }
    service->kept_count = 0;
    test_handles_close(&service->handles);
    test_types_close(&service->types);
    wb_engine_destroy(service->engine);
    test_later_close(&service->later);
    service->engine = NULL;
    free(service->produced);
    service->produced = NULL;
}
