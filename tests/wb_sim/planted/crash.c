/* A planted defect: the process dies of a signal, after a while. */
#include <stdlib.h>

#include "engine/control.h"
#include "engine/peer.h"

uint16_t __real_wbi_control_credits(struct wb_peer *peer);
uint16_t __wrap_wbi_control_credits(struct wb_peer *peer);

uint16_t __wrap_wbi_control_credits(struct wb_peer *peer)
{
    static unsigned parcels;
    if (++parcels == 100) {
        abort();
    }
    return __real_wbi_control_credits(peer);
}
