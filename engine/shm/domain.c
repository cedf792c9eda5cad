#include "engine/shm/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/shm/lane.h"

static const struct wbi_fabric_caps caps = {
    .max_eager_bytes = WBI_SHM_MAX_EAGER,
    .read_depth = WBI_SHM_READ_DEPTH,
    .read_ahead = 1 << 20, /* what is copied soon should still be in a cache */
    .key_bytes = 16,
    .max_offers = WBI_SHM_LEASES,
    .max_read_bytes = UINT64_MAX / 2,
    .read_align = 1,
    .max_regions = WBI_SHM_MAX_IMPORTS,
    .max_region_bytes = 0,
    .kept_slots = 2,
    .slot_sets = 1,
    .max_channels = WBI_SHM_MAX_CHANNELS,
    .revokes_at_once = true,
    .stages = true,
};

int wbi_shm_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Whether this kernel has what the fabric stands on: memfds that can be sealed against later
 * writers (Linux 5.1). */
static bool can_seal(void)
{
    int fd = memfd_create("waybill-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return false;
    }
    bool can = fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;
    close(fd);
    return can;
}

static bool has_pidfd(void)
{
    int fd = wbi_shm_pidfd(getpid());
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

void wbi_shm_describe(struct wb_fabric_info *info)
{
    memset(info, 0, sizeof *info);
    info->scheme = "shm";
    info->usable = can_seal();
    if (!info->usable) {
        snprintf(
            info->why_not, sizeof info->why_not,
            "memfds cannot be created or sealed here (%s): Linux 5.1 or later is needed, and a "
            "sandbox must allow memfd_create",
            strerror(errno));
    }
    snprintf(info->details, sizeof info->details,
             "max_eager_bytes %d\nread_depth %d\nchannels_a_lane %d\nleases_a_channel %d\n"
             "max_slabs %d\nstaging_bytes %d\nshelf_bytes %d\nslice_bytes %d\npidfd %s\n",
             WBI_SHM_MAX_EAGER, WBI_SHM_READ_DEPTH, WBI_SHM_MAX_CHANNELS, WBI_SHM_LEASES,
             WBI_SHM_MAX_IMPORTS, WBI_SHM_PIECES * WBI_SHM_PIECE_BYTES, WBI_SHM_SHELF_BYTES,
             WBI_SHM_SLICE, has_pidfd() ? "yes" : "no");
}

int wbi_shm_domain_open(const struct wb_engine_config *config, struct wbi_domain **out)
{
    (void)config; /* nothing to choose */
    if (!can_seal()) {
        return wbi_error(WB_ERR_NO_FABRIC, "shm needs sealed memfds (Linux 5.1): %s",
                         strerror(errno));
    }
    struct wbi_domain *domain = calloc(1, sizeof *domain);
    if (!domain) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a domain");
    }
    wbi_shm_list_init(&domain->exports);
    wbi_shm_list_init(&domain->links);
    pthread_mutex_init(&domain->lock, NULL);
    int status = wbi_shm_worker_start(&domain->worker);
    if (status != WB_OK) {
        wbi_shm_domain_close(domain);
        return status;
    }
    *out = domain;
    return WB_OK;
}

void wbi_shm_domain_close(struct wbi_domain *domain)
{
    if (!domain) {
        return;
    }
    wbi_shm_worker_stop(&domain->worker);
    pthread_mutex_destroy(&domain->lock);
    free(domain);
}

const struct wbi_fabric_caps *wbi_shm_domain_caps(const struct wbi_domain *domain)
{
    (void)domain;
    return &caps;
}
