/* What the connection manager's messages do where they arrive. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/cm.h"

/* ---- requests ---- */

static struct sim_id *find_listener(const struct sim_device *device, uint16_t port)
{
    struct sim_id *id = sim_world.ids;
    while (id != NULL && (id->state != SIM_LISTENING || id->local_port != port ||
                          id->channel->host != device->host ||
                          (id->local_address != 0 && id->local_address != device->address))) {
        id = id->next;
    }
    return id;
}

/* What an event says of a peer's offer: its outgoing READs are our incoming ones. */
static struct rdma_conn_param param_of(const struct sim_message *message)
{
    return (struct rdma_conn_param){.responder_resources = message->outgoing,
                                    .initiator_depth = message->incoming,
                                    .retry_count = 7,
                                    .rnr_retry_count = 7,
                                    .srq = 1,
                                    .qp_num = message->qp_num};
}

static void refuse_for_nobody(const struct sim_message *message)
{
    struct sim_id nobody = {.device = message->to,
                            .peer_device = message->from,
                            .peer = message->from_id,
                            .local_port = message->to_port,
                            .remote_port = message->from_port};
    sim_cm_send(&nobody, SIM_REFUSAL, SIM_REFUSED_NO_LISTENER, NULL, 0);
}

static void on_request(const struct sim_message *message)
{
    struct sim_id *listener = find_listener(message->to, message->to_port);
    if (listener == NULL) {
        refuse_for_nobody(message);
        return;
    }
    struct sim_id *id = sim_id_new(listener->channel, listener->rdma.context);
    struct rdma_conn_param param = param_of(message);
    id->state = SIM_ASKED;
    id->local_port = message->to_port;
    id->remote_port = message->from_port;
    id->remote_address = message->from->address;
    id->peer_device = message->from;
    id->peer = message->from_id;
    id->peer_qp_num = message->qp_num;
    id->incoming = message->outgoing;
    id->outgoing = message->incoming;
    sim_id_place(id, message->to);
    sim_cm_tell_request(listener, id, &param, message->data);
}

/* ---- the others ---- */

static bool is_connected(const struct sim_id *id)
{
    return id->state == SIM_OPEN || id->state == SIM_HEARD || id->state == SIM_ANSWERED;
}

static void on_reply(struct sim_id *id, const struct sim_message *message)
{
    struct rdma_conn_param param = param_of(message);
    if (id->state != SIM_CALLING) {
        return;
    }
    id->state = SIM_HEARD;
    id->peer = message->from_id;
    id->peer_qp_num = message->qp_num;
    sim_cm_tell(id, RDMA_CM_EVENT_CONNECT_RESPONSE, 0, &param, message->data,
                sim_cm_room(message->from, SIM_REPLY));
}

static void on_refusal(struct sim_id *id, const struct sim_message *message)
{
    if (id->state == SIM_CALLING || id->state == SIM_HEARD || id->state == SIM_ASKED ||
        id->state == SIM_ANSWERED) {
        id->state = SIM_CLOSED;
        sim_cm_tell(id, RDMA_CM_EVENT_REJECTED, message->code, NULL, message->data,
                    sim_cm_room(message->from, SIM_REFUSAL));
    }
}

static void time_wait_ends(const struct sim_event *event)
{
    struct sim_id *id = sim_id_find(event->id);
    if (id != NULL) {
        sim_cm_tell(id, RDMA_CM_EVENT_TIMEWAIT_EXIT, 0, NULL, NULL, 0);
    }
}

static void close_id(struct sim_id *id, int status)
{
    id->state = SIM_CLOSED;
    sim_cm_tell(id, RDMA_CM_EVENT_DISCONNECTED, status, NULL, NULL, 0);
    sim_schedule((struct sim_event){.run = time_wait_ends, .id = id->number},
                 sim_now_ns() + sim_world.options.cm_timeout_us * 1000);
}

static void on_goodbye(struct sim_id *id)
{
    if (is_connected(id)) {
        close_id(id, 0);
        sim_cm_send(id, SIM_GOODBYE_TOO, 0, NULL, 0);
    } else if (id->state == SIM_CLOSING) { /* both said it at once */
        close_id(id, 0);
    }
}

/* The passive side of a connection whose active side has only its own number to say. */
static struct sim_id *find_answerer(const struct sim_message *message)
{
    struct sim_id *id = sim_world.ids;
    while (id != NULL && (id->peer != message->from_id || id->peer_device != message->from ||
                          (id->state != SIM_ASKED && id->state != SIM_ANSWERED))) {
        id = id->next;
    }
    return id;
}

void sim_cm_receive(const struct sim_message *message)
{
    if (message->kind == SIM_REQUEST) {
        on_request(message);
        return;
    }
    struct sim_id *id = message->to_id != 0 ? sim_id_find(message->to_id) : find_answerer(message);
    if (id == NULL) {
        if (message->kind == SIM_REPLY) {
            refuse_for_nobody(message); /* who asked is gone */
        }
        return;
    }
    switch (message->kind) {
    case SIM_REPLY:
        on_reply(id, message);
        break;
    case SIM_READY:
        if (id->state == SIM_ANSWERED) {
            id->state = SIM_OPEN;
            sim_cm_tell(id, RDMA_CM_EVENT_ESTABLISHED, 0, NULL, NULL, 0);
        }
        break;
    case SIM_REFUSAL:
        on_refusal(id, message);
        break;
    case SIM_GOODBYE:
        on_goodbye(id);
        break;
    default: /* SIM_GOODBYE_TOO */
        if (id->state == SIM_CLOSING) {
            close_id(id, 0);
        }
        break;
    }
}

void sim_cm_gave_up(const struct sim_message *message)
{
    struct sim_id *id = sim_id_find(message->from_id);
    if (id == NULL) {
        return;
    }
    if ((message->kind == SIM_REQUEST && id->state == SIM_CALLING) ||
        (message->kind == SIM_REPLY && id->state == SIM_ANSWERED)) {
        id->state = SIM_CLOSED;
        sim_cm_tell(id, RDMA_CM_EVENT_UNREACHABLE, -ETIMEDOUT, NULL, NULL, 0);
    } else if (message->kind == SIM_GOODBYE && id->state == SIM_CLOSING) {
        close_id(id, -ETIMEDOUT);
    }
}
