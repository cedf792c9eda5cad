/* Whole messages as an engine sends them, and as it takes them: golden bytes. */
#include <stdio.h>
#include <string.h>

#include "serial/chunk_list.h"
#include "tests/engine/hex.h"
#include "tests/engine/scene.h"

/* FNV-1a of the names, and of the field lists. */
#define SUM_ACTION "a8c40f5d199e7182"
#define SUM_SIGNATURE "0bf08e933afdc7aa"
#define ECHO_ACTION "6441042660e50030"
#define ECHO_SIGNATURE "3f03ba15cda9c6db"
/* The first of everything: index 0, generation 1. */
#define FIRST_ID "0000000001000000"
#define ANY8 "................"

static struct test_scene scene;

static void open_scene(void)
{
    test_scene_open(&scene, NULL);
}

static void say_hex(const char *hex)
{
    uint8_t bytes[TEST_HEX_MOST];
    size_t len = test_hex_read(hex, bytes);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, bytes, len, false));
}

/* Around the call's id, which is that of the only message heard: which one it is depends on the way
 * that the request has taken. */
static void answer_hex(const char *before, const char *behind)
{
    enum { ID_AT = 8, ID_BYTES = 8 };
    const struct test_heard *heard = &scene.stranger.heard[0];
    char hex[TEST_HEX_MOST], id[2 * ID_BYTES + 1];
    ck_assert_uint_ge(heard->len, ID_AT + ID_BYTES);
    for (unsigned i = 0; i < ID_BYTES; i++) {
        snprintf(id + (size_t)2 * i, 3, "%02x", heard->bytes[ID_AT + i]);
    }
    snprintf(hex, sizeof hex, "%s %s %s", before, id, behind);
    say_hex(hex);
}

static void assert_heard(const char *hex)
{
    test_scene_until(&scene, scene.stranger.heard_count > 0 || scene.stranger.lost != 0);
    ck_assert_msg(scene.stranger.lost == 0, "%s", scene.stranger.reason);
    const struct test_heard *heard = test_stranger_last(&scene.stranger);
    test_assert_hex(heard->bytes, heard->len, hex);
    ck_assert_uint_eq(scene.stranger.heard_count, 1);
    scene.stranger.heard_count = 0;
}

START_TEST(test_a_request_and_its_reply)
{
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    struct sum_out out;
    struct wb_call_options options = {.timeout_us = 5000000};
    open_scene();
    test_scene_visit(&scene);
    ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
    assert_heard("01 00 0000 00000000" ANY8 SUM_ACTION SUM_SIGNATURE "404b4c00 00000000"
                 "0000000000000000 0100000000000000 0200000000000000");
    answer_hex("02 00 0100 00000000", "00000000 00000000 00000000 00000000 2a00000000000000");
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), WB_OK);
    ck_assert_uint_eq(out.sum, 42);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_an_error_reply)
{
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    struct sum_out out;
    struct wb_error error = {0};
    struct wb_call_options options = {.timeout_us = 5000000, .error = &error};
    open_scene();
    test_scene_visit(&scene);
    ck_assert_int_eq(sum_async(scene.guest, &in, &options, &call), WB_OK);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    answer_hex("02 00 0100 00000000", "f2ffffff 0d000000 00000000 00000000 6e6f"); /* "no" */
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(sum_finish(call, &out), WB_ERR_REMOTE);
    ck_assert_int_eq(error.code, 13);
    ck_assert_str_eq(error.text, "no");
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_a_request_with_chunks)
{
    static char raw[5000];
    struct wb_call *call;
    struct echo_in in = {.number = 3, .raw = {.data = raw, .len = sizeof raw}};
    struct echo_out out;
    struct wb_call_options options = {.timeout_us = 200000};
    open_scene();
    test_scene_visit(&scene);
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene.host), 4, 2000, &in.data),
                     WB_OK);
    ck_assert_int_eq(echo_async(scene.guest, &in, &options, &call), WB_OK);
    echo_in_drop(&in);
    assert_heard(
        "01 01 0000 04000000" FIRST_ID ECHO_ACTION ECHO_SIGNATURE "400d0300 00000000"
        "0000000000000000" FIRST_ID
        /* an index chunk, the bytes of user memory on a shelf, an index chunk, the vector */
        "01 00 00 00 00000000 0900000000000000 0000000000000000"
        "02 10 00 00 00000000 8813000000000000" ANY8 "feffffff ........" ANY8
        "01 00 00 00 00000000 0200000000000000 0900000000000000"
        "03 10 00 00 00000000 401f000000000000" ANY8 "........ ........" ANY8
        /* the archive: 3, a mark, elements of 4 bytes, a mark */
        "0300000000000000 ff 04 ff");
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 2);
    /* nobody answers: the call's time is over, and the stranger is told to stop */
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(echo_finish(call, &out), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 0);
    assert_heard("03 00 0000 00000000 01000000 00000000" FIRST_ID);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_a_reply)
{
    open_scene();
    test_scene_meet(&scene);
    say_hex("01 00 0000 00000000 0706050403020100" SUM_ACTION SUM_SIGNATURE "00000000 00000000"
            "0000000000000000 0100000000000000 0200000000000000");
    assert_heard("02 00 0100 00000000 0706050403020100 00000000 00000000 00000000 00000000"
                 "0300000000000000");
    /* the handler fails */
    say_hex("01 00 0000 00000000 ffffffffffffffff" SUM_ACTION SUM_SIGNATURE "00000000 00000000"
            "0000000000000000 0000000000000000 0200000000000000");
    assert_heard("02 00 0100 00000000 ffffffffffffffff f2ffffff 07000000 00000000 00000000"
                 "6e6f 20 73756d");
    test_scene_close(&scene);
}
END_TEST

