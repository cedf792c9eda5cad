#include "perf/alloc_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <waybill/version.h>

static void json_absent(const struct bench *bench, enum allocator allocator)
{
    printf("{\"allocator\":\"%s\",\"case\":null,\"size\":null,\"threads\":%u,\"ns_per_op\":null,"
           "\"ns_min\":null,\"ratio\":null,\"ratio_min\":null,\"slices\":0,\"absent\":\"%s\"}\n",
           allocator_name(allocator), bench->options->threads, bench->absent[allocator]);
}

void alloc_report_head(const struct bench *bench)
{
    bool json = bench->options->format == FORMAT_JSON;
    if (!json) {
        printf("# Waybill %s: wb_perf alloc, threads %u\n", wb_version(), bench->options->threads);
    }
    for (enum allocator i = 0; i < ALLOCATORS; i++) {
        if (bench->absent[i][0] != '\0' && json) {
            json_absent(bench, i);
        } else if (bench->absent[i][0] != '\0') {
            printf("# without %s: %s\n", allocator_name(i), bench->absent[i]);
        }
    }
    if (!json) {
        printf("# %-8s%-10s%10s%14s%14s%10s%10s%9s\n", "Case", "Allocator", "Size (B)", "ns/op",
               "Min ns", "Ratio", "min", "Slices");
    }
}

static void json_result(const struct alloc_options *o, const struct alloc_result *r)
{
    printf("{\"allocator\":\"%s\",\"case\":\"%s\",\"size\":", allocator_name(r->allocator),
           alloc_case_name(r->which));
    if (r->size > 0) {
        printf("%zu", r->size);
    } else {
        printf("null");
    }
    printf(",\"threads\":%u,\"ns_per_op\":%.2f,\"ns_min\":%.2f,", o->threads, r->ns, r->ns_min);
    if (r->ratio > 0) {
        printf("\"ratio\":%.4f,\"ratio_min\":%.4f", r->ratio, r->ratio_min);
    } else {
        printf("\"ratio\":null,\"ratio_min\":null");
    }
    printf(",\"slices\":%" PRIu64 "}\n", r->slices);
}

static void text_result(const struct alloc_result *r)
{
    char size[24] = "64:64K";
    if (r->size > 0) {
        snprintf(size, sizeof size, "%zu", r->size);
    }
    printf("%-10s%-10s%10s%14.2f%14.2f", alloc_case_name(r->which), allocator_name(r->allocator),
           size, r->ns, r->ns_min);
    if (r->ratio > 0) {
        printf("%10.3f%10.3f", r->ratio, r->ratio_min);
    } else {
        printf("%10s%10s", "-", "-");
    }
    printf("%9" PRIu64 "\n", r->slices);
}

void alloc_report_result(const struct alloc_options *options, const struct alloc_result *result)
{
    if (options->format == FORMAT_JSON) {
        json_result(options, result);
    } else {
        text_result(result);
    }
    fflush(stdout); /* the next lines may take long */
}

static double over(uint64_t pool, uint64_t live)
{
    return live > 0 ? (double)pool / (double)live : 0.0;
}

void alloc_report_churn(const struct alloc_options *options, const struct churn_result *r)
{
    double peak = over(r->pool_peak_bytes, r->live_peak_bytes);
    double end = over(r->pool_bytes, r->live_bytes);
    if (options->format == FORMAT_JSON) {
        printf("{\"allocator\":\"waybill\",\"case\":\"fragmentation\",\"budget_bytes\":%zu,"
               "\"seed\":%" PRIu64 ",\"fragmentation_peak\":%.4f,\"fragmentation_end\":%.4f,"
               "\"fragmentation_max\":%.4f,\"ops\":%" PRIu64 ",\"seconds\":%.3f,"
               "\"live_bytes\":%" PRIu64 ",\"live_peak_bytes\":%" PRIu64 ",\"pool_bytes\":%" PRIu64
               ",\"blocks\":%" PRIu64 ",\"refusals\":%" PRIu64 "}\n",
               options->budget, options->seed, peak, end, r->fragmentation_max, r->ops, r->seconds,
               r->live_bytes, r->live_peak_bytes, r->pool_bytes, r->blocks, r->refusals);
        return;
    }
    printf("# Waybill %s: wb_perf alloc --case fragmentation, budget %zu MiB, seed %" PRIu64 "\n",
           wb_version(), options->budget >> 20, options->seed);
    printf("# Registered over asked for: at the live peak, the most seen, and at the end\n");
    printf("# %-12s%10s%8s%8s%8s%12s%12s%8s%10s\n", "Ops", "Seconds", "Peak", "Max", "End",
           "Live MiB", "Pool MiB", "Blocks", "Refusals");
    printf("%-14" PRIu64 "%10.2f%8.3f%8.3f%8.3f%12.1f%12.1f%8" PRIu64 "%10" PRIu64 "\n", r->ops,
           r->seconds, peak, r->fragmentation_max, end, (double)r->live_bytes / 1048576.0,
           (double)r->pool_bytes / 1048576.0, r->blocks, r->refusals);
}
