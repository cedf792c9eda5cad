/* The command line of wb_sim. */
#ifndef WAYBILL_TESTS_WB_SIM_COMMAND_H
#define WAYBILL_TESTS_WB_SIM_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/wb_sim/play.h"

struct command {
    const char *program; /* as it was called */
    struct play_options play;
    uint64_t seed, seeds; /* the first, and how many */
    uint64_t time_s;      /* 0: as many seeds as were asked for; else as many as there is time */
    unsigned jobs;        /* processes */
    unsigned trace;       /* events that a failure prints */
    bool summary, hash;
};

/* Reads argv into *command. 0; or what the program exits with: it has printed why. */
int command_read(int argc, char **argv, struct command *command, bool *done);

/* The command line that runs one seed as this one does. */
void command_print(const struct command *command, uint64_t seed, FILE *out);

#endif
