#include "perf/soak_calls.h"

#include <stdlib.h>

#include "perf/common_pattern.h"
#include "perf/common_say.h"
#include "perf/soak_sum.h"

enum { SMALL = 200, EAGER = 3000, CHUNK = 64 << 10, LARGE = 512 << 10, HUGE_ONE = 3 << 20 };

/* Mostly small, and now and then a few MiB. */
static uint32_t any_size(uint64_t *random)
{
    static const uint32_t bounds[] = {1,     1,     SMALL, SMALL, SMALL, SMALL, EAGER,   EAGER,
                                      EAGER, CHUNK, CHUNK, CHUNK, CHUNK, LARGE, HUGE_ONE};
    const uint64_t count = sizeof bounds / sizeof bounds[0];
    uint32_t bound = bounds[soak_below(random, count)];
    if (bound == HUGE_ONE && soak_below(random, 4) != 0) {
        bound = LARGE;
    }
    return (uint32_t)soak_below(random, bound);
}

static int make_vector(struct wb_engine *engine, uint32_t len, uint64_t stamp,
                       wb_rma_vector *vector)
{
    *vector = (wb_rma_vector){0};
    int status =
        len > 0 ? wb_rma_vector_create(wb_engine_allocator(engine), 1, len, vector) : WB_OK;
    if (status == WB_OK && len > 0) {
        pattern_fill(vector->data, len, stamp);
    }
    return status;
}

/* Counted plain memory, or the pool's. */
static int make_buffer(struct wb_engine *engine, uint32_t len, uint64_t stamp, bool registered,
                       wb_buffer *buffer)
{
    wb_rma_vector vector;
    *buffer = (wb_buffer){0};
    if (registered) {
        int status = make_vector(engine, len, stamp, &vector);
        *buffer = status == WB_OK ? wb_buffer_of_vector(&vector) : *buffer;
        return status;
    }
    void *memory = len > 0 ? malloc(len) : NULL;
    if (memory == NULL) {
        return len > 0 ? WB_ERR_NO_MEMORY : WB_OK;
    }
    pattern_fill(memory, len, stamp);
    int status = wb_buffer_adopt(memory, len, NULL, buffer);
    if (status != WB_OK) {
        free(memory);
    }
    return status;
}

int soak_call_make(struct soak_call *call, struct wb_engine *engine, uint64_t *random,
                   struct exchange_in *in)
{
    uint32_t bytes = any_size(random);
    *call = (struct soak_call){.stamp = soak_random(random),
                               .want_bytes = any_size(random),
                               .want_vector = any_size(random),
                               .want_buffer = any_size(random)};
    *in = (struct exchange_in){.stamp = call->stamp,
                               .want_bytes = call->want_bytes,
                               .want_vector = call->want_vector,
                               .want_buffer = call->want_buffer};
    call->bytes = malloc(bytes + 1);
    int status = call->bytes != NULL ? WB_OK : WB_ERR_NO_MEMORY;
    if (status == WB_OK) {
        pattern_fill(call->bytes, bytes, soak_stamp(call->stamp, IN_BYTES));
        in->bytes = (wb_bytes){.data = call->bytes, .len = bytes};
        status =
            make_vector(engine, any_size(random), soak_stamp(call->stamp, IN_VECTOR), &in->vector);
    }
    if (status == WB_OK) {
        status = make_buffer(engine, any_size(random), soak_stamp(call->stamp, IN_BUFFER),
                             soak_below(random, 2) == 0, &in->buffer);
    }
    if (status != WB_OK) {
        exchange_in_drop(in);
        soak_call_forget(call);
        return status;
    }
    call->sum = soak_sum(SOAK_SUM_START, call->bytes, bytes);
    call->sum = soak_sum(call->sum, in->vector.data, wb_rma_vector_bytes(&in->vector));
    call->sum = soak_sum(call->sum, in->buffer.data, in->buffer.len);
    return WB_OK;
}

static bool part_is_right(const struct soak_call *call, const void *data, size_t len, size_t wanted,
                          enum soak_part part)
{
    return len == wanted && pattern_check(data, len, soak_stamp(call->stamp, part)) == len;
}

/* What is wrong with a result, or NULL. */
static const char *result_fault(const struct soak_call *call, const struct exchange_out *out,
                                uint32_t client)
{
    if (out->client != client || out->number != call->number) {
        return "it is another call's";
    }
    if (out->sum != call->sum) {
        return "the checksum of the arguments differs";
    }
    if (!part_is_right(call, out->bytes.data, out->bytes.len, call->want_bytes, OUT_BYTES)) {
        return "its bytes are wrong";
    }
    if (!part_is_right(call, out->vector.data, wb_rma_vector_bytes(&out->vector), call->want_vector,
                       OUT_VECTOR)) {
        return "its vector is wrong";
    }
    return part_is_right(call, out->buffer.data, out->buffer.len, call->want_buffer, OUT_BUFFER)
               ? NULL
               : "its buffer is wrong";
}

/* How a call may end whose server is well, and whose peer may be closed or lost. */
static bool may_end_so(const struct soak_call *call, int status)
{
    if (status == WB_ERR_CANCELLED) {
        return call->cancelled;
    }
    return status == WB_OK || status == WB_ERR_TIMED_OUT || status == WB_ERR_CLOSED ||
           status == WB_ERR_PEER_LOST || status == WB_ERR_NOT_SENT || status == WB_ERR_BUSY;
}

uint8_t soak_call_finish(struct soak_call *call, uint32_t client)
{
    struct exchange_out out;
    int status = exchange_finish(call->call, &out);
    uint8_t mark = mark_of(status);
    const char *fault = status == WB_OK ? result_fault(call, &out, client) : NULL;
    if (fault != NULL) {
        say(EXIT_FAILURE, "client %u, call %u: %s", client, call->number, fault);
        mark = MARK_CORRUPT;
    } else if (!may_end_so(call, status)) {
        say(EXIT_FAILURE, "client %u, call %u: ended with %s: %s %s", client, call->number,
            wb_status_name(status), wb_last_error(), call->error.text);
        mark = MARK_CORRUPT;
    }
    exchange_out_drop(&out);
    soak_call_forget(call);
    return mark;
}

void soak_call_forget(struct soak_call *call)
{
    free(call->bytes);
    *call = (struct soak_call){0};
}
