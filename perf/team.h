/*
 * The client's threads: each has a caller of its own, and they burst together. Thread 0 is the one
 * that calls.
 *
 *   everyone: write payloads | barrier | burst | barrier
 *
 * so that a burst of the team lasts from the first thread's start to the last one's end.
 */
#ifndef WAYBILL_PERF_TEAM_H
#define WAYBILL_PERF_TEAM_H

#include <stdint.h>

#include "perf/caller.h"
#include "perf/figures.h"

struct team;

/* Sets up `threads` callers for bursts of up to `burst` calls each, and starts the threads. Returns
 * WB_OK, WB_ERR_NO_MEMORY, WB_ERR_SYSTEM, or as caller_open; sets *team on success only. */
int team_open(struct team **team, struct wb_engine *engine, struct wb_peer *const *peers,
              const struct calls_wanted *wanted, uint32_t burst, uint32_t threads);
/* Ends the threads. Accepts NULL. */
void team_close(struct team *team);

/* From the next burst on, only calls that end in this span count. */
void team_set_span(struct team *team, struct span span);

/* The caller of thread 0. */
struct caller *team_caller(struct team *team);

/* One burst of `calls` calls a thread, added to *figures without the time that the peer took to
 * check. Returns WB_OK, or how the first call that failed did; *words (borrowed from the team) then
 * says it. */
int team_burst(struct team *team, uint32_t calls, struct figures *figures, const char **words);

#endif
