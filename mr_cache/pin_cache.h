/*
 * The registration cache for user memory: ranges that the program has pinned, and registrations of
 * them as far as a bound on bytes goes. It decides what is registered; what is valid the program
 * alone says: a range is here from its pin to its unpin, and nobody guesses.
 *
 *   pinned, absent      <->  pinned, registered, idle  <->  pinned, registered, in use
 *          (first use, room)            (acquire, release)
 *
 * Idle registrations are dropped, the least recently used first, where room is wanted, be it by a
 * slab of the pool or by a chunk; those in use never. Ranges nest, overlap and touch as they like:
 * each is a registration of its own, but that one inside another, registered in the same way, needs
 * none while that lasts.
 *
 * Threads: any function on any thread; wbi_pin_cache_acquire and wbi_pin_release, where they find
 * what they look for, take no lock, call no system and allocate nothing. Changes take a mutex, and
 * let it go while a fabric registers or deregisters. A change makes a new index beside the old one,
 * shows it to the searchers, and waits until those have left who may still be in the old one:
 * `entered` and `left` count them, and no searcher ever waits.
 *
 * Invariants: registered_bytes <= config.bytes, and is the sum of the weights of the ranges with
 * `registered`, or about to be, or going; users is ABSENT or counts the acquisitions that were not
 * released; not ABSENT implies registered.
 */
#ifndef WBI_MR_CACHE_PIN_CACHE_H
#define WBI_MR_CACHE_PIN_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mr_cache/pin_index.h"
#include "mr_cache/pinner.h"

enum { WBI_PINNERS = 4 };

#define WBI_PIN_ABSENT 0x80000000u

/* One range. */
struct wbi_pin {
    _Atomic uint32_t users;          /* or ABSENT */
    _Atomic uint64_t used_at;        /* when it was acquired last, in acquisitions */
    struct wbi_mr *mrs[WBI_PINNERS]; /* by the fabric's number; valid while registered */

    /* under the mutex */
    struct wbi_pin_source source;
    uint64_t count;    /* pins of exactly this range */
    _Atomic bool busy; /* a thread is registering or deregistering it, without the mutex */
    bool registered;
};

struct wbi_pin_cache_config {
    uint64_t bytes;         /* bound on registered_bytes */
    uint32_t registrations; /* bound on ranges that are registered; 0 is none */
    unsigned pinner_count;
    struct wbi_pinner pinners[WBI_PINNERS]; /* by the fabric's number; without reg: needs none */
};

struct wbi_pin_stats {
    uint64_t ranges;           /* distinct, pinned now */
    uint64_t pinned_bytes;     /* of those; overlaps count for each */
    uint64_t registered_bytes; /* of those, registered and pinned by the system */
    uint64_t registrations;    /* made since the start */
    uint64_t evictions;        /* of those, dropped for want of room */
};

struct wbi_pin_cache {
    /* at each acquisition */
    _Atomic(const struct wbi_pin_index *) live; /* one of `indexes` */
    _Atomic uint64_t entered, left;             /* searchers */
    _Atomic uint32_t ranges;                    /* in the live index */

    bool registers; /* some fabric does */
    pthread_mutex_t mutex;
    struct wbi_pin_index indexes[2];
    struct wbi_pin_cache_config config;
    struct wbi_pin_stats stats;
    uint32_t registered;
};

/* Copies config; allocates nothing. close deregisters what is left; nothing is in use. It accepts a
 * zeroed one. */
void wbi_pin_cache_open(struct wbi_pin_cache *cache, const struct wbi_pin_cache_config *config);
void wbi_pin_cache_close(struct wbi_pin_cache *cache);

/*
 * Pins a range that does not wrap around and is not empty, or counts one more pin of it. Registers
 * it if there is room or can be made; else it is left to the first use, but for a dma-buf, which
 * has its registration from here to unpin. WB_ERR_BUDGET: more than the bound. WB_ERR_EXISTS:
 * pinned in another way already. WB_AGAIN: a dma-buf for which there is no room now.
 * WB_ERR_NO_MEMORY; or what a fabric said: then *refused is true, and it has stored its words.
 */
int wbi_pin_cache_pin(struct wbi_pin_cache *cache, const struct wbi_pin_source *source,
                      bool *refused);

/*
 * Ends one pin of exactly this range. With the last one the range is found no more. *rest NULL: its
 * registration has ended too. Else it is in use, and the caller, who now owns *rest, waits until
 * wbi_pin_is_idle, and then forgets it. WB_ERR_INVALID: it is not pinned. WB_ERR_DEADLOCK: it is in
 * use and the caller may not wait; it stays pinned. Never fails for want of memory.
 */
int wbi_pin_cache_unpin(struct wbi_pin_cache *cache, const void *address, size_t bytes,
                        bool may_wait, struct wbi_pin **rest);
bool wbi_pin_is_idle(const struct wbi_pin *pin);
/* Takes a pin that left the cache and is idle. Afterwards nobody can read it. */
void wbi_pin_cache_forget(struct wbi_pin_cache *cache, struct wbi_pin *pin);

/*
 * A registered range that contains [data, data + bytes), to be released; or NULL: none is pinned,
 * or none can be registered now. Of several the innermost that is registered; where none is, the
 * innermost is registered anew.
 */
struct wbi_pin *wbi_pin_cache_acquire(struct wbi_pin_cache *cache, const void *data,
                                      uint64_t bytes);
/* By whoever acquired it. What was read by its key may be taken back afterwards. */
void wbi_pin_release(struct wbi_pin *pin);

/* Drops the idle registration that was used least recently, for the sake of somebody who finds no
 * room. False: there is none. */
bool wbi_pin_cache_shed(struct wbi_pin_cache *cache);

/* Exact, of one moment. */
void wbi_pin_cache_stats(struct wbi_pin_cache *cache, struct wbi_pin_stats *stats);

#endif
