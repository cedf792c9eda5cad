/* Which of a domain's devices an allocator uses, and where in the machine they are. */
#include <stdio.h>
#include <string.h>

#include "engine/verbs/domain.h"

/* The number of the device that the first `len` bytes of `name` name, or -1. */
static int number_of(const struct wbi_domain *domain, const char *name, size_t len)
{
    for (unsigned i = 0; i < domain->device_count; i++) {
        const char *known = domain->devices[i].name;
        if (strlen(known) == len && strncmp(known, name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int wbi_verbs_devices(const struct wbi_domain *domain, const char *names, uint32_t *devices)
{
    uint32_t bits = 0;
    if (names == NULL) {
        *devices = 0;
        return WB_OK;
    }
    for (const char *at = names;; at++) {
        size_t len = strcspn(at, ",");
        int number = number_of(domain, at, len);
        if (number < 0) {
            return wbi_error(WB_ERR_INVALID,
                             "wb_rma_config.devices names '%.*s', which is none of the devices "
                             "that the engine uses; see verbs.devices, and wb_info",
                             (int)len, at);
        }
        bits |= 1U << number;
        at += len;
        if (*at == '\0') {
            break;
        }
    }
    *devices = bits;
    return WB_OK;
}

/* What sysfs says of one device; -1 where it does not. */
static int node_of(const struct wbi_verbs_device *device)
{
    char path[IBV_SYSFS_PATH_MAX + 32];
    int node = -1;
    snprintf(path, sizeof path, "%s/device/numa_node", device->context->device->ibdev_path);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    if (fscanf(file, "%d", &node) != 1) { // NOLINT(cert-err34-c): a kernel's own number
        node = -1;
    }
    (void)fclose(file);
    return node;
}

int wbi_verbs_numa_node(const struct wbi_domain *domain, uint32_t devices)
{
    int common = -1;
    bool first = true;
    for (unsigned i = 0; i < domain->device_count; i++) {
        if (devices != 0 && (devices >> i & 1) == 0) {
            continue;
        }
        int node = node_of(&domain->devices[i]);
        common = first || node == common ? node : -1;
        first = false;
        if (common < 0) {
            return -1;
        }
    }
    return common;
}
