/* One engine with two lanes, verbs and shm: what arrives by them shares one budget. */
#include <string.h>

#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static const size_t mib = 1 << 20;
static const char *const shm_url = "shm://sim_lanes";

static struct sim_pair pair;
static struct wb_peer *by_shm;

static void open_pair(enum wb_when_full when_full)
{
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    pair.config.budget_bytes = 32 * mib;
    pair.config.when_full = when_full;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(wb_listen(pair.server.engine, shm_url), WB_OK);
    ck_assert_int_eq(wb_connect(pair.client.engine, shm_url, &by_shm), WB_OK);
    ck_assert_int_eq(wb_peer_wait(by_shm, 20000000), WB_OK);
}

/* What is left is not counted: threads of shm take and give memory that the world does not see. */
static void close_pair(void)
{
    sim_calls_assert_quiet(&pair, "at the end");
    wb_peer_close(by_shm);
    sim_pair_clear(&pair);
}

static wb_rma_vector vector_of(size_t bytes)
{
    wb_rma_vector vector;
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, bytes, &vector), WB_OK);
    test_pattern_fill(vector.data, bytes, 2);
    return vector;
}

static struct wb_call *hold(struct wb_peer *peer, wb_rma_vector *vector)
{
    struct wb_call *call = NULL;
    struct wait_at_gate_in in = {.data = wb_rma_vector_share(vector)};
    ck_assert_int_eq(wait_at_gate_async(peer, &in, NULL, &call), WB_OK);
    wait_at_gate_in_drop(&in);
    sim_pair_settle(&pair, 100000); /* it has landed */
    return call;
}

static void open_gate(struct wb_call *held)
{
    struct open_gate_in in = {.open = 1};
    struct open_gate_out out;
    struct wait_at_gate_out nothing;
    ck_assert_int_eq(open_gate_call(pair.peer, &in, &out, NULL), WB_OK);
    ck_assert_int_eq(wait_at_gate_finish(held, &nothing), WB_OK);
}

static int digest(struct wb_peer *peer, wb_rma_vector *vector)
{
    struct digest_in in = {.seed = 1, .data = wb_rma_vector_share(vector)};
    struct digest_out out;
    int status = digest_call(peer, &in, &out, NULL);
    ck_assert(status != WB_OK || out.data_right == in.data.count);
    digest_in_drop(&in);
    return status;
}

/* More than half is admitted on one lane: the other one knows it, and afterwards has all. */
START_TEST(test_what_one_lane_holds_the_other_lacks)
{
    open_pair(WB_FULL_REFUSE);
    struct wb_peer *peers[] = {pair.peer, by_shm};
    wb_rma_vector large = vector_of(10 * mib), small = vector_of(4 * mib);
    struct wb_call *held = hold(peers[_i], &large);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(digest(peers[i], &large), WB_ERR_BUSY);
        ck_assert_int_eq(digest(peers[i], &small), WB_OK);
    }
    open_gate(held);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(digest(peers[i], &large), WB_OK);
    }
    wb_rma_vector_drop(&large);
    wb_rma_vector_drop(&small);
    close_pair();
}
END_TEST

/* Who waits on one lane is not overtaken by small ones on the other, which wait behind. */
START_TEST(test_who_came_first_goes_first)
{
    struct wb_call *first = NULL, *second = NULL;
    open_pair(WB_FULL_WAIT);
    struct wb_peer *peers[] = {pair.peer, by_shm};
    wb_rma_vector large = vector_of(10 * mib), small = vector_of(1 * mib);
    struct wb_call *held = hold(peers[0], &large);
    struct digest_in in = {.seed = 1, .data = wb_rma_vector_share(&large)};
    struct digest_out out;
    ck_assert_int_eq(digest_async(peers[_i], &in, NULL, &first), WB_OK);
    sim_pair_settle(&pair, 100000);
    digest_in_drop(&in);
    in.data = wb_rma_vector_share(&small);
    ck_assert_int_eq(digest_async(peers[1 - _i], &in, NULL, &second), WB_OK);
    sim_pair_settle(&pair, 100000);
    digest_in_drop(&in);
    ck_assert(!wb_call_done(first) && !wb_call_done(second));
    open_gate(held);
    ck_assert_int_eq(digest_finish(first, &out), WB_OK);
    ck_assert_int_eq(digest_finish(second, &out), WB_OK);
    wb_rma_vector_drop(&large);
    wb_rma_vector_drop(&small);
    close_pair();
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: two lanes");
    TCase *tcase = tcase_create("lanes");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_what_one_lane_holds_the_other_lacks, 0, 2);
    tcase_add_loop_test(tcase, test_who_came_first_goes_first, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
