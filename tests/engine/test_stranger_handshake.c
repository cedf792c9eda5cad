/* Handshakes that are none, or of another version: what either side makes of them. */
#include <string.h>

#include "tests/engine/scene.h"

static struct test_scene scene;

/* ---- the stranger connects ---- */

/* Connects with these bytes, is refused with this status, and the host goes on. */
static void assert_turned_away(const void *hello, size_t len, int wanted)
{
    struct test_stranger *stranger = &scene.stranger;
    struct wbi_hello answer;
    test_stranger_connect(stranger, scene.host_address, hello, len);
    test_scene_until(&scene, stranger->lost != 0);
    ck_assert(!stranger->connected);
    ck_assert_int_eq(stranger->lost, WB_ERR_REFUSED);
    ck_assert_int_eq(wbi_hello_decode(stranger->hello, stranger->hello_len, &answer), WB_OK);
    ck_assert_int_eq(answer.status, wanted);
    ck_assert_uint_eq(answer.version_min, 1); /* so that it can name both */
    ck_assert_uint_eq(answer.version_max, 1);
    test_stranger_hang_up(stranger);
}

START_TEST(test_another_version_asks)
{
    static const uint8_t versions[][2] = {{2, 3}, {2, 2}, {0, 0}, {255, 255}};
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct wbi_hello hello = test_stranger_hello();
        uint8_t bytes[WBI_HELLO_BYTES];
        hello.version_min = versions[i][0];
        hello.version_max = versions[i][1];
        wbi_hello_encode(&hello, bytes);
        assert_turned_away(bytes, sizeof bytes, WB_ERR_VERSION);
    }
    ck_assert_uint_eq(test_scene_stats(&scene).peers_lost, 0);
    test_scene_meet(&scene);
    test_scene_close(&scene);
}
END_TEST

/* A newer library that still speaks our version is welcome. */
START_TEST(test_a_newer_one_asks)
{
    struct wbi_hello hello = test_stranger_hello();
    uint8_t bytes[WBI_HELLO_BYTES];
    test_scene_open(&scene, NULL);
    hello.version_max = 9;
    wbi_hello_encode(&hello, bytes);
    test_stranger_connect(&scene.stranger, scene.host_address, bytes, sizeof bytes);
    test_scene_until(&scene, scene.stranger.connected || scene.stranger.lost != 0);
    ck_assert(scene.stranger.connected);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_something_else_asks)
{
    struct wbi_hello hello = test_stranger_hello();
    uint8_t bytes[WBI_HELLO_BYTES];
    test_scene_open(&scene, NULL);
    assert_turned_away("", 0, WB_ERR_PROTOCOL);
    assert_turned_away("GET / HTTP/1.1\r\n", 16, WB_ERR_PROTOCOL);
    wbi_hello_encode(&hello, bytes);
    assert_turned_away(bytes, sizeof bytes - 1, WB_ERR_PROTOCOL);
    bytes[0] ^= 0x20;
    assert_turned_away(bytes, sizeof bytes, WB_ERR_PROTOCOL);
    hello.eager_bytes = 511;
    wbi_hello_encode(&hello, bytes);
    assert_turned_away(bytes, sizeof bytes, WB_ERR_PROTOCOL);
    hello.eager_bytes = 0;
    wbi_hello_encode(&hello, bytes);
    assert_turned_away(bytes, sizeof bytes, WB_ERR_PROTOCOL);
    test_scene_meet(&scene);
    test_scene_close(&scene);
}
END_TEST

/* Numbers that are large, and zero, but no lies. */
START_TEST(test_extreme_but_honest)
{
    struct wbi_hello hello = test_stranger_hello();
    uint8_t bytes[WBI_HELLO_BYTES];
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < 2; i++) {
        hello.eager_bytes = hello.read_depth = UINT32_MAX;
        hello.credits = i == 0 ? UINT32_MAX : 0;
        hello.features = UINT64_MAX;
        hello.status = -1;
        wbi_hello_encode(&hello, bytes);
        test_stranger_connect(&scene.stranger, scene.host_address, bytes, sizeof bytes);
        test_scene_until(&scene, scene.stranger.connected || scene.stranger.lost != 0);
        ck_assert(scene.stranger.connected);
        test_scene_assert_serves(&scene);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_asking_again_and_again)
{
    struct wbi_hello hello = test_stranger_hello();
    uint8_t bytes[WBI_HELLO_BYTES];
    test_scene_open(&scene, NULL);
    wbi_hello_encode(&hello, bytes);
    for (unsigned i = 0; i < test_scaled(400); i++) {
        /* hangs up at every stage of it */
        test_stranger_connect(&scene.stranger, scene.host_address, bytes, sizeof bytes);
        for (unsigned turn = 0; turn < i % 8; turn++) {
            test_scene_turn(&scene);
        }
    }
    test_stranger_hang_up(&scene.stranger);
    test_scene_pause(&scene);
    test_scene_meet(&scene);
    test_scene_close(&scene);
}
END_TEST

/* ---- the host connects ---- */

/* The host asks; returns how that ended for it. */
static int ask(void)
{
    wb_peer_close(scene.guest);
    scene.guest = NULL;
    test_stranger_hang_up(&scene.stranger);
    ck_assert_int_eq(wb_connect(scene.host, scene.stranger_url, &scene.guest), WB_OK);
    test_scene_until(&scene, wb_peer_state(scene.guest) != WB_PEER_CONNECTING);
    return wb_peer_wait(scene.guest, 0);
}

