/* The device's rules for ends: flushes, full queues, notifications, what must be acknowledged and
 * what may not be destroyed yet. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/simverbs/scene_raw.h"
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

static void to_err(struct raw_end *end)
{
    struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
    ck_assert_int_eq(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

static bool is_readable(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

/* ---- flushes ---- */

/* All of it, signalled or not, and what is posted afterwards. */
START_TEST(test_flush_completes_all_work)
{
    raw_open(NULL);
    for (uint64_t i = 0; i < RAW_DEPTH - 1; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_READ, RAW_BYTES, i, 0), 0);
    }
    to_err(here);
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 99, IBV_SEND_SIGNALED), 0);
    for (uint64_t i = 0; i < RAW_DEPTH; i++) {
        struct ibv_wc wc = raw_await(here);
        ck_assert_int_eq(wc.status, IBV_WC_WR_FLUSH_ERR);
        ck_assert_uint_eq(wc.wr_id, i == RAW_DEPTH - 1 ? 99 : i);
    }
    raw_assert_none(here, 100000);
    for (unsigned i = 0; i < RAW_BYTES; i++) {
        ck_assert_uint_eq(here->bytes[i], 0); /* and no READ lands any more */
    }
    raw_close();
}
END_TEST

START_TEST(test_an_error_flushes_what_follows)
{
    struct ibv_sge sge;
    raw_open(NULL);
    ck_assert_int_eq(post(IBV_WR_RDMA_READ, 8, 0, 0), 0);
    struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_READ, &sge, 8);
    wr.wr_id = 1;
    wr.wr.rdma.rkey = 4711;
    ck_assert_int_eq(raw_post(here, &wr), 0);
    ck_assert_int_eq(post(IBV_WR_RDMA_READ, 8, 2, 0), 0);
    struct ibv_wc wc = raw_await(here); /* the first was well, and unsignalled */
    ck_assert_uint_eq(wc.wr_id, 1);
    ck_assert_int_eq(wc.status, IBV_WC_REM_ACCESS_ERR);
    wc = raw_await(here);
    ck_assert_uint_eq(wc.wr_id, 2);
    ck_assert_int_eq(wc.status, IBV_WC_WR_FLUSH_ERR);
    while (raw_async(here) >= 0 || raw_async(there) >= 0) {
    }
    raw_close();
}
END_TEST

/* Receives of a shared queue are nobody's until a message takes them. */
START_TEST(test_flush_leaves_the_srq_alone)
{
    for (int tells = 0; tells < 2; tells++) {
        raw_open(&(struct raw_wish){.profile = tells ? &sim_profile_mlx5 : &sim_profile_rxe});
        ck_assert_int_eq(raw_receive(here, 1, 0, 100), 0);
        to_err(here);
        raw_assert_none(here, 1000);
        ck_assert_int_eq(raw_async(here), tells ? (int)IBV_EVENT_QP_LAST_WQE_REACHED : -1);
        ck_assert_int_eq(raw_async(here), -1);
        raw_close();
    }
}
END_TEST

START_TEST(test_completions_outlive_their_queue_pair_or_not)
{
    struct ibv_wc wc;
    for (int cleans = 0; cleans < 2; cleans++) {
        raw_open(&(struct raw_wish){.profile = cleans ? &sim_profile_mlx5 : &sim_profile_rxe});
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 1, IBV_SEND_SIGNALED), 0);
        sim_advance(1000);
        sim_advance(1000);
        ck_assert_int_eq(ibv_destroy_qp(here->qp), 0);
        here->qp = NULL;
        ck_assert_int_eq(ibv_poll_cq(here->cq, 1, &wc), cleans ? 0 : 1);
        raw_close();
    }
}
END_TEST

/* What was under way when a queue pair was destroyed touches nothing. */
START_TEST(test_destroyed_during_a_read)
{
    for (int end = 0; end < 2; end++) {
        raw_open(NULL);
        memset(there->bytes, 1, RAW_BYTES);
        ck_assert_int_eq(post(IBV_WR_RDMA_READ, RAW_BYTES, 1, IBV_SEND_SIGNALED), 0);
        sim_advance(100);
        ck_assert_int_eq(ibv_destroy_qp(raw_ends[end].qp), 0);
        raw_ends[end].qp = NULL;
        if (end == 1) { /* the responder's: the requester finds out in its own time */
            ck_assert_int_eq(raw_await(here).status, IBV_WC_RETRY_EXC_ERR);
        }
        sim_advance(1000000);
        ck_assert_uint_eq(here->bytes[0], 0);
        while (raw_async(here) >= 0) {
        }
        raw_close();
    }
}
END_TEST

