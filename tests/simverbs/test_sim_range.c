/* Plain ranges inside blocks of an allocator, on the simulated device: they are offered by the
 * block's key, the device registers nothing, and the block stays until the peer can read it no
 * more. */
#include <string.h>

#include "mr_cache/allocator.h"
#include "tests/simverbs/model.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { BYTES = 200 << 10, OTHERS = 100 };

static const struct sim_rates late = {.work_late = 1000000, .late_ns = 20000000000}, none;

static struct sim_pair pair;
static uint8_t *memory;

static struct wb_rma_allocator *pool(void)
{
    return wb_engine_allocator(pair.client.engine);
}

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(wb_rma_alloc(pool(), BYTES, 0, (void **)&memory), WB_OK);
    test_pattern_fill(memory, BYTES, 1);
}

static struct wb_call *begin(uint64_t timeout_us)
{
    struct wb_call *call = NULL;
    struct digest_in in = {.seed = 1, .raw = {.data = memory + 64, .len = BYTES - 128}};
    struct wb_call_options options = {.timeout_us = timeout_us};
    test_pattern_fill(memory + 64, BYTES - 128, 1);
    ck_assert_int_eq(digest_async(pair.peer, &in, &options, &call), WB_OK);
    return call;
}

static int finish(struct wb_call *call)
{
    struct digest_out out;
    int status = digest_finish(call, &out);
    if (status == WB_OK) {
        ck_assert_uint_eq(out.raw_right, BYTES - 128);
    }
    digest_out_drop(&out);
    return status;
}

/* Whether any of many blocks of that size is the one at `memory`. */
static bool is_given_anew(void)
{
    void *others[OTHERS];
    unsigned count = 0;
    bool found = false;
    while (count < OTHERS && wb_rma_alloc(pool(), BYTES, 0, &others[count]) == WB_OK) {
        memset(others[count], 0xee, BYTES);
        found |= others[count++] == memory;
    }
    ck_assert_uint_gt(count, 1);
    while (count > 0) {
        wb_rma_free(others[--count]);
    }
    return found;
}

START_TEST(test_the_device_registers_nothing)
{
    open_pair(sim_profiles[_i]);
    uint32_t before = pair.client_device->last_key;
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(finish(begin(0)), WB_OK);
    }
    ck_assert_uint_eq(pair.client_device->last_key, before);
    wb_rma_free(memory);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}
END_TEST

/* A program that frees what it has passed, against the rules: nobody gets it while it is read. */
START_TEST(test_a_block_is_not_reused_while_it_is_read)
{
    open_pair(sim_profiles[_i]);
    struct wb_call *call = begin(0);
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(pool(), &stats);
    ck_assert_uint_ge(stats.leased_bytes, BYTES);
    wb_rma_free(memory);
    ck_assert(!is_given_anew());
    ck_assert_int_eq(finish(call), WB_OK);
    wb_rma_allocator_stats(pool(), &stats);
    ck_assert_uint_eq(stats.leased_bytes, 0);
    ck_assert(is_given_anew());
    sim_pair_close(&pair);
}
END_TEST

/* The call has timed out, and its READs are under way: the block is in quarantine, then nobody's
 * who could read it. */
START_TEST(test_a_block_in_quarantine)
{
    struct wb_rma_stats stats;
    open_pair(&sim_profile_mlx5);
    struct wb_call *call = begin(100000);
    sim_fault_rates(&late);
    sim_pair_settle(&pair, 300000);
    wb_rma_allocator_stats(pool(), &stats);
    ck_assert_uint_eq(stats.quarantined_bytes, BYTES - 128);
    wb_rma_free(memory);
    ck_assert(!is_given_anew());
    ck_assert_int_eq(finish(call), WB_ERR_TIMED_OUT);
    sim_fault_rates(&none);
    ck_assert_int_eq(pair.client_device->qp_count, 0);
    wb_rma_allocator_stats(pool(), &stats);
    ck_assert_uint_eq(stats.quarantined_bytes + stats.leased_bytes, 0);
    ck_assert(is_given_anew());
    sim_pair_settle(&pair, 30000000);
    sim_pair_close(&pair);
}
END_TEST

static unsigned released;

static void on_release(void *context, const void *data, size_t len)
{
    (void)context;
    (void)len;
    ck_assert_ptr_eq(data, memory);
    released++;
    wb_rma_free(memory);
}

/* A counted buffer over a block: lease, buffer and program each hold it in their own way. */
START_TEST(test_a_buffer_over_a_block)
{
    struct wb_call *call = NULL;
    struct return_buffer_in in = {.before = 1};
    struct return_buffer_out out;
    struct wb_call_options options = {.reply_bytes = BYTES};
    open_pair(sim_profiles[_i]);
    released = 0;
    uint32_t before = pair.client_device->last_key;
    ck_assert_int_eq(wb_buffer_reference(memory, BYTES, on_release, NULL, &in.raw), WB_OK);
    ck_assert_int_eq(return_buffer_async(pair.peer, &in, &options, &call), WB_OK);
    return_buffer_in_drop(&in);
    ck_assert_uint_eq(released, 0);
    ck_assert_int_eq(return_buffer_finish(call, &out), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, out.raw.len, 1), BYTES);
    return_buffer_out_drop(&out);
    sim_pair_settle(&pair, 10000);
    ck_assert_uint_eq(released, 1);
    ck_assert_uint_eq(pair.client_device->last_key, before);
    ck_assert(is_given_anew());
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: ranges of blocks");
    TCase *tcase = tcase_create("ranges");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_the_device_registers_nothing, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_block_is_not_reused_while_it_is_read, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_a_block_in_quarantine);
    tcase_add_loop_test(tcase, test_a_buffer_over_a_block, 0, SIM_PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
