#include "perf/setup.h"

#include <stdlib.h>

#include "perf/common_listen.h"
#include "perf/common_resources.h"
#include "perf/common_say.h"

enum {
    SPARE_CALLS = 16,
    SPARE_PEERS = 16,
    PIECE_ROOM = 128, /* beyond the bytes of a buffer of several, at most */
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

uint32_t first_window(const struct options *o, size_t size)
{
    const struct trace_call *largest = &o->trace.largest;
    bool traced = o->trace_path != NULL;
    size_t there = traced ? largest->argument : size, back = traced ? largest->reply : o->reply;
    return o->window_min > 0 ? o->window_min : default_window(there > back ? there : back);
}

/* The first of a size, or none. */
static struct step step_of(const struct options *o, size_t size)
{
    return (struct step){.size = size, .window = size > 0 ? first_window(o, size) : 0};
}

struct step first_step(const struct options *o)
{
    return step_of(o, o->size_min);
}

struct step next_step(const struct options *o, struct step step)
{
    uint32_t window = options_next_window(o, step.window);
    return window > 0 ? (struct step){.size = step.size, .window = window}
                      : step_of(o, options_next_size(o, step.size));
}

struct calls_wanted wanted_calls(const struct options *o, size_t size, uint32_t window)
{
    return (struct calls_wanted){.path = o->path,
                                 .size = size,
                                 .reply = o->reply,
                                 .trace = o->trace_path != NULL ? &o->trace : NULL,
                                 .chunks = o->chunks,
                                 .window = window,
                                 .peers = o->peers,
                                 .same = o->same,
                                 .verify = o->verify,
                                 .patience_us =
                                     calls_patience_us(size + o->reply, window, callers(o))};
}

/* Of one caller's: its payloads, and as much as a window of calls has at the other side. */
static uint64_t memory_of(const struct options *o, const struct calls_wanted *wanted)
{
    bool traced = wanted->trace != NULL;
    uint64_t argument = traced ? o->trace.largest.argument : wanted->size;
    uint64_t reply = traced ? o->trace.largest.reply : wanted->reply;
    uint64_t buffers = (wanted->same ? 1 : (uint64_t)burst_calls(wanted)) * wanted->chunks;
    return (wanted->same ? argument : burst_bytes(wanted)) +
           (wanted->chunks > 1 || wanted->same ? buffers * PIECE_ROOM : 0) +
           wanted->window * (argument + reply);
}

uint64_t memory_needed(const struct options *o)
{
    uint64_t most = 0;
    for (struct step step = first_step(o); step.size > 0; step = next_step(o, step)) {
        struct calls_wanted wanted = wanted_calls(o, step.size, step.window);
        most = larger(most, callers(o) * memory_of(o, &wanted));
    }
    return most;
}

/* Calls that a client has open at most. */
static uint32_t calls_open(const struct options *o)
{
    uint32_t window = o->window_max > 0 ? o->window_max : first_window(o, o->size_min);
    return window * o->threads;
}

static int create_engine(const struct options *o, uint64_t spin_us, struct wb_engine **engine)
{
    struct wb_engine_config config;
    if (o->config != NULL) {
        config = *o->config;
    } else {
        wb_engine_config_default(&config);
    }
    uint32_t open = calls_open(o);
    uint32_t peers = o->peers * (o->processes > 0 ? o->processes : 1);
    /* The pool rounds blocks up to classes, and packs slabs less than full. */
    config.budget_bytes = larger(config.budget_bytes, 2 * memory_needed(o) + ((uint64_t)256 << 20));
    config.max_calls = (uint32_t)smaller(CALLS_MAX, larger(config.max_calls, open + SPARE_CALLS));
    config.credits = (uint32_t)smaller(CREDITS_MAX, larger(config.credits, open));
    config.max_peers = (uint32_t)larger(config.max_peers, peers + SPARE_PEERS);
    config.spin_us = larger(config.spin_us, spin_us);
    config.verbs.devices = o->devices;
    config.verbs.rails = url_has_rails(o->url);
    int status = wb_engine_create(&config, engine);
    return status == WB_OK ? 0
                           : say(EXIT_FAILURE, "cannot create an engine: %s", status_words(status));
}

int setup_side(const struct options *o, int side, struct wb_engine **engine)
{
    bool local = o->role == ROLE_LOCAL || o->parent_fd != NO_FD;
    bool one_cpu = o->cpu[0] != NO_CPU && o->cpu[0] == o->cpu[1];
    bool crowded = local && (one_cpu || (uint32_t)cpus_allowed() < callers(o) + 1);
    int cpu = o->cpu[side];
    if (cpu == NO_CPU && local && callers(o) == 1 && !crowded) {
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
