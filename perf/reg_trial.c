#include "perf/reg_trial.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/pin.h>

#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/series.h"
#include "perf/ticks.h"

/* Copies, and pins that are found, are timed in groups, so that reading the clock does not count.
 */
enum { ALIGNMENT = 4096, GROUP_BYTES = 256 << 10, GROUP_PINS = 64 };

/* One size under way; all zero has nothing to give back. */
struct trial {
    const struct device *device;
    size_t size;
    uint8_t *from, *to;       /* touched; from is registered in turn, to stays registered */
    struct ibv_mr *mr;        /* of to */
    struct wb_engine *engine; /* or NULL: no pins */
    struct series registers, copies, pins, founds;
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
    series_drop(&trial->pins);
    series_drop(&trial->founds);
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

/* ---- pinning ---- */

static int fail_pin(const struct trial *trial)
{
    return say(EXIT_FAILURE, "cannot pin %zu bytes: %s", trial->size, wb_last_error());
}

static int pin(const struct trial *trial)
{
    int status = wb_mr_pin(trial->engine, trial->from, trial->size, 0);
    return status == WB_OK ? 0 : fail_pin(trial);
}

static int unpin(const struct trial *trial)
{
    int status = wb_mr_unpin(trial->engine, trial->from, trial->size);
    return status == WB_OK ? 0 : fail_pin(trial);
}

/* Pins memory that is pinned already, which finds it and registers nothing. */
static int time_found(struct trial *trial, double *us)
{
    uint64_t start = ticks_now();
    for (int i = 0; i < GROUP_PINS; i++) {
        if (pin(trial) != 0 || unpin(trial) != 0) {
            return EXIT_FAILURE;
        }
    }
    *us = ticks_to_us((double)(ticks_now() - start)) / GROUP_PINS;
    return 0;
}

/* A pin that registers and the unpin that takes that back; and between them those that find it,
 * whose time is not in *pin_us. */
static int time_pin(struct trial *trial, double *pin_us, double *found_us)
{
    uint64_t start = ticks_now();
    if (pin(trial) != 0) {
        return EXIT_FAILURE;
    }
    uint64_t ticks = ticks_now() - start;
    int wrong = time_found(trial, found_us);
    start = ticks_now();
    wrong = unpin(trial) != 0 ? EXIT_FAILURE : wrong;
    *pin_us = ticks_to_us((double)(ticks + ticks_now() - start));
    return wrong;
}

/* Whether a pin registers: one that does not (the engine's fabrics cannot, or there is no room)
 * would look cheap. */
static bool pins(const struct trial *trial)
{
    struct wb_engine_stats stats;
    if (trial->engine == NULL || wb_mr_pin(trial->engine, trial->from, trial->size, 0) != WB_OK) {
        return false;
    }
    wb_engine_stats(trial->engine, &stats);
    return unpin(trial) == 0 && stats.pin_registered_bytes >= trial->size;
}

/* ---- a trial ---- */

/* One of each. */
static int sample(struct trial *trial, bool counts)
{
    double register_us = 0.0, pin_us = 0.0, found_us = 0.0;
    bool with_pins = trial->engine != NULL;
    if (time_register(trial, &register_us) != 0 ||
        (with_pins && time_pin(trial, &pin_us, &found_us) != 0)) {
        return EXIT_FAILURE;
    }
    double copy_us = time_copy(trial);
    bool noted = !counts || (series_add(&trial->registers, register_us) == 0 &&
                             series_add(&trial->copies, copy_us) == 0 &&
                             (!with_pins || (series_add(&trial->pins, pin_us) == 0 &&
                                             series_add(&trial->founds, found_us) == 0)));
    return noted ? 0 : EXIT_FAILURE;
}

/* The first sample is nobody's measure. */
static int trial_run(struct trial *trial, double seconds)
{
    trial->engine = pins(trial) ? trial->engine : NULL;
    int wrong = sample(trial, false);
    uint64_t start = clock_ns();
    do {
        wrong = wrong == 0 ? sample(trial, true) : wrong;
    } while (wrong == 0 && (double)(clock_ns() - start) < seconds * 1e9);
    return wrong;
}

/* The least n with once + n * each <= n * other; 0 where there is none. */
static uint64_t pays_from(double once, double each, double other)
{
    if (other <= each) {
        return 0;
    }
    double uses = ceil(once / (other - each));
    return uses > 1.0 ? (uint64_t)uses : 1;
}

static void sum_up(struct trial *trial, struct reg_result *r)
{
    *r = (struct reg_result){
        .size = trial->size, .samples = trial->copies.used, .pins = trial->engine != NULL};
    series_sum_up(&trial->registers, &r->register_us, &r->register_min_us);
    series_sum_up(&trial->copies, &r->copy_us, &r->copy_min_us);
    series_sum_up(&trial->pins, &r->pin_us, &r->pin_min_us);
    series_sum_up(&trial->founds, &r->found_us, &r->found_min_us);
    r->pays_from = pays_from(r->register_us, 0.0, r->copy_us);
    if (r->pins) {
        r->pin_over_copy = pays_from(r->pin_us, r->found_us, r->copy_us);
        r->pin_over_register = pays_from(r->pin_us, r->found_us, r->register_us);
    }
}

int reg_trial(const struct reg_options *o, const struct device *device, struct wb_engine *engine,
              size_t size, struct reg_result *result)
{
    struct trial trial = {.device = device, .engine = engine, .size = size};
    int wrong = trial_open(&trial);
    if (wrong == 0) {
        wrong = trial_run(&trial, o->seconds);
    }
    if (wrong == 0) {
        sum_up(&trial, result);
    }
    trial_close(&trial);
    return wrong;
}
