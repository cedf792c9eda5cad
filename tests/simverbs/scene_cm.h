/* Two hosts and their connection managers, straight on librdmacm. Calls assert that they succeed.
 */
#ifndef WAYBILL_TESTS_SIMVERBS_SCENE_CM_H
#define WAYBILL_TESTS_SIMVERBS_SCENE_CM_H

#include <rdma/rdma_cma.h>

#include "tests/simverbs/world.h"

enum { CM_PORT = 7471 };

/* A host with its event channel. */
struct cm_end {
    struct sim_host *host;
    struct sim_device *device;
    struct rdma_event_channel *cm;
};

/* A copy of an event that was acknowledged. */
struct cm_heard {
    enum rdma_cm_event_type type;
    int status;
    struct rdma_cm_id *id;
    struct rdma_conn_param param;
    uint8_t data[256];
};

extern struct cm_end cm_here, cm_there; /* 10.0.0.1 and 10.0.0.2 */

/* Opens a world of two hosts; closes it, with nothing left; as a fixture: whatever it came to. */
void cm_open(void);
void cm_close(void);
void cm_clear(void);

/* Static storage. */
struct sockaddr *cm_address(const char *address, uint16_t port);

/* The next event of an end, within `ms` of the world's time; false: none. */
bool cm_hear(struct cm_end *end, uint64_t ms, struct cm_heard *heard);

/* The next event, which is of this type. */
struct cm_heard cm_expect(struct cm_end *end, enum rdma_cm_event_type type);

/* Identifiers: fresh; listening at CM_PORT; here's, with a route to `address`; and one that has
 * called there ("hello", READ depths 3 in and 7 out, queue pair 17). */
struct rdma_cm_id *cm_id(struct cm_end *end);
struct rdma_cm_id *cm_listener(struct cm_end *end, const char *address);
struct rdma_cm_id *cm_routed(const char *address);
struct rdma_cm_id *cm_calling(const char *address);

/* Accepts with these private data, depths 7 in and 3 out, queue pair 23: as rdma_accept. */
int cm_accept(struct rdma_cm_id *id, const void *data, uint8_t len);

/* Connected, from both sides' view. There must be a listener. */
void cm_connect(struct rdma_cm_id **active, struct rdma_cm_id **passive);

#endif
