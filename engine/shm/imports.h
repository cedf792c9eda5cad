/*
 * A peer's slabs, mapped here. The worker maps and unmaps; the lane only looks.
 *
 *   announced -> MAPPING -> MAPPED (or FAILED) -> gone, no READ left -> UNMAPPING -> confirmed,
 * freed
 *
 * All functions: lane thread.
 */
#ifndef WBI_SHM_IMPORTS_H
#define WBI_SHM_IMPORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/shm/list.h"
#include "engine/shm/mapping.h"
#include "engine/shm/packet.h"
#include "engine/shm/worker.h"

enum {
    WBI_SHM_MAX_IMPORTS = 4096, /* a channel; a peer with more is not sane */
    WBI_SHM_IMPORT_BUCKETS = 64
};

enum wbi_shm_import_state {
    WBI_SHM_MAPPING,
    WBI_SHM_MAPPED,
    WBI_SHM_FAILED,
    WBI_SHM_UNMAPPING,
    WBI_SHM_UNMAPPED
};

struct wbi_shm_import {
    struct wbi_shm_list node; /* in its bucket */
    uint32_t id;
    uint64_t bytes;
    unsigned reads; /* in progress */
    bool gone;      /* the peer wants it unmapped */
    _Atomic int
        state; /* of wbi_shm_import_state; the worker moves it on from MAPPING and UNMAPPING */
    struct wbi_shm_mapping *mapping; /* the worker's, until MAPPED */

    /* the worker's */
    int fd;
    int wake_fd; /* the lane's eventfd, borrowed; not touched once the job is abandoned */
    struct wbi_shm_job job;
};

struct wbi_shm_imports {
    struct wbi_shm_worker *worker; /* NULL: closed, or never opened */
    int wake_fd;
    uint32_t last_id;
    unsigned count;
    unsigned unsettled; /* being mapped, or gone */
    struct wbi_shm_list buckets[WBI_SHM_IMPORT_BUCKETS];
};

void wbi_shm_imports_open(struct wbi_shm_imports *imports, struct wbi_shm_worker *worker,
                          int wake_fd);

/* Forgets all; the worker unmaps them. No READ may use them any more. Accepts a zeroed struct. */
void wbi_shm_imports_close(struct wbi_shm_imports *imports);

/* A slab was announced; takes its descriptor. WB_ERR_PROTOCOL with *why, WB_ERR_NO_MEMORY with
 * *why. */
int wbi_shm_imports_add(struct wbi_shm_imports *imports, const struct wbi_shm_slab *slab, int fd,
                        const char **why);

/* A slab is gone for its owner. False: there is none of that id. */
bool wbi_shm_imports_withdraw(struct wbi_shm_imports *imports, uint32_t id);

/* The import, or NULL. */
struct wbi_shm_import *wbi_shm_imports_find(struct wbi_shm_imports *imports, uint32_t id);

/*
 * Moves imports that are being mapped or gone on, and confirms those that are unmapped on `socket`.
 * Returns the number of things done, or WB_ERR_NO_MEMORY if a slab could not be mapped. Cheap if
 * there is nothing to do.
 */
int wbi_shm_imports_settle(struct wbi_shm_imports *imports, int socket);

static inline enum wbi_shm_import_state wbi_shm_import_state(struct wbi_shm_import *import)
{
    return (enum wbi_shm_import_state)atomic_load_explicit(&import->state, memory_order_acquire);
}

#endif
