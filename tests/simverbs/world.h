/*
 * A simulated RDMA network, for tests. It defines the libibverbs and librdmacm functions that the
 * verbs fabric uses, and engine/clock.h's; a program that lists these objects among its own gets
 * them in place of the libraries', so that product code runs on it as it is. (Objects and not an
 * archive: of an archive the linker takes only what is asked for before it meets the next library.)
 *
 *   world ── host ── device (a profile, an IPv4 address) ── contexts, MRs, CQs, SRQs, queue pairs
 *        └─ event queue: what will happen, ordered by (time, order of scheduling)
 *
 * There is one world at a time. While there is none, the clock is the machine's and there are no
 * devices. In a deterministic world one thread runs everything: the clock moves by a little with
 * each call, and to the next event when somebody waits; a run is a function of the program and the
 * seed. With `threads` the clock is the machine's, any thread may call, and whoever calls does the
 * devices' work under one lock.
 *
 * The device is stricter than hardware where that finds mistakes: an lkey is never an rkey, queues
 * are exactly as deep as was asked for, a READ takes its bytes at the last moment, keys and queue
 * pair numbers do not come round (a window's key does, after 256 bindings), a window that is not
 * bound cannot be invalidated, and valgrind sees each message written anew. What hardware answers
 * by blocking for ever, or not at all, ends the program with a line that says so (sim_bug).
 */
#ifndef WAYBILL_TESTS_SIMVERBS_WORLD_H
#define WAYBILL_TESTS_SIMVERBS_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/simverbs/profile.h"

struct sim_options {
    uint64_t seed;
    bool threads;

    /* 0: the default. Deterministic worlds; with threads everything happens at once. */
    uint64_t latency_ns;   /* one way; 2000 */
    uint64_t jitter_ns;    /* added to it, at random, at most; 500 */
    uint64_t bytes_per_us; /* 12500: 100 Gbit/s */
    uint64_t
        cm_latency_ns; /* of the connection manager's messages, plus as much at random; 20000 */
    uint64_t cm_timeout_us; /* after which one that was lost is sent again; 500000 */
    uint64_t clock_ns;      /* what a look at the clock takes; 250 */
    uint64_t poll_ns;       /* and any call of a device; 100 */
};

struct sim_host;
struct sim_device;

/* Opens the world; NULL: all defaults. Closes it: prints what the program has left open, and
 * returns how many things that were. */
void sim_open(const struct sim_options *options);
unsigned sim_close(void);

/* A host, and devices of it. Addresses are numeric; hosts reach each other's devices whatever the
 * address. Owned by the world. */
struct sim_host *sim_host_add(void);
struct sim_device *sim_device_add(struct sim_host *host, const struct sim_profile *profile,
                                  const char *address);

/* The host on which the program is from now on: what it opens belongs there. At first the first. */
void sim_host_enter(struct sim_host *host);

/* ---- time ---- */

uint64_t sim_now_ns(void);

/* Moves a deterministic world's clock on, `us` at most, to the next event if there is one before,
 * and lets it happen. Returns whether there was one. */
bool sim_advance(uint64_t us);

/* Lets happen what the product does on threads of its own; sim_advance does it too. Returns whether
 * something was done. */
bool sim_background(void);

/* Called in a deterministic world before wbi_wait moves the clock, with nothing locked: lets a test
 * drive the engines of other hosts. Returns whether something was done. NULL: none. */
void sim_on_wait(bool (*others)(void *context), void *context);

/* ---- what may happen to devices ---- */

/* The device neither sends nor receives any more, nor its connection manager: as after a crash of
 * its host. What the program does to it locally still works. Undone by sim_device_revive. */
void sim_device_stop(struct sim_device *device);
void sim_device_revive(struct sim_device *device);

/* The device finds its queue pair number `index`, the newest being 0, broken, and says so
 * (IBV_EVENT_QP_FATAL). One that is not there is none. */
void sim_device_upset(struct sim_device *device, unsigned index);

/* As a cable that is pulled, and put back: port events, and nothing gets through between. */
void sim_link_set(struct sim_device *device, bool up);
bool sim_link_is_up(const struct sim_device *device);

/* Whether a fault has stopped the device, or it was lost to somebody who still has it open: what is
 * on its host is to be destroyed, and the device revived. */
bool sim_device_is_lost(const struct sim_device *device);

/* Of the work requests that are posted to the device from now on it refuses number `number`, from
 * 1, and takes what is posted after that again; 0: it takes all. */
void sim_device_refuse(struct sim_device *device, uint64_t number);

/* ---- looking back ---- */

/* What was posted to the device's send queues: calls that took something, and work requests that
 * they took. */
struct sim_posts {
    uint64_t lists, works;
};

struct sim_posts sim_device_posts(const struct sim_device *device);

/* A number that two runs share if and only if (but for accidents) the same happened in both. */
uint64_t sim_trace_hash(void);

/* Messages that found no receive: the engine's never do. */
uint64_t sim_not_ready_count(void);

/* The last events, `most` of them at most, for people. */
void sim_trace_print(FILE *out, unsigned most);

/* Keeps or forgets sim_bug's default, which prints the line and the trace and aborts. */
void sim_on_bug(void (*bug)(const char *line));

#endif
