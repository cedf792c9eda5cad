#include "perf/ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

bool ticks_from_counter;
static double ns_per_tick = 1.0;

enum { CALIBRATION_NS = 5 * 1000 * 1000 };

/* Whether the counter's rate is constant in every power state ("invariant TSC"). */
static bool counter_is_even(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
#else
    return false;
#endif
}

void ticks_start(void)
{
    ticks_from_counter = counter_is_even();
    if (!ticks_from_counter) {
        return;
    }
    uint64_t start_ns = clock_ns();
    uint64_t start = ticks_now();
    uint64_t end_ns, end;
    do {
        end_ns = clock_ns();
        end = ticks_now();
    } while (end_ns - start_ns < CALIBRATION_NS);
    ns_per_tick = (double)(end_ns - start_ns) / (double)(end - start);
}

double ticks_to_us(double ticks)
{
    return ticks * ns_per_tick / 1000.0;
}

uint64_t ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)((double)ticks * ns_per_tick);
}

uint64_t ticks_from_ns(uint64_t ns)
{
    return (uint64_t)((double)ns / ns_per_tick);
}
