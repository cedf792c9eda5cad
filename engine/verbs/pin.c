/* User memory that is pinned: known to every device, readable for peers and nobody's to write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waybill/pin.h>

#include "engine/verbs/domain.h"

static int check_on_demand(const struct wbi_verbs_device *device,
                           const struct wbi_pin_source *source)
{
    bool all = source->bytes == SIZE_MAX;
    if ((source->flags & WB_MR_ON_DEMAND) == 0 ||
        (all ? device->on_demand_all : device->on_demand)) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_NO_FABRIC,
                     "%s: the device has no %son-demand paging for READs (on_demand in wb_info)",
                     device->name, all ? "implicit " : "");
}

static struct ibv_mr *reg_one(const struct wbi_verbs_device *device,
                              const struct wbi_pin_source *source)
{
    unsigned access = IBV_ACCESS_REMOTE_READ;
    if (source->fd >= 0) {
        return ibv_reg_dmabuf_mr(device->pd, source->offset, source->bytes,
                                 (uintptr_t)source->address, source->fd, (int)access);
    }
    access |= (source->flags & WB_MR_ON_DEMAND) != 0 ? IBV_ACCESS_ON_DEMAND : 0;
    /* the cast is for ibv_reg_mr, which writes nothing */
    void *address = (void *)(uintptr_t)source->address; // NOLINT(performance-no-int-to-ptr)
    return ibv_reg_mr(device->pd, address, source->bytes, access);
}

static void dereg(void *context, struct wbi_mr *mr)
{
    wbi_verbs_forget(context, mr);
}

static int say_why(const struct wbi_verbs_device *device, const struct wbi_pin_source *source,
                   int error)
{
    bool dmabuf = source->fd >= 0;
    int status = error == ENOMEM || error == EAGAIN                   ? WB_ERR_NO_MEMORY
                 : dmabuf && (error == EOPNOTSUPP || error == ENOSYS) ? WB_ERR_NO_FABRIC
                                                                      : WB_ERR_INVALID;
    const char *words = dmabuf && error == EOPNOTSUPP ? "the device or its driver reads no dma-bufs"
                        : dmabuf && error == EBADF    ? "the descriptor is no dma-buf"
                                                      : wbi_verbs_register_words(error);
    return wbi_error(status, "%s: a range of %zu bytes cannot be pinned: %s", device->name,
                     source->bytes, words);
}

static int reg(void *context, const struct wbi_pin_source *source, struct wbi_mr **out)
{
    struct wbi_domain *domain = context;
    for (unsigned i = 0; i < domain->device_count; i++) {
        int status = check_on_demand(&domain->devices[i], source);
        if (status != WB_OK) {
            return status;
        }
    }
    struct wbi_mr *mr = calloc(1, sizeof *mr);
    if (mr == NULL) {
        return wbi_error(WB_ERR_NO_MEMORY, "no memory for a registration");
    }
    mr->base = (uintptr_t)source->address;
    mr->bytes = source->bytes;
    for (unsigned i = 0; i < domain->device_count; i++) {
        const struct wbi_verbs_device *device = &domain->devices[i];
        mr->on[i] = reg_one(device, source);
        if (mr->on[i] == NULL) {
            int error = errno;
            wbi_verbs_forget(domain, mr);
            return say_why(device, source, error);
        }
    }
    *out = mr;
    return WB_OK;
}

struct wbi_pinner wbi_verbs_pinner(struct wbi_domain *domain)
{
    return (struct wbi_pinner){.context = domain, .reg = reg, .dereg = dereg};
}
