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

/* The least value of a bucket, and how many values it takes. */
static double bucket_start(unsigned bucket, double *width)
{
    unsigned half = 1U << HISTOGRAM_BITS;
    unsigned shift = bucket < 2 * half ? 0 : (bucket >> HISTOGRAM_BITS) - 1;
    *width = ldexp(1.0, (int)shift);
    return ldexp((double)(bucket - (shift << HISTOGRAM_BITS)), (int)shift);
}

double histogram_quantile(const struct histogram *histogram, double fraction, uint64_t grain)
{
    if (histogram->total == 0) {
        return 0.0;
    }
    double wanted = fmax(fraction * (double)histogram->total, 1.0);
    double below = 0.0, width = 1.0;
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && below + (double)histogram->counts[bucket] < wanted) {
        below += (double)histogram->counts[bucket++];
    }
    double middle = bucket_start(bucket, &width) + (width - 1.0) / 2;
    double inside = (wanted - below) / (double)histogram->counts[bucket]; /* above 0, at most 1 */
    double value = middle + (inside - 0.5) * fmax(width, (double)grain);
    return fmin(fmax(value, (double)histogram->min), (double)histogram->max);
}
