/*
 * Parcels that share messages, between two engines: those that had to wait do, one that can go at
 * once goes alone; and each is its own when it is here, however long it is kept.
 */
#include <string.h>

#include "engine/bundle.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "tests/conformance/actions_later.h"
#include "tests/fabric/side.h"
#include "tests/simverbs/scene_calls.h"
#include "tests/support/pattern.h"
#include "tests/support/program.h"

enum { CALLS = 200, FEW = 5, RAW = 100 };

static struct sim_pair pair;
static bool peers_are_older; /* they know of no bundles */
static struct wb_call *calls[CALLS];

int __real_wbi_hello_decode(const uint8_t *bytes, size_t len, struct wbi_hello *hello);
int __wrap_wbi_hello_decode(const uint8_t *bytes, size_t len, struct wbi_hello *hello);

int __wrap_wbi_hello_decode(const uint8_t *bytes, size_t len, struct wbi_hello *hello)
{
    int status = __real_wbi_hello_decode(bytes, len, hello);
    if (peers_are_older) {
        hello->features &= ~(uint64_t)WBI_FEATURE_BUNDLES;
    }
    return status;
}

static void open_pair(const struct sim_profile *profile)
{
    sim_pair_open(&pair, 1, profile);
    pair.config.max_calls = pair.config.credits = CALLS;
    int status = sim_pair_begin(&pair);
    ck_assert_msg(status == WB_OK, "%s: %s", profile->name, wb_last_error());
}

/* Slots of an engine's lane that nobody has kept, but those that receives wait in. */
static uint32_t kept_slots(const struct wbi_lane *lane)
{
    uint32_t idle = 0;
    for (const struct wbi_free_slot *slot = lane->slots.free; slot != NULL; slot = slot->next) {
        idle++;
    }
    for (const struct wbi_free_slot *slot = lane->slots.returned; slot != NULL; slot = slot->next) {
        idle++;
    }
    return lane->slots.fresh - idle;
}

static struct wbi_lane *server_lane(void)
{
    return pair.server.engine->lanes[0]->peers != NULL ? pair.server.engine->lanes[0]
                                                       : pair.server.engine->lanes[1];
}

static void close_pair(void)
{
    sim_calls_assert_quiet(&pair, "at the end");
    sim_pair_close(&pair);
}

/* ---- load ---- */

