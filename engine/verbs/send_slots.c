#include "engine/verbs/send_slots.h"

#include <sys/mman.h>

#include "engine/fabric.h"

int wbi_verbs_send_slots_open(struct wbi_verbs_send_slots *slots, uint32_t eager_bytes,
                              uint32_t max_channels)
{
    /* 64 more, so that the slots' first lines fall into different cache sets */
    size_t stride = (((size_t)eager_bytes + 63) & ~(size_t)63) + 64;
    uint32_t count = max_channels * WBI_VERBS_KEPT_SENDS + WBI_VERBS_SHARED_SENDS;
    size_t control = stride * count;
    size_t bytes = control + (size_t)max_channels * 2 * WBI_CONTROL_ROOM;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return wbi_error(WB_ERR_NO_MEMORY, "no %zu bytes for %u send slots", bytes, count);
    }
    *slots = (struct wbi_verbs_send_slots){.base = base,
                                           .control = (uint8_t *)base + control,
                                           .mapped_bytes = bytes,
                                           .stride = stride,
                                           .count = count,
                                           .shared = WBI_VERBS_SHARED_SENDS};
    return WB_OK;
}

void wbi_verbs_send_slots_close(struct wbi_verbs_send_slots *slots)
{
    if (slots->base != NULL) {
        munmap(slots->base, slots->mapped_bytes);
        slots->base = NULL;
    }
}
