#include "mr_cache/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <waybill/status.h>

#include "mr_cache/poison.h"
#include "mr_cache/room.h"
#include "mr_cache/topology.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB (30U << 26)
#endif

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

/* Reserves `bytes` of addresses at a multiple of `align`, with nothing behind, or NULL. */
static void *reserve_aligned(size_t bytes, size_t align)
{
    size_t reach = bytes + align;
    char *start = mmap(NULL, reach, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return NULL;
    size_t head = -(uintptr_t)start & (align - 1);
    if (head)
        (void)munmap(start, head);
    (void)munmap(start + head + bytes, align - head);
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

/* What a kind of pages takes: bytes of one (0: not of a pool), and the flags of its memfd. */
static const struct {
    size_t bytes;
    unsigned flags;
} kinds[WB_PAGES_KINDS] = {
    [WB_PAGES_2M] = {(size_t)1 << 21, MFD_HUGETLB | MFD_HUGE_2MB},
    [WB_PAGES_1G] = {(size_t)1 << 30, MFD_HUGETLB | MFD_HUGE_1GB},
};

static bool is_possible(size_t bytes, enum wb_pages kind)
{
    if (kinds[kind].bytes)
        return bytes % kinds[kind].bytes == 0;
    /* Populating past what there is would call the OOM killer instead of failing. A pool of huge
     * pages is not in what is available, and says no by itself, at mmap. */
    struct wbi_room room;
    wbi_room_read("", &room);
    return bytes <= room.bytes;
}

/* Asks for huge pages, or for none; whether the kernel gives such. Those of a pool are huge by
 * nature. */
static bool advise(const struct wbi_region *region, enum wb_pages kind)
{
    if (kind == WB_PAGES_SMALL)
        (void)madvise(region->base, region->bytes, MADV_NOHUGEPAGE);
    if (kind != WB_PAGES_TRANSPARENT)
        return kind != WB_PAGES_SMALL;
    return madvise(region->base, region->bytes, MADV_HUGEPAGE) == 0 && shmem_grants_huge_pages();
}

static int create(size_t bytes, int numa_node, enum wb_pages kind, struct wbi_region *region,
                  enum wb_pages *pages)
{
    struct wbi_region made = {.bytes = bytes, .fd = -1};
    size_t align = kinds[kind].bytes > WBI_REGION_ALIGN ? kinds[kind].bytes : WBI_REGION_ALIGN;

    if (!is_possible(bytes, kind))
        return WB_ERR_NO_MEMORY;
    made.fd = memfd_create("waybill-slab", MFD_CLOEXEC | MFD_ALLOW_SEALING | kinds[kind].flags);
    if (made.fd < 0)
        return WB_ERR_NO_MEMORY;
    if (ftruncate(made.fd, (off_t)bytes))
        goto close_fd;
    made.base = reserve_aligned(bytes, align);
    if (!made.base)
        goto close_fd;
    if (mmap(made.base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, made.fd, 0) ==
        MAP_FAILED)
        goto unmap;
    /* A child of fork would share these pages, not copy them. */
    if (madvise(made.base, bytes, MADV_DONTFORK))
        goto unmap;
    bool huge = advise(&made, kind);
    wbi_topology_bind(made.base, bytes, numa_node);
    if (!populate(&made) || !seal(made.fd))
        goto unmap;
    *region = made;
    *pages = huge ? kind : WB_PAGES_SMALL;
    return WB_OK;

unmap:
    (void)munmap(made.base, bytes);
close_fd:
    (void)close(made.fd);
    return WB_ERR_NO_MEMORY;
}

int wbi_region_create(size_t bytes, int numa_node, enum wb_pages wanted, struct wbi_region *region,
                      enum wb_pages *pages)
{
    int rc = WB_ERR_NO_MEMORY;

    if (bytes > PTRDIFF_MAX - ((size_t)1 << 30))
        return rc;
    for (enum wb_pages kind = wanted; rc && kind >= WB_PAGES_TRANSPARENT; kind--)
        rc = create(bytes, numa_node, kind, region, pages);
    return wanted == WB_PAGES_SMALL ? create(bytes, numa_node, wanted, region, pages) : rc;
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
