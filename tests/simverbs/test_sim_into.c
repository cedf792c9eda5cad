/* Results that are READ into vectors of the caller's, on the simulated device: what the end of a
 * call waits for while READs are under way, and for how long. */
#include <string.h>

#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { BYTES = 100000, TIMEOUT_US = 100000 };

/* At most so late, at random: far beyond the grace period, or within it. */
static const uint64_t grace_us = 1000000, too_late_us = 2000000000, late_us = 900000;

static struct sim_pair pair;

static void be_late(uint64_t most_us)
{
    struct sim_rates rates = {.work_late = most_us > 0 ? 1000000 : 0, .late_ns = most_us * 1000};
    sim_fault_rates(&rates);
}

/* A call whose reply has come, and whose READs are under way. */
static wb_rma_vector begin(int kind, uint64_t most_us, struct wb_call **call)
{
    struct produce_in in = {.seed = 1, .count = BYTES, .elem_size = 1};
    struct wb_engine_stats stats;
    wb_rma_vector room;
    sim_pair_open(&pair, 1, sim_profiles[kind]);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(sim_calls_digest(&pair, 1), WB_OK);
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, BYTES + 64, &room), WB_OK);
    struct wb_call_options options = {.timeout_us = TIMEOUT_US, .into = &room, .into_count = 1};
    be_late(most_us);
    ck_assert_int_eq(produce_async(pair.peer, &in, &options, call), WB_OK);
    sim_pair_settle(&pair, 1000);
    wb_engine_stats(pair.client.engine, &stats);
    ck_assert_uint_gt(stats.reads, 0);
    ck_assert(!wb_call_done(*call));
    return room;
}

/* Returns after how long from now on the call has ended, as it is expected to. */
static uint64_t finish(struct wb_call *call, int status)
{
    struct produce_out out;
    uint64_t start = sim_now_ns();
    ck_assert_int_eq(produce_finish(call, &out), status);
    ck_assert_ptr_null(out.data.block);
    return (sim_now_ns() - start) / 1000;
}

static void end(wb_rma_vector *room)
{
    be_late(0);
    wb_rma_vector_assert_exclusive(room);
    memset(room->data, 0xee, BYTES);
    sim_pair_settle(&pair, 3000000);
    for (size_t i = 0; i < BYTES; i++) {
        ck_assert_msg(((uint8_t *)room->data)[i] == 0xee, "byte %zu was written", i);
    }
    wb_rma_vector_drop(room);
}

START_TEST(test_an_end_waits_for_the_reads)
{
    struct wb_call *call;
    wb_rma_vector room = begin(_i, late_us, &call);
    wb_call_cancel(call);
    wb_progress(pair.client.engine);
    ck_assert(!wb_call_done(call));
    ck_assert(!wb_rma_vector_is_exclusive(&room));
    ck_assert_uint_lt(finish(call, WB_ERR_CANCELLED), grace_us);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_CONNECTED);
    end(&room);
    ck_assert_int_eq(sim_calls_digest(&pair, 2), WB_OK);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}
END_TEST

/* READs that do not end take their channel along: when its queue pair is gone they are. */
START_TEST(test_an_end_waits_no_longer_than_the_grace_period)
{
    struct wb_call *call;
    wb_rma_vector room = begin(_i, too_late_us, &call);
    uint64_t took_us = finish(call, WB_ERR_TIMED_OUT);
    ck_assert_uint_ge(took_us, grace_us);
    ck_assert_uint_lt(took_us, 2 * grace_us);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(pair.peer), "grace period"));
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    end(&room);
    sim_pair_close(&pair);
}
END_TEST

/* The call is open, or over for its deadline, when the server dies. */
START_TEST(test_an_end_when_the_server_is_dead)
{
    bool over = _i >= SIM_PROFILES;
    struct wb_call *call;
    wb_rma_vector room = begin(_i % SIM_PROFILES, too_late_us, &call);
    sim_pair_settle(&pair, over ? TIMEOUT_US : 0);
    ck_assert(!wb_call_done(call));
    sim_device_stop(pair.server_device);
    finish(call, WB_ERR_TIMED_OUT);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    end(&room);
    sim_pair_close(&pair);
}
END_TEST

/* The caller closes it. */
START_TEST(test_an_end_with_its_channel)
{
    struct wb_call *call;
    wb_rma_vector room = begin(_i, too_late_us, &call);
    wb_peer_close(pair.peer);
    pair.peer = NULL;
    finish(call, WB_ERR_CLOSED);
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    end(&room);
    sim_pair_close(&pair);
}
END_TEST

START_TEST(test_a_dropped_vector_is_held_by_the_reads)
{
    struct wb_call *call;
    struct wb_rma_stats stats;
    wb_rma_vector room = begin(_i, late_us, &call);
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    wb_rma_vector_drop(&room);
    wb_call_cancel(call);
    wb_progress(pair.client.engine);
    wb_rma_allocator_stats(pool, &stats);
    ck_assert_uint_eq(stats.blocks, 1);
    finish(call, WB_ERR_CANCELLED);
    wb_rma_allocator_stats(pool, &stats);
    ck_assert_uint_eq(stats.blocks, 0);
    be_late(0);
    ck_assert_int_eq(sim_calls_digest(&pair, 2), WB_OK);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: into");
    TCase *tcase = tcase_create("into");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_an_end_waits_for_the_reads, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_an_end_waits_no_longer_than_the_grace_period, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_an_end_when_the_server_is_dead, 0, 2 * SIM_PROFILES);
    tcase_add_loop_test(tcase, test_an_end_with_its_channel, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_dropped_vector_is_held_by_the_reads, 0, SIM_PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
