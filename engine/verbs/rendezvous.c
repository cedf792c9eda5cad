/* The passive side of a connection: a request, and its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/lane.h"
#include "engine/verbs/qp.h"

enum { ARRIVALS_A_LOOK = 16 }; /* each makes a queue pair, which takes its time */

struct wbi_request {
    struct wbi_fabric_lane *lane;
    struct rdma_cm_id *id;
    uint32_t outgoing, incoming; /* READs in flight: ours, theirs */
    bool answered, taken;
};

/* A request that has come to the lane that listens, and whose connection is to live on another. Its
 * identifier has no context until it is accepted: what is said of it before that does not count. */
struct wbi_verbs_arrival {
    struct wbi_verbs_arrival *next;
    struct rdma_cm_id *id;
    uint32_t outgoing, incoming;
    size_t hello_len;
    uint8_t hello[WBI_HELLO_MAX];
};

static void ask(struct wbi_fabric_lane *lane, const struct wbi_verbs_arrival *arrival)
{
    struct wbi_request request = {.lane = lane,
                                  .id = arrival->id,
                                  .outgoing = arrival->outgoing,
                                  .incoming = arrival->incoming};
    lane->events.on_request(lane->owner, &request, arrival->hello, arrival->hello_len);
    if (!request.answered) {
        rdma_reject(arrival->id, NULL, 0);
    }
    if (!request.taken) {
        rdma_destroy_id(arrival->id);
    }
}

static void drop(struct wbi_fabric_lane *home, struct rdma_cm_id *id)
{
    rdma_reject(id, NULL, 0);
    rdma_destroy_id(id);
    home->events.unasked(home->owner);
}

/* From here on the identifier's events are that lane's. Whoever sleeps gets up: it may have been
 * armed before. */
static void hand_over(struct wbi_fabric_lane *home, const struct wbi_verbs_arrival *arrived)
{
    struct wbi_verbs_arrival *arrival = malloc(sizeof *arrival);
    arrived->id->context = NULL;
    if (arrival == NULL || rdma_migrate_id(arrived->id, home->cm) != 0) {
        free(arrival);
        drop(home, arrived->id);
        return;
    }
    *arrival = *arrived;
    arrival->next = atomic_load(&home->arrivals);
    while (!atomic_compare_exchange_weak(&home->arrivals, &arrival->next, arrival)) {
    }
    wbi_verbs_lane_wake(home);
}

void wbi_verbs_on_connect_request(struct wbi_fabric_lane *lane, struct rdma_cm_id *id,
                                  const struct rdma_conn_param *param, const uint8_t *hello,
                                  size_t hello_len)
{
    struct wbi_verbs_arrival arrival = {.id = id,
                                        .outgoing = param->initiator_depth,
                                        .incoming = param->responder_resources,
                                        .hello_len = hello_len};
    memcpy(arrival.hello, hello, hello_len);
    struct wbi_fabric_lane *home = lane->events.home(lane->owner);
    if (home == lane) {
        ask(lane, &arrival);
    } else {
        hand_over(home, &arrival);
    }
}

/* The oldest first. */
static struct wbi_verbs_arrival *take_all(struct wbi_fabric_lane *lane)
{
    struct wbi_verbs_arrival *newest = atomic_exchange(&lane->arrivals, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct wbi_verbs_arrival *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static struct wbi_verbs_arrival *take_one(struct wbi_fabric_lane *lane)
{
    lane->arrived = lane->arrived != NULL ? lane->arrived : take_all(lane);
    struct wbi_verbs_arrival *oldest = lane->arrived;
    lane->arrived = oldest != NULL ? oldest->next : NULL;
    return oldest;
}

bool wbi_verbs_has_arrivals(const struct wbi_fabric_lane *lane)
{
    return lane->arrived != NULL || atomic_load(&lane->arrivals) != NULL;
}

int wbi_verbs_take_arrivals(struct wbi_fabric_lane *lane)
{
    int done = 0;
    struct wbi_verbs_arrival *arrival;
    while (done < ARRIVALS_A_LOOK && (arrival = take_one(lane)) != NULL) {
        ask(lane, arrival);
        free(arrival);
        done++;
    }
    return done;
}

void wbi_verbs_drop_arrivals(struct wbi_fabric_lane *lane)
{
    struct wbi_verbs_arrival *arrival;
    while ((arrival = take_one(lane)) != NULL) {
        drop(lane, arrival->id);
        free(arrival);
    }
}

/* ---- answering ---- */

static int answer(struct wbi_channel *channel, const struct wbi_request *request, const void *hello,
                  size_t hello_len)
{
    const struct wbi_verbs_device *device = channel->queues->device;
    uint32_t outgoing = wbi_verbs_least(request->outgoing, device->read_depth_out);
    uint32_t incoming = wbi_verbs_least(request->incoming, device->read_depth_in);
    if (outgoing == 0 || incoming == 0) {
        return wbi_error(WB_ERR_PROTOCOL, "the peer allows no RDMA READ");
    }
    int status = wbi_verbs_qp_start(channel, outgoing, incoming);
    struct rdma_conn_param param = {.private_data = hello,
                                    .private_data_len = (uint8_t)hello_len,
                                    .responder_resources = (uint8_t)incoming,
                                    .initiator_depth = (uint8_t)outgoing,
                                    .rnr_retry_count = WBI_VERBS_RNR_RETRY,
                                    .srq = channel->queues->srq != NULL,
                                    .qp_num = channel->qp_num};
    if (status == WB_OK && rdma_accept(channel->id, &param) != 0) {
        status = wbi_error(WB_ERR_SYSTEM, "rdma_accept: %s", strerror(errno));
    }
    return status;
}

int wbi_verbs_accept(struct wbi_request *request, const void *hello, size_t hello_len,
                     void *channel_owner, struct wbi_channel **out)
{
    struct wbi_channel *channel;
    int status = wbi_verbs_channel_new(request->lane, channel_owner, &channel);
    if (status != WB_OK) {
        return status; /* not answered: refused, without words */
    }
    channel->id = request->id;
    status = wbi_verbs_channel_equip(channel);
    status = status == WB_OK ? answer(channel, request, hello, hello_len) : status;
    if (status != WB_OK) {
        channel->id = NULL; /* stays the request's */
        wbi_verbs_close(channel);
        return status;
    }
    request->answered = request->taken = true;
    channel->id->context = channel;
    wbi_verbs_channel_open(channel);
    *out = channel;
    return WB_OK;
}

void wbi_verbs_reject(struct wbi_request *request, const void *hello, size_t hello_len)
{
    rdma_reject(request->id, hello, (uint8_t)hello_len);
    request->answered = true;
}
