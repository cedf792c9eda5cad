#include "perf/exchange.h"

#include <string.h>

#include "perf/actions.h"
#include "perf/ticks.h"

/* What each finish does as soon as its call has ended. */
static void take_answer(uint64_t word, uint64_t check_ns, struct answer *answer, uint64_t *ended)
{
    *ended = ticks_now();
    *answer = (struct answer){.word = word, .check_ns = check_ns};
}

/* ---- a payload there ---- */

static int begin_bytes(struct wb_peer *peer, const struct parcel *parcel,
                       const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_bytes_in in = {.stamp = parcel->stamp, .data = parcel->pieces[0]};
    return perf_bytes_async(peer, &in, options, call);
}

static int finish_bytes(struct wb_call *call, const struct expected *expected,
                        struct answer *answer, uint64_t *ended)
{
    (void)expected;
    struct perf_bytes_out out;
    int status = perf_bytes_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    return status;
}

static int begin_line(struct wb_peer *peer, const struct parcel *parcel,
                      const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_line_in in = {.stamp = parcel->stamp};
    memcpy(in.data, parcel->pieces[0].data, PERF_LINE);
    return perf_line_async(peer, &in, options, call);
}

static int finish_line(struct wb_call *call, const struct expected *expected, struct answer *answer,
                       uint64_t *ended)
{
    (void)expected;
    struct perf_line_out out;
    int status = perf_line_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    return status;
}

static int begin_rma(struct wb_peer *peer, const struct parcel *parcel,
                     const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_rma_in in = {.stamp = parcel->stamp, .data = parcel->vectors[0]};
    return perf_rma_async(peer, &in, options, call);
}

static int finish_rma(struct wb_call *call, const struct expected *expected, struct answer *answer,
                      uint64_t *ended)
{
    (void)expected;
    struct perf_rma_out out;
    int status = perf_rma_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    return status;
}

/* ---- one in many pieces ---- */

static int begin_bytes_many(struct wb_peer *peer, const struct parcel *parcel,
                            const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_bytes_many_in in = {.stamp = parcel->stamp,
                                    .data = {.data = parcel->pieces, .len = parcel->chunks}};
    return perf_bytes_many_async(peer, &in, options, call);
}

static int finish_bytes_many(struct wb_call *call, const struct expected *expected,
                             struct answer *answer, uint64_t *ended)
{
    (void)expected;
    struct perf_bytes_many_out out;
    int status = perf_bytes_many_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    return status;
}

static int begin_rma_many(struct wb_peer *peer, const struct parcel *parcel,
                          const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_rma_many_in in = {.stamp = parcel->stamp,
                                  .data = {.data = parcel->vectors, .len = parcel->chunks}};
    return perf_rma_many_async(peer, &in, options, call);
}

static int finish_rma_many(struct wb_call *call, const struct expected *expected,
                           struct answer *answer, uint64_t *ended)
{
    (void)expected;
    struct perf_rma_many_out out;
    int status = perf_rma_many_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    return status;
}

/* ---- a payload there, and one back ---- */

static int check_reply(const void *data, size_t bytes, const struct expected *expected)
{
    if (bytes != expected->reply ||
        (expected->verify && pattern_check(data, bytes, REPLY_STAMP) != bytes)) {
        return WB_ERR_MALFORMED;
    }
    return WB_OK;
}

static int begin_bytes_both(struct wb_peer *peer, const struct parcel *parcel,
                            const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_bytes_both_in in = {
        .stamp = parcel->stamp, .reply = parcel->reply, .data = parcel->pieces[0]};
    return perf_bytes_both_async(peer, &in, options, call);
}

static int finish_bytes_both(struct wb_call *call, const struct expected *expected,
                             struct answer *answer, uint64_t *ended)
{
    struct perf_bytes_both_out out;
    int status = perf_bytes_both_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    status = status == WB_OK ? check_reply(out.data.data, out.data.len, expected) : status;
    perf_bytes_both_out_drop(&out);
    return status;
}

static int begin_rma_both(struct wb_peer *peer, const struct parcel *parcel,
                          const struct wb_call_options *options, struct wb_call **call)
{
    struct perf_rma_both_in in = {
        .stamp = parcel->stamp, .reply = parcel->reply, .data = parcel->vectors[0]};
    return perf_rma_both_async(peer, &in, options, call);
}

static int finish_rma_both(struct wb_call *call, const struct expected *expected,
                           struct answer *answer, uint64_t *ended)
{
    struct perf_rma_both_out out;
    int status = perf_rma_both_finish(call, &out);
    take_answer(out.answer, out.check_ns, answer, ended);
    status = status == WB_OK ? check_reply(out.data.data, wb_rma_vector_bytes(&out.data), expected)
                             : status;
    perf_rma_both_out_drop(&out);
    return status;
}

const struct exchange *exchange_of(const struct calls_wanted *wanted)
{
    /* of a byte range, and of a vector */
    static const struct exchange one[2] = {{begin_bytes, finish_bytes}, {begin_rma, finish_rma}};
    static const struct exchange many[2] = {{begin_bytes_many, finish_bytes_many},
                                            {begin_rma_many, finish_rma_many}};
    static const struct exchange both[2] = {{begin_bytes_both, finish_bytes_both},
                                            {begin_rma_both, finish_rma_both}};
    static const struct exchange line = {begin_line, finish_line};
    bool rma = wanted->path == PATH_RMA;
    if (wanted->chunks > 1) {
        return &many[rma];
    }
    if (wanted->reply > 0 || wanted->trace != NULL) {
        return &both[rma];
    }
    return wanted->path == PATH_EAGER && wanted->size == PERF_LINE ? &line : &one[rma];
}
