/* The parts of wb_demo: what a client has, and the steps that it goes through. */
#ifndef WAYBILL_PERF_DEMO_H
#define WAYBILL_PERF_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/engine.h>

#include "perf/demo_record_file.h"

enum demo_path { DEMO_COPY, DEMO_POINTER, DEMO_RMA, DEMO_PATHS };

/* What one path has cost. */
struct demo_cost {
    unsigned calls;  /* those that follow the first */
    double first_ms; /* of the first call, which maps and registers memory */
    double best_ms;  /* of the others, as mean_ms */
    double mean_ms;
    double handler_ms;  /* of mean_ms, in the server's own arithmetic */
    double moved_bytes; /* by a call, there and back */
};

struct demo {
    struct wb_engine *engine;
    struct wb_peer *peer;
    size_t doubles;
    unsigned field_calls, record_calls; /* for each path, after the first */
    bool may_shrink;                    /* the field, where it was not asked for */
    bool may_skip;                      /* calls, likewise */
    struct record record;
};

/* What all paths over one fabric have cost. */
struct demo_tour {
    const char *fabric;
    struct demo_cost field[DEMO_PATHS], record[DEMO_PATHS];
};

const char *demo_path_name(enum demo_path path);

/* Creates an engine with a pool of at most `budget_bytes`, or the default where that is more. NULL
 * with a line said. */
struct wb_engine *demo_engine(uint64_t budget_bytes);

/* Shows how far a step is: rewrites the line on a terminal, and is silent elsewhere. */
void demo_progress(const char *step, enum demo_path path, unsigned done, unsigned of);

/* Counts one more call in *cost, the first one apart. Returns whether it was the last: all that
 * were wanted are done, or, where nobody asked for a number, a few seconds are spent. cost->calls
 * are those that were wanted before the first call. */
bool demo_count(const struct demo *demo, struct demo_cost *cost, unsigned done, double took_ms,
                double handler_ms);

/* Call the field's and the record's action by a path, check each result whole, and fill *cost.
 * Return 0, or EXIT_FAILURE with a line said. */
int demo_field(struct demo *demo, enum demo_path path, struct demo_cost *cost);
int demo_record(struct demo *demo, enum demo_path path, struct demo_cost *cost);

/* Goes through all paths with demo->peer, on a field that a slow fabric carries in seconds, and
 * says so. Returns 0, or EXIT_FAILURE with a line said. */
int demo_go(struct demo *demo, const char *fabric, struct demo_tour *tour);

/* Prints the table of what `count` tours have cost. */
void demo_print(const struct demo_tour *tours, unsigned count);

#endif
