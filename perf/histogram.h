/*
 * Counts of values in log-linear buckets: 128 to each power of two, so that a percentile is within
 * 0.8 % of the truth over the whole range of 64 bits. After Gil Tene's HdrHistogram.
 *
 * Invariant: total is the sum of counts; min and max are exact, and undefined while total == 0. All
 * zero is the empty histogram.
 */
#ifndef WAYBILL_PERF_HISTOGRAM_H
#define WAYBILL_PERF_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS };

struct histogram {
    uint64_t total, min, max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Values below 2 * 128 have a bucket of their own; above, the top 8 bits name it. */
static inline unsigned histogram_bucket(uint64_t value)
{
    unsigned width = 64U - (unsigned)__builtin_clzll(value | 1U);
    unsigned shift = width > HISTOGRAM_BITS + 1 ? width - HISTOGRAM_BITS - 1 : 0;
    return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static inline void histogram_add(struct histogram *histogram, uint64_t value, uint64_t times)
{
    histogram->min = histogram->total == 0 || value < histogram->min ? value : histogram->min;
    histogram->max = histogram->total == 0 || value > histogram->max ? value : histogram->max;
    histogram->total += times;
    histogram->counts[histogram_bucket(value)] += times;
}

/* Adds all of `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * Returns the value that `fraction` (0 to 1) of all values do not exceed, interpolated within its
 * bucket, whose width is at least `grain`: the step of the clock that the values were read from. 0
 * for the empty histogram.
 */
double histogram_quantile(const struct histogram *histogram, double fraction, uint64_t grain);

#endif
