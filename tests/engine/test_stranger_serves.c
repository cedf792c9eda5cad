/* A stranger that is called: whatever it answers, the call ends as it should, and its chunks are
 * free. */
#include <string.h>

#include "tests/engine/forge.h"
#include "tests/engine/scene.h"

static struct test_scene scene;
static struct test_forgery forgery;

/* The id of the call whose request was heard last. */
static uint64_t heard_call(void)
{
    const struct test_heard *heard = test_stranger_last(&scene.stranger);
    struct wbi_header header;
    const char *what;
    ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &header, &what), WB_OK);
    ck_assert_uint_eq(header.kind, WBI_REQUEST);
    return header.call_id;
}

static struct wb_call *begin_sum(void)
{
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(sum_async(scene.guest, &in, NULL, &call), WB_OK);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    return call;
}

static int finish_sum(struct wb_call *call)
{
    struct sum_out out;
    test_scene_until(&scene, wb_call_done(call));
    int status = sum_finish(call, &out);
    sum_out_drop(&out);
    return status;
}

/* A call with a vector in it, and room for one in its result. */
static struct wb_call *begin_echo(uint64_t reply_bytes)
{
    struct wb_call *call;
    struct echo_in in = {.number = 4};
    struct wb_call_options options = {.reply_bytes = reply_bytes};
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 1, 3000, &in.data),
                     WB_OK);
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(echo_async(scene.guest, &in, &options, &call), WB_OK);
    echo_in_drop(&in);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    return call;
}

static int finish_echo(struct wb_call *call)
{
    struct echo_out out;
    test_scene_until(&scene, wb_call_done(call));
    int status = echo_finish(call, &out);
    echo_out_drop(&out);
    return status;
}

static void say(void)
{
    test_scene_until(&scene, test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
}

/* Answers the call heard last with `len` bytes of archive. */
static void answer(int status, const void *archive, size_t len)
{
    struct wbi_header header = {
        .kind = WBI_REPLY, .credits = 1, .call_id = heard_call(), .status = status};
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, archive, len);
    say();
}

START_TEST(test_archives_that_do_not_decode)
{
    static const size_t lengths[] = {0, 1, 7, 9, 100, 8000};
    static uint8_t noise[8000];
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(noise, (int)i * 60, sizeof noise);
        struct wb_call *call = begin_sum();
        answer(WB_OK, noise, lengths[i]);
        ck_assert_int_eq(finish_sum(call), WB_ERR_MALFORMED);
        call = begin_echo(0);
        answer(WB_OK, noise, lengths[i]);
        ck_assert_int_eq(finish_echo(call), WB_ERR_MALFORMED);
        ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 0); /* though it released none */
    }
    struct wb_call *call = begin_sum();
    answer(WB_OK, "\x07\0\0\0\0\0\0\0", 8);
    ck_assert_int_eq(finish_sum(call), WB_OK);
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    test_scene_close(&scene);
}
END_TEST

