/* What two planted defects do: memory that is lent goes back to its owner without the peer's word.
 */
#ifndef WAYBILL_TESTS_WB_SIM_PLANTED_TAKE_BACK_H
#define WAYBILL_TESTS_WB_SIM_PLANTED_TAKE_BACK_H

#include "engine/lane.h"
#include "engine/lease.h"
#include "engine/peer.h"

/* The set is gone afterwards. False: the peer cannot read what it offers, all is as it was. */
static inline bool planted_take_back(struct wbi_lease_set *set)
{
    struct wb_peer *peer = set->peer;
    if (!set->sent || peer == NULL || peer->channel == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < set->offered; i++) {
        if (set->chunks[i].kind != WB_CHUNK_INDEX) {
            peer->lane->fabric->retire(peer->channel, &set->offers[i]);
        }
    }
    wbi_lease_set_drop(set);
    return true;
}

#endif
