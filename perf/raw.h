/*
 * What bare verbs can do between the same two processes, on the same device: the baseline of
 * --vs raw, straight on libibverbs with a queue pair a side for each thread of the client.
 *
 *   lat, rate   SENDs into posted receives, there and back: the payload there, and as much back as
 *               a call's answer takes (two words at most, and the reply); inline where the device
 *               takes it so. With --chunks a SEND of a few bytes there, the pieces READ by the
 *               server as one list, and a SEND back
 *   bw          RDMA READs by the server of the payloads of a burst, RAW_READS in flight, or with
 *               --chunks the pieces of a call as one list, and two lists in the queue; and of the
 *               replies at once by the client
 *   bibw        READs by both sides at once
 *
 * out of memory that its owner has just written (untimed; but for replies, which are parts of one
 * buffer), into as many landings. All memory is registered, and touched, beforehand; both sides
 * poll, as they do for our calls.
 */
#ifndef WAYBILL_PERF_RAW_H
#define WAYBILL_PERF_RAW_H

#include <stdint.h>

#include "perf/cargo.h"
#include "perf/figures.h"
#include "perf/hands.h"
#include "perf/orders.h"
#include "perf/raw_link.h"
#include "perf/raw_reads.h"

enum { RAW_ANSWER_BYTES = 16, RAW_ASK_BYTES = 8 };

/* A thread of the client, and what the server has for it. */
struct raw_end {
    struct raw_link link;
    struct raw_reads reads;
    struct histogram trips; /* the client's */
    uint64_t start, end, count;
    int error; /* 0, or an enum raw_error */
};

enum raw_error { RAW_LINK_FAILED = 1, RAW_NO_ANSWER, RAW_WRONG_BYTES };

/* One side's; all zero has nothing to give back. */
struct raw {
    struct orders *orders;         /* borrowed */
    const struct options *options; /* borrowed */
    int side;                      /* 0: the client's, 1: the server's */
    struct cargo cargo;
    struct raw_plan plan;  /* of what this side READs */
    struct raw_end **ends; /* --threads of them; made one by one */
};

/* ---- the client's; each returns 0, or EXIT_FAILURE with a line said ---- */

/* (raw_meet.c) Makes the queue pairs, at the host of `url` (the server's, verbs://HOST:PORT with a
 * numeric HOST), and memory for all sizes. */
int raw_join(struct raw *raw, const char *url);

/* One burst of `calls` round trips a thread, added to *figures. */
int raw_trips(struct raw *raw, struct hands *hands, size_t size, uint32_t calls,
              struct figures *figures);

/* One burst of READs of the payloads of `calls` calls a thread, added to *figures. */
int raw_stream(struct raw *raw, struct hands *hands, size_t size, uint32_t calls,
               struct figures *figures);

/* ---- the server's ---- */

/* Obeys an order that is raw's. */
void raw_obey(struct raw *raw, uint32_t order);

/* ---- either side's ---- */

/* An end for thread t, all zero; NULL: no memory. */
struct raw_end *raw_end_make(struct raw *raw, uint32_t t);

/* What each side's links have. */
struct raw_link_wish raw_wish_of(const struct options *options);

/* Whether the payloads of these calls are READ one call at a time, and not sent. */
bool raw_trips_read(const struct options *options);

/* Bytes of the answer to call i, and where in the server's memory they begin: the last elsewhere
 * than the others, as replies do, so that it differs from the one before. */
size_t raw_answer_bytes(const struct cargo *cargo, size_t i);
size_t raw_answer_at(const struct cargo *cargo, size_t i);

/* Lays out what head->size and head->calls ask for, if it is not already. Returns 0, or -1: no
 * memory. */
int raw_lay(struct raw *raw, bool *anew);

/* Has thread t begin READs of calls [from, to) of the other side's. */
void raw_begin_reads(struct raw *raw, uint32_t t, size_t from, size_t to);

/* With --verify: whether call i of these pieces is at `landing`; 0, or RAW_WRONG_BYTES. */
int raw_verify(const struct raw *raw, const struct pieces *pieces, size_t i, const uint8_t *landing,
               uint64_t stamp);

/* What to say of the error of thread t; raw_failed says it, and returns EXIT_FAILURE. */
void raw_words(const struct raw *raw, uint32_t t, char *text, size_t size);
int raw_failed(const struct raw *raw, uint32_t t);

/* Accepts all zero. */
void raw_leave(struct raw *raw);

#endif
