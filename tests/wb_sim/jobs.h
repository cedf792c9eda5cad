/* Processes that share the seeds: each crash, hang and broken rule is one seed's. */
#ifndef WAYBILL_TESTS_WB_SIM_JOBS_H
#define WAYBILL_TESTS_WB_SIM_JOBS_H

#include <stdbool.h>

#include "tests/wb_sim/command.h"

/* Runs all seeds. Returns whether all of them were well; adds up what happened. */
bool jobs_run(const struct command *command, struct summary *summary);

#endif
