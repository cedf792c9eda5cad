#include "perf/ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

bool ticks_from_counter;
static double ns_per_tick = 1.0;
static uint64_t grain = 1;

enum { CALIBRATION_NS = 5 * 1000 * 1000, GRAIN_READINGS = 1000 };

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

/* The greatest common divisor of the differences between readings. */
static uint64_t find_grain(void)
{
    uint64_t divisor = 0, last = ticks_now();
    for (int i = 0; i < GRAIN_READINGS; i++) {
        uint64_t now = ticks_now(), rest = now - last;
        last = now;
        while (rest != 0) {
            uint64_t next = divisor % rest;
            divisor = rest;
            rest = next;
        }
    }
    return divisor == 0 ? 1 : divisor;
}

void ticks_start(void)
{
    ticks_from_counter = counter_is_even();
    grain = find_grain();
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

uint64_t ticks_grain(void)
{
    return grain;
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
