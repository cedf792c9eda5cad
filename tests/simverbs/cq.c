/* Completion queues: they hold what they were made for, and break beyond. */
#include <errno.h>

#include "tests/simverbs/model.h"

static void break_queue_pairs(struct sim_cq *cq)
{
    struct sim_device *device = sim_device_of(cq->ibv.context);
    for (unsigned bin = 0; bin < SIM_BINS; bin++) {
        for (struct sim_qp *qp = device->qps[bin]; qp != NULL; qp = qp->next) {
            if (qp->ibv.send_cq == &cq->ibv || qp->ibv.recv_cq == &cq->ibv) {
                sim_qp_break(qp);
            }
        }
    }
}

static void overrun(struct sim_cq *cq)
{
    if (cq->overrun) {
        return;
    }
    cq->overrun = true;
    sim_trace(sim_device_of(cq->ibv.context), "CQ overrun", cq->count, 0, 0);
    sim_async(cq->ibv.context,
              (struct ibv_async_event){.element.cq = &cq->ibv, .event_type = IBV_EVENT_CQ_ERR});
    break_queue_pairs(cq);
}

void sim_cq_push(struct sim_cq *cq, const struct sim_cqe *cqe, bool solicited)
{
    struct sim_channel *channel = (struct sim_channel *)cq->ibv.channel;
    if (cq->overrun || cq->count == (unsigned)cq->ibv.cqe ||
        sim_goes_wrong("CQ overrun", sim_world.faults.rates.cq_overrun)) {
        overrun(cq);
        return;
    }
    cq->ring[(cq->first + cq->count++) % (unsigned)cq->ibv.cqe] = *cqe;
    solicited |= cqe->wc.status != IBV_WC_SUCCESS;
    if (cq->armed && channel != NULL && (solicited || !cq->solicited_only)) {
        cq->armed = false;
        sim_fifo_push(&channel->pending, cq);
        sim_signal_set(&channel->signal, true);
    }
}
