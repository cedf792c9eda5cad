/* What the machine has: memory, and CPUs to run on. */
#ifndef WAYBILL_PERF_COMMON_RESOURCES_H
#define WAYBILL_PERF_COMMON_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that can be had without swapping; UINT64_MAX if the system does not say. */
uint64_t memory_available(void);

/* Whether `count` times `bytes` are available. */
bool memory_suffices(uint64_t count, uint64_t bytes);

/* CPUs that this process may run on. */
int cpus_allowed(void);

/* The CPU that comes `index`th (from 0) among those, or -1 past the last. */
int cpu_allowed_at(int index);

/* Binds this thread, and those that it will start, to a CPU. Returns 0, or EXIT_FAILURE with a line
 * said. */
int cpu_bind(int cpu);

#endif
