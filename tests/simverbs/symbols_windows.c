/* libibverbs: memory windows. */
#include <errno.h>
#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/symbols.h"

static int check(const struct sim_device *device, enum ibv_mw_type type)
{
    static const int errors[] = {ENOMEM, 0};
    if (!sim_mw_has(device)) {
        return EOPNOTSUPP;
    }
    if (type != IBV_MW_TYPE_2) {
        return EINVAL;
    }
    if (device->mw_count >= device->profile->attr.max_mw) {
        return ENOMEM;
    }
    return sim_call_fails("ibv_alloc_mw", errors);
}

struct ibv_mw *sim_symbol_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
{
    sim_enter(0);
    struct sim_device *device = sim_device_of(pd->context);
    struct sim_mw *mw = NULL;
    int error = check(device, type);
    if (error == 0) {
        mw = sim_new(sizeof *mw);
        mw->key = sim_mw_new_key(device);
        mw->ibv = (struct ibv_mw){.context = pd->context,
                                  .pd = pd,
                                  .rkey = mw->key,
                                  .handle = device->last_mw,
                                  .type = type};
        mw->next = *sim_mw_bin(device, mw->key);
        *sim_mw_bin(device, mw->key) = mw;
        device->mw_count++;
        ((struct sim_pd *)pd)->users++;
        sim_trace(device, "window made", mw->key, 0, 0);
    }
    sim_leave();
    sim_set_errno(error);
    return mw != NULL ? &mw->ibv : NULL;
}

int sim_symbol_dealloc_mw(struct ibv_mw *ibv)
{
    struct sim_mw *mw = (struct sim_mw *)ibv;
    sim_enter(0);
    struct sim_device *device = sim_device_of(ibv->context);
    struct sim_mw **at = sim_mw_bin(device, mw->key);
    while (*at != mw) {
        at = &(*at)->next;
    }
    *at = mw->next;
    if (mw->mr != NULL) {
        sim_mw_unbind(mw);
    }
    device->mw_count--;
    ((struct sim_pd *)ibv->pd)->users--;
    sim_trace(device, "window freed", mw->key, 0, 0);
    free(mw);
    sim_leave();
    return 0;
}

/* For type 1, which no device here has. */
int sim_symbol_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind)
{
    (void)qp, (void)mw, (void)bind;
    return EOPNOTSUPP;
}
