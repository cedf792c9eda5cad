/* A bare queue pair to the other process, with one block of registered memory. */
#ifndef WAYBILL_PERF_RAW_LINK_H
#define WAYBILL_PERF_RAW_LINK_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAW_READS = 16,        /* in flight, as our fabric has them; less where the device takes less */
    RAW_LINK_SENDS = 64,   /* in the send queue, beside them */
    RAW_LINK_RECEIVES = 16 /* posted ahead, so that no SEND finds none */
};

/*
 * Memory: first what this side writes, from `landing` on where READs land, and at the end, in
 * receive_bytes, where receives do.
 *
 * Invariant: sent - acknowledged SENDs are in the send queue, or were not seen to have left it,
 * since not each of them is signalled; and so are posted - done READs, window at most. All zero has
 * nothing to give back.
 */
struct raw_link {
    struct rdma_cm_id *listener; /* the server's */
    struct rdma_cm_id *id;
    uint8_t *memory;
    size_t bytes, landing, receive_bytes;
    struct ibv_mr *mr;
    uint64_t max_message;  /* bytes of one READ or SEND */
    uint32_t inline_bytes; /* that a SEND takes along */
    uint32_t depth;        /* READs that the device has in flight, at most */
    uint32_t window;       /* READs in the send queue, at most */
    uint64_t sent, acknowledged;
    uint64_t posted, done;
    struct ibv_send_wr *works; /* room for a list of `window`, and what they refer to */
    struct ibv_sge *ranges;
    const char *step; /* what failed, for raw_link_words */
    int error;        /* its errno, or the status of a completion, negative */
};

/* What a side wants of its link. */
struct raw_link_wish {
    size_t landing, receive_bytes, bytes; /* receive_bytes 0: no SENDs will come */
    uint32_t list;                        /* READs that are to be posted as one list */
};

/* Each of these returns 0, or -1: then raw_link_words says it. Learns what the device of link->id
 * can. Lists of more than one READ may be as long as it allows, and two of them are in the queue if
 * it allows that; else there are as many READs as it has in flight. */
int raw_link_learn(struct raw_link *link, uint32_t list);
/* Gives link->id, which has a queue pair of RAW_LINK_SENDS + window, memory and receives. */
int raw_link_equip(struct raw_link *link, const struct raw_link_wish *wish);

static inline uint8_t *raw_link_received_at(const struct raw_link *link)
{
    return link->memory + link->bytes - link->receive_bytes;
}

/* In place of one that was taken. */
int raw_link_post_receive(struct raw_link *link);

/* Sends `bytes` of the memory. */
int raw_link_send(struct raw_link *link, size_t offset, size_t bytes);
/* Takes note of SENDs that have completed. */
int raw_link_collect(struct raw_link *link);

/* Whether a message has come: 1, 0, or -1. */
int raw_link_received(struct raw_link *link);

/* Takes note of what the send queue has completed; returns how many completions there were, or -1
 * if one failed. */
int raw_link_poll_sends(struct raw_link *link);

/* Notes what failed, with errno; returns -1. */
int raw_link_fail(struct raw_link *link, const char *step);
/* "step: why", in `text`. */
void raw_link_words(const struct raw_link *link, char *text, size_t size);

/* Gives the memory back, which is not registered any more. Accepts all zero. */
void raw_link_free(struct raw_link *link);

#endif
