/* Two engines on two hosts connect and call each other over the simulated network. */
#include "tests/simverbs/scene_pair.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

static struct sim_pair pair;

static void call_add(void)
{
    struct add_in in = {.a = 40, .b = 2};
    struct add_out out;
    int status = add_call(pair.peer, &in, &out, NULL);
    ck_assert_msg(status == WB_OK, "%s: %s", wb_status_name(status), wb_last_error());
    ck_assert_uint_eq(out.sum, 42);
}

/* Chunks both ways. */
static void call_with_chunks(size_t bytes, uint64_t seed)
{
    struct wb_call_options options = {.reply_bytes = 2 * bytes};
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    struct vector_in in = {.before = 1, .after = 2};
    struct vector_out out;
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, bytes, &in.data), WB_OK);
    test_pattern_fill(in.data.data, bytes, seed);
    int status = vector_call(pair.peer, &in, &out, &options);
    ck_assert_msg(status == WB_OK, "%s: %s", wb_status_name(status), wb_last_error());
    ck_assert_uint_eq(wb_rma_vector_bytes(&out.data), bytes);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, seed), bytes);
    vector_out_drop(&out);
    vector_in_drop(&in);
}

static void run(uint64_t seed, const struct sim_profile *profile)
{
    sim_pair_open(&pair, seed, profile);
    int status = sim_pair_begin(&pair);
    ck_assert_msg(status == WB_OK, "%s: %s", profile->name, wb_last_error());
    for (unsigned i = 0; i < 20; i++) {
        call_add();
        call_with_chunks(1000 + i * 9000, i);
    }
    sim_pair_end(&pair);
}

START_TEST(test_calls_on_every_profile)
{
    run(1, sim_profiles[_i]);
    sim_pair_close(&pair);
}
END_TEST

static void connect_anew(const struct sim_profile *profile)
{
    wb_peer_close(pair.peer);
    pair.peer = NULL;
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &pair.peer), WB_OK);
    int status = wb_peer_wait(pair.peer, 10000000);
    ck_assert_msg(status == WB_OK, "%s: %s", profile->name, wb_last_error());
}

/* A link that is down for longer than the retries last costs the connection; when it is back, one
 * connects anew. */
START_TEST(test_a_link_that_comes_back)
{
    sim_pair_open(&pair, 1, sim_profiles[_i]);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    call_add();
    sim_link_set(pair.server_device, false);
    sim_pair_settle(&pair, 10000000);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    sim_link_set(pair.server_device, true);
    sim_pair_settle(&pair, 5000000);
    connect_anew(sim_profiles[_i]);
    call_with_chunks(50000, 1);
    sim_pair_close(&pair);
}
END_TEST

/* A completion queue that breaks costs all channels on it; those that are made then have another.
 */
START_TEST(test_a_broken_cq_is_made_anew)
{
    static const struct sim_rates breaks = {.cq_overrun = 1000000}, none = {.cq_overrun = 0};
    struct wb_call *call;
    struct nothing_in in = {.hold = {.call = NULL}};
    struct nothing_out out;
    sim_pair_open(&pair, 1, sim_profiles[_i]);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    call_add();
    sim_fault_rates(&breaks);
    ck_assert_int_eq(nothing_async(pair.peer, &in, NULL, &call), WB_OK);
    sim_pair_settle(&pair, 100000);
    sim_fault_rates(&none);
    ck_assert_int_eq(wb_call_wait(call, 10000000), WB_OK);
    ck_assert_int_eq(nothing_finish(call, &out), WB_ERR_PEER_LOST);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    sim_pair_settle(&pair, 100000); /* the server has heard of its own, too */
    connect_anew(sim_profiles[_i]);
    call_with_chunks(50000, 1);
    call_add();
    sim_pair_close(&pair);
}
END_TEST

/* A host that dies says no goodbye: its silence is noticed within the configured time, and calls
 * that are open end with it. */
START_TEST(test_a_host_that_dies)
{
    struct wait_at_gate_in in = {.raw = {.data = NULL}};
    struct wait_at_gate_out out;
    struct wb_call *call;
    sim_pair_open(&pair, 1, sim_profiles[_i]);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(wait_at_gate_async(pair.peer, &in, NULL, &call), WB_OK);
    sim_pair_settle(&pair, 5000000); /* probes keep an idle channel alive */
    ck_assert(!wb_call_done(call));
    sim_device_stop(pair.server_device);
    uint64_t start = sim_now_ns();
    ck_assert_int_eq(wb_call_wait(call, 60000000), WB_OK);
    uint64_t took_ms = (sim_now_ns() - start) / 1000000;
    ck_assert_msg(took_ms >= 1800 && took_ms < 3500, "after %u ms", (unsigned)took_ms);
    ck_assert_int_eq(wait_at_gate_finish(call, &out), WB_ERR_PEER_LOST);
    sim_pair_close(&pair);
}
END_TEST

/* What happens is a function of the seed; and the seed matters. */
START_TEST(test_a_seed_says_all)
{
    uint64_t hashes[3];
    for (unsigned i = 0; i < 3; i++) {
        run(i == 2 ? 8 : 7, sim_profiles[_i]);
        hashes[i] = sim_trace_hash();
        sim_pair_close(&pair);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
    ck_assert_uint_ne(hashes[0], hashes[2]);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: calls");
    TCase *tcase = tcase_create("calls");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_calls_on_every_profile, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_link_that_comes_back, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_broken_cq_is_made_anew, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_host_that_dies, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_seed_says_all, 0, SIM_PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
