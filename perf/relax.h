/* Polling that is kind to whoever shares the CPU: another process, or the kernel's own threads,
 * which software devices need and which a thread that only polls keeps waiting for milliseconds. */
#ifndef WAYBILL_PERF_RELAX_H
#define WAYBILL_PERF_RELAX_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "perf/common_clock.h"

/* Looks between two readings of the clock, how long to poll before others may run, and how often
 * that happens until the caller does what it does rarely. */
enum { RELAX_LOOKS = 32, RELAX_NS = 20000, RELAX_YIELDS = 64 };

/* How a fruitless wait stands; all zero is one that begins. */
struct relax {
    uint32_t looks, yields;
    uint64_t since; /* when others could last run */
};

/* Tells the processor that this thread is polling. */
static inline void relax_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* To be called after a fruitless look. Now and then it lets others run; and now and then it returns
 * true, and the caller may do what a loop does rarely. */
static inline bool relax(struct relax *wait)
{
    relax_pause();
    if (++wait->looks % RELAX_LOOKS != 0) {
        return false;
    }
    uint64_t now = clock_ns();
    if (wait->since == 0) {
        wait->since = now;
    }
    if (now - wait->since < RELAX_NS) {
        return false;
    }
    sched_yield();
    wait->since = clock_ns();
    return ++wait->yields % RELAX_YIELDS == 0;
}

#endif
