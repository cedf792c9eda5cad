/* A ring between a thread that takes blocks and one that gives them back. */
#ifndef WAYBILL_PERF_ALLOC_CROSS_H
#define WAYBILL_PERF_ALLOC_CROSS_H

#include "perf/alloc_worker.h"

/* NULL without memory; ends with free. */
struct lane *lane_create(void);

/* The giver's part of a slice: gives back what comes, until the taker settles. */
void lane_serve(struct worker *worker);

#endif
