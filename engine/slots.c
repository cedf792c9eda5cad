#include "engine/slots.h"

#include <string.h>
#include <sys/mman.h>

#include "engine/bundle.h"

int wbi_slots_open(struct wbi_slots *slots, uint32_t eager_bytes, uint32_t count)
{
    /* 64 more than a power of two, so that the slots' first lines fall into different cache sets */
    size_t stride = (((size_t)eager_bytes + 63) & ~(size_t)63) + 64;
    if (stride % 4096 == 0) {
        stride += 64;
    }
    size_t bytes = stride * count;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return wbi_error(WB_ERR_NO_MEMORY,
                         "no %zu bytes for %u receive slots; lower max_calls or credits", bytes,
                         count);
    }
    *slots = (struct wbi_slots){.arena = {.base = base, .stride = stride, .count = count},
                                .mapped_bytes = bytes};
    return WB_OK;
}

void wbi_slots_close(struct wbi_slots *slots)
{
    if (slots->arena.base != NULL) {
        munmap(slots->arena.base, slots->mapped_bytes);
        slots->arena.base = NULL;
    }
}

uint8_t *wbi_slots_take(struct wbi_slots *slots)
{
    struct wbi_free_slot *slot = slots->free;
    if (slot == NULL) {
        slot = atomic_exchange_explicit(&slots->returned, NULL, memory_order_acquire);
        slots->free = slot;
    }
    if (slot != NULL) {
        slots->free = slot->next;
        return (uint8_t *)slot;
    }
    return slots->fresh < slots->arena.count
               ? slots->arena.base + slots->arena.stride * slots->fresh++
               : NULL;
}

/* ---- parts ---- */

static bool is_part(const uint8_t *slot)
{
    return ((uintptr_t)slot & WBI_BUNDLE_FRAME) != 0;
}

/* In the first frame, behind the word that says how far the first part is into the slot. */
static _Atomic uint32_t *parts_left(uint8_t *slot)
{
    return (_Atomic uint32_t *)(void *)(slot + sizeof(uint32_t));
}

static bool give_parts(uint8_t *slot, uint32_t count)
{
    return atomic_fetch_sub_explicit(parts_left(slot), count, memory_order_acq_rel) == count;
}

/* One part needs its slot no more. NULL: others do. */
static __attribute__((noinline)) uint8_t *slot_of_last(const uint8_t *part)
{
    uint32_t into;
    memcpy(&into, part - WBI_BUNDLE_FRAME, sizeof into);
    uint8_t *slot = (uint8_t *)(uintptr_t)(part - into);
    return give_parts(slot, 1) ? slot : NULL;
}

void wbi_slots_share(uint8_t *slot, uint32_t count)
{
    atomic_init(parts_left(slot), count);
}

size_t wbi_slots_part(const uint8_t *slot, uint8_t *parcel)
{
    uint8_t *frame = parcel - WBI_BUNDLE_FRAME;
    size_t bytes = wbi_bundle_length(frame);
    uint32_t into = (uint32_t)(parcel - slot);
    memcpy(frame, &into, sizeof into);
    return bytes;
}

void wbi_slots_shared(struct wbi_slots *slots, uint8_t *slot, uint32_t not_kept)
{
    /* parts that were kept may all have been returned: then the slot is another's */
    if (not_kept > 0 && give_parts(slot, not_kept)) {
        wbi_slots_give(slots, slot);
    }
}

/* ---- back ---- */

void wbi_slots_give(struct wbi_slots *slots, uint8_t *slot)
{
    struct wbi_free_slot *link = (struct wbi_free_slot *)(void *)slot;
    link->next = slots->free;
    slots->free = link;
}

void wbi_slots_return(struct wbi_slots *slots, uint8_t *slot)
{
    if (is_part(slot)) {
        slot = slot_of_last(slot);
        if (slot == NULL) {
            return;
        }
    }
    struct wbi_free_slot *link = (struct wbi_free_slot *)(void *)slot;
    link->next = atomic_load_explicit(&slots->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&slots->returned, &link->next, link,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}
