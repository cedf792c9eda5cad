/*
 * The memfds that are mapped in this process, each once, whoever asks (two engines in one process
 * share a mapping: a sanitizer sees one memory, and a slab that is ours is read where it is).
 *
 * A mapping is ours (mapped here, unmapped with the last reference), or adopted (a slab that the
 * pool has mapped and will unmap). An adopted one ends when its last adopter disowns it, though
 * others still hold references: they enter() before each touch, which then fails.
 *
 * All functions: any thread, except that nobody may touch a mapping past its own reference.
 */
#ifndef WBI_SHM_MAPPING_H
#define WBI_SHM_MAPPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/shm/list.h"

struct wbi_shm_mapping {
    uint8_t *base;
    size_t bytes; /* all of the file */
    bool writable;
    bool adopted;
    _Atomic uint32_t gone;     /* adopted, and its adopters have left */
    _Atomic uint32_t visitors; /* threads between enter() and leave() */

    /* under the table's lock */
    dev_t dev;
    ino_t ino;
    unsigned refs;     /* adopters included */
    unsigned adopters; /* 0 where it is ours */
    struct wbi_shm_list in_table;
};

/* Creates a zeroed memfd of `bytes`, maps it for writing and then adds `seals`. The caller owns the
 * reference and *fd. WB_ERR_NO_MEMORY, WB_ERR_SYSTEM. */
int wbi_shm_mapping_create(const char *name, size_t bytes, int seals, struct wbi_shm_mapping **out,
                           int *fd);

/* Checks the seals of a memfd that came from a peer: it can neither shrink nor grow, and peers of
 * ours write to it exactly if `writable`. Sets *bytes to its size. Returns NULL, or what is wrong
 * with it. */
const char *wbi_shm_mapping_check(int fd, bool writable, size_t *bytes);

/* Maps a checked memfd, or finds it mapped. Borrows fd. `populate` faults all its pages in, which
 * may block. WB_ERR_NO_MEMORY, WB_ERR_SYSTEM, WB_ERR_PROTOCOL (mapped already, and not for
 * writing). */
int wbi_shm_mapping_open(int fd, bool writable, bool populate, struct wbi_shm_mapping **out);

/* Enters a mapping that the caller has made and keeps until disown() into the table. Borrows fd. */
int wbi_shm_mapping_adopt(int fd, void *base, size_t bytes, struct wbi_shm_mapping **out);

/* Takes the adopter's reference. When the last adopter leaves, nobody touches the memory once this
 * has returned; it waits for a slice that is being copied, and for no more. Accepts NULL. */
void wbi_shm_mapping_disown(struct wbi_shm_mapping *mapping);

/* Takes a reference of create() or open(). Accepts NULL. */
void wbi_shm_mapping_drop(struct wbi_shm_mapping *mapping);

/* Whether the memory may be touched until leave(). */
static inline bool wbi_shm_mapping_enter(struct wbi_shm_mapping *mapping)
{
    if (!mapping->adopted) {
        return true;
    }
    atomic_fetch_add(&mapping->visitors, 1);
    if (atomic_load(&mapping->gone)) {
        atomic_fetch_sub(&mapping->visitors, 1);
        return false;
    }
    return true;
}

static inline void wbi_shm_mapping_leave(struct wbi_shm_mapping *mapping)
{
    if (mapping->adopted) {
        atomic_fetch_sub(&mapping->visitors, 1);
    }
}

#endif
