/*
 * Many client processes against one server: this program again, with --connect, for each. At each
 * step of a sweep
 *
 *   client: sets up, warms up | ready | await the span | calls without a pause until it is over |
 * tells parent:                     once all are ready: the span, which begins a little later
 *
 * so that all have the same span, and calls that end in it are counted. What a client writes its
 * payloads in is a part of it.
 */
#ifndef WAYBILL_PERF_CROWD_H
#define WAYBILL_PERF_CROWD_H

#include "perf/caller.h"
#include "perf/figures.h"
#include "perf/options.h"

/* The parent: starts all processes, and reports the sum of what they tell. Returns the exit status;
 * failures have said a line. */
int crowd_run(const struct options *options);

/* A client's, with the descriptor that --parent gave; each returns 0, or EXIT_FAILURE: the parent
 * is gone, which needs no words. */
int crowd_await_span(int link, struct span *span);
int crowd_tell(int link, const struct figures *figures);

#endif
