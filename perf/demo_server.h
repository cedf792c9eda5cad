/* The server of wb_demo: scales fields, and tallies records. */
#ifndef WAYBILL_PERF_DEMO_SERVER_H
#define WAYBILL_PERF_DEMO_SERVER_H

#include <stdint.h>

/* Serves over shm and, where an RDMA device is, over verbs; tells the parent behind descriptor
 * `link` its URLs, with a space between. Serves with a pool of at most `budget_bytes`, until the
 * parent behind descriptor `link` is gone. Returns the exit status; failures have said a line. */
int demo_serve(uint64_t budget_bytes, int link);

#endif
