/*
 * What bare verbs can do between the same two processes, on the same device: the baseline of
 * --vs raw, straight on libibverbs with a queue pair a side of its own.
 *
 *   lat   SENDs into posted receives, there and back: the payload there, and as much back as a
 *         call's answer takes (two words at most); inline where the device takes it so
 *   bw    RDMA READs by the server of as many buffers of the same size, RAW_READS in flight, out of
 *         memory that the client has just written (untimed), into as many landings
 *
 * All memory is registered, and touched, beforehand; both sides poll, as they do for our calls.
 */
#ifndef WAYBILL_PERF_RAW_H
#define WAYBILL_PERF_RAW_H

#include <stdint.h>

#include "perf/figures.h"
#include "perf/orders.h"
#include "perf/raw_link.h"

/* The first byte of a ping that is the last of its slice. */
#define RAW_LAST 1U

enum { RAW_ANSWER_BYTES = 16 };

/* One side's; all zero has nothing to give back. */
struct raw {
    struct orders *orders; /* borrowed */
    struct raw_link link;
};

/* ---- the client's; each returns 0, or EXIT_FAILURE with a line said ---- */

/* Makes the queue pairs, at the host of `url` (the server's, verbs://HOST:PORT with a numeric
 * HOST). Each side has `bytes` of memory, and lets SENDs land in the last receive_bytes of them:
 * for raw_ping as many as the payload at either end, for raw_read the buffers of a burst. */
int raw_open(struct raw *raw, const char *url, size_t bytes, size_t receive_bytes);

/* Round trips with `size` bytes for at least `ticks`, added to *figures. */
int raw_ping(struct raw *raw, size_t size, uint64_t ticks, struct figures *figures);

/* One burst of `count` READs of `size` bytes, added to *figures. */
int raw_read(struct raw *raw, size_t size, uint64_t count, struct figures *figures);

/* ---- the server's ---- */

/* Obeys an order that is raw's. */
void raw_obey(struct raw *raw, uint32_t order);

/* Either side's; accepts all zero. */
void raw_close(struct raw *raw);

#endif
