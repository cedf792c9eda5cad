#include "engine/verbs/domain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/share.h"
#include "engine/verbs/address.h"
#include "engine/verbs/memlock.h"
#include "engine/verbs/queues.h"
#include "engine/verbs/rails.h"

enum {
    READ_BYTES = 1 << 20, /* a READ at most: several pipeline, and a deadline is seen between two */
};

/* ---- what is asked for ---- */

static int choose_mtu(uint32_t bytes, enum ibv_mtu *mtu)
{
    *mtu = 0;
    for (uint32_t code = IBV_MTU_256; code <= IBV_MTU_4096; code++) {
        if (bytes == 128U << code) {
            *mtu = (enum ibv_mtu)code;
        }
    }
    return bytes == 0 || *mtu != 0
               ? WB_OK
               : wbi_error(WB_ERR_INVALID,
                           "config.verbs.mtu is %u; it can be 256, 512, 1024, 2048 or 4096", bytes);
}

static int choose_sources(const char *list, struct wbi_verbs_choice *choice)
{
    char address[INET6_ADDRSTRLEN];
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        int len = (int)strcspn(at, ",");
        snprintf(address, sizeof address, "%.*s", len, at);
        if (choice->source_count == WBI_VERBS_HOSTS || len >= (int)sizeof address ||
            !wbi_verbs_numeric(address, 0, &choice->sources[choice->source_count])) {
            return wbi_error(WB_ERR_INVALID,
                             "config.verbs.source is '%s', and not one to %d numeric IP addresses "
                             "with commas between",
                             list, WBI_VERBS_HOSTS);
        }
        choice->source_count++;
    }
    return WB_OK;
}

static int choose(const struct wb_verbs_config *config, struct wbi_verbs_choice *choice)
{
    *choice = (struct wbi_verbs_choice){
        .rails = config->rails,
        .ack_timeout = (uint8_t)(config->ack_timeout != 0 ? config->ack_timeout : WBI_ACK_TIMEOUT),
        .retries = (uint8_t)(config->retries != 0 ? config->retries : WBI_RETRIES)};
    int status = config->source != NULL ? choose_sources(config->source, choice) : WB_OK;
    return status == WB_OK ? choose_mtu(config->mtu, &choice->mtu) : status;
}

/* ---- devices ---- */

/* Whether `name` is in the list "a,b,c"; a NULL list names all. */
static bool is_named(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == 0)) {
            return true;
        }
    }
    return list == NULL;
}

/* Whether every name of the list was found; if not, says which. */
static int check_names(const char *list, struct ibv_device *const *all, int count)
{
    for (const char *at = list; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        int len = (int)strcspn(at, ",");
        bool found = false;
        for (int i = 0; i < count; i++) {
            const char *name = ibv_get_device_name(all[i]);
            found |= strlen(name) == (size_t)len && strncmp(at, name, (size_t)len) == 0;
        }
        if (!found) {
            return wbi_error(WB_ERR_INVALID,
                             "config.verbs.devices names '%.*s', and there is no such device; "
                             "wb_info lists those that are here",
                             len, at);
        }
    }
    return WB_OK;
}

/* Takes the lesser of a limit and a device's, where 0 is none. */
static void lower(uint32_t *limit, uint64_t devices)
{
    if (devices != 0 && (*limit == 0 || devices < *limit)) {
        *limit = (uint32_t)devices;
    }
}

/* A lane's part of what a device has, where 0 is none; at least one. */
static uint32_t part(uint32_t has, uint32_t lanes)
{
    return has != 0 && has < lanes ? 1 : has / lanes;
}

