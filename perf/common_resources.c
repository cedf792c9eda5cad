#include "perf/common_resources.h"

#include <inttypes.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_say.h"

uint64_t memory_available(void)
{
    uint64_t available = UINT64_MAX;
    char line[160];
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        return available;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t kib = 0;
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1) {
            available = kib * 1024;
            break;
        }
    }
    fclose(file);
    return available;
}

bool memory_suffices(uint64_t count, uint64_t bytes)
{
    uint64_t product;
    return !__builtin_mul_overflow(count, bytes, &product) && product <= memory_available();
}

static bool allowed(cpu_set_t *set)
{
    return sched_getaffinity(0, sizeof *set, set) == 0;
}

int cpus_allowed(void)
{
    cpu_set_t set;
    return allowed(&set) ? CPU_COUNT(&set) : 1;
}

int cpu_allowed_at(int index)
{
    cpu_set_t set;
    if (!allowed(&set)) {
        return -1;
    }
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &set) && index-- == 0) {
            return (int)cpu;
        }
    }
    return -1;
}

int cpu_bind(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (cpu >= CPU_SETSIZE || sched_setaffinity(0, sizeof set, &set) != 0) {
        return say(EXIT_FAILURE,
                   "--cpu %d: this process may not run there (it has %d CPUs, the first is %d)",
                   cpu, cpus_allowed(), cpu_allowed_at(0));
    }
    return 0;
}
