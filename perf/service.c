#include "perf/service.h"

#include "perf/actions.h"
#include "perf/payload.h"
#include "perf/ticks.h"

enum { WRONG_BYTES = 1 }; /* the handlers' own code, for a caller that wants words see the text */

static int serve_word(struct wb_context *context, struct perf_word_in *in,
                      struct perf_word_out *out, void *user)
{
    (void)context;
    struct service *service = user;
    service->served++;
    out->answer = answer_to(in->word);
    return WB_OK;
}

/* Checks a payload if its stamp asks for that, and answers. */
static int take_payload(struct service *service, struct wb_context *context, uint64_t stamp,
                        wb_bytes data, uint64_t *answer, uint64_t *check_ns)
{
    if (stamp != 0) {
        uint64_t start = ticks_now();
        size_t wrong = pattern_check(data.data, data.len, stamp);
        uint64_t spent = ticks_now() - start;
        service->check_ticks += spent;
        *check_ns = ticks_to_ns(spent);
        if (wrong != data.len) {
            service->mismatches++;
            return wb_context_fail(context, WRONG_BYTES, "byte %zu of %zu is wrong", wrong,
                                   data.len);
        }
    }
    service->served++;
    *answer = answer_to(stamp + data.len);
    return WB_OK;
}

static int serve_bytes(struct wb_context *context, struct perf_bytes_in *in,
                       struct perf_bytes_out *out, void *user)
{
    return take_payload(user, context, in->stamp, in->data, &out->answer, &out->check_ns);
}

static int serve_rma(struct wb_context *context, struct perf_rma_in *in, struct perf_rma_out *out,
                     void *user)
{
    wb_bytes data = {.data = in->data.data, .len = wb_rma_vector_bytes(&in->data)};
    return take_payload(user, context, in->stamp, data, &out->answer, &out->check_ns);
}

int service_register(struct service *service, struct wb_engine *engine)
{
    int status = perf_word_register(engine, serve_word, service);
    if (status == WB_OK) {
        status = perf_bytes_register(engine, serve_bytes, service);
    }
    if (status == WB_OK) {
        status = perf_rma_register(engine, serve_rma, service);
    }
    return status;
}
