/*
 * The rma_allocator as the engine sees it: creation, blocks, references, growth off the progress
 * threads. Public part: <waybill/memory.h>.
 */
#ifndef WBI_MR_CACHE_ALLOCATOR_H
#define WBI_MR_CACHE_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/memory.h>

#include "mr_cache/registrar.h"

enum {
    WBI_RMA_ALIGN = 64,        /* every block begins on a cache line */
    WBI_RMA_MAX_REGISTRARS = 4 /* fabrics that one pool can serve */
};

#define WBI_RMA_NO_CACHES UINT64_MAX

struct wbi_budget;

struct wbi_rma_config {
    uint64_t budget_bytes; /* bound on registered bytes; at least slab_bytes */
    uint64_t slab_bytes; /* a power of two from 2 MiB to 1 GiB: an ordinary slab; larger blocks get
                            their own */
    const struct wbi_registrar *registrars; /* copied */
    unsigned registrar_count;
    uint64_t cache_bytes; /* that threads' caches may hold together; WBI_RMA_NO_CACHES: none; 0: a
                             sixteenth of the budget */
    enum wb_rma_checks checks;
    enum wb_pages pages;              /* what to ask for */
    int numa_node;                    /* where to place slabs, or -1 for no preference */
    void (*on_growth)(void *context); /* called on the growing thread when an asked-for growth has
                                         ended; or NULL */
    bool (*shed)(void *context); /* ends a registration of somebody else's that is not in use, where
                                    one that pins has no room for a slab (WB_ERR_NO_MEMORY); false:
                                    there is none. May block; the budget's grow_mutex is held, so it
                                    calls no allocator. Or NULL */
    /* Asked before `total` bytes of the user's memory are registered, in regions of up to `piece`:
     * WB_OK, or what stands against it. The budget's grow_mutex is held. Or NULL. */
    int (*check_region)(void *context, uint32_t devices, uint64_t piece, uint64_t total);
    void *context; /* of all three */

    struct wbi_budget *budget; /* to share with other pools (a reference is taken), or NULL */
    uint64_t largest_bytes;    /* what a registrar can take at once; 0: no limit that matters */
    uint64_t
        reserve_bytes; /* of budget_bytes, at most half: for wbi_rma_alloc and handlers alone;
                          and of the shared budget, as far as this pool has not so much unused */
    uint32_t devices;  /* for wbi_region.devices of its slabs */
    bool lent_only;    /* makes no slabs of its own; budget_bytes and slab_bytes then say
                          what can be lent, and up to which size blocks share a slab */
    bool borrowed;     /* wb_rma_allocator_destroy leaves it alone: the engine's own */
};

/*
 * Creates a pool with one slab in it already, unless it is lent_only. Not on a progress thread.
 * *out is set on success only. Errors: WB_ERR_INVALID, WB_ERR_BUDGET (budget below one slab, or a
 * slab above largest_bytes), WB_AGAIN (the other pools of the budget hold it), WB_ERR_NO_MEMORY, or
 * a registrar's.
 */
int wbi_rma_allocator_create(const struct wbi_rma_config *config, struct wb_rma_allocator **out);

/*
 * Ends the handle, and the pool. Blocks that are still referenced keep their slab mapped and the
 * allocator's shell alive; the last drop frees both, and until then what asks for more room through
 * such a block (a vector's push) gets WB_ERR_CLOSED. Accepts NULL. Not on a progress thread.
 *
 * A pool with a budget of its own stops its growth thread and deregisters every slab: registrars
 * are not called after this returns. They should confirm synchronously from here on; a confirmation
 * that comes later is taken all the same, and unmaps its slab where it arrives. A pool that shares
 * its budget deregisters what is idle now and each other slab when its last block is back, or in
 * wbi_budget_close: peers may be reading those.
 */
void wbi_rma_allocator_destroy(struct wb_rma_allocator *allocator);

/* The context of the pool's making: its engine. Meaningful while that is. */
void *wbi_rma_allocator_context(const struct wb_rma_allocator *allocator);

