/* RDMA READs of a burst's payloads, in lists. */
#ifndef WAYBILL_PERF_RAW_READS_H
#define WAYBILL_PERF_RAW_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perf/pieces.h"
#include "perf/raw_link.h"

/* One READ, from `from` behind the other side's memory to `to` behind our landing. */
struct raw_read {
    size_t from, to;
    uint32_t bytes;
};

/*
 * What is to be READ: call i by reads first[i] up to first[i + 1], a piece by one, or by several
 * where the device takes no more at once. Call i lands in slot i % landings, as far apart as it
 * was. All zero is none.
 */
struct raw_plan {
    struct raw_read *read;
    size_t *first; /* calls + 1 of them */
    size_t calls, slot, landings;
};

/* With landings in `room` bytes, which has to hold the longest payload. Returns 0, or -1: there is
 * no memory; then *plan is all zero. */
int raw_plan_make(struct raw_plan *plan, const struct pieces *pieces, uint64_t max_message,
                  size_t room);
void raw_plan_drop(struct raw_plan *plan);

/* Where call i lands. */
uint8_t *raw_plan_landing(const struct raw_plan *plan, const struct raw_link *link, size_t i);

/* READs under way: those of the plan from `next` up to `end` are still to be posted. */
struct raw_reads {
    struct raw_link *link;
    const struct raw_plan *plan;
    uint64_t address; /* of the other side's memory */
    uint32_t rkey;
    size_t call, next, end; /* `next` belongs to this call */
};

/* Of calls [from, to). */
struct raw_reads raw_reads_of(struct raw_link *link, const struct raw_plan *plan, uint64_t address,
                              uint32_t rkey, size_t from, size_t to);

/*
 * Posts the READs of whole calls as far as the window has room for them, as one list in which the
 * last of each call is signalled; of a call that is longer than the window, a part. Then takes note
 * of what has completed. Returns whether something has happened, or -1, with the link's words.
 */
int raw_reads_step(struct raw_reads *reads);

static inline bool raw_reads_ended(const struct raw_reads *reads)
{
    return reads->next == reads->end && reads->link->done == reads->link->posted;
}

#endif
