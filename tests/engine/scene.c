#include "tests/engine/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/shm/segment.h"

static int on_echo(struct wb_context *context, struct echo_in *in, struct echo_out *out, void *user)
{
    (void)context;
    (void)user;
    out->number = in->number;
    out->raw = in->raw;
    out->data = wb_rma_vector_take(&in->data);
    return WB_OK;
}

static int on_sum(struct wb_context *context, struct sum_in *in, struct sum_out *out, void *user)
{
    (void)user;
    out->sum = in->a + in->b;
    return in->a == 0 ? wb_context_fail(context, 7, "no sum") : WB_OK;
}

static int on_never(struct wb_context *context, struct never_in *in, struct never_out *out,
                    void *user)
{
    (void)context;
    (void)in;
    (void)out;
    (void)user;
    return WB_AGAIN;
}

/* What may be a chunk is one, though the fabric would have it in the message. */
static void open_engine(struct wb_engine **engine, const struct wb_engine_config *config,
                        const char *url)
{
    struct wb_engine_config own;
    wb_engine_config_default(&own);
    own = config != NULL ? *config : own;
    own.pointer_threshold = own.pointer_threshold != 0 ? own.pointer_threshold : 4096;
    ck_assert_int_eq(wb_engine_create(&own, engine), WB_OK);
    ck_assert_int_eq(echo_register(*engine, on_echo, NULL), WB_OK);
    ck_assert_int_eq(sum_register(*engine, on_sum, NULL), WB_OK);
    ck_assert_int_eq(never_register(*engine, on_never, NULL), WB_OK);
    ck_assert_int_eq(wb_listen(*engine, url), WB_OK);
}

void test_scene_open(struct test_scene *scene, const struct wb_engine_config *host_config)
{
    static unsigned number; /* what a failed test leaves behind is in nobody's way */
    *scene = (struct test_scene){.fabric = &wbi_shm_fabric};
    const char *scheme = scene->fabric->scheme;
    long run = (long)getpid() * 1000 + number++;
    snprintf(scene->host_url, sizeof scene->host_url, "%s://host-%ld", scheme, run);
    snprintf(scene->friend_url, sizeof scene->friend_url, "%s://friend-%ld", scheme, run);
    snprintf(scene->stranger_url, sizeof scene->stranger_url, "%s://stranger-%ld", scheme, run);
    scene->host_address = scene->host_url + strlen(scheme) + 3;
    scene->stranger_address = scene->stranger_url + strlen(scheme) + 3;
    open_engine(&scene->host, host_config, scene->host_url);
    open_engine(&scene->friend, NULL, scene->friend_url);
    test_stranger_open(&scene->stranger, scene->fabric, scene->stranger_address);
    ck_assert_int_eq(wb_connect(scene->friend, scene->host_url, &scene->peer), WB_OK);
    test_scene_until(scene, wb_peer_state(scene->peer) != WB_PEER_CONNECTING);
    ck_assert_int_eq(wb_peer_state(scene->peer), WB_PEER_CONNECTED);
}

void test_scene_turn(struct test_scene *scene)
{
    wb_progress(scene->host);
    wb_progress(scene->friend);
    test_stranger_turn(&scene->stranger);
}

void test_scene_pause(struct test_scene *scene)
{
    for (unsigned i = 0; i < 600; i++) { /* engines look at their clocks every 256 turns */
        test_scene_turn(scene);
    }
}

void test_scene_assert_serves(struct test_scene *scene)
{
    static char raw[6000];
    struct wb_call_options options = {.timeout_us = test_patience_us, .reply_bytes = 60000};
    struct echo_in in = {.number = 17, .raw = {.data = raw, .len = sizeof raw}};
    struct echo_out out;
    struct wb_call *call;
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene->friend), 4, 10000, &in.data),
                     WB_OK);
    test_pattern_fill(raw, sizeof raw, 1);
    test_pattern_fill(in.data.data, 40000, 2);
    ck_assert_int_eq(echo_async(scene->peer, &in, &options, &call), WB_OK);
    test_scene_until(scene, wb_call_done(call));
    int status = echo_finish(call, &out);
    ck_assert_msg(status == WB_OK, "the host does not serve its friend: %s", wb_last_error());
    ck_assert_uint_eq(out.number, 17);
    ck_assert_uint_eq(out.raw.len, sizeof raw);
    ck_assert_uint_eq(test_pattern_check(out.raw.data, sizeof raw, 1), sizeof raw);
    ck_assert_uint_eq(wb_rma_vector_bytes(&out.data), 40000);
    ck_assert_uint_eq(test_pattern_check(out.data.data, 40000, 2), 40000);
    echo_out_drop(&out);
    echo_in_drop(&in);
}

static bool is_quiet(struct wb_engine *engine)
{
    struct test_figures figures;
    test_figures_take(engine, &figures);
    return test_figures_unquiet(&figures, 0) == NULL;
}

