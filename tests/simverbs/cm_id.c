/* librdmacm: identifiers, addresses, routes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simverbs/cm.h"

struct sim_id *sim_id_find(uint32_t number)
{
    struct sim_id *id = sim_world.ids;
    while (id != NULL && id->number != number) {
        id = id->next;
    }
    return id;
}

struct sim_id *sim_id_new(struct sim_cm_channel *channel, void *context)
{
    struct sim_id *id = sim_new(sizeof *id);
    id->number = ++sim_world.last_id;
    id->channel = channel;
    id->rdma.channel = &channel->rdma;
    id->rdma.context = context;
    id->rdma.ps = RDMA_PS_TCP;
    id->rdma.qp_type = IBV_QPT_RC;
    id->next = sim_world.ids;
    sim_world.ids = id;
    channel->ids++;
    return id;
}

/* ---- addresses ---- */

static void put_gid(union ibv_gid *gid, uint32_t address)
{
    memset(gid, 0, sizeof *gid);
    memset(gid->raw + 10, 0xff, 2);
    for (unsigned i = 0; i < 4; i++) {
        gid->raw[12 + i] = (uint8_t)(address >> (24 - 8 * i));
    }
}

void sim_id_place(struct sim_id *id, struct sim_device *device)
{
    struct rdma_addr *addr = &id->rdma.route.addr;
    id->device = device;
    id->local_address = device->address;
    id->rdma.verbs = &device->cm_context->verbs.context;
    id->rdma.port_num = 1;
    addr->src_sin = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons(id->local_port),
                                         .sin_addr.s_addr = htonl(id->local_address)};
    addr->dst_sin = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons(id->remote_port),
                                         .sin_addr.s_addr = htonl(id->remote_address)};
    put_gid(&addr->addr.ibaddr.sgid, id->local_address);
    put_gid(&addr->addr.ibaddr.dgid, id->remote_address);
}

/* IPv4, also in IPv6's clothes; false: another. */
static bool parse(const struct sockaddr *where, uint32_t *address, uint16_t *port)
{
    if (where->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)where;
        *address = ntohl(v4->sin_addr.s_addr);
        *port = ntohs(v4->sin_port);
        return true;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)where;
    *port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memcpy(address, v6->sin6_addr.s6_addr + 12, sizeof *address);
        *address = ntohl(*address);
        return true;
    }
    *address = 0;
    return IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
}

static struct sim_device *device_with(const struct sim_host *host, uint32_t address)
{
    for (int i = 0; i < host->device_count; i++) {
        if (host->devices[i]->address == address) {
            return host->devices[i];
        }
    }
    return NULL;
}

static struct sim_device *anywhere(uint32_t address)
{
    struct sim_device *device = NULL;
    for (struct sim_host *host = sim_world.hosts; host != NULL && device == NULL;
         host = host->next) {
        device = device_with(host, address);
    }
    return device;
}

/* The device whose network (of 24 bits) the address is in, or else the first. */
static struct sim_device *route(const struct sim_host *host, uint32_t address)
{
    for (int i = 0; i < host->device_count; i++) {
        if (host->devices[i]->address >> 8 == address >> 8) {
            return host->devices[i];
        }
    }
    return host->device_count > 0 ? host->devices[0] : NULL;
}

/* ---- life ---- */

static int result(int error)
{
    sim_set_errno(error);
    return error == 0 ? 0 : -1;
}

int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **out, void *context,
                   enum rdma_port_space ps)
{
    static const int errors[] = {ENOMEM, 0};
    sim_enter(0);
    int error = ps == RDMA_PS_TCP ? sim_call_fails("rdma_create_id", errors) : EINVAL;
    if (error == 0) {
        *out = &sim_id_new((struct sim_cm_channel *)channel, context)->rdma;
    }
    sim_leave();
    return result(error);
}

/* The kernel ends for the program what it has not ended itself. */
static void tell_peer(struct sim_id *id)
{
    switch (id->state) {
    case SIM_CALLING:
        sim_cm_send(id, SIM_REFUSAL, SIM_REFUSED_TIMEOUT, NULL, 0);
        break;
    case SIM_ASKED:
    case SIM_HEARD:
    case SIM_ANSWERED:
        sim_cm_send(id, SIM_REFUSAL, SIM_REFUSED_BY_CONSUMER, NULL, 0);
        break;
    case SIM_OPEN:
        sim_cm_send(id, SIM_GOODBYE, 0, NULL, 0);
        break;
    default:
        break;
    }
}

