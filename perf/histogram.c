#include "perf/histogram.h"

#include <math.h>

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->total == 0) {
        return;
    }
    into->min = into->total == 0 || from->min < into->min ? from->min : into->min;
    into->max = into->total == 0 || from->max > into->max ? from->max : into->max;
    into->total += from->total;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
}

/* The middle of a bucket. */
static double bucket_value(unsigned bucket)
{
    unsigned half = 1U << HISTOGRAM_BITS;
    unsigned shift = bucket < 2 * half ? 0 : (bucket >> HISTOGRAM_BITS) - 1;
    double low = ldexp((double)(bucket - (shift << HISTOGRAM_BITS)), (int)shift);
    return shift == 0 ? low : low + ldexp(0.5, (int)shift);
}

double histogram_quantile(const struct histogram *histogram, double fraction)
{
    if (histogram->total == 0) {
        return 0.0;
    }
    uint64_t wanted = (uint64_t)ceil(fraction * (double)histogram->total);
    uint64_t seen = 0;
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS) {
        seen += histogram->counts[bucket];
        if (seen >= wanted && seen > 0) {
            break;
        }
        bucket++;
    }
    double value = bucket_value(bucket);
    return fmin(fmax(value, (double)histogram->min), (double)histogram->max);
}