void test_scene_close(struct test_scene *scene)
{
    test_scene_assert_serves(scene);
    wb_peer_close(scene->guest);
    test_stranger_hang_up(&scene->stranger);
    test_scene_until(scene, is_quiet(scene->host) && is_quiet(scene->friend));
    test_assert_quiet(scene->host, 0);
    test_assert_quiet(scene->friend, 0);
    wb_peer_close(scene->peer);
    wb_engine_destroy(scene->friend);
    wb_engine_destroy(scene->host);
    test_stranger_close(&scene->stranger);
}

uint32_t test_scene_meet(struct test_scene *scene)
{
    struct test_stranger *stranger = &scene->stranger;
    struct wbi_hello hello = test_stranger_hello();
    uint8_t bytes[WBI_HELLO_BYTES];
    wbi_hello_encode(&hello, bytes);
    test_stranger_connect(stranger, scene->host_address, bytes, sizeof bytes);
    test_scene_until(scene, stranger->connected || stranger->lost != 0);
    ck_assert_msg(stranger->lost == 0, "%s", stranger->reason);
    ck_assert_int_eq(wbi_hello_decode(stranger->hello, stranger->hello_len, &hello), WB_OK);
    return hello.credits;
}

void test_scene_fill_shelves(struct test_scene *scene)
{
    static const uint8_t byte;
    static struct wbi_offer fill[WBI_SHM_SHELVES];
    for (unsigned i = 0; i < WBI_SHM_SHELVES; i++) {
        fill[i] = (struct wbi_offer){.data = &byte, .len = sizeof byte};
        ck_assert_int_eq(scene->fabric->offer(scene->stranger.channel, &fill[i]), WB_OK);
    }
}

void test_scene_visit(struct test_scene *scene)
{
    struct wbi_hello hello = test_stranger_hello();
    wb_peer_close(scene->guest);
    scene->guest = NULL;
    test_stranger_hang_up(&scene->stranger);
    test_stranger_answer(&scene->stranger, TEST_ACCEPT, &hello);
    ck_assert_int_eq(wb_connect(scene->host, scene->stranger_url, &scene->guest), WB_OK);
    test_scene_until(scene, wb_peer_state(scene->guest) != WB_PEER_CONNECTING);
    ck_assert_msg(wb_peer_state(scene->guest) == WB_PEER_CONNECTED, "%s",
                  wb_peer_reason(scene->guest));
}

/* A request for 1 + 2, without a deadline. */
static size_t plain_request(uint8_t *message)
{
    wb_action_prepare(&sum_action);
    struct wbi_header header = {.kind = WBI_REQUEST,
                                .call_id = 0x7f7f7f7f7f7f7f7f,
                                .action = atomic_load(&sum_action.id),
                                .signature = atomic_load(&sum_action.signature)};
    size_t len = wbi_header_encode(&header, message);
    uint64_t numbers[2] = {1, 2};
    memcpy(message + len, numbers, sizeof numbers);
    return len + sizeof numbers;
}

/* Whether the last message heard answers plain_request; it is taken back. */
static bool heard_plain_reply(struct test_stranger *stranger)
{
    for (unsigned i = 0; i < stranger->heard_count && i < TEST_STRANGER_HEARD; i++) {
        struct test_heard *heard =
            &stranger->heard[(stranger->heard_count - 1 - i) % TEST_STRANGER_HEARD];
        if (heard->bytes[0] == WBI_REPLY && wbi_id_decode(heard->bytes + 8) == 0x7f7f7f7f7f7f7f7f) {
            heard->bytes[0] = 0; /* is none for the next to find */
            return true;
        }
    }
    return false;
}

bool test_scene_say(struct test_scene *scene, const void *bytes, size_t len)
{
    struct test_stranger *stranger = &scene->stranger;
    uint8_t request[128];
    size_t request_len = plain_request(request);
    test_scene_until(scene, stranger->lost != 0 || test_stranger_say(stranger, bytes, len, false));
    test_scene_until(scene, stranger->lost != 0 ||
                                test_stranger_say(stranger, request, request_len, false));
    test_scene_until(scene, stranger->lost != 0 || heard_plain_reply(stranger));
    return stranger->lost == 0;
}

struct wb_engine_stats test_scene_stats(struct test_scene *scene)
{
    struct wb_engine_stats stats;
    wb_engine_stats(scene->host, &stats);
    return stats;
}

struct wb_call *test_scene_hold(struct test_scene *scene)
{
    struct wb_call *call;
    struct never_in in = {.number = 1};
    uint64_t before = test_scene_stats(scene).reads;
    ck_assert_int_eq(wb_rma_vector_create(wb_engine_allocator(scene->friend), 1, 2 << 20, &in.data),
                     WB_OK);
    ck_assert_int_eq(never_async(scene->peer, &in, NULL, &call), WB_OK);
    never_in_drop(&in);
    test_scene_until(scene, test_scene_stats(scene).reads > before);
    return call;
}
