/* Polling that is kind to whoever shares the CPU. */
#ifndef WAYBILL_PERF_RELAX_H
#define WAYBILL_PERF_RELAX_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum { RELAX_TURNS = 4096 }; /* a power of two; some ten microseconds and more of polling */

/* Tells the processor that this thread is polling. */
static inline void relax_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* To be called after a fruitless look, with the number of such looks. Now and then it lets another
 * process run; then it returns true, and the caller may do what a loop does rarely. */
static inline bool relax(uint32_t turn)
{
    if ((turn & (RELAX_TURNS - 1)) == 0) {
        sched_yield();
        return true;
    }
    relax_pause();
    return false;
}

#endif
