/* Lines from the inside: pauses between attempts, what a line says of itself while it rests, and
 * how its calls end with its engine. Time is what the test says it is. */
#include <stdio.h>
#include <waybill/peer.h>

#include "engine/clock.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "tests/engine/scene.h"

enum { SOON = 1000, MOST = 60000000, IDLE = 60000000 };

static struct test_scene scene;
static char nowhere[120];

static struct wb_peer *line_to(const char *url, struct wb_peer_options options)
{
    struct wb_peer *peer = NULL;
    options.again = true;
    ck_assert_int_eq(wb_connect_with(scene.friend, url, &options, &peer), WB_OK);
    return peer;
}

static void open_scene(void)
{
    test_scene_open(&scene, NULL);
    snprintf(nowhere, sizeof nowhere, "%s-nowhere", scene.host_url);
}

static struct wb_peer *connected_line(void)
{
    struct wb_peer *peer = line_to(
        scene.host_url,
        (struct wb_peer_options){.backoff_us = SOON, .backoff_most_us = MOST, .idle_us = IDLE});
    test_scene_until(&scene, wb_peer_state(peer) == WB_PEER_CONNECTED);
    return peer;
}

/* The line looks at the clock, which says that it is so much later. */
static void expire(struct wb_peer *peer, uint64_t later_us)
{
    ck_assert_int_eq(wbi_lane_enter(peer->lane), WBI_LANE_ENTERED);
    wbi_line_expire(peer, wbi_now() + later_us);
    wbi_lane_leave(peer->lane);
}

static void rest(struct wb_peer *peer)
{
    expire(peer, 0); /* what the connection was used for is seen */
    expire(peer, 1000000000);
    test_scene_until(&scene, wb_peer_state(peer) == WB_PEER_IDLE && peer->channel == NULL);
}

START_TEST(test_first_pauses)
{
    static const struct {
        uint64_t least, most, wanted;
    } rows[] = {{0, 0, 100000},   {0, 5000, 5000},         {0, 100000, 100000},
                {0, 300, 1000},   {7000, 0, 7000},         {0, 200000, 100000},
                {300, 300, 1000}, {20000000, 0, 20000000}, {2000, 5000, 2000}};
    open_scene();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wb_peer *peer =
            line_to(nowhere, (struct wb_peer_options){.lazy = true,
                                                      .backoff_us = rows[i].least,
                                                      .backoff_most_us = rows[i].most});
        test_check(peer->line.pause_us == rows[i].wanted, "row %zu: %llu", i,
                   (unsigned long long)peer->line.pause_us);
        wb_peer_close(peer);
    }
    test_scene_close(&scene);
}
END_TEST

/* Whatever ended it: a connection that stood for long was no failure. */
START_TEST(test_a_long_connection_ends_the_pauses)
{
    open_scene();
    struct wb_peer *peer = connected_line();
    peer->line.pause_us = MOST;
    rest(peer); /* it was short */
    ck_assert_uint_eq(peer->line.pause_us, MOST);
    wb_peer_close(peer);
    peer = connected_line();
    peer->line.pause_us = MOST;
    peer->line.stood_since = 1;
    rest(peer);
    ck_assert_uint_eq(peer->line.pause_us, SOON);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

/* Somebody waits for it, and has not seen yet that it is there. */
START_TEST(test_who_waits_uses_it)
{
    open_scene();
    struct wb_peer *peer = connected_line();
    peer->line.waiters++;
    expire(peer, 0);
    expire(peer, 100000000);
    ck_assert(!peer->dying);
    peer->line.waiters--;
    rest(peer);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

/* All of what was agreed on has ended with the channel, and comes anew with the next. */
START_TEST(test_a_resting_line_describes_itself)
{
    struct wb_peer_info info;
    open_scene();
    struct wb_peer *peer = connected_line();
    ck_assert_int_eq(wb_peer_describe(peer, &info), WB_OK);
    ck_assert_uint_gt(info.eager_bytes, WBI_EAGER_MIN);
    rest(peer);
    ck_assert_int_eq(wb_peer_describe(peer, &info), WB_OK);
    ck_assert_uint_eq(info.wire_version, 0);
    ck_assert_uint_eq(info.eager_bytes, 0);
    ck_assert_uint_eq(info.credits, 0);
    ck_assert_uint_eq(info.engine_id, 0);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

/* Attempts that fail lose nobody, as long as others follow. */
START_TEST(test_failed_attempts_lose_no_peer)
{
    struct wb_engine_stats stats;
    struct wb_peer *once = NULL;
    open_scene();
    struct wb_peer *peer = line_to(nowhere, (struct wb_peer_options){.backoff_us = SOON});
    ck_assert_int_eq(wb_peer_wait(peer, 20 * SOON), WB_ERR_TIMED_OUT);
    ck_assert_uint_gt(peer->line.pause_us, SOON);
    wb_engine_stats(scene.friend, &stats);
    ck_assert_uint_eq(stats.peers_lost, 0);
    struct wb_peer_options lazy = {.lazy = true};
    ck_assert_int_eq(wb_connect_with(scene.friend, nowhere, &lazy, &once), WB_OK);
    ck_assert_int_eq(wb_peer_wait(once, test_patience_us), WB_ERR_REFUSED);
    wb_engine_stats(scene.friend, &stats);
    ck_assert_uint_eq(stats.peers_lost, 1);
    wb_peer_close(once);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

static void note_end(struct wb_call *call, void *user)
{
    struct sum_out out;
    *(int *)user = sum_finish(call, &out);
}

/* The last attempt has just failed when the engine ends. */
START_TEST(test_an_absent_line_at_the_end)
{
    int status = WB_OK;
    struct wb_engine *engine;
    struct wb_peer *peer;
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    struct wb_peer_options options = {.lazy = true, .again = true};
    struct wb_call_options told = {.then = note_end, .user = &status};
    open_scene();
    ck_assert_int_eq(wb_engine_create(NULL, &engine), WB_OK);
    ck_assert_int_eq(wb_connect_with(engine, nowhere, &options, &peer), WB_OK);
    ck_assert_int_eq(sum_async(peer, &in, &told, &call), WB_OK);
    ck_assert(peer->dying);
    wb_engine_destroy(engine);
    ck_assert_int_eq(status, WB_ERR_CLOSED);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_first_pauses,
                                  test_a_long_connection_ends_the_pauses,
                                  test_who_waits_uses_it,
                                  test_a_resting_line_describes_itself,
                                  test_failed_attempts_lose_no_peer,
                                  test_an_absent_line_at_the_end};
    Suite *suite = suite_create("lines");
    suite_add_tcase(suite, test_program_case("lines", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
