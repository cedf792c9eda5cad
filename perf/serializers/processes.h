/* The same race in several processes, as code and data lie elsewhere in each. */
#ifndef WAYBILL_PERF_SERIALIZERS_PROCESSES_H
#define WAYBILL_PERF_SERIALIZERS_PROCESSES_H

#include "perf/serializers/race.h"

/* In a child: writes the figures of all rows to stdout. Returns 0 or EXIT_FAILURE with a line. */
int processes_answer(const struct race *race);

/* Runs this program `count` times, one after another, with `arguments` (NULL-terminated, the name
 * first), which make it run the same race and call processes_answer. Fills in the medians of their
 * figures. Returns 0, or EXIT_FAILURE with a line said. */
int processes_run(struct race *race, size_t count, char *const *arguments);

#endif
