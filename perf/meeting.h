/* Where threads wait for each other. Polls, since a thread that sleeps wakes up too late for what
 * is timed next. */
#ifndef WAYBILL_PERF_MEETING_H
#define WAYBILL_PERF_MEETING_H

#include <stdatomic.h>
#include <stdint.h>

#include "perf/relax.h"

struct meeting {
    _Atomic uint32_t size;           /* threads that meet */
    _Atomic uint32_t arrived, round; /* round counts how often all have arrived */
};

/* Waits until all are here. */
static inline void meet(struct meeting *meeting)
{
    uint32_t round = atomic_load(&meeting->round);
    if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->size) {
        atomic_store(&meeting->arrived, 0);
        atomic_store(&meeting->round, round + 1);
        return;
    }
    struct relax wait = {0};
    while (atomic_load(&meeting->round) == round) {
        relax(&wait);
    }
}

#endif
