/*
 * How the pool makes memory known to a fabric: function pointers that the fabric supplies, so that
 * mr_cache knows no fabric and is tested without one (the seam of UCX's rcache and mercury's
 * mem_pool).
 */
#ifndef WBI_MR_CACHE_REGISTRAR_H
#define WBI_MR_CACHE_REGISTRAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A slab as a fabric sees it. Invariant of one that the pool made: [base, base + bytes) is one
 * shared mapping of all of the sealed memfd `fd` (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK |
 * F_SEAL_GROW), mapped once in this process. Of one that the user lent, only the memory is certain:
 * `fd` may be -1, or of something else.
 */
struct wbi_region {
    void *base;
    size_t bytes;
    int fd;
    bool lent;        /* the user's memory */
    uint32_t devices; /* bits that the fabric gave out: which of its devices; 0: all of them */
};

/* What a fabric knows a region by: an ibv_mr on verbs, an exported segment on shm. */
struct wbi_mr;

struct wbi_registrar {
    void *context;

    /* Borrows *region until dereg has confirmed. Returns 0 and sets *mr, or a negative wb_status.
     * *mr may be NULL: the fabric cannot know this memory beforehand; its chunks travel there as
     * the user's memory does, and there will be no dereg. May block; called on no progress thread.
     */
    int (*reg)(void *context, const struct wbi_region *region, struct wbi_mr **mr);

    /*
     * Takes `mr`. Calls confirmed(argument) exactly once, when no peer can read the region any
     * more: at once, or later on any thread. Until then the region stays mapped and is counted
     * against the budget. Never blocks.
     */
    void (*dereg)(void *context, struct wbi_mr *mr, void (*confirmed)(void *argument),
                  void *argument);

    bool pins; /* what is registered stays in physical memory (RLIMIT_MEMLOCK) */
};

#endif
