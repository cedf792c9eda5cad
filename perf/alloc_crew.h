/* The threads of a case: they do each slice together. */
#ifndef WAYBILL_PERF_ALLOC_CREW_H
#define WAYBILL_PERF_ALLOC_CREW_H

#include "perf/alloc_bench.h"

struct crew;

/* Starts the threads for a case at a size; the calling thread is the first of them. Returns 0, or
 * EXIT_FAILURE with a line said; the caller ends *crew with crew_close. */
int crew_open(struct crew **crew, const struct bench *bench, enum alloc_case which, size_t size);
void crew_close(struct crew *crew);

/* One slice of a contestant that takes part in the case; sets *ns to the time of an op. Returns 0,
 * or EXIT_FAILURE with a line said. */
int crew_slice(struct crew *crew, enum allocator allocator, double *ns);

#endif
