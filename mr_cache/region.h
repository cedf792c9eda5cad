/* The memory of a slab: a sealed memfd, mapped once, aligned, placed and populated. */
#ifndef WBI_MR_CACHE_REGION_H
#define WBI_MR_CACHE_REGION_H

#include <stddef.h>
#include <waybill/allocator.h>

#include "mr_cache/registrar.h"

enum {
    WBI_REGION_ALIGN =
        1 << 21, /* base and size of every region: the huge page of this architecture */
    WBI_SLAB_MAX_BYTES = 1 << 30 /* an ordinary slab: what the bins of runs.c hold */
};

/*
 * Makes *region a zeroed region of `bytes` (a multiple of WBI_REGION_ALIGN) near NUMA node
 * `numa_node` (-1: anywhere), with pages of the kind `wanted`, or of the largest smaller one that
 * the system has free, and sets *pages to that kind: WB_PAGES_TRANSPARENT where the kernel was
 * asked and its policy grants them. Pages of 1 GiB are for regions of whole GiBs alone. Every page
 * is there when it returns, at about 0.1 to 0.3 s a GiB, so not on a progress thread. The caller
 * owns *region. Errors: WB_ERR_NO_MEMORY (no memory, address space or descriptor). On failure
 * *region and *pages are untouched.
 */
int wbi_region_create(size_t bytes, int numa_node, enum wb_pages wanted, struct wbi_region *region,
                      enum wb_pages *pages);

/* Unmaps and closes. A zeroed region is fine. Any thread; costs about 0.1 s a GiB. */
void wbi_region_destroy(struct wbi_region *region);

#endif
