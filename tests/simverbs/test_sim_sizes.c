/* Landings of several sizes in a pool that is full to its last slab. The pool's own thread works
 * when time moves on, and so always after a request has parked: whoever drops what he has for want
 * of one landing has room made for that in what he dropped, again and again. */
#include <stdlib.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "tests/conformance/actions_types.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/program.h"

enum { CALLS = 15, MOST = 26, MADE = 5 };

static const uint64_t mib = 1 << 20, patience_us = 10000000; /* of the world's time */

/* Vectors of one call: in KiB, and the last one as often as it takes. */
enum shape { LARGE, PAIRS, SMALL, SINGLES, MIXED, ONE, SLABS, TWICE, THRICE, LONE, SHAPES };
static const struct {
    unsigned count;
    size_t kib[4];
} shapes[SHAPES] =
    {/* ways to take eight slabs, or most of them */
     [LARGE] = {.count = 6, .kib = {4096, 4096, 2048, 2048}},
     [PAIRS] = {.count = 4, .kib = {4096, 4096, 4096, 4096}},
     [SMALL] = {.count = MOST, .kib = {1100, 4096, 370, 370}},
     [SINGLES] = {.count = 8, .kib = {2048, 2048, 2048, 2048}},
     [MIXED] = {.count = 6, .kib = {100, 4096, 2048, 700}},
     [ONE] = {.count = 1, .kib = {4096}},
     /* twelve slabs; eleven of them, all but one in pairs; all by threes, and three */
     [SLABS] = {.count = 12, .kib = {2048, 2048, 2048, 2048}},
     [TWICE] = {.count = MADE + 1, .kib = {1100, 4096, 4096, 4096}},
     [THRICE] = {.count = 4, .kib = {6144, 6144, 6144, 6144}},
     [LONE] = {.count = 1, .kib = {6144}}};

static struct sim_pair pair;
static wb_rma_vector source; /* the client's, of which all that is sent are slices */
static wb_rma_vector vectors[SHAPES][MOST];
static struct echo_later_in in[SHAPES];

static void open_pair(const struct sim_profile *profile, uint64_t budget_bytes,
                      enum wb_when_full when_full)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.budget_bytes = budget_bytes;
    pair.config.reserve_percent = 0;
    pair.config.when_full = when_full;
    pair.config.shed_beyond = 2;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, 6 * mib, &source), WB_OK);
    for (unsigned i = 0; i < SHAPES; i++) {
        for (unsigned j = 0; j < shapes[i].count; j++) {
            vectors[i][j] = wb_rma_vector_slice(&source, 0, shapes[i].kib[j < 3 ? j : 3] << 10);
        }
        in[i].vectors = (test_vectors){.data = vectors[i], .len = shapes[i].count};
    }
}

static struct wb_rma_stats server_stats(void)
{
    struct wb_rma_stats stats;
    wb_rma_allocator_stats(wb_engine_allocator(pair.server.engine), &stats);
    return stats;
}

static void close_pair(void)
{
    struct wb_rma_stats stats = server_stats();
    ck_assert_uint_le(stats.engine_peak_bytes, stats.engine_budget_bytes);
    for (unsigned i = 0; i < SHAPES; i++) {
        echo_later_in_drop(&in[i]);
    }
    wb_rma_vector_drop(&source);
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}

static struct wb_call *begin(struct wb_peer *peer, enum shape shape, uint64_t timeout_us)
{
    struct wb_call *call;
    struct wb_call_options options = {.timeout_us = timeout_us};
    ck_assert_int_eq(echo_later_async(peer, &in[shape], &options, &call), WB_OK);
    return call;
}

static int finish(struct wb_call *call)
{
    struct echo_later_out out;
    return echo_later_finish(call, &out);
}

/* One after the other (_i even), or all at once, and they wait for one another. */
START_TEST(test_they_make_way_for_one_another)
{
    struct wb_call *calls[CALLS];
    bool at_once = _i % 2;
    open_pair(sim_profiles[_i / 2], 16 * mib, WB_FULL_WAIT);
    for (unsigned i = 0; i < CALLS; i++) {
        calls[i] = begin(pair.peer, (enum shape)(i % SLABS), patience_us);
        if (!at_once) {
            ck_assert_int_eq(finish(calls[i]), WB_OK);
        }
    }
    for (unsigned i = 0; i < CALLS && at_once; i++) {
        ck_assert_int_eq(finish(calls[i]), WB_OK);
    }
    ck_assert_uint_le(server_stats().waits, CALLS * MOST);
    close_pair();
}
END_TEST

