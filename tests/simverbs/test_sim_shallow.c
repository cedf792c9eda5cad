/* Devices with few receives, and more calls than they can hold: requests wait, and no message ever
 * finds its receiver without a receive. */
#include <string.h>

#include "engine/engine.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/program.h"

static struct sim_pair pair;

enum { CALLS = 400 };

static void open_pair(const struct sim_profile *profile, uint32_t max_peers)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.max_calls = CALLS;
    pair.config.credits = 1024;
    pair.config.max_peers = max_peers;
    int status = sim_pair_begin(&pair);
    ck_assert_msg(status == WB_OK, "%s: %s", profile->name, wb_last_error());
}

static void close_pair(void)
{
    struct sim_tally tally = {0};
    sim_calls_make(&pair, "afterwards", &tally);
    ck_assert_uint_eq(tally.failed, 0);
    sim_calls_assert_quiet(&pair, "afterwards");
    ck_assert_uint_eq(sim_not_ready_count(), 0);
    sim_pair_close(&pair);
}

/* Calls that wait at the server until their time is over, which makes room for others while the
 * replies are still to come. */
static void time_out_many(void)
{
    static struct wb_call *calls[CALLS];
    struct wb_call_options options = {.timeout_us = 20000};
    struct wait_at_gate_in in = {.raw = {.data = NULL}};
    struct wait_at_gate_out out;
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(wait_at_gate_async(pair.peer, &in, &options, &calls[i]), WB_OK);
        if (i % 8 == 0) {
            sim_pair_settle(&pair, 100);
        }
    }
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(wait_at_gate_finish(calls[i], &out), WB_ERR_TIMED_OUT);
    }
}

START_TEST(test_late_replies_find_their_receives)
{
    static const uint32_t peers[] = {1, 8, 256};
    for (unsigned i = 0; i < 3; i++) {
        open_pair(sim_profiles[_i], peers[i]);
        for (unsigned round = 0; round < 4; round++) {
            time_out_many();
        }
        close_pair();
    }
}
END_TEST

/* The server's alone: what it sends must find its receives, though the client takes nothing. */
static void server_turns(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        wb_progress(pair.server.engine);
        sim_advance(5);
    }
}

/* All replies come at once. */
START_TEST(test_more_calls_than_receives)
{
    static struct wb_call *calls[CALLS];
    struct wait_at_gate_in in = {.raw = {.data = NULL}};
    struct wait_at_gate_out out;
    open_pair(sim_profiles[_i], 256);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(wait_at_gate_async(pair.peer, &in, NULL, &calls[i]), WB_OK);
        sim_pair_settle(&pair, 20);
    }
    pair.server.gate_open = true;
    server_turns(4000);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(wait_at_gate_finish(calls[i], &out), WB_OK);
    }
    close_pair();
}
END_TEST

/* As many connections as fit; one more is refused, and fits when another has gone. */
START_TEST(test_more_peers_than_places)
{
    enum { MOST = 41 };
    struct wb_peer *peers[MOST];
    struct wb_peer *one_more = NULL;
    open_pair(&sim_profile_tiny, 256);
    for (unsigned i = 1; i < MOST; i++) {
        ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &peers[i]), WB_OK);
        ck_assert_int_eq(wb_peer_wait(peers[i], 20000000), WB_OK);
    }
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &one_more), WB_AGAIN);
    ck_assert_ptr_nonnull(strstr(wb_last_error(), "queues"));
    wb_peer_close(peers[1]);
    sim_pair_settle(&pair, 1000000);
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &peers[1]), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peers[1], 20000000), WB_OK);
    for (unsigned i = 1; i < MOST; i++) {
        struct add_in in = {.a = i, .b = 1};
        struct add_out out;
        ck_assert_int_eq(add_call(peers[i], &in, &out, NULL), WB_OK);
        wb_peer_close(peers[i]);
    }
    close_pair();
}
END_TEST

