#include "engine/shm/ring.h"

/* Room between head and tail that may be used: one granule stays free for the 0 at the head. */
static uint64_t room(const struct wbi_shm_ring_out *ring, bool control)
{
    uint64_t kept = WBI_SHM_GRANULE + (control ? 0 : WBI_SHM_CONTROL_ROOM);
    uint64_t used = ring->head - ring->tail;
    return ring->bytes > used + kept ? ring->bytes - used - kept : 0;
}

int wbi_shm_ring_reserve(struct wbi_shm_ring_out *ring, uint32_t len, bool control,
                         uint8_t **payload)
{
    uint64_t size = wbi_shm_ring_size(len);
    uint64_t to_end = ring->bytes - (ring->head & (ring->bytes - 1));
    uint64_t pad = size <= to_end ? 0 : to_end;
    if (size + pad > room(ring, control)) {
        uint64_t consumed = atomic_load(ring->consumed);
        if (consumed < ring->tail || consumed > ring->head) {
            return WB_ERR_PROTOCOL;
        }
        ring->tail = consumed;
        if (size + pad > room(ring, control)) {
            return WB_AGAIN;
        }
    }
    ring->at = ring->head + pad;
    ring->reserved = len;
    *payload = wbi_shm_ring_place(ring->base, ring->bytes, ring->at) + sizeof(uint64_t);
    return WB_OK;
}

static uint64_t word_of(uint32_t kind, uint32_t len)
{
    return (uint64_t)len << 32 | kind;
}

void wbi_shm_ring_publish(struct wbi_shm_ring_out *ring, uint32_t kind, uint32_t len)
{
    uint64_t next = ring->at + wbi_shm_ring_size(len);
    _Atomic uint64_t *word = wbi_shm_ring_word(ring->base, ring->bytes, ring->at);
    atomic_store_explicit(wbi_shm_ring_word(ring->base, ring->bytes, next), 0,
                          memory_order_relaxed);
    if (ring->at == ring->head) {
        atomic_store(word, word_of(kind, len));
    } else {
        /* The pad is what the consumer polls, so the message behind it is complete before. */
        uint32_t rest = (uint32_t)(ring->at - ring->head - sizeof(uint64_t));
        atomic_store_explicit(word, word_of(kind, len), memory_order_relaxed);
        atomic_store(wbi_shm_ring_word(ring->base, ring->bytes, ring->head),
                     word_of(WBI_SHM_PAD, rest));
    }
    ring->head = next;
    /* The line that the next message has to clear: fetched for writing while nobody waits for it.
     */
    __builtin_prefetch(ring->base + ((next + WBI_SHM_GRANULE) & (ring->bytes - 1)), 1);
}

int wbi_shm_ring_peek(struct wbi_shm_ring_in *ring, uint32_t max_len,
                      struct wbi_shm_message *message)
{
    for (int pads = 0; pads < 2; pads++) {
        uint64_t offset = ring->position & (ring->bytes - 1);
        uint64_t word = atomic_load_explicit(
            wbi_shm_ring_word(ring->base, ring->bytes, ring->position), memory_order_acquire);
        if (word == 0) {
            return 0;
        }
        uint32_t kind = (uint32_t)word;
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
