/*
 * Measures one size and window: bursts until the time or the calls are used up, and with --vs in
 * slices that alternate with the baseline's:
 *
 *   probe | baseline | probe | ours | probe | baseline | probe | ours | … | baseline | probe
 *
 * A slice is near if the probes right before and after it are; the CPUs may move at any time, so
 * slices are short. --vs raw and several threads have no probes, and all slices are near: what a
 * device takes does not hang on how near the cores are, and threads are nowhere in particular. The
 * threads are the same for ours and for the baseline, so that none polls beside them. With --vs one
 * each slice sets its team up, so that no thread polls which the slice does not measure.
 */
#ifndef WAYBILL_PERF_MEASURE_H
#define WAYBILL_PERF_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "perf/figures.h"
#include "perf/floor.h"
#include "perf/options.h"
#include "perf/raw.h"
#include "perf/service.h"

/* What the client has, borrowed from its main. */
struct session {
    const struct options *options;
    struct wb_engine *engine;
    struct wb_peer *const *peers; /* --peers of them */
    struct service *service;
    struct floor *floor; /* used with --vs floor and vmreadv */
    struct raw *raw;     /* used with --vs raw */
};

struct ratio {
    double p50, min, max; /* 0 where there is none */
};

/* What slices of one kind have given. */
struct side {
    struct figures ours, baseline;
    struct ratio ratio; /* of ours to the baseline's neighbouring slices; see compared.h */
    uint64_t slices;    /* of ours */
};

/* Without --vs all is in `near`. Large: not for the stack. */
struct result {
    size_t size;
    uint32_t window;
    struct side near, far;
};

/* Fills *result. Returns 0, or EXIT_FAILURE with a line said; then *result is of no use. */
int measure(const struct session *session, size_t size, uint32_t window, struct result *result);

#endif