static bool one_keeps(void)
{
    return pair.server.engine->admission.kept_at != 0;
}

/* Begins a call whose request keeps what it has landed when this returns, since the pool is to find
 * room for the next landing. */
static struct wb_call *begin_to_keep(enum shape shape, uint64_t timeout_us)
{
    struct wb_call *call = begin(pair.peer, shape, timeout_us);
    for (unsigned i = 0; i < 100000 && !one_keeps(); i++) {
        sim_pair_settle(&pair, 1);
    }
    ck_assert(one_keeps());
    return call;
}

/* The program holds most of the pool. One keeps what it has of the rest, and another is tried
 * before it each time: for that one no slab makes way meanwhile, or it would have the room that the
 * first waits for, give it back for want of the next, and so on. */
START_TEST(test_one_goes_before_all)
{
    struct wb_peer *other;
    struct wb_call *gate, *first, *second;
    struct wait_at_gate_in at_gate = {0};
    struct wait_at_gate_out nothing;
    struct open_gate_in open = {.open = 1};
    struct open_gate_out none;
    open_pair(sim_profiles[_i], 128 * mib, WB_FULL_WAIT);
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &other), WB_OK);
    ck_assert_int_eq(wb_peer_wait(other, patience_us), WB_OK);
    void *held;
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.server.engine);
    ck_assert_int_eq(wb_rma_alloc(pool, 104 * mib, 0, &held), WB_OK);
    ck_assert_int_eq(finish(begin(pair.peer, SLABS, patience_us)), WB_OK);
    uint64_t made = server_stats().registrations;
    ck_assert_int_eq(wait_at_gate_async(pair.peer, &at_gate, NULL, &gate), WB_OK);
    first = begin_to_keep(TWICE, patience_us); /* its peer's second that waits */
    second = begin(other, THRICE, patience_us);
    while (one_keeps()) {
        sim_pair_settle(&pair, 1);
    }
    ck_assert_uint_eq(server_stats().registrations, made + MADE);
    ck_assert_int_eq(finish(first), WB_OK);
    ck_assert_int_eq(finish(second), WB_OK);
    ck_assert_int_eq(open_gate_call(pair.peer, &open, &none, NULL), WB_OK);
    ck_assert_int_eq(wait_at_gate_finish(gate, &nothing), WB_OK);
    wb_rma_free(held);
    wb_peer_close(other);
    close_pair();
}
END_TEST

/* Who keeps has its room on its way, and is not one of those that wait for others: where requests
 * are refused (_i even), and where the longest waiting ones are. */
START_TEST(test_one_that_keeps_is_not_refused)
{
    enum { NEXT = 4, MAY_WAIT = 2 };
    struct wb_call *first, *next[NEXT];
    bool refuses = _i % 2 == 0;
    open_pair(sim_profiles[_i / 2], 16 * mib, refuses ? WB_FULL_REFUSE : WB_FULL_SHED);
    ck_assert_int_eq(finish(begin(pair.peer, LARGE, patience_us)), WB_OK);
    first = begin_to_keep(SMALL, patience_us);
    for (unsigned i = 0; i < NEXT; i++) {
        next[i] = begin(pair.peer, LARGE, patience_us);
    }
    ck_assert_int_eq(finish(first), WB_OK);
    for (unsigned i = 0; i < NEXT; i++) {
        bool goes = refuses || i < NEXT - MAY_WAIT;
        ck_assert_int_eq(finish(next[i]), goes ? WB_ERR_BUSY : WB_OK);
    }
    close_pair();
}
END_TEST

/* It is given up, or its time is over, or its channel: the next one has the turn. */
START_TEST(test_one_that_keeps_ends)
{
    struct wb_call *first;
    int way = _i % 3;
    open_pair(sim_profiles[_i / 3], 16 * mib, WB_FULL_WAIT);
    ck_assert_int_eq(finish(begin(pair.peer, LARGE, patience_us)), WB_OK);
    first = begin_to_keep(SMALL, way == 1 ? 1000 : patience_us);
    if (way == 0) {
        wb_call_cancel(first);
    } else if (way == 2) {
        wb_peer_close(pair.peer);
        pair.peer = NULL;
    }
    static const int ends[] = {WB_ERR_CANCELLED, WB_ERR_TIMED_OUT, WB_ERR_CLOSED};
    ck_assert_int_eq(finish(first), ends[way]);
    for (unsigned i = 0; i < 100 && one_keeps(); i++) {
        sim_pair_settle(&pair, 10000);
    }
    ck_assert(!one_keeps());
    if (way == 2) {
        ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &pair.peer), WB_OK);
        ck_assert_int_eq(wb_peer_wait(pair.peer, patience_us), WB_OK);
    }
    ck_assert_int_eq(finish(begin(pair.peer, LARGE, patience_us)), WB_OK);
    ck_assert_int_eq(finish(begin(pair.peer, SMALL, patience_us)), WB_OK);
    close_pair();
}
END_TEST

