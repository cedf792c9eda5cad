/*
 * READs of what is mapped here: one copy by the receiver out of the peer's slab or shelves, in
 * slices, round robin over the lane. The lane's queue is linked by wbi_read.next; private[0] is the
 * channel, private[1] the import or NULL, private[2] the shelves or NULL. With neither, the READ
 * waits for close().
 */
#ifndef WBI_SHM_READ_H
#define WBI_SHM_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/fabric.h"

struct wbi_fabric_lane;
struct wbi_channel;

/* Invariant: count READs hang on first; last is NULL exactly if first is. */
struct wbi_shm_reads {
    struct wbi_read *first, *last;
    unsigned count;
};

/* The fabric's read(). Lane thread. */
int wbi_shm_read(struct wbi_channel *channel, struct wbi_read *read);

/* Copies slices of the lane's READs, about WBI_SHM_SLICE bytes in all. Returns the number of
 * slices. */
int wbi_shm_reads_move(struct wbi_fabric_lane *lane);

/* Whether a READ is there that a poll would move. */
bool wbi_shm_reads_ready(const struct wbi_fabric_lane *lane);

/* Takes all of the channel's READs out of the lane's queue and ends them; the staged ones are not
 * in it. */
void wbi_shm_reads_end(struct wbi_channel *channel, int status);

/* Copies bytes that their owner may be changing (the caller checks the lease afterwards and then
 * drops them). */
void wbi_shm_copy(void *into, const uint8_t *from, size_t len);

#endif
