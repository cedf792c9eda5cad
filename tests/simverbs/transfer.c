/*
 * The responder, and what its answers do at the requester. A request is executed when it arrives,
 * in order; a READ's bytes are taken when its answer returns, the last moment at which a device may
 * still take them: what was given back by then is found.
 */
#include "tests/simverbs/transfer.h"

#include <assert.h>
#include <string.h>

#include "tests/support/memcheck.h"

/* ---- memory ---- */

/* Spans for a list of local ranges; false: one of them is not the device's to touch. */
static bool local_spans(struct sim_device *device, const struct ibv_pd *pd,
                        const struct ibv_sge *sges, int count, bool write, struct sim_span *spans)
{
    for (int i = 0; i < count; i++) {
        spans[i] = (struct sim_span){.bytes = sges[i].length};
        if (sges[i].length > 0) {
            spans[i].at = sim_mr_local(device, pd, &sges[i], write);
            if (spans[i].at == NULL) {
                return false;
            }
        }
    }
    return true;
}

static bool gather(struct sim_qp *qp, const struct sim_work *work, struct sim_span *spans)
{
    if ((work->flags & IBV_SEND_INLINE) != 0) {
        spans[0] = (struct sim_span){.at = work->in_line, .bytes = work->bytes};
        return true;
    }
    return local_spans(qp->device, qp->ibv.pd, work->sges, work->sge_count, false, spans);
}

/* As the requester's device demands it. */
static bool is_aligned(const struct sim_qp *from, const struct sim_work *work)
{
    uint32_t align = from->device->profile->read_align;
    uint64_t bits = work->remote | work->bytes;
    for (int i = 0; i < work->sge_count; i++) {
        bits |= work->sges[i].addr | work->sges[i].length;
    }
    return align == 0 || bits % align == 0;
}

/*
 * What the requester finds wrong by itself, before anything leaves it, and the spans of what it
 * sends. At each repetition anew: a NIC keeps no copy, it reads the memory again, so that work
 * whose memory was given back before its end fails.
 */
static enum ibv_wc_status prepare(struct sim_qp *from, const struct sim_work *work,
                                  struct sim_span *source)
{
    if (work->opcode == IBV_WR_RDMA_READ) {
        return is_aligned(from, work) ? IBV_WC_SUCCESS : IBV_WC_LOC_QP_OP_ERR;
    }
    return gather(from, work, source) ? IBV_WC_SUCCESS : IBV_WC_LOC_PROT_ERR;
}

/*
 * A message's bytes. Under valgrind each of them must have been written for it; the sender's room
 * is then worth nothing until it is written anew, nor is the receiver's beyond the message. (What
 * lies in fresh pages has been written, as valgrind sees it.)
 */
static void carry(const struct sim_span *to, int to_count, const struct sim_span *from,
                  const struct sim_work *work)
{
    uint64_t left = work->bytes;
    for (int i = 0; i < to_count; i++) {
        (void)VALGRIND_MAKE_MEM_UNDEFINED(to[i].at, to[i].bytes);
    }
    for (const struct sim_span *span = from; left > 0; left -= span->bytes, span++) {
        (void)VALGRIND_CHECK_MEM_IS_DEFINED(span->at, span->bytes);
    }
    sim_spans_copy(to, from, work->bytes);
    left = work->bytes;
    for (const struct sim_span *span = from; left > 0; left -= span->bytes, span++) {
        (void)VALGRIND_MAKE_MEM_UNDEFINED(span->at, span->bytes);
    }
}

/* ---- the responder ---- */

/* REFUSED: by the responder, which breaks. */
enum answer { DONE, NOT_READY, REFUSED };

