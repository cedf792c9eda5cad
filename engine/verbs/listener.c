/* Listening. (The passive side of a connection: rendezvous.c.) */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/lane.h"

enum { BACKLOG = 128 };

struct wbi_verbs_listener {
    struct rdma_cm_id *id;
    struct wbi_verbs_listener *next;
};

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
        int status = say_why(address);
        free(listener);
        return status;
    }
    /* a port that only connections of a former process hold is free; one with a listener is not */
    rdma_set_option(listener->id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on, sizeof on);
    int status = rdma_bind_addr(listener->id, (struct sockaddr *)where) == 0 &&
                         rdma_listen(listener->id, BACKLOG) == 0
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

/* Those that came after `last`. */
static void close_until(struct wbi_fabric_lane *lane, const struct wbi_verbs_listener *last)
{
    while (lane->listeners != last) {
        struct wbi_verbs_listener *listener = lane->listeners;
        lane->listeners = listener->next;
        rdma_destroy_id(listener->id);
        free(listener);
    }
}

static int listen_everywhere(struct wbi_fabric_lane *lane, uint16_t port, const char *text)
{
    struct sockaddr_storage where;
    wbi_verbs_numeric("::", port, &where);
    int status = listen_at(lane, &where, text);
    if (status == WB_OK || status == WB_ERR_IN_USE) {
        return status;
    }
    wbi_verbs_numeric("0.0.0.0", port, &where); /* a machine without IPv6 */
    return listen_at(lane, &where, text);
}

int wbi_verbs_listen(struct wbi_fabric_lane *lane, const char *text)
{
    struct wbi_verbs_address address;
    struct wbi_verbs_listener *before = lane->listeners;
    struct sockaddr_storage where;
    int status = wbi_verbs_address_parse(text, &address);
    if (status != WB_OK) {
        return status;
    }
    if (address.any) {
        return listen_everywhere(lane, address.port, text);
    }
    do {
        status = wbi_verbs_find_host(&address, &where);
        status = status == WB_OK ? listen_at(lane, &where, text) : status;
    } while (status == WB_OK && wbi_verbs_address_next(&address));
    if (status != WB_OK) {
        close_until(lane, before);
    }
    return status;
}

void wbi_verbs_listeners_close(struct wbi_fabric_lane *lane)
{
    close_until(lane, NULL);
}

bool wbi_verbs_is_listener(const struct wbi_fabric_lane *lane, const struct rdma_cm_id *id)
{
    const struct wbi_verbs_listener *listener = lane->listeners;
    while (listener != NULL && listener->id != id) {
        listener = listener->next;
    }
    return listener != NULL;
}
