/* Memory that is not there: refused with a status, and nothing is lost or leaked by it. */
#include <stdlib.h>
#include <string.h>

#include "engine/filter.h"
#include "tests/conformance/actions_later.h"
#include "tests/conformance/world.h"

static const uint64_t mib = 1 << 20;

START_TEST(test_larger_than_the_senders_budget)
{
    test_world.client_config.budget_bytes = 16 * mib;
    test_world_open(1);
    wb_rma_vector vector;
    test_assert_status(wb_rma_vector_create(test_world.pool, 1, 32 * mib, &vector), WB_ERR_BUDGET);
    ck_assert_ptr_null(vector.block);

    /* an archive that the pool can never hold; by pointer the same bytes go */
    struct digest_in in = {.seed = 1, .raw = {.data = malloc(32 * mib), .len = 32 * mib}};
    struct digest_out out;
    struct wb_call_options copy = {.flags = WB_CALL_COPY};
    ck_assert_ptr_nonnull(in.raw.data);
    test_pattern_fill((void *)(uintptr_t)in.raw.data, in.raw.len, 1);
    test_assert_status(digest_call(test_world.peer, &in, &out, &copy), WB_ERR_BUDGET);
    test_world_assert_quiet(0);
    test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.raw_right, in.raw.len);
    free((void *)(uintptr_t)in.raw.data);

    /* room for a result that the pool can never hold */
    struct produce_in wish = {.seed = 1, .count = 100, .elem_size = 1};
    struct produce_out made;
    struct wb_call_options roomy = {.reply_bytes = 32 * mib};
    test_assert_status(produce_call(test_world.peer, &wish, &made, &roomy), WB_ERR_BUDGET);
    roomy.reply_bytes = UINT64_MAX;
    test_assert_status(produce_call(test_world.peer, &wish, &made, &roomy), WB_ERR_BUDGET);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

START_TEST(test_larger_than_the_receivers_budget)
{
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.credits = 4; /* none of which may get lost */
    test_world_open(1);
    struct digest_in in = {.seed = 1, .data = test_world_vector(8, 4 * mib, 2)};
    struct digest_out out;
    for (unsigned i = 0; i < 10; i++) {
        test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_ERR_BUDGET);
        test_world_assert_works(test_world.peer);
    }
    ck_assert_uint_eq(test_pattern_check(in.data.data, 32 * mib, 2), 32 * mib);
    ck_assert(wb_rma_vector_is_exclusive(&in.data));
    digest_in_drop(&in);

    /* in several chunks, none of which is too large by itself */
    struct digest_in both = {.seed = 1,
                             .raw = {.data = malloc(12 * mib), .len = 12 * mib},
                             .data = test_world_vector(1, 12 * mib, 2)};
    ck_assert_ptr_nonnull(both.raw.data);
    memset((void *)(uintptr_t)both.raw.data, 0, both.raw.len);
    test_assert_status(digest_call(test_world.peer, &both, &out, NULL), WB_ERR_BUDGET);
    free((void *)(uintptr_t)both.raw.data);
    both.raw = (wb_bytes){0};
    test_assert_status(digest_call(test_world.peer, &both, &out, NULL), WB_OK);
    ck_assert_uint_eq(out.data_right, 12 * mib);
    digest_in_drop(&both);
    test_world_close();
}
END_TEST

