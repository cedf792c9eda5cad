/* The device's rules for memory windows: what their work may overtake, and how bindings end. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_window.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

/* ---- order ---- */

/* The peer learns the key by the next message, and the window is there. */
START_TEST(test_a_binding_is_done_before_the_next_message)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    ck_assert_int_eq(raw_receive(here, 1, 0, 100), 0);
    struct ibv_send_wr send = raw_work(there, IBV_WR_SEND, &sge, 8);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
    wr.next = &send;
    wr.send_flags = 0;
    ck_assert_int_eq(raw_post(there, &wr), 0);
    window->rkey = wr.bind_mw.rkey;
    ck_assert_uint_eq(raw_await(here).wr_id, 1);
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    ck_assert_int_eq(raw_await(there).opcode, IBV_WC_SEND);
    window_close();
}
END_TEST

/* It overtakes the owner's own READs, unless it is fenced. */
START_TEST(test_a_fence_holds_local_work_back)
{
    const unsigned fences[] = {0, IBV_SEND_FENCE};
    for (unsigned i = 0; i < 2; i++) {
        struct ibv_sge sge;
        window_open(window_profiles[_i]);
        window_bind(window_access);
        struct ibv_send_wr wr = window_invalidation(window->rkey);
        struct ibv_send_wr own = raw_work(there, IBV_WR_RDMA_READ, &sge, RAW_BYTES);
        wr.send_flags |= fences[i];
        own.next = &wr;
        ck_assert_int_eq(raw_post(there, &own), 0);
        enum ibv_wc_status status =
            window_read(window_base() + WINDOW_AT, 1); /* back before all those bytes are */
        ck_assert_int_eq(status, fences[i] != 0 ? IBV_WC_SUCCESS : IBV_WC_REM_ACCESS_ERR);
        raw_await(there);
        raw_await(there);
        window_close();
    }
}
END_TEST

/* What is local needs no peer; what goes out afterwards is still in its place. */
START_TEST(test_local_work_without_a_peer)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    sim_device_stop(here->device);
    window_bind(window_access);
    window_invalidate();
    sim_device_revive(here->device);
    ck_assert_int_eq(raw_receive(here, 1, 0, 100), 0);
    struct ibv_send_wr wr = raw_work(there, IBV_WR_SEND, &sge, 8);
    ck_assert_int_eq(window_work(there, &wr), IBV_WC_SUCCESS);
    ck_assert_int_eq(raw_await(here).status, IBV_WC_SUCCESS);
    window_close();
}
END_TEST

/* A message before it is lost and repeated; the binding is not. */
START_TEST(test_a_binding_behind_what_is_repeated)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    ck_assert_int_eq(raw_receive(here, 1, 0, 100), 0);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
    struct ibv_send_wr send = raw_work(there, IBV_WR_SEND, &sge, 8);
    send.next = &wr;
    sim_device_stop(here->device);
    ck_assert_int_eq(raw_post(there, &send), 0);
    raw_assert_none(there, 1000);
    sim_device_revive(here->device);
    struct ibv_wc wc = raw_await(there);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_SEND);
    wc = raw_await(there);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_BIND_MW);
    ck_assert_int_eq(raw_await(here).status, IBV_WC_SUCCESS);
    window->rkey = wr.bind_mw.rkey;
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    window_close();
}
END_TEST

/* ---- the end of a binding ---- */

START_TEST(test_an_invalidated_key)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    window_bind(window_access);
    struct ibv_send_wr wr = window_invalidation(window->rkey);
    ck_assert_int_eq(raw_post(there, &wr), 0);
    struct ibv_wc wc = raw_await(there);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_LOCAL_INV);
    wr = window_reach(IBV_WR_RDMA_READ, &sge, window_base() + WINDOW_AT, 1);
    struct ibv_send_wr valid = raw_work(here, IBV_WR_RDMA_READ, &sge, 1);
    wr.next = &valid;
    ck_assert_int_eq(raw_post(here, &wr), 0);
    window_assert_refused(raw_await(here).status);
    ck_assert_int_eq(raw_await(here).status, IBV_WC_WR_FLUSH_ERR); /* the valid one behind it */
    window_close();
}
END_TEST

