#include "perf/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <waybill/version.h>

#include "perf/compared.h"

/* The quantiles of rtt_us, as every format names them. */
static const struct {
    const char *json, *text;
    double fraction;
} quantiles[] = {{"min", "Min", 0.0},
                 {"p50", "p50", 0.5},
                 {"p99", "p99", 0.99},
                 {"p999", "p99.9", 0.999},
                 {"max", "Max", 1.0}};

enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

/* The ends are exact; between them it is the buckets' middle. */
static double quantile_us(const struct figures *f, int i)
{
    if (f->rtt.total == 0) {
        return 0.0;
    }
    if (i == 0) {
        return ticks_to_us((double)f->rtt.min);
    }
    return i == QUANTILES - 1 ? ticks_to_us((double)f->rtt.max)
                              : figures_rtt(f, quantiles[i].fraction);
}

/* The slices that the main figures are of. */
static const struct side *main_side(const struct options *o, const struct result *result)
{
    return o->vs != VS_NONE && result->near.slices == 0 ? &result->far : &result->near;
}

static bool is_stream(const struct options *o)
{
    return o->test == TEST_BW || o->test == TEST_BIBW;
}

static const char *truth(bool is_so)
{
    return is_so ? "true" : "false";
}

/* ---- text ---- */

static const char *test_title(enum test test)
{
    switch (test) {
    case TEST_LAT:
        return "Latency: one call at a time, whole round trips";
    case TEST_BW:
        return "Bandwidth: payload one way, a window of calls in flight";
    case TEST_BIBW:
        return "Bidirectional bandwidth: both sides call at once";
    default:
        return "Rate: small calls, a window of them in flight";
    }
}

/* Above what the baseline has reached, by its name and unit. */
static const char *baseline_title(const struct options *o)
{
    static const char *const titles[][2] = {[VS_FLOOR] = {"Floor us", "Floor MB/s"},
                                            [VS_VMREADV] = {"vmreadv us", "vmreadv MB/s"},
                                            [VS_RAW] = {"Raw us", "Raw MB/s"},
                                            [VS_ONE] = {"One's calls/s", "One's calls/s"}};
    return titles[o->vs][is_stream(o)];
}

static double baseline_value(const struct options *o, const struct figures *baseline)
{
    if (o->vs == VS_ONE) {
        return figures_calls_per_s(baseline);
    }
    return is_stream(o) ? figures_mb_per_s(baseline) : compared_of(o, false, baseline);
}

/* What is not as usual. */
static void text_load(const struct options *o)
{
    if (o->trace_path != NULL) {
        printf("# %zu calls of %s, again and again; sizes are means\n", o->trace.calls,
               o->trace_path);
    }
    if (o->reply > 0) {
        printf("# Replies of %zu bytes; MB/s are of both directions\n", o->reply);
    }
    if (o->chunks > 1) {
        printf("# Each payload in %u pieces\n", o->chunks);
    }
    if (o->same) {
        printf("# All calls of a thread carry one payload, written once\n");
    }
    if (o->peers > 1) {
        printf("# Over %u connections in turn\n", o->peers);
    }
    if (o->processes > 0) {
        printf("# %u client processes; calls that ended in a span that all have in common\n",
               o->processes);
    }
}

static void text_head(const struct options *o)
{
    printf("# Waybill %s: wb_perf %s, fabric %s, path %s, threads %u\n", wb_version(),
           test_name(o->test), o->fabric, path_name(o->path), o->threads);
    text_load(o);
    printf("# %s\n", test_title(o->test));
    if (o->verify) {
        printf(o->processes > 0 || o->reply > 0
                   ? "# Every byte is checked; MB/s and calls/s have the time of that in them\n"
                   : "# Every byte is checked; the time that checking takes is not counted\n");
    }
    printf("# %-10s%8s%14s%14s", "Size (B)", "Window", "MB/s", "Calls/s");
    for (int i = 0; i < QUANTILES; i++) {
        printf("%9s us", quantiles[i].text);
    }
    if (o->vs != VS_NONE) {
        printf("%14s%10s%8s%8s%7s%7s", baseline_title(o), "Ratio", "min", "max", "near", "far");
    }
    printf("\n");
}

static void text_side(const struct options *o, const struct result *result, const struct side *side)
{
    const struct figures *ours = &side->ours;
    printf("%8" PRIu32 "%14.2f%14.0f", result->window, figures_mb_per_s(ours),
           figures_calls_per_s(ours));
    for (int i = 0; i < QUANTILES; i++) {
        printf("%12.3f", quantile_us(ours, i));
    }
    if (o->vs != VS_NONE) {
        printf("%14.3f%10.3f%8.3f%8.3f%7" PRIu64 "%7" PRIu64, baseline_value(o, &side->baseline),
               side->ratio.p50, side->ratio.min, side->ratio.max, result->near.slices,
               result->far.slices);
    }
    printf("\n");
}

