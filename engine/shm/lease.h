/*
 * The leases of a channel: one word a chunk that is offered to the peer, in the segment of the
 * chunk's owner.
 *
 * Invariant: word[i] is the value of the offer that holds lease i, or 0. Values never come again.
 * The reader checks the word before and after each slice that it copies, as the reader of a seqlock
 * does; so changing the word is the revocation, whatever the reader is doing meanwhile.
 *
 * A small chunk of user memory is copied onto a shelf, a place in the same segment, as long as one
 * is free: the reader then has it there, and need not ask for it (stage.h). Invariant: a shelf is
 * free, or belongs to one lease that has not ended.
 */
#ifndef WBI_SHM_LEASE_H
#define WBI_SHM_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/fabric.h"
#include "engine/shm/segment.h"

enum { WBI_SHM_KEY_BYTES = 16 };

/* Segment ids of chunks that lie in no slab; slabs' ids are below. */
#define WBI_SHM_USER_MEMORY UINT32_MAX   /* to be staged; the address is the owner's */
#define WBI_SHM_SHELVED (UINT32_MAX - 1) /* copied; the address is the offset in the shelves */

/* What travels as the key: little-endian segment (4), lease (4), value (8). */
struct wbi_shm_key {
    uint32_t segment;
    uint32_t lease;
    uint64_t value;
};

void wbi_shm_key_encode(const struct wbi_shm_key *key, uint8_t bytes[WBI_SHM_KEY_BYTES]);

/* Reads a peer's key. False: it has not our length, or names no lease. */
bool wbi_shm_key_decode(const uint8_t *bytes, uint32_t len, struct wbi_shm_key *key);

_Static_assert(WBI_SHM_SHELVES <= UINT8_MAX, "a shelf's number has a byte");

/* The owner's private half. Lane thread only. */
struct wbi_shm_lease {
    const struct wbi_offer *offer; /* NULL: free */
    uint64_t value;
    const uint8_t *data;
    uint64_t len;
    uint8_t shelf;    /* that it lies on, or WBI_SHM_SHELVES: none */
    bool user_memory; /* the peer may ask for it to be staged */
};

struct wbi_shm_leases {
    _Atomic uint64_t *words; /* in our segment */
    uint64_t values;         /* given so far */
    uint32_t free_count;
    uint16_t free[WBI_SHM_LEASES];
    struct wbi_shm_lease of[WBI_SHM_LEASES];
    uint8_t *shelves; /* in our segment */
    uint32_t free_shelf_count;
    uint8_t free_shelves[WBI_SHM_SHELVES]; /* the last one is taken first: it is warm */
};

void wbi_shm_leases_init(struct wbi_shm_leases *leases, const struct wbi_shm_segment *mine);

/* Takes a lease for the offer, of which the peer has the bytes at `address` of slab `segment`, or
 * for WBI_SHM_USER_MEMORY, which is copied onto a shelf if that can be. Fills its key and address.
 * WB_AGAIN: no lease is free. */
int wbi_shm_lease_take(struct wbi_shm_leases *leases, struct wbi_offer *offer, uint32_t segment,
                       uint64_t address);

/* Ends an offer's lease. Afterwards no reader takes its bytes for good. An offer that holds none is
 * ignored. */
void wbi_shm_lease_end(struct wbi_shm_leases *leases, const struct wbi_offer *offer);

/* Ends all. */
void wbi_shm_leases_end(struct wbi_shm_leases *leases);

/* Reader: whether the lease stands before a slice is copied, and whether it stood all the time
 * until now. */
static inline bool wbi_shm_lease_stands(_Atomic uint64_t *word, uint64_t value)
{
    return atomic_load_explicit(word, memory_order_acquire) == value;
}

static inline bool wbi_shm_lease_stood(_Atomic uint64_t *word, uint64_t value)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(word, memory_order_relaxed) == value;
}

#endif
