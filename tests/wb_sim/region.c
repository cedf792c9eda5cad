/*
 * Memory of pools, linked in place of mr_cache/region.c: a run creates and destroys engines by the
 * dozen, and giving each fresh pages of a memory file takes longer than the run. Regions of one
 * slab's size are kept and used again; what they held is still there, as with any allocator.
 */
#include "tests/wb_sim/region.h"

#include "mr_cache/region.h"

#include <stdint.h>
#include <sys/mman.h>
#include <waybill/status.h>

#include "mr_cache/poison.h"

enum { KEPT_BYTES = 2 << 20, MOST_KEPT = 64 };

static void *kept[MOST_KEPT];
static unsigned kept_count, given;

/* At a multiple of WBI_REGION_ALIGN. */
static void *map(size_t bytes)
{
    size_t reach = bytes + WBI_REGION_ALIGN;
    char *start = mmap(NULL, reach, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    size_t head = -(uintptr_t)start & (WBI_REGION_ALIGN - 1);
    if (head != 0) {
        munmap(start, head);
    }
    munmap(start + head + bytes, WBI_REGION_ALIGN - head);
    return start + head;
}

int wbi_region_create(size_t bytes, int numa_node, enum wb_pages wanted, struct wbi_region *region,
                      enum wb_pages *pages)
{
    (void)numa_node;
    (void)wanted;
    void *base = bytes == KEPT_BYTES && kept_count > 0 ? kept[--kept_count] : map(bytes);
    if (base == NULL) {
        return WB_ERR_NO_MEMORY;
    }
    *region = (struct wbi_region){.base = base, .bytes = bytes, .fd = -1};
    *pages = WB_PAGES_SMALL;
    given++;
    return WB_OK;
}

void wbi_region_destroy(struct wbi_region *region)
{
    if (region->base == NULL) {
        return;
    }
    given--;
    wbi_unpoison(region->base, region->bytes);
    if (region->bytes == KEPT_BYTES && kept_count < MOST_KEPT) {
        kept[kept_count++] = region->base;
    } else {
        munmap(region->base, region->bytes);
    }
    *region = (struct wbi_region){0};
}

unsigned region_count(void)
{
    return given;
}