START_TEST(test_one_that_can_go_goes_alone)
{
    open_pair(sim_profiles[_i]);
    for (unsigned i = 0; i < 50; i++) {
        struct add_in in = {.a = i, .b = 1};
        struct add_out out;
        ck_assert_int_eq(add_call(pair.peer, &in, &out, NULL), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
    ck_assert_uint_eq(sim_stats(&pair.client).bundles, 0);
    ck_assert_uint_eq(sim_stats(&pair.server).bundles, 0);
    close_pair();
}
END_TEST

/* More calls than may be under way: the first go at once, the others wait. */
static void call_all(void)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct add_in in = {.a = i, .b = 1};
        ck_assert_int_eq(add_async(pair.peer, &in, NULL, &calls[i]), WB_OK);
        ck_assert_uint_eq(sim_stats(&pair.client).bundles, 0);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        struct add_out out;
        ck_assert_int_eq(add_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(out.sum, i + 1);
    }
}

START_TEST(test_what_waits_goes_together)
{
    open_pair(sim_profiles[_i]);
    call_all();
    struct wb_engine_stats client = sim_stats(&pair.client), server = sim_stats(&pair.server);
    ck_assert_uint_gt(client.bundles, 0);
    ck_assert_uint_ge(client.bundled, 2 * client.bundles);
    ck_assert_uint_le(client.bundled, WBI_BUNDLE_MOST * client.bundles);
    ck_assert_uint_gt(server.bundles, 0);
    ck_assert_uint_eq(server.parcels_received, CALLS);
    ck_assert_uint_eq(client.parcels_received, CALLS);
    close_pair();
}
END_TEST

START_TEST(test_no_bundles_to_older_peers)
{
    peers_are_older = true;
    open_pair(sim_profiles[_i]);
    call_all();
    ck_assert_uint_eq(sim_stats(&pair.client).bundles, 0);
    ck_assert_uint_eq(sim_stats(&pair.server).bundles, 0);
    close_pair();
}
END_TEST

/* ---- what a bundle's parcels come to ---- */

/* What is begun between the two is sent together. */
static void begin_together(void)
{
    struct wbi_lane *lane = pair.peer->lane;
    ck_assert_int_eq(wbi_lane_enter(lane), WBI_LANE_ENTERED);
    lane->inside = true;
    lane->fabric->gather(lane->port);
}

static void end_together(void)
{
    struct wbi_lane *lane = pair.peer->lane;
    lane->fabric->flush(lane->port);
    lane->inside = false;
    wbi_lane_leave(lane);
}

/* Requests of one message, whose handlers keep their arguments, and answer in turn; results of one
 * message, that their caller keeps. What each looks into stays, until the last has let go. */
START_TEST(test_parts_that_are_kept)
{
    static uint8_t raw[CALLS][RAW];
    open_pair(sim_profiles[_i]);
    uint32_t there = kept_slots(server_lane()), here = kept_slots(pair.peer->lane);
    for (unsigned round = 0; round < 40; round++) {
        begin_together();
        for (unsigned i = 0; i < FEW; i++) {
            test_pattern_fill(raw[i], RAW, round + i);
            struct later_in in = {
                .how = TEST_WHEN_LET_GO, .seed = round + i, .raw = {.data = raw[i], .len = RAW}};
            ck_assert_int_eq(later_async(pair.peer, &in, NULL, &calls[i]), WB_OK);
        }
        end_together();
        sim_pair_settle(&pair, 1000);
        struct let_later_go_in go = {.answer = 1};
        struct let_later_go_out gone;
        ck_assert_int_eq(let_later_go_call(pair.peer, &go, &gone, NULL), WB_OK);
        ck_assert_uint_eq(gone.held, FEW);
        sim_pair_settle(&pair, 1000);
        for (unsigned i = 0; i < FEW; i++) {
            struct later_out out;
            unsigned which = (round + i) % FEW;
            ck_assert_int_eq(later_finish(calls[which], &out), WB_OK);
            ck_assert_uint_eq(out.right, 1);
            ck_assert_uint_eq(out.raw.len, RAW);
            ck_assert_uint_eq(test_pattern_check(out.raw.data, RAW, round + which), RAW);
            later_out_drop(&out);
        }
    }
    ck_assert_uint_ge(sim_stats(&pair.client).bundled, 40 * FEW);
    ck_assert_uint_ge(sim_stats(&pair.server).bundled, 40 * FEW);
    sim_pair_settle(&pair, 100000);
    ck_assert_uint_le(kept_slots(server_lane()), there + 16); /* late receives */
    ck_assert_uint_le(kept_slots(pair.peer->lane), here + 16);
    close_pair();
}
END_TEST

/* Chunks in a bundle: as alone. */
START_TEST(test_parcels_with_chunks)
{
    open_pair(sim_profiles[_i]);
    struct wb_rma_allocator *pool = wb_engine_allocator(pair.client.engine);
    struct wb_call_options options = {.reply_bytes = 100000};
    struct vector_in in = {.before = 1, .after = 2};
    ck_assert_int_eq(wb_rma_vector_create(pool, 1, 30000, &in.data), WB_OK);
    test_pattern_fill(in.data.data, 30000, 3);
    begin_together();
    for (unsigned i = 0; i < FEW; i++) {
        ck_assert_int_eq(vector_async(pair.peer, &in, &options, &calls[i]), WB_OK);
    }
    end_together();
    for (unsigned i = 0; i < FEW; i++) {
        struct vector_out out;
        ck_assert_int_eq(vector_finish(calls[i], &out), WB_OK);
        ck_assert_uint_eq(test_pattern_check(out.data.data, 30000, 3), 30000);
        vector_out_drop(&out);
    }
    vector_in_drop(&in);
    ck_assert_uint_eq(sim_stats(&pair.client).bundled, FEW);
    close_pair();
}
END_TEST

/* ---- the fabric ---- */

static struct test_side server_side, client_side;

/* A message: a request by its first byte, then its number, and a pattern of that. */
static size_t write_message(uint8_t *slot, size_t len, uint64_t number)
{
    test_pattern_fill(slot, len, number);
    slot[0] = WBI_REQUEST;
    memcpy(slot + 1, &number, sizeof number);
    return len;
}

static void on_message(struct test_end *end, const uint8_t *bytes, size_t len)
{
    uint8_t expected[4096];
    write_message(expected, len, end->messages - 1);
    ck_assert_mem_eq(bytes, expected, len);
}

/* Messages of any length, sent alone and together, to a peer that takes less than a slot holds:
 * they come as they were, in order, and no bundle is longer than it may. */
START_TEST(test_lengths_of_all_kinds)
{
    enum { MOST = 1000 };
    const struct wbi_fabric *fabric = &wbi_verbs_fabric;
    struct wb_engine_config config;
    struct test_end *here, *there;
    uint64_t chance = 7, number = 0;
    wb_engine_config_default(&config);
    sim_open(&(struct sim_options){.seed = 1});
    struct sim_host *hosts[] = {sim_host_add(), sim_host_add()};
    sim_device_add(hosts[0], sim_profiles[_i], "10.0.0.1");
    sim_device_add(hosts[1], sim_profiles[_i], "10.0.0.2");
    sim_host_enter(hosts[1]);
    test_side_open_on(&server_side, fabric, &config);
    TEST_OK(fabric->listen(server_side.lane, "10.0.0.2:1"));
    sim_host_enter(hosts[0]);
    test_side_open_on(&client_side, fabric, &config);
    test_join(&server_side, "10.0.0.2:1", &client_side, &there, &here);
    server_side.on_message = on_message;
    fabric->bundle(here->channel, MOST);
    fabric->bundle(there->channel, MOST);
    for (unsigned round = 0; round < 300; round++) {
        unsigned together = (unsigned)(test_pattern_random(&chance) % 5);
        fabric->gather(client_side.lane);
        for (unsigned i = 0; i < together; i++) {
            size_t len = 9 + test_pattern_random(&chance) % (round % 2 == 0 ? 90 : 1200);
            uint8_t *slot;
            ck_assert_int_eq(fabric->reserve(here->channel, len, false, &slot), WB_OK);
            if (test_pattern_random(&chance) % 8 == 0) {
                memset(slot, 0xee, len);
                fabric->cancel(here->channel); /* leaves nothing behind in the bundle */
            } else {
                fabric->send(here->channel, write_message(slot, len, number++));
            }
        }
        fabric->flush(client_side.lane);
        test_until_count(&client_side, &server_side, &there->messages, number);
    }
    ck_assert_uint_gt(there->bundles, 0);
    ck_assert_uint_le(there->longest, MOST);
    ck_assert_uint_gt(there->longest, MOST - 100);
    test_side_close(&client_side);
    test_side_close(&server_side);
    ck_assert_uint_eq(sim_close(), 0);
}
END_TEST

#define NOTE(F)
WB_ACTION(note, NOTE, NOTE) /* counts how often it runs, and when what has been posted */

enum { NOTES_A_BUNDLE = 16, BUNDLES = 6 };

static unsigned notes;
static uint64_t lists_at[1 + BUNDLES * NOTES_A_BUNDLE];

static int on_note(struct wb_context *context, struct note_in *in, struct note_out *out, void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    ck_assert_uint_le(notes, BUNDLES * NOTES_A_BUNDLE);
    lists_at[notes++] = sim_device_posts(pair.server_device).lists;
    return WB_OK;
}

/* What came alone, before bundles of another peer's, is answered after one of them, and not when
 * all of these have been handled. */
START_TEST(test_an_answer_waits_for_one_bundle)
{
    struct note_in in = {0};
    struct note_out out;
    struct wb_peer *other;
    struct wb_call *alone;
    notes = 0;
    open_pair(&sim_profile_mlx5);
    ck_assert_int_eq(note_register(pair.server.engine, on_note, NULL), WB_OK);
    ck_assert_int_eq(wb_connect(pair.client.engine, sim_pair_url, &other), WB_OK);
    ck_assert_int_eq(wb_peer_wait(other, 20000000), WB_OK);
    sim_pair_settle(&pair, 1000);
    ck_assert_int_eq(note_async(other, &in, NULL, &alone), WB_OK);
    for (unsigned bundle = 0; bundle < BUNDLES; bundle++) {
        begin_together();
        for (unsigned i = 0; i < NOTES_A_BUNDLE; i++) {
            ck_assert_int_eq(note_async(pair.peer, &in, NULL, &calls[bundle * NOTES_A_BUNDLE + i]),
                             WB_OK);
        }
        end_together();
    }
    ck_assert_uint_eq(sim_stats(&pair.client).bundles, BUNDLES);
    for (unsigned i = 0; i < 200; i++) {
        sim_advance(10); /* all are there before the server looks */
    }
    ck_assert_int_eq(note_finish(alone, &out), WB_OK);
    for (unsigned i = 0; i < BUNDLES * NOTES_A_BUNDLE; i++) {
        ck_assert_int_eq(note_finish(calls[i], &out), WB_OK);
    }
    ck_assert_uint_eq(notes, 1 + BUNDLES * NOTES_A_BUNDLE);
    /* behind the first bundle: its answers, and the one that came before */
    ck_assert_uint_ge(lists_at[1 + NOTES_A_BUNDLE] - lists_at[1], 2);
    wb_peer_close(other);
    close_pair();
}
END_TEST

/* ---- lies ---- */

static struct wb_peer *accepted(void)
{
    return server_lane()->peers;
}

/* The server gets these bytes as a bundle from the client. */
static void receive(const uint8_t *bytes, size_t len)
{
    struct wbi_lane *lane = server_lane();
    ck_assert_int_eq(wbi_lane_enter(lane), WBI_LANE_ENTERED);
    uint8_t *slot = wbi_engine_events.take_slot(lane);
    memcpy(slot, bytes, len);
    lane->inside = true;
    wbi_engine_events.on_bundle(accepted(), slot, len);
    lane->inside = false;
    wbi_lane_leave(lane);
}

static size_t add_request(uint8_t *bytes, size_t len, uint64_t id)
{
    size_t at = wbi_bundle_next(len);
    struct wbi_header header = {.kind = WBI_REQUEST, .call_id = id, .action = 1};
    memset(bytes + len, 0, at - len);
    wbi_bundle_put_frame(bytes + at, WBI_REQUEST_BYTES);
    wbi_header_encode(&header, bytes + at + WBI_BUNDLE_FRAME);
    return at + WBI_BUNDLE_FRAME + WBI_REQUEST_BYTES;
}

/* Nothing of a bundle that is not whole is believed, not the parcels before its fault either. */
START_TEST(test_a_bundle_that_is_none)
{
    uint8_t bytes[512];
    open_pair(&sim_profile_mlx5);
    uint64_t before = sim_stats(&pair.server).parcels_received;
    size_t len = add_request(bytes, 0, 1);
    len = add_request(bytes, len, 2);
    receive(bytes, len - 1);
    ck_assert_int_eq(wb_peer_state(accepted()), WB_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(accepted()), "bundle"));
    struct wb_engine_stats stats = sim_stats(&pair.server);
    ck_assert_uint_eq(stats.parcels_received, before);
    ck_assert_uint_eq(stats.protocol_errors, 1);
    sim_pair_settle(&pair, 10000000);
    ck_assert_int_eq(wb_peer_state(pair.peer), WB_PEER_LOST);
    sim_pair_close(&pair);
}
END_TEST

