#include "perf/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct ibv_context *open_named(struct ibv_device **list, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (name == NULL || strcmp(ibv_get_device_name(list[i]), name) == 0) {
            return ibv_open_device(list[i]);
        }
    }
    errno = ENODEV;
    return NULL;
}

int device_open(struct device *device, const char *name, char *words, size_t size)
{
    int count = 0;
    struct ibv_device **list = ibv_get_device_list(&count);
    *device = (struct device){0};
    if (list == NULL || count == 0) {
        snprintf(words, size, "no RDMA device here (see wb_info)");
    } else {
        device->context = open_named(list, count, name);
        device->pd = device->context != NULL ? ibv_alloc_pd(device->context) : NULL;
        if (device->pd == NULL) {
            snprintf(words, size, "cannot open RDMA device %s: %s",
                     name != NULL ? name : ibv_get_device_name(list[0]), strerror(errno));
            device_close(device);
        }
    }
    if (list != NULL) {
        ibv_free_device_list(list);
    }
    return device->pd != NULL ? 0 : -1;
}

void device_close(struct device *device)
{
    if (device->pd != NULL) {
        ibv_dealloc_pd(device->pd);
    }
    if (device->context != NULL) {
        ibv_close_device(device->context);
    }
    *device = (struct device){0};
}

struct ibv_mr *device_register(const struct device *device, void *memory, size_t bytes)
{
    return ibv_reg_mr(device->pd, memory, bytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
}
