/*
 * The client's threads as callers: each has one of its own, and they burst together.
 *
 *   everyone: write payloads | all meet | burst | all meet
 *
 * so that a burst of the team lasts from the first thread's start to the last one's end.
 */
#ifndef WAYBILL_PERF_TEAM_H
#define WAYBILL_PERF_TEAM_H

#include <stdint.h>

#include "perf/caller.h"
#include "perf/figures.h"
#include "perf/hands.h"

struct team;

/* Sets up a caller for each of `hands` (borrowed), for bursts of up to `burst` calls each. Returns
 * WB_OK, WB_ERR_NO_MEMORY, or as caller_open; sets *team on success only. */
int team_open(struct team **team, struct hands *hands, struct wb_engine *engine,
              struct wb_peer *const *peers, const struct calls_wanted *wanted, uint32_t burst);
/* Accepts NULL. */
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