/* One keeps on a lane that stands still, in a long handler: after a grace period slabs make way for
 * others as if nobody kept. */
START_TEST(test_nobody_waits_for_ever_for_one_that_keeps)
{
    open_pair(sim_profiles[_i], 16 * mib, WB_FULL_WAIT);
    ck_assert_int_eq(finish(begin(pair.peer, LARGE, patience_us)), WB_OK);
    uint64_t begun = sim_now_ns();
    pair.server.engine->admission.kept_at = pair.server.engine->lanes[0]->now;
    ck_assert_int_eq(finish(begin(pair.peer, LONE, patience_us)), WB_OK);
    ck_assert_uint_ge(sim_now_ns() - begun, 900000000);
    ck_assert(one_keeps());
    pair.server.engine->admission.kept_at = 0;
    close_pair();
}
END_TEST

/* One of two lanes' requests keeps at a time: for a grace period from the last landing that it had
 * more, and some of them in all. Then it leaves the turn to others for as long. */
START_TEST(test_the_turn_goes_round)
{
    struct wb_engine *engine = calloc(1, sizeof *engine);
    struct wbi_lane *lanes = calloc(2, sizeof *lanes);
    ck_assert(engine != NULL && lanes != NULL);
    struct wbi_inbound a = {.lane = &lanes[0], .admitted = 1}, b = {.lane = &lanes[1]};
    sim_pair_open(&pair, 1, sim_profiles[0]);
    lanes[0].engine = lanes[1].engine = engine;
    ck_assert(!wbi_admission_keep(&b, 1)); /* which is not let in */
    b.admitted = 1;
    ck_assert(wbi_admission_keep(&a, 1) && !wbi_admission_keep(&b, 1));
    ck_assert(wbi_admission_another_keeps(&b) && !wbi_admission_another_keeps(&a));
    sim_advance(900000);
    lanes[1].now = wbi_now();
    ck_assert(wbi_admission_another_keeps(&b) && wbi_admission_keep(&a, 2));
    sim_advance(900000);
    lanes[1].now = wbi_now();
    ck_assert(wbi_admission_another_keeps(&b) && wbi_admission_keep(&a, 2));
    sim_advance(200000);
    lanes[1].now = wbi_now();
    /* a is not back, and nobody knows when it will be; then it finds that out, though it has more
     */
    ck_assert(!wbi_admission_another_keeps(&b) && wbi_admission_keep(&b, 1));
    ck_assert(!wbi_admission_keep(&a, 3) && !wbi_admission_keep(&a, 3));
    ck_assert(wbi_admission_keep(&b, 2));
    wbi_admission_keep_not(&b);
    ck_assert_uint_eq(engine->admission.kept_at, 0);
    ck_assert(!wbi_admission_keep(&a, 2));
    sim_advance(1100000);
    ck_assert(wbi_admission_keep(&a, 2));
    uint32_t landed = 2;
    while (landed < 100 && wbi_admission_keep(&a, landed)) { /* slowly, but always more */
        landed++;
        sim_advance(900000);
    }
    ck_assert_uint_lt(landed, 20);
    ck_assert(wbi_admission_keep(&b, 1));
    wbi_admission_keep_not(&b);
    wbi_admission_keep_not(&a);
    ck_assert_uint_eq(engine->admission.kept_at, 0);
    free(lanes);
    free(engine);
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: landings of several sizes");
    TCase *tcase = tcase_create("sizes");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_test(tcase, test_the_turn_goes_round);
    tcase_add_loop_test(tcase, test_they_make_way_for_one_another, 0, 2 * SIM_PROFILES);
    tcase_add_loop_test(tcase, test_one_goes_before_all, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_one_that_keeps_is_not_refused, 0, 2 * SIM_PROFILES);
    tcase_add_loop_test(tcase, test_one_that_keeps_ends, 0, 3 * SIM_PROFILES);
    tcase_add_loop_test(tcase, test_nobody_waits_for_ever_for_one_that_keeps, 0, SIM_PROFILES);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
