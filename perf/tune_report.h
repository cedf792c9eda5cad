/* What wb_perf tune prints. */
#ifndef WAYBILL_PERF_TUNE_REPORT_H
#define WAYBILL_PERF_TUNE_REPORT_H

#include "perf/tune.h"

void tune_report_head(const struct tune_options *options);

/* A threshold that was `before` by default, and becomes `value`. */
void tune_report_race(const struct tune_options *options, const struct tune_race *race,
                      uint32_t before, uint32_t value);

/* The lines to paste; of text only, as json has them in its races. */
void tune_report_config(const struct tune_options *options, const struct wb_engine_config *config);

#endif