/* It says so by an event, unless a receive's completion says it. */
static void complain(struct sim_qp *qp, enum ibv_wc_status status, bool is_message)
{
    if (qp->device->profile->tells_access_error && !is_message) {
        enum ibv_event_type type =
            status == IBV_WC_REM_ACCESS_ERR ? IBV_EVENT_QP_ACCESS_ERR : IBV_EVENT_QP_REQ_ERR;
        sim_async(qp->ibv.context,
                  (struct ibv_async_event){.element.qp = &qp->ibv, .event_type = type});
    }
    sim_qp_break(qp);
}

/* What came besides bytes. */
static void tell_more(const struct sim_qp *qp, const struct sim_work *work, struct ibv_wc *wc)
{
    if (work->opcode == IBV_WR_SEND_WITH_IMM) {
        wc->wc_flags = IBV_WC_WITH_IMM;
        wc->imm_data = work->immediate;
    } else if (work->opcode == IBV_WR_SEND_WITH_INV) {
        wc->wc_flags = qp->device->profile->flags_with_inv ? IBV_WC_WITH_INV : 0;
        wc->invalidated_rkey = work->invalidates;
    }
}

/* Ends a receive that was taken for a message. */
static void receive_ends(struct sim_qp *qp, const struct sim_receive *receive,
                         const struct sim_work *work, enum ibv_wc_status status, uint32_t src_qp)
{
    struct sim_cqe cqe = {.wc = {.wr_id = receive->wr_id,
                                 .status = status,
                                 .opcode = IBV_WC_RECV,
                                 .qp_num = qp->ibv.qp_num,
                                 .src_qp = src_qp}};
    if (status == IBV_WC_SUCCESS) {
        cqe.wc.byte_len = (uint32_t)work->bytes;
        tell_more(qp, work, &cqe.wc);
    } else { /* but for the first three, what a failed completion says is not to be relied on */
        cqe.wc.opcode = (enum ibv_wc_opcode)0x5a;
        cqe.wc.byte_len = 0x5a5a5a5a;
    }
    sim_cq_push((struct sim_cq *)qp->ibv.recv_cq, &cqe, (work->flags & IBV_SEND_SOLICITED) != 0);
}

static enum answer take_message(struct sim_qp *to, const struct sim_qp *from,
                                const struct sim_work *work, const struct sim_span *source,
                                enum ibv_wc_status *status)
{
    struct sim_receive_queue *queue = sim_qp_receives(to);
    struct sim_span target[SIM_MAX_SGE];
    uint64_t room = 0;
    if (queue->count == 0) {
        return NOT_READY;
    }
    struct sim_receive *receive = &queue->ring[queue->first];
    queue->first = (queue->first + 1) % queue->depth;
    queue->count--;
    for (int i = 0; i < receive->sge_count; i++) {
        room += receive->sges[i].length;
    }
    enum ibv_wc_status ours = IBV_WC_SUCCESS;
    if (work->bytes > room) {
        ours = IBV_WC_LOC_LEN_ERR;
        *status = IBV_WC_REM_INV_REQ_ERR;
    } else if (!local_spans(to->device, to->ibv.pd, receive->sges, receive->sge_count, true,
                            target)) {
        ours = IBV_WC_LOC_PROT_ERR;
        *status = IBV_WC_REM_OP_ERR;
    } else if (work->opcode == IBV_WR_SEND_WITH_INV && !sim_mw_invalidate(to, work->invalidates)) {
        ours = IBV_WC_REM_INV_REQ_ERR; /* as rxe says it */
        *status = IBV_WC_REM_ACCESS_ERR;
    } else {
        carry(target, receive->sge_count, source, work);
    }
    receive_ends(to, receive, work, ours, from->ibv.qp_num);
    return ours == IBV_WC_SUCCESS ? DONE : REFUSED;
}

static enum answer refuse(enum ibv_wc_status what, enum ibv_wc_status *status)
{
    *status = what;
    return REFUSED;
}

