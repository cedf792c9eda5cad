/*
 * The machine's own limit, measured between the same two processes as our calls.
 *
 *   lat, rate   round trips of a word over two cache lines, one a side
 *   bw          memcpy by the server, out of shared memory that the client has just written, into
 *               a private warm buffer
 *   bibw        the same by both sides at once
 */
#ifndef WAYBILL_PERF_FLOOR_H
#define WAYBILL_PERF_FLOOR_H

#include <stdint.h>

#include "perf/figures.h"
#include "perf/orders.h"

/* A probe's round trip above this, in microseconds, is one between far cores. */
#define FLOOR_FAR_US 0.25

/* One side's; all zero has nothing to give back. */
struct floor {
    struct orders *orders; /* borrowed */
    bool pauses;     /* whether round trips are faster with a pause between two looks at a line */
    uint8_t *copied; /* the private buffer, one payload long */
    size_t copied_bytes;
    struct histogram probe;
};

/* Buffers of `size` bytes that a burst of the baseline copies, of the `calls` that ours makes: as
 * many, but not more than 64 MiB unless it is one. */
uint64_t floor_copies(size_t size, uint32_t calls);

/* ---- the client's; each returns 0, or EXIT_FAILURE with a line said: no answer ---- */

/* The median of some hundred round trips without pauses, in microseconds: whether the cores are
 * near. */
int floor_probe(struct floor *floor, double *median_us);

/* Round trips for at least `ticks`, added to *figures; polls as is fastest just now. */
int floor_ping(struct floor *floor, uint64_t ticks, struct figures *figures);

/* One burst of `count` copies, added to *figures; `both`: in both directions. */
int floor_copy(struct floor *floor, size_t size, uint64_t count, bool both,
               struct figures *figures);

/* ---- the server's ---- */

/* Obeys an order that is the floor's. */
void floor_obey(struct floor *floor, uint32_t order);

/* Either side's; accepts all zero. */
void floor_close(struct floor *floor);

#endif
