/* What two planted defects do: READs that a rail did not end are not made anew. */
#ifndef WAYBILL_TESTS_WB_SIM_PLANTED_RAILS_H
#define WAYBILL_TESTS_WB_SIM_PLANTED_RAILS_H

#include "engine/verbs/rails.h"

static inline void planted_end_reads(struct wbi_read *read, int status)
{
    while (read != NULL) {
        struct wbi_read *next = read->next; /* done() may use it anew */
        read->done(read, status);
        read = next;
    }
}

#endif
