/* libibverbs: queue pairs. */
#include <errno.h>
#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/symbols.h"

static int check(const struct sim_device *device, const struct ibv_pd *pd,
                 const struct ibv_qp_init_attr *init)
{
    static const int errors[] = {ENOMEM, 0};
    const struct sim_profile *profile = device->profile;
    const struct ibv_qp_cap *cap = &init->cap;
    uint32_t max_wr = (uint32_t)profile->attr.max_qp_wr, max_sge = (uint32_t)profile->attr.max_sge;
    if (init->qp_type != IBV_QPT_RC || init->send_cq == NULL || init->recv_cq == NULL ||
        cap->max_send_wr < 1 || cap->max_send_wr > max_wr || cap->max_send_sge > max_sge ||
        cap->max_inline_data > profile->max_inline) {
        return EINVAL;
    }
    if (init->srq == NULL && (cap->max_recv_wr > max_wr || cap->max_recv_sge > max_sge)) {
        return EINVAL;
    }
    if (sim_context_is_dead(pd->context) ||
        (init->srq != NULL && ((struct sim_srq *)init->srq)->broken)) {
        return EIO;
    }
    if (device->qp_count >= profile->attr.max_qp) {
        return ENOMEM;
    }
    return sim_call_fails("ibv_create_qp", errors);
}

static void make_queues(struct sim_qp *qp)
{
    qp->works = sim_new(qp->cap.max_send_wr * sizeof *qp->works);
    for (uint32_t i = 0; i < qp->cap.max_send_wr && qp->cap.max_inline_data > 0; i++) {
        qp->works[i].in_line = sim_new(qp->cap.max_inline_data);
    }
    qp->receives.depth = qp->ibv.srq == NULL ? qp->cap.max_recv_wr : 0;
    qp->receives.max_sge = qp->cap.max_recv_sge;
    qp->receives.ring = sim_new(qp->receives.depth * sizeof *qp->receives.ring);
}

static void use(struct sim_qp *qp, int sign)
{
    unsigned one = (unsigned)sign;
    ((struct sim_pd *)qp->ibv.pd)->users += one;
    ((struct sim_cq *)qp->ibv.send_cq)->users += one;
    ((struct sim_cq *)qp->ibv.recv_cq)->users += one;
    if (qp->ibv.srq != NULL) {
        ((struct sim_srq *)qp->ibv.srq)->users += one;
    }
    qp->device->qp_count += sign;
}

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *init)
{
    sim_enter(0);
    struct sim_device *device = sim_device_of(pd->context);
    struct sim_qp *qp = NULL;
    int error = check(device, pd, init);
    if (error == 0) {
        qp = sim_new(sizeof *qp);
        qp->device = device;
        qp->cap = init->cap;
        qp->signal_all = init->sq_sig_all != 0;
        qp->ibv = (struct ibv_qp){.context = pd->context,
                                  .qp_context = init->qp_context,
                                  .pd = pd,
                                  .send_cq = init->send_cq,
                                  .recv_cq = init->recv_cq,
                                  .srq = init->srq,
                                  .qp_num = 16 + ++device->last_qp_num,
                                  .state = IBV_QPS_RESET,
                                  .qp_type = IBV_QPT_RC};
        make_queues(qp);
        use(qp, 1);
        qp->next = device->qps[qp->ibv.qp_num % SIM_BINS];
        device->qps[qp->ibv.qp_num % SIM_BINS] = qp;
        qp->older_live = device->newest_qp;
        device->newest_qp = qp;
    }
    sim_leave();
    sim_set_errno(error);
    return qp != NULL ? &qp->ibv : NULL;
}

/* Takes the queue pair's completions out of a CQ, as some drivers do. */
static void clean(struct ibv_cq *ibv, uint32_t qp_num)
{
    struct sim_cq *cq = (struct sim_cq *)ibv;
    unsigned size = (unsigned)ibv->cqe, kept = 0;
    for (unsigned i = 0; i < cq->count; i++) {
        struct sim_cqe cqe = cq->ring[(cq->first + i) % size];
        if (cqe.wc.qp_num != qp_num) {
            cq->ring[(cq->first + kept++) % size] = cqe;
        }
    }
    cq->count = kept;
}

int ibv_destroy_qp(struct ibv_qp *ibv)
{
    struct sim_qp *qp = (struct sim_qp *)ibv;
    sim_enter(0);
    struct sim_qp **at = &qp->device->qps[ibv->qp_num % SIM_BINS];
    sim_await_acknowledged("ibv_destroy_qp", &qp->async_unacknowledged);
    while (*at != qp) {
        at = &(*at)->next;
    }
    *at = qp->next;
    for (at = &qp->device->newest_qp; *at != qp;) {
        at = &(*at)->older_live;
    }
    *at = qp->older_live;
    if (qp->device->profile->cleans_cq) {
        clean(ibv->send_cq, ibv->qp_num);
        clean(ibv->recv_cq, ibv->qp_num);
    }
    sim_trace(qp->device, "queue pair destroyed", ibv->qp_num, qp->done, qp->posted);
    sim_async_forget(ibv->context, qp);
    use(qp, -1);
    for (uint32_t i = 0; i < qp->cap.max_send_wr; i++) {
        free(qp->works[i].in_line);
    }
    free(qp->works);
    free(qp->receives.ring);
    free(qp);
    sim_leave();
    return 0;
}

int ibv_modify_qp(struct ibv_qp *ibv, struct ibv_qp_attr *attr, int mask)
{
    sim_enter(sim_world.options.poll_ns);
    int error = sim_qp_modify((struct sim_qp *)ibv, attr, mask);
    sim_leave();
    return error;
}

int ibv_query_qp(struct ibv_qp *ibv, struct ibv_qp_attr *attr, int mask,
                 struct ibv_qp_init_attr *init)
{
    const struct sim_qp *qp = (const struct sim_qp *)ibv;
    (void)mask;
    sim_enter(0);
    *attr = qp->attr;
    attr->qp_state = attr->cur_qp_state = ibv->state;
    attr->cap = qp->cap;
    *init = (struct ibv_qp_init_attr){.qp_context = ibv->qp_context,
                                      .send_cq = ibv->send_cq,
                                      .recv_cq = ibv->recv_cq,
                                      .srq = ibv->srq,
                                      .cap = qp->cap,
                                      .qp_type = ibv->qp_type,
                                      .sq_sig_all = qp->signal_all};
    sim_leave();
    return 0;
}

int sim_symbol_post_send(struct ibv_qp *ibv, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    sim_enter(sim_world.options.poll_ns);
    int error = sim_qp_post_send((struct sim_qp *)ibv, wr, bad);
    sim_leave();
    return error;
}

int sim_symbol_post_recv(struct ibv_qp *ibv, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    struct sim_qp *qp = (struct sim_qp *)ibv;
    sim_enter(sim_world.options.poll_ns);
    int error = EINVAL;
    if (ibv->srq == NULL && ibv->state != IBV_QPS_RESET) {
        error = sim_receives_post(&qp->receives, wr, bad);
    } else {
        *bad = wr;
    }
    if (error == 0 && ibv->state == IBV_QPS_ERR) {
        sim_qp_flush_soon(qp);
    }
    sim_leave();
    return error;
}
