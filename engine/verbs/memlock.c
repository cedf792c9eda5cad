#include "engine/verbs/memlock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "engine/fabric.h"

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

int wbi_verbs_memlock_check(uint64_t bytes)
{
    uint64_t limit = wbi_verbs_memlock_limit();
    if (bytes < limit) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_FABRIC,
                     "%" PRIu64 " bytes may be pinned (`ulimit -l`) and the first slab has %" PRIu64
                     ": add the line '* - memlock unlimited' to /etc/security/limits.conf and log "
                     "in anew",
                     limit, bytes);
}