/*
 * One block of at least `bytes`, 64-byte aligned, one reference, which the caller owns. `may_grow`:
 * register a slab here and now if there is no room (then not on a progress thread); otherwise ask
 * the pool's own thread to grow and answer WB_AGAIN. bytes == 0 gives the smallest block.
 * WB_AGAIN has two meanings with one remedy. If budget is left, or is on its way back from peers,
 * growth has been asked for, and on_growth tells its end; what was grown is kept for asks of this
 * size for a while. If other blocks hold the room, nothing was asked for and nothing will call:
 * ask again when blocks were dropped.
 * Errors: WB_AGAIN, WB_ERR_BUDGET (cannot fit even in an empty pool), WB_ERR_NO_MEMORY,
 * WB_ERR_CLOSED, or what a registrar said to the last growth for this size; asking again tries
 * again. *out is untouched on failure.
 */
int wbi_rma_alloc(struct wb_rma_allocator *allocator, size_t bytes, bool may_grow,
                  struct wb_rma_block **out);

/* Whose turn it is to have the pool's own thread make room. */
enum wbi_rma_turn {
    WBI_RMA_ANY,   /* nobody's: as wbi_rma_alloc says */
    WBI_RMA_FIRST, /* this asker's: what was made for others and not fetched makes way, too */
    WBI_RMA_LATER  /* another's: nothing makes way, and growth is what the budget has left */
};

/* wbi_rma_alloc without growth here, for askers of which one at a time is the first. Any thread. */
int wbi_rma_alloc_in_turn(struct wb_rma_allocator *allocator, size_t bytes, enum wbi_rma_turn turn,
                          struct wb_rma_block **out);

/* After WB_AGAIN: whether the pool's own thread is to find room for a block of `bytes`, or has, or
 * would if it were asked again: it is not blocks alone that hold the room. Any thread. */
bool wbi_rma_can_make_room(struct wb_rma_allocator *allocator, size_t bytes);

/* Whether the calling thread may register slabs in public calls (wb_rma_vector_*). The engine
 * switches it off around handlers. Returns the former value. Default true. */
bool wbi_rma_thread_may_grow(bool allowed);

/* References. ref returns its argument. The last unref returns the block to its pool. Any thread,
 * no blocking. */
struct wb_rma_block *wbi_rma_block_ref(struct wb_rma_block *block);
void wbi_rma_block_unref(struct wb_rma_block *block);

/* A reference that is held for a peer: like ref and unref, and counted in leased_bytes. */
void wbi_rma_block_lease(struct wb_rma_block *block);
void wbi_rma_block_unlease(struct wb_rma_block *block);

/* Counts a lease of `bytes` whose call has ended without its release, in quarantined_bytes; and
 * counts it no more. Any thread. */
void wbi_rma_block_quarantine(struct wb_rma_block *block, uint64_t bytes);
void wbi_rma_block_unquarantine(struct wb_rma_block *block, uint64_t bytes);

/* The block's memory, its usable size (at least what was asked for), and its pool. */
void *wbi_rma_block_data(const struct wb_rma_block *block);
size_t wbi_rma_block_bytes(const struct wb_rma_block *block);
struct wb_rma_allocator *wbi_rma_block_allocator(const struct wb_rma_block *block);

/* The registration of the block's slab with registrar number `index` of its pool, and the block's
 * slab's base address: O(1). NULL if the pool has no such registrar, or was destroyed. */
struct wbi_mr *wbi_rma_block_mr(const struct wb_rma_block *block, unsigned index);
void *wbi_rma_block_region_base(const struct wb_rma_block *block);

/* The block that holds the byte at `address`, or NULL where no pool of this process owns it: O(1),
 * any thread, no reference taken (the caller knows that the block is held). */
struct wb_rma_block *wbi_rma_find(const void *address);

/* Makes *out a vector of its own, with a copy of `count` elements at `data` that have arrived: like
 * wb_rma_vector_create, but of the reserve, too. count * elem_size does not overflow. */
int wbi_rma_vector_copy(struct wb_rma_allocator *allocator, const void *data, uint32_t elem_size,
                        size_t count, wb_rma_vector *out);

/* A vector over part of a block: takes one new reference to `block`. Its capacity is its elements.
 * If elem_size is 0 or offset + count * elem_size is not inside: the empty vector, no reference. */
wb_rma_vector wbi_rma_vector_slice(struct wb_rma_block *block, size_t offset, uint32_t elem_size,
                                   size_t count);

#endif
