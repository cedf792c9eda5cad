/* What wb_peer_describe says: nothing agreed before the handshake, the smaller of both sides'
 * afterwards, and still so when the peer is lost. */
#include <string.h>
#include <waybill/version.h>

#include "tests/engine/scene.h"

enum { EAGER = 2048, CREDITS = 7 };

static struct test_scene scene;

static void open_scene(void)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.eager_bytes = EAGER;
    config.credits = CREDITS;
    test_scene_open(&scene, &config);
}

static struct wb_peer_info describe(struct wb_peer *peer)
{
    struct wb_peer_info info;
    memset(&info, 0xa5, sizeof info);
    ck_assert_int_eq(wb_peer_describe(peer, &info), WB_OK);
    return info;
}

START_TEST(test_nothing_is_agreed_before)
{
    struct wb_peer *peer;
    open_scene();
    ck_assert_int_eq(wb_connect(scene.friend, scene.host_url, &peer), WB_OK);
    struct wb_peer_info info = describe(peer);
    ck_assert_int_eq(info.state, WB_PEER_CONNECTING);
    ck_assert_str_eq(info.url, scene.host_url);
    ck_assert_str_eq(info.scheme, scene.fabric->scheme);
    ck_assert_uint_eq(info.wire_version, 0);
    ck_assert_uint_eq(info.eager_bytes, 0);
    ck_assert_uint_eq(info.credits, 0);
    ck_assert_uint_eq(info.key_bytes, 0);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_what_is_agreed)
{
    struct wb_peer *peer;
    struct wb_engine_config mine;
    wb_engine_config_default(&mine);
    open_scene();
    ck_assert_int_eq(wb_connect(scene.friend, scene.host_url, &peer), WB_OK);
    test_scene_until(&scene, wb_peer_state(peer) != WB_PEER_CONNECTING);
    struct wb_peer_info info = describe(peer);
    ck_assert_int_eq(info.state, WB_PEER_CONNECTED);
    ck_assert(!info.accepted);
    ck_assert_uint_eq(info.wire_version, WB_WIRE_VERSION_MAX);
    ck_assert_uint_eq(info.eager_bytes, EAGER);
    ck_assert_uint_eq(info.credits, CREDITS);
    ck_assert_uint_eq(info.credits_granted, mine.credits);
    ck_assert_uint_eq(info.key_bytes, 16);
    ck_assert_uint_ge(info.peer_read_depth, 1);
    ck_assert_uint_ge(info.read_depth, 1);
    ck_assert_uint_eq(info.read_align, 1);
    ck_assert_uint_eq(info.engine_id, describe(scene.peer).engine_id);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_what_stays_of_a_lost_peer)
{
    open_scene();
    test_scene_visit(&scene);
    struct wb_peer_info before = describe(scene.guest);
    ck_assert_int_eq(before.state, WB_PEER_CONNECTED);
    ck_assert_uint_eq(before.credits_granted, CREDITS);
    test_stranger_hang_up(&scene.stranger);
    test_scene_until(&scene, wb_peer_state(scene.guest) == WB_PEER_LOST);
    struct wb_peer_info after = describe(scene.guest);
    ck_assert_int_eq(after.state, WB_PEER_LOST);
    after.state = before.state;
    ck_assert_uint_eq(after.eager_bytes, before.eager_bytes);
    ck_assert_uint_eq(after.credits, before.credits);
    ck_assert_str_eq(after.url, scene.stranger_url);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("engine: what is known of a peer");
    TCase *tcase = tcase_create("describe");
    tcase_add_test(tcase, test_nothing_is_agreed_before);
    tcase_add_test(tcase, test_what_is_agreed);
    tcase_add_test(tcase, test_what_stays_of_a_lost_peer);
    suite_add_tcase(suite, tcase);
    return test_program_run(suite, argc, argv);
}