/* A long archive and chunks, or a long list and chunks: each of the two has room. */
START_TEST(test_larger_than_the_receivers_budget_together)
{
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.client_config.pointer_threshold = 32 * mib;
    test_world.client_config.eager_bytes = 2048;
    test_world_open(1);
    struct digest_in in = {.seed = 1,
                           .raw = {.data = calloc(1, 10 * mib), .len = 10 * mib},
                           .data = test_world_vector(1, 10 * mib, 2)};
    struct digest_out out;
    ck_assert_ptr_nonnull(in.raw.data);
    test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_ERR_BUDGET);
    test_world_assert_works(test_world.peer);
    free((void *)(uintptr_t)in.raw.data);
    digest_in_drop(&in);

    /* 9 MiB, and 4 MiB for which there is no whole slab beside them */
    in = (struct digest_in){.seed = 1,
                            .raw = {.data = calloc(1, 4 * mib), .len = 4 * mib},
                            .data = test_world_vector(1, 9 * mib, 2)};
    ck_assert_ptr_nonnull(in.raw.data);
    test_assert_status(digest_call(test_world.peer, &in, &out, NULL), WB_ERR_BUDGET);
    free((void *)(uintptr_t)in.raw.data);
    digest_in_drop(&in);

    /* 64 times a quarter of a MiB would be all that there is */
    wb_rma_vector part = test_world_vector(1, mib / 4 + 1, 1);
    struct wide_in wide = {.hold = {.call = NULL}};
    struct wide_out none;
#define SHARE(kind, type, name) wide.name = wb_rma_vector_share(&part);
    TEST_WIDE(SHARE)
#undef SHARE
    test_assert_status(wide_call(test_world.peer, &wide, &none, NULL), WB_ERR_BUDGET);
    wide_in_drop(&wide);
    wb_rma_vector_drop(&part);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* Long archives and chunks: none waits with the one for the other, and all come to land. */
START_TEST(test_archives_and_chunks_wait_for_memory)
{
    enum { CALLS = 6 };
    struct wb_call *calls[CALLS];
    struct digest_out out;
    struct wb_call_options options = {.timeout_us = test_patience_us};
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.slab_bytes = 2 * mib;
    test_world.client_config.pointer_threshold = 32 * mib;
    test_world_open(1);
    struct digest_in in = {.seed = 1,
                           .raw = {.data = malloc(3 * mib), .len = 3 * mib},
                           .data = test_world_vector(1, 9 * mib, 2)};
    ck_assert_ptr_nonnull(in.raw.data);
    test_pattern_fill((void *)(uintptr_t)in.raw.data, in.raw.len, 1);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.raw_right, 3 * mib);
        ck_assert_uint_eq(out.data_right, 9 * mib);
    }
    free((void *)(uintptr_t)in.raw.data);
    digest_in_drop(&in);
    test_world_close();
}
END_TEST

/* A long archive, and so many vectors that their list is long as well. */
static struct echo_later_in make_listed(test_vectors vectors, size_t archive_bytes)
{
    struct echo_later_in in = {.vectors = vectors};
    size_t count = archive_bytes / sizeof(wb_f64), raw = archive_bytes / 4;
    wb_f64 *numbers = calloc(count, sizeof *numbers);
    ck_assert_ptr_nonnull(numbers);
    test_pattern_fill(numbers, raw, 1); /* and the filter leaves somewhat more than this */
    in.numbers = (test_doubles){.data = numbers, .len = count};
    return in;
}

/* Half a dozen begin to land before they know what their lists ask for, and the pool holds one.
 * None waits for another with what it has, and none is READ more than twice. */
START_TEST(test_long_lists_wait_for_one_another)
{
    enum { CALLS = 6, VECTORS = 24 };
    const size_t archive = _i == 0 ? 5 * mib / 4 : 4 * mib, each = (_i == 0 ? 490U : 370U) << 10;
    const uint64_t all = CALLS * (archive + VECTORS * each);
    wb_rma_vector one, vectors[VECTORS];
    struct wb_call *calls[CALLS], *stalled;
    struct wb_call_options options = {.timeout_us = test_patience_us};
    struct echo_later_out out;
    struct test_figures figures;
    struct stall_in pause = {.ms = 50}; /* all are there together when the server goes on */
    struct stall_out none;
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.slab_bytes = 2 * mib;
    test_world.client_config.pointer_threshold = 32 * mib;
    test_world.client_config.eager_bytes = 512;
    if (_i == 1) {
        test_world.client_config.filter = test_world.server_config.filter = WB_FILTER_LZ4;
    }
    test_world_open(1);
    one = test_world_vector(1, each, 1);
    for (unsigned i = 0; i < VECTORS; i++) {
        vectors[i] = one;
    }
    struct echo_later_in in = make_listed((test_vectors){.data = vectors, .len = VECTORS}, archive);
    test_assert_status(stall_async(test_world.peer, &pause, &options, &stalled), WB_OK);
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(echo_later_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(echo_later_finish(calls[i], &out), WB_OK);
    }
    test_assert_status(stall_finish(stalled, &none), WB_OK);
    test_server_figures(&test_world.host, &test_world.servers[0], &figures);
    ck_assert_uint_le(figures.engine.read_bytes, all + CALLS * (archive + 64 * (VECTORS + 2)));
    ck_assert_uint_eq(figures.engine.parcels_filtered, _i == 1 ? CALLS : 0);
    free((void *)(uintptr_t)in.numbers.data);
    wb_rma_vector_drop(&one);
    test_world_close();
}
END_TEST

