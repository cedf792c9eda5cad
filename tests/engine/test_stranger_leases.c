/* Leases and a stranger that has something to say about them. */
#include "tests/engine/guest.h"

static struct test_scene scene;
static struct test_forgery forgery;

/*
 * The stranger stops listening, so that parcels wait with their chunks offered already, and
 * releases all leases that there could be: those that were not even sent are none of its business.
 */
START_TEST(test_releases_of_what_was_not_sent)
{
    enum { CALLS = 200, IDS = 256 };
    static char text[3900];
    struct wb_engine_config config;
    struct wb_call *calls[CALLS];
    struct wbi_hello hello = test_stranger_hello();
    struct wb_call_options options = {.timeout_us = test_patience_us};
    wb_engine_config_default(&config);
    test_scene_open(&scene, &config);
    hello.credits = 1000;
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    ck_assert_int_eq(wb_connect(scene.host, scene.stranger_url, &scene.guest), WB_OK);
    test_scene_until(&scene, wb_peer_state(scene.guest) == WB_PEER_CONNECTED);
    scene.stranger.deaf = true;
    for (unsigned i = 0; i < CALLS; i++) {
        struct echo_in in = {.number = i, .raw = {.data = text, .len = sizeof text}};
        ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 1, 3000, &in.data),
                         WB_OK);
        ck_assert_int_eq(echo_async(scene.guest, &in, &options, &calls[i]), WB_OK);
        echo_in_drop(&in);
    }
    test_scene_pause(&scene);
    struct wb_engine_stats stats = test_scene_stats(&scene);
    ck_assert_uint_lt(stats.parcels_sent, CALLS); /* or there is nothing to this test */
    ck_assert_uint_gt(stats.leases_open, stats.parcels_sent);
    struct wbi_header header = {.kind = WBI_CONTROL, .release_count = IDS};
    test_forge_header(&forgery, &header);
    for (uint64_t index = 0; index < IDS; index++) {
        test_forge_id(&forgery, (uint64_t)1 << 32 | index);
    }
    test_guest_say(&scene, &forgery);
    test_scene_pause(&scene);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, stats.leases_open - stats.parcels_sent);
    scene.stranger.deaf = false;
    test_scene_until(&scene, test_scene_stats(&scene).parcels_sent == CALLS);
    test_scene_until(&scene, scene.stranger.heard_count == CALLS);
    test_stranger_hang_up(&scene.stranger);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(test_guest_finish_echo(&scene, calls[i]), WB_ERR_PEER_LOST);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_released_twice)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (uint64_t i = 0; i < 20; i++) {
        struct wb_call *call = test_guest_begin_echo(&scene, 0);
        const struct test_heard *heard = test_stranger_last(&scene.stranger);
        uint64_t lease = wbi_id_decode(heard->bytes + WBI_REQUEST_BYTES);
        struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 2};
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, lease);
        test_forge_id(&forgery, lease);
        test_guest_say(&scene, &forgery);
        test_scene_until(&scene, test_scene_stats(&scene).leases_open == 0);
        test_guest_say(&scene, &forgery); /* while the next call may have its place */
        ck_assert(!wb_call_done(call));
        test_guest_answer(&scene, WB_OK, "12345678\0\x01\0", 11);
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_OK);
        ck_assert_uint_eq(test_scene_stats(&scene).releases_received, i + 1);
    }
    test_scene_close(&scene);
}
END_TEST

/* A caller that neither fetches the result nor gives it back: its time and a grace period later the
 * result is withdrawn. */
START_TEST(test_a_result_that_is_never_released)
{
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    test_guest_ask_echo(&scene, 50000);
    test_scene_until(&scene, test_scene_stats(&scene).leases_open == 1);
    test_scene_assert_serves(&scene);
    test_scene_until(&scene, test_scene_stats(&scene).leases_open == 0);
    test_scene_pause(&scene);
    ck_assert_int_eq(scene.stranger.lost, 0);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_releases_of_what_was_not_sent, test_released_twice,
                                  test_a_result_that_is_never_released};
    Suite *suite = suite_create("leases and a stranger");
    suite_add_tcase(suite, test_program_case("leases", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
