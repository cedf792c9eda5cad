/* A planted defect: who gives a call up is told at once that it has ended, and told again when the
 * reply comes. */
#include "engine/call.h"
#include "engine/lane.h"
#include "engine/peer.h"

void __wrap_wbi_calls_cancel(struct wbi_lane *lane);

void __wrap_wbi_calls_cancel(struct wbi_lane *lane)
{
    for (struct wb_peer *peer = lane->peers; peer != NULL; peer = peer->next) {
        for (struct wb_call *call = peer->calls; call != NULL; call = call->next) {
            if (atomic_exchange(&call->unwanted, false) && call->then != NULL) {
                call->then(call, call->user);
            }
        }
    }
}
