/*
 * Which slab owns an address: one table for the process, two levels of 2 MiB granules over 48-bit
 * addresses, read without a lock. It answers wbi_rma_find for every pool at once.
 */
#ifndef WBI_MR_CACHE_ADDRESS_MAP_H
#define WBI_MR_CACHE_ADDRESS_MAP_H

#include <stddef.h>

struct wbi_slab;

/*
 * Enters `slab` (borrowed until cleared) as the owner of [base, base + bytes), both multiples of 2
 * MiB; the range is nobody's. Any thread. Errors: WB_ERR_NO_MEMORY (also for an address beyond 48
 * bits); then nothing is entered.
 */
int wbi_address_map_enter(void *base, size_t bytes, struct wbi_slab *slab);

/* Forgets the owner of [base, base + bytes). Any thread. */
void wbi_address_map_clear(void *base, size_t bytes);

/* The slab that owns the byte at `address`, or NULL. Any thread, no lock, two loads. */
struct wbi_slab *wbi_address_map_find(const void *address);

#endif
