#include "tests/simverbs/local.h"

#include "tests/simverbs/transfer.h"

bool sim_local_is(enum ibv_wr_opcode opcode)
{
    return opcode == IBV_WR_BIND_MW || opcode == IBV_WR_LOCAL_INV;
}

/* ---- taking ---- */

bool sim_local_is_fit(const struct ibv_send_wr *wr)
{
    if (!sim_local_is(wr->opcode) || wr->num_sge != 0 || (wr->send_flags & IBV_SEND_INLINE) != 0) {
        return false;
    }
    return wr->opcode == IBV_WR_LOCAL_INV || wr->bind_mw.bind_info.mr != NULL;
}

void sim_local_take(struct sim_work *work, const struct ibv_send_wr *wr)
{
    bool invalidates = wr->opcode == IBV_WR_LOCAL_INV || wr->opcode == IBV_WR_SEND_WITH_INV;
    work->executed = false;
    work->invalidates = invalidates ? wr->invalidate_rkey : 0;
    if (wr->opcode == IBV_WR_BIND_MW) {
        const struct ibv_mw_bind_info *info = &wr->bind_mw.bind_info;
        work->binding = (struct sim_binding){.window = wr->bind_mw.mw->rkey,
                                             .key = wr->bind_mw.rkey,
                                             .lkey = info->mr->lkey,
                                             .address = info->addr,
                                             .bytes = info->length,
                                             .access = info->mw_access_flags};
    }
}

/* ---- executing ---- */

/* The queue pair whose turn this still is. */
static struct sim_qp *find(const struct sim_event *event)
{
    struct sim_qp *qp = sim_qp_find(event->device, event->qp_num);
    bool goes_on = qp != NULL && qp->ibv.state == IBV_QPS_RTS && qp->epoch == event->epoch;
    return goes_on ? qp : NULL;
}

static enum ibv_wc_status execute(struct sim_qp *qp, const struct sim_work *work)
{
    if (sim_goes_wrong("local work ends badly", sim_world.faults.rates.work_fails)) {
        return IBV_WC_LOC_QP_OP_ERR;
    }
    if (work->opcode == IBV_WR_BIND_MW) {
        return sim_mw_bind(qp, &work->binding);
    }
    return sim_mw_invalidate(qp, work->invalidates) ? IBV_WC_SUCCESS : IBV_WC_LOC_QP_OP_ERR;
}

/* Where earlier work is lost this comes to nothing, and once more when that is repeated. */
static void end(const struct sim_event *event)
{
    struct sim_qp *qp = find(event);
    if (qp != NULL && qp->done == event->number) {
        sim_qp_complete(qp, event->status);
        sim_qp_issue(qp);
    }
}

/* Once: a repetition of earlier work does not bind again. */
void sim_local_execute(const struct sim_event *event)
{
    struct sim_qp *qp = find(event);
    if (qp == NULL) {
        return;
    }
    struct sim_work *work = &qp->works[event->number % qp->cap.max_send_wr];
    if (!work->executed) {
        work->executed = true;
        work->end = execute(qp, work);
    }
    struct sim_event ended = *event;
    ended.run = end;
    ended.status = work->end;
    sim_schedule(ended, sim_answer_ns(qp, 0));
}
