/*
 * What a lane has on one device: a completion queue, a shared receive queue (or none: then each
 * queue pair has its own), and the receive slots that are posted to it.
 *
 * The CQ never overflows: entries >= receives + channels * send_depth, since a flush completes
 * unsignalled work too; engine/share.h sees to it that the device has so many.
 */
#ifndef WBI_VERBS_QUEUES_H
#define WBI_VERBS_QUEUES_H

#include <infiniband/verbs.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wbi_fabric_lane;
struct wbi_channel;

enum {
    WBI_VERBS_SPARES = 32,        /* receives posted as one list */
    WBI_VERBS_QP_BINS = 1024,     /* a power of two */
    WBI_VERBS_LATE_RECEIVES = 15, /* of an SRQ, not posted anew until there are more of them */
    WBI_VERBS_LATE_OWN = 3        /* of a queue pair's own */
};

/* Slots that are to be posted before others are asked of the engine, as the list of requests that
 * they are posted by: requests[i] is for sges[i], and all but their ids and addresses, and the next
 * of a list's last, is written once. */
struct wbi_verbs_spares {
    uint32_t count;
    struct ibv_recv_wr requests[WBI_VERBS_SPARES];
    struct ibv_sge sges[WBI_VERBS_SPARES];
};

struct wbi_verbs_queues {
    struct wbi_verbs_device *device; /* NULL: not in use */
    struct wbi_fabric_lane *lane;
    struct wbi_verbs_queues *next; /* in lane->used */
    uint32_t number;               /* of the device in the domain */
    struct ibv_comp_channel *completions;
    struct ibv_cq *cq;
    struct ibv_srq *srq;
    struct ibv_mr *receive_mr, *send_mr;
    uint32_t entries;        /* of the CQ */
    uint32_t target, posted; /* receive slots: wanted in the SRQ, there; 0 where there is none */
    uint32_t least;          /* fewer of them, and a batch is due */
    uint16_t *holders;       /* by slot: whose receive it is (receives.h) */
    struct wbi_verbs_spares spares;
    _Atomic uint32_t
        reported;    /* events of the CQ and the SRQ, as bits; any lane's thread reads them */
    uint32_t deaths; /* of the device, that are known here */
    bool broken;     /* the CQ or the SRQ: made anew when the last channel on them is gone */
    struct wbi_channel *thirsty; /* likewise: with receives to be posted */
    uint64_t taken;              /* completions, so far */

    /* Completions of others that a close met while it waited for its own; the next poll's first. */
    struct ibv_wc *stash;
    uint32_t stash_next, stash_end;

    struct wbi_channel *by_qp[WBI_VERBS_QP_BINS];
};

/* Makes the queues of device `number`, once; and anew where they have broken. May block.
 * WB_ERR_SYSTEM (also while the broken ones still have channels), WB_ERR_NO_MEMORY. */
int wbi_verbs_queues_open(struct wbi_fabric_lane *lane, unsigned number);

/* After all its queue pairs are gone. Accepts a zeroed or half-open one. */
void wbi_verbs_queues_close(struct wbi_verbs_queues *queues);

/* Keeps a completion for later; and gives those that are kept, the first first, `most` at most. */
int wbi_verbs_unstash(struct wbi_verbs_queues *queues, struct ibv_wc *wcs, int most);
void wbi_verbs_stash(struct wbi_verbs_queues *queues, const struct ibv_wc *wc);

/* Work request ids: a receive slot's index, or a send queue's sequence number. The opcode of a
 * failed completion is not valid, so the id says which it is. */
#define WBI_VERBS_RECEIVE ((uint64_t)1 << 63)

/* Channels by queue pair number. */
void wbi_verbs_map_add(struct wbi_channel *channel);
void wbi_verbs_map_remove(struct wbi_channel *channel);
struct wbi_channel *wbi_verbs_map_find(const struct wbi_verbs_queues *queues, uint32_t qp_num);

#endif
