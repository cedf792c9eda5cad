/* What handlers check and give, for those too that answer later. */
#ifndef WAYBILL_TESTS_WB_SIM_HANDLERS_H
#define WAYBILL_TESTS_WB_SIM_HANDLERS_H

#include "tests/wb_sim/actions.h"
#include "tests/wb_sim/ledger.h"
#include "tests/wb_sim/node.h"

/* The arguments of a call are what was sent. */
void handlers_check_work(const struct play *play, const struct entry *entry,
                         const struct work_in *in);
void handlers_check_many(const struct play *play, const struct entry *entry,
                         const struct many_in *in);

/* The raw bytes of its result; they live until the node's next result. */
wb_bytes handlers_raw(struct node *node, const struct entry *entry);

/* How a call fails that is to: with this code, and its number in these words. */
int handlers_code(const struct entry *entry);
#define HANDLERS_WORDS "call %llu fails"

#endif
