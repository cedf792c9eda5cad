/* The active side of a connection: name -> address -> route -> request -> answer. */
#include <errno.h>
#include <string.h>

#include "engine/verbs/explain.h"
#include "engine/verbs/qp.h"
#include "engine/verbs/rails.h"

enum { RESOLVE_MS = 2000 }; /* each step; the engine limits the whole */

static void doom_by_error(struct wbi_channel *channel, int status)
{
    wbi_verbs_doom(channel, status, "%s", wb_last_error());
}

/* Begins to find the device and the address behind a socket address. */
static int dial(struct wbi_channel *channel, struct sockaddr_storage *where)
{
    const struct sockaddr_storage *told =
        wbi_verbs_source(&channel->lane->domain->choice, channel->host);
    struct sockaddr_storage source = told != NULL ? *told : (struct sockaddr_storage){0};
    channel->state = WBI_VERBS_DIALLING;
    if (rdma_resolve_addr(channel->id, told != NULL ? (struct sockaddr *)&source : NULL,
                          (struct sockaddr *)where, RESOLVE_MS) == 0) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_REFUSED, "%s: %s%s", channel->address.host,
                     errno == ENODEV || errno == EADDRNOTAVAIL
                         ? "no RDMA device has a route to that address"
                         : strerror(errno),
                     told != NULL ? " (from config.verbs.source)" : "");
}

/* A fresh identifier: one that has failed to resolve is bound already. */
static int make_id(struct wbi_channel *channel)
{
    if (channel->id != NULL) {
        rdma_destroy_id(channel->id);
        channel->id = NULL;
    }
    if (rdma_create_id(channel->lane->cm, &channel->id, channel, RDMA_PS_TCP) != 0) {
        channel->id = NULL;
        return wbi_error(WB_ERR_SYSTEM, "no connection identifier: %s", strerror(errno));
    }
    return WB_OK;
}

void wbi_verbs_dial_name(struct wbi_channel *channel)
{
    struct sockaddr_storage where;
    const char *why;
    int status = wbi_verbs_lookup_next(channel->lookup, &where, &why);
    while (status == WB_OK) {
        status = make_id(channel);
        if (status != WB_OK) {
            doom_by_error(channel, status);
            return;
        }
        if (dial(channel, &where) == WB_OK) {
            return;
        }
        channel->state = WBI_VERBS_LOOKUP;
        status = wbi_verbs_lookup_next(channel->lookup, &where, &why);
    }
    if (status != WB_AGAIN) {
        wbi_verbs_doom(channel, status, "%s: %s", channel->address.host, why);
    }
}

void wbi_verbs_on_no_way(struct wbi_channel *channel, const char *why)
{
    if (channel->lookup != NULL) {
        channel->state = WBI_VERBS_LOOKUP; /* the next look tries the next */
    } else {
        wbi_verbs_doom(channel, WB_ERR_REFUSED, "%s", why);
    }
}

static int start(struct wbi_channel *channel, const char *address)
{
    int status = wbi_verbs_address_parse(address, &channel->address);
    if (status != WB_OK) {
        return status;
    }
    if (channel->address.any) {
        return wbi_error(WB_ERR_BAD_URL, "verbs://%s: * is for listening; name a host", address);
    }
    if (channel->address.further[0] != 0 && !channel->lane->domain->choice.rails) {
        return wbi_error(WB_ERR_INVALID,
                         "verbs://%s: several hosts of a peer are rails: set config.verbs.rails",
                         address);
    }
    return wbi_verbs_dial_begin(channel);
}

int wbi_verbs_dial_begin(struct wbi_channel *channel)
{
    struct sockaddr_storage where;
    if (wbi_verbs_numeric(channel->address.host, channel->address.port, &where)) {
        int status = make_id(channel);
        return status == WB_OK ? dial(channel, &where) : status;
    }
    return wbi_verbs_lookup_begin(&channel->address, &channel->lookup);
}

int wbi_verbs_connect(struct wbi_fabric_lane *lane, const char *address, const void *hello,
                      size_t hello_len, void *channel_owner, struct wbi_channel **out)
{
    struct wbi_channel *channel;
    int status = wbi_verbs_channel_new(lane, channel_owner, NULL, &channel);
    if (status != WB_OK) {
        return status;
    }
    memcpy(channel->hello, hello, hello_len);
    channel->hello_len = (uint32_t)hello_len;
    status = start(channel, address);
    if (status != WB_OK) {
        wbi_verbs_close(channel);
        return status;
    }
    *out = channel;
    return WB_OK;
}

void wbi_verbs_on_address(struct wbi_channel *channel)
{
    if (rdma_resolve_route(channel->id, RESOLVE_MS) != 0) {
        wbi_verbs_on_no_way(channel, wbi_verbs_cm_words(RDMA_CM_EVENT_ROUTE_ERROR, 0));
    }
}

void wbi_verbs_on_route(struct wbi_channel *channel)
{
    int status = wbi_verbs_channel_equip(channel);
    if (status != WB_OK) {
        doom_by_error(channel, status);
        return;
    }
    if (channel->main != NULL) {
        wbi_verbs_rail_introduce(channel);
    }
    const struct wbi_verbs_device *device = channel->queues->device;
    struct rdma_conn_param param = {.private_data = channel->hello,
                                    .private_data_len = (uint8_t)channel->hello_len,
                                    .responder_resources = (uint8_t)device->read_depth_in,
                                    .initiator_depth = (uint8_t)device->read_depth_out,
                                    .retry_count = channel->lane->domain->choice.retries,
                                    .rnr_retry_count = WBI_VERBS_RNR_RETRY,
                                    .srq = wbi_verbs_shares(channel),
                                    .qp_num = channel->qp_num};
    if (rdma_connect(channel->id, &param) != 0) {
        wbi_verbs_doom(channel, WB_ERR_REFUSED, "rdma_connect: %s", strerror(errno));
    }
}

void wbi_verbs_on_answer(struct wbi_channel *channel, const struct rdma_conn_param *param,
                         const uint8_t *hello, size_t hello_len)
{
    struct wbi_fabric_lane *lane = channel->lane;
    const struct wbi_verbs_device *device = channel->queues->device;
    uint32_t outgoing = wbi_verbs_least(param->initiator_depth, device->read_depth_out);
    uint32_t incoming = wbi_verbs_least(param->responder_resources, device->read_depth_in);
    if (outgoing == 0 || incoming == 0) {
        wbi_verbs_doom(channel, WB_ERR_PROTOCOL, "the peer allows no RDMA READ");
        return;
    }
    int status =
        channel->main != NULL ? wbi_verbs_rail_take_answer(channel, hello, hello_len) : WB_OK;
    status = status == WB_OK ? wbi_verbs_qp_start(channel, outgoing, incoming) : status;
    if (status == WB_OK && rdma_establish(channel->id) != 0) {
        status = wbi_error(WB_ERR_SYSTEM, "rdma_establish: %s", strerror(errno));
    }
    if (status != WB_OK) {
        doom_by_error(channel, status);
        return;
    }
    wbi_verbs_channel_open(channel);
    wbi_verbs_channel_establish(channel);
    if (channel->main == NULL) {
        lane->events.on_connected(channel->owner, hello, hello_len);
    }
}
