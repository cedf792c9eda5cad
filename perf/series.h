/* Figures one after another, and what is in their middle. */
#ifndef WAYBILL_PERF_SERIES_H
#define WAYBILL_PERF_SERIES_H

#include <stddef.h>

/* All zero is empty; ends with series_drop. */
struct series {
    double *value;
    size_t used, room;
};

/* Returns 0, or EXIT_FAILURE with a line said. */
int series_add(struct series *series, double value);
void series_drop(struct series *series);

/* Sorts, and sets *median and *least; both are 0 where nothing is. */
void series_sum_up(struct series *series, double *median, double *least);

#endif
