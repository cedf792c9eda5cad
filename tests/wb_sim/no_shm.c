/* There is no shared memory between the hosts of a simulated network: linked in place of
 * engine/shm. */
#include "engine/fabric.h"

static int domain_open(const struct wb_engine_config *config, struct wbi_domain **out)
{
    (void)config;
    (void)out;
    return wbi_error(WB_ERR_NO_FABRIC, "hosts of a simulated network share no memory");
}

const struct wbi_fabric wbi_shm_fabric = {.scheme = "shm", .domain_open = domain_open};
