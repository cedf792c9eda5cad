/* What a device says by itself. */
#include <errno.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_raw.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

static void post(uint64_t wr_id)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = raw_work(here, IBV_WR_SEND, &sge, 8);
    wr.wr_id = wr_id;
    ck_assert_int_eq(raw_post(here, &wr), 0);
}

static void assert_ends(struct raw_end *end, uint64_t wr_id, enum ibv_wc_status status)
{
    struct ibv_wc wc = raw_await(end);
    ck_assert_uint_eq(wc.wr_id, wr_id);
    ck_assert_int_eq(wc.status, status);
}

/* ---- the first message ---- */

/* Once, and only where the queue pair cannot send yet. */
START_TEST(test_a_message_to_a_queue_pair_that_only_receives)
{
    static const struct sim_profile *const profiles[] = {&sim_profile_mlx5, &sim_profile_rxe};
    struct raw_wish usual = {.profile = profiles[_i]};
    struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
    raw_open(&usual);
    ck_assert_int_eq(ibv_modify_qp(there->qp, &reset, IBV_QP_STATE), 0);
    raw_to_rtr(there, here, &usual);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(raw_receive(there, 9, 0, 64), 0);
        post(i);
        assert_ends(here, i, IBV_WC_SUCCESS);
        assert_ends(there, 9, IBV_WC_SUCCESS);
        bool told = i == 0 && profiles[_i]->tells_comm_est;
        ck_assert_int_eq(raw_async(there), told ? (int)IBV_EVENT_COMM_EST : -1);
        if (i == 1) {
            raw_to_rts(there, &usual);
        }
    }
    raw_close();
}
END_TEST

/* ---- disasters ---- */

/* The next event of `there` that is not about a queue pair that broke with the rest. */
static int next_event(void)
{
    int type;
    do {
        type = raw_async(there);
    } while (type == (int)IBV_EVENT_QP_LAST_WQE_REACHED);
    return type;
}

/* A message, and whatever it does to the device there. */
static void strike(const struct sim_rates *rates, enum ibv_wc_status status)
{
    raw_open(NULL);
    ck_assert_int_eq(raw_receive(there, 9, 0, 64), 0);
    sim_fault_rates(rates);
    post(1);
    assert_ends(here, 1, status);
    sim_fault_rates(&(struct sim_rates){.late_ns = 0});
    ck_assert_uint_gt(sim_faults_happened(), 0);
}

START_TEST(test_a_shared_receive_queue_breaks)
{
    strike(&(struct sim_rates){.srq_error = 1000000}, IBV_WC_RETRY_EXC_ERR);
    struct ibv_qp_init_attr init = {.send_cq = there->cq,
                                    .recv_cq = there->cq,
                                    .srq = there->srq,
                                    .cap = {.max_send_wr = 1, .max_send_sge = 1},
                                    .qp_type = IBV_QPT_RC};
    ck_assert_int_eq(next_event(), IBV_EVENT_SRQ_ERR);
    ck_assert_int_eq(next_event(), -1);
    ck_assert_int_eq(there->qp->state, IBV_QPS_ERR);
    ck_assert_int_eq(raw_receive(there, 9, 0, 64), EIO);
    ck_assert_ptr_null(ibv_create_qp(there->pd, &init));
    ck_assert(!sim_device_is_lost(there->device));
    raw_close();
}
END_TEST

/* What was opened before stays of no use; who opens it again finds it well. */
START_TEST(test_a_device_is_lost)
{
    int count = 0;
    strike(&(struct sim_rates){.device_fatal = 1000000}, IBV_WC_RETRY_EXC_ERR);
    ck_assert_int_eq(next_event(), IBV_EVENT_DEVICE_FATAL);
    ck_assert_int_eq(next_event(), -1);
    ck_assert_int_eq(there->qp->state, IBV_QPS_ERR);
    ck_assert(sim_device_is_lost(there->device));
    ck_assert_ptr_null(ibv_create_cq(there->context, 1, NULL, NULL, 0));
    ck_assert_int_eq(errno, EIO);
    ck_assert_ptr_null(ibv_alloc_pd(there->context));
    ck_assert_ptr_null(ibv_reg_mr(there->pd, there->bytes, 8, 0));
    sim_host_enter(there->host);
    struct ibv_device **all = ibv_get_device_list(&count);
    struct ibv_context *anew = ibv_open_device(all[0]);
    struct ibv_cq *cq = ibv_create_cq(anew, 1, NULL, NULL, 0);
    ck_assert_ptr_nonnull(cq);
    ck_assert_int_eq(ibv_destroy_cq(cq), 0);
    ck_assert_int_eq(ibv_close_device(anew), 0);
    ibv_free_device_list(all);
    raw_close();
}
END_TEST

START_TEST(test_a_device_stops)
{
    strike(&(struct sim_rates){.device_stops = 1000000}, IBV_WC_RETRY_EXC_ERR);
    ck_assert(sim_device_is_lost(there->device));
    ck_assert_int_eq(next_event(), -1); /* nobody is told */
    ck_assert_int_eq(there->qp->state, IBV_QPS_RTS);
    sim_device_revive(there->device);
    ck_assert(!sim_device_is_lost(there->device));
    raw_close();
}
END_TEST

/* The fourth place after the post's: behind what stops the device, and what it is lost by. It comes
 * back by itself: the first time soon enough for the message, which waits some 270 ms. */
START_TEST(test_a_link_goes_and_comes_back)
{
    static const bool arrives[] = {true, false, false};
    raw_open(NULL);
    ck_assert_int_eq(raw_receive(there, 9, 0, 64), 0);
    sim_fault_arm_error(sim_fault_points() + 4, (unsigned)_i);
    post(1);
    assert_ends(here, 1, arrives[_i] ? IBV_WC_SUCCESS : IBV_WC_RETRY_EXC_ERR);
    ck_assert_str_eq(sim_fault_hit(), "link down");
    ck_assert_uint_eq(sim_fault_errors(), 3);
    while (!sim_link_is_up(there->device)) {
        sim_advance(1000000);
    }
    ck_assert_int_eq(next_event(), IBV_EVENT_PORT_ERR);
    ck_assert_int_eq(next_event(), IBV_EVENT_PORT_ACTIVE);
    raw_close();
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: events");
    TCase *tcase = tcase_create("event");
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    tcase_add_loop_test(tcase, test_a_message_to_a_queue_pair_that_only_receives, 0, 2);
    tcase_add_test(tcase, test_a_shared_receive_queue_breaks);
    tcase_add_test(tcase, test_a_device_is_lost);
    tcase_add_test(tcase, test_a_device_stops);
    tcase_add_loop_test(tcase, test_a_link_goes_and_comes_back, 0, 3);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
