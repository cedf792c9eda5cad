/* wb_perf reg: what registering memory costs, and how often it must be used to pay. */
#ifndef WAYBILL_PERF_REG_H
#define WAYBILL_PERF_REG_H

#include <stddef.h>
#include <stdint.h>

#include "perf/options.h"

struct reg_options {
    size_t size_min, size_max; /* bytes */
    double seconds;            /* for each size */
    const char *device;        /* or NULL: the first; borrowed */
    enum format format;        /* text or json */
};

/* Of one size, in microseconds: the median, and the least. */
struct reg_result {
    size_t size;
    double register_us, register_min_us; /* registering touched memory, and taking that back */
    double copy_us, copy_min_us;         /* memcpy into registered memory */
    uint64_t pays_from; /* uses from which registering once costs no more than that many copies */
    size_t samples;
};

/* Reads the words behind "reg" (argv[0] is the program). As options_parse. */
enum parsed reg_options_parse(struct reg_options *options, int argc, char **argv);

extern const char reg_help[];

/* The subcommand, whole; returns the exit status. */
int reg_main(int argc, char **argv);

#endif
