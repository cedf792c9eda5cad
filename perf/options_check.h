/* What no single option of wb_perf can know. */
#ifndef WAYBILL_PERF_OPTIONS_CHECK_H
#define WAYBILL_PERF_OPTIONS_CHECK_H

/* Checks a struct options together, reads its trace, and fills what was not given. Returns 0, or
 * the exit status with a line said. */
int options_check(void *options);

#endif
