/* A stranger that calls: what it must not do closes its channel, and what it may only wish for is
 * refused; the friend never notices, and nothing is left behind. */
#include <string.h>

#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/peer.h"
#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

static struct test_scene scene;
static struct test_forgery forgery;

/* The channel was closed for what was said last. Meets again. */
static void assert_thrown_out(const char *why)
{
    struct wb_engine_stats stats = test_scene_stats(&scene);
    ck_assert_msg(!test_scene_say(&scene, forgery.bytes, forgery.len), "not thrown out: %s", why);
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, stats.protocol_errors + 1);
    test_scene_assert_serves(&scene);
    test_scene_meet(&scene);
}

/* What was said last was answered with this status. */
static void assert_answered(uint64_t call_id, int status)
{
    struct wbi_header header;
    const char *what;
    ck_assert_msg(test_scene_say(&scene, forgery.bytes, forgery.len), "thrown out: %s",
                  scene.stranger.reason);
    for (unsigned i = 0; i < scene.stranger.heard_count && i < TEST_STRANGER_HEARD; i++) {
        const struct test_heard *heard =
            &scene.stranger.heard[(scene.stranger.heard_count - 1 - i) % TEST_STRANGER_HEARD];
        if (wbi_header_decode(heard->bytes, heard->len, &header, &what) == WB_OK &&
            header.kind == WBI_REPLY && header.call_id == call_id) {
            ck_assert_msg(header.status == status, "%s, not %s", wb_status_name(header.status),
                          wb_status_name(status));
            return;
        }
    }
    ck_abort_msg("no answer");
}

START_TEST(test_noise)
{
    uint64_t seed = 11;
    unsigned thrown_out = 0;
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (unsigned i = 0; i < test_scaled(250); i++) {
        size_t len = 1 + test_pattern_random(&seed) % 300;
        for (size_t at = 0; at < len; at++) {
            uint64_t dice = test_pattern_random(&seed);
            forgery.bytes[at] = dice % 3 == 0 ? (uint8_t)(dice >> 8) : 0;
        }
        forgery.bytes[0] = (uint8_t)(i % 5);
        if (!test_scene_say(&scene, forgery.bytes, len)) {
            thrown_out++;
            test_scene_meet(&scene);
        }
        if (i % 50 == 0) {
            test_scene_assert_serves(&scene);
        }
    }
    ck_assert_uint_gt(thrown_out, 10);
    test_scene_close(&scene);
}
END_TEST

/* Honest messages with a few bits turned over. */
START_TEST(test_almost_right)
{
    static uint8_t raw[5000];
    uint64_t seed = 12;
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (unsigned i = 0; i < test_scaled(250); i++) {
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_header header = test_forge_request(&echo_action, i, WBI_FLAG_LEASED, 3);
        struct wbi_chunk_record first = test_forge_index(0, 9), second = test_forge_index(9, 2),
                                chunk = test_forge_offered(&offer, WB_CHUNK_POINTER, sizeof raw);
        header.reply_room = 100000;
        header.deadline_us = 100000;
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, i);
        test_forge_record(&forgery, &first);
        test_forge_record(&forgery, &chunk);
        test_forge_record(&forgery, &second);
        test_forge_bytes(&forgery, "12345678\xff\0\0", 11);
        for (unsigned bits = i % 4; bits > 0; bits--) {
            uint64_t bit = test_pattern_random(&seed) % (forgery.len * 8);
            forgery.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        if (!test_scene_say(&scene, forgery.bytes, forgery.len)) {
            test_scene_meet(&scene);
        } else {
            scene.fabric->retire(scene.stranger.channel, &offer);
        }
        if (i % 50 == 0) {
            test_scene_assert_serves(&scene);
        }
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_requests_without_credit)
{
    struct wb_engine_config config;
    wb_engine_config_default(&config);
    config.credits = 5;
    test_scene_open(&scene, &config);
    uint32_t credits = test_scene_meet(&scene);
    ck_assert_uint_eq(credits, 5);
    struct wbi_header header = test_forge_request(&never_action, 1, 0, 0);
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "12345678\0\0\0", 11);
    for (uint32_t i = 0; i < credits; i++) {
        ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
    }
    test_scene_pause(&scene);
    ck_assert_int_eq(scene.stranger.lost, 0); /* these were its own */
    test_scene_assert_serves(&scene);
    ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
    test_scene_until(&scene, scene.stranger.lost != 0);
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, 1);
    test_scene_assert_serves(&scene);
    test_scene_close(&scene);
}
END_TEST

/* An echo of so many bytes, which come back in a message. */
static void forge_echo(uint64_t bytes)
{
    static const uint8_t raw[8000];
    struct wbi_header header = test_forge_request(&echo_action, 1, 0, 0);
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "12345678\xfe", 9);
    test_forge_id(&forgery, bytes);
    test_forge_bytes(&forgery, raw, bytes);
    test_forge_bytes(&forgery, "\0\0", 2);
}

