#include "engine/verbs/send_queue.h"

#include <stdio.h>
#include <string.h>

#include "engine/verbs/explain.h"
#include "engine/verbs/rails.h"

static struct wbi_verbs_work *work_at(struct wbi_verbs_send_queue *queue, uint64_t number)
{
    return &queue->works[number % WBI_VERBS_SEND_DEPTH];
}

void wbi_verbs_send_queue_open(struct wbi_verbs_send_queue *queue, uint32_t depth)
{
    uint32_t quarter = depth / 4;
    queue->depth = depth;
    queue->sends = depth / 2;
    queue->signal_every = wbi_verbs_least(quarter, WBI_VERBS_SIGNAL_EVERY);
}

struct wbi_verbs_work *wbi_verbs_work_last(struct wbi_verbs_send_queue *queue,
                                           enum wbi_verbs_work_kind kind)
{
    if (queue->queued == queue->posted) {
        return NULL;
    }
    struct wbi_verbs_work *work = work_at(queue, queue->queued - 1);
    return work->kind == kind ? work : NULL;
}

/* ---- posting ---- */

static void describe(struct wbi_verbs_work *work, uint64_t number, struct ibv_send_wr *wr)
{
    wr->wr_id = number;
    wr->send_flags = work->flags;
    wr->num_sge = (int)work->sge_count;
    wr->sg_list = &work->sge;
    switch (work->kind) {
    case WBI_VERBS_SEND:
    case WBI_VERBS_CONTROL:
        wr->opcode = IBV_WR_SEND_WITH_IMM;
        wr->imm_data = work->immediate;
        break;
    case WBI_VERBS_READ:
        wr->opcode = IBV_WR_RDMA_READ;
        wr->sg_list = work->sges;
        wr->wr.rdma.remote_addr = work->remote;
        wr->wr.rdma.rkey = work->rkey;
        break;
    case WBI_VERBS_PROBE:
        wr->opcode = IBV_WR_RDMA_WRITE;
        wr->wr.rdma.remote_addr = 0;
        wr->wr.rdma.rkey = 0;
        break;
    }
}

/* Of the messages of a list that want a signal only the last has one: its end speaks for the
 * others. */
static void thin_signals(struct wbi_verbs_send_queue *queue, struct ibv_send_wr *wrs)
{
    struct ibv_send_wr *signalled = NULL;
    for (uint64_t number = queue->posted; number < queue->queued; number++, wrs++) {
        const struct wbi_verbs_work *work = work_at(queue, number);
        if (work->kind == WBI_VERBS_SEND && (work->flags & IBV_SEND_SIGNALED) != 0) {
            if (signalled != NULL) {
                signalled->send_flags &= ~(unsigned)IBV_SEND_SIGNALED;
            }
            signalled = wrs;
        }
    }
}

/* The list of what is queued; there is more than one. */
static void describe_all(struct wbi_verbs_send_queue *queue, struct ibv_send_wr *wrs)
{
    uint64_t number = queue->posted;
    struct ibv_send_wr *wr = wrs;
    for (;; wr++) {
        describe(work_at(queue, number), number, wr);
        if (++number == queue->queued) {
            break;
        }
        wr->next = wr + 1;
    }
    wr->next = NULL;
    thin_signals(queue, wrs);
}

/* What the device has copied needs its slot no more. */
static void release_inline(struct wbi_channel *channel, struct wbi_verbs_work *work)
{
    if ((work->flags & IBV_SEND_INLINE) != 0 && work->slot != NULL) {
        wbi_verbs_send_slot_give(&channel->lane->send_slots, &channel->sends.slots_used,
                                 work->slot);
        work->slot = NULL;
    }
}

void wbi_verbs_work_refused(struct wbi_channel *channel, const struct ibv_send_wr *bad, int error)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    if (bad != NULL) {
        queue->posted = bad->wr_id;
    }
    wbi_verbs_doom(channel, WB_ERR_PEER_LOST, "the device refused work: %s", strerror(error));
}

/* Posts the list of what is queued. */
static void post(struct wbi_channel *channel, struct ibv_send_wr *wrs)
{
    struct ibv_send_wr *bad = NULL;
    channel->sends.posted = channel->sends.queued;
    channel->sends.kept_back = 0;
    int error = ibv_post_send(channel->qp, wrs, &bad);
    if (error != 0) {
        wbi_verbs_work_refused(channel, bad, error);
    }
}

static __attribute__((noinline)) void post_several(struct wbi_channel *channel)
{
    struct ibv_send_wr wrs[WBI_VERBS_SEND_DEPTH];
    uint64_t from = channel->sends.posted;
    describe_all(&channel->sends, wrs);
    post(channel, wrs);
    for (; from < channel->sends.posted; from++) {
        release_inline(channel, work_at(&channel->sends, from));
    }
}

