/* Transfers: a request arrives, an answer returns. */
#ifndef WAYBILL_TESTS_SIMVERBS_TRANSFER_H
#define WAYBILL_TESTS_SIMVERBS_TRANSFER_H

#include "tests/simverbs/model.h"

/* Work number event->number of a queue pair arrives at its peer. */
void sim_transfer_arrive(const struct sim_event *event);

/* Its answer, event->status, is back. */
void sim_transfer_return(const struct sim_event *event);

/* When an answer with `bytes` that leaves now is back at the queue pair that asked. */
uint64_t sim_answer_ns(struct sim_qp *from, uint64_t bytes);

/* How long `bytes` are on their way. */
uint64_t sim_way_ns(uint64_t bytes);

#endif
