/* Results that some calls ask for in a vector of their own (wb_call_options.into). */
#ifndef WAYBILL_TESTS_WB_SIM_OWN_H
#define WAYBILL_TESTS_WB_SIM_OWN_H

#include <waybill/waybill.h>

#include "tests/wb_sim/calls.h"
#include "tests/wb_sim/ledger.h"

/* Makes the vector where the call wants one; it does no more where there is no memory for it. */
void own_open(struct node *node, struct open_call *open, struct entry *entry);

/* The call has begun: some callers drop their handle at once. */
void own_begun(struct open_call *open);

/* Fails where the vector that came back is not there. */
void own_check(const struct play *play, const struct open_call *open, const wb_rma_vector *got);

/* The call has ended: fails where somebody may still write there. */
void own_close(const struct play *play, struct open_call *open);

#endif
