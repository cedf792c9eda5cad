/* Streams between hosts: opened, served, moved on by `ready` or at random steps, finished, dropped
 * and aborted, all with timeout 0, and held against a model (stream_model.h). In half of the runs,
 * out of a chance of their own. */
#ifndef WAYBILL_TESTS_WB_SIM_STREAMS_H
#define WAYBILL_TESTS_WB_SIM_STREAMS_H

#include <waybill/waybill.h>

#include "tests/wb_sim/stream_items.h"

struct link;
struct node;
struct play;

/* Before the run's nodes; and behind their ends, which fails where something is left. */
void streams_open(struct play *play);
void streams_close(struct play *play);

/* Before a node's first engine; and on each: a status. */
void streams_configure(struct node *node);
int streams_register(struct node *node);

/* A handler's: what the host does with a stream that is opened to it. */
int streams_serve(struct node *node, struct wb_context *context, struct wb_stream *stream,
                  enum item_type kind, uint64_t number, wb_bytes raw);

/* A step of the run: streams are opened, some sides do something, all are checked. */
void streams_step(struct play *play);

/* A host's programs do what they have been told of. Whether there was something. */
bool streams_turn(struct node *node);

/* Over a link that stands when all is well: a stream that ends in order. */
void streams_begin_in_order(struct node *node, struct link *link);

/* The host's engine has ended. */
void streams_forget(struct node *node);

/* Sides that are open; and the end of the run, when none may be. */
unsigned streams_count(const struct play *play);
void streams_check_ended(const struct play *play);

/* Nothing is left of them in the engine. */
void streams_check_quiet(const struct node *node);

#endif
