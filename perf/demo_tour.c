/* All paths over one fabric, and the table of what they cost. */
#include <stdio.h>
#include <stdlib.h>

#include "perf/common_say.h"
#include "perf/demo.h"

enum { PATH_MS = 4000, CALL_MS = 2000, TRIAL_DOUBLES = 1 << 17 };

typedef int demo_step(struct demo *demo, enum demo_path path, struct demo_cost *cost);

bool demo_count(const struct demo *demo, struct demo_cost *cost, unsigned done, double took_ms,
                double handler_ms)
{
    if (done == 0) {
        cost->first_ms = took_ms;
        return false;
    }
    cost->best_ms = done == 1 || took_ms < cost->best_ms ? took_ms : cost->best_ms;
    cost->mean_ms += (took_ms - cost->mean_ms) / done;
    cost->handler_ms += (handler_ms - cost->handler_ms) / done;
    if (done < cost->calls && demo->may_skip && cost->mean_ms * done > PATH_MS) {
        cost->calls = done;
    }
    return done == cost->calls;
}

/* Halves the field until a call with it takes no more than some seconds, by a trial with a small
 * one. */
static int fit_field(struct demo *demo, const char *fabric)
{
    struct demo trial = *demo;
    struct demo_cost cost;
    size_t asked = demo->doubles;
    if (!demo->may_shrink || asked <= TRIAL_DOUBLES) {
        return 0;
    }
    trial.doubles = TRIAL_DOUBLES;
    trial.field_calls = 2;
    if (demo_field(&trial, DEMO_RMA, &cost) != 0) {
        return EXIT_FAILURE;
    }
    while (demo->doubles > TRIAL_DOUBLES &&
           cost.best_ms * (double)demo->doubles / TRIAL_DOUBLES > CALL_MS) {
        demo->doubles /= 2;
    }
    if (demo->doubles < asked) {
        printf("%s moves %.0f MB/s here: a field of %.1f MiB instead of %.1f (--doubles says "
               "otherwise)\n",
               fabric, cost.moved_bytes / cost.best_ms / 1e3,
               (double)demo->doubles * sizeof(double) / 1048576.0,
               (double)asked * sizeof(double) / 1048576.0);
        fflush(stdout);
    }
    return 0;
}

static int go(struct demo *demo, const char *fabric, const char *name, demo_step *step,
              unsigned calls, struct demo_cost costs[DEMO_PATHS])
{
    for (enum demo_path path = 0; path < DEMO_PATHS; path++) {
        if (step(demo, path, &costs[path]) != 0) {
            return EXIT_FAILURE;
        }
        printf("%s, %s, %s path: %u calls, every result checked%s\n", fabric, name,
               demo_path_name(path), costs[path].calls + 1,
               costs[path].calls < calls ? " (calls are slow here; --calls says otherwise)" : "");
        fflush(stdout);
    }
    return 0;
}

int demo_go(struct demo *demo, const char *fabric, struct demo_tour *tour)
{
    size_t doubles = demo->doubles;
    tour->fabric = fabric;
    int wrong = fit_field(demo, fabric);
    if (wrong == 0) {
        wrong = go(demo, fabric, "field", demo_field, demo->field_calls, tour->field);
    }
    if (wrong == 0) {
        wrong = go(demo, fabric, "record", demo_record, demo->record_calls, tour->record);
    }
    demo->doubles = doubles;
    return wrong;
}

static void print_cost(const char *fabric, const char *what, enum demo_path path,
                       const struct demo_cost *cost)
{
    double way_ms = cost->mean_ms - cost->handler_ms;
    printf("  %-8s%-8s%-10s%8u%10.2f%12.3f%12.3f%12.3f%12.3f%10.3f\n", fabric, what,
           demo_path_name(path), cost->calls, cost->moved_bytes / 1048576.0, cost->first_ms,
           cost->best_ms, cost->mean_ms, cost->handler_ms,
           way_ms > 0 ? cost->moved_bytes / way_ms / 1e6 : 0.0);
}

void demo_print(const struct demo_tour *tours, unsigned count)
{
    printf("\nWhat each path cost. MiB is what a call moves (the field's there and back), and GB/s "
           "counts it in\n"
           "the mean time of a call, without the handler's arithmetic. The first call, which maps "
           "memory, stands\n"
           "apart.\n\n"
           "  %-8s%-8s%-10s%8s%10s%12s%12s%12s%12s%10s\n",
           "fabric", "what", "path", "calls", "MiB", "first ms", "best ms", "mean ms", "handler ms",
           "GB/s");
    for (unsigned i = 0; i < count; i++) {
        for (enum demo_path path = 0; path < DEMO_PATHS; path++) {
            print_cost(tours[i].fabric, "field", path, &tours[i].field[path]);
        }
        for (enum demo_path path = 0; path < DEMO_PATHS; path++) {
            print_cost(tours[i].fabric, "record", path, &tours[i].record[path]);
        }
    }
}
