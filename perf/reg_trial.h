/* One size of wb_perf reg: what is done to its memory, in turn, and what that took. */
#ifndef WAYBILL_PERF_REG_TRIAL_H
#define WAYBILL_PERF_REG_TRIAL_H

#include <waybill/engine.h>

#include "perf/device.h"
#include "perf/reg.h"

/* Measures `size` for o->seconds, and sets *result. The engine uses this device and no other,
 * or is NULL: nothing is pinned. Returns 0, or EXIT_FAILURE with a line said. */
int reg_trial(const struct reg_options *o, const struct device *device, struct wb_engine *engine,
              size_t size, struct reg_result *result);

#endif
