#include "perf/compared.h"

double compared_of(const struct options *o, bool ours, const struct figures *figures)
{
    if (o->vs == VS_ONE) {
        return figures_calls_per_s(figures); /* waiting for a CPU is part of it */
    }
    double pace = figures_pace(figures);
    bool by_trip = o->test == TEST_RATE && !ours && o->threads == 1;
    if (o->test == TEST_LAT || by_trip) {
        return figures_rtt(figures, 0.5);
    }
    if (o->test == TEST_RATE) {
        return pace;
    }
    return pace > 0 ? (double)figures->bytes / (double)figures->calls / pace : 0.0;
}