/* What every one of these devices has, for each of so many lanes. */
static void state_caps(const struct wbi_verbs_device *devices, unsigned count, uint32_t lanes,
                       struct wbi_fabric_caps *caps)
{
    *caps = (struct wbi_fabric_caps){.max_eager_bytes = WBI_VERBS_MAX_EAGER,
                                     .read_depth = WBI_VERBS_READ_DEPTH,
                                     .max_read_bytes = READ_BYTES,
                                     .read_align = 1,
                                     .key_bytes = sizeof(uint32_t),
                                     .max_offers = WBI_VERBS_MAX_OFFERS,
                                     .max_region_bytes = UINT64_MAX,
                                     .kept_slots = WBI_VERBS_KEPT_SLOTS,
                                     .slot_sets = count,
                                     .revokes_at_once = false};
    for (unsigned i = 0; i < count; i++) {
        caps->own_receives |= devices[i].attr.max_srq <= 0;
    }
    caps->late_receives = caps->own_receives ? WBI_VERBS_LATE_OWN : WBI_VERBS_LATE_RECEIVES;
    for (unsigned i = 0; i < count; i++) {
        const struct wbi_verbs_device *device = &devices[i];
        const struct ibv_device_attr *attr = &device->attr;
        if (device->max_message_bytes < caps->max_read_bytes) {
            caps->max_read_bytes = device->max_message_bytes;
        }
        if (device->read_align > caps->read_align) {
            caps->read_align = device->read_align;
        }
        if (attr->max_mr_size < caps->max_region_bytes) {
            caps->max_region_bytes = attr->max_mr_size;
        }
        if (device->send_depth > caps->channel_work) {
            caps->channel_work = device->send_depth;
        }
        lower(&caps->max_eager_bytes, device->max_message_bytes);
        lower(&caps->read_depth, device->read_depth_out);
        lower(&caps->max_regions, (uint32_t)attr->max_mr);
        lower(&caps->max_pins, part(((uint32_t)attr->max_mr + 1) / 2, lanes)); /* the rest: slabs */
        lower(&caps->max_channels, part((uint32_t)attr->max_qp, lanes));
        lower(&caps->max_receives,
              (uint32_t)(caps->own_receives ? attr->max_qp_wr : attr->max_srq_wr));
        lower(&caps->max_completions, (uint32_t)attr->max_cqe);
    }
    caps->max_read_bytes -= caps->max_read_bytes % caps->read_align;
    caps->read_ahead = (uint64_t)caps->read_depth * caps->max_read_bytes;
}

/* Whether it has the objects that so many lanes need. A limit of 0 is none. Each lane's slots are
 * two regions, and at most three quarters are pins' and chunks' (pin.c, max_pins): slabs need the
 * rest. */
static int check_lanes(const struct wbi_verbs_device *device, uint32_t lanes)
{
    const struct {
        const char *name;
        int has;
        uint32_t needed;
    } limits[] = {{"max_qp", device->attr.max_qp, lanes},
                  {"max_cq", device->attr.max_cq, lanes},
                  {"max_srq", device->attr.max_srq, lanes},
                  {"max_mr", device->attr.max_mr, 8 * lanes + 4}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0] && lanes > 1; i++) {
        if (limits[i].has > 0 && (uint32_t)limits[i].has < limits[i].needed) {
            return wbi_error(WB_ERR_NO_FABRIC,
                             "%s: %s is %d, and config.lanes, %u, needs %u; lower that",
                             device->name, limits[i].name, limits[i].has, lanes, limits[i].needed);
        }
    }
    return WB_OK;
}

/* Whether the device has room for an engine, be it a small one. */
static int check_room(const struct wbi_verbs_device *device, const struct wb_engine_config *config)
{
    struct wbi_fabric_caps caps;
    struct wbi_shares shares;
    uint32_t lanes = wbi_config_lanes(config);
    if (check_lanes(device, lanes) != WB_OK) {
        return WB_ERR_NO_FABRIC;
    }
    state_caps(device, 1, lanes, &caps);
    if (wbi_share_out(config, &caps, &shares) == WB_OK) {
        return WB_OK;
    }
    char why[200];
    snprintf(why, sizeof why, "%s", wb_last_error());
    return wbi_error(WB_ERR_NO_FABRIC, "%s: %s", device->name, why);
}

