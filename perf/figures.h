/* What was measured: sums over timed bursts, from which every number of a report follows. */
#ifndef WAYBILL_PERF_FIGURES_H
#define WAYBILL_PERF_FIGURES_H

#include <stdint.h>

#include "perf/histogram.h"
#include "perf/ticks.h"

/* All zero is nothing. */
struct figures {
    struct histogram rtt;  /* of each call, in ticks */
    struct histogram pace; /* of each burst: its ticks divided by its calls */
    uint64_t calls;        /* or round trips, or copies */
    uint64_t bytes;        /* of payload */
    uint64_t ticks;        /* that they took */
};

/* Counts a burst, if there was a call in it; its calls are in rtt already. */
static inline void figures_add_burst(struct figures *f, uint64_t calls, uint64_t bytes,
                                     uint64_t ticks)
{
    if (calls == 0) {
        return;
    }
    histogram_add(&f->pace, ticks / calls, 1);
    f->calls += calls;
    f->bytes += bytes;
    f->ticks += ticks;
}

static inline void figures_merge(struct figures *into, const struct figures *from)
{
    histogram_merge(&into->rtt, &from->rtt);
    histogram_merge(&into->pace, &from->pace);
    into->calls += from->calls;
    into->bytes += from->bytes;
    into->ticks += from->ticks;
}

/* 10^6 bytes a second; 0 where nothing was measured. */
static inline double figures_mb_per_s(const struct figures *f)
{
    return f->ticks == 0 ? 0.0 : (double)f->bytes / ticks_to_us((double)f->ticks);
}

static inline double figures_calls_per_s(const struct figures *f)
{
    return f->ticks == 0 ? 0.0 : (double)f->calls * 1e6 / ticks_to_us((double)f->ticks);
}

/* The time of a call in the median burst, in microseconds: what an interruption does not change. */
static inline double figures_pace(const struct figures *f)
{
    return ticks_to_us(histogram_quantile(&f->pace, 0.5, 1));
}

/* Microseconds. */
static inline double figures_rtt(const struct figures *f, double fraction)
{
    return ticks_to_us(histogram_quantile(&f->rtt, fraction, ticks_grain()));
}

#endif
