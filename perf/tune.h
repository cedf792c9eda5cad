/* wb_perf tune: where on this machine one way of a payload overtakes another, as the thresholds of
 * struct wb_engine_config that say so. */
#ifndef WAYBILL_PERF_TUNE_H
#define WAYBILL_PERF_TUNE_H

#include <stddef.h>
#include <stdint.h>
#include <waybill/engine.h>

#include "perf/options.h"

struct tune_options {
    char fabric[FABRIC_ROOM];
    const char *devices; /* RDMA devices with commas between, or NULL: all; borrowed */
    double seconds;      /* for each size of each threshold */
    enum format format;  /* text or json */
    int parent_fd;       /* of a process that the tuner has started, which serves; or NO_FD */
};

/* Reads the words behind "tune" (argv[0] is the program). As options_parse. */
int tune_options_parse(struct tune_options *options, int argc, char **argv);

extern const char *const tune_help[];

/* One way against another for one size. The medians are of all slices, the ratio of neighbouring
 * ones. */
struct tune_row {
    size_t size; /* bytes of payload */
    double below_us,
        above_us;  /* a call's whole time the way it goes below the threshold, and above */
    double ratio;  /* above over below; less than 1 where the way above is faster */
    size_t slices; /* of each */
};

enum { TUNE_ROWS_MAX = 16 };

/* A threshold and what was seen of it, the least size first. */
struct tune_race {
    const char *field; /* of struct wb_engine_config */
    struct tune_row row[TUNE_ROWS_MAX];
    size_t rows;
};

/* The row from which on the way above is to be taken, so that the product of all the times is
 * least: one row that was disturbed does not decide. race->rows: never. */
size_t tune_choose(const struct tune_race *race);

/* The subcommand, whole; returns the exit status. */
int tune_main(int argc, char **argv);

#endif