START_TEST(test_a_key_that_was_never_bound)
{
    window_open(window_profiles[_i]);
    window_assert_refused(window_read(window_base() + WINDOW_AT, 1));
    window_close();
}
END_TEST

/* The last moment counts: a READ that had begun ends with the window. */
START_TEST(test_a_window_that_goes_during_a_read)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    window_bind(window_access);
    sim_advance(1000);
    struct ibv_send_wr wr =
        window_reach(IBV_WR_RDMA_READ, &sge, window_base() + WINDOW_AT, WINDOW_BYTES);
    ck_assert_int_eq(raw_post(here, &wr), 0);
    sim_advance(100); /* it has arrived */
    ck_assert_int_eq(ibv_dealloc_mw(window), 0);
    window = NULL;
    window_assert_refused(raw_await(here).status);
    window_close();
}
END_TEST

START_TEST(test_keys_that_cannot_be_invalidated)
{
    for (unsigned i = 0; i < 4; i++) {
        window_open(window_profiles[_i]);
        uint32_t unbound = window->rkey;
        window_bind(window_access);
        uint32_t keys[] = {unbound, there->mr->rkey, window->rkey + 1, window->rkey};
        struct ibv_send_wr wr = window_invalidation(keys[i]);
        if (i == 3) {
            window_invalidate(); /* twice */
        }
        ck_assert_int_eq(window_work(there, &wr), IBV_WC_LOC_QP_OP_ERR);
        window_assert_broken(there);
        window_close();
    }
}
END_TEST

START_TEST(test_a_region_with_windows_stays)
{
    window_open(window_profiles[_i]);
    window_bind(window_access);
    ck_assert_int_eq(ibv_dereg_mr(window_region), EBUSY);
    window_invalidate();
    window_bind(window_access);
    ck_assert_int_eq(ibv_dereg_mr(window_region), EBUSY);
    ck_assert_int_eq(ibv_dealloc_mw(window), 0); /* bound */
    window = NULL;
    window_close();
}
END_TEST

/* Its window then is nobody's, and keeps its region until it is freed. */
START_TEST(test_a_queue_pair_that_goes_before_its_window)
{
    window_open(window_profiles[_i]);
    window_bind(window_access);
    ck_assert_int_eq(ibv_destroy_qp(there->qp), 0);
    there->qp = NULL;
    ck_assert_int_eq(ibv_dereg_mr(window_region), EBUSY);
    window_close();
}
END_TEST

/* The low byte is all there is: what was taken back long ago is good again at the 256th binding. */
START_TEST(test_keys_come_round)
{
    window_open(window_profiles[_i]);
    window_bind(window_access);
    uint32_t stale = window->rkey;
    for (unsigned i = 1; i < 256; i++) {
        window_invalidate();
        window_bind(window_access);
        test_check(window->rkey != stale, "came round at binding %u", i);
    }
    window_invalidate();
    window_bind(window_access);
    ck_assert_uint_eq(window->rkey, stale);
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    window_close();
}
END_TEST

/* ---- messages that invalidate ---- */

START_TEST(test_a_message_invalidates)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    window_bind(window_access);
    ck_assert_int_eq(raw_receive(there, 1, 0, 100), 0);
    struct ibv_send_wr wr = window_release(&sge, window->rkey);
    ck_assert_int_eq(raw_post(here, &wr), 0);
    struct ibv_wc wc = raw_await(there);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_RECV);
    ck_assert_uint_eq(wc.byte_len, 8);
    ck_assert_uint_eq(wc.invalidated_rkey, window->rkey);
    ck_assert_uint_eq(wc.wc_flags, window_profiles[_i]->flags_with_inv ? IBV_WC_WITH_INV : 0);
    ck_assert_int_eq(ibv_dereg_mr(window_region), 0); /* by then nothing is bound any more */
    window_region = NULL;
    wc = raw_await(here);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_SEND);
    window_assert_refused(window_read(window_base() + WINDOW_AT, 1));
    window_close();
}
END_TEST

