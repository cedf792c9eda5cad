/*
 * The rma_allocator: a heap of registered memory under a budget, whose every block knows its keys.
 * After the rma_allocator of Biddiscombe et al., "Zero copy serialization using RMA in the HPX
 * distributed task-based runtime", section 3.4.
 */
#ifndef WAYBILL_ALLOCATOR_H
#define WAYBILL_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waybill/status.h>

struct wb_engine;        /* see engine.h */
struct wb_rma_allocator; /* a registered pool with a budget */
struct wb_rma_block;     /* one block of a pool; opaque, reference counted */

/* ---- allocators ---- */

/* What pages a slab has. Larger ones spare the device's and the CPU's translation caches. */
enum wb_pages {
    WB_PAGES_SMALL,       /* the system's ordinary ones, whatever its policy would allow */
    WB_PAGES_TRANSPARENT, /* huge where the kernel's policy gives them (shmem_enabled) */
    WB_PAGES_2M,          /* of the system's pool of huge pages (vm.nr_hugepages), */
    WB_PAGES_1G,          /* and of that of the largest ones */
    WB_PAGES_KINDS
};

/* What an allocator watches for, at three prices. A mistake that is found ends the program with a
 * line on stderr that names the block and who allocated it: what would follow is corruption. */
enum wb_rma_checks {
    WB_RMA_CHECKS_CHEAP,  /* no price: an address that is freed is that of a held block */
    WB_RMA_CHECKS_BLOCKS, /* for debugging: bytes behind each block that nobody may write to, free
                             blocks filled, who allocated what (wb_rma_allocator_leaks), and what is
                             freed twice while a peer may read it. Blocks have exactly the bytes
                             that were asked for; threads have no caches */
    WB_RMA_CHECKS_ALL     /* and all books are checked now and then: slow */
};

enum {
    WB_NUMA_OF_DEVICE = -1, /* where the allocator's devices are, if they are all on one node */
    WB_NUMA_ANY = -2        /* no preference */
};

/* All there is to choose. Start from wb_rma_config_default. */
struct wb_rma_config {
    uint64_t budget_bytes; /* bound on its registered memory, within the engine's budget_bytes,
                              which bounds all of them together; 0: the engine's */
    uint64_t slab_bytes;  /* an ordinary slab, a power of two from 2 MiB to 1 GiB; larger blocks get
                             their own; 0: the engine's, but for pages of 1 GiB and regions alone:
                             1 GiB */
    const char *devices;  /* names of RDMA devices with commas between, of those that the engine
                             uses; borrowed until create returns; NULL: all of them */
    int numa_node;        /* WB_NUMA_OF_DEVICE (default), WB_NUMA_ANY, or a node's number, which
                             there is (wb_info: numa_nodes) */
    enum wb_pages pages;  /* what to ask for; what cannot be had is the next smaller kind. Default
                             WB_PAGES_TRANSPARENT */
    uint64_t cache_bytes; /* of free blocks that threads may keep for themselves, all together: what
                             makes allocating fast; they count in the budget, and are taken back
                             where room is short. 0: a sixteenth of the budget */
    enum wb_rma_checks checks; /* default WB_RMA_CHECKS_CHEAP */
    bool regions_only;         /* makes no slabs: all it has is wb_rma_allocator_add_region's */
};

WB_API void wb_rma_config_default(struct wb_rma_config *config);

/*
 * Creates one more allocator of the engine, with a slab in it already unless it is regions_only.
 * config NULL means the defaults; it is copied. Sets *allocator on success only; the caller ends it
 * with wb_rma_allocator_destroy. Its blocks and vectors travel as those of the engine's own
 * allocator do; strings, byte ranges and views inside a block have its key, too. Over a device that
 * is not of its set they travel like plain memory, and so do another engine's: registered for the
 * time of the call. What the engine itself receives lands in its own allocator. Any thread but
 * one that is inside a handler or a callback (WB_ERR_DEADLOCK). Errors: WB_ERR_INVALID,
 * WB_ERR_BUDGET (a slab that the budget or a device can never hold), WB_AGAIN (other allocators
 * hold the engine's budget), WB_ERR_NO_MEMORY; wb_last_error() names the field or the limit.
 */
WB_API int wb_rma_allocator_create(struct wb_engine *engine, const struct wb_rma_config *config,
                                   struct wb_rma_allocator **allocator);

