/* How the raw queue pairs of both sides are made, and end. */
#ifndef WAYBILL_PERF_RAW_MEET_H
#define WAYBILL_PERF_RAW_MEET_H

#include "perf/raw.h"

/* The server's step for the client's thread t: it listens or, if `accepts`, takes who comes.
 * Returns 0, or -1, with the end's words. (The client's is raw_join.) */
int raw_meet(struct raw *raw, uint32_t t, bool accepts);

/* Either side's. Accepts all zero. */
void raw_link_close(struct raw_link *link);

#endif
