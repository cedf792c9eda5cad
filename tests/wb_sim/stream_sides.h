/* What the program on one side of a stream does with it. */
#ifndef WAYBILL_TESTS_WB_SIM_STREAM_SIDES_H
#define WAYBILL_TESTS_WB_SIM_STREAM_SIDES_H

#include "tests/wb_sim/stream_model.h"

/* Of the runs' chance for streams: below `limit`. */
uint64_t streams_below(const struct play *play, uint64_t limit);

/* `ready` of all sides. */
void side_ready(struct wb_stream *stream, void *side);

/* Takes and sends, until neither goes on, and ends as is planned. Whether something was done. */
bool side_turn(struct side *side);

void side_drop(struct side *side);
void side_abort(struct side *side);

/* Lets go of an item that it has taken. False: it has none. */
bool side_let_go(struct side *side);

#endif
