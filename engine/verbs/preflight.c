/* What is good and bad about an address, found without connecting: limits, device, port, GID, MTU.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/share.h"
#include "engine/verbs/explain.h"
#include "engine/verbs/lane.h"
#include "engine/verbs/memlock.h"

enum { RESOLVE_MS = 2000, EVENT_US = 3000000 };

struct preflight {
    const struct wb_engine_config *config;
    struct wbi_domain *domain;
    wb_check_say say;
    void *context;
};

static void say(const struct preflight *preflight, enum wb_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct preflight *preflight, enum wb_verdict verdict, const char *format, ...)
{
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    preflight->say(preflight->context, verdict, line);
}

/* ---- limits ---- */

static void check_memlock(const struct preflight *preflight)
{
    uint64_t limit = wbi_verbs_memlock_limit();
    uint64_t budget = preflight->config->budget_bytes - preflight->config->slab_bytes +
                      wbi_verbs_pinned_bytes(preflight->config, &preflight->domain->caps);
    if (limit == UINT64_MAX) {
        say(preflight, WB_CHECK_GOOD, "memory may be pinned without limit");
    } else if (limit < budget) {
        say(preflight, WB_CHECK_DOUBT,
            "%" PRIu64 " bytes may be pinned, and budget and slots are %" PRIu64 ": the pool will "
            "stop growing below its budget; add '* - memlock unlimited' to "
            "/etc/security/limits.conf",
            limit, budget);
    } else {
        say(preflight, WB_CHECK_GOOD,
            "%" PRIu64 " bytes may be pinned, and budget and slots are %" PRIu64, limit, budget);
    }
}

/* Whether the device has a region for each slab that the budget allows. */
static void check_regions(const struct preflight *preflight)
{
    const struct wbi_fabric_caps *caps = &preflight->domain->caps;
    uint64_t slabs = preflight->config->budget_bytes / preflight->config->slab_bytes;
    if (caps->max_regions != 0 && slabs > caps->max_regions - caps->max_pins) {
        say(preflight, WB_CHECK_DOUBT,
            "the budget is %" PRIu64 " slabs, and of the device's %u regions (max_mr) %u are for "
            "slabs: the pool will stop growing below its budget; raise slab_bytes",
            slabs, caps->max_regions, caps->max_regions - caps->max_pins);
    }
}

/* What the queues of the devices allow of what the configuration asks for. */
static void check_shares(const struct preflight *preflight)
{
    const struct wb_engine_config *config = preflight->config;
    struct wbi_shares shares;
    if (wbi_share_out(config, &preflight->domain->caps, &shares) != WB_OK) {
        say(preflight, WB_CHECK_BAD, "%s", wb_last_error());
        return;
    }
    uint32_t replies = shares.replies_shared + shares.replies_granted;
    bool less = shares.peers < config->max_peers || replies < config->max_calls ||
                shares.eager_bytes < config->eager_bytes;
    say(preflight, less ? WB_CHECK_DOUBT : WB_CHECK_GOOD,
        "the queues hold %u peers of %u, %u unanswered requests of %u calls, messages of %u bytes",
        shares.peers, config->max_peers, replies, config->max_calls, shares.eager_bytes);
}

/* ---- the way ---- */

/* The next event, if it is the one that is hoped for. */
static bool await(const struct preflight *preflight, struct rdma_event_channel *cm,
                  enum rdma_cm_event_type wanted)
{
    struct rdma_cm_event *event;
    if (wbi_wait(cm->fd, EVENT_US) != 1 || rdma_get_cm_event(cm, &event) != 0) {
        say(preflight, WB_CHECK_BAD, "the connection manager does not answer");
        return false;
    }
    enum rdma_cm_event_type got = event->event;
    int code = event->status;
    rdma_ack_cm_event(event);
    if (got != wanted) {
        say(preflight, WB_CHECK_BAD, "%s", wbi_verbs_cm_words(got, code));
    }
    return got == wanted;
}

/* The kinds of GID that have this value, as bits: tables often hold one value as RoCE v1 and v2. */
static unsigned gid_kinds(struct ibv_context *context, uint32_t port, const union ibv_gid *gid)
{
    struct ibv_gid_entry entry;
    unsigned kinds = 0;
    for (uint32_t i = 0; i < 256; i++) {
        if (ibv_query_gid_ex(context, port, i, &entry, 0) == 0 &&
            memcmp(entry.gid.raw, gid->raw, sizeof gid->raw) == 0 && entry.gid_type < 32) {
            kinds |= 1U << entry.gid_type;
        }
    }
    return kinds;
}

static void check_gid(const struct preflight *preflight, const struct rdma_cm_id *id)
{
    char words[INET6_ADDRSTRLEN];
    const union ibv_gid *gid = &id->route.addr.addr.ibaddr.sgid;
    bool old = gid_kinds(id->verbs, id->port_num, gid) == 1U << IBV_GID_TYPE_ROCE_V1;
    if (inet_ntop(AF_INET6, gid->raw, words, sizeof words) != NULL) {
        say(preflight, old ? WB_CHECK_DOUBT : WB_CHECK_GOOD, "source GID %s%s", words,
            old ? " is RoCE v1 alone, which is not routed" : "");
    }
}

