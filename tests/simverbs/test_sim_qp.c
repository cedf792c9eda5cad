/* The device's rules for queue pairs and their work. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_raw.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

static int post(enum ibv_wr_opcode opcode, uint32_t len, uint64_t wr_id, unsigned flags)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = raw_work(here, opcode, &sge, len);
    wr.wr_id = wr_id;
    wr.send_flags = flags;
    return raw_post(here, &wr);
}

static void assert_ends(struct raw_end *end, uint64_t wr_id, enum ibv_wc_status status)
{
    struct ibv_wc wc = raw_await(end);
    ck_assert_uint_eq(wc.wr_id, wr_id);
    ck_assert_int_eq(wc.status, status);
    ck_assert_uint_eq(wc.qp_num, end->qp->qp_num);
}

/* ---- states ---- */

START_TEST(test_states_and_what_they_need)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET, .port_num = 1};
    const int init = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS;
    raw_open(NULL);
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, IBV_QP_STATE), 0);
    attr.qp_state = IBV_QPS_RTS; /* not from RESET */
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, IBV_QP_STATE), EINVAL);
    attr.qp_state = IBV_QPS_INIT; /* without all that it needs, with what it does not take */
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, init & ~IBV_QP_PORT), EINVAL);
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, init | IBV_QP_TIMEOUT), EINVAL);
    attr.port_num = 2; /* or with a value that is none */
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, init), EINVAL);
    attr.port_num = 1;
    ck_assert_int_eq(ibv_modify_qp(here->qp, &attr, init), 0);
    ck_assert_int_eq(post(IBV_WR_SEND, 8, 1, IBV_SEND_SIGNALED), EINVAL); /* not before RTS */
    raw_close();
}
END_TEST

START_TEST(test_attributes_are_read_back)
{
    struct ibv_qp_attr attr;
    struct ibv_qp_init_attr init;
    raw_open(&(struct raw_wish){.depth = 3});
    ck_assert_int_eq(ibv_query_qp(here->qp, &attr, IBV_QP_STATE, &init), 0);
    ck_assert_int_eq(attr.qp_state, IBV_QPS_RTS);
    ck_assert_uint_eq(attr.max_rd_atomic, 3);
    ck_assert_uint_eq(attr.timeout, 14);
    ck_assert_uint_eq(attr.retry_cnt, 3);
    ck_assert_uint_eq(attr.min_rnr_timer, 12);
    ck_assert_uint_eq(init.cap.max_send_wr, RAW_DEPTH);
    raw_close();
}
END_TEST

/* ---- messages ---- */

START_TEST(test_messages_arrive_whole_and_in_order)
{
    struct ibv_sge sge;
    raw_open(NULL);
    for (uint32_t i = 0; i < RAW_RECEIVES; i++) {
        ck_assert_int_eq(raw_receive(there, 100 + i, i * 4096, 4096), 0);
    }
    for (uint32_t i = 0; i < RAW_RECEIVES; i++) {
        struct ibv_send_wr wr = raw_work(here, IBV_WR_SEND_WITH_IMM, &sge, 1 + i * 500);
        sge.addr += i * 4096;
        wr.wr_id = i;
        wr.imm_data = i * 7;
        test_pattern_fill(here->bytes + i * 4096, sge.length, i);
        ck_assert_int_eq(raw_post(here, &wr), 0);
    }
    for (uint32_t i = 0; i < RAW_RECEIVES; i++) {
        struct ibv_wc wc = raw_await(there);
        ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
        ck_assert_int_eq(wc.opcode, IBV_WC_RECV);
        ck_assert_uint_eq(wc.wr_id, 100 + i);
        ck_assert_uint_eq(wc.byte_len, 1 + i * 500);
        ck_assert_uint_eq(wc.imm_data, i * 7);
        ck_assert((wc.wc_flags & IBV_WC_WITH_IMM) != 0);
        ck_assert_uint_eq(test_pattern_check(there->bytes + i * 4096, wc.byte_len, i), wc.byte_len);
        assert_ends(here, i, IBV_WC_SUCCESS);
    }
    raw_close();
}
END_TEST

/* Inline data are gone from their memory when the post returns; others are not. */
START_TEST(test_inline_is_copied_at_the_post)
{
    raw_open(NULL);
    ck_assert_int_eq(raw_receive(there, 1, 0, 64), 0);
    memset(here->bytes, 'a', 64);
    ck_assert_int_eq(post(IBV_WR_SEND, 64, 1, IBV_SEND_SIGNALED | IBV_SEND_INLINE), 0);
    memset(here->bytes, 'b', 64);
    assert_ends(there, 1, IBV_WC_SUCCESS);
    ck_assert_uint_eq(there->bytes[63], 'a');
    ck_assert_int_eq(post(IBV_WR_SEND, 65, 2, IBV_SEND_INLINE), EINVAL);
    raw_close();
}
END_TEST

