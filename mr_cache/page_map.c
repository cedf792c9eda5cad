#include "mr_cache/page_map.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <waybill/status.h>

_Atomic(struct wbi_page_leaf *) wbi_page_root[1 << WBI_PAGE_ROOT_SHIFT];

/* Sees to it that slot `slot` of the root has a leaf. */
static bool make_leaf(uintptr_t slot)
{
    struct wbi_page_leaf *present =
        atomic_load_explicit(&wbi_page_root[slot], memory_order_acquire);

    if (present)
        return true;
    /* Not from malloc, which may write all of it. */
    struct wbi_page_leaf *fresh = mmap(NULL, sizeof(*fresh), PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fresh == MAP_FAILED)
        return false;
    if (!atomic_compare_exchange_strong_explicit(&wbi_page_root[slot], &present, fresh,
                                                 memory_order_acq_rel, memory_order_acquire))
        (void)munmap(fresh, sizeof(*fresh));
    return true;
}

int wbi_page_map_cover(const void *base, size_t bytes)
{
    uintptr_t first = (uintptr_t)base >> (WBI_PAGE_SHIFT + WBI_PAGE_LEAF_SHIFT);
    uintptr_t last = ((uintptr_t)base + bytes - 1) >> (WBI_PAGE_SHIFT + WBI_PAGE_LEAF_SHIFT);

    if (last >> WBI_PAGE_ROOT_SHIFT)
        return WB_ERR_NO_MEMORY;
    for (uintptr_t slot = first; slot <= last; slot++)
        if (!make_leaf(slot))
            return WB_ERR_NO_MEMORY;
    return WB_OK;
}

void wbi_page_map_set(const void *base, size_t pages, struct wbi_run *run)
{
    uintptr_t first = (uintptr_t)base >> WBI_PAGE_SHIFT;

    for (uintptr_t page = first; page < first + pages; page++) {
        struct wbi_page_leaf *leaf =
            atomic_load_explicit(&wbi_page_root[page >> WBI_PAGE_LEAF_SHIFT], memory_order_relaxed);
        atomic_store_explicit(&leaf->runs[page & ((1u << WBI_PAGE_LEAF_SHIFT) - 1)], run,
                              memory_order_release);
    }
}
