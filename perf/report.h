/*
 * Prints results: text in the way of the OSU benchmarks, CSV, or JSON, one object a line with
 *
 *   test fabric path size reply chunks threads peers processes window calls
 *   rtt_us{min,p50,p99,p999,max} mb_per_s calls_per_s verified
 *
 * where threads and peers are those of a client, and with a trace size and reply are means; and
 * with --vs besides
 *
 *   vs baseline{rtt_us,mb_per_s,calls_per_s} ratio{p50,min,max} slices{near,far} far
 *
 * where all figures are of the near slices, if there are any, and `far` has those of the far ones
 * (or null). ratio is ours to the baseline: for lat of median round trips; for rate of the time of
 * a call to the median round trip, or with several threads to the time of a trip; for bw and bibw
 * of bandwidths; with --vs one of calls a second.
 */
#ifndef WAYBILL_PERF_REPORT_H
#define WAYBILL_PERF_REPORT_H

#include "perf/measure.h"
#include "perf/options.h"

/* Prints what comes before the first result. */
void report_head(const struct options *options);
void report_result(const struct options *options, const struct result *result);

#endif
