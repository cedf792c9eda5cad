/* librdmacm: event channels and events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simverbs/cm.h"

/* ---- queueing ---- */

static void queue(struct sim_id *owner, struct sim_cm_event *event)
{
    event->owner = owner;
    sim_trace(owner->device, "connection event", owner->number, (uint64_t)event->rdma.event,
              (uint64_t)(unsigned)event->rdma.status);
    sim_fifo_push(&owner->channel->events, event);
    sim_signal_set(&owner->channel->signal, true);
}

static struct sim_cm_event *make(struct sim_id *id, enum rdma_cm_event_type type,
                                 const struct rdma_conn_param *param, const void *data,
                                 uint8_t data_len)
{
    struct sim_cm_event *event = sim_new(sizeof *event);
    event->rdma.id = &id->rdma;
    event->rdma.event = type;
    if (param != NULL) {
        event->rdma.param.conn = *param;
    }
    event->rdma.param.conn.private_data = NULL;
    event->rdma.param.conn.private_data_len = data_len;
    if (data_len > 0) {
        memcpy(event->data, data, data_len);
        event->rdma.param.conn.private_data = event->data;
    }
    return event;
}

void sim_cm_tell(struct sim_id *id, enum rdma_cm_event_type type, int status,
                 const struct rdma_conn_param *param, const void *data, uint8_t data_len)
{
    struct sim_cm_event *event = make(id, type, param, data, data_len);
    event->rdma.status = status;
    queue(id, event);
}

void sim_cm_tell_request(struct sim_id *listener, struct sim_id *id,
                         const struct rdma_conn_param *param, const void *data)
{
    struct sim_cm_event *event =
        make(id, RDMA_CM_EVENT_CONNECT_REQUEST, param, data, SIM_REQUEST_BYTES);
    event->rdma.listen_id = &listener->rdma;
    queue(listener, event);
}

void sim_cm_forget(struct sim_id *id)
{
    struct sim_fifo *events = &id->channel->events;
    for (size_t i = events->count; i-- > 0;) {
        struct sim_cm_event *event = events->items[i];
        if (event->owner != id) {
            continue;
        }
        sim_fifo_remove(events, i);
        if (event->rdma.id != &id->rdma) {
            sim_id_free((struct sim_id *)event->rdma.id); /* nobody will ever see it */
        }
        free(event);
    }
    sim_signal_set(&id->channel->signal, events->count > 0);
}

/* ---- symbols ---- */

struct rdma_event_channel *rdma_create_event_channel(void)
{
    static const int errors[] = {ENODEV, EMFILE, ENOMEM, 0};
    sim_enter(0);
    struct sim_cm_channel *channel = NULL;
    int error =
        sim_world.here != NULL ? sim_call_fails("rdma_create_event_channel", errors) : ENODEV;
    if (error == 0) {
        channel = sim_new(sizeof *channel);
        sim_signal_open(&channel->signal);
        channel->rdma.fd = channel->signal.fd;
        channel->host = sim_world.here;
        sim_world.cm_channels++;
    }
    sim_leave();
    sim_set_errno(error);
    return channel != NULL ? &channel->rdma : NULL;
}

void rdma_destroy_event_channel(struct rdma_event_channel *rdma)
{
    struct sim_cm_channel *channel = (struct sim_cm_channel *)rdma;
    sim_enter(0);
    if (channel->ids > 0) {
        sim_bug("rdma_destroy_event_channel: it still has %u identifiers", channel->ids);
    }
    sim_world.cm_channels--;
    sim_fifo_close(&channel->events);
    sim_signal_close(&channel->signal);
    free(channel);
    sim_leave();
}

int rdma_get_cm_event(struct rdma_event_channel *rdma, struct rdma_cm_event **out)
{
    struct sim_cm_channel *channel = (struct sim_cm_channel *)rdma;
    sim_enter(sim_world.options.poll_ns);
    struct sim_cm_event *event =
        sim_signal_wait(&channel->signal) ? sim_fifo_pop(&channel->events) : NULL;
    if (event != NULL) {
        sim_signal_set(&channel->signal, channel->events.count > 0);
        event->owner->unacknowledged++;
        *out = &event->rdma;
    }
    sim_leave();
    sim_set_errno(event != NULL ? 0 : EAGAIN);
    return event != NULL ? 0 : -1;
}

int rdma_ack_cm_event(struct rdma_cm_event *rdma)
{
    struct sim_cm_event *event = (struct sim_cm_event *)rdma;
    sim_enter(0);
    event->owner->unacknowledged--;
    free(event);
    sim_leave();
    return 0;
}
