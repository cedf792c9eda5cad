/* The requester: takes work, sends it in order. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/local.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/transfer.h"

/* ---- taking ---- */

static bool is_known(const struct sim_qp *qp, const struct ibv_send_wr *wr)
{
    return wr->opcode == IBV_WR_SEND || wr->opcode == IBV_WR_SEND_WITH_IMM ||
           wr->opcode == IBV_WR_RDMA_WRITE || wr->opcode == IBV_WR_RDMA_READ ||
           (sim_mw_has(qp->device) && (wr->opcode == IBV_WR_SEND_WITH_INV || sim_local_is_fit(wr)));
}

static int check(const struct sim_qp *qp, const struct ibv_send_wr *wr, uint64_t *bytes)
{
    *bytes = 0;
    if (wr->num_sge < 0 || (uint32_t)wr->num_sge > qp->cap.max_send_sge || !is_known(qp, wr)) {
        return EINVAL;
    }
    if (wr->opcode == IBV_WR_RDMA_READ && (wr->num_sge > qp->device->profile->attr.max_sge_rd ||
                                           (wr->send_flags & IBV_SEND_INLINE) != 0)) {
        return EINVAL;
    }
    for (int i = 0; i < wr->num_sge; i++) {
        *bytes += wr->sg_list[i].length;
    }
    if (*bytes > qp->device->profile->max_message ||
        ((wr->send_flags & IBV_SEND_INLINE) != 0 && *bytes > qp->cap.max_inline_data)) {
        return EINVAL;
    }
    return qp->posted - qp->freed < qp->cap.max_send_wr ? 0 : ENOMEM;
}

/* Inline data are copied now; nobody checks their keys. */
static void copy_inline(struct sim_work *work, const struct ibv_send_wr *wr)
{
    size_t used = 0;
    for (int i = 0; i < wr->num_sge; i++) {
        memcpy(work->in_line + used, (const void *)(uintptr_t)wr->sg_list[i].addr, /* NOLINT */
               wr->sg_list[i].length);
        used += wr->sg_list[i].length;
    }
}

static int take(struct sim_qp *qp, const struct ibv_send_wr *wr)
{
    uint64_t bytes;
    int error = check(qp, wr, &bytes);
    if (error != 0) {
        return error;
    }
    struct sim_work *work = &qp->works[qp->posted++ % qp->cap.max_send_wr];
    work->wr_id = wr->wr_id;
    work->opcode = wr->opcode;
    work->flags = wr->send_flags;
    work->immediate = wr->opcode == IBV_WR_SEND_WITH_IMM ? wr->imm_data : 0;
    work->remote = wr->wr.rdma.remote_addr;
    work->rkey = wr->wr.rdma.rkey;
    work->bytes = bytes;
    work->sge_count = wr->num_sge;
    work->sequence = qp->sequence;
    qp->sequence += sim_local_is(wr->opcode) ? 0 : 1;
    sim_local_take(work, wr);
    if ((wr->send_flags & IBV_SEND_INLINE) != 0) {
        copy_inline(work, wr);
    } else if (wr->num_sge > 0) {
        memcpy(work->sges, wr->sg_list, (size_t)wr->num_sge * sizeof *wr->sg_list);
    }
    return 0;
}

/* Whether what follows `taken` work requests of a list is the one that is to be refused. */
static bool refuses(struct sim_device *device, uint64_t taken)
{
    if (device->refused == 0 || device->posts.works + taken + 1 != device->refused) {
        return false;
    }
    device->refused = 0;
    return true;
}

int sim_qp_post_send(struct sim_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
    static const int errors[] = {ENOMEM, 0};
    int error = qp->ibv.state == IBV_QPS_ERR ? 0 : sim_call_fails("ibv_post_send", errors);
    if (qp->ibv.state != IBV_QPS_RTS && qp->ibv.state != IBV_QPS_ERR) {
        error = EINVAL;
    }
    uint64_t before = qp->posted;
    for (; wr != NULL && error == 0; wr = wr->next) {
        error = refuses(qp->device, qp->posted - before) ? ENOMEM : take(qp, wr);
        if (error != 0) {
            break;
        }
    }
    qp->device->posts.lists += qp->posted > before ? 1 : 0;
    qp->device->posts.works += qp->posted - before;
    if (error != 0) {
        *bad = wr;
    }
    if (qp->ibv.state == IBV_QPS_ERR) {
        sim_qp_flush_soon(qp);
    } else {
        sim_qp_issue(qp);
    }
    return error;
}

