/* Devices: what a domain opens of each, and what it finds out once. */
#ifndef WBI_VERBS_DEVICE_H
#define WBI_VERBS_DEVICE_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    WBI_VERBS_SEND_DEPTH = 64, /* work requests of a queue pair, at most */
    WBI_VERBS_READ_DEPTH = 16, /* READs in flight a channel, at most */
    WBI_VERBS_READ_SGES = 8,   /* landings that one READ fills, at most */
    WBI_VERBS_INLINE = 256     /* bytes: what is asked of the device */
};

/* A context of our own, beside the one that librdmacm keeps: its asynchronous events are ours
 * alone. */
struct wbi_verbs_device {
    struct ibv_context *context; /* NULL: closed */
    struct ibv_pd *pd;
    struct ibv_device_attr attr;
    char name[IBV_SYSFS_NAME_MAX];
    uint64_t max_message_bytes; /* of its active ports, the least */
    uint32_t read_depth_out;    /* READs that we may have in flight on a channel */
    uint32_t read_depth_in;     /* READs that a peer may have in flight on a channel */
    uint32_t read_sges;
    uint32_t read_align; /* of a READ's addresses and length */
    uint32_t send_depth; /* work requests that a queue pair has */
    bool on_demand;      /* its peers can READ memory that is paged on demand, */
    bool on_demand_all;  /* all that the process has */

    /* written by any lane's thread */
    _Atomic uint32_t inline_bytes; /* what queue pairs are asked for: lowered when it refuses */
    _Atomic uint32_t deaths;       /* that it has told of: each ends all that is on it */
    _Atomic uint32_t readers;      /* threads that may have an event of it in hand */
    _Atomic bool tells_last_wqe;   /* it has sent LAST_WQE_REACHED, or was not asked yet */
};

static inline uint32_t wbi_verbs_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Makes a descriptor not block. Whether that worked; errno says why not. */
bool wbi_verbs_unblock(int fd);

/* A connection manager's event channel; NULL, with words. */
struct rdma_event_channel *wbi_verbs_cm_open(void);

/* Opens a device with at least one active port. WB_ERR_NO_FABRIC with words: no port is active, or
 * it lacks what the fabric stands on. WB_ERR_SYSTEM. */
int wbi_verbs_device_open(struct ibv_device *which, struct wbi_verbs_device *device);

/* Accepts a zeroed or half-open one. */
void wbi_verbs_device_close(struct wbi_verbs_device *device);

/* Why no device can be opened by anybody here, in words; NULL if some can. */
const char *wbi_verbs_no_device(int count);

/* What a device has of on-demand paging for READs, of a range and of all memory. */
bool wbi_verbs_on_demand(const struct ibv_device_attr_ex *attr, bool all);

/* Whether the kernel copies pinned pages when a process forks, so that nothing needs ibv_fork_init.
 */
bool wbi_verbs_fork_is_safe(void);

#endif
