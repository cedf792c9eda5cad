/* The passive side of a connection: a request, and its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/qp.h"
#include "engine/verbs/rails.h"

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
                                    .srq = wbi_verbs_shares(channel),
                                    .qp_num = channel->qp_num};
    if (status == WB_OK && rdma_accept(channel->id, &param) != 0) {
        status = wbi_error(WB_ERR_SYSTEM, "rdma_accept: %s", strerror(errno));
    }
    return status;
}

/* Makes the new channel, or rail, that of the request. Takes it: closed where that fails. */
static int take(struct wbi_request *request, const void *hello, size_t hello_len,
                struct wbi_channel *channel)
{
    channel->id = request->id;
    channel->accepted = true;
    int status = wbi_verbs_channel_equip(channel);
    if (status == WB_OK && channel->main != NULL) {
        wbi_verbs_rail_introduce(channel);
        hello = channel->hello;
        hello_len = channel->hello_len;
    }
    status = status == WB_OK ? answer(channel, request, hello, hello_len) : status;
    if (status != WB_OK) {
        channel->id = NULL; /* stays the request's */
        wbi_verbs_close(channel);
        return status;
    }
    request->answered = request->taken = true;
    channel->id->context = channel;
    wbi_verbs_channel_open(channel);
    return WB_OK;
}

int wbi_verbs_accept(struct wbi_request *request, const void *hello, size_t hello_len,
                     void *channel_owner, struct wbi_channel **out)
{
    struct wbi_channel *channel;
    int status = wbi_verbs_channel_new(request->lane, channel_owner, NULL, &channel);
    status = status == WB_OK ? take(request, hello, hello_len, channel) : status;
    if (status != WB_OK) {
        return status; /* not answered: refused, without words */
    }
    *out = channel;
    return WB_OK;
}

/* One that is not to be had is refused, and its channel lives without. */
static void take_rail(struct wbi_request *request, const uint8_t *hello)
{
    struct wbi_channel *rail;
    if (wbi_verbs_rail_asked(request->lane, hello, &rail) == WB_OK) {
        (void)take(request, NULL, 0, rail);
    }
}

void wbi_verbs_reject(struct wbi_request *request, const void *hello, size_t hello_len)
{
    rdma_reject(request->id, hello, (uint8_t)hello_len);
    request->answered = true;
}

/* ---- asking ---- */

static void ask(struct wbi_fabric_lane *lane, const struct wbi_verbs_arrival *arrival)
{
    struct wbi_request request = {.lane = lane,
                                  .id = arrival->id,
                                  .outgoing = arrival->outgoing,
                                  .incoming = arrival->incoming};
    if (wbi_verbs_is_rail_request(arrival->hello, arrival->hello_len)) {
        take_rail(&request, arrival->hello);
    } else {
        lane->events.on_request(lane->owner, &request, arrival->hello, arrival->hello_len);
    }
    if (!request.answered) {
        rdma_reject(arrival->id, NULL, 0);
    }
    if (!request.taken) {
        rdma_destroy_id(arrival->id);
    }
}

static void drop(struct wbi_fabric_lane *home, const struct wbi_verbs_arrival *arrival)
{
    rdma_reject(arrival->id, NULL, 0);
    rdma_destroy_id(arrival->id);
    if (!wbi_verbs_is_rail_request(arrival->hello, arrival->hello_len)) {
        home->events.unasked(home->owner); /* a rail takes no place */
    }
}

/* From here on the identifier's events are that lane's. Whoever sleeps gets up: it may have been
 * armed before. */
static void hand_over(struct wbi_fabric_lane *home, const struct wbi_verbs_arrival *arrived)
{
    struct wbi_verbs_arrival *arrival = malloc(sizeof *arrival);
    arrived->id->context = NULL;
    if (arrival == NULL || rdma_migrate_id(arrived->id, home->cm) != 0) {
        free(arrival);
        drop(home, arrived);
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
    struct wbi_fabric_lane *home = wbi_verbs_is_rail_request(hello, hello_len)
                                       ? wbi_verbs_rail_home(lane->domain, hello)
                                       : lane->events.home(lane->owner);
    if (home == lane || home == NULL) {
        ask(lane, &arrival); /* for a rail that is nobody's too: it hears so */
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
        drop(lane, arrival);
        free(arrival);
    }
}
