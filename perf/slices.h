/* The slices of a comparison, and the ratio that follows from them. */
#ifndef WAYBILL_PERF_SLICES_H
#define WAYBILL_PERF_SLICES_H

#include <stdbool.h>
#include <stddef.h>

#include "perf/measure.h"

struct slice {
    double value; /* what is compared; see compared_of */
    bool near;
};

/* Invariant: slices of even index are the baseline's, those of odd index ours. All zero: none. */
struct slices {
    struct slice *slice;
    size_t used, room;
};

/* Returns 0, or EXIT_FAILURE with a line said. */
int slices_add(struct slices *slices, double value, bool near);
void slices_drop(struct slices *slices);

/* Over our slices that are near (or far): the median, least and largest of each one's value divided
 * by the mean of the neighbouring baseline slices of the same kind. A slice without such a
 * neighbour does not count. */
struct ratio slices_ratio(const struct slices *slices, bool near);

#endif
