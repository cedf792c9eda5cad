/* The listening side: serves every test until it is told to end. */
#ifndef WAYBILL_PERF_SERVER_H
#define WAYBILL_PERF_SERVER_H

#include "perf/options.h"

/* Returns the exit status; failures have said a line. Ends by SIGINT or SIGTERM, or, as a child of
 * --local, when its parent lets it. */
int server_run(const struct options *options);

#endif