void sim_id_free(struct sim_id *id)
{
    struct sim_id **at = &sim_world.ids;
    tell_peer(id);
    sim_cm_forget(id);
    while (*at != id) {
        at = &(*at)->next;
    }
    *at = id->next;
    id->channel->ids--;
    free(id);
}

int rdma_destroy_id(struct rdma_cm_id *rdma)
{
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    if (id->unacknowledged > 0) {
        sim_bug("rdma_destroy_id would block for ever: %u events are not acknowledged",
                id->unacknowledged);
    }
    sim_id_free(id);
    sim_leave();
    return 0;
}

/* Events that wait come along. */
static void migrate(struct sim_id *id, struct sim_cm_channel *to)
{
    struct sim_fifo *from = &id->channel->events;
    for (size_t i = 0; i < from->count;) {
        struct sim_cm_event *event = from->items[i];
        if (event->owner == id) {
            sim_fifo_remove(from, i);
            sim_fifo_push(&to->events, event);
        } else {
            i++;
        }
    }
    sim_signal_set(&id->channel->signal, from->count > 0);
    sim_signal_set(&to->signal, to->events.count > 0);
    id->channel->ids--;
    to->ids++;
    id->channel = to;
    id->rdma.channel = &to->rdma;
}

int rdma_migrate_id(struct rdma_cm_id *rdma, struct rdma_event_channel *to)
{
    static const int errors[] = {ENOMEM, ENODEV, 0};
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    if (id->unacknowledged > 0) {
        sim_bug("rdma_migrate_id would block for ever: %u events are not acknowledged",
                id->unacknowledged);
    }
    int error = sim_call_fails("rdma_migrate_id", errors);
    if (error == 0) {
        migrate(id, (struct sim_cm_channel *)to);
    }
    sim_leave();
    return result(error);
}

int rdma_set_option(struct rdma_cm_id *rdma, int level, int name, void *value, size_t bytes)
{
    struct sim_id *id = (struct sim_id *)rdma;
    int on;
    if (level != RDMA_OPTION_ID || name != RDMA_OPTION_ID_REUSEADDR || bytes != sizeof on) {
        return result(EINVAL);
    }
    memcpy(&on, value, sizeof on);
    sim_enter(0);
    id->reuses = on != 0;
    sim_leave();
    return 0;
}

/* ---- binding and listening ---- */

static bool is_taken(const struct sim_id *id, uint32_t address, uint16_t port)
{
    for (const struct sim_id *at = sim_world.ids; at != NULL; at = at->next) {
        bool holds = at->state == SIM_LISTENING || (at->state == SIM_BOUND && !at->reuses);
        if (at != id && holds && at->local_port == port && at->channel->host == id->channel->host &&
            (at->local_address == address || at->local_address == 0 || address == 0)) {
            return true;
        }
    }
    return false;
}

static int bind_to(struct sim_id *id, const struct sockaddr *where)
{
    static const int errors[] = {EADDRINUSE, EADDRNOTAVAIL, EACCES, 0};
    uint32_t address;
    uint16_t port;
    if (id->state != SIM_IDLE) {
        return EINVAL;
    }
    if (!parse(where, &address, &port) ||
        (address != 0 && device_with(id->channel->host, address) == NULL)) {
        return EADDRNOTAVAIL;
    }
    int error = is_taken(id, address, port) ? EADDRINUSE : sim_call_fails("rdma_bind_addr", errors);
    if (error != 0) {
        return error;
    }
    id->local_port = port != 0 ? port : ++sim_world.last_port;
    id->local_address = address;
    id->state = SIM_BOUND;
    if (address != 0) {
        sim_id_place(id, device_with(id->channel->host, address));
    }
    return 0;
}

int rdma_bind_addr(struct rdma_cm_id *rdma, struct sockaddr *where)
{
    sim_enter(0);
    int error = bind_to((struct sim_id *)rdma, where);
    sim_leave();
    return result(error);
}