/* As many as there is room for. */
static int add_device(struct wbi_domain *domain, struct ibv_device *which,
                      const struct wb_engine_config *config)
{
    if (domain->device_count == WBI_VERBS_MAX_DEVICES) {
        return wbi_error(WB_ERR_INVALID, "an engine uses %d devices at most; name those",
                         WBI_VERBS_MAX_DEVICES);
    }
    struct wbi_verbs_device *device = &domain->devices[domain->device_count];
    int status = wbi_verbs_device_open(which, device);
    status = status == WB_OK ? check_room(device, config) : status;
    if (status != WB_OK) {
        wbi_verbs_device_close(device);
        return status;
    }
    domain->device_count++;
    return WB_OK;
}

/* Opens the devices that are asked for; all of those, if they were named. */
static int open_devices(struct wbi_domain *domain, const struct wb_engine_config *config)
{
    const char *named = config->verbs.devices;
    int count = 0;
    struct ibv_device **all = ibv_get_device_list(&count);
    count = all != NULL ? count : 0;
    int status = check_names(named, all, count);
    const char *none = wbi_verbs_no_device(count);
    if (status == WB_OK && none != NULL) {
        status = wbi_error(WB_ERR_NO_FABRIC, "%s", none);
    }
    for (int i = 0; i < count && status == WB_OK; i++) {
        status = is_named(named, ibv_get_device_name(all[i])) ? add_device(domain, all[i], config)
                                                              : WB_OK;
        status = named != NULL && status != WB_OK ? WB_ERR_INVALID : WB_OK;
    }
    if (all != NULL) {
        ibv_free_device_list(all);
    }
    return status == WB_OK && domain->device_count == 0 ? WB_ERR_NO_FABRIC : status;
}

static int find_connection_manager(void)
{
    struct rdma_event_channel *cm = wbi_verbs_cm_open();
    if (cm == NULL) {
        return WB_ERR_NO_FABRIC;
    }
    rdma_destroy_event_channel(cm);
    return WB_OK;
}

int wbi_verbs_device_of(const struct wbi_domain *domain, const struct rdma_cm_id *id)
{
    const char *name = id->verbs != NULL ? ibv_get_device_name(id->verbs->device) : "";
    for (unsigned i = 0; i < domain->device_count; i++) {
        if (strcmp(domain->devices[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- life ---- */

int wbi_verbs_domain_open(const struct wb_engine_config *config, struct wbi_domain **out)
{
    struct wbi_domain *domain = calloc(1, sizeof *domain);
    if (domain == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a domain");
    }
    pthread_mutex_init(&domain->lock, NULL);
    int status = choose(&config->verbs, &domain->choice);
    status = status == WB_OK ? open_devices(domain, config) : status;
    if (status == WB_OK && !wbi_verbs_fork_is_safe()) {
        status = wbi_error(WB_ERR_NO_FABRIC, "this kernel does not copy pinned pages on fork: "
                                             "Linux 5.12 and rdma-core 35 or later are needed");
    }
    status = status == WB_OK ? find_connection_manager() : status;
    if (status == WB_OK) {
        state_caps(domain->devices, domain->device_count, wbi_config_lanes(config), &domain->caps);
        wbi_verbs_rails_state_caps(domain);
        status = wbi_verbs_memlock_check(config, &domain->caps);
    }
    if (status != WB_OK) {
        wbi_verbs_domain_close(domain);
        return status;
    }
    *out = domain;
    return WB_OK;
}

void wbi_verbs_domain_close(struct wbi_domain *domain)
{
    if (domain == NULL) {
        return;
    }
    for (unsigned i = 0; i < domain->device_count; i++) {
        wbi_verbs_device_close(&domain->devices[i]);
    }
    pthread_mutex_destroy(&domain->lock);
    free(domain);
}

const struct wbi_fabric_caps *wbi_verbs_domain_caps(const struct wbi_domain *domain)
{
    return &domain->caps;
}
