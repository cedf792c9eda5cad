#include "engine/verbs/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/verbs/address.h"
#include "engine/verbs/memlock.h"
#include "engine/verbs/queues.h"

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

static int choose(const struct wb_verbs_config *config, struct wbi_verbs_choice *choice)
{
    *choice = (struct wbi_verbs_choice){
        .ack_timeout = (uint8_t)(config->ack_timeout != 0 ? config->ack_timeout : WBI_ACK_TIMEOUT),
        .retries = (uint8_t)(config->retries != 0 ? config->retries : WBI_RETRIES)};
    if (config->source != NULL) {
        choice->has_source = true;
        if (!wbi_verbs_numeric(config->source, 0, &choice->source)) {
            return wbi_error(WB_ERR_INVALID,
                             "config.verbs.source is '%s', which is no numeric IP address",
                             config->source);
        }
    }
    return choose_mtu(config->mtu, &choice->mtu);
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

/* Whether the device can post the receives that the engine promises to its peers. */
static int check_room(const struct wbi_verbs_device *device, const struct wb_engine_config *config)
{
    uint32_t slots = wbi_receive_slots(config, WBI_VERBS_KEPT_SLOTS);
    if (slots <= (uint32_t)device->attr.max_srq_wr &&
        slots + WBI_VERBS_SEND_DEPTH <= (uint32_t)device->attr.max_cqe) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_FABRIC,
                     "%s: %u receives are needed, and it has %d a queue and %d completions: lower "
                     "max_calls, credits or max_peers",
                     device->name, slots, device->attr.max_srq_wr, device->attr.max_cqe);
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

static void state_caps(struct wbi_domain *domain)
{
    struct wbi_fabric_caps *caps = &domain->caps;
    *caps = (struct wbi_fabric_caps){.max_eager_bytes = WBI_VERBS_MAX_EAGER,
                                     .read_depth = WBI_VERBS_READ_DEPTH,
                                     .max_read_bytes = READ_BYTES,
                                     .read_align = 1,
                                     .key_bytes = sizeof(uint32_t),
                                     .max_offers = WBI_VERBS_MAX_OFFERS,
                                     .kept_slots = WBI_VERBS_KEPT_SLOTS,
                                     .slot_sets = domain->device_count,
                                     .revokes_at_once = false};
    for (unsigned i = 0; i < domain->device_count; i++) {
        const struct wbi_verbs_device *device = &domain->devices[i];
        if (device->max_message_bytes < caps->max_read_bytes) {
            caps->max_read_bytes = device->max_message_bytes;
        }
        if (device->max_message_bytes < caps->max_eager_bytes) {
            caps->max_eager_bytes = (uint32_t)device->max_message_bytes;
        }
        if (device->read_depth_out < caps->read_depth) {
            caps->read_depth = device->read_depth_out;
        }
        if (caps->max_region_bytes == 0 || device->attr.max_mr_size < caps->max_region_bytes) {
            caps->max_region_bytes = device->attr.max_mr_size;
        }
        if (caps->max_regions == 0 || (uint32_t)device->attr.max_mr < caps->max_regions) {
            caps->max_regions = (uint32_t)device->attr.max_mr;
        }
    }
}

int wbi_verbs_domain_open(const struct wb_engine_config *config, struct wbi_domain **out)
{
    struct wbi_domain *domain = calloc(1, sizeof *domain);
    if (domain == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a domain");
    }
    int status = choose(&config->verbs, &domain->choice);
    status = status == WB_OK ? open_devices(domain, config) : status;
    if (status == WB_OK && !wbi_verbs_fork_is_safe()) {
        status = wbi_error(WB_ERR_NO_FABRIC, "this kernel does not copy pinned pages on fork: "
                                             "Linux 5.12 and rdma-core 35 or later are needed");
    }
    status = status == WB_OK ? find_connection_manager() : status;
    status = status == WB_OK ? wbi_verbs_memlock_check(config, domain->device_count) : status;
    if (status != WB_OK) {
        wbi_verbs_domain_close(domain);
        return status;
    }
    state_caps(domain);
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
    free(domain);
}

const struct wbi_fabric_caps *wbi_verbs_domain_caps(const struct wbi_domain *domain)
{
    return &domain->caps;
}
