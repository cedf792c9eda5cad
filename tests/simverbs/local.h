/* Work that a device does by itself, in its place among what it sends: it binds windows and
 * invalidates them. */
#ifndef WAYBILL_TESTS_SIMVERBS_LOCAL_H
#define WAYBILL_TESTS_SIMVERBS_LOCAL_H

#include "tests/simverbs/model.h"

bool sim_local_is(enum ibv_wr_opcode opcode);

/* Whether this is such work, as far as can be told when it is posted. */
bool sim_local_is_fit(const struct ibv_send_wr *wr);

/* Notes what windows have to do with this work; it may be of any kind. */
void sim_local_take(struct sim_work *work, const struct ibv_send_wr *wr);

/* The turn of work number event->number of a queue pair has come. */
void sim_local_execute(const struct sim_event *event);

#endif
