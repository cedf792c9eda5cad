#include "engine/shm/lease.h"

#include <waybill/status.h>

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

void wbi_shm_key_encode(const struct wbi_shm_key *key, uint8_t bytes[WBI_SHM_KEY_BYTES])
{
    put(bytes, key->segment, 4);
    put(bytes + 4, key->lease, 4);
    put(bytes + 8, key->value, 8);
}

bool wbi_shm_key_decode(const uint8_t *bytes, uint32_t len, struct wbi_shm_key *key)
{
    if (len != WBI_SHM_KEY_BYTES) {
        return false;
    }
    key->segment = (uint32_t)get(bytes, 4);
    key->lease = (uint32_t)get(bytes + 4, 4);
    key->value = get(bytes + 8, 8);
    return key->lease < WBI_SHM_LEASES && key->value != 0;
}

void wbi_shm_leases_init(struct wbi_shm_leases *leases, _Atomic uint64_t *words)
{
    leases->words = words;
    leases->free_count = WBI_SHM_LEASES;
    for (uint32_t i = 0; i < WBI_SHM_LEASES; i++) {
        leases->free[i] = (uint16_t)(WBI_SHM_LEASES - 1 - i);
    }
}

int wbi_shm_lease_take(struct wbi_shm_leases *leases, struct wbi_offer *offer, uint32_t segment)
{
    if (leases->free_count == 0) {
        return WB_AGAIN;
    }
    uint32_t index = leases->free[--leases->free_count];
    uint64_t value = ++leases->values;
    leases->of[index] = (struct wbi_shm_lease){.offer = offer,
                                               .value = value,
                                               .data = offer->data,
                                               .len = offer->len,
                                               .user_memory = segment == WBI_SHM_USER_MEMORY};
    atomic_store_explicit(&leases->words[index], value, memory_order_release);
    offer->lease = index;
    offer->key_len = WBI_SHM_KEY_BYTES;
    wbi_shm_key_encode(&(struct wbi_shm_key){segment, index, value}, offer->key);
    return WB_OK;
}

static void end(struct wbi_shm_leases *leases, uint32_t index)
{
    leases->of[index] = (struct wbi_shm_lease){0};
    atomic_store_explicit(&leases->words[index], 0, memory_order_relaxed);
    leases->free[leases->free_count++] = (uint16_t)index;
}

void wbi_shm_lease_end(struct wbi_shm_leases *leases, const struct wbi_offer *offer)
{
    if (offer->lease >= WBI_SHM_LEASES || leases->of[offer->lease].offer != offer) {
        return;
    }
    end(leases, (uint32_t)offer->lease);
    /* The word changes before whatever the owner writes to the chunk from here on. */
    atomic_thread_fence(memory_order_seq_cst);
}

void wbi_shm_leases_end(struct wbi_shm_leases *leases)
{
    for (uint32_t i = 0; i < WBI_SHM_LEASES && leases->words; i++) {
        if (leases->of[i].offer) {
            end(leases, i);
        }
    }
    atomic_thread_fence(memory_order_seq_cst);
}