START_TEST(test_messages_that_name_no_window)
{
    for (unsigned i = 0; i < 3; i++) {
        struct ibv_sge sge;
        window_open(window_profiles[_i]);
        uint32_t keys[] = {window->rkey, there->mr->rkey, 0};
        ck_assert_int_eq(raw_receive(there, 1, 0, 100), 0);
        struct ibv_send_wr wr = window_release(&sge, keys[i]);
        window_assert_refused(window_work(here, &wr));
        struct ibv_wc wc = raw_await(there);
        ck_assert_uint_eq(wc.wr_id, 1);
        ck_assert_int_eq(wc.status, IBV_WC_REM_INV_REQ_ERR);
        window_close();
    }
}
END_TEST

/* A message whose answer is lost comes again, and invalidates once. */
START_TEST(test_a_repeated_message_invalidates_once)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    for (unsigned i = 0; i < 50; i++) {
        window_bind(window_access);
        ck_assert_int_eq(raw_receive(there, i, 0, 100), 0);
        sim_fault_arm(sim_fault_points() + 8); /* behind post, arrival, packet and CQ: the answer */
        struct ibv_send_wr wr = window_release(&sge, window->rkey);
        ck_assert_int_eq(window_work(here, &wr), IBV_WC_SUCCESS);
        ck_assert_str_eq(sim_fault_hit(), "lost answer");
        ck_assert_int_eq(raw_await(there).status, IBV_WC_SUCCESS);
    }
    window_close();
}
END_TEST

/* ---- the world's account ---- */

static uint64_t run_once(void)
{
    struct ibv_sge sge;
    window_open(&sim_profile_mlx5);
    window_bind(window_access);
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, WINDOW_BYTES), IBV_WC_SUCCESS);
    ck_assert_int_eq(raw_receive(there, 1, 0, 100), 0);
    struct ibv_send_wr wr = window_release(&sge, window->rkey);
    ck_assert_int_eq(window_work(here, &wr), IBV_WC_SUCCESS);
    uint64_t hash = sim_trace_hash();
    raw_await(there);
    window_close();
    return hash;
}

START_TEST(test_a_run_comes_again)
{
    uint64_t hash = run_once();
    ck_assert_uint_eq(run_once(), hash);
}
END_TEST

/* Comes last: the scene still knows what is left, so that nobody takes it for a leak. */
START_TEST(test_what_is_left_is_counted)
{
    window_open(&sim_profile_mlx5);
    ck_assert_uint_eq(sim_close(), 2 * 6 + 2); /* six things at each end, a region and a window */
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_binding_is_done_before_the_next_message,
                                  test_a_fence_holds_local_work_back,
                                  test_local_work_without_a_peer,
                                  test_a_binding_behind_what_is_repeated,
                                  test_an_invalidated_key,
                                  test_a_key_that_was_never_bound,
                                  test_a_window_that_goes_during_a_read,
                                  test_keys_that_cannot_be_invalidated,
                                  test_a_region_with_windows_stays,
                                  test_a_queue_pair_that_goes_before_its_window,
                                  test_keys_come_round,
                                  test_a_message_invalidates,
                                  test_messages_that_name_no_window,
                                  test_a_repeated_message_invalidates_once};
    Suite *suite = suite_create("simverbs: ends of memory windows");
    TCase *tcase = tcase_create("mw");
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_loop_test(tcase, tests[i], 0, WINDOW_PROFILES);
    }
    tcase_add_test(tcase, test_a_run_comes_again);
    tcase_add_test(tcase, test_what_is_left_is_counted);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
