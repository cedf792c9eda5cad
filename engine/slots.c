#include "engine/slots.h"

#include <sys/mman.h>

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

void wbi_slots_give(struct wbi_slots *slots, uint8_t *slot)
{
    struct wbi_free_slot *link = (struct wbi_free_slot *)(void *)slot;
    link->next = slots->free;
    slots->free = link;
}

void wbi_slots_return(struct wbi_slots *slots, uint8_t *slot)
{
    struct wbi_free_slot *link = (struct wbi_free_slot *)(void *)slot;
    link->next = atomic_load_explicit(&slots->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&slots->returned, &link->next, link,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}
