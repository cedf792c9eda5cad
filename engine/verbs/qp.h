/* Queue pairs: attributes, transitions, end. */
#ifndef WBI_VERBS_QP_H
#define WBI_VERBS_QP_H

#include <stdint.h>

struct wbi_channel;

enum {
    WBI_VERBS_MIN_RNR_TIMER = 12, /* 0.64 ms; 0 would be 655 ms */
    WBI_VERBS_RNR_RETRY = 6       /* 7 never ends */
};

/* Makes channel->qp, in state INIT, on channel->queues. WB_ERR_SYSTEM, WB_ERR_INVALID (an MTU above
 * the port's). */
int wbi_verbs_qp_create(struct wbi_channel *channel);

/* To RTR and RTS. Outgoing and incoming: READs in flight that both sides have agreed on.
 * WB_ERR_SYSTEM, WB_ERR_INVALID. */
int wbi_verbs_qp_start(struct wbi_channel *channel, uint32_t outgoing, uint32_t incoming);

/*
 * Ends channel->qp: moves it to ERR, drains it, destroys it. When this returns the device reads and
 * writes no memory for it any more, no READ of the peer's can follow, and no completion of it is
 * left. Completions of others that were met are stashed. Bounded time. Accepts a channel without
 * one.
 */
void wbi_verbs_qp_destroy(struct wbi_channel *channel);

/* Waits, some milliseconds at most, until the peer's device has all that was sent. */
void wbi_verbs_qp_linger(struct wbi_channel *channel);

#endif
