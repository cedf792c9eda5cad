/* The contestants as this machine has them. */
#ifndef WAYBILL_PERF_ALLOC_BENCH_H
#define WAYBILL_PERF_ALLOC_BENCH_H

#include <waybill/engine.h>

#include "perf/alloc.h"
#include "perf/alloc_random.h"
#include "perf/device.h"

enum { ABSENT_ROOM = 160 };

/* All zero has nothing to give back. Threads only read it. */
struct bench {
    const struct alloc_options *options;
    struct fractions fractions;
    struct wb_engine *engine;
    struct wb_rma_allocator *pool; /* the engine's */
    void *mimalloc;                /* of dlopen */
    void *(*mi_malloc)(size_t bytes);
    void (*mi_free)(void *memory);
    struct device device;
    char absent[ALLOCATORS][ABSENT_ROOM]; /* why a contestant is not here; "" if it is */
};

/* Makes an engine and, unless the case is fragmentation, looks for the others; those not found are
 * absent. Returns 0, or EXIT_FAILURE with a line said; ends with bench_close either way. */
int bench_open(struct bench *bench, const struct alloc_options *options);
void bench_close(struct bench *bench);

#endif
