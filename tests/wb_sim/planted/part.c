/* A planted defect: what has been kept of a bundle keeps its slot for good. */
#include "engine/bundle.h"
#include "engine/slots.h"

void __real_wbi_slots_return(struct wbi_slots *slots, uint8_t *slot);
void __wrap_wbi_slots_return(struct wbi_slots *slots, uint8_t *slot);

void __wrap_wbi_slots_return(struct wbi_slots *slots, uint8_t *slot)
{
    if (((uintptr_t)slot & WBI_BUNDLE_FRAME) == 0) {
        __real_wbi_slots_return(slots, slot);
    }
}
