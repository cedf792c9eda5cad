/* What both sides serve: the actions that take a payload, and checking it. */
#ifndef WAYBILL_PERF_SERVICE_H
#define WAYBILL_PERF_SERVICE_H

#include <stdint.h>
#include <waybill/engine.h>
#include <waybill/memory.h>

/* One to an engine; its handlers run on the one thread that makes progress while others' calls are
 * served. */
struct service {
    struct wb_engine *engine; /* borrowed */
    uint64_t served;          /* calls taken with nothing wrong */
    uint64_t check_ticks;     /* spent on checking payloads */
    uint64_t mismatches;      /* calls whose payload was wrong */

    /* What is sent back: all, or the first bytes, of one that is as long as the longest asked for
     * yet. */
    wb_buffer reply;
    wb_rma_vector reply_vector;
};

/* Registers the actions; `service` is borrowed for the life of the engine. Errors: as
 * wb_action_register. */
int service_register(struct service *service, struct wb_engine *engine);

/* Before the engine is destroyed. Accepts all zero. */
void service_close(struct service *service);

#endif
