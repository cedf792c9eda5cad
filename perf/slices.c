#include "perf/slices.h"

#include <stdlib.h>

#include "perf/common_say.h"
#include "perf/series.h"

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

struct ratio slices_ratio(const struct slices *slices, bool near)
{
    struct ratio ratio = {0};
    struct series all = {0};
    for (size_t i = 1; i < slices->used; i += 2) {
        double one = slices->slice[i].near == near ? ratio_at(slices, i) : 0.0;
        if (one > 0 && series_add(&all, one) != 0) {
            break;
        }
    }
    series_sum_up(&all, &ratio.p50, &ratio.min);
    ratio.max = all.used > 0 ? all.value[all.used - 1] : 0.0;
    series_drop(&all);
    return ratio;
}
