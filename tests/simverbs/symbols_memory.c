/* libibverbs: protection domains and memory regions. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/simverbs/model.h"

#undef ibv_reg_mr

struct ibv_pd *ibv_alloc_pd(struct ibv_context *ibv)
{
    static const int errors[] = {ENOMEM, 0};
    sim_enter(0);
    struct sim_context *context = sim_context_of(ibv);
    struct sim_device *device = context->device;
    struct sim_pd *pd = NULL;
    int error = context->dead ? EIO
                : device->pd_count < device->profile->attr.max_pd
                    ? sim_call_fails("ibv_alloc_pd", errors)
                    : ENOMEM;
    if (error == 0) {
        pd = sim_new(sizeof *pd);
        pd->ibv.context = ibv;
        context->users++;
        device->pd_count++;
    }
    sim_leave();
    sim_set_errno(error);
    return pd != NULL ? &pd->ibv : NULL;
}

int ibv_dealloc_pd(struct ibv_pd *ibv)
{
    struct sim_pd *pd = (struct sim_pd *)ibv;
    sim_enter(0);
    bool busy = pd->users > 0;
    if (!busy) {
        sim_context_of(ibv->context)->users--;
        sim_device_of(ibv->context)->pd_count--;
        free(pd);
    }
    sim_leave();
    return busy ? EBUSY : 0;
}

/* ---- memory regions ---- */

/* Whether the pages are there, as far as the first and the last tell. */
static bool is_readable(void *address, size_t length)
{
    char byte;
    struct iovec local = {.iov_base = &byte, .iov_len = 1};
    for (int end = 0; end < 2 && length > 0; end++) {
        struct iovec remote = {.iov_base = (uint8_t *)address + (end == 0 ? 0 : length - 1),
                               .iov_len = 1};
        if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1 && errno == EFAULT) {
            return false;
        }
    }
    return true;
}

static int check(const struct sim_device *device, void *address, size_t length, unsigned access)
{
    static const int errors[] = {ENOMEM, EINVAL, EFAULT, 0};
    const unsigned remote = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
    if ((access & remote) != 0 && (access & IBV_ACCESS_LOCAL_WRITE) == 0) {
        return EINVAL;
    }
    if (device->mr_count >= device->profile->attr.max_mr) {
        return ENOMEM;
    }
    if (length == 0 || length > device->profile->attr.max_mr_size) {
        return EINVAL;
    }
    if ((access & IBV_ACCESS_ON_DEMAND) != 0) { /* whatever is there, when it is needed */
        return device->profile->on_demand ? sim_call_fails("ibv_reg_mr", errors) : EOPNOTSUPP;
    }
    if (!is_readable(address, length)) {
        return EFAULT;
    }
    return sim_call_fails("ibv_reg_mr", errors);
}

struct sim_mr *sim_mr_new(struct ibv_pd *pd, void *address, size_t length, unsigned access)
{
    struct sim_device *device = sim_device_of(pd->context);
    struct sim_mr *mr = sim_new(sizeof *mr);
    uint32_t key = ++device->last_key * 2;
    mr->ibv = (struct ibv_mr){.context = pd->context,
                              .pd = pd,
                              .addr = address,
                              .length = length,
                              .handle = device->last_key,
                              .lkey = key,
                              .rkey = key + 1};
    mr->address = (uintptr_t)address;
    mr->memory = address;
    mr->access = access;
    mr->next = device->mrs[key / 2 % SIM_BINS];
    device->mrs[key / 2 % SIM_BINS] = mr;
    device->mr_count++;
    ((struct sim_pd *)pd)->users++;
    sim_trace(device, "registers", key, length, access);
    return mr;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *address, size_t length, uint64_t iova,
                                unsigned access)
{
    sim_enter(0);
    struct sim_device *device = sim_device_of(pd->context);
    struct sim_mr *mr = NULL;
    int error = iova == (uintptr_t)address ? check(device, address, length, access) : EINVAL;
    error = sim_context_is_dead(pd->context) ? EIO : error;
    if (error == 0) {
        mr = sim_mr_new(pd, address, length, access);
    }
    sim_leave();
    sim_set_errno(error);
    return mr != NULL ? &mr->ibv : NULL;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *address, size_t length, int access)
{
    return ibv_reg_mr_iova2(pd, address, length, (uintptr_t)address, (unsigned)access);
}

int ibv_dereg_mr(struct ibv_mr *ibv)
{
    sim_enter(0);
    struct sim_device *device = sim_device_of(ibv->context);
    struct sim_mr **at = &device->mrs[ibv->lkey / 2 % SIM_BINS];
    if (((struct sim_mr *)ibv)->windows > 0) {
        sim_leave();
        return EBUSY;
    }
    while (&(*at)->ibv != ibv) {
        at = &(*at)->next;
    }
    *at = (*at)->next;
    sim_dmabuf_unmap((struct sim_mr *)ibv);
    device->mr_count--;
    ((struct sim_pd *)ibv->pd)->users--;
    sim_trace(device, "deregisters", ibv->lkey, 0, 0);
    free(ibv);
    sim_leave();
    return 0;
}