/* Most works are alone. */
void wbi_verbs_work_post(struct wbi_channel *channel)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    uint64_t from = queue->posted;
    if (from == queue->queued || channel->doom != WB_OK) {
        return;
    }
    if (queue->queued - from > 1) {
        post_several(channel);
        return;
    }
    struct wbi_verbs_work *work = work_at(queue, from);
    struct ibv_send_wr wr;
    describe(work, from, &wr);
    wr.next = NULL;
    post(channel, &wr);
    if (queue->posted > from) {
        release_inline(channel, work);
    }
}

/* ---- completing ---- */

void wbi_verbs_reads_end(struct wbi_read *read, int status)
{
    while (read != NULL) {
        struct wbi_read *next = read->next; /* done() may use it anew */
        read->done(read, status);
        read = next;
    }
}

/* Takes what the work held. Its READs end last, since their ends may queue new work. */
static void retire(struct wbi_channel *channel, struct wbi_verbs_work *work, int status)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    if (work->slot != NULL) {
        wbi_verbs_send_slot_give(&channel->lane->send_slots, &queue->slots_used, work->slot);
        work->slot = NULL;
    }
    queue->sends_in_flight -= work->kind == WBI_VERBS_SEND ? 1 : 0;
    channel->probing &= work->kind != WBI_VERBS_PROBE;
    if (work->kind == WBI_VERBS_READ) {
        queue->reads_in_flight--;
        queue->read_bytes -= work->bytes;
        if (status == WB_OK && channel->main != NULL) {
            wbi_verbs_rail_works(channel);
        }
    }
    struct wbi_read *reads = work->reads;
    work->reads = NULL;
    if (status != WB_OK && channel->main != NULL) {
        wbi_verbs_rail_strand(channel, reads);
    } else {
        wbi_verbs_reads_end(reads, status);
    }
}

void wbi_verbs_work_complete(struct wbi_channel *channel, uint64_t number)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    while (queue->done <= number && queue->done < queue->others && queue->done < queue->posted) {
        retire(channel, work_at(queue, queue->done++), WB_OK);
    }
    uint64_t end = number < queue->posted ? number + 1 : queue->posted;
    if (queue->done < end) { /* as most: they left at once, and the device has copied them */
        queue->sends_in_flight -= (uint32_t)(end - queue->done);
        queue->done = end;
    }
}

/* What was being done, for people: "a READ of 4096 bytes at offset 0 of its chunk". */
static void say_work(const struct wbi_verbs_work *work, char *text, size_t size)
{
    switch (work->kind) {
    case WBI_VERBS_READ:
        snprintf(text, size, "a READ of %llu bytes (offset %llu of its chunk)",
                 (unsigned long long)work->bytes,
                 (unsigned long long)(work->reads != NULL ? work->reads->offset : 0));
        break;
    case WBI_VERBS_SEND:
        snprintf(text, size, "a message of %u bytes", work->sge.length);
        break;
    case WBI_VERBS_CONTROL:
        snprintf(text, size, "a control message");
        break;
    case WBI_VERBS_PROBE:
        snprintf(text, size, "a sign of life");
        break;
    }
}

void wbi_verbs_work_failed(struct wbi_channel *channel, const struct ibv_wc *wc)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    if (channel->doom != WB_OK || wc->wr_id < queue->done || wc->wr_id >= queue->posted) {
        return; /* its end is known; close() ends the rest */
    }
    if (wc->wr_id > queue->done) {
        wbi_verbs_work_complete(channel, wc->wr_id - 1);
    }
    struct wbi_verbs_work *work = work_at(queue, wc->wr_id);
    char what[80];
    say_work(work, what, sizeof what);
    wbi_verbs_doom(channel, WB_ERR_PEER_LOST, "%s failed: %s (%s, vendor code 0x%x)", what,
                   wbi_verbs_wc_words(wc->status), ibv_wc_status_str(wc->status), wc->vendor_err);
    if (work->kind == WBI_VERBS_READ && wc->status == IBV_WC_REM_ACCESS_ERR &&
        channel->main == NULL) {
        struct wbi_read *reads = work->reads;
        work->reads = NULL;
        wbi_verbs_reads_end(
            reads, WB_ERR_REVOKED); /* this one's; the others end when the channel closes */
    }
}

void wbi_verbs_work_drop(struct wbi_channel *channel)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    while (queue->done < queue->queued) {
        struct wbi_verbs_work *work = work_at(queue, queue->done++);
        retire(channel, work, WB_ERR_PEER_LOST);
    }
    queue->posted = queue->done;
}
