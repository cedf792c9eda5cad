/* A planted defect: a call that has timed out, or a reply that nobody waits for any more, gets its
 * buffers back at once, whether or not the peer may still read them. */
#include "engine/lease.h"
#include "engine/lane.h"
#include "engine/peer.h"

bool __real_wbi_lease_set_withdraw(struct wbi_lease_set *set);
bool __wrap_wbi_lease_set_withdraw(struct wbi_lease_set *set);

bool __wrap_wbi_lease_set_withdraw(struct wbi_lease_set *set)
{
    struct wb_peer *peer = set->peer;
    if (!set->sent || peer == NULL || peer->channel == NULL) {
        return __real_wbi_lease_set_withdraw(set);
    }
    for (uint32_t i = 0; i < set->offered; i++) {
        if (set->chunks[i].kind != WB_CHUNK_INDEX) {
            peer->lane->fabric->retire(peer->channel, &set->offers[i]);
        }
    }
    wbi_lease_set_drop(set);
    return true;
}
