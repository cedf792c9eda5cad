#include "mr_cache/region.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <waybill/status.h>

#include "mr_cache/poison.h"
#include "mr_cache/topology.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Bytes that the machine can give without killing somebody; UINT64_MAX where /proc is silent. */
static uint64_t available_bytes(void)
{
    FILE *meminfo = fopen("/proc/meminfo", "re");
    uint64_t available = 0, swap = 0;
    char line[128];

    if (!meminfo)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), meminfo)) {
        (void)sscanf(line, "MemAvailable: %" SCNu64, &available);
        (void)sscanf(line, "SwapFree: %" SCNu64, &swap);
    }
    (void)fclose(meminfo);
    return available ? (available + swap) * 1024 : UINT64_MAX;
}

/* Whether MADV_HUGEPAGE on a memfd has any effect under the kernel's present policy. */
static bool shmem_grants_huge_pages(void)
{
    FILE *policy = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "re");
    char line[128] = "";

    if (!policy)
        return false;
    bool read = fgets(line, sizeof(line), policy) != NULL;
    (void)fclose(policy);
    return read && !strstr(line, "[never]") && !strstr(line, "[deny]");
}

/* Reserves `bytes` of addresses at a multiple of WBI_REGION_ALIGN, with nothing behind, or NULL. */
static void *reserve_aligned(size_t bytes)
{
    size_t reach = bytes + WBI_REGION_ALIGN;
    char *start = mmap(NULL, reach, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return NULL;
    size_t head = -(uintptr_t)start & (WBI_REGION_ALIGN - 1);
    if (head)
        (void)munmap(start, head);
    (void)munmap(start + head + bytes, WBI_REGION_ALIGN - head);
    return start + head;
}

/*
 * Gives every page of the mapping its memory now. By measurement (6.18, 1 GiB): populating 4 KiB
 * pages costs 0.27 s and their first touch 0.3 s more; fallocate costs 0.08 s but the first touch
 * then 2.6 s, one fault a page, which a progress thread would pay; and under the policy "advise"
 * pages that fallocate made are never huge, since it does not see the advice. Where memory is
 * short, this fails and leaves no SIGBUS for later.
 */
static bool populate(const struct wbi_region *region)
{
    int rc;

    do {
        rc = madvise(region->base, region->bytes, MADV_POPULATE_WRITE);
    } while (rc && errno == EAGAIN);
    if (rc == 0 || errno != EINVAL)
        return rc == 0;
    do { /* before Linux 5.14 */
        rc = fallocate(region->fd, 0, 0, (off_t)region->bytes);
    } while (rc && errno == EINTR);
    return rc == 0;
}

/* After this only the present mapping can write: whoever gets the descriptor can map it to read. */
static bool seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS,
                 F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

int wbi_region_create(size_t bytes, int numa_node, struct wbi_region *region, bool *huge)
{
    struct wbi_region made = {.bytes = bytes, .fd = -1};

    /* Populating past what there is would call the OOM killer instead of failing. */
    if (bytes > available_bytes() || bytes > PTRDIFF_MAX - WBI_REGION_ALIGN)
        return WB_ERR_NO_MEMORY;
    made.fd = memfd_create("waybill-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made.fd < 0)
        return WB_ERR_NO_MEMORY;
    if (ftruncate(made.fd, (off_t)bytes))
        goto close_fd;
    made.base = reserve_aligned(bytes);
    if (!made.base)
        goto close_fd;
    if (mmap(made.base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, made.fd, 0) ==
        MAP_FAILED)
        goto unmap;
    /* A child of fork would share these pages, not copy them. */
    if (madvise(made.base, bytes, MADV_DONTFORK))
        goto unmap;
    bool granted = madvise(made.base, bytes, MADV_HUGEPAGE) == 0 && shmem_grants_huge_pages();
    wbi_topology_bind(made.base, bytes, numa_node);
    if (!populate(&made) || !seal(made.fd))
        goto unmap;
    *region = made;
    *huge = granted;
    return WB_OK;

unmap:
    (void)munmap(made.base, bytes);
close_fd:
    (void)close(made.fd);
    return WB_ERR_NO_MEMORY;
}

void wbi_region_destroy(struct wbi_region *region)
{
    if (!region->base)
        return;
    wbi_unpoison(region->base, region->bytes);
    (void)munmap(region->base, region->bytes);
    (void)close(region->fd);
    *region = (struct wbi_region){0};
}
