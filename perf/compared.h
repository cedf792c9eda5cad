/* The number that a slice's figures are compared by. */
#ifndef WAYBILL_PERF_COMPARED_H
#define WAYBILL_PERF_COMPARED_H

#include <stdbool.h>

#include "perf/figures.h"
#include "perf/options.h"

/* Of a slice of ours or of the baseline: for lat the median round trip and for rate the time of a
 * call, in microseconds; for bw and bibw MB/s, the latter three of the median burst. The baseline
 * of rate with one thread is its median round trip; those of several overlap, as our calls do, so
 * the time of one is counted alike on both sides. With --vs one it is calls a second in all of
 * them. */
double compared_of(const struct options *options, bool ours, const struct figures *figures);

#endif
