/* What happened in many runs, so that nobody takes an idle run for a clean one. */
#ifndef WAYBILL_TESTS_WB_SIM_SUMMARY_H
#define WAYBILL_TESTS_WB_SIM_SUMMARY_H

#include <stdint.h>
#include <stdio.h>
#include <waybill/status.h>

#include "tests/simverbs/fault.h"

enum {
    SUMMARY_STATUSES = 1 - WB_ERR_BUSY, /* WB_OK and the errors: a call ends with no other */
    SUMMARY_STREAM_STATUSES = 1 - WB_END
};

/* Counts; sums of runs are sums of their members. */
struct summary {
    uint64_t seeds, steps, calm_seeds;
    uint64_t virtual_us;
    uint64_t calls, refused, abandoned, executed, said_again, called_back;
    uint64_t deferring_seeds, deferred, unwanted, never_answered, executor_runs, never_run;
    uint64_t ends[SUMMARY_STATUSES]; /* by -status */
    uint64_t pointer_chunks, rma_chunks, copied_archives, long_lists, own_vectors;
    uint64_t reads, read_requests, read_bytes, messages, late_replies, filtered;
    uint64_t rail_seeds, rail_reads, rails_lost; /* READs as posted; rails that were ready */
    uint64_t bundles, bundled;                   /* messages that were several parcels, and these */
    uint64_t connects, closes, restarts, kills, losses, links_down, stalls, sleeps, silences,
        upsets, burials;
    uint64_t lines, drains, drained; /* connections that come and go; drains, and whole ones */
    /* streams: openings, those refused at once or by a handler, those served; sides whose engine
       has ended; and how sides have ended: WB_END in order, WB_OK where the program has left */
    uint64_t streaming_seeds, streams, streams_refused, streams_served, streams_orphaned;
    uint64_t items_sent, items_taken, stream_readies, stream_drops, stream_aborts, hoards;
    uint64_t stream_ends[SUMMARY_STREAM_STATUSES];
    uint64_t faults, rules_checked;
    struct sim_fault_kind kinds[SIM_FAULT_KINDS]; /* the last member */
};

void summary_add(struct summary *sum, const struct summary *more);

void summary_add_kinds(struct summary *sum, const struct sim_fault_kind *kinds);

/* For people. */
void summary_print(const struct summary *summary, FILE *out);

/* NULL; or why so little has happened in many seeds that they prove nothing, in words. Static. */
const char *summary_is_idle(const struct summary *summary);

#endif
