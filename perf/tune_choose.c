#include <math.h>

#include "perf/tune.h"

size_t tune_choose(const struct tune_race *race)
{
    size_t best = race->rows;
    double cost = 0.0, least = 0.0; /* logarithm of the product, against never */
    for (size_t i = race->rows; i-- > 0;) {
        cost += log(race->row[i].ratio);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}
