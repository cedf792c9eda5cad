/* Large requests of one peer land one behind the other (engine/pace.h): what that bounds, whom it
 * does not hold, and how those that wait end. */
#include "engine/engine.h"
#include "engine/inbound.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "tests/engine/scene.h"

enum { CALLS = 8, LARGE = 1 << 20, SMALL = 32 << 10 };

static struct test_scene scene;
static struct wb_call *calls[CALLS];
static struct echo_in in[CALLS];

/* What the host has of the friend's requests. */
struct found {
    unsigned paced;
    uint64_t fetched; /* bytes that are being READ, of those that count */
};

static struct found look(void)
{
    struct found found = {0};
    for (unsigned i = 0; i < scene.host->lane_count; i++) {
        for (const struct wb_peer *peer = scene.host->lanes[i]->peers; peer != NULL;
             peer = peer->next) {
            for (const struct wbi_inbound *at = peer->inbounds; at != NULL; at = at->next) {
                found.paced += at->paced;
                found.fetched += at->fetch_bytes;
            }
            ck_assert_uint_eq(peer->pace.bytes, found.fetched);
        }
    }
    return found;
}

static void begin_with(unsigned i, size_t bytes, bool never_ends, wb_bytes raw)
{
    struct wb_call_options options = {.reply_bytes = 2 * bytes + 4096,
                                      .timeout_us = test_patience_us,
                                      .pointer_threshold = SIZE_MAX};
    in[i] = (struct echo_in){.number = i, .raw = raw};
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.friend), 1, bytes, &in[i].data),
                     WB_OK);
    test_pattern_fill(in[i].data.data, bytes, i);
    int status = never_ends
                     ? never_async(scene.peer, (struct never_in *)&in[i], &options, &calls[i])
                     : echo_async(scene.peer, &in[i], &options, &calls[i]);
    ck_assert_int_eq(status, WB_OK);
}

static void begin(unsigned i, size_t bytes, bool never_ends)
{
    begin_with(i, bytes, never_ends, (wb_bytes){.data = NULL});
}

static void end(unsigned i)
{
    struct echo_out out;
    ck_assert_int_eq(echo_finish(calls[i], &out), WB_OK);
    uint64_t bytes = wb_rma_vector_bytes(&in[i].data);
    ck_assert_uint_eq(test_pattern_check(out.data.data, bytes, i), bytes);
    echo_out_drop(&out);
    echo_in_drop(&in[i]);
}

static bool all_done(void)
{
    bool done = true;
    for (unsigned i = 0; i < CALLS; i++) {
        done &= wb_call_done(calls[i]);
    }
    return done;
}

/* Requests wait, and no more than is to be ahead is READ at once, but for the last that began. */
START_TEST(test_large_ones_land_in_turn)
{
    unsigned most_paced = 0;
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < CALLS; i++) {
        begin(i, LARGE, false);
    }
    uint64_t start = test_clock_us();
    while (!all_done()) {
        test_scene_turn(&scene);
        struct found found = look();
        most_paced = found.paced > most_paced ? found.paced : most_paced;
        ck_assert_uint_lt(found.fetched, (1 << 20) + LARGE);
        ck_assert(found.paced == 0 || found.fetched > 0);
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    }
    ck_assert_uint_ge(most_paced, CALLS - 3);
    for (unsigned i = 0; i < CALLS; i++) {
        end(i);
    }
    test_scene_close(&scene);
}
END_TEST

static void take_turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        test_scene_turn(&scene);
    }
}

static char raw[30000];

/* A turn; those that have ended begin again. Returns how many. */
static unsigned go_on_with_others(unsigned gap)
{
    unsigned begun = 0;
    test_scene_turn(&scene);
    for (unsigned i = 1; i < CALLS; i++) {
        if (wb_call_done(calls[i])) {
            end(i);
            begin_with(i, LARGE, false, (wb_bytes){.data = raw, .len = sizeof raw});
            begun++;
            take_turns((i * 7 + gap) % 4);
        }
    }
    return begun;
}

/* Some ask without a pause for what has a long archive before its large chunk: what waits for its
 * turn to land has one all the same. */
START_TEST(test_two_stages_do_not_starve_others)
{
    unsigned others;
    test_scene_open(&scene, NULL);
    for (unsigned i = 1; i < CALLS; i++) {
        begin_with(i, LARGE, false, (wb_bytes){.data = raw, .len = sizeof raw});
        take_turns(3 * i); /* so that one or the other is always being READ */
    }
    for (unsigned i = 0; i < 20; i++) {
        begin(0, LARGE, false);
        others = 0;
        while (!wb_call_done(calls[0])) {
            others += go_on_with_others(i);
            ck_assert_uint_lt(others, 300);
        }
        end(0);
    }
    begin(0, LARGE, false);
    test_scene_until(&scene, all_done());
    for (unsigned i = 0; i < CALLS; i++) {
        end(i);
    }
    test_scene_close(&scene);
}
END_TEST

/* A small one behind many large ones is there before them. */
START_TEST(test_small_ones_pass)
{
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < CALLS; i++) {
        begin(i, i + 1 < CALLS ? LARGE : SMALL, false);
    }
    test_scene_until(&scene, wb_call_done(calls[CALLS - 1]));
    ck_assert(!wb_call_done(calls[CALLS - 2]));
    test_scene_until(&scene, all_done());
    for (unsigned i = 0; i < CALLS; i++) {
        end(i);
    }
    test_scene_close(&scene);
}
END_TEST

static void begin_and_await_paced(void)
{
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < CALLS; i++) {
        begin(i, LARGE, true);
    }
    test_scene_until(&scene, look().paced > 1);
}

static void drop_all(int expected)
{
    struct never_out out;
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(never_finish(calls[i], &out), expected);
        echo_in_drop(&in[i]);
    }
}

/* The last first, so that it is one that waits. */
START_TEST(test_cancelled_while_they_wait)
{
    begin_and_await_paced();
    for (unsigned i = CALLS; i-- > 0;) {
        ck_assert_int_eq(wb_call_cancel(calls[i]), WB_OK);
        test_scene_turn(&scene);
    }
    test_scene_until(&scene, all_done());
    drop_all(WB_ERR_CANCELLED);
    test_scene_until(&scene, look().fetched == 0 && look().paced == 0);
    test_scene_close(&scene);
}
END_TEST

/* Their peer goes, and comes again. */
START_TEST(test_the_peer_goes_while_they_wait)
{
    begin_and_await_paced();
    wb_peer_close(scene.peer);
    drop_all(WB_ERR_CLOSED);
    ck_assert_int_eq(wb_connect(scene.friend, scene.host_url, &scene.peer), WB_OK);
    test_scene_until(&scene, wb_peer_state(scene.peer) == WB_PEER_CONNECTED);
    test_scene_until(&scene, look().fetched == 0 && look().paced == 0);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: pace");
    TCase *tcase = tcase_create("pace");
    tcase_add_test(tcase, test_large_ones_land_in_turn);
    tcase_add_test(tcase, test_two_stages_do_not_starve_others);
    tcase_add_test(tcase, test_small_ones_pass);
    tcase_add_test(tcase, test_cancelled_while_they_wait);
    tcase_add_test(tcase, test_the_peer_goes_while_they_wait);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
