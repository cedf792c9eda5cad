/*
 * The machine's own limit, measured between the same two processes as our calls: round trips of a
 * word over two cache lines, one a side, and the payloads taken by who gets them, one after the
 * other into one private buffer that stays warm,
 *
 *   --vs floor     by memcpy out of shared memory
 *   --vs vmreadv   by process_vm_readv out of the other process's own memory
 *
 * which their sender has just written (but for replies, which are parts of one buffer, and --same).
 *
 *   lat, rate   the word alone, where the payload is in the message itself (--path eager, floor);
 *               else there, the payload taken by the server, back, and the reply taken
 *   bw          the payloads of a burst taken by the server; and the replies at once by the client
 *   bibw        the same by both sides at once
 *
 * Each thread of the client has lines, payloads and a loop of its own; the server has one thread.
 */
#ifndef WAYBILL_PERF_FLOOR_H
#define WAYBILL_PERF_FLOOR_H

#include <stdint.h>
#include <sys/uio.h>

#include "perf/cargo.h"
#include "perf/figures.h"
#include "perf/hands.h"
#include "perf/orders.h"

/* A probe's round trip above this, in microseconds, is one between far cores. */
#define FLOOR_FAR_US 0.25

/* Who takes payloads: a thread. */
struct taker {
    uint8_t *landing; /* one payload long */
    int error;        /* of the burst: 0, or as floor_take */
    struct histogram trips;
    uint64_t start, end, count;                       /* in ticks, and trips */
    struct iovec here[CHUNKS_MAX], there[CHUNKS_MAX]; /* of process_vm_readv */
};

/* One side's; all zero has nothing to give back. */
struct floor {
    struct orders *orders;         /* borrowed */
    const struct options *options; /* borrowed */
    int side;                      /* 0: the client's, 1: the server's */
    bool pauses; /* whether round trips are faster with a pause between two looks at a line */
    struct cargo cargo;
    uint8_t *own;         /* with --vs vmreadv, where we write what the other side takes */
    struct taker **taker; /* `takers` of them: a client's threads, or the server */
    uint32_t takers;
    struct histogram probe;
};

/* ---- the client's; each returns 0, or EXIT_FAILURE with a line said: no answer, a wrong byte, or
 * memory that may not be read ---- */

/* The median of some hundred round trips of thread 0 without pauses, in microseconds: whether the
 * cores are near. */
int floor_probe(struct floor *floor, double *median_us);

/* Finds out which way of polling makes round trips fastest just now. */
int floor_choose(struct floor *floor);

/* Round trips of words for at least `ticks`, added to *figures; polls as floor_choose has found. */
int floor_ping(struct floor *floor, struct hands *hands, uint64_t ticks, struct figures *figures);

/* One burst of the payloads of `calls` calls a thread, added to *figures: round trips, or all at
 * once. */
int floor_trips(struct floor *floor, struct hands *hands, size_t size, uint32_t calls,
                struct figures *figures);
int floor_stream(struct floor *floor, struct hands *hands, size_t size, uint32_t calls,
                 struct figures *figures);

/* ---- the server's ---- */

/* Obeys an order that is the floor's. */
void floor_obey(struct floor *floor, uint32_t order);

/* ---- either side's ---- */

/* Lays out what head->size and head->calls ask for, if it is not already, and the memory for it.
 * Returns 0, or -1: no memory. */
int floor_lay(struct floor *floor, bool *anew);

/* Where this side writes. */
uint8_t *floor_memory(const struct floor *floor);

/* Takes call i of the other side's pieces, whose memory begins `offset` behind its first. Returns
 * 0, or an errno of process_vm_readv. */
int floor_take(const struct floor *floor, struct taker *taker, const struct pieces *pieces,
               size_t i, size_t offset);

/* With --verify: makes the landing wrong for call i of these pieces, which is still to be taken. */
void floor_spoil(const struct floor *floor, struct taker *taker, const struct pieces *pieces,
                 size_t i, uint64_t stamp);

/* With --verify: whether the landing has call i of these pieces; 0, or EBADMSG. */
int floor_verify(const struct floor *floor, const struct taker *taker, const struct pieces *pieces,
                 size_t i, uint64_t stamp);

/* What to say of an error of floor_take or floor_verify. */
void floor_words(int error, char *text, size_t size);

/* Accepts all zero. */
void floor_close(struct floor *floor);

#endif
