/* What both sides serve: the actions that take a payload, and checking it. */
#ifndef WAYBILL_PERF_SERVICE_H
#define WAYBILL_PERF_SERVICE_H

#include <stdint.h>
#include <waybill/engine.h>

/* One to an engine; its handlers run on the one thread that makes progress while others' calls are
 * served. */
struct service {
    uint64_t served;      /* calls taken with nothing wrong */
    uint64_t check_ticks; /* spent on checking payloads */
    uint64_t mismatches;  /* calls whose payload was wrong */
};

/* Registers the actions; `service` is borrowed for the life of the engine. Errors: as
 * wb_action_register. */
int service_register(struct service *service, struct wb_engine *engine);

#endif
