#include "tests/simverbs/scene_raw.h"

#include <fcntl.h>
#include <string.h>

#include "tests/support/program.h"

struct raw_end raw_ends[2];
static bool is_open;

/* ---- life ---- */

static void make_queues(struct raw_end *end, const struct raw_wish *wish)
{
    struct ibv_srq_init_attr srq = {.attr = {.max_wr = RAW_RECEIVES, .max_sge = 1}};
    end->channel = ibv_create_comp_channel(end->context);
    ck_assert_ptr_nonnull(end->channel);
    ck_assert_int_eq(fcntl(end->channel->fd, F_SETFL, O_NONBLOCK), 0);
    end->cq = ibv_create_cq(end->context, wish->cqe != 0 ? wish->cqe : 64, NULL, end->channel, 0);
    ck_assert_ptr_nonnull(end->cq);
    struct ibv_device_attr attr;
    ck_assert_int_eq(ibv_query_device(end->context, &attr), 0);
    end->srq = attr.max_srq > 0 ? ibv_create_srq(end->pd, &srq) : NULL;
    ck_assert(end->srq != NULL || attr.max_srq == 0);
    struct ibv_qp_init_attr qp = {.send_cq = end->cq,
                                  .recv_cq = end->cq,
                                  .srq = end->srq,
                                  .cap = {.max_send_wr = RAW_DEPTH,
                                          .max_send_sge = 1,
                                          .max_recv_wr = end->srq == NULL ? RAW_RECEIVES : 0,
                                          .max_recv_sge = end->srq == NULL ? 1 : 0,
                                          .max_inline_data = 64},
                                  .qp_type = IBV_QPT_RC};
    end->qp = ibv_create_qp(end->pd, &qp);
    ck_assert_ptr_nonnull(end->qp);
}

static void make_end(struct raw_end *end, const struct raw_wish *wish)
{
    int count = 0;
    sim_host_enter(end->host);
    struct ibv_device **all = ibv_get_device_list(&count);
    ck_assert_int_eq(count, 1);
    end->context = ibv_open_device(all[0]);
    ck_assert_ptr_nonnull(end->context);
    ibv_free_device_list(all);
    ck_assert_int_eq(fcntl(end->context->async_fd, F_SETFL, O_NONBLOCK), 0);
    end->pd = ibv_alloc_pd(end->context);
    ck_assert_ptr_nonnull(end->pd);
    end->mr =
        ibv_reg_mr(end->pd, end->bytes, RAW_BYTES, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
    ck_assert_ptr_nonnull(end->mr);
    make_queues(end, wish);
}

static uint8_t depth_of(const struct raw_wish *wish)
{
    return wish->depth != 0 ? wish->depth : 4;
}

void raw_to_rtr(struct raw_end *end, const struct raw_end *other, const struct raw_wish *wish)
{
    struct ibv_gid_entry gid;
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
                               .port_num = 1,
                               .qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE};
    ck_assert_int_eq(ibv_query_gid_ex(other->context, 1, 0, &gid, 0), 0);
    ck_assert_int_eq(
        ibv_modify_qp(end->qp, &attr,
                      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
        0);
    attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
                                .path_mtu = IBV_MTU_256,
                                .dest_qp_num = other->qp->qp_num,
                                .max_dest_rd_atomic =
                                    wish->depth_there != 0 ? wish->depth_there : depth_of(wish),
                                .min_rnr_timer = 12,
                                .ah_attr = {.is_global = 1, .port_num = 1, .grh.dgid = gid.gid}};
    ck_assert_int_eq(ibv_modify_qp(end->qp, &attr,
                                   IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
                                       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
                                       IBV_QP_MIN_RNR_TIMER),
                     0);
}

void raw_to_rts(struct raw_end *end, const struct raw_wish *wish)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RTS,
                               .max_rd_atomic = depth_of(wish),
                               .timeout = 14,
                               .retry_cnt = 3,
                               .rnr_retry = wish->rnr_retry != 0 ? wish->rnr_retry : 2};
    ck_assert_int_eq(ibv_modify_qp(end->qp, &attr,
                                   IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                       IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC),
                     0);
}

void raw_connect(struct raw_end *end, const struct raw_end *other, const struct raw_wish *wish)
{
    raw_to_rtr(end, other, wish);
    raw_to_rts(end, wish);
}

