#include "perf/service.h"

#include <stdlib.h>

#include "perf/actions.h"
#include "perf/common_resources.h"
#include "perf/payload.h"
#include "perf/ticks.h"

/* the handlers' own codes; a caller that wants words sees the text */
enum { WRONG_BYTES = 1, REFUSED = 3 };

/* A call's arguments while they are taken. */
struct taking {
    struct service *service;
    struct wb_context *context;
    uint64_t stamp; /* of the first piece; 0: is not to be checked */
    uint64_t bytes, pieces, check_ticks;
};

/* Takes the next piece: checks it, if that is wanted. */
static int take_piece(struct taking *t, const void *data, size_t bytes)
{
    if (t->stamp != 0) {
        uint64_t start = ticks_now();
        size_t wrong = pattern_check(data, bytes, t->stamp + t->pieces * PAYLOAD_STRIDE);
        t->check_ticks += ticks_now() - start;
        if (wrong != bytes) {
            t->service->mismatches++;
            return wb_context_fail(t->context, WRONG_BYTES, "byte %zu of %zu is wrong", wrong,
                                   bytes);
        }
    }
    t->bytes += bytes;
    t->pieces++;
    return WB_OK;
}

/* All has been taken. */
static int answer(const struct taking *t, uint64_t *word, uint64_t *check_ns)
{
    t->service->served++;
    t->service->check_ticks += t->check_ticks;
    *word = answer_to(t->stamp + t->bytes);
    *check_ns = t->check_ticks > 0 ? ticks_to_ns(t->check_ticks) : 0;
    return WB_OK;
}

static int serve_word(struct wb_context *context, struct perf_word_in *in,
                      struct perf_word_out *out, void *user)
{
    (void)context;
    struct service *service = user;
    service->served++;
    out->answer = answer_to(in->word);
    return WB_OK;
}

/* ---- a payload ---- */

static int serve_bytes(struct wb_context *context, struct perf_bytes_in *in,
                       struct perf_bytes_out *out, void *user)
{
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = take_piece(&t, in->data.data, in->data.len);
    return status == WB_OK ? answer(&t, &out->answer, &out->check_ns) : status;
}

static int serve_line(struct wb_context *context, struct perf_line_in *in,
                      struct perf_line_out *out, void *user)
{
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = take_piece(&t, in->data, sizeof in->data);
    return status == WB_OK ? answer(&t, &out->answer, &out->check_ns) : status;
}

static int serve_rma(struct wb_context *context, struct perf_rma_in *in, struct perf_rma_out *out,
                     void *user)
{
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = take_piece(&t, in->data.data, wb_rma_vector_bytes(&in->data));
    return status == WB_OK ? answer(&t, &out->answer, &out->check_ns) : status;
}

/* ---- in many pieces ---- */

static int serve_bytes_many(struct wb_context *context, struct perf_bytes_many_in *in,
                            struct perf_bytes_many_out *out, void *user)
{
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = WB_OK;
    for (size_t i = 0; status == WB_OK && i < in->data.len; i++) {
        status = take_piece(&t, in->data.data[i].data, in->data.data[i].len);
    }
    return status == WB_OK ? answer(&t, &out->answer, &out->check_ns) : status;
}

static int serve_rma_many(struct wb_context *context, struct perf_rma_many_in *in,
                          struct perf_rma_many_out *out, void *user)
{
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = WB_OK;
    for (size_t i = 0; status == WB_OK && i < in->data.len; i++) {
        status = take_piece(&t, in->data.data[i].data, wb_rma_vector_bytes(&in->data.data[i]));
    }
    return status == WB_OK ? answer(&t, &out->answer, &out->check_ns) : status;
}

/* ---- with one back ---- */

/* Whether so long a reply can be had; a peer may ask for anything. */
static int check_length(struct wb_context *context, uint64_t bytes)
{
    return memory_suffices(1, bytes)
               ? WB_OK
               : wb_context_fail(context, REFUSED, "the server has no room for such a reply");
}

static int lengthen_reply(struct service *service, size_t bytes)
{
    wb_buffer longer;
    void *memory = malloc(bytes);
    if (memory == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    pattern_fill(memory, bytes, REPLY_STAMP);
    int status = wb_buffer_adopt(memory, bytes, NULL, &longer);
    if (status != WB_OK) {
        free(memory);
        return status;
    }
    wb_buffer_drop(&service->reply);
    service->reply = longer;
    return WB_OK;
}

static int lengthen_vector(struct service *service, size_t bytes)
{
    wb_rma_vector longer;
    struct wb_rma_allocator *pool = wb_engine_allocator(service->engine);
    int status = wb_rma_vector_create(pool, 1, bytes, &longer);
    if (status == WB_OK) {
        pattern_fill(longer.data, bytes, REPLY_STAMP);
        wb_rma_vector_drop(&service->reply_vector);
        service->reply_vector = longer;
    }
    return status; /* WB_AGAIN: the call comes again when the pool has grown */
}

static int serve_bytes_both(struct wb_context *context, struct perf_bytes_both_in *in,
                            struct perf_bytes_both_out *out, void *user)
{
    struct service *service = user;
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = WB_OK;
    if (in->reply > service->reply.len) {
        status = check_length(context, in->reply);
        status = status == WB_OK ? lengthen_reply(service, in->reply) : status;
    }
    status = status == WB_OK ? take_piece(&t, in->data.data, in->data.len) : status;
    if (status != WB_OK) {
        return status;
    }
    out->data = wb_buffer_slice(&service->reply, 0, in->reply);
    return answer(&t, &out->answer, &out->check_ns);
}

static int serve_rma_both(struct wb_context *context, struct perf_rma_both_in *in,
                          struct perf_rma_both_out *out, void *user)
{
    struct service *service = user;
    struct taking t = {.service = user, .context = context, .stamp = in->stamp};
    int status = WB_OK;
    if (in->reply > service->reply_vector.count) {
        status = check_length(context, in->reply);
        status = status == WB_OK ? lengthen_vector(service, in->reply) : status;
    }
    status =
        status == WB_OK ? take_piece(&t, in->data.data, wb_rma_vector_bytes(&in->data)) : status;
    if (status != WB_OK) {
        return status;
    }
    out->data = wb_rma_vector_slice(&service->reply_vector, 0, in->reply);
    return answer(&t, &out->answer, &out->check_ns);
}

int service_register(struct service *service, struct wb_engine *engine)
{
    service->engine = engine;
    int status = perf_word_register(engine, serve_word, service);
    status = status == WB_OK ? perf_line_register(engine, serve_line, service) : status;
    status = status == WB_OK ? perf_bytes_register(engine, serve_bytes, service) : status;
    status = status == WB_OK ? perf_rma_register(engine, serve_rma, service) : status;
    status = status == WB_OK ? perf_bytes_many_register(engine, serve_bytes_many, service) : status;
    status = status == WB_OK ? perf_rma_many_register(engine, serve_rma_many, service) : status;
    status = status == WB_OK ? perf_bytes_both_register(engine, serve_bytes_both, service) : status;
    return status == WB_OK ? perf_rma_both_register(engine, serve_rma_both, service) : status;
}

void service_close(struct service *service)
{
    wb_buffer_drop(&service->reply);
    wb_rma_vector_drop(&service->reply_vector);
}
