/* What the device and the connection manager say, in sentences with advice. */
#ifndef WBI_VERBS_EXPLAIN_H
#define WBI_VERBS_EXPLAIN_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

/* Why a work request ended as it did, and what to do. Static. */
const char *wbi_verbs_wc_words(enum ibv_wc_status status);

/* Why a connection did not come to be, or ended; `code` is the event's status. Static. */
const char *wbi_verbs_cm_words(enum rdma_cm_event_type event, int code);
int wbi_verbs_cm_status(enum rdma_cm_event_type event);

/* What a device says by itself. Static; NULL: nothing that ends a channel. */
const char *wbi_verbs_device_words(enum ibv_event_type event);

/* A refusal's reason: the peer's program gave it, with a hello (InfiniBand
 * specification, 12.6.7.2).
 */
enum { WBI_VERBS_REFUSED_BY_CONSUMER = 28 };

#endif
