/*
 * The message ring: one producer, one consumer, messages of any length in granules of one cache
 * line.
 *
 *   | word | payload ... | word | payload ... | old
 *   ^ consumer's position                     ^ producer's head
 *
 *   word = length << 32 | number << 8 | kind
 *
 * A word's number is that of its granule, counted over all laps (modulo 2^24). Invariant: the word
 * at the head has not the head's number, or is 0, until a message begins there. So the consumer
 * polls exactly the word of the next message, and for a small message a single line moves: what lay
 * there in the last lap need not be cleared, unless it was in the middle of a longer message or
 * pad. A message lies in one piece; where it does not fit before the end, a pad fills the rest.
 * head - consumed + one granule <= bytes, always.
 *
 * The consumer publishes how far it is when a quarter is consumed and when it finds the ring empty;
 * the producer reads that only when it believes the ring full. (The polled word instead of a tail:
 * FastForward, Giacomoni 2008.)
 */
#ifndef WBI_SHM_RING_H
#define WBI_SHM_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <waybill/status.h>

#include "engine/fabric.h"

enum {
    WBI_SHM_GRANULE = 64,
    WBI_SHM_CONTROL_BYTES = WBI_CONTROL_ROOM,
    /* Kept back for control messages: two of the largest, and a pad before one of them. */
    WBI_SHM_CONTROL_ROOM = 3 * (WBI_SHM_CONTROL_BYTES + WBI_SHM_GRANULE)
};

enum wbi_shm_kind { WBI_SHM_DATA = 1, WBI_SHM_PAD = 2, WBI_SHM_STAGE_REQUEST = 3 };

/* The producer's side. Private memory of one thread. */
struct wbi_shm_ring_out {
    uint8_t *base;
    uint32_t bytes;             /* a power of two */
    uint64_t head;              /* bytes published, pads included */
    uint64_t tail;              /* what we know of the consumer's position */
    uint64_t spoilt;            /* end of the last that had several granules, sent or given up */
    _Atomic uint64_t *consumed; /* the consumer's word */
    uint64_t at;                /* where the reserved message begins: head, or past a pad */
};

/* The consumer's side. Private memory of one thread. */
struct wbi_shm_ring_in {
    uint8_t *base;
    uint32_t bytes;
    uint64_t position;
    uint64_t published;         /* the position that the producer has been told */
    _Atomic uint64_t *consumed; /* our word */
};

struct wbi_shm_message {
    uint32_t kind;
    uint32_t len;
    const uint8_t *payload; /* in the ring: the producer can still change it */
};

static inline uint64_t wbi_shm_ring_size(uint32_t len)
{
    return ((uint64_t)len + sizeof(uint64_t) + WBI_SHM_GRANULE - 1) &
           ~(uint64_t)(WBI_SHM_GRANULE - 1);
}

static inline uint8_t *wbi_shm_ring_place(uint8_t *base, uint32_t bytes, uint64_t at)
{
    return base + (at & (bytes - 1));
}

static inline _Atomic uint64_t *wbi_shm_ring_word(uint8_t *base, uint32_t bytes, uint64_t at)
{
    return (_Atomic uint64_t *)(void *)wbi_shm_ring_place(base, bytes, at);
}

/* What a word's low half is above its kind, if its message begins at `at`. */
static inline uint32_t wbi_shm_ring_number(uint64_t at)
{
    return (uint32_t)(at / WBI_SHM_GRANULE) << 8;
}

/* Whether a word that was read at `at` is that of a message (or rubbish), and not an old one. */
static inline bool wbi_shm_ring_begins(uint64_t word, uint64_t at)
{
    return (((uint32_t)word ^ wbi_shm_ring_number(at)) & ~0xffu) == 0 && word != 0;
}

/*
 * Reserves room for `len` bytes and sets *payload; a later reservation replaces it. Without
 * `control`, WBI_SHM_CONTROL_ROOM stays free. WB_AGAIN: no room. WB_ERR_PROTOCOL: the consumer's
 * position is impossible.
 */
int wbi_shm_ring_reserve(struct wbi_shm_ring_out *ring, uint32_t len, bool control,
                         uint8_t **payload);

/* Whether so many bytes more have room, as far as is known: one granule stays free for the 0 at the
 * head. */
