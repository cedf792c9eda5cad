/* The device's rules for memory: keys, bounds, rights, and when they are looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/simverbs/scene_raw.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

/* READs `len` bytes with this key, from `offset` of the peer's memory. Its end. */
static enum ibv_wc_status read_with(uint32_t rkey, uint64_t address, uint32_t len)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_READ, &sge, len);
    wr.wr.rdma.rkey = rkey;
    wr.wr.rdma.remote_addr = address;
    ck_assert_int_eq(raw_post(here, &wr), 0);
    return raw_await(here).status;
}

static void assert_refused(uint32_t rkey, uint64_t address, uint32_t len)
{
    ck_assert_int_eq(read_with(rkey, address, len), IBV_WC_REM_ACCESS_ERR);
    ck_assert_int_eq(here->qp->state, IBV_QPS_ERR);
    ck_assert_int_eq(there->qp->state, IBV_QPS_ERR);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_QP_ACCESS_ERR);
}

static uint64_t base(void)
{
    return (uintptr_t)there->bytes;
}

START_TEST(test_reads_need_a_key_and_its_bounds)
{
    raw_open(NULL);
    ck_assert_int_eq(read_with(there->mr->rkey, base(), RAW_BYTES), IBV_WC_SUCCESS);
    ck_assert_int_eq(read_with(there->mr->rkey, base() + RAW_BYTES - 1, 1), IBV_WC_SUCCESS);
    ck_assert_int_eq(read_with(12345, base(), 0), IBV_WC_SUCCESS); /* nothing is touched */
    assert_refused(there->mr->rkey, base() + 1, RAW_BYTES);
    raw_close();
}
END_TEST

START_TEST(test_keys_that_are_none)
{
    for (int i = 0; i < 4; i++) {
        raw_open(NULL);
        uint32_t keys[] = {there->mr->lkey, there->mr->rkey + 2, 0, UINT32_MAX};
        assert_refused(keys[i], base(), 1);
        raw_close();
    }
}
END_TEST

START_TEST(test_addresses_that_wrap_around)
{
    raw_open(NULL);
    assert_refused(there->mr->rkey, UINT64_MAX - 3, 8);
    raw_close();
}
END_TEST

START_TEST(test_rights_are_looked_at)
{
    raw_open(NULL);
    struct ibv_mr *local = ibv_reg_mr(there->pd, there->bytes, 100, IBV_ACCESS_LOCAL_WRITE);
    assert_refused(local->rkey, base(), 1);
    ck_assert_int_eq(ibv_dereg_mr(local), 0);
    raw_close();
}
END_TEST

/* Slabs are readable for peers and no more. */
START_TEST(test_nobody_writes_where_only_reading_is_allowed)
{
    struct ibv_sge sge;
    raw_open(NULL);
    struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_WRITE, &sge, 1);
    ck_assert_int_eq(raw_post(here, &wr), 0);
    ck_assert_int_eq(raw_await(here).status, IBV_WC_REM_ACCESS_ERR);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_QP_ACCESS_ERR);
    raw_close();
}
END_TEST

START_TEST(test_another_domains_key)
{
    raw_open(NULL);
    struct ibv_pd *pd = ibv_alloc_pd(there->context);
    struct ibv_mr *mr = ibv_reg_mr(pd, there->bytes, 100, IBV_ACCESS_REMOTE_READ);
    assert_refused(mr->rkey, base(), 1);
    ck_assert_int_eq(ibv_dealloc_pd(pd), EBUSY);
    ck_assert_int_eq(ibv_dereg_mr(mr), 0);
    ck_assert_int_eq(ibv_dealloc_pd(pd), 0);
    raw_close();
}
END_TEST

/* While a READ is under way its key goes: the last moment counts, and the memory may be gone. */
START_TEST(test_a_key_that_goes_during_a_read)
{
    struct ibv_sge sge;
    raw_open(NULL);
    uint8_t *memory = malloc(RAW_BYTES);
    memset(memory, 1, RAW_BYTES);
    struct ibv_mr *mr = ibv_reg_mr(there->pd, memory, RAW_BYTES, IBV_ACCESS_REMOTE_READ);
    struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_READ, &sge, RAW_BYTES);
    wr.wr.rdma.remote_addr = (uintptr_t)memory;
    wr.wr.rdma.rkey = mr->rkey;
    ck_assert_int_eq(raw_post(here, &wr), 0);
    sim_advance(100); /* it has arrived */
    ck_assert_int_eq(ibv_dereg_mr(mr), 0);
    free(memory);
    ck_assert_int_eq(raw_await(here).status, IBV_WC_REM_ACCESS_ERR);
    ck_assert_uint_eq(here->bytes[0], 0);
    raw_async(there);
    raw_close();
}
END_TEST