/* Blocks that are nobody's. */
static uint32_t free_blocks(struct wb_engine *engine)
{
    const struct wbi_slots *slots = &engine->lanes[engine->lane_count - 1]->slots;
    uint32_t count = slots->arena.count - slots->fresh;
    for (const struct wbi_free_slot *at = slots->free; at != NULL; at = at->next) {
        count++;
    }
    for (const struct wbi_free_slot *at = atomic_load(&slots->returned); at != NULL;
         at = at->next) {
        count++;
    }
    return count;
}

/* A queue pair that ends gives back the receives that it held, each once: whatever it was doing,
 * and though a caller still keeps one. */
START_TEST(test_receives_come_back)
{
    struct add_in in = {.a = 1, .b = 2};
    struct add_out out;
    struct wb_call *calls[8], *waiting;
    struct wait_at_gate_in wait = {.raw = {.data = NULL}};
    struct wait_at_gate_out waited;
    open_pair(&sim_profile_aries, 8);
    for (unsigned i = 0; i < 60; i++) {
        for (unsigned j = 0; j < 8; j++) {
            ck_assert_int_eq(add_async(pair.peer, &in, NULL, &calls[j]), WB_OK);
        }
        ck_assert_int_eq(wait_at_gate_async(pair.peer, &wait, NULL, &waiting), WB_OK);
        sim_pair_settle(&pair, i % 12 * 3);
        wb_peer_close(pair.peer);
        ck_assert_int_eq(wait_at_gate_finish(waiting, &waited), WB_ERR_CLOSED);
        sim_pair_settle(&pair, 200000);
        for (unsigned j = 0; j < 8; j++) {
            add_finish(calls[j], &out); /* before or after: it keeps a block up to here */
            add_out_drop(&out);
        }
        ck_assert_uint_eq(free_blocks(pair.client.engine),
                          pair.client.engine->lanes[1]->shares.slots);
        ck_assert_uint_eq(free_blocks(pair.server.engine),
                          pair.server.engine->lanes[1]->shares.slots);
        ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &pair.peer), WB_OK);
        ck_assert_int_eq(wb_peer_wait(pair.peer, 20000000), WB_OK);
    }
    close_pair();
}
END_TEST

/* Begins a call each way; `back` is the server's handle of the client. */
static void call_both_ways(struct wb_peer *back, struct wb_call **there, struct wb_call **here)
{
    struct add_in in = {.a = 1, .b = 2};
    ck_assert_int_eq(add_async(pair.peer, &in, NULL, there), WB_OK);
    sim_host_enter(pair.server_host);
    ck_assert_int_eq(add_async(back, &in, NULL, here), WB_OK);
    sim_host_enter(pair.client_host);
}

/* Each side has more to ask than there are receives for replies. Replies that stood in the queue
 * behind requests would wait for one another. */
START_TEST(test_both_sides_ask)
{
    static struct wb_call *there[CALLS / 2], *here[CALLS / 2];
    struct add_out out;
    open_pair(sim_profiles[_i], 2);
    sim_pair_settle(&pair, 100000);
    const struct wb_engine *server = pair.server.engine;
    struct wb_peer *back = server->lanes[server->lane_count - 1]->peers;
    for (unsigned i = 0; i < CALLS / 2; i++) {
        call_both_ways(back, &there[i], &here[i]);
    }
    uint64_t start = sim_now_ns();
    for (unsigned i = 0; i < CALLS / 2; i++) {
        ck_assert_int_eq(add_finish(there[i], &out), WB_OK);
    }
    sim_pair_settle(&pair, 10000);
    for (unsigned i = 0; i < CALLS / 2; i++) {
        ck_assert(wb_call_done(here[i]));
        ck_assert_int_eq(add_finish(here[i], &out), WB_OK);
    }
    ck_assert_uint_lt(sim_now_ns() - start, 1000000000);
    close_pair();
}
END_TEST

static void clear(void)
{
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: shallow queues");
    TCase *tcase = tcase_create("shallow");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, test_late_replies_find_their_receives, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_more_calls_than_receives, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_both_sides_ask, 0, SIM_PROFILES);
    tcase_add_test(tcase, test_more_peers_than_places);
    tcase_add_test(tcase, test_receives_come_back);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
