/* Listening, and the passive side of a connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/lane.h"
#include "engine/verbs/qp.h"

/* ---- listening ---- */

static int say_why(const char *address)
{
    switch (errno) {
    case EADDRINUSE:
        return wbi_error(WB_ERR_IN_USE, "verbs://%s: somebody listens there already", address);
    case EADDRNOTAVAIL:
    case ENODEV:
        return wbi_error(WB_ERR_SYSTEM,
                         "verbs://%s: no RDMA device of this machine has that address; wb_info "
                         "lists their GIDs",
                         address);
    case EACCES:
    case EPERM:
        return wbi_error(WB_ERR_SYSTEM,
                         "verbs://%s: this port needs privileges; take one above 1023", address);
    default:
        return wbi_error(WB_ERR_SYSTEM, "verbs://%s: %s", address, strerror(errno));
    }
}

/* Where the device is known already, its queues are made now and not when the first peer waits. */
static int prepare(struct wbi_fabric_lane *lane, const struct rdma_cm_id *id, const char *address)
{
    int number = wbi_verbs_device_of(lane->domain, id);
    if (number < 0 && id->verbs != NULL) {
        return wbi_error(WB_ERR_INVALID,
                         "verbs://%s: the address is one of %s, which this engine does not use "
                         "(config.verbs.devices)",
                         address, ibv_get_device_name(id->verbs->device));
    }
    return number >= 0 ? wbi_verbs_queues_open(lane, (unsigned)number) : WB_OK;
}

static int listen_at(struct wbi_fabric_lane *lane, struct sockaddr_storage *where,
                     const char *address)
{
    struct wbi_verbs_listener *listener = calloc(1, sizeof *listener);
    int on = 1;
    if (listener == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a listener");
    }
    if (rdma_create_id(lane->cm, &listener->id, listener, RDMA_PS_TCP) != 0) {
        free(listener);
        return say_why(address);
    }
    /* a port that only connections of a former process hold is free; one with a listener is not */
    rdma_set_option(listener->id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof on);
    int status = rdma_bind_addr(listener->id, (struct sockaddr *)where) == 0 &&
                         rdma_listen(listener->id, 128) == 0
                     ? prepare(lane, listener->id, address)
                     : say_why(address);
    if (status != WB_OK) {
        rdma_destroy_id(listener->id);
        free(listener);
        return status;
    }
    listener->next = lane->listeners;
    lane->listeners = listener;
    return WB_OK;
}

int wbi_verbs_listen(struct wbi_fabric_lane *lane, const char *text)
{
    struct wbi_verbs_address address;
    struct sockaddr_storage where;
    int status = wbi_verbs_address_parse(text, &address);
    if (status != WB_OK) {
        return status;
    }
    if (address.any) {
        wbi_verbs_numeric("::", address.port, &where);
        status = listen_at(lane, &where, text);
        if (status == WB_OK || status == WB_ERR_IN_USE) {
            return status;
        }
        wbi_verbs_numeric("0.0.0.0", address.port, &where); /* a machine without IPv6 */
    } else {
        status = wbi_verbs_find_host(&address, &where);
        if (status != WB_OK) {
            return status;
        }
    }
    return listen_at(lane, &where, text);
}

void wbi_verbs_listeners_close(struct wbi_fabric_lane *lane)
{
    while (lane->listeners != NULL) {
        struct wbi_verbs_listener *listener = lane->listeners;
        lane->listeners = listener->next;
        rdma_destroy_id(listener->id);
        free(listener);
    }
}

bool wbi_verbs_is_listener(const struct wbi_fabric_lane *lane, const struct rdma_cm_id *id)
{
    const struct wbi_verbs_listener *listener = lane->listeners;
    while (listener != NULL && listener->id != id) {
        listener = listener->next;
    }
    return listener != NULL;
}

/* ---- a request ---- */

struct wbi_request {
    struct wbi_fabric_lane *lane;
    struct rdma_cm_id *id;
    uint32_t outgoing, incoming; /* READs in flight: ours, theirs */
    bool answered, taken;
};

void wbi_verbs_on_connect_request(struct wbi_fabric_lane *lane, struct rdma_cm_id *id,
                                  const struct rdma_conn_param *param, const uint8_t *hello,
                                  size_t hello_len)
{
    struct wbi_request request = {.lane = lane,
                                  .id = id,
                                  .outgoing = param->initiator_depth,
                                  .incoming = param->responder_resources};
    lane->events.on_request(lane->owner, &request, hello, hello_len);
    if (!request.answered) {
        rdma_reject(id, NULL, 0);
    }
    if (!request.taken) {
        rdma_destroy_id(id);
    }
}

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
                                    .srq = 1,
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
