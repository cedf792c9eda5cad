/* A bare queue pair to the other process, with one block of registered memory. */
#ifndef WAYBILL_PERF_RAW_LINK_H
#define WAYBILL_PERF_RAW_LINK_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAW_READS = 16,   /* in flight, as our fabric has them; less where the device takes less */
    RAW_RECEIVES = 16 /* posted ahead, so that no SEND finds none */
};

/*
 * Invariant: sent - acknowledged SENDs are in the send queue, or were not seen to have left it,
 * since not each of them is signalled. All zero has nothing to give back.
 */
struct raw_link {
    struct rdma_cm_id *listener; /* the server's */
    struct rdma_cm_id *id;
    uint8_t *memory;
    size_t bytes;
    struct ibv_mr *mr;
    uint64_t max_message;  /* bytes of one READ or SEND */
    uint32_t inline_bytes; /* that a SEND takes along */
    uint32_t depth;        /* READs in flight, at most */
    uint64_t sent, acknowledged;
    size_t receive_bytes; /* of the memory's end, where receives land */
    const char *step;     /* what failed, for raw_link_words */
    int error;            /* its errno, or the status of a completion, negative */
};

/* Makes an id, with blocking calls. Each of these returns 0, or -1: then raw_link_words says it. */
int raw_link_begin(struct raw_link *link, struct rdma_cm_id **id);
/* Gives link->id, which has a device, a queue pair, and `bytes` of memory; receives land in its
 * last receive_bytes (0: there are none). */
int raw_link_equip(struct raw_link *link, size_t bytes, size_t receive_bytes);
/* What the two sides tell the connection manager. */
struct rdma_conn_param raw_link_conn_param(const struct raw_link *link);

/* In place of one that was taken. */
int raw_link_post_receive(struct raw_link *link);

/* Sends `bytes` at the memory's start. */
int raw_link_send(struct raw_link *link, size_t bytes);
/* Takes note of SENDs that have completed. */
int raw_link_collect(struct raw_link *link);

/* Whether a message has come: 1, 0, or -1. */
int raw_link_received(struct raw_link *link);

/* Takes up to `most` completions of the send queue; returns their number, or -1 if one failed. */
int raw_link_poll_sends(struct raw_link *link, int most);

/* Notes what failed, with errno; returns -1. */
int raw_link_fail(struct raw_link *link, const char *step);
/* "step: why", in `text`. */
void raw_link_words(const struct raw_link *link, char *text, size_t size);

/* Accepts all zero. */
void raw_link_close(struct raw_link *link);

#endif
