/* A planted defect: a call that has timed out, or a reply that nobody waits for any more, gets its
 * buffers back at once, whether or not the peer may still read them. */
#include "tests/wb_sim/planted/take_back.h"

bool __real_wbi_lease_set_withdraw(struct wbi_lease_set *set);
bool __wrap_wbi_lease_set_withdraw(struct wbi_lease_set *set);

bool __wrap_wbi_lease_set_withdraw(struct wbi_lease_set *set)
{
    return planted_take_back(set) || __real_wbi_lease_set_withdraw(set);
}
