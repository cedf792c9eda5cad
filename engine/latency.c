#include "engine/latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/clock.h"
#include "engine/engine.h"

enum { HALF = 1 << WB_LATENCY_BITS }; /* buckets to a power of two */

/* Values below 2 * HALF have a bucket of their own; above, their first bits name it. After Gil
 * Tene's HdrHistogram. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned width = 64U - (unsigned)__builtin_clzll(ns | 1U);
    unsigned shift = width > WB_LATENCY_BITS + 1 ? width - WB_LATENCY_BITS - 1 : 0;
    unsigned bucket = (shift << WB_LATENCY_BITS) + (unsigned)(ns >> shift);
    return bucket < WB_LATENCY_BUCKETS ? bucket : WB_LATENCY_BUCKETS - 1;
}

/* The value in the middle of a bucket. */
static uint64_t middle_of(unsigned bucket)
{
    unsigned shift = bucket < 2 * HALF ? 0 : (bucket >> WB_LATENCY_BITS) - 1;
    uint64_t low = (uint64_t)(bucket - (shift << WB_LATENCY_BITS)) << shift;
    return low + (((uint64_t)1 << shift) - 1) / 2;
}

/* ---- counting ---- */

int wbi_latency_open(uint32_t calls, struct wbi_latency **out)
{
    struct wbi_latency *latency =
        calloc(1, sizeof *latency + (size_t)calls * sizeof latency->begun_ns[0]);
    if (latency == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for latencies; config.latency asks for them");
    }
    for (unsigned i = 0; i < WB_LATENCY_KINDS; i++) {
        atomic_init(&latency->kinds[i].min_ns, UINT64_MAX);
    }
    *out = latency;
    return WB_OK;
}

void wbi_latency_close(struct wbi_latency *latency)
{
    free(latency);
}

static void count(struct wbi_histogram *histogram, uint64_t begun_ns)
{
    uint64_t ns = wbi_now_ns() - begun_ns;
    if (ns < wbi_counted(&histogram->min_ns)) {
        atomic_store_explicit(&histogram->min_ns, ns, memory_order_relaxed);
    }
    if (ns > wbi_counted(&histogram->max_ns)) {
        atomic_store_explicit(&histogram->max_ns, ns, memory_order_relaxed);
    }
    wbi_count(&histogram->sum_ns, ns);
    wbi_count(&histogram->buckets[bucket_of(ns)], 1);
}

void wbi_latency_begin(struct wbi_latency *latency, const struct wb_call *call)
{
    latency->begun_ns[call->index] = wbi_now_ns();
}

void wbi_latency_end(struct wbi_latency *latency, const struct wb_call *call)
{
    if (!call->one_way) { /* which has no answer to wait for */
        count(&latency->kinds[WB_LATENCY_CALLS], latency->begun_ns[call->index]);
    }
}

void wbi_latency_handled(struct wbi_latency *latency, uint64_t begun_ns)
{
    count(&latency->kinds[WB_LATENCY_HANDLERS], begun_ns);
}

/* ---- reading ---- */

static void add(struct wb_latency *sum, const struct wbi_histogram *histogram)
{
    uint64_t min_ns = wbi_counted(&histogram->min_ns), max_ns = wbi_counted(&histogram->max_ns);
    sum->min_ns = min_ns < sum->min_ns ? min_ns : sum->min_ns;
    sum->max_ns = max_ns > sum->max_ns ? max_ns : sum->max_ns;
    sum->sum_ns += wbi_counted(&histogram->sum_ns);
    for (unsigned i = 0; i < WB_LATENCY_BUCKETS; i++) {
        uint64_t times = wbi_counted(&histogram->buckets[i]);
        sum->buckets[i] += times;
        sum->count += times;
    }
}

int wb_engine_latency(struct wb_engine *engine, enum wb_latency_kind kind,
                      struct wb_latency *latency)
{
    if (!engine->config.latency || (unsigned)kind >= WB_LATENCY_KINDS) {
        return wbi_error(WB_ERR_INVALID, "latencies are counted where config.latency is set, of "
                                         "calls and of handlers");
    }
    *latency = (struct wb_latency){.min_ns = UINT64_MAX};
    for (unsigned i = 0; i < engine->lane_count; i++) {
        add(latency, &engine->lanes[i]->latency->kinds[kind]);
    }
    latency->min_ns = latency->count > 0 ? latency->min_ns : 0;
    return WB_OK;
}

uint64_t wb_latency_percentile(const struct wb_latency *latency, double percent)
{
    double wanted = percent / 100 * (double)latency->count;
    double below = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < WB_LATENCY_BUCKETS && (below < wanted || below <= 0); i++) {
        below += (double)latency->buckets[i];
        last = i;
    }
    uint64_t ns = last < WB_LATENCY_BUCKETS - 1 ? middle_of(last) : latency->max_ns;
    ns = ns < latency->max_ns ? ns : latency->max_ns;
    return ns > latency->min_ns ? ns : latency->min_ns;
}

int wb_latency_text(const struct wb_latency *latency, char *text, size_t size)
{
    uint64_t mean_ns = latency->count > 0 ? latency->sum_ns / latency->count : 0;
    return snprintf(text, size,
                    "count %" PRIu64 " times\nmean %" PRIu64 " ns\nmin %" PRIu64 " ns\np50 %" PRIu64
                    " ns\np90 %" PRIu64 " ns\np99 %" PRIu64 " ns\np99.9 %" PRIu64
                    " ns\nmax %" PRIu64 " ns\n",
                    latency->count, mean_ns, latency->min_ns, wb_latency_percentile(latency, 50),
                    wb_latency_percentile(latency, 90), wb_latency_percentile(latency, 99),
                    wb_latency_percentile(latency, 99.9), latency->max_ns);
}