static enum answer take_write(const struct sim_qp *to, const struct sim_work *work,
                              const struct sim_span *source, enum ibv_wc_status *status)
{
    struct sim_span target = {.bytes = work->bytes};
    if ((to->attr.qp_access_flags & IBV_ACCESS_REMOTE_WRITE) == 0) {
        return refuse(IBV_WC_REM_ACCESS_ERR, status);
    }
    if (work->bytes == 0) {
        return DONE; /* no key is looked at */
    }
    target.at = sim_mr_remote(to, work->rkey, work->remote, work->bytes, IBV_ACCESS_REMOTE_WRITE);
    if (target.at == NULL) {
        return refuse(IBV_WC_REM_ACCESS_ERR, status);
    }
    sim_spans_copy(&target, source, work->bytes);
    return DONE;
}

static enum answer take_read(const struct sim_qp *to, const struct sim_work *work,
                             enum ibv_wc_status *status)
{
    if ((to->attr.qp_access_flags & IBV_ACCESS_REMOTE_READ) == 0) {
        return refuse(IBV_WC_REM_ACCESS_ERR, status);
    }
    if (to->reads_in >= to->attr.max_dest_rd_atomic) {
        return refuse(IBV_WC_REM_INV_REQ_ERR, status);
    }
    if (work->bytes > 0 &&
        sim_mr_remote(to, work->rkey, work->remote, work->bytes, IBV_ACCESS_REMOTE_READ) == NULL) {
        return refuse(IBV_WC_REM_ACCESS_ERR, status);
    }
    return DONE;
}

static enum answer execute(struct sim_qp *to, const struct sim_qp *from,
                           const struct sim_work *work, const struct sim_span *source,
                           enum ibv_wc_status *status)
{
    switch (work->opcode) {
    case IBV_WR_RDMA_READ:
        return take_read(to, work, status);
    case IBV_WR_RDMA_WRITE:
        return take_write(to, work, source, status);
    default:
        return take_message(to, from, work, source, status);
    }
}

/* ---- requests ---- */

/* The queue pair at the other end, if it listens to this one, whether it can be reached or not. */
static struct sim_qp *counterpart_of(const struct sim_qp *from)
{
    struct sim_qp *to = sim_qp_find(from->peer, from->attr.dest_qp_num);
    bool ready = to != NULL && (to->ibv.state == IBV_QPS_RTR || to->ibv.state == IBV_QPS_RTS) &&
                 to->attr.dest_qp_num == from->ibv.qp_num && to->peer == from->device;
    return ready ? to : NULL;
}

static struct sim_qp *responder_of(const struct sim_qp *from)
{
    struct sim_qp *to = counterpart_of(from);
    return to != NULL && sim_path_is_up(from->device, to->device) ? to : NULL;
}

/* The same, after what the arrival may have done to the device there. */
static struct sim_qp *reach(const struct sim_qp *from, const struct sim_work *work)
{
    if (responder_of(from) == NULL) {
        return NULL;
    }
    sim_device_is_reached(from->peer);
    struct sim_qp *to = responder_of(from);
    if (to != NULL && work->opcode != IBV_WR_RDMA_READ && work->opcode != IBV_WR_RDMA_WRITE) {
        sim_srq_is_reached(to);
    }
    return responder_of(from);
}

/* Waits of the responder for a receive, in microseconds, by min_rnr_timer; 0 is the longest. */
static const uint32_t rnr_us[32] = {655360, 10,    20,    30,     40,     60,     80,     120,
                                    160,    240,   320,   480,    640,    960,    1280,   1920,
                                    2560,   3840,  5120,  7680,   10240,  15360,  20480,  30720,
                                    40960,  61440, 81920, 122880, 163840, 245760, 327680, 491520};

uint64_t sim_answer_ns(struct sim_qp *from, uint64_t bytes)
{
    uint64_t at = sim_now_ns() + sim_way_ns(bytes);
    if (sim_goes_wrong("late end of work", sim_world.faults.rates.work_late)) {
        at += sim_lateness_ns();
    }
    from->returns_at = at > from->returns_at ? at : from->returns_at;
    return from->returns_at;
}