START_TEST(test_a_message_longer_than_its_receive)
{
    raw_open(NULL);
    ck_assert_int_eq(raw_receive(there, 9, 0, 100), 0);
    ck_assert_int_eq(post(IBV_WR_SEND, 101, 1, IBV_SEND_SIGNALED), 0);
    assert_ends(there, 9, IBV_WC_LOC_LEN_ERR);
    assert_ends(here, 1, IBV_WC_REM_INV_REQ_ERR);
    ck_assert_int_eq(here->qp->state, IBV_QPS_ERR);
    ck_assert_int_eq(there->qp->state, IBV_QPS_ERR);
    while (raw_async(there) >= 0 || raw_async(here) >= 0) {
    }
    raw_close();
}
END_TEST

/* The sender waits, as often as it may, for as long as the receiver says (0.64 ms). */
START_TEST(test_receiver_not_ready)
{
    raw_open(NULL);
    ck_assert_int_eq(post(IBV_WR_SEND, 8, 1, IBV_SEND_SIGNALED), 0);
    raw_assert_none(here, 500);
    ck_assert_int_eq(raw_receive(there, 9, 0, 100), 0);
    assert_ends(here, 1, IBV_WC_SUCCESS);
    uint64_t start = sim_now_ns();
    ck_assert_int_eq(post(IBV_WR_SEND, 8, 2, 0), 0);
    assert_ends(here, 2, IBV_WC_RNR_RETRY_EXC_ERR);
    ck_assert_uint_ge(sim_now_ns() - start, 2 * 640000);
    ck_assert_uint_lt(sim_now_ns() - start, 2 * 640000 + 100000);
    raw_close();
}
END_TEST

/* ---- limits ---- */

START_TEST(test_the_send_queue_is_as_deep_as_asked)
{
    raw_open(NULL);
    for (uint64_t i = 0; i < RAW_DEPTH; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, i, i + 1 == RAW_DEPTH ? IBV_SEND_SIGNALED : 0),
                         0);
    }
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 99, 0), ENOMEM);
    sim_advance(1000); /* done, and not told: the places are taken until they are polled */
    sim_advance(1000);
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 99, 0), ENOMEM);
    assert_ends(here, RAW_DEPTH - 1, IBV_WC_SUCCESS);
    for (uint64_t i = 0; i < RAW_DEPTH; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, i, 0), 0);
    }
    raw_close();
}
END_TEST

START_TEST(test_lists_stop_at_the_first_that_is_refused)
{
    struct ibv_sge sges[2];
    struct ibv_send_wr *bad = NULL;
    raw_open(NULL);
    struct ibv_send_wr second = raw_work(here, IBV_WR_RDMA_READ, &sges[1], 100);
    second.num_sge = 2;
    struct ibv_send_wr first = raw_work(here, IBV_WR_RDMA_WRITE, &sges[0], 0);
    first.wr_id = 5;
    first.next = &second;
    ck_assert_int_eq(ibv_post_send(here->qp, &first, &bad), EINVAL);
    ck_assert_ptr_eq(bad, &second);
    assert_ends(here, 5, IBV_WC_SUCCESS);
    raw_close();
}
END_TEST

START_TEST(test_messages_longer_than_the_port_takes)
{
    struct ibv_sge sge;
    raw_open(NULL);
    struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_READ, &sge, 8);
    sge.length = sim_profile_mlx5.max_message + 1;
    ck_assert_int_eq(raw_post(here, &wr), EINVAL);
    raw_close();
}
END_TEST

/* ---- READs ---- */

/* More of them than the depth wait for their turn; what is posted behind waits too. */
START_TEST(test_reads_wait_beyond_the_depth)
{
    raw_open(&(struct raw_wish){.depth = 2});
    test_pattern_fill(there->bytes, RAW_BYTES, 1);
    for (uint64_t i = 0; i < 5; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_READ, RAW_BYTES, i, IBV_SEND_SIGNALED), 0);
    }
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 5, IBV_SEND_SIGNALED), 0);
    for (uint64_t i = 0; i < 6; i++) {
        assert_ends(here, i, IBV_WC_SUCCESS);
    }
    ck_assert_uint_eq(test_pattern_check(here->bytes, RAW_BYTES, 1), RAW_BYTES);
    raw_close();
}
END_TEST

