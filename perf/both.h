/* bibw: a burst in which both sides call each other. */
#ifndef WAYBILL_PERF_BOTH_H
#define WAYBILL_PERF_BOTH_H

#include <stdint.h>

#include "perf/caller.h"
#include "perf/figures.h"
#include "perf/service.h"

/*
 * Makes `calls` calls, has the peer make as many to `service`, and adds both to *figures; round
 * trips are those of the caller alone. The time runs until the last call of either side has been
 * taken, without the time that both took to check payloads at once (the shorter of the two).
 * Returns WB_OK, how the first call that failed did, or WB_ERR_TIMED_OUT; *words then says it.
 */
int both_burst(struct caller *caller, struct service *service, uint32_t calls,
               struct figures *figures, const char **words);

#endif
