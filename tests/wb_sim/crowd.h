/* Many peers of one host: what each costs there. */
#ifndef WAYBILL_TESTS_WB_SIM_CROWD_H
#define WAYBILL_TESTS_WB_SIM_CROWD_H

#include <stdio.h>

#include "tests/wb_sim/play.h"

/* All hosts but the first connect to it, call it, half of them die. Prints a line for each stage;
 * a rule that is broken ends the program. */
void crowd_run(const struct play_options *options, uint64_t seed, FILE *out);

#endif
