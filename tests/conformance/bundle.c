#include "tests/conformance/bundle.h"

#include <stdlib.h>

#include "tests/support/pattern.h"

static const struct wb_field fields[] = {{.kind = "VALUE", .type = "u32", .name = "count"},
                                         {.kind = "BYTES", .type = "wb_bytes", .name = "filler"},
                                         {.kind = "RMA", .type = "vectors", .name = "vectors"},
                                         {.kind = NULL}};
static struct wb_action action = {.name = "bundle", .in = fields, .out = fields};

static size_t bytes_of(uint32_t number)
{
    size_t bytes = 16 * ((size_t)number + 1) % 4096;
    return bytes > 0 ? bytes : 1;
}

int test_bundle_make(struct wb_rma_allocator *pool, uint32_t count, struct test_bundle *bundle)
{
    *bundle = (struct test_bundle){.vectors = calloc(count + 1, sizeof *bundle->vectors)};
    int status = bundle->vectors != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    while (status == WB_OK && bundle->count < count) {
        wb_rma_vector *vector = &bundle->vectors[bundle->count];
        status = wb_rma_vector_create(pool, 1, bytes_of(bundle->count), vector);
        if (status == WB_OK) {
            test_pattern_fill(vector->data, vector->count, bundle->count);
            bundle->count++;
        }
    }
    return status;
}

uint32_t test_bundle_right(const struct test_bundle *bundle)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < bundle->count; i++) {
        const wb_rma_vector *vector = &bundle->vectors[i];
        right += vector->elem_size == 1 && vector->count == bytes_of(i) &&
                 test_pattern_check(vector->data, vector->count, i) == vector->count;
    }
    return right;
}

void test_bundle_drop(struct test_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->count; i++) {
        wb_rma_vector_drop(&bundle->vectors[i]);
    }
    free(bundle->vectors);
    wb_hold_release(&bundle->hold);
    *bundle = (struct test_bundle){0};
}

static void size_bundle(struct wb_sizer *sizer, const struct test_bundle *bundle)
{
    wb_size_u32(sizer, bundle->count);
    wb_size_bytes(sizer, bundle->filler);
    for (uint32_t i = 0; i < bundle->count; i++) {
        wb_size_rma(sizer, &bundle->vectors[i]);
    }
    wb_sizer_finish(sizer);
}

static void put_bundle(struct wb_writer *writer, const struct test_bundle *bundle)
{
    wb_put_u32(writer, bundle->count);
    wb_put_bytes(writer, bundle->filler);
    for (uint32_t i = 0; i < bundle->count; i++) {
        wb_put_rma(writer, &bundle->vectors[i]);
    }
}

static int get_bundle(struct wb_reader *reader, struct test_bundle *bundle)
{
    uint32_t count = wb_get_u32(reader);
    *bundle = (struct test_bundle){.filler = wb_get_bytes(reader)};
    if (count > TEST_BUNDLE_MOST) {
        wb_reader_fail(reader, WB_ERR_MALFORMED, "a bundle of too many vectors");
        count = 0;
    }
    bundle->vectors = calloc(count + 1, sizeof *bundle->vectors);
    if (bundle->vectors == NULL) {
        wb_reader_fail(reader, WB_ERR_NO_MEMORY, "no memory for a bundle");
        count = 0;
    }
    for (; bundle->count < count; bundle->count++) {
        bundle->vectors[bundle->count] = wb_get_rma(reader);
    }
    int status = wb_reader_finish(reader);
    if (status != WB_OK) {
        test_bundle_drop(bundle);
    }
    return status;
}

static int serve(struct wb_context *context, struct wb_request *request, void (*handler)(void),
                 void *user)
{
    struct test_bundle bundle;
    struct wb_sizer sizer;
    struct wb_writer writer;
    (void)handler;
    (void)user;
    int status = get_bundle(wb_request_open(context, request), &bundle);
    if (status == WB_OK) {
        wb_reply_size(&sizer, context);
        size_bundle(&sizer, &bundle);
        status = wb_reply_begin(context, &sizer, &writer);
    }
    if (status == WB_OK) {
        put_bundle(&writer, &bundle);
        status = wb_reply_commit(context, &writer);
    }
    test_bundle_drop(&bundle);
    return status;
}

static void no_handler(void) {}

int test_bundle_register(struct wb_engine *engine)
{
    return wb_action_register(engine, &action, serve, no_handler, NULL, NULL);
}

static int begin(struct wb_peer *peer, const struct test_bundle *in,
                 const struct wb_call_options *options, struct wb_call **call)
{
    struct wb_sizer sizer;
    struct wb_writer writer;
    wb_call_size(&sizer, peer, options);
    size_bundle(&sizer, in);
    int status = wb_call_begin(peer, &action, &sizer, options, &writer);
    if (status == WB_OK) {
        put_bundle(&writer, in);
        status = wb_call_commit(&writer, call);
    }
    return status;
}

int test_bundle_call(struct wb_peer *peer, const struct test_bundle *in, struct test_bundle *out,
                     const struct wb_call_options *options)
{
    struct wb_call *call = NULL;
    struct wb_reader reader;
    struct wb_call_options left = {0};
    *out = (struct test_bundle){0};
    int status = begin(peer, in, options, &call);
    while (status == WB_AGAIN) {
        status = wb_call_await_room(peer, options, &left);
        status = status == WB_OK ? begin(peer, in, &left, &call) : status;
    }
    if (status != WB_OK) {
        return status;
    }
    status = wb_call_open(call, &reader);
    if (status == WB_OK) {
        status = get_bundle(&reader, out);
    }
    wb_call_close(call, &out->hold, status == WB_OK);
    return status;
}
