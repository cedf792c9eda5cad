/* The device's rules for memory windows: who makes and binds them, who reaches through. */
#include <errno.h>
#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_window.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

static const struct sim_profile *const poor_profiles[] = {&sim_profile_aries, &sim_profile_tiny};

/* ---- making them ---- */

START_TEST(test_windows_are_made_and_freed)
{
    window_open(window_profiles[_i]);
    ck_assert_ptr_null(ibv_alloc_mw(there->pd, IBV_MW_TYPE_1));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(ibv_dereg_mr(window_region), 0);
    ck_assert_int_eq(ibv_dereg_mr(there->mr), 0);
    there->mr = window_region = NULL;
    struct ibv_pd *pd = ibv_alloc_pd(there->context);
    struct ibv_mw *mw = ibv_alloc_mw(pd, IBV_MW_TYPE_2);
    ck_assert_uint_ne(mw->rkey >> 8, window->rkey >> 8);
    ck_assert_int_eq(ibv_dealloc_pd(pd), EBUSY);
    ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
    ck_assert_int_eq(ibv_dealloc_pd(pd), 0);
    window_close();
}
END_TEST

START_TEST(test_windows_run_out)
{
    static struct sim_profile poor;
    poor = *window_profiles[_i];
    poor.attr.max_mw = 2;
    window_open(&poor);
    struct ibv_mw *second = ibv_alloc_mw(there->pd, IBV_MW_TYPE_2);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_null(ibv_alloc_mw(there->pd, IBV_MW_TYPE_2));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_int_eq(ibv_dealloc_mw(second), 0);
    sim_fault_arm(sim_fault_points() + 1);
    ck_assert_ptr_null(ibv_alloc_mw(there->pd, IBV_MW_TYPE_2));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_str_eq(sim_fault_hit(), "ibv_alloc_mw");
    window_close();
}
END_TEST

START_TEST(test_devices_without_windows)
{
    struct ibv_sge sge;
    static struct sim_profile poor;
    poor = *poor_profiles[_i];
    poor.max_inline = 64; /* the scene wants it */
    raw_open(&(struct raw_wish){.profile = &poor, .depth = 1});
    ck_assert_ptr_null(ibv_alloc_mw(there->pd, IBV_MW_TYPE_2));
    ck_assert_int_eq(errno, EOPNOTSUPP);
    struct ibv_send_wr wr = window_invalidation(1);
    ck_assert_int_eq(raw_post(there, &wr), EINVAL);
    wr = raw_work(there, IBV_WR_SEND_WITH_INV, &sge, 8);
    ck_assert_int_eq(raw_post(there, &wr), EINVAL);
    raw_close();
}
END_TEST

/* Their keys have a range of their own: no registration's key ever names a window. */
START_TEST(test_keys_are_no_regions)
{
    window_open(window_profiles[_i]);
    for (unsigned i = 0; i < 1000; i++) {
        struct ibv_mr *mr = ibv_reg_mr(there->pd, there->bytes, 8, IBV_ACCESS_REMOTE_READ);
        struct ibv_mw *mw = ibv_alloc_mw(there->pd, IBV_MW_TYPE_2);
        test_check(mr->rkey >> 31 == 0 && mr->lkey >> 31 == 0 && mw->rkey >> 31 == 1,
                   "keys %u, %u and %u", mr->lkey, mr->rkey, mw->rkey);
        ck_assert_int_eq(ibv_dealloc_mw(mw), 0);
        ck_assert_int_eq(ibv_dereg_mr(mr), 0);
    }
    window_close();
}
END_TEST

/* ---- through a window ---- */

START_TEST(test_a_peer_reads_and_writes)
{
    window_open(window_profiles[_i]);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
    ck_assert_int_eq(raw_post(there, &wr), 0);
    struct ibv_wc wc = raw_await(there);
    ck_assert_int_eq(wc.status, IBV_WC_SUCCESS);
    ck_assert_int_eq(wc.opcode, IBV_WC_BIND_MW);
    ck_assert_uint_ne(window->rkey, wr.bind_mw.rkey); /* the device leaves that to the program */
    window->rkey = wr.bind_mw.rkey;
    memset(there->bytes + WINDOW_AT, 7, WINDOW_BYTES);
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, WINDOW_BYTES), IBV_WC_SUCCESS);
    ck_assert_uint_eq(here->bytes[WINDOW_BYTES - 1], 7);
    here->bytes[0] = 8;
    ck_assert_int_eq(window_write(window_base() + WINDOW_AT + WINDOW_BYTES - 1, 1), IBV_WC_SUCCESS);
    ck_assert_uint_eq(there->bytes[WINDOW_AT + WINDOW_BYTES - 1], 8);
    window_close();
}
END_TEST