/* Each request of a bundle takes a credit: one too many is one too many, as alone; so is a second
 * answer to one request. */
START_TEST(test_a_bundle_takes_credits)
{
    uint8_t bytes[4096];
    size_t len = 0;
    sim_pair_open(&pair, 1, &sim_profile_mlx5);
    pair.config.credits = 4;
    ck_assert_int_eq(sim_pair_begin(&pair), WB_OK);
    uint32_t granted = accepted()->granted;
    ck_assert_uint_lt(granted + 1, WBI_BUNDLE_MOST);
    accepted()->unreturned = granted - 2; /* it has used all but two */
    for (unsigned i = 0; i < 3; i++) {
        len = add_request(bytes, len, i);
    }
    receive(bytes, len);
    ck_assert_int_eq(wb_peer_state(accepted()), WB_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(accepted()), "without a credit"));
    ck_assert_uint_eq(sim_stats(&pair.server).parcels_received, 3);
    sim_pair_close(&pair);
}
END_TEST

static void clear(void)
{
    peers_are_older = false;
    sim_pair_clear(&pair);
}

int main(int argc, char **argv)
{
    Suite *suite = suite_create("simverbs: bundles");
    TCase *tcase = tcase_create("bundles");
    tcase_add_checked_fixture(tcase, NULL, clear);
    tcase_add_loop_test(tcase, test_one_that_can_go_goes_alone, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_what_waits_goes_together, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_no_bundles_to_older_peers, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_parts_that_are_kept, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_parcels_with_chunks, 0, SIM_PROFILES);
    tcase_add_loop_test(tcase, test_lengths_of_all_kinds, 0, 2); /* with shared receives */
    tcase_add_test(tcase, test_an_answer_waits_for_one_bundle);
    tcase_add_test(tcase, test_a_bundle_that_is_none);
    tcase_add_test(tcase, test_a_bundle_takes_credits);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
