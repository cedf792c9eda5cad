#include "perf/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/explain.h>

#include "perf/caller.h"
#include "perf/common_child.h"
#include "perf/common_command.h"
#include "perf/common_listen.h"
#include "perf/common_say.h"
#include "perf/common_words.h"
#include "perf/series.h"
#include "perf/server.h"
#include "perf/service.h"
#include "perf/setup.h"
#include "perf/ticks.h"
#include "perf/tune_report.h"

enum {
    EAGER_LEAST = 512,  /* of wb_engine_config's eager_bytes */
    EAGER_MOST = 65536, /* likewise */
    HEADERS_BYTES = 512,
    CHUNK_LEAST = 256,
    CHUNK_MOST = 256 << 10,
    BURST = 16,
    SLICE_NS = 5000000,
    SLICES_LEAST = 5, /* a median of fewer is chance */
    READY_MS = 20000
};

/* A threshold as a race: the same calls, sent as below it and as above it. */
struct threshold {
    const char *name;                  /* of the field in struct wb_engine_config */
    size_t offset;                     /* likewise; a uint32_t */
    enum path below, above;            /* the paths that the calls take */
    uint32_t below_value, above_value; /* with which all sizes take the one way, or the other */
    size_t first, last;                /* sizes, bytes */
    uint32_t never;                    /* its value where the way above never pays */
};

#define FIELD(name) #name, offsetof(struct wb_engine_config, name)
/* The latter two have the eager_bytes that the first gave. */
static const struct threshold thresholds[] = {
    {FIELD(eager_bytes), PATH_COPY, PATH_COPY, EAGER_MOST, EAGER_LEAST, EAGER_LEAST,
     EAGER_MOST - HEADERS_BYTES, EAGER_MOST},
    {FIELD(pointer_threshold), PATH_COPY, PATH_POINTER, UINT32_MAX, 1, CHUNK_LEAST, CHUNK_MOST,
     2 * CHUNK_MOST},
    {FIELD(rma_threshold), PATH_RMA, PATH_RMA, UINT32_MAX, 1, CHUNK_LEAST, CHUNK_MOST,
     2 * CHUNK_MOST},
};

/* One of the two ways of a race. All zero has nothing to close. */
struct way {
    struct wb_engine_config config;
    enum path path;
    struct service service;
    struct wb_engine *engine;
    struct wb_peer *peer;
    struct series series; /* p50 of slices, microseconds */
};

/* Large: not for the stack. */
struct tuner {
    const struct tune_options *options;
    struct child child;
    char url[LISTEN_URL_ROOM]; /* of the server, in the child */
    struct wb_fabric_info fabric;
    struct way below, above;
    struct series ratios;
    struct histogram rtt;
};

/* What wb_perf's options would be, for its server and its way of making engines. */
static struct options common_options(const struct tune_options *o,
                                     const struct wb_engine_config *config)
{
    struct options common = {
        .test = TEST_LAT,
        .role = o->parent_fd == NO_FD ? ROLE_LOCAL : ROLE_NONE,
        .devices = o->devices,
        .path = PATH_RMA,
        .size_min = CHUNK_MOST,
        .size_max = CHUNK_MOST,
        .window_min = BURST,
        .window_max = BURST,
        .threads = 1,
        .chunks = 1,
        .peers = 1,
        .cpu = {NO_CPU, NO_CPU},
        .config = config,
        .parent_fd = o->parent_fd,
        .area_fd = NO_FD,
    };
    snprintf(common.fabric, sizeof common.fabric, "%s", o->fabric);
    return common;
}

static int open_way(const struct tuner *tuner, struct way *way)
{
    struct options options = common_options(tuner->options, &way->config);
    if (setup_side(&options, 0, &way->engine) != 0) {
        return EXIT_FAILURE;
    }
    int status = service_register(&way->service, way->engine);
    return status == WB_OK
               ? setup_peer(way->engine, tuner->url, &way->peer)
               : say(EXIT_FAILURE, "cannot register the actions: %s", status_words(status));
}

