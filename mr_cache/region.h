/* The memory of a slab: a sealed memfd, mapped once, aligned, placed and populated. */
#ifndef WBI_MR_CACHE_REGION_H
#define WBI_MR_CACHE_REGION_H

#include <stdbool.h>
#include <stddef.h>

#include "mr_cache/registrar.h"

enum {
    WBI_REGION_ALIGN =
        1 << 21 /* base and size of every region: the huge page of this architecture */
};

/*
 * Makes *region a zeroed region of `bytes` (a multiple of WBI_REGION_ALIGN) near NUMA node
 * `numa_node` (-1: anywhere) and sets *huge to whether the kernel was asked for huge pages and
 * grants such. Every page is there when it returns, at about 0.1 to 0.3 s a GiB, so not on a
 * progress thread. The caller owns *region. Errors: WB_ERR_NO_MEMORY (no memory, address space or
 * descriptor). On failure *region and *huge are untouched.
 */
int wbi_region_create(size_t bytes, int numa_node, struct wbi_region *region, bool *huge);

/* Unmaps and closes. A zeroed region is fine. Any thread; costs about 0.1 s a GiB. */
void wbi_region_destroy(struct wbi_region *region);

#endif
