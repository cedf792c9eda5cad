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
    return config->slab_bytes + slots * stride * wbi_config_lanes(config);
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

static int check_device(const struct wbi_verbs_device *device, const struct wbi_memory_plan *plan)
{
    const struct ibv_device_attr *attr = &device->attr;
    if (attr->max_mr_size != 0 && plan->slab_bytes > attr->max_mr_size) {
        return wbi_error(WB_ERR_BUDGET,
                         "%s registers %" PRIu64 " bytes at once (max_mr_size), and a slab has "
                         "%" PRIu64 ": lower slab_bytes",
                         device->name, attr->max_mr_size, plan->slab_bytes);
    }
    if (attr->max_mr > 0 && plan->regions >= (uint64_t)attr->max_mr) {
        return wbi_error(WB_ERR_NO_MEMORY,
                         "%s registers %d regions (max_mr), and the engine has %" PRIu64
                         " slabs already: raise slab_bytes, so that there are fewer",
                         device->name, attr->max_mr, plan->regions);
    }
    return WB_OK;
}

int wbi_verbs_check_memory(const struct wbi_domain *domain, const struct wb_engine_config *config,
                           const struct wbi_memory_plan *plan)
{
    uint64_t limit = wbi_verbs_memlock_limit(), sets = 0;
    for (unsigned i = 0; i < domain->device_count; i++) {
        bool used = plan->devices == 0 || (plan->devices >> i & 1) != 0;
        int status = used ? check_device(&domain->devices[i], plan) : WB_OK;
        if (status != WB_OK) {
            return status;
        }
        sets += used;
    }
    if (limit == UINT64_MAX || plan->slab_bytes == 0) {
        return WB_OK;
    }
    /* Each device pins what it knows, and the kernel counts them all. */
    uint64_t slots = wbi_verbs_pinned_bytes(config, &domain->caps) - config->slab_bytes;
    uint64_t needed = (plan->registered_bytes + slots) * domain->device_count;
    needed += plan->slab_bytes * sets;
    if (needed <= limit) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_MEMORY,
                     "%" PRIu64 " bytes may be pinned (`ulimit -l`), and %" PRIu64
                     " would be with another slab of %" PRIu64 " bytes: put '* - memlock "
                     "unlimited' into /etc/security/limits.conf and log in anew, or lower "
                     "slab_bytes",
                     limit, needed, plan->slab_bytes);
}