/* Replies that are not taken fill the channel, but for the room of control messages, and wait then.
 * Who asks on gets no credits for that. */
START_TEST(test_replies_that_nobody_takes)
{
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    const struct wbi_lane *lane = scene.host->lanes[0];
    const struct wb_peer *asker = lane->peers; /* the last that has come */
    forge_echo(7900);
    for (unsigned round = 0; round < 20; round++) {
        scene.stranger.deaf = true;
        for (unsigned i = 0; i < 200; i++) {
            if (asker->unreturned < asker->granted) {
                test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false);
            }
            wb_progress(scene.host);
        }
        ck_assert_uint_le(lane->parcels.made, asker->granted);
        scene.stranger.deaf = false;
        test_stranger_turn(&scene.stranger);
    }
    ck_assert_uint_gt(test_scene_stats(&scene).parcels_waited, asker->granted); /* they did wait */
    test_scene_until(&scene, asker->waiting == NULL);
    ck_assert_uint_eq(test_scene_stats(&scene).protocol_errors, 0);
    test_scene_close(&scene);
}
END_TEST

/* Credits that nobody has: more than were given away at the handshake. */
START_TEST(test_credits_out_of_nothing)
{
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (int kind = WBI_REQUEST; kind <= WBI_CONTROL; kind++) {
        struct wbi_header header = {.kind = (uint8_t)kind, .credits = 1};
        test_forge_header(&forgery, &header);
        assert_thrown_out("a credit too many");
    }
    test_scene_close(&scene);
}
END_TEST

/* The friend has a lease of the host's; the stranger releases all that it can think of. */
START_TEST(test_releases_of_others)
{
    struct wb_call *call;
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 60000};
    struct echo_in in = {.number = 5};
    struct echo_out out;
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.friend), 1, 50000, &in.data),
                     WB_OK);
    test_pattern_fill(in.data.data, 50000, 3);
    ck_assert_int_eq(echo_async(scene.peer, &in, &options, &call), WB_OK);
    uint64_t start = test_clock_us();
    for (bool sent = false; !sent; sent = test_scene_stats(&scene).leases_open == 1) {
        wb_progress(scene.host);
        /* a few turns, so that its chunk goes; no more, so that the reply waits unread */
        if (test_scene_stats(&scene).parcels_received == 0 || test_scene_stats(&scene).reads == 0) {
            wb_progress(scene.friend);
        }
        ck_assert_uint_lt(test_clock_us() - start, test_patience_us);
    }
    for (uint64_t generation = 0; generation < 4; generation++) {
        struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 100};
        test_forge_header(&forgery, &header);
        for (uint64_t index = 0; index < 100; index++) {
            test_forge_id(&forgery, generation << 32 | (index < 90 ? index : UINT32_MAX - index));
        }
        ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
        for (unsigned i = 0; i < 100; i++) {
            wb_progress(scene.host);
        }
    }
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 1);
    ck_assert_int_eq(scene.stranger.lost, 0);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(echo_finish(call, &out), WB_OK);
    ck_assert_uint_eq(test_pattern_check(out.data.data, 50000, 3), 50000);
    echo_out_drop(&out);
    echo_in_drop(&in);
    test_scene_close(&scene);
}
END_TEST

/* Replies to calls that were never made, and to calls that others were asked. */
START_TEST(test_replies_to_nothing)
{
    struct wb_peer *peer;
    struct wb_call *call;
    struct sum_in in = {.a = 20, .b = 22};
    struct sum_out out;
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    /* the host asks its friend; its call is number 0 of generation 1 */
    ck_assert_int_eq(wb_connect(scene.host, scene.friend_url, &peer), WB_OK);
    test_scene_until(&scene, wb_peer_state(peer) == WB_PEER_CONNECTED);
    ck_assert_int_eq(sum_async(peer, &in, NULL, &call), WB_OK);
    /* and an answer to it comes from somebody else, whom nobody asked */
    struct wbi_header header = {.kind = WBI_REPLY, .call_id = (uint64_t)1 << 32};
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "\x63\0\0\0\0\0\0\0", 8);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
    test_scene_until(&scene, test_scene_stats(&scene).protocol_errors == 1);
    test_scene_until(&scene, scene.stranger.lost != 0);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.sum, 42);
    wb_peer_close(peer);
    test_scene_close(&scene);
}
END_TEST

