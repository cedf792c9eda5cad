/* States of a queue pair: which follows which, and what has to be said for it. */
#include <errno.h>

#include "tests/simverbs/model.h"

enum { STATES = IBV_QPS_ERR + 1 };

struct transition {
    bool allowed;
    int needed, optional;
};

enum {
    INIT_NEEDS = IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS,
    RTR_NEEDS = IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER,
    RTR_MAY = IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX,
    RTS_NEEDS = IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                IBV_QP_MAX_QP_RD_ATOMIC,
    RTS_MAY = IBV_QP_CUR_STATE | IBV_QP_ALT_PATH | IBV_QP_ACCESS_FLAGS | IBV_QP_MIN_RNR_TIMER |
              IBV_QP_PATH_MIG_STATE
};

/* The InfiniBand specification's table for RC; the drained states (SQD, SQE) are not simulated. */
static const struct transition table[STATES][STATES] = {
    [IBV_QPS_RESET] = {[IBV_QPS_INIT] = {true, INIT_NEEDS, 0}},
    [IBV_QPS_INIT] =
        {[IBV_QPS_INIT] = {true, 0, INIT_NEEDS}, [IBV_QPS_RTR] = {true, RTR_NEEDS, RTR_MAY}},
    [IBV_QPS_RTR] = {[IBV_QPS_RTS] = {true, RTS_NEEDS, RTS_MAY}},
    [IBV_QPS_RTS] = {[IBV_QPS_RTS] = {true, 0, RTS_MAY}},
};

static bool is_allowed(enum ibv_qp_state from, enum ibv_qp_state to, int mask)
{
    mask &= ~IBV_QP_STATE;
    if (to == IBV_QPS_ERR || to == IBV_QPS_RESET) {
        return (mask & ~IBV_QP_CUR_STATE) == 0;
    }
    const struct transition *transition = &table[from][to];
    return transition->allowed && (mask & transition->needed) == transition->needed &&
           (mask & ~(transition->needed | transition->optional)) == 0;
}

/* The device that a path leads to: by the address in its GID. */
static struct sim_device *find_peer(const union ibv_gid *gid)
{
    uint32_t address = (uint32_t)gid->raw[12] << 24 | (uint32_t)gid->raw[13] << 16 |
                       (uint32_t)gid->raw[14] << 8 | gid->raw[15];
    for (struct sim_host *host = sim_world.hosts; host != NULL; host = host->next) {
        for (int i = 0; i < host->device_count; i++) {
            if (host->devices[i]->address == address) {
                return host->devices[i];
            }
        }
    }
    return NULL;
}

static bool has_bad_value(const struct sim_qp *qp, const struct ibv_qp_attr *attr, int mask)
{
    const struct sim_profile *profile = qp->device->profile;
    return ((mask & IBV_QP_PORT) != 0 && attr->port_num != 1) ||
           ((mask & IBV_QP_PATH_MTU) != 0 &&
            (attr->path_mtu < IBV_MTU_256 || attr->path_mtu > profile->active_mtu)) ||
           ((mask & IBV_QP_MAX_QP_RD_ATOMIC) != 0 &&
            attr->max_rd_atomic > profile->attr.max_qp_init_rd_atom) ||
           ((mask & IBV_QP_MAX_DEST_RD_ATOMIC) != 0 &&
            attr->max_dest_rd_atomic > profile->attr.max_qp_rd_atom) ||
           ((mask & IBV_QP_TIMEOUT) != 0 && attr->timeout > 31) ||
           ((mask & IBV_QP_RETRY_CNT) != 0 && attr->retry_cnt > 7) ||
           ((mask & IBV_QP_RNR_RETRY) != 0 && attr->rnr_retry > 7) ||
           ((mask & IBV_QP_MIN_RNR_TIMER) != 0 && attr->min_rnr_timer > 31) ||
           ((mask & IBV_QP_AV) != 0 &&
            (attr->ah_attr.is_global == 0 || find_peer(&attr->ah_attr.grh.dgid) == NULL));
}

static void keep(struct sim_qp *qp, const struct ibv_qp_attr *attr, int mask)
{
    struct ibv_qp_attr *kept = &qp->attr;
    if ((mask & IBV_QP_ACCESS_FLAGS) != 0) {
        kept->qp_access_flags = attr->qp_access_flags;
    }
    if ((mask & IBV_QP_PORT) != 0) {
        kept->port_num = attr->port_num;
    }
    if ((mask & IBV_QP_PATH_MTU) != 0) {
        kept->path_mtu = attr->path_mtu;
    }
    if ((mask & IBV_QP_AV) != 0) {
        kept->ah_attr = attr->ah_attr;
        qp->peer = find_peer(&attr->ah_attr.grh.dgid);
    }
    if ((mask & IBV_QP_DEST_QPN) != 0) {
        kept->dest_qp_num = attr->dest_qp_num;
    }
    if ((mask & IBV_QP_MAX_DEST_RD_ATOMIC) != 0) {
        kept->max_dest_rd_atomic = attr->max_dest_rd_atomic;
    }
    if ((mask & IBV_QP_MIN_RNR_TIMER) != 0) {
        kept->min_rnr_timer = attr->min_rnr_timer;
    }
    if ((mask & IBV_QP_TIMEOUT) != 0) {
        kept->timeout = attr->timeout;
    }
    if ((mask & IBV_QP_RETRY_CNT) != 0) {
        kept->retry_cnt = attr->retry_cnt;
    }
    if ((mask & IBV_QP_RNR_RETRY) != 0) {
        kept->rnr_retry = attr->rnr_retry;
    }
    if ((mask & IBV_QP_MAX_QP_RD_ATOMIC) != 0) {
        kept->max_rd_atomic = attr->max_rd_atomic;
    }
}

/* Forgets all that was under way, without completions. */
static void reset(struct sim_qp *qp)
{
    qp->posted = qp->issued = qp->done = qp->freed = qp->sequence = qp->expected = 0;
    qp->reads_out = qp->reads_in = qp->reads_in_epoch = 0;
    qp->refusing = qp->comm_est_told = false;
    qp->epoch++;
    qp->receives.first = qp->receives.count = 0;
}

/* Made before its device, or the shared queue, broke: it does not come to life any more. */
static bool is_lost(const struct sim_qp *qp)
{
    const struct sim_srq *srq = (const struct sim_srq *)qp->ibv.srq;
    return sim_context_is_dead(qp->ibv.context) || (srq != NULL && srq->broken);
}

int sim_qp_modify(struct sim_qp *qp, const struct ibv_qp_attr *attr, int mask)
{
    static const int errors[] = {EINVAL, ENOMEM, 0};
    enum ibv_qp_state from = qp->ibv.state;
    enum ibv_qp_state to = (mask & IBV_QP_STATE) != 0 ? attr->qp_state : from;
    bool harmless = to == IBV_QPS_ERR || to == IBV_QPS_RESET;
    int error = harmless ? 0 : sim_call_fails("ibv_modify_qp", errors);
    if (error != 0) {
        return error;
    }
    if (is_lost(qp) && !harmless) {
        return EIO;
    }
    if ((unsigned)to >= STATES || !is_allowed(from, to, mask) || has_bad_value(qp, attr, mask)) {
        return EINVAL;
    }
    keep(qp, attr, mask);
    sim_trace(qp->device, "queue pair goes", qp->ibv.qp_num, (uint64_t)from, (uint64_t)to);
    if (to == IBV_QPS_ERR) {
        sim_qp_break(qp);
    } else {
        qp->ibv.state = to;
    }
    if (to == IBV_QPS_RESET) {
        reset(qp);
    }
    return 0;
}
