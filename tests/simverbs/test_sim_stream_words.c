/* What a stream says at its end, to a peer that is slow to answer. */
#include "engine/peer.h"
#include "tests/conformance/actions_streams.h"
#include "tests/simverbs/scene_pair.h"
#include "tests/support/program.h"

static struct sim_pair pair;
static uint64_t due; /* when the server has its next turns */

static void clear(void)
{
    sim_pair_clear(&pair);
}

/* The client has turns for so long, and the server some once in `lag` microseconds. */
static void go_on(uint64_t us, uint64_t lag)
{
    uint64_t end = sim_now_ns() + us * 1000;
    while (sim_now_ns() < end) {
        wb_progress(pair.client.engine);
        for (unsigned i = 0; i < 6 && sim_now_ns() >= due; i++) {
            wb_progress(pair.server.engine);
        }
        due = sim_now_ns() >= due ? sim_now_ns() + lag * 1000 : due;
        sim_advance(20);
    }
}

/* The deadline of all of it is not that of its last words: those are said once, and wait. */
START_TEST(test_a_short_deadline_is_said_once)
{
    struct wb_stream_options options = {.deadline_us = 5000};
    struct talk_in in = {.how = TEST_TALK_HOLD};
    struct wb_stream *stream = NULL;
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    sim_pair_settle(&pair, 1000);
    uint64_t before = sim_stats(&pair.client).calls_begun;
    ck_assert_int_eq(talk_open(pair.peer, &in, &options, &stream), WB_OK);
    go_on(2000, 100);
    ck_assert_int_eq(wb_stream_status(stream, NULL), WB_OK);
    go_on(10000, 300000);
    ck_assert_int_eq(wb_stream_status(stream, NULL), WB_ERR_TIMED_OUT);
    wb_stream_drop(stream);
    go_on(1000000, 300000);
    ck_assert_uint_eq(pair.peer->streams, 0);
    ck_assert_uint_eq(pair.peer->timed_streams, 0);
    ck_assert_uint_le(sim_stats(&pair.client).calls_begun - before, 3);
    sim_pair_close(&pair);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: a stream's last words");
    TCase *tcase = tcase_create("words");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_test(tcase, test_a_short_deadline_is_said_once);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
