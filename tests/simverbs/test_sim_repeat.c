/* What a requester repeats: it counts once against what the responder allows, and its memory is
 * read anew. */
#include <string.h>

#include "tests/simverbs/fault.h"
#include "tests/simverbs/scene_raw.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

static void post(enum ibv_wr_opcode opcode, uint32_t len, uint64_t wr_id)
{
    struct ibv_sge sge;
    struct ibv_send_wr wr = raw_work(here, opcode, &sge, len);
    wr.wr_id = wr_id;
    ck_assert_int_eq(raw_post(here, &wr), 0);
}

static void assert_ends(struct raw_end *end, uint64_t wr_id, enum ibv_wc_status status)
{
    struct ibv_wc wc = raw_await(end);
    ck_assert_uint_eq(wc.wr_id, wr_id);
    ck_assert_int_eq(wc.status, status);
}

static void pass(uint64_t us)
{
    uint64_t end = sim_now_ns() + us * 1000;
    while (sim_now_ns() < end) {
        sim_advance(1);
    }
}

/* What is sent meanwhile is lost. */
static void cut(uint64_t us)
{
    sim_link_set(there->device, false);
    pass(us);
    sim_link_set(there->device, true);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_PORT_ERR);
    ck_assert_int_eq(raw_async(there), IBV_EVENT_PORT_ACTIVE);
}

/* ---- READs ---- */

START_TEST(test_an_answer_that_was_lost_frees_its_place)
{
    raw_open(&(struct raw_wish){.depth = 1});
    test_pattern_fill(there->bytes, RAW_BYTES, 1);
    post(IBV_WR_RDMA_READ, RAW_BYTES, 1);
    pass(4); /* it has arrived, its bytes are on their way */
    cut(20);
    assert_ends(here, 1, IBV_WC_SUCCESS);
    post(IBV_WR_RDMA_READ, RAW_BYTES, 2);
    assert_ends(here, 2, IBV_WC_SUCCESS);
    ck_assert_uint_eq(test_pattern_check(here->bytes, RAW_BYTES, 1), RAW_BYTES);
    raw_close();
}
END_TEST

/* The first answer is still on its way when the READ is asked for again. */
START_TEST(test_a_repeated_read_counts_once)
{
    raw_open(&(struct raw_wish){.depth = 1});
    sim_fault_rates(&(struct sim_rates){.work_late = 1000000, .late_ns = 10000000000});
    post(IBV_WR_RDMA_READ, RAW_BYTES, 1);
    pass(4);
    sim_fault_rates(&(struct sim_rates){.late_ns = 0});
    sim_link_set(there->device, false);
    post(IBV_WR_RDMA_WRITE, 0, 2);
    pass(20);
    sim_link_set(there->device, true);
    assert_ends(here, 1, IBV_WC_SUCCESS);
    assert_ends(here, 2, IBV_WC_SUCCESS);
    post(IBV_WR_RDMA_READ, RAW_BYTES, 3);
    assert_ends(here, 3, IBV_WC_SUCCESS);
    raw_close();
}
END_TEST

/* ---- the requester's own memory ---- */

/* Its end does not come from the peer, and cannot be lost. */
START_TEST(test_what_fails_by_itself_never_succeeds)
{
    struct ibv_sge sge;
    raw_open(NULL);
    ck_assert_int_eq(raw_receive(there, 9, 0, 64), 0);
    sim_fault_rates(&(struct sim_rates){.answer_lost = 1000000});
    struct ibv_send_wr wr = raw_work(here, IBV_WR_SEND, &sge, 8);
    sge.lkey++;
    ck_assert_int_eq(raw_post(here, &wr), 0);
    assert_ends(here, 0, IBV_WC_LOC_PROT_ERR);
    raw_close();
}
END_TEST

/* Memory that was given back while work on it could still be repeated is found, though the message
 * has arrived; so is it when nobody is there to hear it. */
START_TEST(test_a_repetition_reads_memory_again)
{
    for (int silent = 0; silent < 2; silent++) {
        raw_open(NULL);
        ck_assert_int_eq(raw_receive(there, 9, 0, 64), 0);
        sim_fault_rates(&(struct sim_rates){.answer_lost = 1000000});
        post(IBV_WR_SEND, 64, 1);
        assert_ends(there, 9, IBV_WC_SUCCESS);
        sim_fault_rates(&(struct sim_rates){.late_ns = 0});
        ck_assert_int_eq(ibv_dereg_mr(here->mr), 0);
        here->mr = NULL;
        sim_link_set(there->device, silent == 0);
        pass(500000);
        sim_link_set(there->device, true);
        assert_ends(here, 1, IBV_WC_LOC_PROT_ERR);
        while (raw_async(there) >= 0 || raw_async(here) >= 0) {
        }
        raw_close();
    }
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_an_answer_that_was_lost_frees_its_place, test_a_repeated_read_counts_once,
        test_what_fails_by_itself_never_succeeds, test_a_repetition_reads_memory_again};
    Suite *suite = suite_create("simverbs: repetitions");
    TCase *tcase = test_program_case("repeat", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
