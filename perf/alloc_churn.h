/* Fragmentation: blocks come and go, and what the pool needs for them is watched. */
#ifndef WAYBILL_PERF_ALLOC_CHURN_H
#define WAYBILL_PERF_ALLOC_CHURN_H

#include "perf/alloc_bench.h"

/* Runs and reports; returns 0, or EXIT_FAILURE with a line said. */
int churn(const struct bench *bench);

#endif