/* The result's vector is offered; releasing it by hand ends the lease. */
START_TEST(test_a_reply_with_chunks)
{
    uint8_t request[48 + 8 + 1 + 1 + 3 + 2000];
    open_scene();
    test_scene_meet(&scene);
    memset(request, 0, sizeof request);
    size_t len = test_hex_read("01 00 0000 00000000 0100000000000000" ECHO_ACTION ECHO_SIGNATURE
                               "00000000 00000000 0000100000000000"
                               "0500000000000000 00 01 fc d007",
                               request);
    ck_assert_uint_eq(len + 2000, sizeof request);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, request, sizeof request, false));
    assert_heard("02 01 0100 02000000 0100000000000000 00000000 00000000 00000000 00000000" FIRST_ID
                 "01 00 00 00 00000000 0b00000000000000 0000000000000000"
                 "03 10 00 00 00000000 d007000000000000" ANY8 "........ ........" ANY8
                 "0500000000000000 00 01 ff");
    ck_assert_uint_eq(test_scene_stats(&scene).leases_open, 1);
    say_hex("03 00 0000 01000000 00000000 00000000" FIRST_ID);
    test_scene_until(&scene, test_scene_stats(&scene).leases_open == 0);
    ck_assert_uint_eq(test_scene_stats(&scene).releases_received, 1);
    test_scene_close(&scene);
}
END_TEST

/* The stranger offers memory; the engine fetches it and gives back the lease, with the reply or,
 * where the handler takes its time, alone. */
START_TEST(test_releases)
{
    static uint8_t raw[5000];
    uint8_t request[256];
    struct wbi_chunk_record index = {.kind = WB_CHUNK_INDEX, .len = 9};
    struct wbi_chunk_record tail = {.kind = WB_CHUNK_INDEX, .len = 2, .address = 9};
    struct wbi_offer offer = {.data = raw, .len = sizeof raw};
    open_scene();
    test_scene_meet(&scene);
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    struct wbi_chunk_record chunk = {.kind = WB_CHUNK_POINTER,
                                     .key_len = (uint8_t)offer.key_len,
                                     .len = sizeof raw,
                                     .address = offer.address};
    memcpy(chunk.key, offer.key, offer.key_len);
    wb_action_prepare(&never_action);
    struct wbi_header header = {.kind = WBI_REQUEST,
                                .flags = WBI_FLAG_LEASED,
                                .chunk_count = 3,
                                .call_id = 1,
                                .action = atomic_load(&never_action.id),
                                .signature = atomic_load(&never_action.signature)};
    size_t len = wbi_header_encode(&header, request);
    wbi_id_encode(0x1122334455667788, request + len);
    len += WBI_ID_BYTES;
    len += wbi_chunk_record_encode(&index, request + len);
    len += wbi_chunk_record_encode(&chunk, request + len);
    len += wbi_chunk_record_encode(&tail, request + len);
    len += test_hex_read("0000000000000000 ff 00 00", request + len);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, request, len, false));
    assert_heard("03 00 0000 01000000 00000000 00000000 8877665544332211");

    wb_action_prepare(&echo_action);
    header.action = atomic_load(&echo_action.id);
    header.signature = atomic_load(&echo_action.signature);
    header.reply_room = 1 << 20;
    header.flags |= WBI_FLAG_COPY;
    wbi_header_encode(&header, request);
    ck_assert_uint_eq(test_scene_stats(&scene).reads, 1);
    test_scene_until(&scene, test_stranger_say(&scene.stranger, request, len, false));
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    const struct test_heard *heard = test_stranger_last(&scene.stranger);
    struct wbi_header reply;
    const char *what;
    ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &reply, &what), WB_OK);
    ck_assert_uint_eq(reply.kind, WBI_REPLY);
    ck_assert_uint_eq(reply.release_count, 1);
    ck_assert_uint_eq(wbi_id_decode(heard->bytes + WBI_REPLY_BYTES), 0x1122334455667788);
    scene.fabric->retire(scene.stranger.channel, &offer);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_a_request_and_its_reply, test_an_error_reply,
                                  test_a_request_with_chunks,   test_a_reply,
                                  test_a_reply_with_chunks,     test_releases};
    Suite *suite = suite_create("bytes of messages");
    suite_add_tcase(suite, test_program_case("bytes", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
