#include "tests/simverbs/world.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simverbs/cm.h"
#include "tests/simverbs/model.h"

struct sim_world sim_world;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void sim_enter(uint64_t ns)
{
    pthread_mutex_lock(&lock);
    if (ns > 0) {
        sim_world.now_ns += ns;
    }
    sim_run_due();
}

/* What a call has begun and takes no time ends with it. */
void sim_leave(void)
{
    if (sim_world.options.threads) {
        sim_run_due();
    }
    pthread_mutex_unlock(&lock);
}

/* ---- bugs ---- */

static void (*on_bug)(const char *line);

void sim_on_bug(void (*bug)(const char *line))
{
    on_bug = bug;
}

void sim_bug(const char *format, ...)
{
    char line[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (on_bug != NULL) {
        on_bug(line);
        return;
    }
    sim_trace_print(stderr, UINT_MAX);
    fprintf(stderr, "simverbs: %s\n", line);
    abort();
}

/* ---- life ---- */

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

void sim_open(const struct sim_options *options)
{
    struct sim_world *world = &sim_world;
    struct sim_options chosen = options != NULL ? *options : (struct sim_options){0};
    uint64_t some = chosen.threads ? 0 : 1;
    chosen.latency_ns = or_default(chosen.latency_ns, some * 2000);
    chosen.jitter_ns = or_default(chosen.jitter_ns, some * 500);
    chosen.bytes_per_us = or_default(chosen.bytes_per_us, some * 12500);
    chosen.cm_latency_ns = or_default(chosen.cm_latency_ns, some * 20000);
    chosen.cm_timeout_us = or_default(chosen.cm_timeout_us, 500000);
    chosen.clock_ns = chosen.threads ? 0 : or_default(chosen.clock_ns, 250);
    chosen.poll_ns = chosen.threads ? 0 : or_default(chosen.poll_ns, 100);
    *world = (struct sim_world){.open = true,
                                .owner = pthread_self(),
                                .options = chosen,
                                .now_ns = 1000000,
                                .random = chosen.seed,
                                .faults = {.random = ~chosen.seed},
                                .last_port = 32767};
    sim_trace_open();
}

static unsigned report(const struct sim_device *device, const char *what, int count)
{
    if (count != 0) {
        fprintf(stderr, "simverbs: %s: %d %s left\n", device->ibv.name, count, what);
    }
    return (unsigned)(count > 0 ? count : 0);
}

/* Objects that were left are the program's memory; what was left is said. */
static unsigned close_device(struct sim_device *device)
{
    int contexts = 0;
    sim_context_close(device->cm_context);
    for (const struct sim_context *at = device->contexts; at != NULL; at = at->next) {
        contexts++;
    }
    unsigned left =
        report(device, "contexts", contexts) + report(device, "MRs", device->mr_count) +
        report(device, "windows", device->mw_count) +
        report(device, "queue pairs", device->qp_count) + report(device, "CQs", device->cq_count) +
        report(device, "SRQs", device->srq_count) + report(device, "PDs", device->pd_count);
    free(device);
    return left;
}

unsigned sim_close(void)
{
    struct sim_world *world = &sim_world;
    unsigned left = world->cm_channels;
    for (const struct sim_id *id = world->ids; id != NULL; id = id->next) {
        left++;
    }
    if (left > 0) {
        fprintf(stderr, "simverbs: %u rdma_cm identifiers and channels left\n", left);
    }
    if (world->held_blocks != 0) {
        left++;
        fprintf(stderr, "simverbs: %" PRId64 " blocks of the product's memory left\n",
                world->held_blocks);
    }
    sim_events_close();
    while (world->hosts != NULL) {
        struct sim_host *host = world->hosts;
        world->hosts = host->next;
        for (int i = 0; i < host->device_count; i++) {
            left += close_device(host->devices[i]);
        }
        free(host);
    }
    *world = (struct sim_world){0};
    return left;
}

struct sim_host *sim_host_add(void)
{
    struct sim_host *host = sim_new(sizeof *host);
    struct sim_host **at = &sim_world.hosts;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = host;
    host->number = sim_world.host_count++;
    if (sim_world.here == NULL) {
        sim_world.here = host;
    }
    return host;
}

struct sim_device *sim_device_add(struct sim_host *host, const struct sim_profile *profile,
                                  const char *address)
{
    struct sim_device *device = sim_new(sizeof *device);
    struct in_addr parsed;
    if (host->device_count == SIM_MAX_HOST_DEVICES || inet_pton(AF_INET, address, &parsed) != 1) {
        abort();
    }
    device->host = host;
    device->profile = profile;
    device->address = ntohl(parsed.s_addr);
    device->number = ++sim_world.device_count;
    device->ibv.node_type = IBV_NODE_CA;
    device->ibv.transport_type = IBV_TRANSPORT_IB;
    snprintf(device->ibv.name, sizeof device->ibv.name, "%s_%d", profile->name, host->device_count);
    snprintf(device->ibv.dev_name, sizeof device->ibv.dev_name, "uverbs%d", host->device_count);
    device->cm_context = sim_context_open(device);
    device->contexts = NULL; /* the connection manager's is none of the program's */
    host->devices[host->device_count++] = device;
    return device;
}

void sim_host_enter(struct sim_host *host)
{
    sim_enter(0);
    sim_world.here = host;
    sim_leave();
}

void sim_on_wait(bool (*others)(void *context), void *context)
{
    sim_world.others = others;
    sim_world.others_context = context;
}
