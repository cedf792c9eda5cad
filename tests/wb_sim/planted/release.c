/* A planted defect: the release is sent when the READs begin, and not when the last has ended. */
#include "engine/control.h"
#include "engine/inbound.h"

void __real_wbi_fetch_begin(struct wbi_inbound *inbound);
void __wrap_wbi_fetch_begin(struct wbi_inbound *inbound);

void __wrap_wbi_fetch_begin(struct wbi_inbound *inbound)
{
    if (inbound->lease_id != 0 && inbound->stage == WBI_STAGE_CHUNKS) {
        wbi_control_release(inbound->peer, inbound->lease_id);
        inbound->lease_id = 0;
    }
    __real_wbi_fetch_begin(inbound);
}
