/* What the connection manager says, and whose it is. */
#include <string.h>

#include "engine/verbs/explain.h"
#include "engine/verbs/lane.h"

enum { EVENTS_A_LOOK = 16 }; /* whoever dials all the time stops nobody */

/* A copy of an event: it is acknowledged before anything is done about it, since destroying an
 * identifier waits for the acknowledgement of its events. */
struct event {
    enum rdma_cm_event_type type;
    int code;
    struct rdma_cm_id *id;
    struct rdma_conn_param param;
    uint8_t hello[WBI_HELLO_MAX]; /* private data, with zeros behind */
    size_t hello_len;
};

static bool next_event(struct wbi_fabric_lane *lane, struct event *event)
{
    struct rdma_cm_event *raw;
    if (rdma_get_cm_event(lane->cm, &raw) != 0) {
        return false;
    }
    *event = (struct event){
        .type = raw->event, .code = raw->status, .id = raw->id, .param = raw->param.conn};
    size_t len = raw->param.conn.private_data_len;
    event->hello_len = len < sizeof event->hello ? len : sizeof event->hello;
    if (raw->param.conn.private_data != NULL) {
        memcpy(event->hello, raw->param.conn.private_data, event->hello_len);
    } else {
        event->hello_len = 0;
    }
    rdma_ack_cm_event(raw);
    return true;
}

/* A refusal by a Waybill carries its hello; one by the kernel carries nothing that counts. */
static void on_rejected(struct wbi_channel *channel, const struct event *event)
{
    if (event->code == WBI_VERBS_REFUSED_BY_CONSUMER && event->hello_len == sizeof event->hello) {
        memcpy(channel->refusal, event->hello, sizeof event->hello);
        channel->refusal_len = sizeof event->hello;
    }
    wbi_verbs_doom(channel, WB_ERR_REFUSED, "%s", wbi_verbs_cm_words(event->type, event->code));
}

/* What ends an attempt, or a channel that was accepted and is not heard of. */
static void on_end(struct wbi_channel *channel, const struct event *event)
{
    bool open = channel->state == WBI_VERBS_OPEN;
    bool attempt =
        event->type == RDMA_CM_EVENT_UNREACHABLE || event->type == RDMA_CM_EVENT_CONNECT_ERROR;
    wbi_verbs_doom(channel, open ? WB_ERR_PEER_LOST : wbi_verbs_cm_status(event->type), "%s",
                   open && attempt ? "the peer was accepted, and did not come"
                                   : wbi_verbs_cm_words(event->type, event->code));
}

static void on_channel(struct wbi_channel *channel, const struct event *event)
{
    if (channel->doom != WB_OK || channel->state == WBI_VERBS_LOST) {
        return;
    }
    switch (event->type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
        wbi_verbs_on_address(channel);
        break;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        wbi_verbs_on_route(channel);
        break;
    case RDMA_CM_EVENT_CONNECT_RESPONSE:
        wbi_verbs_on_answer(channel, &event->param, event->hello, event->hello_len);
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        wbi_verbs_channel_establish(channel);
        break;
    case RDMA_CM_EVENT_REJECTED:
        on_rejected(channel, event);
        break;
    case RDMA_CM_EVENT_ADDR_ERROR:
    case RDMA_CM_EVENT_ROUTE_ERROR:
        wbi_verbs_on_no_way(channel, wbi_verbs_cm_words(event->type, event->code));
        break;
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_DISCONNECTED:
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        on_end(channel, event);
        break;
    default: /* addresses that move, time-waits that end: nothing to do */
        break;
    }
}

int wbi_verbs_cm_events(struct wbi_fabric_lane *lane)
{
    struct event event;
    int done = 0;
    for (; done < EVENTS_A_LOOK && next_event(lane, &event); done++) {
        if (event.type == RDMA_CM_EVENT_CONNECT_REQUEST) {
            wbi_verbs_on_connect_request(lane, event.id, &event.param, event.hello,
                                         event.hello_len);
        } else if (event.id->context != NULL && !wbi_verbs_is_listener(lane, event.id)) {
            on_channel(event.id->context, &event);
        }
    }
    return done;
}
