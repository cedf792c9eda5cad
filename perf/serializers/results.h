/* Prints what a race found. */
#ifndef WAYBILL_PERF_SERIALIZERS_RESULTS_H
#define WAYBILL_PERF_SERIALIZERS_RESULTS_H

#include <stdio.h>

#include "perf/serializers/race.h"

enum format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON, FORMATS };

/* The case's name in options and in what is printed. */
const char *case_name(enum serial_case which);

void results_print(FILE *out, const struct race *race, enum format format);

#endif