START_TEST(test_a_result_that_its_maker_cannot_hold)
{
    test_world.server_config.budget_bytes = 16 * mib;
    test_world_open(1);
    struct produce_in in = {.seed = 1, .count = 32 * mib, .elem_size = 1};
    struct wb_call_options options = {.reply_bytes = 40 * mib};
    struct produce_out out;
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_ERR_BUDGET);
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* Together they are more than the receiver has; each by itself is not. They wait for one another.
 */
START_TEST(test_parcels_wait_for_memory)
{
    enum { CALLS = 6 };
    struct wb_call *calls[CALLS];
    struct digest_out out;
    test_world.server_config.budget_bytes = 24 * mib;
    test_world_open(1);
    struct digest_in in = {.seed = 1, .data = test_world_vector(1, 12 * mib, 2)};
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_async(test_world.peer, &in, NULL, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(digest_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.data_right, 12 * mib);
    }
    digest_in_drop(&in);
    test_world_close();
}
END_TEST

/* Handlers find no memory for their results, and are run again when others' have been fetched. */
START_TEST(test_results_wait_for_memory)
{
    enum { CALLS = 12 };
    struct wb_call *calls[CALLS];
    struct produce_out out;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 6 * mib};
    test_world.server_config.budget_bytes = 16 * mib;
    test_world_open(1);
    for (unsigned i = 0; i < CALLS; i++) {
        struct produce_in in = {.seed = i, .count = 6 * mib, .elem_size = 1};
        test_assert_status(produce_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(produce_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 6 * mib, i + 1), 6 * mib);
        produce_out_drop(&out);
    }
    test_world_close();
}
END_TEST

/* Arguments and results together are more than the server has, many times over. */
START_TEST(test_arguments_and_results_wait_for_memory)
{
    enum { CALLS = 12 };
    struct wb_call *calls[CALLS];
    struct vector_out out;
    test_world.server_config.budget_bytes = 32 * mib;
    test_world_open(1);
    struct vector_in in = {.data = test_world_vector(1, 7 * mib, 3)};
    for (unsigned i = 0; i < CALLS; i++) {
        struct wb_call_options options = {.timeout_us = test_patience_us,
                                          .reply_bytes = 7 * mib,
                                          .flags = i % 2 ? WB_CALL_COPY : 0};
        test_assert_status(vector_async(test_world.peer, &in, &options, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        test_assert_status(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 7 * mib, 3), 7 * mib);
        vector_out_drop(&out);
    }
    vector_in_drop(&in);
    test_world_close();
}
END_TEST

/* The caller has room for one result at a time: async says so, a call that waits waits. */
START_TEST(test_calls_wait_for_room_for_results)
{
    struct wb_call *calls[8];
    unsigned begun = 0;
    struct produce_in in = {.seed = 1, .count = 6 * mib, .elem_size = 1};
    struct produce_out out;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 6 * mib};
    struct wb_call_options hasty = {.timeout_us = 50000, .reply_bytes = 6 * mib};
    test_world.client_config.budget_bytes = 16 * mib;
    test_world_open(1);
    int status = WB_OK;
    while (begun < 8 && status == WB_OK) {
        status = produce_async(test_world.peer, &in, &options, &calls[begun]);
        begun += status == WB_OK;
    }
    test_assert_status(status, WB_AGAIN);
    ck_assert_uint_ge(begun, 1);
    test_assert_status(produce_call(test_world.peer, &in, &out, &hasty), WB_ERR_TIMED_OUT);
    while (begun > 0) {
        test_assert_status(produce_finish(calls[--begun], &out), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 6 * mib, 2), 6 * mib);
        produce_out_drop(&out);
    }
    test_assert_status(produce_call(test_world.peer, &in, &out, &options), WB_OK);
    produce_out_drop(&out);
    test_world_close();
}
END_TEST

