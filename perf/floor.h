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

#include "perf/area.h"
#include "perf/figures.h"

/* A probe's round trip above this, in microseconds, is one between far cores. */
#define FLOOR_FAR_US 0.25

/* One side's; start from FLOOR_NONE. */
struct floor {
    struct area area;
    const struct child *server; /* the client's, borrowed: not waited for once it has ended */
    uint32_t serial;            /* the client's: of the last order */
    uint32_t obeyed;            /* the server's: the last order word */
    bool pauses;     /* whether round trips are faster with a pause between two looks at a line */
    uint8_t *copied; /* the private buffer, one payload long */
    size_t copied_bytes;
    struct histogram probe;
};
#define FLOOR_NONE ((struct floor){.area = {.fd = -1}})

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

/* Obeys the order that is there, if it is new. Costs a look at a line that seldom changes. */
void floor_serve(struct floor *floor);

/* Either side's; accepts FLOOR_NONE. */
void floor_close(struct floor *floor);

#endif
