/* The parts of wb_demo: what a client has, and the steps that it goes through. */
#ifndef WAYBILL_PERF_DEMO_H
#define WAYBILL_PERF_DEMO_H

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
    unsigned field_calls, record_calls; /* for each path */
    struct record record;
};

const char *demo_path_name(enum demo_path path);

/* Creates an engine with a pool of at most `budget_bytes`, or the default where that is more. NULL
 * with a line said. */
struct wb_engine *demo_engine(uint64_t budget_bytes);

/* Shows how far a step is: rewrites the line on a terminal, and is silent elsewhere. */
void demo_progress(const char *step, enum demo_path path, unsigned done, unsigned of);

/* Call the field's and the record's action by a path, check each result whole, and fill *cost.
 * Return 0, or EXIT_FAILURE with a line said. */
int demo_field(struct demo *demo, enum demo_path path, struct demo_cost *cost);
int demo_record(struct demo *demo, enum demo_path path, struct demo_cost *cost);

#endif
