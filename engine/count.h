/* Counters that one lane thread at a time writes and anybody may read. */
#ifndef WBI_ENGINE_COUNT_H
#define WBI_ENGINE_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t wbi_counter;

/* A plain load and store: no locked instruction, since there is one writer. */
static inline void wbi_count(wbi_counter *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static inline uint64_t wbi_counted(const wbi_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct wbi_counters {
    wbi_counter calls_begun, calls_ended, calls_served;
    wbi_counter parcels_sent, parcels_received, parcels_waited;
    wbi_counter reads, read_bytes;
    wbi_counter leases_open, leases_quarantined, releases_received, late_replies;
    wbi_counter parcels_filtered, filtered_bytes, unfiltered_bytes;
    wbi_counter registrations, registrations_avoided;
    wbi_counter protocol_errors, peers_lost, sleeps;
};

#endif
