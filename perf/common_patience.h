/* How long the programs wait for the other side. */
#ifndef WAYBILL_PERF_COMMON_PATIENCE_H
#define WAYBILL_PERF_COMMON_PATIENCE_H

#include <stdint.h>

enum { PATIENCE_S = 30, PATIENCE_BYTES_A_US = 4 };

/* In microseconds, for what moves `bytes`: half a minute, and as long as 4 MB a second take, which
 * is less than what emulated devices move. */
static inline uint64_t patience_us(uint64_t bytes)
{
    return PATIENCE_S * UINT64_C(1000000) + bytes / PATIENCE_BYTES_A_US;
}

#endif
