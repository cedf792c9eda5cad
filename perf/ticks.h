/*
 * The benchmark's clock: the processor's own counter where it runs evenly, CLOCK_MONOTONIC
 * otherwise. A reading costs some 10 ns, so a call can be timed without being slowed. All processes
 * of a machine read the same ticks.
 */
#ifndef WAYBILL_PERF_TICKS_H
#define WAYBILL_PERF_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "perf/common_clock.h"

extern bool ticks_from_counter; /* set once by ticks_start */

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    if (ticks_from_counter) {
        return __rdtsc();
    }
#endif
    return clock_ns();
}

/* Finds out which counter to use and how long its tick is; takes some milliseconds. Once, before
 * other threads. */
void ticks_start(void);

/* The step of the counter, in ticks: on some machines it is read in steps of 10 ns. */
uint64_t ticks_grain(void);

double ticks_to_us(double ticks);
uint64_t ticks_to_ns(uint64_t ticks);
uint64_t ticks_from_ns(uint64_t ns);

#endif
