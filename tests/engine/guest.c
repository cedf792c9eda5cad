#include "tests/engine/guest.h"

struct wb_call *test_guest_begin_sum(struct test_scene *scene)
{
    struct wb_call *call;
    struct sum_in in = {.a = 1, .b = 2};
    scene->stranger.heard_count = 0;
    ck_assert_int_eq(sum_async(scene->guest, &in, NULL, &call), WB_OK);
    test_scene_until(scene, scene->stranger.heard_count > 0);
    return call;
}

int test_guest_finish_sum(struct test_scene *scene, struct wb_call *call)
{
    struct sum_out out;
    test_scene_until(scene, wb_call_done(call));
    int status = sum_finish(call, &out);
    sum_out_drop(&out);
    return status;
}

struct wb_call *test_guest_begin_echo(struct test_scene *scene, uint64_t reply_bytes)
{
    struct wb_call *call;
    struct echo_in in = {.number = 4};
    struct wb_call_options options = {.reply_bytes = reply_bytes};
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene->host), 1, 3000, &in.data),
                     WB_OK);
    scene->stranger.heard_count = 0;
    ck_assert_int_eq(echo_async(scene->guest, &in, &options, &call), WB_OK);
    echo_in_drop(&in);
    test_scene_until(scene, scene->stranger.heard_count > 0);
    return call;
}

int test_guest_finish_echo(struct test_scene *scene, struct wb_call *call)
{
    struct echo_out out;
    test_scene_until(scene, wb_call_done(call));
    int status = echo_finish(call, &out);
    echo_out_drop(&out);
    return status;
}

uint64_t test_guest_heard_call(struct test_scene *scene)
{
    const struct test_heard *heard = test_stranger_last(&scene->stranger);
    struct wbi_header header;
    const char *what;
    ck_assert_int_eq(wbi_header_decode(heard->bytes, heard->len, &header, &what), WB_OK);
    ck_assert_uint_eq(header.kind, WBI_REQUEST);
    return header.call_id;
}

void test_guest_say(struct test_scene *scene, const struct test_forgery *forgery)
{
    test_scene_until(scene,
                     test_stranger_say(&scene->stranger, forgery->bytes, forgery->len, false));
}

void test_guest_answer(struct test_scene *scene, int status, const void *archive, size_t len)
{
    static struct test_forgery forgery;
    struct wbi_header header = {
        .kind = WBI_REPLY, .credits = 1, .call_id = test_guest_heard_call(scene), .status = status};
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, archive, len);
    test_guest_say(scene, &forgery);
}

void test_guest_ask_echo(struct test_scene *scene, uint32_t deadline_us)
{
    static const uint8_t data[3000];
    static struct test_forgery forgery;
    struct wbi_header header = test_forge_request(&echo_action, 1, 0, 0);
    header.reply_room = 1 << 16;
    header.deadline_us = deadline_us;
    test_forge_header(&forgery, &header);
    test_forge_bytes(&forgery, "12345678\0\x01\xfc\xb8\x0b", 13);
    test_forge_bytes(&forgery, data, sizeof data);
    test_guest_say(scene, &forgery);
}
