#include "mr_cache/address_map.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <waybill/status.h>

#include "mr_cache/region.h"

enum {
    GRANULE_SHIFT = 21,
    LEAF_SHIFT = 13, /* granules of a leaf: 16 GiB in 64 KiB */
    ROOT_SHIFT = 48 - GRANULE_SHIFT - LEAF_SHIFT
};
_Static_assert(1 << GRANULE_SHIFT == WBI_REGION_ALIGN, "a granule never belongs to two regions");

struct leaf {
    _Atomic(struct wbi_slab *) owners[1 << LEAF_SHIFT];
};

/* Leaves are made when first needed and kept: a reader may be in one at any time. */
static _Atomic(struct leaf *) root[1 << ROOT_SHIFT];

static uintptr_t granule_of(const void *address)
{
    return (uintptr_t)address >> GRANULE_SHIFT;
}

static struct leaf *leaf_of(uintptr_t granule)
{
    uintptr_t slot = granule >> LEAF_SHIFT;

    return slot < (1u << ROOT_SHIFT) ? atomic_load_explicit(&root[slot], memory_order_acquire)
                                     : NULL;
}

/* The leaf of a granule, made if there is none yet; NULL without memory. */
static struct leaf *leaf_made(uintptr_t granule)
{
    struct leaf *present = leaf_of(granule);

    if (present || granule >> (ROOT_SHIFT + LEAF_SHIFT))
        return present;
    struct leaf *fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&root[granule >> LEAF_SHIFT], &present, fresh,
                                                memory_order_acq_rel, memory_order_acquire))
        return fresh;
    free(fresh);
    return present;
}

static void set_owner(struct leaf *leaf, uintptr_t granule, struct wbi_slab *slab)
{
    atomic_store_explicit(&leaf->owners[granule & ((1u << LEAF_SHIFT) - 1)], slab,
                          memory_order_release);
}

int wbi_address_map_enter(void *base, size_t bytes, struct wbi_slab *slab)
{
    uintptr_t first = granule_of(base), end = first + (bytes >> GRANULE_SHIFT);

    for (uintptr_t granule = first; granule < end; granule++)
        if (!leaf_made(granule))
            return WB_ERR_NO_MEMORY;
    for (uintptr_t granule = first; granule < end; granule++)
        set_owner(leaf_of(granule), granule, slab);
    return WB_OK;
}

void wbi_address_map_clear(void *base, size_t bytes)
{
    uintptr_t first = granule_of(base), end = first + (bytes >> GRANULE_SHIFT);

    for (uintptr_t granule = first; granule < end; granule++) {
        struct leaf *leaf = leaf_of(granule);
        if (leaf) /* there is none if entering failed */
            set_owner(leaf, granule, NULL);
    }
}

struct wbi_slab *wbi_address_map_find(const void *address)
{
    uintptr_t granule = granule_of(address);
    struct leaf *leaf = leaf_of(granule);

    return leaf ? atomic_load_explicit(&leaf->owners[granule & ((1u << LEAF_SHIFT) - 1)],
                                       memory_order_acquire)
                : NULL;
}
