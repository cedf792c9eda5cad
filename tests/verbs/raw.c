#include "tests/verbs/raw.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

enum { RESOLVE_MS = 5000, DEPTH = 16 };

static void breathe(const struct test_raw *raw)
{
    if (raw->other != NULL) {
        raw->other->fabric->poll(raw->other->lane);
    } else {
        test_sleep_us(100);
    }
}

/* The next event, which must come. */
static enum rdma_cm_event_type await_event(struct test_raw *raw)
{
    struct rdma_cm_event *event;
    uint64_t start = test_clock_us();
    while (rdma_get_cm_event(raw->events, &event) != 0) {
        breathe(raw);
        TEST_THAT(test_clock_us() - start < test_patience_us);
    }
    enum rdma_cm_event_type type = event->event;
    if (type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_REJECTED) {
        raw->words_len = event->param.conn.private_data_len;
        memcpy(raw->words, event->param.conn.private_data, raw->words_len);
    }
    rdma_ack_cm_event(event);
    return type;
}

static void make_queues(struct test_raw *raw)
{
    raw->pd = ibv_alloc_pd(raw->id->verbs);
    raw->cq = ibv_create_cq(raw->id->verbs, 4 * DEPTH, NULL, NULL, 0);
    TEST_THAT(raw->pd != NULL && raw->cq != NULL);
    raw->mr = ibv_reg_mr(raw->pd, raw->memory, sizeof raw->memory, IBV_ACCESS_LOCAL_WRITE);
    struct ibv_qp_init_attr attr = {
        .send_cq = raw->cq,
        .recv_cq = raw->cq,
        .cap = {.max_send_wr = DEPTH, .max_recv_wr = DEPTH, .max_send_sge = 1, .max_recv_sge = 1},
        .qp_type = IBV_QPT_RC,
        .sq_sig_all = 1};
    TEST_THAT(raw->mr != NULL && rdma_create_qp(raw->id, raw->pd, &attr) == 0);
}

/* Receives go to the second half of its memory, and nobody looks at them. */
static void post_receives(struct test_raw *raw)
{
    struct ibv_sge sge = {.addr = (uintptr_t)raw->memory + sizeof raw->memory / 2,
                          .length = sizeof raw->memory / 2,
                          .lkey = raw->mr->lkey};
    struct ibv_recv_wr wr = {.wr_id = 1, .sg_list = &sge, .num_sge = 1}, *bad;
    for (unsigned i = 0; i < DEPTH; i++) {
        TEST_THAT(ibv_post_recv(raw->id->qp, &wr, &bad) == 0);
    }
}

static void resolve(struct test_raw *raw, const char *address)
{
    struct sockaddr_in where = {.sin_family = AF_INET};
    char host[64];
    unsigned port;
    TEST_THAT(sscanf(address, "%63[^:]:%u", host, &port) == 2);
    TEST_THAT(inet_pton(AF_INET, host, &where.sin_addr) == 1);
    where.sin_port = htons((uint16_t)port);
    TEST_THAT(rdma_resolve_addr(raw->id, NULL, (struct sockaddr *)&where, RESOLVE_MS) == 0);
    TEST_THAT(await_event(raw) == RDMA_CM_EVENT_ADDR_RESOLVED);
    TEST_THAT(rdma_resolve_route(raw->id, RESOLVE_MS) == 0);
    TEST_THAT(await_event(raw) == RDMA_CM_EVENT_ROUTE_RESOLVED);
}

void test_raw_dial(struct test_raw *raw, struct test_side *other, const char *address,
                   const struct test_raw_hello *hello)
{
    memset(raw, 0, sizeof *raw);
    raw->other = other;
    raw->events = rdma_create_event_channel();
    TEST_THAT(raw->events != NULL && fcntl(raw->events->fd, F_SETFL, O_NONBLOCK) == 0);
    TEST_THAT(rdma_create_id(raw->events, &raw->id, NULL, RDMA_PS_TCP) == 0);
    resolve(raw, address);
    make_queues(raw);
    post_receives(raw);
    struct rdma_conn_param param = {.private_data = hello->data,
                                    .private_data_len = (uint8_t)hello->len,
                                    .responder_resources = hello->responder_resources,
                                    .initiator_depth = hello->initiator_depth,
                                    .retry_count = 4,
                                    .rnr_retry_count = 6};
    TEST_THAT(rdma_connect(raw->id, &param) == 0);
    raw->answer = await_event(raw);
}

enum ibv_wc_status test_raw_do(struct test_raw *raw, struct ibv_send_wr *wr, uint32_t len)
{
    struct ibv_sge sge = {.addr = (uintptr_t)raw->memory, .length = len, .lkey = raw->mr->lkey};
    struct ibv_send_wr *bad;
    struct ibv_wc wc = {.wr_id = 1};
    wr->wr_id = 2;
    wr->sg_list = &sge;
    wr->num_sge = len > 0 ? 1 : 0;
    TEST_THAT(ibv_post_send(raw->id->qp, wr, &bad) == 0);
    uint64_t start = test_clock_us();
    while (ibv_poll_cq(raw->cq, 1, &wc) == 0 || wc.wr_id != 2) {
        breathe(raw);
        TEST_THAT(test_clock_us() - start < test_patience_us);
    }
    return wc.status;
}

enum ibv_wc_status test_raw_send(struct test_raw *raw, uint32_t immediate, uint32_t len)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_SEND_WITH_IMM, .imm_data = htonl(immediate)};
    return test_raw_do(raw, &wr, len);
}

void test_raw_close(struct test_raw *raw)
{
    if (raw->id != NULL) {
        rdma_disconnect(raw->id);
        if (raw->id->qp != NULL) {
            rdma_destroy_qp(raw->id);
        }
        ibv_dereg_mr(raw->mr);
        ibv_destroy_cq(raw->cq);
        rdma_destroy_id(raw->id);
        ibv_dealloc_pd(raw->pd);
        rdma_destroy_event_channel(raw->events);
    }
    memset(raw, 0, sizeof *raw);
}