static void text_result(const struct options *o, const struct result *result)
{
    const struct side *side = main_side(o, result);
    printf("%-12zu", result->size);
    text_side(o, result, side);
    if (o->vs != VS_NONE && side != &result->far && result->far.slices > 0) {
        printf("# %-10s", "far");
        text_side(o, result, &result->far);
    }
    if (o->vs != VS_NONE && result->near.slices == 0) {
        printf("# no slice was near: the figures are of far cores\n");
    }
}

/* ---- csv ---- */

static void csv_head(const struct options *o)
{
    printf("test,fabric,path,size,reply,chunks,threads,peers,processes,window,calls");
    for (int i = 0; i < QUANTILES; i++) {
        printf(",rtt_us_%s", quantiles[i].json);
    }
    printf(",mb_per_s,calls_per_s,verified,same");
    if (o->vs != VS_NONE) {
        printf(",vs,baseline_rtt_us_p50,baseline_mb_per_s,baseline_calls_per_s,"
               "ratio_p50,ratio_min,ratio_max,slices_near,slices_far");
    }
    printf("\n");
}

static void csv_result(const struct options *o, const struct result *result)
{
    const struct side *side = main_side(o, result);
    const struct figures *ours = &side->ours, *floor = &side->baseline;
    printf("%s,%s,%s,%zu,%zu,%u,%u,%u,%u,%u,%" PRIu64, test_name(o->test), o->fabric,
           path_name(o->path), result->size, o->reply, o->chunks, o->threads, o->peers,
           o->processes, result->window, ours->calls);
    for (int i = 0; i < QUANTILES; i++) {
        printf(",%.4f", quantile_us(ours, i));
    }
    printf(",%.3f,%.1f,%s,%s", figures_mb_per_s(ours), figures_calls_per_s(ours), truth(o->verify),
           truth(o->same));
    if (o->vs != VS_NONE) {
        printf(",%s,%.4f,%.3f,%.1f,%.4f,%.4f,%.4f,%" PRIu64 ",%" PRIu64, vs_name(o->vs),
               figures_rtt(floor, 0.5), figures_mb_per_s(floor), figures_calls_per_s(floor),
               side->ratio.p50, side->ratio.min, side->ratio.max, result->near.slices,
               result->far.slices);
    }
    printf("\n");
}

/* ---- json ---- */

static void json_figures(const struct figures *f)
{
    printf("\"rtt_us\":{");
    for (int i = 0; i < QUANTILES; i++) {
        printf("%s\"%s\":%.4f", i > 0 ? "," : "", quantiles[i].json, quantile_us(f, i));
    }
    printf("},\"mb_per_s\":%.3f,\"calls_per_s\":%.1f", figures_mb_per_s(f), figures_calls_per_s(f));
}

static void json_comparison(const struct side *side)
{
    printf("\"baseline\":{");
    json_figures(&side->baseline);
    printf("},\"ratio\":{\"p50\":%.4f,\"min\":%.4f,\"max\":%.4f}", side->ratio.p50, side->ratio.min,
           side->ratio.max);
}

static void json_result(const struct options *o, const struct result *result)
{
    const struct side *side = main_side(o, result);
    printf("{\"test\":\"%s\",\"fabric\":\"%s\",\"path\":\"%s\",\"size\":%zu,\"reply\":%zu,"
           "\"chunks\":%u,\"threads\":%u,\"peers\":%u,\"processes\":%u,\"window\":%u,"
           "\"calls\":%" PRIu64 ",",
           test_name(o->test), o->fabric, path_name(o->path), result->size, o->reply, o->chunks,
           o->threads, o->peers, o->processes, result->window, side->ours.calls);
    json_figures(&side->ours);
    printf(",\"verified\":%s,\"same\":%s", truth(o->verify), truth(o->same));
    if (o->vs != VS_NONE) {
        printf(",\"vs\":\"%s\",", vs_name(o->vs));
        json_comparison(side);
        printf(",\"slices\":{\"near\":%" PRIu64 ",\"far\":%" PRIu64 "},\"far\":",
               result->near.slices, result->far.slices);
        if (result->far.slices > 0) {
            printf("{\"calls\":%" PRIu64 ",", result->far.ours.calls);
            json_figures(&result->far.ours);
            printf(",");
            json_comparison(&result->far);
            printf("}");
        } else {
            printf("null");
        }
    }
    printf("}\n");
}

void report_head(const struct options *options)
{
    if (options->format == FORMAT_TEXT) {
        text_head(options);
    } else if (options->format == FORMAT_CSV) {
        csv_head(options);
    }
    fflush(stdout);
}

void report_result(const struct options *options, const struct result *result)
{
    switch (options->format) {
    case FORMAT_TEXT:
        text_result(options, result);
        break;
    case FORMAT_CSV:
        csv_result(options, result);
        break;
    default:
        json_result(options, result);
        break;
    }
    fflush(stdout); /* a sweep may take long, and its reader wants to see it grow */
}