START_TEST(test_local_keys_are_looked_at)
{
    for (int i = 0; i < 3; i++) {
        struct ibv_sge sge;
        raw_open(NULL);
        struct ibv_mr *constant = ibv_reg_mr(here->pd, here->bytes, 100, IBV_ACCESS_REMOTE_READ);
        uint32_t keys[] = {here->mr->lkey + 2000, here->mr->rkey, constant->lkey};
        struct ibv_send_wr wr = raw_work(here, IBV_WR_RDMA_READ, &sge, 1);
        sge.lkey = keys[i]; /* the last may be read and not written */
        ck_assert_int_eq(raw_post(here, &wr), 0);
        ck_assert_int_eq(raw_await(here).status, IBV_WC_LOC_PROT_ERR);
        ck_assert_int_eq(here->qp->state, IBV_QPS_ERR);
        ck_assert_int_eq(ibv_dereg_mr(constant), 0);
        raw_close();
    }
}
END_TEST

START_TEST(test_keys_do_not_come_round)
{
    static uint32_t seen[2000];
    raw_open(NULL);
    for (unsigned i = 0; i < 1000; i++) {
        struct ibv_mr *mr = ibv_reg_mr(here->pd, here->bytes, 8, IBV_ACCESS_REMOTE_READ);
        seen[2 * i] = mr->lkey;
        seen[2 * i + 1] = mr->rkey;
        ck_assert_int_eq(ibv_dereg_mr(mr), 0);
        for (unsigned j = 0; j < 2 * i; j++) {
            test_check(seen[j] != seen[2 * i] && seen[j] != seen[2 * i + 1], "key %u came round",
                       seen[j]);
        }
        ck_assert_uint_ne(seen[2 * i], seen[2 * i + 1]);
    }
    raw_close();
}
END_TEST

START_TEST(test_registrations_that_cannot_be)
{
    raw_open(&(struct raw_wish){.profile = &sim_profile_mlx5});
    void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_null(ibv_reg_mr(here->pd, here->bytes, 8, IBV_ACCESS_REMOTE_WRITE));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(ibv_reg_mr(here->pd, hole, 4096, IBV_ACCESS_REMOTE_READ));
    ck_assert_int_eq(errno, EFAULT);
    munmap(hole, 4096);
    raw_close();
}
END_TEST

/* Where the device has no more to give. */
START_TEST(test_registrations_run_out)
{
    struct ibv_mr *mrs[64] = {NULL};
    static struct sim_profile poor;
    poor = sim_profile_mlx5;
    poor.attr.max_mr = 8;
    raw_open(&(struct raw_wish){.profile = &poor});
    for (int i = 0; i < 7; i++) {
        mrs[i] = ibv_reg_mr(here->pd, here->bytes, 8, IBV_ACCESS_REMOTE_READ);
        ck_assert_ptr_nonnull(mrs[i]);
    }
    ck_assert_ptr_null(ibv_reg_mr(here->pd, here->bytes, 8, IBV_ACCESS_REMOTE_READ));
    ck_assert_int_eq(errno, ENOMEM);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(ibv_dereg_mr(mrs[i]), 0);
    }
    raw_close();
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_reads_need_a_key_and_its_bounds,
                                  test_keys_that_are_none,
                                  test_addresses_that_wrap_around,
                                  test_rights_are_looked_at,
                                  test_nobody_writes_where_only_reading_is_allowed,
                                  test_another_domains_key,
                                  test_a_key_that_goes_during_a_read,
                                  test_local_keys_are_looked_at,
                                  test_keys_do_not_come_round,
                                  test_registrations_that_cannot_be,
                                  test_registrations_run_out};
    Suite *suite = suite_create("simverbs: memory");
    TCase *tcase = test_program_case("mr", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
