/* Devices with few registrations: parcels wait for those of others, and none breaks a channel. */
#include <string.h>

#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { CALLS = 200, RANGE = 5000, TENS = 4, RANGES = 10 * TENS };

#define TEN(F, p)                                                                                  \
    F(BYTES, wb_bytes, p##0)                                                                       \
    F(BYTES, wb_bytes, p##1)                                                                       \
    F(BYTES, wb_bytes, p##2)                                                                       \
    F(BYTES, wb_bytes, p##3)                                                                       \
    F(BYTES, wb_bytes, p##4)                                                                       \
    F(BYTES, wb_bytes, p##5)                                                                       \
    F(BYTES, wb_bytes, p##6)                                                                       \
    F(BYTES, wb_bytes, p##7)                                                                       \
    F(BYTES, wb_bytes, p##8)                                                                       \
    F(BYTES, wb_bytes, p##9)
#define RANGES_IN(F) TEN(F, a) TEN(F, b) TEN(F, c) TEN(F, d)
#define RANGES_OUT(F) F(VALUE, u64, right)
WB_ACTION(ranges, RANGES_IN, RANGES_OUT)

static struct sim_pair pair;
static _Alignas(64) uint8_t memory[RANGE + 56];

static int on_ranges(struct wb_context *context, struct ranges_in *in, struct ranges_out *out,
                     void *user)
{
    (void)context;
    (void)user;
#define CHECK(kind, type, name) out->right += test_pattern_check(in->name.data, in->name.len, 1);
    RANGES_IN(CHECK)
#undef CHECK
    return WB_OK;
}

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.max_calls = CALLS;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    ck_assert_int_eq(ranges_register(pair.server.engine, on_ranges, NULL), WB_OK);
    test_pattern_fill(memory, RANGE, 1);
}

static void close_pair(void)
{
    struct sim_tally tally = {0};
    struct wb_engine_stats stats;
    sim_calls_make(&pair, "afterwards", &tally);
    ck_assert_uint_eq(tally.failed, 0);
    sim_calls_assert_quiet(&pair, "afterwards");
    wb_engine_stats(pair.client.engine, &stats);
    ck_assert_uint_eq(stats.peers_lost, 0);
    sim_pair_close(&pair);
}

static void fill(struct ranges_in *in, unsigned count)
{
    unsigned at = 0;
#define FILL(kind, type, name)                                                                     \
    in->name = at++ < count ? (wb_bytes){.data = memory, .len = RANGE} : (wb_bytes){0};
    RANGES_IN(FILL)
#undef FILL
}

/* Each range is a chunk: thresholds of a call's own are exact, and nothing is gathered. */
static const struct wb_call_options each_its_own = {.pointer_threshold = 4096};

/* With 1 to 30 ranges each; together they are many more than some devices can register. */
START_TEST(test_more_ranges_than_registrations)
{
    static struct wb_call *calls[CALLS];
    open_pair(sim_profiles[_i]);
    for (unsigned i = 0; i < CALLS; i++) {
        struct ranges_in in;
        fill(&in, 1 + i % 30);
        ck_assert_int_eq(ranges_async(pair.peer, &in, &each_its_own, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        struct ranges_out out;
        int status = ranges_finish(calls[i], &out);
        test_check(status == WB_OK, "call %u: %s", i, wb_last_error());
        ck_assert_uint_eq(out.right, (uint64_t)RANGE * (1 + i % 30));
    }
    close_pair();
}
END_TEST

/* What no device of this kind can ever register at once is refused, or goes. */
START_TEST(test_a_parcel_of_many_ranges)
{
    struct ranges_in in;
    struct ranges_out out;
    open_pair(sim_profiles[_i]);
    fill(&in, RANGES);
    int wanted = sim_profiles[_i]->attr.max_mr / 2 < RANGES ? WB_ERR_INVALID : WB_OK;
    ck_assert_int_eq(ranges_call(pair.peer, &in, &out, &each_its_own), wanted);
    struct wb_call_options copy = {.flags = WB_CALL_COPY};
    ck_assert_int_eq(ranges_call(pair.peer, &in, &out, &copy), WB_OK);
    ck_assert_uint_eq(out.right, (uint64_t)RANGES * RANGE);
    close_pair();
}
END_TEST

/* Ranges that are pinned need no registrations of their own, however many they are. */
START_TEST(test_a_parcel_of_many_pinned_ranges)
{
    struct ranges_in in;
    struct ranges_out out;
    struct wb_engine_stats stats;
    open_pair(sim_profiles[_i]);
    fill(&in, RANGES);
    ck_assert_int_eq(wb_mr_pin(pair.client.engine, memory, sizeof memory, 0), WB_OK);
    int status = ranges_call(pair.peer, &in, &out, &each_its_own);
    test_check(status == WB_OK, "%s", wb_last_error());
    ck_assert_uint_eq(out.right, (uint64_t)RANGES * RANGE);
    wb_engine_stats(pair.client.engine, &stats);
    ck_assert_uint_eq(stats.registrations_avoided, RANGES);
    ck_assert_uint_eq(stats.registrations, 0);
    ck_assert_int_eq(wb_mr_unpin(pair.client.engine, memory, sizeof memory), WB_OK);
    close_pair();
}
END_TEST

/* Another process has most of what there is. */
START_TEST(test_a_device_that_others_fill)
{
    struct ranges_in in;
    struct ranges_out out;
    struct ibv_mr *others[64];
    unsigned count = 0;
    open_pair(&sim_profile_tiny);
    int devices;
    struct ibv_device **list = ibv_get_device_list(&devices);
    struct ibv_context *context = ibv_open_device(list[0]);
    struct ibv_pd *pd = ibv_alloc_pd(context);
    do {
        others[count] = ibv_reg_mr(pd, memory, sizeof memory, 0);
    } while (others[count] != NULL && ++count < 64);
    fill(&in, 1); /* there is none */
    ck_assert_int_eq(ranges_call(pair.peer, &in, &out, &each_its_own), WB_ERR_NO_MEMORY);
    for (unsigned i = 0; i < 3; i++) {
        ibv_dereg_mr(others[--count]);
    }
    fill(&in, 4); /* there are three, and nobody else's will come back */
    ck_assert_int_eq(ranges_call(pair.peer, &in, &out, &each_its_own), WB_ERR_NO_MEMORY);
    fill(&in, 1);
    struct wb_call *calls[20];
    for (unsigned i = 0; i < 20; i++) { /* three at a time */
        ck_assert_int_eq(ranges_async(pair.peer, &in, &each_its_own, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(ranges_finish(calls[i], &out), WB_OK);
    }
    while (count > 0) {
        ibv_dereg_mr(others[--count]);
    }
    ibv_dealloc_pd(pd);
    ibv_close_device(context);
    ibv_free_device_list(list);
    close_pair();
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: registrations");
    TCase *tcase = tcase_create("regions");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_more_ranges_than_registrations, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_parcel_of_many_ranges, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_a_parcel_of_many_pinned_ranges, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_a_device_that_others_fill);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