static inline bool wbi_shm_ring_has_room(const struct wbi_shm_ring_out *ring, uint64_t more,
                                         bool control)
{
    uint64_t kept = WBI_SHM_GRANULE + (control ? 0 : WBI_SHM_CONTROL_ROOM);
    return ring->head - ring->tail + more + kept <= ring->bytes;
}

/* The payload's place of a message of `size` bytes that is to begin at `at`: it is reserved. What
 * is about to be written may stay there though it is never published. */
static inline uint8_t *wbi_shm_ring_take(struct wbi_shm_ring_out *ring, uint64_t at, uint64_t size)
{
    uint64_t end = at + size;
    ring->at = at;
    if (end - ring->head > WBI_SHM_GRANULE && end > ring->spoilt) {
        ring->spoilt = end;
    }
    return wbi_shm_ring_place(ring->base, ring->bytes, at) + sizeof(uint64_t);
}

/* Reserves as above, where that needs neither a pad nor a look at the consumer's position, as
 * mostly; or NULL. */
static inline uint8_t *wbi_shm_ring_reserve_here(struct wbi_shm_ring_out *ring, uint32_t len,
                                                 bool control)
{
    uint64_t size = wbi_shm_ring_size(len);
    uint64_t to_end = ring->bytes - (ring->head & (ring->bytes - 1));
    bool goes = size <= to_end && wbi_shm_ring_has_room(ring, size, control);
    return goes ? wbi_shm_ring_take(ring, ring->head, size) : NULL;
}

/* Publishes the reserved message, `len` at most what was reserved. Fenced: sequentially consistent,
 * so that a load of the consumer's attention after it cannot come too early. */
void wbi_shm_ring_publish(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len);
void wbi_shm_ring_publish_fenced(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len);

/* Whether the consumer has freed room since reserve() last looked. */
static inline bool wbi_shm_ring_moved(const struct wbi_shm_ring_out *ring)
{
    return atomic_load(ring->consumed) != ring->tail;
}

/* Whether a message (or rubbish) is there. Sequentially consistent. */
static inline bool wbi_shm_ring_ready(const struct wbi_shm_ring_in *ring)
{
    uint64_t word = atomic_load(wbi_shm_ring_word(ring->base, ring->bytes, ring->position));
    return wbi_shm_ring_begins(word, ring->position);
}

/* What peek says where the word is not simply that of a message: past a pad, or of rubbish. */
int wbi_shm_ring_peek_past(struct wbi_shm_ring_in *ring, uint32_t max_len,
                           struct wbi_shm_message *message);

/* Looks at the next message, past a pad: 1 and *message, 0 nothing there, WB_ERR_PROTOCOL rubbish.
 */
static inline int wbi_shm_ring_peek(struct wbi_shm_ring_in *ring, uint32_t max_len,
                                    struct wbi_shm_message *message)
{
    uint64_t offset = ring->position & (ring->bytes - 1);
    uint64_t word = atomic_load_explicit(wbi_shm_ring_word(ring->base, ring->bytes, ring->position),
                                         memory_order_acquire);
    uint32_t len = (uint32_t)(word >> 32);
    if (!wbi_shm_ring_begins(word, ring->position)) {
        return 0;
    }
    if ((uint8_t)word != WBI_SHM_DATA || len > max_len ||
        wbi_shm_ring_size(len) > ring->bytes - offset) {
        return wbi_shm_ring_peek_past(ring, max_len, message);
    }
    message->kind = WBI_SHM_DATA;
    message->len = len;
    message->payload = ring->base + offset + sizeof(uint64_t);
    return 1;
}

/* Frees the room of the message that peek gave. Returns whether the position was published with a
 * full fence: then a producer that had starved before is to be told. */
static inline bool wbi_shm_ring_consume(struct wbi_shm_ring_in *ring, uint32_t len)
{
    ring->position += wbi_shm_ring_size(len);
    if (ring->position - ring->published < ring->bytes / 4) {
        return false;
    }
    ring->published = ring->position;
    atomic_store(ring->consumed, ring->position);
    return true;
}

/* Publishes the position if it is not, for a ring that was found empty. */
static inline void wbi_shm_ring_settle(struct wbi_shm_ring_in *ring)
{
    if (ring->published != ring->position) {
        ring->published = ring->position;
        atomic_store_explicit(ring->consumed, ring->position, memory_order_release);
    }
}

#endif
