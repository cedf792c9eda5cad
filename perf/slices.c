#include "perf/slices.h"

#include <stdlib.h>

#include "perf/common_say.h"

int slices_add(struct slices *slices, double value, bool near)
{
    if (slices->used == slices->room) {
        size_t room = slices->room == 0 ? 1024 : 2 * slices->room;
        struct slice *grown = realloc(slices->slice, room * sizeof *grown);
        if (grown == NULL) {
            return say(EXIT_FAILURE, "no memory for %zu slices", room);
        }
        slices->slice = grown;
        slices->room = room;
    }
    slices->slice[slices->used++] = (struct slice){.value = value, .near = near};
    return 0;
}

void slices_drop(struct slices *slices)
{
    free(slices->slice);
    *slices = (struct slices){0};
}

/* The ratio of our slice i to its neighbours, or 0 if none of them is of its kind. */
static double ratio_at(const struct slices *slices, size_t i)
{
    const struct slice *before = &slices->slice[i - 1], *ours = before + 1, *after = before + 2;
    double sum = 0.0;
    int count = 0;
    if (before->near == ours->near) {
        sum += before->value;
        count++;
    }
    if (i + 1 < slices->used && after->near == ours->near) {
        sum += after->value;
        count++;
    }
    return sum > 0 ? ours->value * count / sum : 0.0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct ratio slices_ratio(const struct slices *slices, bool near)
{
    struct ratio ratio = {0};
    double *all = calloc(slices->used / 2 + 1, sizeof *all);
    size_t count = 0;
    for (size_t i = 1; all != NULL && i < slices->used; i += 2) {
        double one = slices->slice[i].near == near ? ratio_at(slices, i) : 0.0;
        if (one > 0) {
            all[count++] = one;
        }
    }
    if (count > 0) {
        qsort(all, count, sizeof *all, by_value);
        ratio.min = all[0];
        ratio.max = all[count - 1];
        ratio.p50 = count % 2 != 0 ? all[count / 2] : (all[count / 2 - 1] + all[count / 2]) / 2;
    }
    free(all);
    return ratio;
}
