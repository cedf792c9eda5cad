/* One call of wb_soak's client: made at random, marked on the board, checked when it ends. */
#ifndef WAYBILL_PERF_SOAK_CALLS_H
#define WAYBILL_PERF_SOAK_CALLS_H

#include "perf/soak.h"
#include "perf/soak_actions.h"

/* An open call; call NULL: a free place. Owns what the call borrows. */
struct soak_call {
    struct wb_call *call;
    uint32_t number;
    uint64_t stamp, sum;
    uint32_t want_bytes, want_vector, want_buffer;
    void *bytes;    /* borrowed by the call */
    bool cancelled; /* it has been given up, and may end so */
    struct wb_error error;
};

/* Fills *in with arguments of any size, and what *call has to remember. Returns WB_OK, WB_AGAIN
 * (the pool is full now), or as the allocator; on failure nothing is held. */
int soak_call_make(struct soak_call *call, struct wb_engine *engine, uint64_t *random,
                   struct exchange_in *in);

/* Finishes a call that has ended; returns the mark that it gets, with a line said if it is corrupt.
 * The place is free then. */
uint8_t soak_call_finish(struct soak_call *call, uint32_t client);

/* Gives back what a call borrowed, or would have. */
void soak_call_forget(struct soak_call *call);

#endif
