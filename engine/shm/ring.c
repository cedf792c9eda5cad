#include "engine/shm/ring.h"

int wbi_shm_ring_reserve(struct wbi_shm_ring_out *ring, uint32_t len, bool control,
                         uint8_t **payload)
{
    uint64_t size = wbi_shm_ring_size(len);
    uint64_t to_end = ring->bytes - (ring->head & (ring->bytes - 1));
    uint64_t pad = size <= to_end ? 0 : to_end;
    if (!wbi_shm_ring_has_room(ring, size + pad, control)) {
        uint64_t consumed = atomic_load(ring->consumed);
        if (consumed < ring->tail || consumed > ring->head) {
            return WB_ERR_PROTOCOL;
        }
        ring->tail = consumed;
        if (!wbi_shm_ring_has_room(ring, size + pad, control)) {
            return WB_AGAIN;
        }
    }
    *payload = wbi_shm_ring_take(ring, ring->head + pad, size);
    return WB_OK;
}

static inline __attribute__((always_inline)) void
set_word(const struct wbi_shm_ring_out *ring, uint64_t at, uint64_t value, memory_order order)
{
    atomic_store_explicit(wbi_shm_ring_word(ring->base, ring->bytes, at), value, order);
}

static uint64_t word_of(uint64_t at, uint32_t kind, uint32_t len)
{
    return (uint64_t)len << 32 | wbi_shm_ring_number(at) | kind;
}

/* Whether what lies at `at` is of the middle of something, and may look like a word. */
static bool is_spoilt(const struct wbi_shm_ring_out *ring, uint64_t at)
{
    return at < ring->spoilt + ring->bytes;
}

/* Inline: an order that is not known where the store is made would be the strictest. */
static inline __attribute__((always_inline)) void
publish(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len, memory_order order)
{
    uint64_t next = ring->at + wbi_shm_ring_size(len);
    if (is_spoilt(ring, next)) {
        set_word(ring, next, 0, memory_order_relaxed);
        /* what the message after that may have to clear: fetched while nobody waits for it */
        __builtin_prefetch(wbi_shm_ring_place(ring->base, ring->bytes, next + WBI_SHM_GRANULE), 1);
    }
    if (ring->at == ring->head) {
        set_word(ring, ring->at, word_of(ring->at, kind, len), order);
    } else {
        /* The pad is what the consumer polls, so the message behind it is complete before. */
        uint32_t rest = (uint32_t)(ring->at - ring->head - sizeof(uint64_t));
        set_word(ring, ring->at, word_of(ring->at, kind, len), memory_order_relaxed);
        set_word(ring, ring->head, word_of(ring->head, WBI_SHM_PAD, rest), order);
    }
    ring->head = next;
}

void wbi_shm_ring_publish(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len)
{
    publish(ring, kind, len, memory_order_release);
}

void wbi_shm_ring_publish_fenced(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len)
{
    publish(ring, kind, len, memory_order_seq_cst);
}

int wbi_shm_ring_peek_past(struct wbi_shm_ring_in *ring, uint32_t max_len,
                           struct wbi_shm_message *message)
{
    for (int pads = 0; pads < 2; pads++) {
        uint64_t offset = ring->position & (ring->bytes - 1);
        uint64_t word = atomic_load_explicit(
            wbi_shm_ring_word(ring->base, ring->bytes, ring->position), memory_order_acquire);
        if (!wbi_shm_ring_begins(word, ring->position)) {
            return 0;
        }
        uint32_t kind = (uint8_t)word;
        uint32_t len = (uint32_t)(word >> 32);
        uint64_t size = wbi_shm_ring_size(len);
        if (kind == WBI_SHM_PAD) {
            if (offset == 0 || len != ring->bytes - offset - sizeof(uint64_t)) {
                return WB_ERR_PROTOCOL;
            }
            ring->position += size;
            continue;
        }
        if ((kind != WBI_SHM_DATA && kind != WBI_SHM_STAGE_REQUEST) || len > max_len ||
            size > ring->bytes - offset) {
            return WB_ERR_PROTOCOL;
        }
        *message = (struct wbi_shm_message){kind, len, ring->base + offset + sizeof(uint64_t)};
        return 1;
    }
    return WB_ERR_PROTOCOL;
}
