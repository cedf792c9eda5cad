/* What a device says by itself. */
#include <string.h>

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

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: events");
    TCase *tcase = tcase_create("event");
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    tcase_add_loop_test(tcase, test_a_message_to_a_queue_pair_that_only_receives, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
