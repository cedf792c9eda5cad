/* The limits of this process that matter to Waybill. */
#ifndef WAYBILL_PERF_WB_INFO_LIMITS_H
#define WAYBILL_PERF_WB_INFO_LIMITS_H

#include "perf/wb_info_print.h"

/* Prints them as values of the open group, with a hint where one is small. */
void print_limits(struct printer *printer);

#endif
