#include "engine/verbs/qp.h"

#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/verbs/lane.h"
#include "engine/verbs/receives.h"

enum {
    DRAIN_US = 100000,  /* a flush takes microseconds; a device that gives none is destroyed so */
    LAST_WQE_US = 5000, /* some devices never say it */
    LINGER_US = 20000,  /* for a goodbye or a last reply to leave */
    LINGER_BUDGET_US =
        200000, /* of a lane, for all its closes; grows back at a quarter of the time */
    COLLECT = 16
};

#define DRAIN_ID ((uint64_t)1 << 62)

/* ---- beginning ---- */

static int fail(const struct wbi_channel *channel, const char *what)
{
    return wbi_error(WB_ERR_SYSTEM, "%s: %s: %s", channel->queues->device->name, what,
                     strerror(errno));
}

/* Asks for inline room, and for less where the device has less. */
static int create(struct wbi_channel *channel, uint32_t receives)
{
    struct wbi_verbs_queues *queues = channel->queues;
    struct wbi_verbs_device *device = queues->device;
    uint32_t asked = atomic_load(&device->inline_bytes);
    for (uint32_t bytes = asked;; bytes = bytes > 64 ? bytes / 2 : 0) {
        struct ibv_qp_init_attr attr = {.qp_context = channel,
                                        .send_cq = queues->cq,
                                        .recv_cq = queues->cq,
                                        .srq = wbi_verbs_shares(channel) ? queues->srq : NULL,
                                        .cap = {.max_send_wr = device->send_depth,
                                                .max_recv_wr = receives,
                                                .max_send_sge = device->read_sges,
                                                .max_recv_sge = receives > 0 ? 1 : 0,
                                                .max_inline_data = bytes},
                                        .qp_type = IBV_QPT_RC};
        channel->qp = ibv_create_qp(device->pd, &attr);
        if (channel->qp != NULL) {
            uint32_t got = attr.cap.max_inline_data;
            channel->qp_num = channel->qp->qp_num;
            channel->sends.inline_bytes = got < WBI_VERBS_INLINE ? got : WBI_VERBS_INLINE;
            if (bytes != asked) {
                atomic_store(&device->inline_bytes, bytes);
            }
            return WB_OK;
        }
        if (errno != EINVAL || bytes == 0) {
            return fail(channel, "no queue pair"); /* it was not that */
        }
    }
}

static int move(struct wbi_channel *channel, struct ibv_qp_attr *attr, int mask, const char *where)
{
    int error = ibv_modify_qp(channel->qp, attr, mask);
    if (error == 0) {
        return WB_OK;
    }
    return wbi_error(WB_ERR_SYSTEM, "%s: the queue pair does not go to %s: %s",
                     channel->queues->device->name, where, strerror(error));
}

int wbi_verbs_qp_create(struct wbi_channel *channel)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT};
    struct wbi_fabric_lane *lane = channel->lane;
    bool shared = wbi_verbs_shares(channel);
    uint32_t receives = shared || channel->main != NULL ? 0 : lane->events.receives(channel->owner);
    int mask, status = create(channel, receives);
    if (status != WB_OK) {
        return status;
    }
    wbi_verbs_map_add(channel);
    if (rdma_init_qp_attr(channel->id, &attr, &mask) != 0) {
        return fail(channel, "no attributes for a queue pair");
    }
    /* REMOTE_WRITE lets probes pass, which write nothing; no memory of ours is registered for it */
    attr.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
    status = move(channel, &attr, mask | IBV_QP_ACCESS_FLAGS, "INIT");
    if (status == WB_OK && !shared) {
        wbi_verbs_receives_begin(channel, receives);
    }
    return status;
}

/* The MTU as told, which the port must have. */
static int set_mtu(const struct wbi_channel *channel, struct ibv_qp_attr *attr)
{
    enum ibv_mtu told = channel->lane->domain->choice.mtu;
    if (told > attr->path_mtu) {
        return wbi_error(WB_ERR_INVALID,
                         "config.verbs.mtu is %u, and %s's active one only %u; raise that of the "
                         "network interface too",
                         128U << told, channel->queues->device->name, 128U << attr->path_mtu);
    }
    attr->path_mtu = told != 0 ? told : attr->path_mtu;
    return WB_OK;
}

