/* The server of --local: this program as a second process. */
#ifndef WAYBILL_PERF_LOCAL_SERVER_H
#define WAYBILL_PERF_LOCAL_SERVER_H

#include "perf/common_child.h"
#include "perf/common_listen.h"
#include "perf/options.h"

/*
 * Starts it, and waits until it listens at an address that it finds itself: fills `url`. `area_fd`
 * is the memory that --vs shares with it, or NO_FD. Returns 0, or an exit status with a line said,
 * also where the fabric cannot be used here. The caller ends *child with child_stop in any case.
 */
int local_server_start(struct child *child, const struct options *options, int area_fd,
                       char url[LISTEN_URL_ROOM]);

#endif
