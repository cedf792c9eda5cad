/* What both sides of wb_perf do before they begin. */
#ifndef WAYBILL_PERF_SETUP_H
#define WAYBILL_PERF_SETUP_H

#include <waybill/engine.h>

#include "perf/caller.h"
#include "perf/options.h"

/* The window of a size that comes first: the one that is given, or the default. */
uint32_t first_window(const struct options *options, size_t size);

/* A step of the sweep: of each size, each window. */
struct step {
    size_t size; /* 0: there is none any more */
    uint32_t window;
};

struct step first_step(const struct options *options);
struct step next_step(const struct options *options, struct step step);

/* What is called at one step of the sweep. The trace is borrowed from the options. */
struct calls_wanted wanted_calls(const struct options *options, size_t size, uint32_t window);

/* Bytes that one side needs at most for the sizes and windows asked for: payloads, archives and
 * landings; of many clients, the server. */
uint64_t memory_needed(const struct options *options);

/*
 * Binds this side (0 the caller, 1 the server) as --cpu says, or the sides of --local to the first
 * two CPUs, if there are two and the caller has one thread; then creates an engine whose budget and
 * limits fit the options. Returns 0, or EXIT_FAILURE with a line said.
 */
int setup_side(const struct options *options, int side, struct wb_engine **engine);

/* Connects, and waits until that is done. Returns 0, or EXIT_FAILURE with a line said; *peer is the
 * caller's to close even then, where it is not NULL. */
int setup_peer(struct wb_engine *engine, const char *url, struct wb_peer **peer);

#endif