static int to_rtr(struct wbi_channel *channel, uint32_t incoming)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTR};
    int mask;
    if (rdma_init_qp_attr(channel->id, &attr, &mask) != 0) {
        return fail(channel, "no attributes for RTR");
    }
    attr.max_dest_rd_atomic = (uint8_t)incoming;
    attr.min_rnr_timer = WBI_VERBS_MIN_RNR_TIMER;
    mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    int status = set_mtu(channel, &attr);
    return status == WB_OK ? move(channel, &attr, mask, "RTR") : status;
}

static int to_rts(struct wbi_channel *channel, uint32_t outgoing)
{
    const struct wbi_verbs_choice *choice = &channel->lane->domain->choice;
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS};
    int mask;
    if (rdma_init_qp_attr(channel->id, &attr, &mask) != 0) {
        return fail(channel, "no attributes for RTS");
    }
    attr.max_rd_atomic = (uint8_t)outgoing;
    attr.timeout = choice->ack_timeout; /* rdma_cm's own would be 2 s a try */
    attr.retry_cnt = choice->retries;
    attr.rnr_retry = WBI_VERBS_RNR_RETRY;
    mask |= IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY;
    return move(channel, &attr, mask, "RTS");
}

int wbi_verbs_qp_start(struct wbi_channel *channel, uint32_t outgoing, uint32_t incoming)
{
    int status = to_rtr(channel, incoming);
    status = status == WB_OK ? to_rts(channel, outgoing) : status;
    if (status == WB_OK) {
        channel->sends.read_depth = outgoing;
        channel->running = true;
    }
    return status;
}

/* ---- ending ---- */

static void give_slot_back(struct wbi_verbs_queues *queues, const struct ibv_wc *wc)
{
    struct wbi_fabric_lane *lane = queues->lane;
    lane->events.return_slot(lane->owner, wbi_verbs_unpost(queues, wc->wr_id));
}

/* Takes what is in the CQ: what is the channel's own is forgotten, the rest stashed. Returns
 * whether work `wanted` was among it; *broken is set if work of it failed. */
static bool collect(struct wbi_channel *channel, uint64_t wanted, bool *broken)
{
    struct wbi_verbs_queues *queues = channel->queues;
    struct ibv_wc wcs[COLLECT];
    bool found = false;
    int count;
    while ((count = ibv_poll_cq(queues->cq, COLLECT, wcs)) > 0) {
        for (int i = 0; i < count; i++) {
            if (wcs[i].qp_num != channel->qp_num) {
                wbi_verbs_stash(queues, &wcs[i]);
            } else if ((wcs[i].wr_id & WBI_VERBS_RECEIVE) != 0) {
                give_slot_back(queues, &wcs[i]);
            } else {
                found |= wcs[i].wr_id == wanted;
                *broken |= wcs[i].status != IBV_WC_SUCCESS;
            }
        }
    }
    return found;
}

static bool wait_for(struct wbi_channel *channel, uint64_t wanted, bool alive, uint64_t limit_us)
{
    uint64_t end = wbi_now() + limit_us;
    bool broken = false;
    for (;;) {
        if (collect(channel, wanted, &broken)) {
            return true;
        }
        if ((alive && broken) || wbi_now() >= end) {
            return false;
        }
        wbi_relax();
    }
}

/* How long this close may wait. */
static uint64_t linger_limit(struct wbi_fabric_lane *lane, uint64_t now)
{
    lane->linger_left += (now - lane->lingered) / 4;
    if (lane->linger_left > LINGER_BUDGET_US) {
        lane->linger_left = LINGER_BUDGET_US;
    }
    lane->lingered = now;
    return lane->linger_left < LINGER_US ? lane->linger_left : LINGER_US;
}

/* The end of a probe proves that all before it has arrived. What the stash holds of this channel
 * counts as not known. */