/*
 * Ends the allocator, before or after its engine: the handle is invalid when this returns. Blocks
 * and vectors that are still held stay valid, and readable for peers, until they are dropped; only
 * asking for more room through one is WB_ERR_CLOSED. A slab is deregistered and given back to the
 * system, or a region to its owner, when its last block is dropped and every peer has let it go;
 * where that is now, before this returns. After its engine's end an allocator is closed: it can be
 * asked for figures, and destroyed. The engine's own allocator is left alone. Accepts NULL. Any
 * thread but one that is inside a handler or a callback.
 */
WB_API void wb_rma_allocator_destroy(struct wb_rma_allocator *allocator);

/* Says that lent memory is its owner's again: nobody can read it through the allocator any more. On
 * any thread, perhaps one that makes progress, and inside any call that allocates, frees, lends,
 * trims or destroys: be short, and wait for no lock that such a call is made under. It may
 * allocate, free and lend in turn, in this allocator (WB_ERR_CLOSED where that ends) and in others;
 * inside a handler or a callback by the rules for these. It destroys no allocator and no engine. */
typedef void (*wb_rma_release)(void *context, void *base, size_t bytes);

/*
 * Lends the allocator memory of the program's own (writable; a file's, hugetlbfs's, anonymous): it
 * becomes slabs, from which blocks of up to slab_bytes are served. What is not in whole pieces of 2
 * MiB at both ends stays unused. Counts against both budgets. Takes the memory: release(context,
 * base, bytes), unless it is NULL, is called exactly once, whatever this returns, as soon as nobody
 * can read it; until then it must stay mapped. `fd`, or -1: of a memfd of which [base, base +
 * bytes) is the only mapping of this process and all of it, of at most 1 GiB, sealed with
 * F_SEAL_FUTURE_WRITE, F_SEAL_SHRINK and F_SEAL_GROW: then peers on this machine map it and read
 * from it directly; borrowed until release. Memory without such a one travels on shm as plain
 * memory does. Any thread but one that is inside a handler or a callback (WB_ERR_DEADLOCK). Errors:
 * WB_ERR_INVALID (no whole piece in it), WB_ERR_EXISTS (some of it is an allocator's already),
 * WB_ERR_BUDGET (more than a budget, or a device takes no such region), WB_AGAIN (others hold the
 * budget), WB_ERR_NO_MEMORY (also where a device's max_mr or RLIMIT_MEMLOCK stands against it:
 * wb_last_error() then says which), WB_ERR_CLOSED.
 */
WB_API int wb_rma_allocator_add_region(struct wb_rma_allocator *allocator, void *base, size_t bytes,
                                       int fd, wb_rma_release release, void *context);

/*
 * Gives the idle slabs back to the system; those that peers have mapped as soon as they have let
 * them go. Lent regions stay; what the pool was grown by for a handler or a landing that has not
 * come back for it goes, and is grown anew if it does. Returns the bytes of these slabs. Idle slabs
 * are given up without this when another size or another allocator of the engine needs their
 * budget. Any thread; inside a handler or a callback it does nothing.
 */
WB_API uint64_t wb_rma_allocator_trim(struct wb_rma_allocator *allocator);

/* ---- figures ---- */

struct wb_rma_stats {
    uint64_t budget_bytes; /* the bound on slab_bytes */
    uint64_t slab_bytes;   /* registered now, including slabs that a peer has not yet let go */

    /* slab_bytes by state: used + cached + free + leaving */
    uint64_t used_bytes; /* in blocks that someone holds a reference to, rounded to their classes */
    uint64_t cached_bytes;  /* in free blocks that threads keep for themselves */
    uint64_t free_bytes;    /* all else of the slabs in use */
    uint64_t leaving_bytes; /* slabs on their way out, until every peer has let them go */

    /* and what is true of some of them */
    uint64_t idle_bytes;   /* of free_bytes, in slabs of which no block is held: trim gives these */
    uint64_t leased_bytes; /* of used_bytes, in blocks of which a lease holds a reference */
    uint64_t quarantined_bytes; /* in leases of calls that have ended, by which a peer may still
                                   read; twice where two such leases are of one block */
    uint64_t pinned_bytes;      /* of slab_bytes, kept in physical memory for an RDMA device */
    uint64_t lent_bytes;        /* of slab_bytes, the program's own memory (add_region) */
    uint64_t page_bytes[WB_PAGES_KINDS]; /* of slab_bytes, by the pages that were had; unknown of
                                            lent_bytes, which are not in it */
    uint64_t huge_page_bytes; /* of slab_bytes, in slabs for which the kernel grants huge pages */

