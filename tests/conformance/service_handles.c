/* The handlers of objects and buffers. */
#include <stdlib.h>

#include "tests/conformance/actions.h"
#include "tests/conformance/service.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static int on_objects(struct wb_context *context, struct objects_in *in, struct objects_out *out,
                      void *user)
{
    (void)context;
    (void)user;
    out->before = in->before;
    out->small = small_object_take(&in->small);
    out->edge = edge_object_take(&in->edge);
    out->large = large_object_take(&in->large);
    out->none = large_object_take(&in->none);
    out->after = in->after;
    return WB_OK;
}

static int on_return_buffer(struct wb_context *context, struct return_buffer_in *in,
                            struct return_buffer_out *out, void *user)
{
    (void)context;
    (void)user;
    out->was_view = wb_buffer_is_view(&in->raw);
    out->after = in->after;
    return wb_buffer_keep(&in->raw, &out->raw);
}

/* The memory is spoilt before it goes, so that whoever still reads it is found out. */
static void on_returned(void *context, const void *data, size_t len)
{
    struct test_handles *handles = context;
    void *memory = (void *)(uintptr_t)data;
    test_pattern_fill(memory, len, ~(uint64_t)0);
    free(memory);
    handles->returned++;
}

static int on_lend(struct wb_context *context, struct lend_in *in, struct lend_out *out, void *user)
{
    struct test_service *service = user;
    struct test_handles *handles = &service->handles;
    void *memory = malloc(in->bytes + 1);
    int status = WB_ERR_NO_MEMORY;
    (void)context;
    if (memory == NULL) {
        return status;
    }
    test_pattern_fill(memory, in->bytes, in->seed);
    switch (in->mode) {
    case TEST_LEND_COPY:
        status = wb_buffer_copy(memory, in->bytes, &out->raw);
        free(memory);
        return status;
    case TEST_LEND_REFERENCE:
        status = wb_buffer_reference(memory, in->bytes, on_returned, handles, &out->raw);
        handles->lent += status == WB_OK;
        break;
    case TEST_LEND_ADOPTED:
        status = wb_buffer_adopt(memory, in->bytes, NULL, &out->raw);
        break;
    default:
        free(handles->viewed);
        handles->viewed = memory;
        out->raw = wb_buffer_view(memory, in->bytes);
        return WB_OK;
    }
    if (status != WB_OK) {
        free(memory);
    }
    return status;
}

static int on_lent(struct wb_context *context, struct lent_in *in, struct lent_out *out, void *user)
{
    const struct test_service *service = user;
    (void)context;
    (void)in;
    out->lent = service->handles.lent;
    out->returned = service->handles.returned;
    return WB_OK;
}

static bool is_right(const void *data, size_t bytes, uint64_t seed)
{
    return test_pattern_check(data, bytes, seed) == bytes;
}

static void *check_and_drop(void *context)
{
    struct test_handed *handed = context;
    test_sleep_us(20000);
    size_t data_bytes = wb_rma_vector_bytes(&handed->data);
    handed->spoilt =
        !is_right(handed->raw.data, handed->raw.len, handed->seed) ||
        !is_right(handed->data.data, data_bytes, handed->seed + 1) ||
        !is_right(large_object_get(&handed->large), large_object_bytes, handed->seed + 2);
    wb_buffer_drop(&handed->raw);
    wb_rma_vector_drop(&handed->data);
    large_object_drop(&handed->large);
    return NULL;
}

static int on_hand_on(struct wb_context *context, struct hand_on_in *in, struct hand_on_out *out,
                      void *user)
{
    struct test_service *service = user;
    struct test_handles *handles = &service->handles;
    (void)out;
    if (handles->handed_count == TEST_HANDED_MOST || large_object_get(&in->large) == NULL) {
        return wb_context_fail(context, 1, "nothing to hand on, or too much");
    }
    struct test_handed *handed = &handles->handed[handles->handed_count];
    *handed = (struct test_handed){.seed = in->seed};
    int status = wb_buffer_keep(&in->raw, &handed->raw);
    if (status != WB_OK) {
        return status;
    }
    handed->data = wb_rma_vector_take(&in->data);
    handed->large = large_object_take(&in->large);
    if (pthread_create(&handed->thread, NULL, check_and_drop, handed) != 0) {
        check_and_drop(handed);
        return wb_context_fail(context, 1, "no thread to be had");
    }
    handles->handed_count++;
    return WB_OK;
}

static int on_handed(struct wb_context *context, struct handed_in *in, struct handed_out *out,
                     void *user)
{
    struct test_service *service = user;
    struct test_handles *handles = &service->handles;
    (void)context;
    (void)in;
    out->threads = handles->handed_count;
    while (handles->handed_count > 0) {
        struct test_handed *handed = &handles->handed[--handles->handed_count];
        pthread_join(handed->thread, NULL);
        out->spoilt += handed->spoilt;
    }
    return WB_OK;
}

static int on_check_buffer(struct wb_context *context, struct check_buffer_in *in,
                           struct check_buffer_out *out, void *user)
{
    struct test_service *service = user;
    (void)context;
    out->right = test_pattern_check(in->raw.data, in->raw.len, in->seed);
    service->handles.spoilt += out->right != in->raw.len;
    return WB_OK;
}

static int on_checked(struct wb_context *context, struct checked_in *in, struct checked_out *out,
                      void *user)
{
    const struct test_service *service = user;
    (void)context;
    (void)in;
    out->spoilt = service->handles.spoilt;
    return WB_OK;
}

int test_service_register_handles(struct test_service *service)
{
    struct wb_engine *engine = service->engine;
    int results[] = {objects_register(engine, on_objects, service),
                     return_buffer_register(engine, on_return_buffer, service),
                     lend_register(engine, on_lend, service),
                     lent_register(engine, on_lent, service),
                     hand_on_register(engine, on_hand_on, service),
                     handed_register(engine, on_handed, service),
                     check_buffer_register(engine, on_check_buffer, service),
                     checked_register(engine, on_checked, service)};
    int status = WB_OK;
    for (size_t i = 0; i < sizeof results / sizeof results[0] && status == WB_OK; i++) {
        status = results[i];
    }
    return status;
}

void test_handles_close(struct test_handles *handles)
{
    while (handles->handed_count > 0) {
        pthread_join(handles->handed[--handles->handed_count].thread, NULL);
    }
    free(handles->viewed);
    handles->viewed = NULL;
}