START_TEST(test_results_larger_than_their_room)
{
    test_world_open(1);
    struct produce_out out;
    for (unsigned i = 0; i < 3; i++) {
        /* by rma, in a message, and as a long archive */
        struct produce_in by_rma = {.count = mib, .elem_size = 1};
        struct produce_in by_bytes = {.raw_bytes = mib};
        struct wb_call_options none = {0}, some = {.reply_bytes = mib / 2},
                               copy = {.reply_bytes = mib / 2, .flags = WB_CALL_COPY};
        const struct wb_call_options *rooms[] = {&none, &some, &copy};
        test_assert_status(produce_call(test_world.peer, &by_rma, &out, rooms[i]),
                           WB_ERR_REPLY_TOO_LARGE);
        test_assert_status(produce_call(test_world.peer, &by_bytes, &out, rooms[i]),
                           WB_ERR_REPLY_TOO_LARGE);
        test_world_assert_works(test_world.peer);
    }
    /* with room for it the same goes */
    struct produce_in in = {.seed = 5, .count = mib, .elem_size = 1};
    struct wb_call_options enough = {.reply_bytes = mib};
    test_assert_status(produce_call(test_world.peer, &in, &out, &enough), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.data.data, mib, 6), mib);
    produce_out_drop(&out);
    test_world_close();
}
END_TEST

/* A full pool at the caller: the result, or a status that says so. Where its room was reserved, the
 * result, packed though it is. */
START_TEST(test_results_with_a_full_pool)
{
    enum { BLOCKS = 64 };
    wb_rma_vector blocks[BLOCKS];
    unsigned held = 0;
    test_world.client_config.budget_bytes = 8 * mib;
    test_world_open(1);
    struct produce_in in = {.seed = 1, .count = 300, .elem_size = 1};
    struct produce_out out;
    struct wb_call_options roomy = {.reply_bytes = 300};
    struct wb_call *call, *has_room;
    test_assert_status(produce_async(test_world.peer, &in, &roomy, &has_room), WB_OK);
    int status = WB_OK;
    for (size_t bytes = 4 * mib; bytes >= 64; bytes /= 2) {
        while (held < BLOCKS && status == WB_OK) {
            status = wb_rma_vector_create(test_world.pool, 1, bytes, &blocks[held]);
            held += status == WB_OK;
        }
        test_assert_status(status, WB_AGAIN);
        status = WB_OK;
    }
    ck_assert_uint_lt(held, BLOCKS);
    test_assert_status(produce_finish(has_room, &out), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.data.data, 300, 2), 300);
    produce_out_drop(&out);
    test_assert_status(produce_async(test_world.peer, &in, NULL, &call), WB_OK);
    status = produce_finish(call, &out);
    ck_assert_msg(status == WB_OK || status == WB_ERR_BUDGET, "%s", wb_status_name(status));
    if (status == WB_OK) {
        ck_assert_uint_eq(test_pattern_check(out.data.data, 300, 2), 300);
    }
    produce_out_drop(&out);
    in.count = 0; /* a vector of nothing wants a block all the same, and there is no room either */
    test_assert_status(produce_async(test_world.peer, &in, NULL, &call), WB_OK);
    status = produce_finish(call, &out);
    ck_assert_msg(status == WB_OK || status == WB_ERR_BUDGET, "%s", wb_status_name(status));
    produce_out_drop(&out);
    while (held > 0) {
        wb_rma_vector_drop(&blocks[--held]);
    }
    test_world_assert_works(test_world.peer);
    test_world_close();
}
END_TEST

