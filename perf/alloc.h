/* wb_perf alloc: what registered memory costs, beside malloc and beside registering by hand. */
#ifndef WAYBILL_PERF_ALLOC_H
#define WAYBILL_PERF_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/options.h"

/* Those from CASE_PAIR to CASE_VECTOR compare; without --case they all run. */
enum alloc_case {
    CASE_ALL,
    CASE_PAIR,
    CASE_BATCH,
    CASE_CROSS,
    CASE_MIXED,
    CASE_VECTOR,
    CASE_FRAGMENTATION,
    CASES
};

/* The contestants, in the order of a round. */
enum allocator { WAYBILL, GLIBC, MIMALLOC, REGISTER, MAPREG, ALLOCATORS };

/* Mixed sizes are log-uniform from MIXED_MIN, over so many octaves. */
enum { MIXED_MIN = 64, MIXED_OCTAVES = 10, CHURN_OCTAVES = 16 };

struct alloc_options {
    enum alloc_case which;
    size_t size_min, size_max; /* bytes; 0: each case's own */
    uint32_t threads;
    double seconds;     /* for each line of the report */
    size_t budget;      /* of the engine's pool, bytes */
    uint64_t ops;       /* of fragmentation */
    uint64_t seed;      /* never 0 */
    const char *device; /* that REGISTER and MAPREG use, or NULL: the first; borrowed */
    enum format format; /* text or json */
};

/* Reads the words behind "alloc" (argv[0] is the program). As options_parse. */
int alloc_options_parse(struct alloc_options *options, int argc, char **argv);

/* The first size of a case, and the one after `size`, or 0; a case without sizes has one, 0. */
size_t alloc_first_size(const struct alloc_options *options, enum alloc_case which);
size_t alloc_next_size(const struct alloc_options *options, enum alloc_case which, size_t size);

const char *alloc_case_name(enum alloc_case which);
const char *allocator_name(enum allocator allocator);

extern const char *const alloc_help[];

/* The subcommand, whole; returns the exit status. */
int alloc_main(int argc, char **argv);

#endif
