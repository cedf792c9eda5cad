/* One call with a payload, by the action that it asks for. */
#ifndef WAYBILL_PERF_EXCHANGE_H
#define WAYBILL_PERF_EXCHANGE_H

#include <stdint.h>
#include <waybill/engine.h>

#include "perf/payload.h"

/* What a call carries. */
struct parcel {
    uint64_t stamp; /* of its first buffer; 0: is not to be checked */
    size_t reply;   /* bytes */
    const wb_bytes *pieces;
    const wb_rma_vector *vectors;
    uint32_t chunks; /* of either */
};

/* What came back. */
struct answer {
    uint64_t word, check_ns;
};

/* What an answer's payload has to be. */
struct expected {
    size_t reply;
    bool verify; /* each byte */
};

/* An action. */
struct exchange {
    /* Begins a call; returns as NAME_async. */
    int (*begin)(struct wb_peer *peer, const struct parcel *parcel,
                 const struct wb_call_options *options, struct wb_call **call);
    /* Waits for its end, takes the time of that in ticks, and then checks the payload. Returns as
     * NAME_finish, or WB_ERR_MALFORMED; *answer is all zero where the call has failed. */
    int (*finish)(struct wb_call *call, const struct expected *expected, struct answer *answer,
                  uint64_t *ended);
};

/* The one for these calls. */
const struct exchange *exchange_of(const struct calls_wanted *wanted);

#endif
