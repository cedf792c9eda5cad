/*
 * Which run holds an address: one table for the process, two levels of 64 KiB pages over 48-bit
 * addresses, read without a lock. It answers wb_rma_free for every pool at once. The idea of a page
 * map is tcmalloc's.
 */
#ifndef WBI_MR_CACHE_PAGE_MAP_H
#define WBI_MR_CACHE_PAGE_MAP_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "mr_cache/size_class.h"

struct wbi_run;

enum { WBI_PAGE_LEAF_SHIFT = 16, WBI_PAGE_ROOT_SHIFT = 48 - WBI_PAGE_SHIFT - WBI_PAGE_LEAF_SHIFT };

/* 4 GiB of addresses in 512 KiB, of which the kernel gives what is touched. */
struct wbi_page_leaf {
    _Atomic(struct wbi_run *) runs[1 << WBI_PAGE_LEAF_SHIFT];
};

/* Leaves are made when first needed and kept: a reader may be in one at any time. */
extern _Atomic(struct wbi_page_leaf *) wbi_page_root[1 << WBI_PAGE_ROOT_SHIFT]
    __attribute__((visibility("hidden")));

/* Makes the table ready for [base, base + bytes), multiples of a page. Any thread. Errors:
 * WB_ERR_NO_MEMORY (also for an address beyond 48 bits). */
int wbi_page_map_cover(const void *base, size_t bytes);

/* Enters `run`, or NULL, as what holds `pages` pages from `base` on, which are covered. By who owns
 * these pages. */
void wbi_page_map_set(const void *base, size_t pages, struct wbi_run *run);

/* What was entered for the page of `address`, or NULL; an address beyond 48 bits, which no program
 * has, finds what its lower bits have. Any thread, no lock, two loads. */
static inline struct wbi_run *wbi_page_map_find(const void *address)
{
    uintptr_t page = (uintptr_t)address >> WBI_PAGE_SHIFT;
    uintptr_t slot = (page >> WBI_PAGE_LEAF_SHIFT) & ((1u << WBI_PAGE_ROOT_SHIFT) - 1);
    struct wbi_page_leaf *leaf = atomic_load_explicit(&wbi_page_root[slot], memory_order_acquire);

    return leaf ? atomic_load_explicit(&leaf->runs[page & ((1u << WBI_PAGE_LEAF_SHIFT) - 1)],
                                       memory_order_acquire)
                : NULL;
}

#endif
