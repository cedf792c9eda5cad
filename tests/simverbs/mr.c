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

struct sim_mr *sim_mr_find(const struct sim_device *device, const struct ibv_pd *pd, uint32_t lkey)
{
    struct sim_mr *mr = find(device, lkey, false);
    return mr != NULL && mr->ibv.pd == pd ? mr : NULL;
}

bool sim_within(uint64_t base, uint64_t room, uint64_t address, uint64_t bytes)
{
    return address >= base && address - base <= room && bytes <= room - (address - base);
}

static bool covers(const struct sim_mr *mr, uint64_t address, uint64_t bytes)
{
    return sim_within(mr->address, mr->ibv.length, address, bytes);
}

/* A pointer that comes from the registration and not from a number that a peer has sent. */
static uint8_t *at(const struct sim_mr *mr, uint64_t address)
{
    return mr->memory + (address - mr->address);
}

uint8_t *sim_mr_local(struct sim_device *device, const struct ibv_pd *pd, const struct ibv_sge *sge,
                      bool write)
{
    const struct sim_mr *mr = sim_mr_find(device, pd, sge->lkey);
    if (mr == NULL || !covers(mr, sge->addr, sge->length) ||
        (write && (mr->access & IBV_ACCESS_LOCAL_WRITE) == 0)) {
        return NULL;
    }
    return at(mr, sge->addr);
}

/* A window's rights and bounds are its own. */
static uint8_t *through_window(const struct sim_qp *to, uint32_t rkey, uint64_t address,
                               uint64_t bytes, unsigned access)
{
    const struct sim_mw *mw = sim_mw_bound(to, rkey);
    if (mw == NULL || !sim_within(mw->address, mw->bytes, address, bytes) ||
        (mw->access & access) != access) {
        return NULL;
    }
    return at(mw->mr, address);
}

uint8_t *sim_mr_remote(const struct sim_qp *to, uint32_t rkey, uint64_t address, uint64_t bytes,
                       unsigned access)
{
    if (sim_mw_is_key(rkey)) {
        return through_window(to, rkey, address, bytes, access);
    }
    const struct sim_mr *mr = find(to->device, rkey, true);
    if (mr == NULL || mr->ibv.pd != to->ibv.pd || !covers(mr, address, bytes) ||
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
