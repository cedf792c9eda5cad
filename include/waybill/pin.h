/*
 * Pinning: registrations of the program's own memory that outlive a call.
 *
 * A string or byte range that travels as a pointer chunk is registered when it is offered and
 * deregistered when the peer has released it, two system calls and the pages' pinning each time. A
 * program that sends from the same memory again and again pins that range once: chunks that lie
 * within one pinned range use its registration. Nothing else changes. (A range inside a block of
 * one of the engine's allocators needs no pin: it has the block's.)
 *
 * The program alone says how long a range is valid; the library hooks into no allocator, and
 * guesses nothing. From wb_mr_pin until wb_mr_unpin has returned WB_OK, the range must stay mapped
 * where it is: memory that was unmapped and mapped again under a pin would go on travelling as it
 * was.
 *
 * Privacy: while a range is registered, a peer of this engine that breaks the protocol could read
 * any of it with a key that it was given for a part, as it could the pool. Honest peers read what
 * is offered to them, while it is offered.
 *
 * Threads: any function, any thread, any time, but for unpin inside handlers, as stated there.
 */
#ifndef WAYBILL_PIN_H
#define WAYBILL_PIN_H

#include <stddef.h>
#include <stdint.h>
#include <waybill/status.h>

struct wb_engine;

enum wb_mr_flags {
    WB_MR_ON_DEMAND = 1 /* the device fetches pages when it needs them (on-demand paging), instead
                           of having all of them pinned; not counted in config.pin_bytes */
};

/*
 * Pins [address, address + bytes), for reading by peers: it may be const. Ranges may nest, overlap
 * and touch; pins of exactly the same range are counted. A range is registered at once, in whole,
 * as far as config.pin_bytes goes; beyond, registrations of ranges that no call uses make room, the
 * least recently used first, and come back when those are used. What finds no room at all travels
 * as if it were not pinned. Fabrics without registrations (shm) take a pin and do nothing.
 *
 * With WB_MR_ON_DEMAND, address NULL and bytes SIZE_MAX: all memory that the process has or will
 * have (implicit on-demand paging).
 *
 * May block while the pages are pinned. Fails without effect: WB_ERR_INVALID (zero bytes, NULL, a
 * range that wraps around, unknown flags, memory that is not there), WB_ERR_BUDGET (more than
 * config.pin_bytes), WB_ERR_EXISTS (this range is pinned with other flags, or is a dma-buf's),
 * WB_ERR_NO_FABRIC (WB_MR_ON_DEMAND, and a device of this engine has none: nothing is pinned in its
 * place), WB_ERR_NO_MEMORY (of the system, the device, or memory that may be locked).
 */
WB_API int wb_mr_pin(struct wb_engine *engine, const void *address, size_t bytes, uint32_t flags);

/*
 * Pins memory of a device: `bytes` from `offset` of the dma-buf `fd`, which is borrowed for the
 * call. Its chunks are named by addresses from `address` on, as a device's own pointers are;
 * address and offset must be alike modulo the page size. The library does not follow them, so the
 * chunks must travel as pointer chunks, over verbs: not with WB_CALL_COPY, not below
 * pointer_threshold, and over shm only if this process can read that address. flags: none yet.
 * Registered from here until wb_mr_unpin(engine, address, bytes).
 *
 * Fails as wb_mr_pin, and: WB_AGAIN (config.pin_bytes is in use: after more progress there may be
 * room), WB_ERR_INVALID (the descriptor is no dma-buf, or the range is not within it),
 * WB_ERR_NO_FABRIC (a device of this engine, or its driver, cannot read dma-bufs), WB_ERR_EXISTS
 * (this range of addresses is pinned already).
 */
WB_API int wb_mr_pin_dmabuf(struct wb_engine *engine, int fd, uint64_t offset, size_t bytes,
                            const void *address, uint32_t flags);

/*
 * Ends one pin of exactly this range. When the last one ends, new calls do not use it any more;
 * then waits, making progress, until no peer may still read of it by this registration, and
 * deregisters: when this has returned WB_OK the range is the program's to unmap, but for other pins
 * that overlap it, and calls that borrow it. It waits for open calls that use the range, so at most
 * as long as their deadlines and the grace period of a second for peers that do not release.
 *
 * WB_ERR_INVALID: not pinned. WB_ERR_DEADLOCK: inside a handler or callback, while the range is in
 * use; it stays pinned. (Inside, a range that is not in use is unpinned.)
 */
WB_API int wb_mr_unpin(struct wb_engine *engine, const void *address, size_t bytes);

#endif
