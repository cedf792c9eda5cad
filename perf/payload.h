/*
 * What the calls of one burst carry: one buffer a call, written by its sender just before the
 * burst, as a real sender would have. Buffer i holds the pattern of stamp + i * PAYLOAD_STRIDE.
 */
#ifndef WAYBILL_PERF_PAYLOAD_H
#define WAYBILL_PERF_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <waybill/engine.h>

#include "perf/common_pattern.h"
#include "perf/options.h"

/* How far the stamps of neighbouring buffers are apart; odd, so that stamps do not repeat. */
#define PAYLOAD_STRIDE UINT64_C(0xd1342543de82ef95)

/* Invariant: count buffers of size bytes; in `vectors` for PATH_RMA, else in `memory`. All zero has
 * none. */
struct payloads {
    size_t size, count;
    uint8_t *memory;
    wb_rma_vector *vectors;
};

/* Takes the memory from malloc, or from the engine's pool for PATH_RMA; makes progress while the
 * pool has no room. Returns WB_OK, WB_ERR_NO_MEMORY, or as wb_rma_vector_create; on failure
 * *payloads is all zero. */
int payloads_create(struct payloads *payloads, struct wb_engine *engine, enum path path,
                    size_t size, size_t count);
/* Accepts all zero. */
void payloads_drop(struct payloads *payloads);

/* Writes the first `count` buffers. */
void payloads_fill(struct payloads *payloads, size_t count, uint64_t stamp);

/* Buffer i where it is not a vector. */
static inline uint8_t *payloads_at(const struct payloads *payloads, size_t i)
{
    return payloads->memory + i * payloads->size;
}

/* The default window of a size: 64, less where that would be more than 16 MiB in flight, and at
 * least 2. */
uint32_t default_window(size_t size);

/* Calls in a burst: some windows of them, as far as 16 MiB of payload (or one window) allow. */
enum { BURST_WINDOWS = 16, BURST_CALLS_MAX = BURST_WINDOWS * WINDOW_MAX };
uint32_t burst_calls(size_t size, uint32_t window);

#endif
