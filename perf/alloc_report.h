/* How wb_perf alloc says what it saw. */
#ifndef WAYBILL_PERF_ALLOC_REPORT_H
#define WAYBILL_PERF_ALLOC_REPORT_H

#include "perf/alloc_bench.h"

/* Of one contestant in one case at one size. */
struct alloc_result {
    enum allocator allocator;
    enum alloc_case which;
    size_t size; /* 0: mixed */
    uint64_t slices;
    double ns, ns_min;       /* of an op: the median slice, and the least */
    double ratio, ratio_min; /* to the baseline in the same round; 0: no baseline here */
};

/* The text's head; and who is absent, in either format. */
void alloc_report_head(const struct bench *bench);
void alloc_report_result(const struct alloc_options *options, const struct alloc_result *result);

/* Of fragmentation. */
struct churn_result {
    uint64_t ops;
    double seconds;
    uint64_t live_bytes, live_peak_bytes; /* asked for, of blocks that were held */
    uint64_t pool_bytes, pool_peak_bytes; /* registered, at the same moments */
    double fragmentation_max;             /* of the samples after the first peak */
    uint64_t blocks, refusals;
};

void alloc_report_churn(const struct alloc_options *options, const struct churn_result *result);

#endif
