/* The cache of pins from within: whose turn it is with a pin, its registrations, and the room that
 * they take. `cache->mutex` is held where it says so. */
#ifndef WBI_MR_CACHE_PIN_ROOM_H
#define WBI_MR_CACHE_PIN_ROOM_H

#include "mr_cache/pin_cache.h"

/* The index that searchers see, for who holds the mutex: nobody else changes it. */
static inline const struct wbi_pin_index *wbi_pin_live(struct wbi_pin_cache *cache)
{
    return atomic_load_explicit(&cache->live, memory_order_relaxed);
}

static inline bool wbi_pin_is_dmabuf(const struct wbi_pin_source *source)
{
    return source->fd >= 0;
}

/* What a registration of it takes of the bound: what is paged on demand is not pinned. */
uint64_t wbi_pin_weight(const struct wbi_pin_cache *cache, const struct wbi_pin_source *source);

/* Mutex: takes an idle pin, so that nobody acquires it any more. False: it is in use or busy. */
bool wbi_pin_claim(struct wbi_pin *pin);

/* Mutex: says that this thread deals with the registration of the pin, which is ABSENT, and that it
 * has done so: whoever waits to forget it may do so then. */
void wbi_pin_set_busy(struct wbi_pin *pin, bool busy);

/* Deregisters what is registered. The pin is busy, or nobody else's; no mutex. */
void wbi_pin_dereg(const struct wbi_pin_cache *cache, struct wbi_pin *pin);

/* Mutex, let go meanwhile: takes so much of the room, dropping idle registrations if need be.
 * False: what is in use leaves too little. */
bool wbi_pin_make_room(struct wbi_pin_cache *cache, uint64_t bytes);
/* Mutex. */
void wbi_pin_give_room(struct wbi_pin_cache *cache, uint64_t bytes);

/* Mutex, let go meanwhile: registers a pin that is busy and for which room was taken, and ends its
 * being busy; it has so many users then. What a fabric says; on failure the room is given back. */
int wbi_pin_settle(struct wbi_pin_cache *cache, struct wbi_pin *pin, uint32_t users);

#endif
