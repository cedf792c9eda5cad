/* A planted defect: a credit that goes back with a parcel is counted twice, now and then. */
#include "engine/control.h"
#include "engine/peer.h"

uint16_t __real_wbi_control_credits(struct wb_peer *peer);
uint16_t __wrap_wbi_control_credits(struct wb_peer *peer);

uint16_t __wrap_wbi_control_credits(struct wb_peer *peer)
{
    static unsigned parcels;
    if (peer->owed > 0 && ++parcels % 16 == 0) {
        peer->owed++;
    }
    return __real_wbi_control_credits(peer);
}