/* ---- sending ---- */

static bool may_go(const struct sim_qp *qp, const struct sim_work *work)
{
    if ((work->flags & IBV_SEND_FENCE) != 0 && qp->reads_out > 0) {
        return false;
    }
    return work->opcode != IBV_WR_RDMA_READ || qp->reads_out < qp->attr.max_rd_atomic;
}

uint64_t sim_way_ns(uint64_t bytes)
{
    const struct sim_options *options = &sim_world.options;
    uint64_t carrying = options->bytes_per_us != 0 ? bytes * 1000 / options->bytes_per_us : 0;
    return options->latency_ns + carrying + sim_random_below(options->jitter_ns);
}

void sim_qp_issue(struct sim_qp *qp)
{
    while (qp->ibv.state == IBV_QPS_RTS && qp->issued < qp->posted) {
        struct sim_work *work = &qp->works[qp->issued % qp->cap.max_send_wr];
        if (!may_go(qp, work)) {
            return;
        }
        bool is_read = work->opcode == IBV_WR_RDMA_READ;
        bool is_local = sim_local_is(work->opcode);
        uint64_t at = sim_now_ns() + sim_way_ns(is_read ? 0 : work->bytes);
        qp->arrives_at = at > qp->arrives_at ? at : qp->arrives_at;
        qp->reads_out += is_read;
        sim_schedule((struct sim_event){.run = is_local ? sim_local_execute : sim_transfer_arrive,
                                        .device = qp->device,
                                        .qp_num = qp->ibv.qp_num,
                                        .epoch = qp->epoch,
                                        .number = qp->issued++},
                     qp->arrives_at);
    }
}

/* ---- repeating ---- */

/* What is not known to have arrived is sent again, from the first. */
static void repeat(const struct sim_event *event)
{
    struct sim_qp *qp = sim_qp_find(event->device, event->qp_num);
    if (qp == NULL || qp->ibv.state != IBV_QPS_RTS || qp->epoch != event->epoch) {
        return;
    }
    qp->timing = false;
    qp->epoch++;
    qp->issued = qp->done;
    qp->reads_out = 0;
    sim_trace(qp->device, "repeats from", qp->ibv.qp_num, qp->done, 0);
    sim_qp_issue(qp);
}

void sim_qp_repeat_after(struct sim_qp *qp, uint64_t ns)
{
    if (!qp->timing) {
        qp->timing = true;
        sim_schedule(
            (struct sim_event){
                .run = repeat, .device = qp->device, .qp_num = qp->ibv.qp_num, .epoch = qp->epoch},
            sim_now_ns() + ns);
    }
}

/* The requester's clock has run out for the last time. */
static void give_up(const struct sim_event *event)
{
    struct sim_qp *qp = sim_qp_find(event->device, event->qp_num);
    if (qp != NULL && qp->ibv.state == IBV_QPS_RTS && qp->epoch == event->epoch &&
        qp->done < qp->issued) {
        sim_qp_complete(qp, IBV_WC_RETRY_EXC_ERR);
    }
}

void sim_qp_lose(struct sim_qp *qp)
{
    uint64_t timeout_ns = qp->attr.timeout != 0 ? 4096ULL << qp->attr.timeout : 0;
    bool forever = qp->attr.retry_cnt == 7 && qp->device->profile->retry_7_is_forever;
    if (qp->timing || timeout_ns == 0) {
        return;
    }
    if (qp->tries < qp->attr.retry_cnt || forever) {
        qp->tries++;
        sim_qp_repeat_after(qp, timeout_ns);
        return;
    }
    qp->timing = true;
    sim_schedule(
        (struct sim_event){
            .run = give_up, .device = qp->device, .qp_num = qp->ibv.qp_num, .epoch = qp->epoch},
        sim_now_ns() + timeout_ns);
}