static void answer(struct sim_qp *from, const struct sim_event *request, enum ibv_wc_status status,
                   uint64_t bytes)
{
    struct sim_event event = *request;
    event.run = sim_transfer_return;
    event.status = status;
    sim_schedule(event, sim_answer_ns(from, bytes));
}

/* The responder breaks when its refusal leaves it: answers to earlier requests come first. */
static void responder_breaks(const struct sim_event *event)
{
    struct sim_qp *to = sim_qp_find(event->device, event->qp_num);
    if (to != NULL) {
        complain(to, event->status, event->number != 0);
    }
}

static void refusal(struct sim_qp *to, struct sim_qp *from, const struct sim_event *request,
                    enum ibv_wc_status status, bool is_message)
{
    to->refusing = true;
    uint64_t now = sim_now_ns();
    sim_schedule((struct sim_event){.run = responder_breaks,
                                    .device = to->device,
                                    .qp_num = to->ibv.qp_num,
                                    .number = is_message,
                                    .status = status},
                 from->returns_at > now ? from->returns_at : now);
    answer(from, request, status, 0);
}

static void not_ready(struct sim_qp *from, const struct sim_qp *to, const struct sim_event *request)
{
    sim_world.not_ready++;
    sim_trace(from->device, "receiver not ready", from->ibv.qp_num, request->number, 0);
    if (from->attr.rnr_retry == 7 || from->rnr_tries < from->attr.rnr_retry) {
        from->rnr_tries++;
        sim_qp_repeat_after(from, sim_way_ns(0) + rnr_us[to->attr.min_rnr_timer] * 1000ULL);
    } else {
        answer(from, request, IBV_WC_RNR_RETRY_EXC_ERR, 0);
    }
}

/* A requester that repeats asks for all its READs again: what was being answered is void. */
static void note_epoch(struct sim_qp *to, uint32_t epoch)
{
    if (to->reads_in_epoch != epoch) {
        to->reads_in_epoch = epoch;
        to->reads_in = 0;
    }
}

/* An answer has left, wherever it got to: there is room for another READ. */
static void answered_read(const struct sim_qp *from, uint32_t epoch)
{
    struct sim_qp *to = counterpart_of(from);
    if (to != NULL && to->reads_in_epoch == epoch && to->reads_in > 0) {
        to->reads_in--;
    }
}

/* It knows now that the other side is there, though nobody has told its program yet. */
static void tell_contact(struct sim_qp *to)
{
    if (to->ibv.state == IBV_QPS_RTR && to->device->profile->tells_comm_est && !to->comm_est_told) {
        to->comm_est_told = true;
        sim_async(to->ibv.context, (struct ibv_async_event){.element.qp = &to->ibv,
                                                            .event_type = IBV_EVENT_COMM_EST});
    }
}

/* Executes a request; false: it is as if it had never come. */
static bool serve(struct sim_qp *to, struct sim_qp *from, const struct sim_work *work,
                  const struct sim_span *source, const struct sim_event *request)
{
    enum ibv_wc_status status = IBV_WC_SUCCESS;
    bool is_read = work->opcode == IBV_WR_RDMA_READ, is_write = work->opcode == IBV_WR_RDMA_WRITE;
    bool repeated = work->sequence < to->expected;
    note_epoch(to, request->epoch);
    tell_contact(to);
    enum answer said = repeated && !is_read ? DONE : execute(to, from, work, source, &status);
    sim_trace(from->device, is_read ? "READ arrives" : "message arrives", from->ibv.qp_num,
              request->number, (uint64_t)said << 8 | (uint64_t)status);
    if (said == NOT_READY) {
        not_ready(from, to, request);
        return true;
    }
    if (said == REFUSED) {
        refusal(to, from, request, status, !is_read && !is_write);
        return true;
    }
    to->expected += repeated ? 0 : 1;
    if (sim_goes_wrong("lost answer", sim_world.faults.rates.answer_lost)) {
        return false;
    }
    to->reads_in += is_read;
    answer(from, request, status, is_read ? work->bytes : 0);
    return true;
}

