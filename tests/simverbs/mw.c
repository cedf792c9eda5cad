/* Memory windows of type 2B: a part of a region that one queue pair's peer may reach, by a key that
 * can be taken back without a system call. */
#include "tests/simverbs/model.h"

/* Above whatever registrations can count to. */
static const uint32_t window_keys = 0x80000000;

bool sim_mw_has(const struct sim_device *device)
{
    return (device->profile->attr.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0;
}

bool sim_mw_is_key(uint32_t rkey)
{
    return rkey >= window_keys;
}

uint32_t sim_mw_new_key(struct sim_device *device)
{
    return window_keys + (++device->last_mw << 8);
}

struct sim_mw **sim_mw_bin(struct sim_device *device, uint32_t key)
{
    return &device->mws[(key >> 8) % SIM_BINS];
}

static struct sim_mw *find(struct sim_device *device, uint32_t key)
{
    struct sim_mw *mw = *sim_mw_bin(device, key);
    while (mw != NULL && mw->key != key) {
        mw = mw->next;
    }
    return mw;
}

struct sim_mw *sim_mw_bound(const struct sim_qp *qp, uint32_t rkey)
{
    struct sim_mw *mw = find(qp->device, rkey);
    bool ours = mw != NULL && mw->mr != NULL && mw->qp_num == qp->ibv.qp_num;
    return ours ? mw : NULL;
}

/* ---- binding ---- */

/* Another key of the same window. */
static bool may_follow(uint32_t key, uint32_t current)
{
    return key >> 8 == current >> 8 && key != current;
}

/* What a window may allow, and what its region must then allow. */
static bool is_allowed(unsigned access, const struct sim_mr *mr)
{
    const unsigned writes = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
    return (access & ~(writes | IBV_ACCESS_REMOTE_READ)) == 0 &&
           (mr->access & IBV_ACCESS_MW_BIND) != 0 &&
           ((access & writes) == 0 || (mr->access & IBV_ACCESS_LOCAL_WRITE) != 0);
}

enum ibv_wc_status sim_mw_bind(struct sim_qp *qp, const struct sim_binding *binding)
{
    struct sim_mw *mw = find(qp->device, binding->window);
    struct sim_mr *mr = sim_mr_find(qp->device, qp->ibv.pd, binding->lkey);
    if (mw == NULL || mw->mr != NULL || mw->ibv.pd != qp->ibv.pd || mr == NULL ||
        !may_follow(binding->key, mw->key) || binding->bytes == 0 ||
        !sim_within(mr->address, mr->ibv.length, binding->address, binding->bytes) ||
        !is_allowed(binding->access, mr)) {
        return IBV_WC_MW_BIND_ERR;
    }
    mw->key = binding->key;
    mw->mr = mr;
    mw->qp_num = qp->ibv.qp_num;
    mw->address = binding->address;
    mw->bytes = binding->bytes;
    mw->access = binding->access;
    mr->windows++;
    sim_trace(qp->device, "window bound", mw->key, mw->bytes, mw->access);
    return IBV_WC_SUCCESS;
}

void sim_mw_unbind(struct sim_mw *mw)
{
    mw->mr->windows--;
    mw->mr = NULL;
}

bool sim_mw_invalidate(const struct sim_qp *qp, uint32_t rkey)
{
    struct sim_mw *mw = sim_mw_bound(qp, rkey);
    if (mw == NULL) {
        return false;
    }
    sim_mw_unbind(mw);
    sim_trace(qp->device, "window invalidated", rkey, 0, 0);
    return true;
}
