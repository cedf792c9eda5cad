/* Calls as their callers see them: begun, taken when they have ended, held against the ledger. */
#ifndef WAYBILL_TESTS_WB_SIM_CALLS_H
#define WAYBILL_TESTS_WB_SIM_CALLS_H

#include <stdbool.h>
#include <waybill/waybill.h>

#include "tests/wb_sim/node.h"

struct wb_peer;

/* A call that was begun and not finished. */
struct open_call {
    struct open_call *next; /* of the node's */
    struct wb_call *call;
    uint64_t number;
    struct wb_peer *peer; /* the link it is on; NULL: an accepted one, or closed since */
    uint8_t *memory;      /* its strings and ranges */
    size_t memory_bytes;
    bool spoils;       /* it, when the call is sent */
    wb_rma_vector own; /* for its result, or the empty handle; own_data is where it was made */
    const void *own_data;
    unsigned sents, ends; /* times that it was said to be sent, and to have ended */
    struct wb_error error;
    unsigned overdue_turns;
};

/* Begins a call of some kind to host `target`; from inside a handler (then the peer is the
 * context's, and not kept) or not. */
void call_begin(struct node *node, unsigned target, struct wb_peer *peer, bool inside);

/* The same, waiting for its end. */
void call_and_wait(struct node *node, struct link *link);

/* Finishes what has ended, and finds what should have. */
void calls_take_ended(struct node *node);

/* What another thread does while one of the host's waits in its engine: gives up calls of which it
 * has enough. */
void calls_give_up_beside(struct node *node);

/* The engine is gone, and its calls with it. */
void calls_abandon(struct node *node);

/* A peer is closed: its calls will end, and know it no more. */
void calls_forget_peer(struct node *node, const struct wb_peer *peer);

#endif
