/*
 * How user memory that is pinned is made known to a fabric: function pointers that the fabric
 * supplies, as registrar.h has them for the pool's.
 */
#ifndef WBI_MR_CACHE_PINNER_H
#define WBI_MR_CACHE_PINNER_H

#include <stddef.h>
#include <stdint.h>

struct wbi_mr; /* of the fabric */

/* What is pinned. address NULL with bytes SIZE_MAX: all of the address space, on demand. */
struct wbi_pin_source {
    const void *address; /* of a dma-buf: by which its chunks are named; nobody follows it */
    size_t bytes;
    uint32_t flags;  /* of wb_mr_flags */
    int fd;          /* a dma-buf, borrowed for the call; or -1 */
    uint64_t offset; /* in that */
};

struct wbi_pinner {
    void *context;

    /* Registers it for remote reading alone. Returns 0 and sets *mr, or a negative wb_status, and
     * the fabric has stored its words. May block. Any thread. NULL: this fabric needs none. */
    int (*reg)(void *context, const struct wbi_pin_source *source, struct wbi_mr **mr);

    /* Takes `mr`. When it has returned nobody can read by that key any more. May block. Any
     * thread. */
    void (*dereg)(void *context, struct wbi_mr *mr);
};

#endif