static void close_way(struct way *way)
{
    service_close(&way->service);
    wb_peer_close(way->peer);
    wb_engine_destroy(way->engine);
    series_drop(&way->series);
    *way = (struct way){0};
}

/* Calls of one way for the time of a slice; adds the median of their times to its series. */
static int slice(struct tuner *tuner, struct way *way, struct caller *caller)
{
    tuner->rtt = (struct histogram){0};
    uint64_t start = clock_ns();
    do {
        caller_write(caller, BURST);
        int status = caller_burst(caller, BURST);
        if (status != WB_OK) {
            return say(EXIT_FAILURE, "a call with %zu bytes failed: %s (%s)", caller->wanted.size,
                       caller_words(caller, status), wb_status_name(status));
        }
    } while (clock_ns() - start < SLICE_NS);
    return series_add(&way->series,
                      ticks_to_us(histogram_quantile(&tuner->rtt, 0.5, ticks_grain())));
}

/* Slices of both ways in turn until the time is used up, and some are there. The first of each way,
 * which connects, maps and registers, is nobody's measure. */
static int slices(struct tuner *tuner, struct caller *below, struct caller *above)
{
    uint64_t start = 0, lasts = (uint64_t)(tuner->options->seconds * 1e9);
    do {
        if (slice(tuner, &tuner->below, below) != 0 || slice(tuner, &tuner->above, above) != 0) {
            return EXIT_FAILURE;
        }
        if (start == 0) {
            start = clock_ns();
            tuner->below.series.used = tuner->above.series.used = 0;
            continue;
        }
        size_t last = tuner->below.series.used - 1;
        double ratio = tuner->above.series.value[last] / tuner->below.series.value[last];
        if (series_add(&tuner->ratios, ratio) != 0) {
            return EXIT_FAILURE;
        }
    } while (tuner->ratios.used < SLICES_LEAST || clock_ns() - start < lasts);
    return 0;
}

static int open_caller(struct tuner *tuner, struct way *way, size_t size, struct caller *caller)
{
    struct calls_wanted wanted = {
        .path = way->path,
        .size = size,
        .chunks = 1,
        .window = 1,
        .peers = 1,
        .patience_us = calls_patience_us(size, 1, 1),
    };
    int status = caller_open(caller, way->engine, &way->peer, &wanted, BURST);
    caller->rtt = &tuner->rtt;
    return status == WB_OK ? 0
                           : say(EXIT_FAILURE, "cannot set up calls of %zu bytes: %s", size,
                                 status_words(status));
}

static int run_size(struct tuner *tuner, size_t size, struct tune_row *row)
{
    struct caller below = {0}, above = {0};
    tuner->below.series.used = tuner->above.series.used = tuner->ratios.used = 0;
    int wrong = open_caller(tuner, &tuner->below, size, &below);
    wrong = wrong == 0 ? open_caller(tuner, &tuner->above, size, &above) : wrong;
    wrong = wrong == 0 ? slices(tuner, &below, &above) : wrong;
    caller_close(&below);
    caller_close(&above);
    if (wrong == 0) {
        double least;
        *row = (struct tune_row){.size = size, .slices = tuner->ratios.used};
        series_sum_up(&tuner->below.series, &row->below_us, &least);
        series_sum_up(&tuner->above.series, &row->above_us, &least);
        series_sum_up(&tuner->ratios, &row->ratio, &least);
    }
    return wrong;
}

/* Races tuner->below with tuner->above, which have config and path, from size `first` to `last`,
 * and closes them. */