int rdma_listen(struct rdma_cm_id *rdma, int backlog)
{
    static const int errors[] = {EADDRINUSE, ENOMEM, 0};
    struct sim_id *id = (struct sim_id *)rdma;
    (void)backlog;
    sim_enter(0);
    int error = id->state == SIM_BOUND ? sim_call_fails("rdma_listen", errors) : EINVAL;
    if (error == 0) {
        error = is_taken(id, id->local_address, id->local_port) ? EADDRINUSE : 0;
    }
    if (error == 0) {
        id->state = SIM_LISTENING;
    }
    sim_leave();
    return result(error);
}

/* ---- resolving ---- */

static void address_resolved(const struct sim_event *event)
{
    struct sim_id *id = sim_id_find(event->id);
    if (id == NULL || id->state != SIM_RESOLVING) {
        return;
    }
    if (event->number != 0) {
        id->state = SIM_IDLE;
        sim_cm_tell(id, RDMA_CM_EVENT_ADDR_ERROR, -(int)event->number, NULL, NULL, 0);
    } else {
        id->state = SIM_RESOLVED;
        sim_cm_tell(id, RDMA_CM_EVENT_ADDR_RESOLVED, 0, NULL, NULL, 0);
    }
}

static int resolve(struct sim_id *id, const struct sockaddr *source,
                   const struct sockaddr *destination, int timeout_ms)
{
    static const int errors[] = {ENODEV, ENETUNREACH, ENOMEM, 0};
    const struct sim_host *host = id->channel->host;
    uint32_t from = 0;
    uint16_t port;
    if (id->state != SIM_IDLE && id->state != SIM_BOUND) {
        return EINVAL;
    }
    if (!parse(destination, &id->remote_address, &id->remote_port) || id->remote_address == 0) {
        return ENODEV;
    }
    if (source != NULL && (!parse(source, &from, &port) || device_with(host, from) == NULL)) {
        return EADDRNOTAVAIL;
    }
    struct sim_device *device =
        from != 0 ? device_with(host, from) : route(host, id->remote_address);
    int error = device != NULL ? sim_call_fails("rdma_resolve_addr", errors) : ENODEV;
    if (error != 0) {
        return error;
    }
    id->state = SIM_RESOLVING;
    id->local_port = ++sim_world.last_port;
    id->peer_device = anywhere(id->remote_address);
    sim_id_place(id, device);
    bool fails = sim_goes_wrong("address does not resolve", sim_world.faults.rates.message_lost);
    uint64_t wait = fails || id->peer_device == NULL ? (uint64_t)timeout_ms * 1000000
                                                     : sim_world.options.cm_latency_ns;
    sim_schedule((struct sim_event){.run = address_resolved,
                                    .id = id->number,
                                    .number = fails || id->peer_device == NULL ? ETIMEDOUT : 0},
                 sim_now_ns() + wait);
    return 0;
}

int rdma_resolve_addr(struct rdma_cm_id *rdma, struct sockaddr *source,
                      struct sockaddr *destination, int timeout_ms)
{
    sim_enter(0);
    int error = resolve((struct sim_id *)rdma, source, destination, timeout_ms);
    sim_leave();
    return result(error);
}

static void route_resolved(const struct sim_event *event)
{
    struct sim_id *id = sim_id_find(event->id);
    if (id == NULL || id->state != SIM_ROUTING) {
        return;
    }
    bool fails = sim_goes_wrong("route does not resolve", sim_world.faults.rates.message_lost);
    id->state = fails ? SIM_RESOLVED : SIM_ROUTED;
    sim_cm_tell(id, fails ? RDMA_CM_EVENT_ROUTE_ERROR : RDMA_CM_EVENT_ROUTE_RESOLVED,
                fails ? -ETIMEDOUT : 0, NULL, NULL, 0);
}

int rdma_resolve_route(struct rdma_cm_id *rdma, int timeout_ms)
{
    static const int errors[] = {ENOMEM, 0};
    struct sim_id *id = (struct sim_id *)rdma;
    (void)timeout_ms;
    sim_enter(0);
    int error = id->state == SIM_RESOLVED ? sim_call_fails("rdma_resolve_route", errors) : EINVAL;
    if (error == 0) {
        id->state = SIM_ROUTING;
        sim_schedule((struct sim_event){.run = route_resolved, .id = id->number},
                     sim_now_ns() + sim_world.options.cm_latency_ns);
    }
    sim_leave();
    return result(error);
}