void raw_open(const struct raw_wish *wish)
{
    static const char *const addresses[2] = {"10.0.0.1", "10.0.0.2"};
    struct raw_wish usual = {.profile = NULL};
    wish = wish != NULL ? wish : &usual;
    sim_open(NULL);
    is_open = true;
    for (int i = 0; i < 2; i++) {
        memset(&raw_ends[i], 0, sizeof raw_ends[i]);
        raw_ends[i].host = sim_host_add();
        raw_ends[i].device =
            sim_device_add(raw_ends[i].host,
                           wish->profile != NULL ? wish->profile : &sim_profile_mlx5, addresses[i]);
        make_end(&raw_ends[i], wish);
    }
    raw_connect(&raw_ends[0], &raw_ends[1], wish);
    raw_connect(&raw_ends[1], &raw_ends[0], wish);
}

void raw_close(void)
{
    for (int i = 0; i < 2; i++) {
        struct raw_end *end = &raw_ends[i];
        ck_assert_int_eq(end->qp != NULL ? ibv_destroy_qp(end->qp) : 0, 0);
        ck_assert_int_eq(end->srq != NULL ? ibv_destroy_srq(end->srq) : 0, 0);
        ck_assert_int_eq(ibv_destroy_cq(end->cq), 0);
        ck_assert_int_eq(ibv_destroy_comp_channel(end->channel), 0);
        ck_assert_int_eq(end->mr != NULL ? ibv_dereg_mr(end->mr) : 0, 0);
        ck_assert_int_eq(ibv_dealloc_pd(end->pd), 0);
        ck_assert_int_eq(ibv_close_device(end->context), 0);
    }
    is_open = false;
    ck_assert_uint_eq(sim_close(), 0);
}

void raw_clear(void)
{
    if (is_open) {
        sim_close();
        is_open = false;
    }
}

/* ---- work ---- */

struct ibv_send_wr raw_work(struct raw_end *end, enum ibv_wr_opcode opcode, struct ibv_sge *sge,
                            uint32_t len)
{
    struct raw_end *other = &raw_ends[end == &raw_ends[0]];
    struct ibv_send_wr wr = {.opcode = opcode,
                             .send_flags = IBV_SEND_SIGNALED,
                             .sg_list = sge,
                             .num_sge = len > 0 ? 1 : 0};
    *sge = (struct ibv_sge){
        .addr = (uintptr_t)end->bytes, .length = len, .lkey = end->mr != NULL ? end->mr->lkey : 0};
    wr.wr.rdma.remote_addr = (uintptr_t)other->bytes;
    wr.wr.rdma.rkey = other->mr != NULL ? other->mr->rkey : 0;
    return wr;
}

int raw_post(struct raw_end *end, struct ibv_send_wr *wr)
{
    struct ibv_send_wr *bad = NULL;
    int error = ibv_post_send(end->qp, wr, &bad);
    ck_assert_ptr_eq(bad, error != 0 ? wr : NULL);
    return error;
}

int raw_receive(struct raw_end *end, uint64_t wr_id, uint32_t offset, uint32_t len)
{
    struct ibv_sge sge = {
        .addr = (uintptr_t)end->bytes + offset, .length = len, .lkey = end->mr->lkey};
    struct ibv_recv_wr wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};
    struct ibv_recv_wr *bad = NULL;
    return end->srq != NULL ? ibv_post_srq_recv(end->srq, &wr, &bad)
                            : ibv_post_recv(end->qp, &wr, &bad);
}

/* ---- ends ---- */

struct ibv_wc raw_await(struct raw_end *end)
{
    struct ibv_wc wc;
    uint64_t limit = sim_now_ns() + 60000000000;
    while (ibv_poll_cq(end->cq, 1, &wc) == 0) {
        test_check(sim_now_ns() < limit, "no completion comes");
        sim_advance(1000000);
    }
    return wc;
}

void raw_assert_none(struct raw_end *end, uint64_t us)
{
    struct ibv_wc wc;
    uint64_t limit = sim_now_ns() + us * 1000;
    do {
        test_check(ibv_poll_cq(end->cq, 1, &wc) == 0, "a completion that should not be: status %d",
                   (int)wc.status);
        sim_advance(us);
    } while (sim_now_ns() < limit);
}

int raw_async(struct raw_end *end)
{
    struct ibv_async_event event;
    if (ibv_get_async_event(end->context, &event) != 0) {
        return -1;
    }
    ibv_ack_async_event(&event);
    return (int)event.event_type;
}
