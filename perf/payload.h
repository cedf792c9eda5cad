/*
 * What the calls of one burst carry: buffers of their own for each call, written by its sender just
 * before the burst, as a real sender would have; or with `same` all parts of one call's, written
 * once. Buffer j holds the pattern of stamp + piece_stamp(j), and call i has the buffers from i *
 * chunks on.
 */
#ifndef WAYBILL_PERF_PAYLOAD_H
#define WAYBILL_PERF_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/archive.h>
#include <waybill/engine.h>
#include <waybill/vector.h>

#include "perf/common_pattern.h"
#include "perf/options.h"
#include "perf/trace.h"

/* How far the stamps of neighbouring buffers are apart; odd, so that stamps do not repeat. */
#define PAYLOAD_STRIDE UINT64_C(0xd1342543de82ef95)

/* What there is to call. Invariant: chunks is 1 where there are replies or a trace. */
struct calls_wanted {
    enum path path;
    size_t size;               /* bytes of an argument; with a trace the mean */
    size_t reply;              /* of a reply's payload; likewise */
    const struct trace *trace; /* what the calls carry in turn; borrowed; NULL: all the same */
    uint32_t chunks;           /* buffers of an argument */
    uint32_t window;
    uint32_t peers; /* that the calls go to in turn */
    bool same;      /* whether all calls carry the same memory */
    bool verify;
    uint64_t patience_us; /* the deadline of a call: of calls_patience_us */
};

/* Bytes of argument and reply of call i in a burst: each burst begins the trace anew. */
static inline size_t argument_of(const struct calls_wanted *wanted, size_t i)
{
    const struct trace *trace = wanted->trace;
    return trace != NULL ? trace->call[i % trace->calls].argument : wanted->size;
}

static inline size_t reply_of(const struct calls_wanted *wanted, size_t i)
{
    const struct trace *trace = wanted->trace;
    return trace != NULL ? trace->call[i % trace->calls].reply : wanted->reply;
}

/* Invariant: calls * chunks buffers; in `vectors` for PATH_RMA, else `pieces` of `memory`. All zero
 * has none. */
struct payloads {
    size_t calls;
    uint32_t chunks;
    uint8_t *memory;
    wb_bytes *pieces;
    wb_rma_vector *vectors;
};

/* Takes the memory from malloc, or from the engine's pool for PATH_RMA; makes progress while the
 * pool has no room. Returns WB_OK, WB_ERR_NO_MEMORY, or as wb_rma_vector_create; on failure
 * *payloads is all zero. */
int payloads_create(struct payloads *payloads, struct wb_engine *engine,
                    const struct calls_wanted *wanted, size_t calls);
/* Accepts all zero. */
void payloads_drop(struct payloads *payloads);

/* Writes the buffers of the first `calls`; `wanted` is what they were created for. */
void payloads_fill(struct payloads *payloads, const struct calls_wanted *wanted, size_t calls,
                   uint64_t stamp);

/* The default window of a size: 64, less where that would be more than 16 MiB in flight, and at
 * least 2. */
uint32_t default_window(size_t size);

/* Calls in a burst: some windows of them, as far as 16 MiB of arguments (or one window) allow; of a
 * trace the whole, or some. */
enum { BURST_WINDOWS = 16, BURST_CALLS_MAX = BURST_WINDOWS * WINDOW_MAX };
uint32_t burst_calls(const struct calls_wanted *wanted);

/* Bytes of all arguments of a burst. */
uint64_t burst_bytes(const struct calls_wanted *wanted);

#endif