/* ---- several peers ---- */

enum { OF_THE_FIRST = 4, OF_BOTH = OF_THE_FIRST + 1 };

static struct let_later_go_out let_go(struct wb_peer *peer, bool answer)
{
    struct let_later_go_in in = {.answer = answer};
    struct let_later_go_out out;
    test_assert_status(let_later_go_call(peer, &in, &out, NULL), WB_OK);
    return out;
}

/* The one that has landed is answered, and the next lands. */
static void answer_one(struct wb_peer *peer, bool last)
{
    uint64_t start = test_clock_us();
    ck_assert_uint_eq(let_go(peer, true).held, 1);
    while (!last && let_go(peer, false).held == 0) {
        ck_assert_msg(test_clock_us() - start < test_patience_us, "the next does not land");
    }
}

/* One request fills the server. Of those that wait each peer's first goes before another's second.
 */
START_TEST(test_peers_wait_in_turn)
{
    struct wb_call *calls[OF_BOTH];
    struct later_in in = {.how = TEST_WHEN_LET_GO, .seed = 3};
    struct wb_call_options options = {.reply_bytes = 9 * mib, .timeout_us = test_patience_us};
    struct wb_peer *other;
    char url[TEST_URL_BYTES];
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.lanes = 1; /* among lanes they go as they came */
    test_world_open(1);
    test_world_url(0, url);
    test_assert_status(wb_connect(test_world.engine, url, &other), WB_OK);
    test_world_assert_works(other);
    in.data = test_world_vector(1, 9 * mib, 4);
    for (unsigned i = 0; i < OF_BOTH; i++) {
        struct wb_peer *peer = i < OF_THE_FIRST ? test_world.peer : other;
        test_assert_status(later_async(peer, &in, &options, &calls[i]), WB_OK);
        uint64_t start = test_clock_us();
        do { /* it has come, since what was sent behind it has */
            ck_assert_msg(test_clock_us() - start < test_patience_us, "the first does not land");
        } while (let_go(peer, false).held == 0);
    }
    answer_one(other, false); /* calls[0] */
    answer_one(other, false); /* calls[1] */
    answer_one(other, false); /* and the other peer's */
    test_assert_done(calls[OF_THE_FIRST]);
    ck_assert(wb_call_done(calls[1]) && !wb_call_done(calls[2]));
    answer_one(other, false);
    answer_one(other, true);
    for (unsigned i = 0; i < OF_BOTH; i++) {
        struct later_out out;
        test_assert_status(later_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.right, 1);
        later_out_drop(&out);
    }
    wb_peer_close(other);
    later_in_drop(&in);
    test_world_close();
}
END_TEST

TCase *test_budget_case(void)
{
    const TTest *const tests[] = {test_larger_than_the_senders_budget,
                                  test_larger_than_the_receivers_budget,
                                  test_larger_than_the_receivers_budget_together,
                                  test_archives_and_chunks_wait_for_memory,
                                  test_a_result_that_its_maker_cannot_hold,
                                  test_parcels_wait_for_memory,
                                  test_results_wait_for_memory,
                                  test_arguments_and_results_wait_for_memory,
                                  test_calls_wait_for_room_for_results,
                                  test_results_larger_than_their_room,
                                  test_results_with_a_full_pool,
                                  test_peers_wait_in_turn};
    TCase *tcase = test_world_case("budget", tests, sizeof tests / sizeof tests[0]);
    int ways = wbi_filter_is_here(WB_FILTER_LZ4) ? 2 : 1;
    tcase_add_loop_test(tcase, test_long_lists_wait_for_one_another, 0, ways);
    return tcase;
}
