/* The calling side: measures what the options ask for. */
#ifndef WAYBILL_PERF_CLIENT_H
#define WAYBILL_PERF_CLIENT_H

#include "perf/options.h"

/* Connects, with --local to a server that it starts, and measures and reports step by step; a
 * process that --processes has started tells its parent instead. Returns the exit status; failures
 * have said a line. */
int client_run(const struct options *options);

#endif
