/* libibverbs: what devices have beyond their own pinned memory: paging on demand, and memory of
 * other devices, for which any file that can be mapped stands. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/symbols.h"

int sim_symbol_query_device_ex(struct ibv_context *ibv,
                               const struct ibv_query_device_ex_input *input,
                               struct ibv_device_attr_ex *out, size_t size)
{
    struct ibv_device_attr_ex attr = {.comp_mask = 0};
    (void)input;
    int error = ibv_query_device(ibv, &attr.orig_attr);
    if (error == 0) {
        if (sim_device_of(ibv)->profile->on_demand) {
            attr.odp_caps.general_caps = IBV_ODP_SUPPORT | IBV_ODP_SUPPORT_IMPLICIT;
            attr.odp_caps.per_transport_caps.rc_odp_caps =
                IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_WRITE | IBV_ODP_SUPPORT_READ;
        }
        memset(out, 0, size);
        memcpy(out, &attr, size < sizeof attr ? size : sizeof attr);
    }
    return error;
}

static uint64_t page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int check(const struct sim_device *device, uint64_t offset, size_t length, uint64_t iova,
                 int fd)
{
    static const int errors[] = {ENOMEM, EINVAL, 0};
    off_t end = lseek(fd, 0, SEEK_END);
    if (!device->profile->dmabufs) {
        return EOPNOTSUPP;
    }
    if (end < 0) {
        return EBADF;
    }
    if (device->mr_count >= device->profile->attr.max_mr) {
        return ENOMEM;
    }
    if (length == 0 || !sim_within(0, (uint64_t)end, offset, length) ||
        offset % page_bytes() != iova % page_bytes()) {
        return EINVAL;
    }
    return sim_call_fails("ibv_reg_dmabuf_mr", errors);
}

/* As the library does it: ibv_mr.addr is the offset, and no address. */
struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset, size_t length, uint64_t iova,
                                 int fd, int access)
{
    uint64_t skipped = offset % page_bytes();
    struct sim_mr *mr = NULL;
    sim_enter(0);
    int error = check(sim_device_of(pd->context), offset, length, iova, fd);
    if (error == 0) {
        void *memory =
            mmap(NULL, length + skipped, PROT_READ, MAP_SHARED, fd, (off_t)(offset - skipped));
        error = memory == MAP_FAILED ? errno : 0;
        if (error == 0) {
            void *named = (void *)(uintptr_t)offset; // NOLINT(performance-no-int-to-ptr)
            mr = sim_mr_new(pd, named, length, (unsigned)access);
            mr->address = iova;
            mr->memory = (uint8_t *)memory + skipped;
            mr->mapped = true;
        }
    }
    sim_leave();
    sim_set_errno(error);
    return mr != NULL ? &mr->ibv : NULL;
}

void sim_dmabuf_unmap(const struct sim_mr *mr)
{
    if (mr->mapped) {
        uint64_t skipped = (uintptr_t)mr->memory % page_bytes();
        munmap(mr->memory - skipped, mr->ibv.length + skipped);
    }
}