static void assert_reason(const char *part)
{
    ck_assert_msg(strstr(wb_peer_reason(scene.guest), part) != NULL, "\"%s\" has no \"%s\"",
                  wb_peer_reason(scene.guest), part);
    ck_assert_str_eq(wb_last_error(), wb_peer_reason(scene.guest));
}

START_TEST(test_refused_by_another_version)
{
    struct wbi_hello hello = test_stranger_hello();
    test_scene_open(&scene, NULL);
    hello.version_min = 2;
    hello.version_max = 3;
    for (unsigned i = 0; i < 4; i++) {
        /* it says so in its answer or not, and knows what we speak or not */
        hello.status = i % 2 ? WB_ERR_VERSION : WB_ERR_REFUSED;
        test_stranger_answer(&scene.stranger, i < 2 ? TEST_REJECT : TEST_ACCEPT, &hello);
        ck_assert_int_eq(ask(), WB_ERR_VERSION);
        assert_reason("2 to 3");
        assert_reason("1 to 1");
        assert_reason(scene.stranger_url);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_refused_for_other_reasons)
{
    struct wbi_hello hello = test_stranger_hello();
    test_scene_open(&scene, NULL);
    test_stranger_answer(&scene.stranger, TEST_REJECT, NULL);
    ck_assert_int_eq(ask(), WB_ERR_REFUSED);
    assert_reason(scene.stranger_url);
    hello.status = WB_AGAIN;
    test_stranger_answer(&scene.stranger, TEST_REJECT, &hello);
    ck_assert_int_eq(ask(), WB_ERR_REFUSED);
    assert_reason("max_peers");
    /* words that are none */
    memset(scene.stranger.answer, '%', sizeof scene.stranger.answer);
    scene.stranger.repeats_token = false;
    ck_assert_int_eq(ask(), WB_ERR_REFUSED);
    scene.stranger.answer_len = 3;
    ck_assert_int_eq(ask(), WB_ERR_REFUSED);
    test_scene_visit(&scene);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_accepted_by_something_else)
{
    struct wbi_hello hello = test_stranger_hello();
    test_scene_open(&scene, NULL);
    /* no hello, half of one, another's token, an eager size that is none */
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, NULL);
    ck_assert_int_eq(ask(), WB_ERR_PROTOCOL);
    assert_reason(scene.stranger_url);
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    scene.stranger.repeats_token = false;
    ck_assert_int_eq(ask(), WB_ERR_PROTOCOL);
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    scene.stranger.repeats_token = false;
    scene.stranger.answer_len = 20;
    ck_assert_int_eq(ask(), WB_ERR_PROTOCOL);
    hello.eager_bytes = 100;
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    scene.stranger.repeats_token = false;
    ck_assert_int_eq(ask(), WB_ERR_PROTOCOL);
    test_scene_visit(&scene);
    test_scene_close(&scene);
}
END_TEST

/* Calls that were begun meanwhile end, unsent. */
START_TEST(test_calls_of_a_connection_that_was_refused)
{
    struct wbi_hello hello = test_stranger_hello();
    struct wb_call *calls[10];
    struct sum_in in = {.a = 1};
    struct sum_out out;
    test_scene_open(&scene, NULL);
    hello.version_min = hello.version_max = 2;
    test_stranger_answer(&scene.stranger, TEST_REJECT, &hello);
    ck_assert_int_eq(wb_connect(scene.host, scene.stranger_url, &scene.guest), WB_OK);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(sum_async(scene.guest, &in, NULL, &calls[i]), WB_OK);
    }
    for (unsigned i = 0; i < 10; i++) {
        test_scene_until(&scene, wb_call_done(calls[i]));
        ck_assert_int_eq(sum_finish(calls[i], &out), WB_ERR_NOT_SENT);
    }
    test_scene_close(&scene);
}
END_TEST

/* A peer that gives no credit: nothing is sent, and the calls end by the clock. */
START_TEST(test_no_credit)
{
    struct wbi_hello hello = test_stranger_hello();
    struct wb_call *call;
    struct sum_in in = {.a = 1};
    struct sum_out out;
    struct wb_call_options options = {.timeout_us = 50000};
    test_scene_open(&scene, NULL);
    hello.credits = 0;
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    ck_assert_int_eq(ask(), WB_OK);
    ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(scene.stranger.heard_count, 0);
    test_scene_close(&scene);
}
END_TEST

/* It listens and never answers. */
START_TEST(test_no_answer)
{
    struct wb_engine_config config;
    struct wb_peer *peer;
    wb_engine_config_default(&config);
    config.connect_timeout_us = 50000;
    test_scene_open(&scene, &config);
    ck_assert_int_eq(wb_connect(scene.host, scene.stranger_url, &peer), WB_OK);
    ck_assert_int_eq(wb_peer_wait(peer, test_patience_us / 2), WB_ERR_TIMED_OUT);
    ck_assert_int_eq(wb_peer_state(peer), WB_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(peer), scene.stranger_url));
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const asked[] = {test_another_version_asks, test_a_newer_one_asks,
                                  test_something_else_asks, test_extreme_but_honest,
                                  test_asking_again_and_again};
    const TTest *const asks[] = {test_refused_by_another_version,
                                 test_refused_for_other_reasons,
                                 test_accepted_by_something_else,
                                 test_calls_of_a_connection_that_was_refused,
                                 test_no_credit,
                                 test_no_answer};
    Suite *suite = suite_create("handshakes with strangers");
    suite_add_tcase(suite, test_program_case("asked", asked, sizeof asked / sizeof asked[0]));
    suite_add_tcase(suite, test_program_case("asks", asks, sizeof asks / sizeof asks[0]));
    return test_program_run(suite, argc, argv);
}