START_TEST(test_bounds_are_the_windows)
{
    const struct {
        uint64_t address;
        uint32_t len;
    } outside[] = {{WINDOW_AT - 1, 1},
                   {WINDOW_AT + 1, WINDOW_BYTES},
                   {WINDOW_AT + WINDOW_BYTES, 1},
                   {WINDOW_AT, RAW_BYTES - WINDOW_AT}};
    for (unsigned i = 0; i < 4; i++) {
        window_open(window_profiles[_i]);
        window_bind(window_access);
        window_assert_refused(window_read(window_base() + outside[i].address, outside[i].len));
        window_close();
    }
}
END_TEST

START_TEST(test_rights_are_the_windows)
{
    window_open(window_profiles[_i]);
    window_bind(IBV_ACCESS_REMOTE_READ);
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    window_assert_refused(window_write(window_base() + WINDOW_AT, 1));
    window_close();
    window_open(window_profiles[_i]);
    window_bind(IBV_ACCESS_REMOTE_WRITE);
    ck_assert_int_eq(window_write(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    window_assert_refused(window_read(window_base() + WINDOW_AT, 1));
    window_close();
}
END_TEST

/* Another queue pair of the owner's, as one that leads to somebody else. */
static void open_second(struct raw_end *second)
{
    *second = *there;
    struct ibv_qp_init_attr init = {.send_cq = there->cq,
                                    .recv_cq = there->cq,
                                    .srq = there->srq,
                                    .cap = {.max_send_wr = 4, .max_send_sge = 1},
                                    .qp_type = IBV_QPT_RC};
    second->qp = ibv_create_qp(there->pd, &init);
    ck_assert_ptr_nonnull(second->qp);
    raw_connect(second, here, &(struct raw_wish){.depth = 1});
}

START_TEST(test_a_window_is_one_queue_pairs)
{
    static struct raw_end second;
    window_open(window_profiles[_i]);
    open_second(&second);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
    ck_assert_int_eq(window_work(&second, &wr), IBV_WC_SUCCESS);
    window->rkey = wr.bind_mw.rkey;
    wr = window_invalidation(window->rkey); /* nor may the other one take it back */
    ck_assert_int_eq(window_work(there, &wr), IBV_WC_LOC_QP_OP_ERR);
    window_assert_broken(there);
    ck_assert_int_eq(ibv_destroy_qp(second.qp), 0);
    window_close();

    window_open(window_profiles[_i]);
    open_second(&second);
    wr = window_binding(WINDOW_BYTES, window_access);
    ck_assert_int_eq(window_work(&second, &wr), IBV_WC_SUCCESS);
    window->rkey = wr.bind_mw.rkey;
    window_assert_refused(window_read(window_base() + WINDOW_AT, 1));
    ck_assert_int_eq(ibv_destroy_qp(second.qp), 0);
    window_close();
}
END_TEST

/* ---- bindings that cannot be ---- */

enum wrong {
    FOREIGN_KEY,
    SAME_KEY,
    STALE_WINDOW,
    TOO_LONG,
    BEFORE_REGION,
    NOTHING,
    OTHER_ACCESS,
    NO_MW_BIND,
    NO_LOCAL_WRITE,
    OTHER_PDS_REGION,
    OTHER_PDS_WINDOW,
    ALREADY_BOUND,
    WRONGS
};

static struct ibv_pd *other_pd;
static struct ibv_mr *other_region;
static struct ibv_mw *other_window;

static void open_others(enum wrong wrong)
{
    unsigned access = (wrong != NO_LOCAL_WRITE ? IBV_ACCESS_LOCAL_WRITE : 0) |
                      (wrong != NO_MW_BIND ? IBV_ACCESS_MW_BIND : 0);
    other_pd = ibv_alloc_pd(there->context);
    other_window = ibv_alloc_mw(other_pd, IBV_MW_TYPE_2);
    other_region = ibv_reg_mr(wrong == OTHER_PDS_REGION ? other_pd : there->pd, there->bytes,
                              RAW_BYTES, access);
    ck_assert_ptr_nonnull(other_region);
}

static void close_others(void)
{
    ck_assert_int_eq(ibv_dereg_mr(other_region), 0);
    ck_assert_int_eq(ibv_dealloc_mw(other_window), 0);
    ck_assert_int_eq(ibv_dealloc_pd(other_pd), 0);
}

static void make_wrong(struct ibv_send_wr *wr, enum wrong wrong)
{
    struct ibv_mw_bind_info *info = &wr->bind_mw.bind_info;
    switch (wrong) {
    case FOREIGN_KEY:
        wr->bind_mw.rkey += 256;
        break;
    case SAME_KEY:
        wr->bind_mw.rkey = window->rkey;
        break;
    case STALE_WINDOW:
        window->rkey = wr->bind_mw.rkey++;
        break;
    case TOO_LONG:
        info->length = RAW_BYTES;
        break;
    case BEFORE_REGION:
        info->addr = window_base() - 1;
        break;
    case NOTHING:
        info->length = 0;
        break;
    case OTHER_ACCESS:
        info->mw_access_flags = IBV_ACCESS_ZERO_BASED | IBV_ACCESS_REMOTE_READ;
        break;
    case OTHER_PDS_WINDOW:
        wr->bind_mw.mw = other_window;
        wr->bind_mw.rkey = ibv_inc_rkey(other_window->rkey);
        break;
    case ALREADY_BOUND:
        window_bind(window_access);
        wr->bind_mw.rkey++;
        break;
    default:
        info->mr = other_region;
    }
}

START_TEST(test_bindings_that_cannot_be)
{
    for (enum wrong wrong = 0; wrong < WRONGS; wrong++) {
        window_open(window_profiles[_i]);
        open_others(wrong);
        struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
        make_wrong(&wr, wrong);
        enum ibv_wc_status status = window_work(there, &wr);
        test_check(status == IBV_WC_MW_BIND_ERR, "mistake %d: status %d", (int)wrong, (int)status);
        window_assert_broken(there);
        close_others();
        window_close();
    }
}
END_TEST

/* A window for reading alone asks no right to write of its region. */
START_TEST(test_constant_memory_is_bound_for_reading)
{
    window_open(window_profiles[_i]);
    open_others(NO_LOCAL_WRITE);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, IBV_ACCESS_REMOTE_READ);
    wr.bind_mw.bind_info.mr = other_region;
    ck_assert_int_eq(window_work(there, &wr), IBV_WC_SUCCESS);
    window->rkey = wr.bind_mw.rkey;
    ck_assert_int_eq(window_read(window_base() + WINDOW_AT, 1), IBV_WC_SUCCESS);
    window_invalidate();
    close_others();
    window_close();
}
END_TEST

START_TEST(test_bindings_are_looked_at_when_they_are_posted)
{
    struct ibv_sge sge;
    window_open(window_profiles[_i]);
    struct ibv_send_wr wr = window_binding(WINDOW_BYTES, window_access);
    wr.bind_mw.bind_info.mr = NULL;
    ck_assert_int_eq(raw_post(there, &wr), EINVAL);
    wr = raw_work(there, IBV_WR_LOCAL_INV, &sge, 8); /* it has no bytes */
    ck_assert_int_eq(raw_post(there, &wr), EINVAL);
    window_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_windows_are_made_and_freed,
                                  test_windows_run_out,
                                  test_keys_are_no_regions,
                                  test_a_peer_reads_and_writes,
                                  test_bounds_are_the_windows,
                                  test_rights_are_the_windows,
                                  test_a_window_is_one_queue_pairs,
                                  test_bindings_that_cannot_be,
                                  test_constant_memory_is_bound_for_reading,
                                  test_bindings_are_looked_at_when_they_are_posted};
    Suite *suite = suite_create("simverbs: memory windows");
    TCase *tcase = tcase_create("mw");
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_loop_test(tcase, tests[i], 0, WINDOW_PROFILES);
    }
    tcase_add_loop_test(tcase, test_devices_without_windows, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