START_TEST(test_more_reads_than_the_responder_allows)
{
    raw_open(&(struct raw_wish){.depth = 4, .depth_there = 2});
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_READ, RAW_BYTES, i, IBV_SEND_SIGNALED), 0);
    }
    assert_ends(here, 0, IBV_WC_SUCCESS);
    assert_ends(here, 1, IBV_WC_SUCCESS);
    assert_ends(here, 2, IBV_WC_REM_INV_REQ_ERR);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_QP_REQ_ERR);
    raw_close();
}
END_TEST

/* A message may arrive before an earlier READ has its bytes, unless it is fenced. */
START_TEST(test_messages_overtake_reads_without_a_fence)
{
    for (int fenced = 0; fenced < 2; fenced++) {
        raw_open(NULL);
        memset(there->bytes, 1, RAW_BYTES);
        ck_assert_int_eq(raw_receive(there, 1, 0, 8), 0);
        ck_assert_int_eq(post(IBV_WR_RDMA_READ, RAW_BYTES, 0, 0), 0);
        ck_assert_int_eq(post(IBV_WR_SEND, 8, 1, fenced ? IBV_SEND_FENCE : 0), 0);
        assert_ends(there, 1, IBV_WC_SUCCESS);
        memset(there->bytes, 2, RAW_BYTES); /* it believes that the READ is done */
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 2, IBV_SEND_SIGNALED), 0);
        assert_ends(here, 2, IBV_WC_SUCCESS);
        ck_assert_uint_eq(here->bytes[RAW_BYTES - 1], fenced ? 1 : 2);
        raw_close();
    }
}
END_TEST

/* ---- silence ---- */

START_TEST(test_a_silent_peer_costs_all_retries)
{
    raw_open(NULL);
    sim_device_stop(there->device);
    uint64_t start = sim_now_ns();
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 1, IBV_SEND_SIGNALED), 0);
    assert_ends(here, 1, IBV_WC_RETRY_EXC_ERR);
    uint64_t tries = (sim_now_ns() - start) / (4096ULL << 14);
    ck_assert_uint_eq(tries, 4); /* once, and three retries */
    raw_close();
}
END_TEST

START_TEST(test_a_link_that_comes_back_in_time)
{
    raw_open(NULL);
    sim_link_set(there->device, false);
    ck_assert_int_eq(raw_receive(there, 9, 0, 100), 0);
    ck_assert_int_eq(post(IBV_WR_SEND, 8, 1, IBV_SEND_SIGNALED), 0);
    raw_assert_none(here, 100000);
    sim_link_set(there->device, true);
    assert_ends(here, 1, IBV_WC_SUCCESS);
    assert_ends(there, 9, IBV_WC_SUCCESS);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_PORT_ERR);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_PORT_ACTIVE);
    raw_close();
}
END_TEST

/* What is lost is repeated, and done once. */
START_TEST(test_lost_packets_and_answers)
{
    raw_open(NULL);
    sim_fault_rates(&(struct sim_rates){.packet_lost = 200000, .answer_lost = 200000});
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_int_eq(raw_receive(there, i, 0, 100), 0);
        ck_assert_int_eq(post(IBV_WR_SEND, 8, i, IBV_SEND_SIGNALED), 0);
        struct ibv_wc wc = raw_await(here);
        if (wc.status != IBV_WC_SUCCESS) {
            ck_assert_int_eq(wc.status, IBV_WC_RETRY_EXC_ERR);
            ck_assert_uint_gt(i, 0);
            break;
        }
        assert_ends(there, i, IBV_WC_SUCCESS);
        raw_assert_none(there, 10);
    }
    ck_assert_uint_gt(sim_faults_happened(), 0);
    raw_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_states_and_what_they_need,
                                  test_attributes_are_read_back,
                                  test_messages_arrive_whole_and_in_order,
                                  test_inline_is_copied_at_the_post,
                                  test_a_message_longer_than_its_receive,
                                  test_receiver_not_ready,
                                  test_the_send_queue_is_as_deep_as_asked,
                                  test_lists_stop_at_the_first_that_is_refused,
                                  test_messages_longer_than_the_port_takes,
                                  test_reads_wait_beyond_the_depth,
                                  test_more_reads_than_the_responder_allows,
                                  test_messages_overtake_reads_without_a_fence,
                                  test_a_silent_peer_costs_all_retries,
                                  test_a_link_that_comes_back_in_time,
                                  test_lost_packets_and_answers};
    Suite *suite = suite_create("simverbs: queue pairs");
    TCase *tcase = test_program_case("qp", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