void wbi_verbs_qp_linger(struct wbi_channel *channel)
{
    struct wbi_verbs_send_queue *queue = &channel->sends;
    struct wbi_fabric_lane *lane = channel->lane;
    if (!channel->stands) {
        return;
    }
    wbi_verbs_work_post(channel); /* what was kept back is not lost for that */
    if (queue->sends_in_flight == 0) {
        return;
    }
    uint64_t now = wbi_now(), limit = linger_limit(lane, now);
    uint64_t number = queue->queued;
    wbi_verbs_probe(channel);
    wbi_verbs_work_post(channel);
    if (queue->posted == number + 1) {
        wait_for(channel, number, true, limit);
    }
    uint64_t spent = wbi_now() - now;
    lane->linger_left -= spent < lane->linger_left ? spent : lane->linger_left;
}

/* Whether a device has not said it in time: not where another lane's thread may have it in hand. */
static bool has_failed_to(const struct wbi_verbs_device *device, struct wbi_channel *channel)
{
    if (atomic_load(&device->readers) != 0) {
        return false;
    }
    wbi_verbs_take_reports(channel->lane); /* who read it until then has left word */
    return !channel->last_wqe;
}

/* A device says once that it holds no receive of the queue pair any more; one that has failed to is
 * not asked again until it does. */
static void await_last_wqe(struct wbi_channel *channel)
{
    struct wbi_verbs_device *device = channel->queues->device;
    uint64_t end = wbi_now() + LAST_WQE_US;
    bool late = false;
    while (!late && atomic_load(&device->tells_last_wqe) && !channel->last_wqe) {
        late = wbi_now() >= end;
        wbi_verbs_device_events(channel->lane, device);
    }
    if (late && !channel->last_wqe && has_failed_to(device, channel)) {
        atomic_store(&device->tells_last_wqe, false);
        if (!has_failed_to(device, channel)) {
            atomic_store(&device->tells_last_wqe, true); /* it has told another lane meanwhile */
        }
    }
}

static void drain(struct wbi_channel *channel)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
    struct ibv_send_wr last = {
        .wr_id = DRAIN_ID, .opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED};
    struct ibv_send_wr *bad;
    if (ibv_modify_qp(channel->qp, &attr, IBV_QP_STATE) != 0 ||
        ibv_post_send(channel->qp, &last, &bad) != 0) {
        return;
    }
    wait_for(channel, DRAIN_ID, false, DRAIN_US);
    if (wbi_verbs_shares(channel)) {
        await_last_wqe(channel);
    }
}

/* What a former close stashed of this queue pair: its number may be another's next. */
static void forget_stashed(struct wbi_channel *channel)
{
    struct wbi_verbs_queues *queues = channel->queues;
    uint32_t kept = queues->stash_next;
    for (uint32_t i = queues->stash_next; i < queues->stash_end; i++) {
        const struct ibv_wc *wc = &queues->stash[i];
        if (wc->qp_num != channel->qp_num) {
            queues->stash[kept++] = *wc;
        } else if ((wc->wr_id & WBI_VERBS_RECEIVE) != 0) {
            give_slot_back(queues, wc);
        }
    }
    queues->stash_end = kept;
    if (queues->stash_next == queues->stash_end) {
        queues->stash_next = queues->stash_end = 0;
    }
}

void wbi_verbs_qp_destroy(struct wbi_channel *channel)
{
    bool broken = false, shared = channel->qp != NULL && wbi_verbs_shares(channel);
    if (channel->qp == NULL) {
        return;
    }
    if (!shared) {
        wbi_verbs_receives_stop(channel);
    }
    if (channel->running && !channel->queues->broken) {
        drain(channel); /* where the CQ is dead nothing would ever come */
    }
    /* before: some devices' libraries drop what is left of a queue pair, and slots with it; after:
     * others leave it there */
    collect(channel, DRAIN_ID, &broken);
    wbi_verbs_map_remove(channel);
    ibv_destroy_qp(channel->qp); /* fails only where the device is gone */
    channel->qp = NULL;
    collect(channel, DRAIN_ID, &broken);
    forget_stashed(channel);
    if (!shared) {
        wbi_verbs_receives_reclaim(channel);
    }
}
