/*
 * Our slabs, and which peer has been told of which.
 *
 * A notice is what one link is to be told about one slab, and then what it has been told:
 * announced, and later gone. A slab is confirmed unreadable when it is leaving and no notice of it
 * is left.
 */
#ifndef WBI_SHM_EXPORTS_H
#define WBI_SHM_EXPORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/shm/domain.h"
#include "engine/shm/mapping.h"

struct wbi_mr {
    struct wbi_domain *domain;
    uint32_t id; /* segment id, from 1 */
    int fd;      /* ours */
    uint64_t bytes;
    struct wbi_shm_mapping *mapping; /* adopted */

    /* under the domain's lock */
    struct wbi_shm_list in_domain;
    struct wbi_shm_list notices;
    bool leaving;
    void (*confirmed)(void *argument);
    void *argument;
};

/* A channel as its domain sees it: a socket on which slabs are announced. */
struct wbi_shm_link {
    struct wbi_domain *domain; /* NULL: not linked */
    int socket;
    _Atomic uint32_t
        announced; /* the peer has been sent all slabs up to this id that it will ever be sent */
    _Atomic bool backlog; /* something waits until the socket takes more */

    /* under the domain's lock */
    struct wbi_shm_list in_domain;
    struct wbi_shm_list queue; /* notices to send, in order */
    struct wbi_shm_list sent;
};

struct wbi_registrar wbi_shm_registrar(struct wbi_domain *domain);

/* Begins to announce the domain's slabs, those present and those to come, on a connected socket,
 * which stays the caller's. Lane thread. WB_ERR_NO_MEMORY. */
int wbi_shm_link_open(struct wbi_shm_link *link, struct wbi_domain *domain, int socket);

/* Ends that; what the peer was told of is confirmed. Accepts a zeroed link. Lane thread. */
void wbi_shm_link_close(struct wbi_shm_link *link);

/* Sends what waits. Lane thread. */
void wbi_shm_link_flush(struct wbi_shm_link *link);

/* The peer has unmapped slab `id`. False: it was not asked to. Lane thread. */
bool wbi_shm_link_confirmed(struct wbi_shm_link *link, uint32_t id);

/* Whether the peer has been told of the slab: its packet has been sent before any message that is
 * sent now. */
static inline bool wbi_shm_link_knows(const struct wbi_shm_link *link, const struct wbi_mr *mr)
{
    return mr->id <= atomic_load_explicit(&link->announced, memory_order_acquire);
}

#endif
