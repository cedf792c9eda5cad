/* Queue pairs: found, completed, broken, flushed. */
#include <errno.h>

#include "tests/simverbs/model.h"

enum { FLUSH_NS = 1000 };

struct sim_qp *sim_qp_find(struct sim_device *device, uint32_t number)
{
    struct sim_qp *qp = device != NULL ? device->qps[number % SIM_BINS] : NULL;
    while (qp != NULL && qp->ibv.qp_num != number) {
        qp = qp->next;
    }
    return qp;
}

struct sim_receive_queue *sim_qp_receives(struct sim_qp *qp)
{
    return qp->ibv.srq != NULL ? &((struct sim_srq *)qp->ibv.srq)->queue : &qp->receives;
}

/* ---- completing ---- */

static enum ibv_wc_opcode opcode_of(enum ibv_wr_opcode opcode)
{
    switch (opcode) {
    case IBV_WR_RDMA_READ:
        return IBV_WC_RDMA_READ;
    case IBV_WR_RDMA_WRITE:
        return IBV_WC_RDMA_WRITE;
    case IBV_WR_BIND_MW:
        return IBV_WC_BIND_MW;
    case IBV_WR_LOCAL_INV:
        return IBV_WC_LOCAL_INV;
    default:
        return IBV_WC_SEND;
    }
}

/* Of a failed one only wr_id, status, qp_num and vendor_err count. */
static void end_work(struct sim_qp *qp, enum ibv_wc_status status)
{
    const struct sim_work *work = &qp->works[qp->done % qp->cap.max_send_wr];
    bool good = status == IBV_WC_SUCCESS;
    bool told = !good || qp->signal_all || (work->flags & IBV_SEND_SIGNALED) != 0;
    struct sim_cqe cqe = {
        .wc = {.wr_id = work->wr_id,
               .status = status,
               .opcode = good ? opcode_of(work->opcode) : (enum ibv_wc_opcode)0x5a,
               .byte_len = good && work->opcode == IBV_WR_RDMA_READ ? (uint32_t)work->bytes : 0,
               .qp_num = qp->ibv.qp_num},
        .is_send = true,
        .number = qp->done};
    qp->reads_out -= good && work->opcode == IBV_WR_RDMA_READ;
    qp->done++;
    sim_trace(qp->device, "work ends", qp->ibv.qp_num, cqe.number, (uint64_t)status);
    if (told) {
        sim_cq_push((struct sim_cq *)qp->ibv.send_cq, &cqe, false);
    }
}

void sim_qp_complete(struct sim_qp *qp, enum ibv_wc_status status)
{
    end_work(qp, status);
    if (status != IBV_WC_SUCCESS) {
        sim_qp_break(qp);
    }
}

/* ---- flushing ---- */

static void flush_receives(struct sim_qp *qp)
{
    struct sim_receive_queue *queue = &qp->receives;
    while (queue->count > 0) {
        struct sim_receive *receive = &queue->ring[queue->first];
        struct sim_cqe cqe = {.wc = {.wr_id = receive->wr_id,
                                     .status = IBV_WC_WR_FLUSH_ERR,
                                     .opcode = (enum ibv_wc_opcode)0x5a,
                                     .qp_num = qp->ibv.qp_num}};
        queue->first = (queue->first + 1) % queue->depth;
        queue->count--;
        sim_cq_push((struct sim_cq *)qp->ibv.recv_cq, &cqe, false);
    }
}

/* All work, signalled or not. A shared queue keeps its receives: none is completed for this. */
static void flush(const struct sim_event *event)
{
    struct sim_qp *qp = sim_qp_find(event->device, event->qp_num);
    if (qp == NULL || qp->ibv.state != IBV_QPS_ERR) {
        return;
    }
    qp->flushing = false;
    while (qp->done < qp->posted) {
        end_work(qp, IBV_WC_WR_FLUSH_ERR);
    }
    qp->issued = qp->done;
    flush_receives(qp);
    if (qp->ibv.srq != NULL && qp->device->profile->tells_last_wqe && !qp->last_wqe_told) {
        qp->last_wqe_told = true;
        sim_async(qp->ibv.context,
                  (struct ibv_async_event){.element.qp = &qp->ibv,
                                           .event_type = IBV_EVENT_QP_LAST_WQE_REACHED});
    }
}

void sim_qp_flush_soon(struct sim_qp *qp)
{
    if (!qp->flushing) {
        qp->flushing = true;
        sim_schedule(
            (struct sim_event){.run = flush, .device = qp->device, .qp_num = qp->ibv.qp_num},
            sim_now_ns() + (sim_world.options.threads ? 0 : FLUSH_NS));
    }
}

void sim_qp_break(struct sim_qp *qp)
{
    if (qp->ibv.state == IBV_QPS_RESET || qp->ibv.state == IBV_QPS_ERR) {
        return;
    }
    sim_trace(qp->device, "queue pair breaks", qp->ibv.qp_num, qp->done, qp->posted);
    qp->ibv.state = IBV_QPS_ERR;
    qp->epoch++;
    qp->timing = false;
    sim_qp_flush_soon(qp);
}
