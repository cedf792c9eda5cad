/* The limit on pinned memory: RDMA needs what it reads and writes to stay in place. */
#ifndef WBI_VERBS_MEMLOCK_H
#define WBI_VERBS_MEMLOCK_H

#include <stdint.h>

/* Bytes that this process may pin; UINT64_MAX: no limit, or it does not apply to this process. */
uint64_t wbi_verbs_memlock_limit(void);

/* Whether `bytes` and what a lane needs besides can be pinned. WB_ERR_NO_FABRIC, with the line for
 * limits.conf. */
int wbi_verbs_memlock_check(uint64_t bytes);

#endif
