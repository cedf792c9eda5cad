#include "perf/setup.h"

#include <stdlib.h>

#include "perf/common_resources.h"
#include "perf/common_say.h"
#include "perf/payload.h"

enum {
    SPARE_CALLS = 16,
    CALLS_MAX = 65536,
    CREDITS_MAX = 4096,
    SPIN_US = 1000000,
    LISTENER_SPIN_US = 50000,
    CONNECT_US = 5000000
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint32_t window_of(const struct options *o, size_t size)
{
    return o->window > 0 ? o->window : default_window(size);
}

uint64_t memory_needed(const struct options *o)
{
    uint64_t most = 0;
    for (size_t size = o->size_min; size > 0; size = options_next_size(o, size)) {
        uint32_t window = window_of(o, size);
        uint64_t buffers = (uint64_t)burst_calls(size, window) + window;
        most = larger(most, buffers * o->threads * size);
    }
    return most;
}

static int create_engine(const struct options *o, uint64_t spin_us, struct wb_engine **engine)
{
    struct wb_engine_config config;
    if (o->config != NULL) {
        config = *o->config;
    } else {
        wb_engine_config_default(&config);
    }
    uint32_t open = window_of(o, o->size_min) * o->threads;
    /* The pool rounds blocks up to classes, and packs slabs less than full. */
    config.budget_bytes = larger(config.budget_bytes, 2 * memory_needed(o) + ((uint64_t)256 << 20));
    config.max_calls = (uint32_t)smaller(CALLS_MAX, larger(config.max_calls, open + SPARE_CALLS));
    config.credits = (uint32_t)smaller(CREDITS_MAX, larger(config.credits, open));
    config.spin_us = larger(config.spin_us, spin_us);
    config.verbs.devices = o->devices;
    int status = wb_engine_create(&config, engine);
    return status == WB_OK ? 0
                           : say(EXIT_FAILURE, "cannot create an engine: %s", status_words(status));
}

int setup_side(const struct options *o, int side, struct wb_engine **engine)
{
    bool local = o->role == ROLE_LOCAL || o->parent_fd != NO_FD;
    bool one_cpu = o->cpu[0] != NO_CPU && o->cpu[0] == o->cpu[1];
    bool crowded = local && (one_cpu || (uint32_t)cpus_allowed() < o->threads + 1);
    int cpu = o->cpu[side];
    if (cpu == NO_CPU && local && o->threads == 1 && !crowded) {
        cpu = cpu_allowed_at(side);
    }
    if (cpu != NO_CPU && cpu_bind(cpu) != 0) {
        return EXIT_FAILURE;
    }
    /* A benchmark that sleeps measures the scheduler. But where threads share a CPU, one that polls
     * keeps the other from what it waits for; and a listener may be idle for days. */
    bool listens = o->role == ROLE_LISTEN && o->parent_fd == NO_FD;
    return create_engine(o, crowded ? 0 : listens ? LISTENER_SPIN_US : SPIN_US, engine);
}

int setup_peer(struct wb_engine *engine, const char *url, struct wb_peer **peer)
{
    int status = wb_connect(engine, url, peer);
    if (status != WB_OK) {
        return say(EXIT_FAILURE, "cannot connect: %s", status_words(status));
    }
    status = wb_peer_wait(*peer, CONNECT_US);
    if (status != WB_OK) {
        const char *reason = wb_peer_reason(*peer);
        return say(EXIT_FAILURE, "cannot connect: %s",
                   reason[0] != '\0' ? reason : status_words(status));
    }
    return 0;
}
