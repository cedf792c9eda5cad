/* Memory: who may touch what, looked up at the moment of the transfer. */
#include <string.h>

#include "tests/simverbs/model.h"

static struct sim_mr *find(const struct sim_device *device, uint32_t key, bool remote)
{
    for (struct sim_mr *mr = device->mrs[key / 2 % SIM_BINS]; mr != NULL; mr = mr->next) {
        if ((remote ? mr->ibv.rkey : mr->ibv.lkey) == key) {
            return mr;
        }
    }
    return NULL;
}

static bool covers(const struct sim_mr *mr, uint64_t address, uint64_t bytes)
{
    uint64_t base = (uintptr_t)mr->ibv.addr;
    return address >= base && address - base <= mr->ibv.length &&
           bytes <= mr->ibv.length - (address - base);
}

/* A pointer that comes from the registration and not from a number that a peer has sent. */
static uint8_t *at(const struct sim_mr *mr, uint64_t address)
{
    return (uint8_t *)mr->ibv.addr + (address - (uintptr_t)mr->ibv.addr);
}

uint8_t *sim_mr_local(struct sim_device *device, const struct ibv_pd *pd, const struct ibv_sge *sge,
                      bool write)
{
    const struct sim_mr *mr = find(device, sge->lkey, false);
    if (mr == NULL || mr->ibv.pd != pd || !covers(mr, sge->addr, sge->length) ||
        (write && (mr->access & IBV_ACCESS_LOCAL_WRITE) == 0)) {
        return NULL;
    }
    return at(mr, sge->addr);
}

uint8_t *sim_mr_remote(struct sim_device *device, const struct ibv_pd *pd, uint32_t rkey,
                       uint64_t address, uint64_t bytes, unsigned access)
{
    const struct sim_mr *mr = find(device, rkey, true);
    if (mr == NULL || mr->ibv.pd != pd || !covers(mr, address, bytes) ||
        (mr->access & access) != access) {
        return NULL;
    }
    return at(mr, address);
}

void sim_spans_copy(const struct sim_span *to, const struct sim_span *from, uint64_t bytes)
{
    size_t written = 0, taken = 0; /* of the current spans */
    while (bytes > 0) {
        if (written == to->bytes) {
            to++;
            written = 0;
            continue;
        }
        if (taken == from->bytes) {
            from++;
            taken = 0;
            continue;
        }
        size_t part = to->bytes - written;
        part = part < from->bytes - taken ? part : from->bytes - taken;
        part = part < bytes ? part : (size_t)bytes;
        memmove(to->at + written, from->at + taken, part);
        written += part;
        taken += part;
        bytes -= part;
    }
}
