/* The limit on pinned memory: RDMA needs what it reads and writes to stay in place. */
#ifndef WBI_VERBS_MEMLOCK_H
#define WBI_VERBS_MEMLOCK_H

#include <stdint.h>
#include <waybill/engine.h>

#include "engine/fabric.h"

/* Bytes that this process may pin; UINT64_MAX: no limit, or it does not apply to this process. */
uint64_t wbi_verbs_memlock_limit(void);

/* Bytes that an engine pins at once on each device: its first slab, and the message slots. */
uint64_t wbi_verbs_pinned_bytes(const struct wb_engine_config *config,
                                const struct wbi_fabric_caps *caps);

/* Whether that can be pinned on all devices. WB_ERR_NO_FABRIC, with the line for limits.conf, or
 * because together they are too small. */
int wbi_verbs_memlock_check(const struct wb_engine_config *config,
                            const struct wbi_fabric_caps *caps);

/* What the devices and that limit say of an allocator to be: see check_memory in fabric.h. */
int wbi_verbs_check_memory(const struct wbi_domain *domain, const struct wb_engine_config *config,
                           const struct wbi_memory_plan *plan);

#endif
