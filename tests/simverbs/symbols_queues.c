/* libibverbs: completion channels, CQs, SRQs. */
#include <errno.h>
#include <stdlib.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/symbols.h"

/* ---- completion channels ---- */

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *ibv)
{
    static const int errors[] = {ENOMEM, EMFILE, 0};
    sim_enter(0);
    struct sim_channel *channel = NULL;
    int error = sim_call_fails("ibv_create_comp_channel", errors);
    if (error == 0) {
        channel = sim_new(sizeof *channel);
        sim_signal_open(&channel->signal);
        channel->ibv.context = ibv;
        channel->ibv.fd = channel->signal.fd;
        sim_context_of(ibv)->users++;
    }
    sim_leave();
    sim_set_errno(error);
    return channel != NULL ? &channel->ibv : NULL;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *ibv)
{
    struct sim_channel *channel = (struct sim_channel *)ibv;
    sim_enter(0);
    bool busy = ibv->refcnt > 0;
    if (!busy) {
        sim_context_of(ibv->context)->users--;
        sim_fifo_close(&channel->pending);
        sim_signal_close(&channel->signal);
        free(channel);
    }
    sim_leave();
    return busy ? EBUSY : 0;
}

int ibv_get_cq_event(struct ibv_comp_channel *ibv, struct ibv_cq **cq, void **context)
{
    struct sim_channel *channel = (struct sim_channel *)ibv;
    sim_enter(sim_world.options.poll_ns);
    struct sim_cq *first =
        sim_signal_wait(&channel->signal) ? sim_fifo_pop(&channel->pending) : NULL;
    if (first != NULL) {
        sim_signal_set(&channel->signal, channel->pending.count > 0);
        first->unacknowledged++;
        *cq = &first->ibv;
        *context = first->ibv.cq_context;
    }
    sim_leave();
    sim_set_errno(first != NULL ? 0 : EAGAIN);
    return first != NULL ? 0 : -1;
}

void ibv_ack_cq_events(struct ibv_cq *ibv, unsigned events)
{
    struct sim_cq *cq = (struct sim_cq *)ibv;
    sim_enter(0);
    if (events > cq->unacknowledged) {
        sim_bug("ibv_ack_cq_events: %u acknowledged, %u taken", events, cq->unacknowledged);
    }
    cq->unacknowledged -= events;
    sim_leave();
}

/* ---- CQs ---- */

struct ibv_cq *ibv_create_cq(struct ibv_context *ibv, int cqe, void *cq_context,
                             struct ibv_comp_channel *channel, int vector)
{
    static const int errors[] = {ENOMEM, 0};
    sim_enter(0);
    struct sim_context *context = sim_context_of(ibv);
    struct sim_device *device = context->device;
    const struct ibv_device_attr *attr = &device->profile->attr;
    struct sim_cq *cq = NULL;
    int error = sim_call_fails("ibv_create_cq", errors);
    if (context->dead) {
        error = EIO;
    } else if (cqe < 1 || cqe > attr->max_cqe || vector != 0) {
        error = EINVAL;
    } else if (device->cq_count >= attr->max_cq) {
        error = ENOMEM;
    }
    if (error == 0) {
        cq = sim_new(sizeof *cq);
        cq->ibv = (struct ibv_cq){
            .context = ibv, .channel = channel, .cq_context = cq_context, .cqe = cqe};
        cq->ring = sim_new((size_t)cqe * sizeof *cq->ring);
        context->users++;
        device->cq_count++;
        if (channel != NULL) {
            channel->refcnt++;
        }
    }
    sim_leave();
    sim_set_errno(error);
    return cq != NULL ? &cq->ibv : NULL;
}

/* Events that nobody took are forgotten, those that were taken must be acknowledged. */
static void free_cq(struct sim_cq *cq)
{
    struct sim_channel *channel = (struct sim_channel *)cq->ibv.channel;
    sim_await_acknowledged("ibv_destroy_cq, for completions,", &cq->unacknowledged);
    sim_await_acknowledged("ibv_destroy_cq", &cq->async_unacknowledged);
    if (channel != NULL) {
        for (size_t i = channel->pending.count; i-- > 0;) {
            if (channel->pending.items[i] == cq) {
                sim_fifo_remove(&channel->pending, i);
            }
        }
        sim_signal_set(&channel->signal, channel->pending.count > 0);
        channel->ibv.refcnt--;
    }
    sim_async_forget(cq->ibv.context, cq);
    sim_context_of(cq->ibv.context)->users--;
    sim_device_of(cq->ibv.context)->cq_count--;
    free(cq->ring);
    free(cq);
}

