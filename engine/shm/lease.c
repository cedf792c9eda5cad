#include "engine/shm/lease.h"

#include <string.h>
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

void wbi_shm_leases_init(struct wbi_shm_leases *leases, const struct wbi_shm_segment *mine)
{
    leases->words = mine->head->leases;
    leases->shelves = mine->shelves;
    leases->free_shelf_count = WBI_SHM_SHELVES;
    for (uint32_t i = 0; i < WBI_SHM_SHELVES; i++) {
        leases->free_shelves[i] = (uint8_t)(WBI_SHM_SHELVES - 1 - i);
    }
    leases->free_count = WBI_SHM_LEASES;
    for (uint32_t i = 0; i < WBI_SHM_LEASES; i++) {
        leases->free[i] = (uint16_t)(WBI_SHM_LEASES - 1 - i);
    }
}

/* Copies a chunk onto a shelf, if it is small enough and one is free. Returns that, or
 * WBI_SHM_SHELVES. */
static uint8_t shelve(struct wbi_shm_leases *leases, const struct wbi_offer *offer)
{
    if (offer->len > WBI_SHM_SHELF_BYTES || leases->free_shelf_count == 0) {
        return WBI_SHM_SHELVES;
    }
    uint8_t shelf = leases->free_shelves[--leases->free_shelf_count];
    memcpy(leases->shelves + (size_t)shelf * WBI_SHM_SHELF_BYTES, offer->data, offer->len);
    return shelf;
}

int wbi_shm_lease_take(struct wbi_shm_leases *leases, struct wbi_offer *offer, uint32_t segment,
                       uint64_t address)
{
    if (leases->free_count == 0) {
        return WB_AGAIN;
    }
    uint32_t index = leases->free[--leases->free_count];
    uint64_t value = ++leases->values;
    uint8_t shelf = segment == WBI_SHM_USER_MEMORY ? shelve(leases, offer) : WBI_SHM_SHELVES;
    if (shelf != WBI_SHM_SHELVES) {
        segment = WBI_SHM_SHELVED;
        address = (uint64_t)shelf * WBI_SHM_SHELF_BYTES;
    }
    leases->of[index] = (struct wbi_shm_lease){.offer = offer,
                                               .value = value,
                                               .data = offer->data,
                                               .len = offer->len,
                                               .shelf = shelf,
                                               .user_memory = segment == WBI_SHM_USER_MEMORY};
    atomic_store_explicit(&leases->words[index], value, memory_order_release);
    offer->lease = index;
    offer->address = address;
    offer->key_len = WBI_SHM_KEY_BYTES;
    wbi_shm_key_encode(&(struct wbi_shm_key){segment, index, value}, offer->key);
    return WB_OK;
}

static void end(struct wbi_shm_leases *leases, uint32_t index)
{
    if (leases->of[index].shelf != WBI_SHM_SHELVES) {
        leases->free_shelves[leases->free_shelf_count++] = leases->of[index].shelf;
    }
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