/* A reply with chunks to a call that is none: nothing of it is fetched. */
START_TEST(test_chunks_for_nothing)
{
    struct wbi_header header = {
        .kind = WBI_REPLY, .flags = WBI_FLAG_LEASED, .chunk_count = 2, .call_id = 77};
    struct wbi_chunk_record index = test_forge_index(0, 1);
    struct wbi_chunk_record chunk = test_forge_chunk(WB_CHUNK_RMA, 1, 16, 1);
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x55);
    test_forge_record(&forgery, &index);
    test_forge_record(&forgery, &chunk);
    test_forge_bytes(&forgery, "\xff", 1);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
    test_scene_until(&scene, test_scene_stats(&scene).protocol_errors == 1);
    ck_assert_uint_eq(test_scene_stats(&scene).reads, 0);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_actions_that_are_none)
{
    struct wb_engine_stats stats;
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    struct wbi_header header = test_forge_request(&sum_action, 3, 0, 0);
    header.action++;
    test_forge_header(&forgery, &header);
    assert_answered(3, WB_ERR_UNKNOWN_ACTION);
    header = test_forge_request(&sum_action, 4, 0, 0);
    header.signature++;
    test_forge_header(&forgery, &header);
    assert_answered(4, WB_ERR_SIGNATURE);
    /* archives that are too short and too long for the signature */
    header = test_forge_request(&sum_action, 5, 0, 0);
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "123456781234567", 15);
    assert_answered(5, WB_ERR_MALFORMED);
    test_forge_bytes(&forgery, "12", 2);
    assert_answered(5, WB_ERR_MALFORMED);
    /* lengths in an archive that it does not hold */
    header = test_forge_request(&echo_action, 6, 0, 0);
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "12345678\xfe\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 19);
    assert_answered(6, WB_ERR_MALFORMED);
    stats = test_scene_stats(&scene);
    ck_assert_uint_eq(stats.protocol_errors, 0);
    test_scene_close(&scene);
}
END_TEST

/* Requests whose time is over while they wait are answered so, and those that are told to stop. */
START_TEST(test_requests_that_wait_too_long)
{
    test_scene_open(&scene, NULL);
    test_scene_meet(&scene);
    for (uint64_t id = 1; id <= 20; id++) {
        struct wbi_header header = test_forge_request(&never_action, id, 0, 0);
        header.deadline_us = id % 2 ? 20000 : 0;
        test_forge_header(&forgery, &header);
        test_forge_bytes(&forgery, "12345678\0\0\0", 11);
        ck_assert(test_scene_say(&scene, forgery.bytes, forgery.len));
        scene.stranger.heard_count = 0;
        if (id % 2 == 0) {
            struct wbi_header control = {.kind = WBI_CONTROL, .cancel_count = 1};
            test_forge_header(&forgery, &control);
            test_forge_id(&forgery, id);
            ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, true));
        }
        test_scene_until(&scene, scene.stranger.heard_count > 0);
        struct wbi_header answer;
        const char *what;
        const struct test_heard *heard = test_stranger_last(&scene.stranger);
        ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &answer, &what), WB_OK);
        ck_assert_uint_eq(answer.call_id, id);
        ck_assert_int_eq(answer.status, id % 2 ? WB_ERR_TIMED_OUT : WB_ERR_CANCELLED);
    }
    test_scene_close(&scene);
}
END_TEST

/* A caller that hangs up while its requests wait, are fetched, or are being answered. */
START_TEST(test_hanging_up)
{
    static uint8_t raw[200000];
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < test_scaled(160); i++) {
        struct wbi_header header =
            test_forge_request(i % 2 ? &never_action : &echo_action, i, WBI_FLAG_LEASED, 3);
        struct wbi_chunk_record first = test_forge_index(0, 9), second = test_forge_index(9, 2);
        header.reply_room = 1 << 20;
        test_scene_meet(&scene);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_chunk_record chunk = test_forge_offered(&offer, WB_CHUNK_POINTER, sizeof raw);
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, i);
        test_forge_record(&forgery, &first);
        test_forge_record(&forgery, &chunk);
        test_forge_record(&forgery, &second);
        test_forge_bytes(&forgery, "12345678\xff\0\0", 11);
        for (unsigned times = 0; times < 3; times++) {
            ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
        }
        for (unsigned turn = 0; turn < i % 16; turn++) {
            test_scene_turn(&scene);
        }
        test_stranger_hang_up(&scene.stranger);
    }
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_noise,
                                  test_almost_right,
                                  test_requests_without_credit,
                                  test_replies_that_nobody_takes,
                                  test_credits_out_of_nothing,
                                  test_releases_of_others,
                                  test_replies_to_nothing,
                                  test_chunks_for_nothing,
                                  test_actions_that_are_none,
                                  test_requests_that_wait_too_long,
                                  test_hanging_up};
    Suite *suite = suite_create("a stranger calls");
    suite_add_tcase(suite, test_program_case("asks", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
