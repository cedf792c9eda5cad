#include "perf/reg.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/version.h>

#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/device.h"
#include "perf/series.h"
#include "perf/ticks.h"

/* Copies are timed in groups, so that reading the clock does not count. */
enum { ALIGNMENT = 4096, WORDS_ROOM = 200, GROUP_BYTES = 256 << 10 };

/* One size under way; all zero has nothing to give back. */
struct trial {
    const struct device *device;
    size_t size;
    uint8_t *from, *to; /* touched; from is registered in turn, to stays registered */
    struct ibv_mr *mr;  /* of to */
    struct series registers, copies;
};

static int fail_register(size_t size)
{
    return say(EXIT_FAILURE, "cannot register %zu bytes (see memlock in wb_info): %s", size,
               strerror(errno));
}

static uint8_t *touched(size_t bytes)
{
    void *at = NULL;
    return posix_memalign(&at, ALIGNMENT, bytes) == 0 ? memset(at, 1, bytes) : NULL;
}

static int trial_open(struct trial *trial)
{
    if (!memory_suffices(2, trial->size)) {
        say(EXIT_FAILURE, "two buffers of %zu bytes do not fit the memory available", trial->size);
        return EXIT_FAILURE;
    }
    trial->from = touched(trial->size);
    trial->to = touched(trial->size);
    if (trial->from == NULL || trial->to == NULL) {
        say(EXIT_FAILURE, "no memory for two buffers of %zu bytes", trial->size);
        return EXIT_FAILURE;
    }
    trial->mr = device_register(trial->device, trial->to, trial->size);
    return trial->mr != NULL ? 0 : fail_register(trial->size);
}

static void trial_close(struct trial *trial)
{
    if (trial->mr != NULL) {
        ibv_dereg_mr(trial->mr);
    }
    free(trial->from);
    free(trial->to);
    series_drop(&trial->registers);
    series_drop(&trial->copies);
}

static int time_register(struct trial *trial, double *us)
{
    uint64_t start = ticks_now();
    struct ibv_mr *mr = device_register(trial->device, trial->from, trial->size);
    if (mr == NULL) {
        return fail_register(trial->size);
    }
    ibv_dereg_mr(mr);
    *us = ticks_to_us((double)(ticks_now() - start));
    return 0;
}

static double time_copy(struct trial *trial)
{
    size_t count = trial->size < GROUP_BYTES ? GROUP_BYTES / trial->size : 1;
    uint64_t start = ticks_now();
    for (size_t i = 0; i < count; i++) {
        memcpy(trial->to, trial->from, trial->size);
        __asm__ volatile("" : : "r"(trial->to) : "memory"); /* each copy is made */
    }
    return ticks_to_us((double)(ticks_now() - start)) / (double)count;
}

/* One of each; the first are nobody's measure. */
static int sample(struct trial *trial, bool counts)
{
    double register_us = 0.0;
    if (time_register(trial, &register_us) != 0) {
        return EXIT_FAILURE;
    }
    double copy_us = time_copy(trial);
    if (counts && (series_add(&trial->registers, register_us) != 0 ||
                   series_add(&trial->copies, copy_us) != 0)) {
        return EXIT_FAILURE;
    }
    return 0;
}

static int trial_run(struct trial *trial, double seconds)
{
    int wrong = sample(trial, false);
    uint64_t start = clock_ns();
    do {
        wrong = wrong == 0 ? sample(trial, true) : wrong;
    } while (wrong == 0 && (double)(clock_ns() - start) < seconds * 1e9);
    return wrong;
}

static struct reg_result sum_up(struct trial *trial)
{
    struct reg_result result = {.size = trial->size, .samples = trial->copies.used};
    series_sum_up(&trial->registers, &result.register_us, &result.register_min_us);
    series_sum_up(&trial->copies, &result.copy_us, &result.copy_min_us);
    double uses = result.copy_us > 0 ? ceil(result.register_us / result.copy_us) : 1.0;
    result.pays_from = uses > 1.0 ? (uint64_t)uses : 1;
    return result;
}

static void report_head(const struct reg_options *o)
{
    if (o->format == FORMAT_TEXT) {
        printf("# Waybill %s: wb_perf reg: registering and back, against a copy at each use\n",
               wb_version());
        printf("# %-10s%14s%12s%12s%12s%12s%10s\n", "Size (B)", "Register us", "Min us", "Copy us",
               "Min us", "Pays from", "Samples");
    }
}

static void report(const struct reg_options *o, const struct reg_result *r)
{
    if (o->format == FORMAT_JSON) {
        printf("{\"size\":%zu,\"register_us\":%.3f,\"register_min_us\":%.3f,\"copy_us\":%.3f,"
               "\"copy_min_us\":%.3f,\"pays_from\":%" PRIu64 ",\"samples\":%zu}\n",
               r->size, r->register_us, r->register_min_us, r->copy_us, r->copy_min_us,
               r->pays_from, r->samples);
    } else {
        printf("%-12zu%14.3f%12.3f%12.3f%12.3f%12" PRIu64 "%10zu\n", r->size, r->register_us,
               r->register_min_us, r->copy_us, r->copy_min_us, r->pays_from, r->samples);
    }
    fflush(stdout);
}

static int run_size(const struct reg_options *o, const struct device *device, size_t size)
{
    struct trial trial = {.device = device, .size = size};
    int wrong = trial_open(&trial);
    if (wrong == 0) {
        wrong = trial_run(&trial, o->seconds);
    }
    if (wrong == 0) {
        struct reg_result result = sum_up(&trial);
        report(o, &result);
    }
    trial_close(&trial);
    return wrong;
}

int reg_main(int argc, char **argv)
{
    struct reg_options options;
    struct device device;
    char words[WORDS_ROOM] = "";
    switch (reg_options_parse(&options, argc, argv)) {
    case PARSED_HELP:
        fputs(reg_help, stdout);
        return finish_output(EXIT_SUCCESS);
    case PARSED_WRONG:
        return EXIT_USAGE;
    default:
        break;
    }
    if (device_open(&device, options.device, words, sizeof words) != 0) {
        return say(EXIT_FAILURE, "%s", words);
    }
    ticks_start();
    report_head(&options);
    int wrong = 0;
    for (size_t size = options.size_min; wrong == 0 && size > 0;
         size = next_power(size, options.size_max)) {
        wrong = run_size(&options, &device, size);
    }
    device_close(&device);
    return finish_output(wrong);
}
