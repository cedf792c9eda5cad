/* librdmacm: connecting, accepting, ending. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/cm.h"

static int result(int error)
{
    sim_set_errno(error);
    return error == 0 ? 0 : -1;
}

/* ---- beginning ---- */

static int say(struct sim_id *id, const struct rdma_conn_param *param, enum sim_id_state from,
               enum sim_id_state to, enum sim_message_kind kind)
{
    static const int errors[] = {ENOMEM, EINVAL, ENETUNREACH, 0};
    if (id->state != from || param->private_data_len > sim_cm_room(id->device, kind)) {
        return EINVAL;
    }
    int error = sim_call_fails(kind == SIM_REQUEST ? "rdma_connect" : "rdma_accept", errors);
    if (error == 0) {
        id->state = to;
        id->qp_num = param->qp_num;
        id->incoming = param->responder_resources;
        id->outgoing = param->initiator_depth;
        sim_cm_send(id, kind, 0, param->private_data, param->private_data_len);
    }
    return error;
}

int rdma_connect(struct rdma_cm_id *rdma, struct rdma_conn_param *param)
{
    sim_enter(0);
    int error = say((struct sim_id *)rdma, param, SIM_ROUTED, SIM_CALLING, SIM_REQUEST);
    sim_leave();
    return result(error);
}

int rdma_accept(struct rdma_cm_id *rdma, struct rdma_conn_param *param)
{
    sim_enter(0);
    int error = say((struct sim_id *)rdma, param, SIM_ASKED, SIM_ANSWERED, SIM_REPLY);
    sim_leave();
    return result(error);
}

int rdma_reject(struct rdma_cm_id *rdma, const void *data, uint8_t data_len)
{
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    bool fits = id->state == SIM_ASKED && data_len <= sim_cm_room(id->device, SIM_REFUSAL);
    if (fits) {
        sim_cm_send(id, SIM_REFUSAL, SIM_REFUSED_BY_CONSUMER, data, data_len);
        id->state = SIM_CLOSED;
    }
    sim_leave();
    return result(fits ? 0 : EINVAL);
}

int rdma_establish(struct rdma_cm_id *rdma)
{
    static const int errors[] = {EINVAL, ENOMEM, 0};
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    int error = id->state == SIM_HEARD ? sim_call_fails("rdma_establish", errors) : EINVAL;
    if (error == 0) {
        id->state = SIM_OPEN;
        sim_cm_send(id, SIM_READY, 0, NULL, 0);
    }
    sim_leave();
    return result(error);
}

/* A message was there before the word that the connection stands. */
int rdma_notify(struct rdma_cm_id *rdma, enum ibv_event_type event)
{
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    bool fits = event == IBV_EVENT_COMM_EST && id->state == SIM_ANSWERED;
    if (fits) {
        id->state = SIM_OPEN;
        sim_cm_tell(id, RDMA_CM_EVENT_ESTABLISHED, 0, NULL, NULL, 0);
    }
    sim_leave();
    return result(fits ? 0 : EINVAL);
}

int rdma_disconnect(struct rdma_cm_id *rdma)
{
    struct sim_id *id = (struct sim_id *)rdma;
    sim_enter(0);
    bool open = id->state == SIM_OPEN || id->state == SIM_HEARD || id->state == SIM_ANSWERED;
    if (open) {
        id->state = SIM_CLOSING;
        sim_cm_send(id, SIM_GOODBYE, 0, NULL, 0);
    }
    sim_leave();
    return result(open || id->state == SIM_CLOSED ? 0 : EINVAL);
}

/* ---- attributes ---- */

static bool knows_peer(const struct sim_id *id)
{
    return id->state == SIM_HEARD || id->state == SIM_ASKED || id->state == SIM_ANSWERED ||
           id->state == SIM_OPEN;
}

static void to_init(struct ibv_qp_attr *attr, int *mask)
{
    attr->pkey_index = 0;
    attr->port_num = 1;
    attr->qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    *mask = IBV_QP_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
}

static void to_rtr(const struct sim_id *id, struct ibv_qp_attr *attr, int *mask)
{
    attr->ah_attr = (struct ibv_ah_attr){
        .is_global = 1, .port_num = 1, .grh = {.dgid = id->rdma.route.addr.addr.ibaddr.dgid}};
    attr->path_mtu = id->device->profile->active_mtu;
    attr->dest_qp_num = id->peer_qp_num;
    attr->rq_psn = 0;
    attr->max_dest_rd_atomic = id->incoming;
    attr->min_rnr_timer = 0;
    *mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
            IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
}

static void to_rts(const struct sim_id *id, struct ibv_qp_attr *attr, int *mask)
{
    attr->timeout = 19;
    attr->retry_cnt = 7;
    attr->rnr_retry = 7;
    attr->sq_psn = 0;
    attr->max_rd_atomic = id->outgoing;
    *mask = IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
            IBV_QP_MAX_QP_RD_ATOMIC;
}

int rdma_init_qp_attr(struct rdma_cm_id *rdma, struct ibv_qp_attr *attr, int *mask)
{
    static const int errors[] = {EINVAL, 0};
    const struct sim_id *id = (const struct sim_id *)rdma;
    sim_enter(0);
    bool ready = id->device != NULL && (attr->qp_state == IBV_QPS_INIT || knows_peer(id));
    int error = ready ? sim_call_fails("rdma_init_qp_attr", errors) : EINVAL;
    if (error == 0 && attr->qp_state == IBV_QPS_INIT) {
        to_init(attr, mask);
    } else if (error == 0 && attr->qp_state == IBV_QPS_RTR) {
        to_rtr(id, attr, mask);
    } else if (error == 0 && attr->qp_state == IBV_QPS_RTS) {
        to_rts(id, attr, mask);
    } else if (error == 0) {
        error = EINVAL;
    }
    sim_leave();
    return result(error);
}