void sim_transfer_arrive(const struct sim_event *request)
{
    struct sim_qp *from = sim_qp_find(request->device, request->qp_num);
    if (from == NULL || from->ibv.state != IBV_QPS_RTS || from->epoch != request->epoch) {
        return;
    }
    const struct sim_work *work = &from->works[request->number % from->cap.max_send_wr];
    struct sim_span source[SIM_MAX_SGE];
    enum ibv_wc_status prepared = prepare(from, work, source);
    if (prepared != IBV_WC_SUCCESS) {
        sim_trace(from->device, "fails by itself", from->ibv.qp_num, request->number,
                  (uint64_t)prepared);
        answer(from, request, prepared, 0);
        return;
    }
    struct sim_qp *to = reach(from, work);
    if (to == NULL || to->refusing || work->sequence > to->expected ||
        sim_goes_wrong("lost packet", sim_world.faults.rates.packet_lost) ||
        !serve(to, from, work, source, request)) {
        sim_trace(from->device, "lost", from->ibv.qp_num, request->number, 0);
        sim_qp_lose(from);
    }
}

/* ---- answers ---- */

/* Takes a READ's bytes; false: they do not come. */
static bool land(struct sim_qp *from, struct sim_qp *to, const struct sim_work *work,
                 enum ibv_wc_status *status)
{
    struct sim_span target[SIM_MAX_SGE], source = {.bytes = work->bytes};
    if (work->bytes == 0) {
        return true;
    }
    source.at = sim_mr_remote(to, work->rkey, work->remote, work->bytes, IBV_ACCESS_REMOTE_READ);
    if (source.at == NULL) {
        *status = IBV_WC_REM_ACCESS_ERR;
        complain(to, *status, false);
        return true;
    }
    if (!local_spans(from->device, from->ibv.pd, work->sges, work->sge_count, true, target)) {
        *status = IBV_WC_LOC_PROT_ERR;
        return true;
    }
    sim_spans_copy(target, &source, work->bytes);
    return true;
}

/* A fault: work that was well ends otherwise. */
static enum ibv_wc_status spoil(void)
{
    static const int bad[] = {IBV_WC_RETRY_EXC_ERR, IBV_WC_REM_OP_ERR, IBV_WC_LOC_QP_OP_ERR,
                              IBV_WC_FATAL_ERR, 0};
    static_assert(IBV_WC_SUCCESS == 0, "the list's end, and no fault");
    return (enum ibv_wc_status)sim_fails_as("work ends badly", sim_world.faults.rates.work_fails,
                                            bad);
}

void sim_transfer_return(const struct sim_event *event)
{
    struct sim_qp *from = sim_qp_find(event->device, event->qp_num);
    if (from == NULL) {
        return;
    }
    struct sim_work *work = &from->works[event->number % from->cap.max_send_wr];
    struct sim_qp *to = responder_of(from);
    enum ibv_wc_status status = event->status;
    bool is_read = work->opcode == IBV_WR_RDMA_READ && status == IBV_WC_SUCCESS;
    if (is_read) {
        answered_read(from, event->epoch);
    }
    if (from->ibv.state != IBV_QPS_RTS || from->epoch != event->epoch ||
        from->done != event->number) {
        return;
    }
    if (is_read && (to == NULL || !land(from, to, work, &status))) {
        sim_qp_lose(from);
        return;
    }
    bool is_own = event->status == IBV_WC_LOC_PROT_ERR || event->status == IBV_WC_LOC_QP_OP_ERR;
    if (!is_own && !sim_path_is_up(from->device, from->peer)) {
        sim_qp_lose(from);
        return;
    }
    if (status == IBV_WC_SUCCESS) {
        status = spoil();
    }
    from->tries = from->rnr_tries = 0;
    sim_qp_complete(from, status);
    sim_qp_issue(from);
}