/* ---- queues that are full ---- */

START_TEST(test_cq_overrun)
{
    raw_open(&(struct raw_wish){.cqe = 4});
    for (uint64_t i = 0; i < 6; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, i, IBV_SEND_SIGNALED), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        sim_advance(1000);
    }
    ck_assert_int_eq(raw_async(here), IBV_EVENT_CQ_ERR);
    ck_assert_int_eq(here->qp->state, IBV_QPS_ERR);
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(raw_await(here).wr_id, i);
    }
    raw_assert_none(here, 1000);
    while (raw_async(here) >= 0) {
    }
    raw_close();
}
END_TEST

START_TEST(test_srq_overrun)
{
    raw_open(NULL);
    for (uint64_t i = 0; i < RAW_RECEIVES; i++) {
        ck_assert_int_eq(raw_receive(here, i, 0, 8), 0);
    }
    ck_assert_int_eq(raw_receive(here, 9, 0, 8), ENOMEM);
    ck_assert_int_eq(raw_async(here), -1);
    raw_close();
}
END_TEST

/* ---- notifications ---- */

START_TEST(test_one_event_for_what_comes_after_arming)
{
    struct ibv_cq *cq;
    void *context;
    raw_open(NULL);
    ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, 1, IBV_SEND_SIGNALED), 0);
    sim_advance(1000);
    sim_advance(1000);
    ck_assert_int_eq(ibv_req_notify_cq(here->cq, 0), 0);
    sim_advance(1000);
    ck_assert(!is_readable(here->channel->fd)); /* that one came before */
    for (uint64_t i = 2; i < 4; i++) {
        ck_assert_int_eq(post(IBV_WR_RDMA_WRITE, 0, i, IBV_SEND_SIGNALED), 0);
    }
    for (uint64_t i = 1; i < 4; i++) {
        ck_assert_uint_eq(raw_await(here).wr_id, i);
    }
    ck_assert(is_readable(here->channel->fd));
    ck_assert_int_eq(ibv_get_cq_event(here->channel, &cq, &context), 0);
    ck_assert_ptr_eq(cq, here->cq);
    ck_assert_int_eq(ibv_get_cq_event(here->channel, &cq, &context), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert(!is_readable(here->channel->fd));
    ibv_ack_cq_events(here->cq, 1);
    raw_close();
}
END_TEST

/* ---- what blocks or is refused ---- */

START_TEST(test_what_is_in_use_is_not_destroyed)
{
    raw_open(NULL);
    ck_assert_int_eq(ibv_destroy_cq(here->cq), EBUSY);
    ck_assert_int_eq(ibv_destroy_srq(here->srq), EBUSY);
    ck_assert_int_eq(ibv_dealloc_pd(here->pd), EBUSY);
    ck_assert_int_eq(ibv_destroy_comp_channel(here->channel), EBUSY);
    raw_close();
}
END_TEST

static char said[300];

static void note(const char *line)
{
    snprintf(said, sizeof said, "%s", line);
}

/* Hardware's driver would wait for ever. */
START_TEST(test_events_must_be_acknowledged)
{
    struct ibv_async_event event;
    raw_open(NULL);
    to_err(here);
    sim_advance(1000);
    ck_assert_int_eq(ibv_get_async_event(here->context, &event), 0);
    sim_on_bug(note);
    said[0] = 0;
    ibv_destroy_qp(here->qp);
    here->qp = NULL;
    sim_on_bug(NULL);
    ck_assert_ptr_nonnull(strstr(said, "ibv_destroy_qp would block for ever"));
    raw_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_flush_completes_all_work,
                                  test_an_error_flushes_what_follows,
                                  test_flush_leaves_the_srq_alone,
                                  test_completions_outlive_their_queue_pair_or_not,
                                  test_destroyed_during_a_read,
                                  test_cq_overrun,
                                  test_srq_overrun,
                                  test_one_event_for_what_comes_after_arming,
                                  test_what_is_in_use_is_not_destroyed,
                                  test_events_must_be_acknowledged};
    Suite *suite = suite_create("simverbs: ends");
    TCase *tcase = test_program_case("flush", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