static void check_mtu(const struct preflight *preflight, const struct ibv_port_attr *port)
{
    uint32_t told = preflight->config->verbs.mtu;
    if (told > 128U << port->active_mtu) {
        say(preflight, WB_CHECK_BAD,
            "verbs.mtu is %u, and the port's active one is %u bytes: raise that of the network "
            "interface, or lower verbs.mtu",
            told, 128U << port->active_mtu);
    } else if (port->active_mtu < port->max_mtu) {
        say(preflight, WB_CHECK_DOUBT,
            "packets of %u bytes, where the device can do %u: an MTU of 4200 and more on the "
            "network "
            "interface allows the largest, if all on the way allow it",
            128U << port->active_mtu, 128U << port->max_mtu);
    } else {
        say(preflight, WB_CHECK_GOOD, "packets of %u bytes", 128U << port->active_mtu);
    }
}

static void check_port(const struct preflight *preflight, const struct rdma_cm_id *id)
{
    struct ibv_port_attr port;
    const char *name = ibv_get_device_name(id->verbs->device);
    if (wbi_verbs_device_of(preflight->domain, id) < 0) {
        say(preflight, WB_CHECK_BAD,
            "the address is reached over %s, which is none of the devices in use; see "
            "verbs.devices",
            name);
    } else if (ibv_query_port(id->verbs, id->port_num, &port) != 0) {
        say(preflight, WB_CHECK_BAD, "%s: port %u does not answer", name, (unsigned)id->port_num);
    } else if (port.state != IBV_PORT_ACTIVE) {
        say(preflight, WB_CHECK_BAD, "%s: port %u is %s: bring its link up", name,
            (unsigned)id->port_num, ibv_port_state_str(port.state));
    } else {
        say(preflight, WB_CHECK_GOOD, "the way leads over %s, port %u", name,
            (unsigned)id->port_num);
        check_gid(preflight, id);
        check_mtu(preflight, &port);
    }
}

/* The way to host number `host` of the address. */
static void check_way(const struct preflight *preflight, struct rdma_event_channel *cm,
                      uint32_t host, struct sockaddr_storage *where)
{
    struct rdma_cm_id *id;
    const struct sockaddr_storage *told = wbi_verbs_source(&preflight->domain->choice, host);
    struct sockaddr_storage source = told != NULL ? *told : (struct sockaddr_storage){0};
    struct sockaddr *from = told != NULL ? (struct sockaddr *)&source : NULL;
    if (rdma_create_id(cm, &id, NULL, RDMA_PS_TCP) != 0) {
        say(preflight, WB_CHECK_BAD, "the connection manager gives no identifier");
        return;
    }
    if (rdma_resolve_addr(id, from, (struct sockaddr *)where, RESOLVE_MS) != 0) {
        say(preflight, WB_CHECK_BAD, "no RDMA device here has a route to that address%s",
            from != NULL ? " from verbs.source" : "");
    } else if (await(preflight, cm, RDMA_CM_EVENT_ADDR_RESOLVED)) {
        check_port(preflight, id);
    }
    rdma_destroy_id(id);
}

static void check_address(const struct preflight *preflight, const char *text)
{
    struct wbi_verbs_address address;
    struct sockaddr_storage where;
    struct rdma_event_channel *cm = wbi_verbs_cm_open();
    if (cm == NULL) {
        say(preflight, WB_CHECK_BAD, "%s", wb_last_error());
        return;
    }
    bool named = wbi_verbs_address_parse(text, &address) == WB_OK && !address.any;
    if (!named) {
        say(preflight, WB_CHECK_BAD, "%s: name the host that is to be reached", text);
    } else if (address.further[0] != 0 && preflight->domain->caps.rail_key_bytes == 0) {
        say(preflight, WB_CHECK_BAD,
            "%s: several hosts of a peer want verbs.rails, and several devices here", text);
    }
    for (uint32_t host = 0; named; host++, named = wbi_verbs_address_next(&address)) {
        if (wbi_verbs_find_host(&address, &where) != WB_OK) {
            say(preflight, WB_CHECK_BAD, "%s", wb_last_error());
        } else {
            check_way(preflight, cm, host, &where);
        }
    }
    rdma_destroy_event_channel(cm);
}

void wbi_verbs_check(const struct wb_engine_config *config, const char *address, wb_check_say tell,
                     void *context)
{
    struct preflight preflight = {.config = config, .say = tell, .context = context};
    if (wbi_verbs_domain_open(config, &preflight.domain) != WB_OK) {
        say(&preflight, WB_CHECK_BAD, "%s", wb_last_error());
        return;
    }
    check_memlock(&preflight);
    check_regions(&preflight);
    check_shares(&preflight);
    check_address(&preflight, address);
    wbi_verbs_domain_close(preflight.domain);
}