/* A status from elsewhere means no more than that the call has failed. */
START_TEST(test_every_status)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (int status = -1; status > -40; status--) {
        struct wb_call *call = begin_sum();
        answer(status, "why", 3);
        int got = finish_sum(call);
        test_check(got < 0 && got != WB_AGAIN && got != WB_ERR_DEADLOCK, "%s becomes %s",
                   wb_status_name(status), wb_status_name(got));
    }
    struct wb_call *call = begin_sum();
    answer(INT32_MIN, "why", 3);
    ck_assert_int_lt(finish_sum(call), 0);
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    call = begin_sum();
    answer(1, "", 0);
    ck_assert_int_eq(finish_sum(call), WB_ERR_PEER_LOST);
    ck_assert_ptr_nonnull(strstr(wb_peer_reason(scene.guest), "status"));
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_texts_of_any_kind)
{
    static char text[8000];
    struct wb_error error;
    struct sum_in in = {.a = 1};
    struct sum_out out;
    struct wb_call *call;
    struct wb_call_options options = {.error = &error};
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned fill = 0; fill < 256; fill += 5) {
        memset(text, (int)fill, sizeof text);
        scene.stranger.heard_count = 0;
        ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
        test_scene_until(&scene, scene.stranger.heard_count > 0);
        answer(WB_ERR_REMOTE, text, fill % 2 ? sizeof text : 119);
        test_scene_until(&scene, wb_call_done(call));
        ck_assert_int_eq(sum_finish(call, &out), WB_ERR_REMOTE);
        ck_assert_uint_lt(strlen(error.text), sizeof error.text);
        for (const char *at = error.text; *at != '\0'; at++) {
            test_check((unsigned char)*at >= ' ' && *at != 0x7f, "byte %d in a text", *at);
        }
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_replies_come_once)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (uint64_t i = 1; i <= 20; i++) {
        struct wb_call *call = begin_sum();
        answer(WB_OK, &i, 8);
        struct wbi_header no_credit = {.kind = WBI_REPLY, .call_id = heard_call()};
        wbi_header_encode(&no_credit, forgery.bytes);
        say();
        say();
        ck_assert_int_eq(finish_sum(call), WB_OK);
        test_scene_until(&scene, test_scene_stats(&scene).late_replies == 2 * i);
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- chunks in replies ---- */

/* A reply to echo with one chunk of `len` bytes that the key is to name. */
static void answer_with_chunk(const struct wbi_chunk_record *chunk)
{
    struct wbi_header header = {.kind = WBI_REPLY,
                                .flags = WBI_FLAG_LEASED,
                                .credits = 1,
                                .chunk_count = 2,
                                .call_id = heard_call()};
    struct wbi_chunk_record index = test_forge_index(0, 11);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x4242);
    test_forge_record(&forgery, &index);
    test_forge_record(&forgery, chunk);
    test_forge_bytes(&forgery, "12345678\0\x01\xff", 11);
    scene.stranger.heard_count = 0;
    say();
}

static bool heard_release(void)
{
    const struct test_heard *heard = scene.stranger.heard;
    return scene.stranger.heard_count == 1 && heard->bytes[0] == WBI_CONTROL &&
           wbi_id_decode(heard->bytes + WBI_CONTROL_BYTES) == 0x4242;
}

START_TEST(test_chunks_without_room)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned shift = 0; shift < 63; shift += 3) {
        struct wbi_chunk_record chunk =
            test_forge_chunk(WB_CHUNK_RMA, (uint64_t)1 << shift, 16, 0xff);
        struct wb_call *call = begin_echo(0);
        answer_with_chunk(&chunk);
        ck_assert_int_eq(finish_echo(call), WB_ERR_REPLY_TOO_LARGE);
        test_scene_until(&scene, heard_release());
        chunk.len += 20000;
        call = begin_echo(10000);
        answer_with_chunk(&chunk);
        ck_assert_int_eq(finish_echo(call), WB_ERR_REPLY_TOO_LARGE);
        test_scene_until(&scene, heard_release());
    }
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_chunks_with_room)
{
    static uint8_t raw[9000];
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    struct echo_out out;
    test_pattern_fill(raw, sizeof raw, 8);
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < 10; i++) {
        struct wb_call *call = begin_echo(sizeof raw);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_chunk_record chunk = test_forge_offered(&offer, WB_CHUNK_RMA, sizeof raw);
        answer_with_chunk(&chunk);
        test_scene_until(&scene, wb_call_done(call));
        ck_assert_int_eq(echo_finish(call, &out), WB_OK);
        ck_assert_uint_eq(out.data.count, sizeof raw);
        ck_assert_uint_eq(test_pattern_check(out.data.data, sizeof raw, 8), sizeof raw);
        test_scene_until(&scene, heard_release());
        scene.fabric->retire(scene.stranger.channel, &offer);
        echo_out_drop(&out);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_chunks_of_nonsense)
{
    struct wb_call *other;
    test_scene_open(&scene, NULL);
    for (unsigned fill = 0; fill < 255; fill += 50) {
        struct wbi_chunk_record chunk = test_forge_chunk(WB_CHUNK_RMA, 5000, 16, (uint8_t)fill);
        test_scene_visit(&scene);
        other = begin_sum();
        struct wb_call *call = begin_echo(10000);
        answer_with_chunk(&chunk);
        int status = finish_echo(call);
        ck_assert(status == WB_ERR_PEER_LOST || status == WB_ERR_PROTOCOL);
        ck_assert_int_eq(finish_sum(other), WB_ERR_PEER_LOST);
        ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_LOST);
        test_scene_assert_serves(&scene);
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- leases ---- */

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
    say();
    test_scene_pause(&scene);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, stats.leases_open - stats.parcels_sent);
    scene.stranger.deaf = false;
    test_scene_until(&scene, test_scene_stats(&scene).parcels_sent == CALLS);
    test_scene_until(&scene, scene.stranger.heard_count == CALLS);
    test_stranger_hang_up(&scene.stranger);
    for (unsigned i = 0; i < CALLS; i++) {
        ck_assert_int_eq(finish_echo(calls[i]), WB_ERR_PEER_LOST);
    }
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_released_twice)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (uint64_t i = 0; i < 20; i++) {
        struct wb_call *call = begin_echo(0);
        const struct test_heard *heard = test_stranger_last(&scene.stranger);
        uint64_t lease = wbi_id_decode(heard->bytes + WBI_REQUEST_BYTES);
        struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 2};
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, lease);
        test_forge_id(&forgery, lease);
        say();
        test_scene_until(&scene, test_scene_stats(&scene).leases_open == 0);
        say(); /* while the next call may have its place */
        ck_assert(!wb_call_done(call));
        answer(WB_OK, "12345678\0\x01\0", 11);
        ck_assert_int_eq(finish_echo(call), WB_OK);
        ck_assert_uint_eq(test_scene_stats(&scene).releases_received, i + 1);
    }
    test_scene_close(&scene);
}
END_TEST

