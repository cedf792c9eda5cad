/* wb_perf reg: what registering memory costs, and how often it must be used to pay. */
#ifndef WAYBILL_PERF_REG_H
#define WAYBILL_PERF_REG_H

#include <stdbool.h>
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
    bool pins;                           /* else the figures of pins are 0 */
    double pin_us, pin_min_us;           /* wb_mr_pin that registers, and its wb_mr_unpin */
    double found_us, found_min_us; /* both for memory that is pinned: what a use costs at most */

    /* Uses from which it pays, 0 for never: registering once against copying each time; pinning
     * once against copying, and against registering, each time. */
    uint64_t pays_from, pin_over_copy, pin_over_register;
    size_t samples;
};

/* Reads the words behind "reg" (argv[0] is the program). As options_parse. */
int reg_options_parse(struct reg_options *options, int argc, char **argv);

extern const char *const reg_help[];

/* The subcommand, whole; returns the exit status. */
int reg_main(int argc, char **argv);

#endif
