/*
 * The send queue of a channel, as we keep it beside the device's: what was queued, what was posted,
 * and what it holds until it completes. Most sends are not signalled; a completion speaks for all
 * that was posted before it.
 *
 * Invariant: done <= posted <= queued < done + depth <= done + WBI_VERBS_SEND_DEPTH. work[i %
 * WBI_VERBS_SEND_DEPTH] is number i; beyond those that are not done none has a slot or reads. All
 * from `others` on are messages that left at once, and have neither.
 */
#ifndef WBI_VERBS_SEND_QUEUE_H
#define WBI_VERBS_SEND_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/fabric.h"
#include "engine/verbs/device.h"
#include "engine/verbs/queues.h"

enum {
    WBI_VERBS_LEAST_SENDS = 8,    /* depth that a channel can work with */
    WBI_VERBS_SIGNAL_EVERY = 8,   /* messages, at most */
    WBI_VERBS_LIST = 16,          /* parcels that are kept back to go as one list, at most */
    WBI_VERBS_CONTROL_WINDOW = 2, /* control messages that the peer has sent no receipt for */
    WBI_VERBS_KEPT_WORKS = 5      /* places for these two, receipts, a probe, and the drain */
};

enum wbi_verbs_work_kind { WBI_VERBS_SEND, WBI_VERBS_CONTROL, WBI_VERBS_READ, WBI_VERBS_PROBE };

struct wbi_verbs_work {
    enum wbi_verbs_work_kind kind;
    unsigned flags; /* of ibv_send_flags: signalled, inline */
    uint8_t *slot;  /* SEND: goes back when it is needed no more */
    uint32_t immediate;
    uint32_t sge_count;
    uint32_t parcels;   /* SEND: more than one: a bundle */
    struct ibv_sge sge; /* SEND, CONTROL */
    /* READ: one request for the reads of this list, whose remote ranges follow each other */
    struct ibv_sge *sges;
    uint32_t rkey;
    uint64_t remote, bytes;
    struct wbi_read *reads, *last_read;
};

struct wbi_verbs_send_queue {
    uint64_t queued, posted, done, others;
    uint32_t depth;
    uint32_t sends, signal_every; /* messages in flight, at most; and how often one is signalled */
    uint32_t sends_in_flight, reads_in_flight, unsignalled;
    uint32_t kept_back; /* parcels, and other messages, of those that are not posted */
    uint32_t slots_used;
    uint32_t read_depth;  /* READs in flight that both devices allow */
    uint32_t read_number; /* counts READs: which row of read_sges is next */
    uint64_t read_bytes;  /* of the READs in flight */
    uint64_t read_moved;  /* of a rail's, microseconds: when the first began, or one ended since */
    uint32_t inline_bytes;
    struct wbi_verbs_work works[WBI_VERBS_SEND_DEPTH];
    struct ibv_sge read_sges[WBI_VERBS_READ_DEPTH][WBI_VERBS_READ_SGES];
};

void wbi_verbs_send_queue_open(struct wbi_verbs_send_queue *queue, uint32_t depth);

/* The next piece of work, signalled, with nothing in it but its kind; there is room. */
static inline struct wbi_verbs_work *wbi_verbs_work_next(struct wbi_verbs_send_queue *queue,
                                                         enum wbi_verbs_work_kind kind)
{
    struct wbi_verbs_work *work = &queue->works[queue->queued++ % WBI_VERBS_SEND_DEPTH];
    queue->others = queue->queued;
    work->kind = kind;
    work->flags = IBV_SEND_SIGNALED;
    work->immediate = 0;
    work->sge_count = 0;
    return work;
}

/* A message that leaves at once, and inline: there is room, and nothing before it. Its number. */
static inline uint64_t wbi_verbs_work_at_once(struct wbi_verbs_send_queue *queue, size_t bytes)
{
    uint64_t number = queue->queued;
    struct wbi_verbs_work *work = &queue->works[number % WBI_VERBS_SEND_DEPTH];
    work->kind = WBI_VERBS_SEND;
    work->sge.length = (uint32_t)bytes; /* for words of what fails */
    queue->posted = queue->queued = number + 1;
    queue->sends_in_flight++;
    return number;
}

/* The same; NULL: the queue is full, or what is left of it is for other kinds. */
static inline struct wbi_verbs_work *wbi_verbs_work_add(struct wbi_verbs_send_queue *queue,
                                                        enum wbi_verbs_work_kind kind)
{
    bool ours = kind == WBI_VERBS_CONTROL || kind == WBI_VERBS_PROBE; /* the link's own */
    if (queue->queued - queue->done >= queue->depth - (ours ? 1 : WBI_VERBS_KEPT_WORKS)) {
        return NULL;
    }
    return wbi_verbs_work_next(queue, kind);
}

/* The youngest that is not posted yet, if it is of this kind; or NULL. */
struct wbi_verbs_work *wbi_verbs_work_last(struct wbi_verbs_send_queue *queue,
                                           enum wbi_verbs_work_kind kind);

/* Posts what is queued, as one list. Dooms the channel where the device refuses: what it took of
 * the list is posted, the rest stays queued, and both end as ever. */
void wbi_verbs_work_post(struct wbi_channel *channel);

/* The device did not take `bad` and what follows it; one that does not say which may have taken
 * all. Dooms the channel. */
void wbi_verbs_work_refused(struct wbi_channel *channel, const struct ibv_send_wr *bad, int error);

/* Everything up to number `number` is complete: gives slots back, ends READs. */
void wbi_verbs_work_complete(struct wbi_channel *channel, uint64_t number);

/* Number `number` failed, as the completion says: dooms the channel. */
void wbi_verbs_work_failed(struct wbi_channel *channel, const struct ibv_wc *wc);

/* Ends all READs of a list, so. Takes the list. */
void wbi_verbs_reads_end(struct wbi_read *reads, int status);

/* The queue pair is gone: gives slots back, ends READs with WB_ERR_PEER_LOST. */
void wbi_verbs_work_drop(struct wbi_channel *channel);

#endif