static int run_race(struct tuner *tuner, size_t first, size_t last, struct tune_race *race)
{
    int wrong = open_way(tuner, &tuner->below);
    wrong = wrong == 0 ? open_way(tuner, &tuner->above) : wrong;
    for (size_t size = first; wrong == 0 && size > 0 && race->rows < TUNE_ROWS_MAX;
         size = next_power(size, last)) {
        wrong = run_size(tuner, size, &race->row[race->rows]);
        race->rows += wrong == 0;
    }
    close_way(&tuner->below);
    close_way(&tuner->above);
    return wrong;
}

/* The value that the race gives: beyond all that was measured where the way above never pays. */
static uint32_t value_of(const struct tune_race *race, uint32_t never)
{
    size_t row = tune_choose(race);
    return row < race->rows ? (uint32_t)race->row[row].size : never;
}

static uint32_t *field_of(struct wb_engine_config *config, const struct threshold *threshold)
{
    return (void *)((char *)config + threshold->offset);
}

/* Races, reports, and sets the field of *config. */
static int tune(struct tuner *tuner, const struct threshold *t, struct wb_engine_config *config)
{
    struct tune_race race = {.field = t->name};
    tuner->below = (struct way){.config = *config, .path = t->below};
    tuner->above = (struct way){.config = *config, .path = t->above};
    *field_of(&tuner->below.config, t) = t->below_value;
    *field_of(&tuner->above.config, t) = t->above_value;
    int wrong = run_race(tuner, t->first, t->last, &race);
    if (wrong == 0) {
        uint32_t *field = field_of(config, t);
        uint32_t before = *field;
        *field = value_of(&race, t->never);
        tune_report_race(tuner->options, &race, before, *field);
    }
    return wrong;
}

/* Starts this program as the server, which takes eager messages as large as there are. */
static int start_server(struct tuner *tuner)
{
    const struct tune_options *o = tuner->options;
    if (!fabric_usable(o->fabric, &tuner->fabric)) {
        return say(EXIT_FAILURE, "--fabric %s cannot be used: %s", o->fabric,
                   tuner->fabric.why_not);
    }
    const char *words[8] = {"wb_perf", "tune", "--fabric", o->fabric};
    if (o->devices != NULL) {
        words[4] = "--device";
        words[5] = o->devices;
    }
    int status = child_start(&tuner->child, words, -1);
    return status == 0 ? child_await_ready(&tuner->child, READY_MS, tuner->url, sizeof tuner->url)
                       : status;
}

static int run(const struct tune_options *o)
{
    struct wb_engine_config config;
    struct tuner *tuner = calloc(1, sizeof *tuner);
    if (tuner == NULL) {
        return say(EXIT_FAILURE, "no memory");
    }
    wb_engine_config_default(&config);
    struct wb_limits limits; /* over shm */
    wb_limits_of_config(&limits, &config, NULL);
    bool shm = strcmp(o->fabric, "shm") == 0;
    config.pointer_threshold =
        (uint32_t)(shm ? limits.thresholds.pointer : limits.thresholds.buffer);
    tuner->options = o;
    tuner->child = CHILD_NONE;
    int wrong = start_server(tuner);
    tune_report_head(o);
    for (size_t i = 0; wrong == 0 && i < COUNT_OF(thresholds); i++) {
        wrong = tune(tuner, &thresholds[i], &config);
    }
    if (wrong == 0) {
        tune_report_config(o, &config);
    }
    int server_wrong = child_stop(&tuner->child);
    series_drop(&tuner->ratios);
    free(tuner);
    return wrong != 0 ? wrong : server_wrong;
}

/* In the child. */
static int serve(const struct tune_options *o)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.eager_bytes = EAGER_MOST;
    struct options options = common_options(o, &config);
    return server_run(&options);
}

int tune_main(int argc, char **argv)
{
    struct tune_options options;
    int ended = tune_options_parse(&options, argc, argv);
    if (ended != COMMAND_RUN) {
        return ended;
    }
    ticks_start();
    return finish_output(options.parent_fd == NO_FD ? run(&options) : serve(&options));
}