int ibv_destroy_cq(struct ibv_cq *ibv)
{
    struct sim_cq *cq = (struct sim_cq *)ibv;
    sim_enter(0);
    bool busy = cq->users > 0;
    if (!busy) {
        free_cq(cq);
    }
    sim_leave();
    return busy ? EBUSY : 0;
}

int sim_symbol_poll_cq(struct ibv_cq *ibv, int most, struct ibv_wc *wcs)
{
    struct sim_cq *cq = (struct sim_cq *)ibv;
    int count = 0;
    sim_enter(sim_world.options.poll_ns);
    for (; count < most && cq->count > 0; count++) {
        const struct sim_cqe *cqe = &cq->ring[cq->first];
        wcs[count] = cqe->wc;
        struct sim_qp *qp =
            cqe->is_send ? sim_qp_find(sim_device_of(ibv->context), cqe->wc.qp_num) : NULL;
        if (qp != NULL) {
            qp->freed = cqe->number + 1;
        }
        cq->first = (cq->first + 1) % (unsigned)ibv->cqe;
        cq->count--;
    }
    sim_leave();
    return count;
}

/* Speaks of what comes from now on. */
int sim_symbol_req_notify_cq(struct ibv_cq *ibv, int solicited_only)
{
    struct sim_cq *cq = (struct sim_cq *)ibv;
    sim_enter(sim_world.options.poll_ns);
    cq->solicited_only = solicited_only != 0 && (!cq->armed || cq->solicited_only);
    cq->armed = true;
    sim_leave();
    return 0;
}

/* ---- SRQs ---- */

struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *init)
{
    static const int errors[] = {ENOMEM, 0};
    sim_enter(0);
    struct sim_device *device = sim_device_of(pd->context);
    const struct ibv_device_attr *attr = &device->profile->attr;
    struct sim_srq *srq = NULL;
    int error = sim_call_fails("ibv_create_srq", errors);
    if (sim_context_is_dead(pd->context)) {
        error = EIO;
    } else if (init->attr.max_wr < 1 || init->attr.max_wr > (uint32_t)attr->max_srq_wr ||
               init->attr.max_sge > (uint32_t)attr->max_srq_sge) {
        error = EINVAL;
    } else if (device->srq_count >= attr->max_srq) {
        error = ENOMEM;
    }
    if (error == 0) {
        srq = sim_new(sizeof *srq);
        srq->ibv.context = pd->context;
        srq->ibv.srq_context = init->srq_context;
        srq->ibv.pd = pd;
        srq->queue.depth = init->attr.max_wr;
        srq->queue.max_sge = init->attr.max_sge;
        srq->queue.ring = sim_new(srq->queue.depth * sizeof *srq->queue.ring);
        ((struct sim_pd *)pd)->users++;
        device->srq_count++;
    }
    sim_leave();
    sim_set_errno(error);
    return srq != NULL ? &srq->ibv : NULL;
}

int ibv_destroy_srq(struct ibv_srq *ibv)
{
    struct sim_srq *srq = (struct sim_srq *)ibv;
    sim_enter(0);
    bool busy = srq->users > 0;
    if (!busy) {
        sim_await_acknowledged("ibv_destroy_srq", &srq->async_unacknowledged);
        sim_async_forget(ibv->context, srq);
        ((struct sim_pd *)ibv->pd)->users--;
        sim_device_of(ibv->context)->srq_count--;
        free(srq->queue.ring);
        free(srq);
    }
    sim_leave();
    return busy ? EBUSY : 0;
}

int sim_symbol_post_srq_recv(struct ibv_srq *ibv, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
    sim_enter(sim_world.options.poll_ns);
    struct sim_srq *srq = (struct sim_srq *)ibv;
    int error = srq->broken ? EIO : sim_receives_post(&srq->queue, wr, bad);
    if (srq->broken) {
        *bad = wr;
    }
    sim_leave();
    return error;
}
