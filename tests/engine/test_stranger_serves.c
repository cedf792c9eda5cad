/* A stranger that is called: whatever it answers, the call ends as it should, and its chunks are
 * free. */
#include <string.h>

#include "tests/engine/guest.h"

static struct test_scene scene;
static struct test_forgery forgery;

START_TEST(test_archives_that_do_not_decode)
{
    static const size_t lengths[] = {0, 1, 7, 9, 100, 8000};
    static uint8_t noise[8000];
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(noise, (int)i * 60, sizeof noise);
        struct wb_call *call = test_guest_begin_sum(&scene);
        test_guest_answer(&scene, WB_OK, noise, lengths[i]);
        ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_ERR_MALFORMED);
        call = test_guest_begin_echo(&scene, 0);
        test_guest_answer(&scene, WB_OK, noise, lengths[i]);
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_MALFORMED);
        ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 0); /* though it released none */
    }
    struct wb_call *call = test_guest_begin_sum(&scene);
    test_guest_answer(&scene, WB_OK, "\x07\0\0\0\0\0\0\0", 8);
    ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_OK);
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
        struct wb_call *call = test_guest_begin_sum(&scene);
        test_guest_answer(&scene, status, "why", 3);
        int got = test_guest_finish_sum(&scene, call);
        test_check(got < 0 && got != WB_AGAIN && got != WB_ERR_DEADLOCK, "%s becomes %s",
                   wb_status_name(status), wb_status_name(got));
    }
    struct wb_call *call = test_guest_begin_sum(&scene);
    test_guest_answer(&scene, INT32_MIN, "why", 3);
    ck_assert_int_lt(test_guest_finish_sum(&scene, call), 0);
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_CONNECTED);
    call = test_guest_begin_sum(&scene);
    test_guest_answer(&scene, 1, "", 0);
    ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_ERR_PEER_LOST);
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
        test_guest_answer(&scene, WB_ERR_REMOTE, text, fill % 2 ? sizeof text : 119);
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
    uint64_t answer = 1;
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    struct wb_call *call = test_guest_begin_sum(&scene);
    test_guest_answer(&scene, WB_OK, &answer, sizeof answer);
    ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_OK);
    struct wbi_header again = {.kind = WBI_REPLY, .call_id = test_guest_heard_call(&scene)};
    test_forge_header(&forgery, &again);
    test_forge_bytes(&forgery, &answer, sizeof answer);
    test_guest_say(&scene, &forgery);
    test_scene_until(&scene, test_scene_stats(&scene).protocol_errors == 1);
    test_scene_close(&scene);
}
END_TEST

static void count_end(struct wb_call *call, void *user)
{
    struct sum_out out;
    unsigned *ends = user;
    *ends += sum_finish(call, &out) == WB_OK ? 1 : 101;
}

static void say_at_once(void)
{
    ck_assert(test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
}

/* Between a call's end and its callback the same reply comes again, plain and with a chunk: both
 * are in the ring before the host looks. */
START_TEST(test_replies_come_once_to_who_is_called_back)
{
    uint64_t answer = 1;
    unsigned ends = 0;
    struct sum_in in = {.a = 1, .b = 2};
    struct wb_call_options options = {.then = count_end, .user = &ends};
    struct wb_call *call;
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    for (unsigned i = 0; i < 3; i++) { /* so many requests are unanswered as there are replies */
        scene.stranger.heard_count = 0;
        ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
        test_scene_until(&scene, scene.stranger.heard_count > 0);
    }
    struct wbi_header header = {.kind = WBI_REPLY, .call_id = test_guest_heard_call(&scene)};
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, &answer, sizeof answer);
    say_at_once();
    say_at_once();
    header.flags = WBI_FLAG_LEASED;
    header.chunk_count = 1;
    struct wbi_chunk_record index = test_forge_index(0, sizeof answer);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x4242);
    test_forge_record(&forgery, &index);
    test_forge_bytes(&forgery, &answer, sizeof answer);
    say_at_once();
    test_scene_until(&scene, test_scene_stats(&scene).late_replies == 2);
    ck_assert_uint_eq(ends, 1);
    ck_assert_uint_eq(test_scene_stats(&scene).calls_ended, 1);
    wb_peer_close(scene.guest); /* the two others end too, for they were never answered */
    scene.guest = NULL;
    ck_assert_uint_eq(ends, 1 + 2 * 101);
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
                                .call_id = test_guest_heard_call(&scene)};
    struct wbi_chunk_record index = test_forge_index(0, 11);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 0x4242);
    test_forge_record(&forgery, &index);
    test_forge_record(&forgery, chunk);
    test_forge_bytes(&forgery, "12345678\0\x01\xff", 11);
    scene.stranger.heard_count = 0;
    test_guest_say(&scene, &forgery);
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
        struct wb_call *call = test_guest_begin_echo(&scene, 0);
        answer_with_chunk(&chunk);
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_REPLY_TOO_LARGE);
        test_scene_until(&scene, heard_release());
        chunk.len += 20000;
        call = test_guest_begin_echo(&scene, 10000);
        answer_with_chunk(&chunk);
        ck_assert_int_eq(test_guest_finish_echo(&scene, call), WB_ERR_REPLY_TOO_LARGE);
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
        struct wb_call *call = test_guest_begin_echo(&scene, sizeof raw);
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
        other = test_guest_begin_sum(&scene);
        struct wb_call *call = test_guest_begin_echo(&scene, 10000);
        answer_with_chunk(&chunk);
        int status = test_guest_finish_echo(&scene, call);
        ck_assert(status == WB_ERR_PEER_LOST || status == WB_ERR_PROTOCOL);
        ck_assert_int_eq(test_guest_finish_sum(&scene, other), WB_ERR_PEER_LOST);
        ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_LOST);
        test_scene_assert_serves(&scene);
    }
    test_scene_close(&scene);
}
END_TEST

/* Cancels of calls that it did not make. */
START_TEST(test_cancels_of_nothing)
{
    test_scene_open(&scene, NULL);
    test_scene_visit(&scene);
    struct wb_call *call = test_guest_begin_sum(&scene);
    struct wbi_header header = {.kind = WBI_CONTROL, .cancel_count = 20};
    test_forge_header(&forgery, &header);
    for (uint64_t id = 0; id < 20; id++) {
        test_forge_id(&forgery, id < 10 ? (uint64_t)1 << 32 | id : id);
    }
    test_guest_say(&scene, &forgery);
    test_scene_pause(&scene);
    ck_assert(!wb_call_done(call));
    test_guest_answer(&scene, WB_OK, "\x03\0\0\0\0\0\0\0", 8);
    ck_assert_int_eq(test_guest_finish_sum(&scene, call), WB_OK);
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
        struct wb_call *call = test_guest_begin_echo(&scene, 10000);
        if (i % 3 > 0) {
            ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
            chunk = test_forge_offered(&offer, WB_CHUNK_RMA, sizeof raw);
            answer_with_chunk(&chunk);
        }
        for (unsigned turn = 0; turn < i / 3; turn++) {
            wb_progress(scene.host);
        }
        test_stranger_hang_up(&scene.stranger);
        int status = test_guest_finish_echo(&scene, call);
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
                                  test_replies_come_once_to_who_is_called_back,
                                  test_chunks_without_room,
                                  test_chunks_with_room,
                                  test_chunks_of_nonsense,
                                  test_cancels_of_nothing,
                                  test_hanging_up};
    Suite *suite = suite_create("a stranger is called");
    suite_add_tcase(suite, test_program_case("serves", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
