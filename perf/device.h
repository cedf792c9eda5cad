/* An RDMA device to register memory with. */
#ifndef WAYBILL_PERF_DEVICE_H
#define WAYBILL_PERF_DEVICE_H

#include <infiniband/verbs.h>
#include <stddef.h>

/* All zero has nothing to give back. */
struct device {
    struct ibv_context *context;
    struct ibv_pd *pd;
};

/* Opens the device of that name, or the first (NULL). Returns 0, or -1 with a reason in `words`. */
int device_open(struct device *device, const char *name, char *words, size_t size);
void device_close(struct device *device);

/* Registers memory as the engine does for its peers' READs; NULL on failure, with errno. */
struct ibv_mr *device_register(const struct device *device, void *memory, size_t bytes);

#endif
