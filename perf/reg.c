#include "perf/reg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <waybill/version.h>

#include "perf/common_command.h"
#include "perf/common_say.h"
#include "perf/device.h"
#include "perf/reg_trial.h"
#include "perf/ticks.h"

enum { WORDS_ROOM = 200, USES_ROOM = 24 };

/* A count of uses in words, or `never` for 0. */
static const char *uses(char words[USES_ROOM], uint64_t count, const char *never)
{
    snprintf(words, USES_ROOM, "%" PRIu64, count);
    return count > 0 ? words : never;
}

static void json(const struct reg_result *r)
{
    char from[USES_ROOM], copy[USES_ROOM], again[USES_ROOM];
    printf("{\"size\":%zu,\"register_us\":%.3f,\"register_min_us\":%.3f,\"copy_us\":%.3f,"
           "\"copy_min_us\":%.3f,\"pays_from\":%s,",
           r->size, r->register_us, r->register_min_us, r->copy_us, r->copy_min_us,
           uses(from, r->pays_from, "null"));
    if (r->pins) {
        printf("\"pin_us\":%.3f,\"pin_min_us\":%.3f,\"found_us\":%.3f,\"found_min_us\":%.3f,",
               r->pin_us, r->pin_min_us, r->found_us, r->found_min_us);
    } else {
        printf("\"pin_us\":null,\"pin_min_us\":null,\"found_us\":null,\"found_min_us\":null,");
    }
    printf("\"pin_over_copy\":%s,\"pin_over_register\":%s,\"samples\":%zu}\n",
           uses(copy, r->pin_over_copy, "null"), uses(again, r->pin_over_register, "null"),
           r->samples);
}

static void text(const struct reg_result *r)
{
    char words[USES_ROOM], again[USES_ROOM];
    printf("%-12zu%14.3f%12.3f%12.3f%12.3f%12s", r->size, r->register_us, r->register_min_us,
           r->copy_us, r->copy_min_us, uses(words, r->pays_from, "never"));
    if (r->pins) {
        printf("%12.3f%12.3f%12.3f%12s%12s", r->pin_us, r->pin_min_us, r->found_us,
               uses(words, r->pin_over_copy, "never"), uses(again, r->pin_over_register, "never"));
    } else {
        printf("%12s%12s%12s%12s%12s", "-", "-", "-", "-", "-");
    }
    printf("%10zu\n", r->samples);
}

/* An engine of this device alone, since a pin is registered with each device of its engine; or
 * NULL, where an engine cannot use what can register (it has no address, say). */
static struct wb_engine *open_engine(const struct reg_options *o, const struct device *device)
{
    struct wb_engine *engine = NULL;
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.verbs.devices = ibv_get_device_name(device->context->device);
    config.pin_bytes = o->size_max > config.pin_bytes ? o->size_max : config.pin_bytes;
    int status = wb_engine_create(&config, &engine);
    if (status != WB_OK && o->format == FORMAT_TEXT) {
        printf("# without pins: %s\n", status_words(status));
    }
    return engine;
}

static void report_head(const struct reg_options *o)
{
    if (o->format == FORMAT_TEXT) {
        printf("# Waybill %s: wb_perf reg: registering and pinning, against a copy at each use\n",
               wb_version());
        printf("# %-10s%14s%12s%12s%12s%12s%12s%12s%12s%12s%12s%10s\n", "Size (B)", "Register us",
               "Min us", "Copy us", "Min us", "Pays from", "Pin us", "Min us", "Found us",
               "Over copy", "Over reg", "Samples");
    }
}

static int run_sizes(const struct reg_options *o, const struct device *device,
                     struct wb_engine *engine)
{
    int wrong = 0;
    for (size_t size = o->size_min; wrong == 0 && size > 0; size = next_power(size, o->size_max)) {
        struct reg_result result;
        wrong = reg_trial(o, device, engine, size, &result);
        if (wrong == 0) {
            (o->format == FORMAT_JSON ? json : text)(&result);
            fflush(stdout); /* the next size may take long */
        }
    }
    return wrong;
}

int reg_main(int argc, char **argv)
{
    struct reg_options options;
    struct device device;
    char words[WORDS_ROOM] = "";
    int ended = reg_options_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    if (device_open(&device, options.device, words, sizeof words) != 0) {
        return say(EXIT_FAILURE, "%s", words);
    }
    ticks_start();
    struct wb_engine *engine = open_engine(&options, &device);
    report_head(&options);
    int wrong = run_sizes(&options, &device, engine);
    wb_engine_destroy(engine);
    device_close(&device);
    return finish_output(wrong);
}
