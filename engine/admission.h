/*
 * Admission: which requests may begin to land. They share one figure of the engine, whatever lane
 * they come by: bytes of those that were let in, until they end. It bounds who begins; what there
 * is, the pool says. No lock: lanes add and take away, and meet at that one word only for parcels
 * with chunks.
 */
#ifndef WBI_ENGINE_ADMISSION_H
#define WBI_ENGINE_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wbi_inbound;
struct wbi_lane;

struct wbi_admission {
    _Atomic uint64_t bytes;   /* the sum of `admitted` of all inbound requests */
    _Atomic uint64_t kept_at; /* when the one that keeps its landings last had one more; or 0 */
    _Atomic uint64_t tickets; /* given to requests that wait for landings, as they came */
};

/* What parts need of the pool. Sums saturate. */
struct wbi_load {
    uint64_t bytes;  /* all of them */
    uint64_t alone;  /* slabs of those that have one each, since they are larger than a slab is */
    uint64_t shared; /* the others */
    uint64_t halves; /* how many of the others are larger than half a slab */
};

/* Adds a part of `bytes` bytes; 0 is none. */
void wbi_load_add(struct wbi_load *load, const struct wbi_lane *lane, uint64_t bytes);

/*
 * Lane thread: lets a request land its stage, and counts it with all that it will land as far as
 * its message says that; a reply's room is its caller's. WB_AGAIN: others are first; nothing is
 * counted. WB_ERR_BUDGET: with all its parts it could never be in the pool.
 */
int wbi_admit(struct wbi_inbound *inbound);

/* Lane thread: the filter of a request is undone: what was landed for that counts no more. */
void wbi_admit_undone(struct wbi_inbound *inbound);

/* Lane thread: counts a request with `bytes` again, less than it was: its landings were not to be
 * had, or (0) it has ended. */
void wbi_admit_less(struct wbi_inbound *inbound, uint64_t bytes);

/*
 * Lane thread: whether a request that is let in may wait with the landings that it has of its
 * stage, `landed` > 0. One of the engine may, until it gives that up or ends
 * (wbi_admission_keep_not), has had none more for the grace period (then another may take its
 * turn), or has kept for some of those.
 */
bool wbi_admission_keep(struct wbi_inbound *inbound, uint32_t landed);
void wbi_admission_keep_not(struct wbi_inbound *inbound);

/* Lane thread: whether another one keeps, and may: the pool makes way for that one alone. */
bool wbi_admission_another_keeps(const struct wbi_inbound *inbound);

/* Lane thread: whether it is others that keep this one out, and not only the pool. */
bool wbi_admission_is_full(const struct wbi_inbound *inbound);

/* Lane thread: the ticket of a request that begins to wait. */
uint64_t wbi_admission_ticket(struct wbi_lane *lane);

#endif
