/*
 * What of a host's handlers goes on outside of its lane: calls that are deferred and answered at
 * some later step, or never; and an executor, whose queue is run at random steps, in any order.
 * Both as if by another thread of the program: also while the host waits for a call.
 */
#ifndef WAYBILL_TESTS_WB_SIM_LATER_H
#define WAYBILL_TESTS_WB_SIM_LATER_H

#include <waybill/waybill.h>

#include "tests/wb_sim/actions.h"
#include "tests/wb_sim/node.h"

struct entry;
struct play;

/* Whether this run defers, and from now on what is drawn for it, from a stream of its own. */
void later_open(struct play *play);

/* When the call is to be answered, out of its number alone. */
void later_draw(const struct play *play, struct entry *entry);

/* Who waits for a call does not give it up: it is answered some day. */
void later_await(struct entry *entry);

/* Before a node's first engine. */
void later_open_node(struct node *node);

/* For an action of its engine that is registered now: the executor its handler runs on; NULL: none.
 */
const struct wb_executor *later_executor(struct node *node);

/* A call that is to be answered: its arguments, and the vector of its result. */
struct later_job {
    struct later_job *next; /* of the node's */
    struct wb_deferred *call;
    uint64_t number, due_ns; /* due UINT64_MAX: never */
    struct work_in work;
    struct many_in many; /* of the two the one that it is */
    wb_rma_vector made;
};

/* In a handler: defers the call. NULL: there was no memory for it. What follows is later_take. */
struct later_job *later_defer(struct node *node, struct wb_context *context,
                              const struct entry *entry);

/* The handler has put the arguments and the vector into the job: it is answered when its time has
 * come, which may be now. */
void later_take(struct node *node, struct later_job *job);

/* Answers a job, or runs what the executor was given. False: there was nothing to do, or the host
 * is at something. */
bool later_turn(struct node *node);

/* The same, of some host, now and then. */
bool later_turn_some(struct play *play);

/* While the calling thread waits for a call on this host: it helps the executor. */
void later_adopt(struct node *node, bool adopts);

/* The run comes to its end: what was never to be answered is, or its host ends with it. */
void later_let_go(struct play *play);

/* The engine has ended: nothing of it is answered or run any more. */
void later_forget(struct node *node);

#endif
