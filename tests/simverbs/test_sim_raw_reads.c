/* The lists of READs that wb_perf --vs raw compares with. */
#include <stdlib.h>
#include <string.h>

#include "perf/raw_reads.h"
#include "tests/simverbs/scene_raw.h"
#include "tests/support/program.h"

enum { CALLS = 7, STAMP = 5, TURN_US = 100, TURNS = 10000 };

static struct raw_end *const here = &raw_ends[0];
static struct raw_end *const there = &raw_ends[1];

/* A link of our end, which READs into all of its memory. */
static struct raw_link link_of(struct rdma_cm_id *id, uint32_t window)
{
    *id = (struct rdma_cm_id){.qp = here->qp, .send_cq = here->cq};
    struct raw_link link = {
        .id = id, .memory = here->bytes, .bytes = RAW_BYTES, .mr = here->mr, .window = window};
    link.works = calloc(window, sizeof *link.works);
    link.ranges = calloc(window, sizeof *link.ranges);
    ck_assert(link.works != NULL && link.ranges != NULL);
    return link;
}

/* READs all calls; that no more than the window is ever in the queue, the device watches too. */
static void read_all(struct raw_link *link, const struct raw_plan *plan)
{
    struct raw_reads reads =
        raw_reads_of(link, plan, (uintptr_t)there->bytes, there->mr->rkey, 0, plan->calls);
    for (int turn = 0; turn < TURNS && !raw_reads_ended(&reads); turn++) {
        int done = raw_reads_step(&reads);
        ck_assert_int_ge(done, 0);
        ck_assert_uint_le(link->posted - link->done, link->window);
        if (done == 0) {
            sim_advance(TURN_US);
        }
    }
    ck_assert(raw_reads_ended(&reads));
}

/* CALLS of `size` bytes in `chunks` pieces: what is posted, and that it lands. */
static struct sim_posts move(size_t size, uint32_t chunks, uint32_t window, uint64_t max_message)
{
    struct rdma_cm_id id;
    struct raw_plan plan;
    struct pieces pieces;
    const struct calls_wanted wanted = {.size = size, .chunks = chunks};
    raw_open(&(struct raw_wish){.cqe = 64});
    struct raw_link link = link_of(&id, window);
    ck_assert_int_eq(pieces_lay_arguments(&pieces, &wanted, CALLS), WB_OK);
    ck_assert_uint_le(pieces.room, RAW_BYTES);
    pieces_fill(&pieces, there->bytes, STAMP);
    memset(here->bytes, 0, RAW_BYTES);
    ck_assert_int_eq(raw_plan_make(&plan, &pieces, max_message, RAW_BYTES), 0);
    read_all(&link, &plan);
    for (size_t i = 0; i < CALLS; i++) {
        ck_assert(pieces_check(&pieces, i, raw_plan_landing(&plan, &link, i), STAMP));
    }
    struct sim_posts posts = sim_device_posts(here->device);
    raw_plan_drop(&plan);
    pieces_drop(&pieces);
    free(link.works);
    free(link.ranges);
    raw_close();
    return posts;
}

START_TEST(test_pieces_of_a_call_are_a_list)
{
    struct sim_posts posts = move(1000, 10, 10, 1 << 20);
    ck_assert_uint_eq(posts.works, 10 * CALLS);
    ck_assert_uint_eq(posts.lists, CALLS);
}
END_TEST

START_TEST(test_whole_calls_share_a_window)
{
    struct sim_posts posts = move(999, 5, 16, 1 << 20);
    ck_assert_uint_eq(posts.works, 5 * CALLS);
    ck_assert_uint_lt(posts.lists, CALLS);
}
END_TEST

START_TEST(test_a_call_longer_than_the_window_is_cut)
{
    struct sim_posts posts = move(4000, 40, 16, 1 << 20);
    ck_assert_uint_eq(posts.works, 40 * CALLS);
    ck_assert_uint_ge(posts.lists, 3 * CALLS);
}
END_TEST

START_TEST(test_a_piece_is_cut_to_what_the_device_takes)
{
    struct sim_posts posts = move(1000, 2, 16, 64);
    ck_assert_uint_eq(posts.works, 16 * CALLS);
}
END_TEST

START_TEST(test_one_piece_a_call_needs_no_list)
{
    struct sim_posts posts = move(3000, 1, 4, 1 << 20);
    ck_assert_uint_eq(posts.works, CALLS);
}
END_TEST

/* Where the landings are fewer than the calls, the last ones are to be found. */
START_TEST(test_landings_come_round)
{
    struct raw_plan plan;
    struct pieces pieces;
    const struct calls_wanted wanted = {.size = 1000, .chunks = 4};
    ck_assert_int_eq(pieces_lay_arguments(&pieces, &wanted, CALLS), WB_OK);
    ck_assert_int_eq(raw_plan_make(&plan, &pieces, 1 << 20, 3 * pieces_longest(&pieces) + 1), 0);
    ck_assert_uint_eq(plan.landings, 3);
    const struct raw_read *last = &plan.read[plan.first[CALLS - 1]];
    ck_assert_uint_eq(last->to, (CALLS - 1) % 3 * plan.slot);
    ck_assert_uint_eq(last->from, pieces_of(&pieces, CALLS - 1)->at);
    raw_plan_drop(&plan);
    ck_assert_int_eq(raw_plan_make(&plan, &pieces, 1 << 20, pieces_longest(&pieces) - 1), -1);
    pieces_drop(&pieces);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {
        test_pieces_of_a_call_are_a_list,          test_whole_calls_share_a_window,
        test_a_call_longer_than_the_window_is_cut, test_a_piece_is_cut_to_what_the_device_takes,
        test_one_piece_a_call_needs_no_list,       test_landings_come_round};
    Suite *suite = suite_create("simverbs: READs of wb_perf --vs raw");
    TCase *tcase = test_program_case("raw_reads", tests, sizeof tests / sizeof tests[0]);
    tcase_add_checked_fixture(tcase, NULL, raw_clear);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
