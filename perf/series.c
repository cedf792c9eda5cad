#include "perf/series.h"

#include <stdlib.h>

#include "perf/common_say.h"

int series_add(struct series *series, double value)
{
    if (series->used == series->room) {
        size_t room = series->room == 0 ? 256 : 2 * series->room;
        double *grown = realloc(series->value, room * sizeof *grown);
        if (grown == NULL) {
            return say(EXIT_FAILURE, "no memory for %zu figures", room);
        }
        series->value = grown;
        series->room = room;
    }
    series->value[series->used++] = value;
    return 0;
}

void series_drop(struct series *series)
{
    free(series->value);
    *series = (struct series){0};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void series_sum_up(struct series *series, double *median, double *least)
{
    size_t count = series->used;
    *median = *least = 0.0;
    if (count > 0) {
        double *value = series->value;
        qsort(value, count, sizeof *value, by_value);
        *least = value[0];
        *median = count % 2 != 0 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
    }
}
