/* Landings of several sizes in a pool that is full to its last slab: what of it is a matter of
 * chance or of peers. What is not, is in tests/simverbs/test_sim_sizes.c. */
#include "tests/conformance/world.h"

static const uint64_t mib = 1 << 20;

/* Vectors of one call: in KiB, and the last one as often as it takes. */
enum shape { LARGE, SMALL, HALF, SHAPES };
enum { MOST = 26 };
static const struct {
    unsigned count;
    size_t kib[4];
} shapes[SHAPES] = {/* two ways to take eight slabs: four of them are to be two of twice the size */
                    [LARGE] = {.count = 6, .kib = {4096, 4096, 2048, 2048}},
                    [SMALL] = {.count = MOST, .kib = {1100, 4096, 370, 370}},
                    [HALF] = {.count = 4, .kib = {2048, 2048, 2048, 2048}}};

static wb_rma_vector source; /* of which all that is sent are slices */
static wb_rma_vector vectors[SHAPES][MOST];
static struct echo_later_in in[SHAPES];

static void open_world(void)
{
    test_world.server_config.budget_bytes = 16 * mib;
    test_world.server_config.slab_bytes = 2 * mib;
    test_world_open(1);
    source = test_world_vector(1, 4 * mib, 1);
    for (unsigned i = 0; i < SHAPES; i++) {
        for (unsigned j = 0; j < shapes[i].count; j++) {
            vectors[i][j] = wb_rma_vector_slice(&source, 0, shapes[i].kib[j < 3 ? j : 3] << 10);
        }
        in[i].vectors = (test_vectors){.data = vectors[i], .len = shapes[i].count};
    }
}

static void close_world(void)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        echo_later_in_drop(&in[i]);
    }
    wb_rma_vector_drop(&source);
    test_world_close();
}

static struct wb_call *begin(enum shape shape)
{
    struct wb_call *call;
    struct wb_call_options options = {.timeout_us = test_patience_us};
    test_assert_status(echo_later_async(test_world.peer, &in[shape], &options, &call), WB_OK);
    return call;
}

static void finish(struct wb_call *call)
{
    struct echo_later_out out;
    test_assert_status(echo_later_finish(call, &out), WB_OK);
}

START_TEST(test_they_make_way_for_one_another)
{
    enum { CALLS = 6 };
    struct wb_call *calls[CALLS];
    open_world();
    for (unsigned i = 0; i < CALLS; i++) {
        calls[i] = begin(i % 2 ? SMALL : LARGE);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        finish(calls[i]);
    }
    close_world();
}
END_TEST

/* A peer that says nothing does not let slabs go, where it maps them: who keeps what it has landed
 * for that long lets others have it. */
START_TEST(test_a_silent_peer_holds_up_one)
{
    struct test_service silent;
    struct wb_peer *peer;
    open_world();
    finish(begin(LARGE));
    test_assert_status(test_service_open(&silent, &test_world.client_config, NULL), WB_OK);
    test_assert_status(wb_connect(silent.engine, test_world.servers[0].url, &peer), WB_OK);
    test_assert_status(wb_peer_wait(peer, test_patience_us), WB_OK);
    struct wb_call *first = begin(SMALL), *second = begin(HALF);
    finish(second);
    while (!wb_call_done(first)) {
        (void)wb_wait(silent.engine, 1000);
        (void)wb_call_wait(first, 1000);
    }
    finish(first);
    wb_peer_close(peer);
    test_service_close(&silent);
    close_world();
}
END_TEST

TCase *test_sizes_case(void)
{
    const TTest *const tests[] = {test_they_make_way_for_one_another,
                                  test_a_silent_peer_holds_up_one};
    return test_world_case("sizes", tests, sizeof tests / sizeof tests[0]);
}