/* Cancels of calls that it did not make. */
START_TEST(test_cancels_of_nothing)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    struct wb_call *call = begin_sum();
    struct wbi_header header = {.kind = WBI_CONTROL, .cancel_count = 20};
    test_forge_header(&forgery, &header);
    for (uint64_t id = 0; id < 20; id++) {
        test_forge_id(&forgery, id < 10 ? (uint64_t)1 << 32 | id : id);
    }
    say();
    test_scene_pause(&scene);
    ck_assert(!wb_call_done(call));
    answer(WB_OK, "\x03\0\0\0\0\0\0\0", 8);
    ck_assert_int_eq(finish_sum(call), WB_OK);
    test_scene_close(&scene);
}
END_TEST

/* It hangs up at every stage of a call. */
START_TEST(test_hanging_up)
{
    test_scene_open(&scene, NULL);
    for (unsigned i = 0; i < test_scaled(60); i++) {
        struct wbi_chunk_record chunk = test_forge_chunk(WB_CHUNK_RMA, 5000, 16, 0xff);
        static uint8_t raw[5000];
        struct wbi_offer offer = {.data = raw, .len = sizeof raw};
        test_scene_visit(&scene);
        struct wb_call *call = begin_echo(10000);
        if (i % 3 > 0) {
            ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
            chunk = test_forge_offered(&offer, WB_CHUNK_RMA, sizeof raw);
            answer_with_chunk(&chunk);
        }
        for (unsigned turn = 0; turn < i / 3; turn++) {
            wb_progress(scene.host);
        }
        test_stranger_hang_up(&scene.stranger);
        int status = finish_echo(call);
        bool fetched =
            i % 3 > 0; /* it may have been, or its end was the first thing to be noticed */
        test_check(status == WB_ERR_PEER_LOST ||
                       (fetched && (status == WB_OK || status == WB_ERR_REVOKED)),
                   "%s", wb_status_name(status));
    }
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_archives_that_do_not_decode,
                                  test_every_status,
                                  test_texts_of_any_kind,
                                  test_replies_come_once,
                                  test_chunks_without_room,
                                  test_chunks_with_room,
                                  test_chunks_of_nonsense,
                                  test_releases_of_what_was_not_sent,
                                  test_released_twice,
                                  test_cancels_of_nothing,
                                  test_hanging_up};
    Suite *suite = suite_create("a stranger is called");
    suite_add_tcase(suite, test_program_case("serves", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
