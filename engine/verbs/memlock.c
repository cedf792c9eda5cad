#include "engine/verbs/memlock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "engine/share.h"
#include "engine/verbs/domain.h"
#include "engine/verbs/send_slots.h"

enum { CAPABILITY_IPC_LOCK = 14 }; /* linux/capability.h */

/* Whoever has CAP_IPC_LOCK may pin without limit. */
static bool may_lock_all(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t effective = 0;
    if (status == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "CapEff: %" SCNx64, &effective);
    }
    (void)fclose(status);
    return (effective >> CAPABILITY_IPC_LOCK & 1) != 0;
}

uint64_t wbi_verbs_memlock_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        may_lock_all()) {
        return UINT64_MAX;
    }
    return limit.rlim_cur;
}

uint64_t wbi_verbs_pinned_bytes(const struct wb_engine_config *config,
                                const struct wbi_fabric_caps *caps)
{
    struct wbi_shares shares;
    if (wbi_share_out(config, caps, &shares) != WB_OK) {
        return UINT64_MAX;
    }
    uint64_t stride = (uint64_t)shares.eager_bytes + 192; /* as slots are laid out, at most */
    uint64_t slots = (uint64_t)shares.slots + WBI_VERBS_SHARED_SENDS +
                     (uint64_t)shares.peers * WBI_VERBS_KEPT_SENDS;
    return config->slab_bytes + slots * stride;
}

int wbi_verbs_memlock_check(const struct wb_engine_config *config,
                            const struct wbi_fabric_caps *caps)
{
    uint64_t limit = wbi_verbs_memlock_limit(), each = wbi_verbs_pinned_bytes(config, caps);
    if (each == UINT64_MAX) {
        return WB_ERR_NO_FABRIC;
    }
    uint64_t needed = each * caps->slot_sets;
    if (needed <= limit) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_FABRIC,
                     "%" PRIu64 " bytes may be pinned (`ulimit -l`), and %" PRIu64
                     " are needed to begin: "
                     "put '* - memlock unlimited' into /etc/security/limits.conf and log in anew",
                     limit, needed);
}
