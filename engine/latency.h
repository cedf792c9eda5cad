/*
 * How long calls and handlers take, counted per lane in log-linear buckets, where config.latency
 * asks for it: nobody else pays for looking at the clock. The lane thread counts, anybody reads.
 */
#ifndef WBI_ENGINE_LATENCY_H
#define WBI_ENGINE_LATENCY_H

#include <waybill/watch.h>

#include "engine/call.h"
#include "engine/count.h"

struct wbi_lane;

struct wbi_histogram {
    wbi_counter sum_ns, min_ns, max_ns; /* min: UINT64_MAX while nothing was counted */
    wbi_counter buckets[WB_LATENCY_BUCKETS];
};

struct wbi_latency {
    struct wbi_histogram kinds[WB_LATENCY_KINDS];
    uint64_t begun_ns[]; /* by the calls' indices; whoever owns the call writes it */
};

/* Makes *latency, for so many calls; NULL ends none. WB_ERR_NO_MEMORY with words. */
int wbi_latency_open(uint32_t calls, struct wbi_latency **latency);
void wbi_latency_close(struct wbi_latency *latency);

/* Whoever owns the call: it begins. Lane thread: it ends; a handler that began then has returned.
 */
void wbi_latency_begin(struct wbi_latency *latency, const struct wb_call *call)
    __attribute__((cold));
void wbi_latency_end(struct wbi_latency *latency, const struct wb_call *call) __attribute__((cold));
void wbi_latency_handled(struct wbi_latency *latency, uint64_t begun_ns);

#endif