    uint64_t peak_used_bytes; /* largest used_bytes so far, with what threads had cached then */
    uint64_t slabs;           /* slabs registered now */
    uint64_t registrations;   /* slabs registered since the start */
    uint64_t registrations_avoided; /* blocks that needed none since the start, but for those out of
                                       threads' caches */
    uint64_t blocks;                /* blocks held now */
    uint64_t waits;                 /* allocations answered WB_AGAIN since the start */

    uint64_t engine_budget_bytes; /* the bound on all allocators of the engine together, */
    uint64_t engine_slab_bytes;   /* what they have now, */
    uint64_t engine_peak_bytes;   /* and the most that they ever had */
};

/* Reads an allocator's figures; each is exact, together they may be of slightly different moments.
 */
WB_API void wb_rma_allocator_stats(struct wb_rma_allocator *allocator, struct wb_rma_stats *stats);

/*
 * Writes the figures as "name value unit" lines, then a line for each size of block that there is
 * (class_N: how many are held of how many, in how many runs) and how far the free memory is in
 * pieces (fragmentation: the part of free_bytes that is not in the largest piece). Returns the
 * bytes needed without the final 0, as snprintf. Takes time by the number of slabs and runs, in
 * which allocations wait. Any thread.
 */
WB_API int wb_rma_allocator_text(struct wb_rma_allocator *allocator, char *text, size_t size);

/* Receives one line, without a line's end; borrowed. */
typedef void (*wb_rma_say)(void *context, const char *line);

/*
 * Says which blocks are held, one line for each place in the program that allocated some: how many,
 * their bytes, how many of them peers may read, and where (function and offset, as far as symbols
 * are there), or "a landing" or "the engine itself"; of a vector, where it moved last; the most
 * bytes first. After the engine's end, too. Calls say(context, line) on this thread. Returns the
 * number of lines: 0 where nothing is held. Any thread. Errors: WB_ERR_INVALID (the allocator has
 * no checks beyond the cheap ones), WB_ERR_NO_MEMORY (places are missing).
 */
WB_API int wb_rma_allocator_leaks(struct wb_rma_allocator *allocator, wb_rma_say say,
                                  void *context);

/* ---- memory ---- */

/*
 * Sets *out to at least `bytes` of registered memory at a multiple of `alignment` (a power of two
 * up to 2 MiB; 0 means 64), contents undefined; the caller owns it and gives it back with
 * wb_rma_free. bytes == 0 gives the smallest block. Memory that travels is leased to its readers;
 * freed while a peer may still read it, it returns to the pool when that has ended. May register a
 * new slab (slow) when the pool has no room. Any thread but one that is inside a handler or a
 * callback (there: WB_AGAIN instead of growth, and the pool grows in the background). Errors:
 * WB_ERR_INVALID (alignment); WB_ERR_BUDGET (can never fit); WB_AGAIN (would fit, but other blocks
 * hold the room, or lie so that no free piece is long enough, or the pool is growing);
 * WB_ERR_NO_MEMORY; WB_ERR_CLOSED. *out is NULL on failure. In the engine's own allocator the
 * program's threads leave reserve_percent of the budget unused: it is for what arrives, for
 * replies, and for handlers.
 */
WB_API int wb_rma_alloc(struct wb_rma_allocator *allocator, size_t bytes, size_t alignment,
                        void **out);

/*
 * The same, and where the answer would be WB_AGAIN it makes progress and tries again, timeout_us at
 * most. Nobody is served in the order of asking: each try is one among all. Errors: as
 * wb_rma_alloc, but WB_ERR_TIMED_OUT instead of WB_AGAIN; WB_ERR_DEADLOCK (it would wait inside a
 * handler or a callback). *out is NULL on failure.
 */
WB_API int wb_rma_alloc_wait(struct wb_rma_allocator *allocator, size_t bytes, size_t alignment,
                             uint64_t timeout_us, void **out);

/*
 * Gives back what wb_rma_alloc returned, from whatever allocator it came. NULL is fine. Any thread;
 * no lock, but for a thread's first block, for blocks larger than its cache takes, and where the
 * pool is short of room. Blocks are not mapped in a child of fork. An address that is no held
 * block's ends the program with a line on stderr: what follows would be corruption.
 */
WB_API void wb_rma_free(void *memory);

/* Bytes that may be used at `memory`, a block of wb_rma_alloc: what was asked for, or more. 0 for
 * what is no block. */
WB_API size_t wb_rma_usable_bytes(const void *memory);

#endif
