#include "perf/alloc_bench.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/common_resources.h"
#include "perf/common_say.h"

static int open_engine(struct bench *bench)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.budget_bytes = bench->options->budget;
    config.verbs.devices = bench->options->device;
    /* The other cases fill no more than what they hold. */
    if (bench->options->which == CASE_FRAGMENTATION && config.budget_bytes > memory_available()) {
        return say(EXIT_FAILURE, "--budget of %" PRIu64 " MiB, and %" PRIu64 " MiB are available",
                   config.budget_bytes >> 20, memory_available() >> 20);
    }
    int status = wb_engine_create(&config, &bench->engine);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "cannot create an engine: %s", status_words(status));
    }
    bench->pool = wb_engine_allocator(bench->engine);
    return 0;
}

#ifdef __SANITIZE_THREAD__
enum { SEES_MIMALLOC = 0 }; /* ThreadSanitizer: not how it hands a block to another thread */
#else
enum { SEES_MIMALLOC = 1 };
#endif

/* Not linked: that would put mimalloc in the place of glibc's malloc. */
static void open_mimalloc(struct bench *bench)
{
    if (!SEES_MIMALLOC) {
        snprintf(bench->absent[MIMALLOC], ABSENT_ROOM, "ThreadSanitizer cannot follow it");
        return;
    }
    bench->mimalloc = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    void *take = bench->mimalloc != NULL ? dlsym(bench->mimalloc, "mi_malloc") : NULL;
    void *give = bench->mimalloc != NULL ? dlsym(bench->mimalloc, "mi_free") : NULL;
    if (take == NULL || give == NULL) {
        snprintf(bench->absent[MIMALLOC], ABSENT_ROOM, "no libmimalloc.so.2 with mi_malloc here");
        return;
    }
    memcpy(&bench->mi_malloc, &take, sizeof take);
    memcpy(&bench->mi_free, &give, sizeof give);
}

int bench_open(struct bench *bench, const struct alloc_options *options)
{
    bench->options = options;
    fractions_fill(&bench->fractions);
    if (open_engine(bench) != 0) {
        return EXIT_FAILURE;
    }
    if (options->which == CASE_FRAGMENTATION) {
        return 0;
    }
    open_mimalloc(bench);
    if (device_open(&bench->device, options->device, bench->absent[REGISTER], ABSENT_ROOM) != 0) {
        memcpy(bench->absent[MAPREG], bench->absent[REGISTER], ABSENT_ROOM);
    }
    return 0;
}

/* mimalloc stays loaded: threads that end later still call it. */
void bench_close(struct bench *bench)
{
    device_close(&bench->device);
    wb_engine_destroy(bench->engine);
}
