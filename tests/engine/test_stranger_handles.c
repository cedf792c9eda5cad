/* Objects and buffers, and a stranger that lies about them or does not give them back. */
#include <string.h>

#include "engine/engine.h"
#include "tests/engine/guest.h"

struct gauge {
    uint64_t low, high;
};
WB_RMA_OBJECT_OF(struct gauge, gauge_object)

#define GAUGE_FIELDS(F) F(OBJECT, gauge_object, gauge) F(BUFFER, wb_buffer, raw)
WB_ACTION(gauge, GAUGE_FIELDS, GAUGE_FIELDS)

static struct test_scene scene;
static struct test_forgery forgery;
static unsigned handled;

static int on_gauge(struct wb_context *context, struct gauge_in *in, struct gauge_out *out,
                    void *user)
{
    (void)context;
    (void)user;
    out->gauge = gauge_object_take(&in->gauge);
    handled++;
    return WB_OK;
}

static void open_scene(void)
{
    test_scene_open(&scene, NULL);
    ck_assert_int_eq(gauge_register(scene.host, on_gauge, NULL), WB_OK);
}

/* ---- lies ---- */

/* Says the forged request of call 9; returns the status of its answer. */
static int answer(void)
{
    struct wbi_header header;
    const char *what;
    scene.stranger.heard_count = 0;
    ck_assert(test_scene_say(&scene, forgery.bytes, forgery.len));
    for (unsigned at = 0;; at++) {
        test_scene_until(&scene, scene.stranger.heard_count > at);
        const struct test_heard *heard = &scene.stranger.heard[at];
        if (wbi_header_decode(heard->bytes, heard->len, &header, &what) == WB_OK &&
            header.kind == WBI_REPLY && header.call_id == 9) {
            return header.status;
        }
    }
}

#define ARCHIVE(literal, status)                                                                   \
    {                                                                                              \
        literal, sizeof literal - 1, status                                                        \
    }
static const struct {
    const char *bytes;
    size_t len;
    int status;
} archives[] = {
    ARCHIVE("\x10\x10"
            "sixteen bytes it"
            "\x00",
            WB_OK),
    ARCHIVE("\x00\x00\x02hi", WB_OK),
    ARCHIVE("\x08\x08"
            "eight by"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\x11\x11"
            "seventeen bytes it"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\x10\x08"
            "eight by"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\x10\x00\x00", WB_ERR_MALFORMED),
    ARCHIVE("\x10\x20"
            "sixteen bytes it"
            "sixteen bytes it"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\x08\x10"
            "sixteen bytes it"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\xfe\x10\x00\x00\x00\x01\x00\x00\x00\x10"
            "sixteen bytes it"
            "\x00",
            WB_ERR_MALFORMED),
    ARCHIVE("\x10\xff\x00", WB_ERR_MALFORMED),
    ARCHIVE("\x00\x00\xff", WB_ERR_MALFORMED),
    ARCHIVE("\x00\x00\x03hi", WB_ERR_MALFORMED),
};
enum { ARCHIVES = sizeof archives / sizeof archives[0] };

START_TEST(test_requests_that_lie)
{
    unsigned right = 0;
    open_scene();
    test_scene_meet(&scene);
    handled = 0;
    for (size_t i = 0; i < ARCHIVES; i++) {
        struct wbi_header header = test_forge_request(&gauge_action, 9, 0, 0);
        test_forge_header(&forgery, &header);
        test_forge_bytes(&forgery, archives[i].bytes, archives[i].len);
        ck_assert_int_eq(answer(), archives[i].status);
        right += archives[i].status == WB_OK;
        ck_assert_uint_eq(handled, right);
    }
    test_scene_close(&scene);
}
END_TEST

/* The first field as a chunk of some length and kind, or the second. */
START_TEST(test_chunks_that_lie)
{
    static uint8_t memory[64];
    static const struct {
        uint64_t len;
        int status;
        uint8_t kind;
        bool second;
    } chunks[] = {
        {16, WB_OK, WB_CHUNK_RMA, false},
        {15, WB_ERR_MALFORMED, WB_CHUNK_RMA, false},
        {1, WB_ERR_MALFORMED, WB_CHUNK_RMA, false},
        {17, WB_ERR_MALFORMED, WB_CHUNK_RMA, false},
        {32, WB_ERR_MALFORMED, WB_CHUNK_RMA, false},
        {16, WB_ERR_MALFORMED, WB_CHUNK_POINTER, false},
        {16, WB_OK, WB_CHUNK_POINTER, true},
        {17, WB_OK, WB_CHUNK_RMA, true},
        {1, WB_OK, WB_CHUNK_POINTER, true},
    };
    open_scene();
    test_scene_meet(&scene);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        struct wbi_offer offer = {.data = memory, .len = sizeof memory};
        struct wbi_header header =
            test_forge_request(&gauge_action, 9, WBI_FLAG_LEASED, chunks[i].second ? 2 : 3);
        ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
        struct wbi_chunk_record first = test_forge_index(0, chunks[i].second ? 3 : 2);
        struct wbi_chunk_record chunk = test_forge_offered(&offer, chunks[i].kind, chunks[i].len);
        struct wbi_chunk_record last = test_forge_index(2, 1);
        test_forge_header(&forgery, &header);
        test_forge_id(&forgery, 1);
        test_forge_record(&forgery, &first);
        test_forge_record(&forgery, &chunk);
        if (!chunks[i].second) {
            test_forge_record(&forgery, &last);
        }
        test_forge_bytes(&forgery, chunks[i].second ? "\x00\x00\xff" : "\x10\xff\x00", 3);
        ck_assert_int_eq(answer(), chunks[i].status);
        scene.fabric->retire(scene.stranger.channel, &offer);
    }
    test_scene_close(&scene);
}
END_TEST

/* A range that ends before what is said of it. */
START_TEST(test_a_short_landing)
{
    static uint8_t memory[10];
    struct wbi_offer offer = {.data = memory, .len = sizeof memory};
    struct wbi_chunk_record index[2] = {test_forge_index(0, 2), test_forge_index(2, 1)};
    open_scene();
    test_scene_meet(&scene);
    test_scene_fill_shelves(&scene);
    handled = 0;
    ck_assert_int_eq(scene.fabric->offer(scene.stranger.channel, &offer), WB_OK);
    struct wbi_chunk_record chunk = test_forge_offered(&offer, WB_CHUNK_RMA, 16);
    struct wbi_header header = test_forge_request(&gauge_action, 9, WBI_FLAG_LEASED, 3);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, 1);
    test_forge_record(&forgery, &index[0]);
    test_forge_record(&forgery, &chunk);
    test_forge_record(&forgery, &index[1]);
    test_forge_bytes(&forgery, "\x10\xff\x00", 3);
    test_scene_until(&scene,
                     scene.stranger.lost != 0 ||
                         test_stranger_say(&scene.stranger, forgery.bytes, forgery.len, false));
    test_scene_until(&scene, scene.stranger.lost != 0 || scene.stranger.heard_count > 0);
    ck_assert_uint_eq(handled, 0);
    test_scene_close(&scene);
}
END_TEST

static struct wb_call *begin_gauge(size_t raw_len, wb_buffer *raw, uint64_t timeout_us)
{
    struct wb_call *call;
    struct gauge_in in = {.raw = raw != NULL ? wb_buffer_take(raw) : (wb_buffer){0}};
    struct wb_call_options options = {.timeout_us = timeout_us};
    ck_assert_uint_eq(in.raw.len, raw_len);
    ck_assert_int_eq(gauge_object_create(wb_engine_allocator(scene.host), &in.gauge), WB_OK);
    *gauge_object_get(&in.gauge) = (struct gauge){1, 2};
    scene.stranger.heard_count = 0;
    ck_assert_int_eq(gauge_async(scene.guest, &in, &options, &call), WB_OK);
    gauge_in_drop(&in);
    test_scene_until(&scene, scene.stranger.heard_count > 0);
    return call;
}

static int finish_gauge(struct wb_call *call)
{
    struct gauge_out out;
    test_scene_until(&scene, wb_call_done(call));
    int status = gauge_finish(call, &out);
    if (status != WB_OK) {
        ck_assert_ptr_null(gauge_object_get(&out.gauge));
        ck_assert_ptr_null(out.raw.data);
    }
    gauge_out_drop(&out);
    return status;
}

START_TEST(test_results_that_lie)
{
    open_scene();
    test_scene_visit(&scene);
    for (size_t i = 0; i < ARCHIVES; i++) {
        struct wb_call *call = begin_gauge(0, NULL, 0);
        test_guest_answer(&scene, WB_OK, archives[i].bytes, archives[i].len);
        ck_assert_int_eq(finish_gauge(call), archives[i].status);
    }
    test_scene_close(&scene);
}
END_TEST

/* ---- buffers that are not given back ---- */

static int stubborn_revoke(struct wbi_channel *channel, struct wbi_offer *offer)
{
    (void)channel;
    (void)offer;
    return WB_AGAIN; /* only closing the channel can do it, as on verbs */
}

static struct wbi_fabric stubborn;
static struct wbi_fabric_caps stubborn_caps;

static void make_stubborn(struct wb_engine *engine)
{
    struct wbi_lane *lane = engine->lanes[0];
    stubborn = wbi_shm_fabric;
    stubborn.revoke = stubborn_revoke;
    stubborn_caps = *lane->caps;
    stubborn_caps.revokes_at_once = false;
    lane->fabric = &stubborn;
    lane->caps = &stubborn_caps;
}

static unsigned released;
static uint8_t lent[10000];

static void on_release(void *context, const void *data, size_t len)
{
    (void)context;
    ck_assert_ptr_eq(data, lent);
    ck_assert_uint_eq(len, sizeof lent);
    released++;
}

/* A call whose time is over, with a buffer that the stranger may still read. */
static struct wb_call *time_out_with_a_buffer(void)
{
    wb_buffer raw;
    released = 0;
    ck_assert_int_eq(wb_buffer_reference(lent, sizeof lent, on_release, NULL, &raw), WB_OK);
    struct wb_call *call = begin_gauge(sizeof lent, &raw, 20000);
    test_scene_until(&scene, test_scene_stats(&scene).leases_quarantined == 1);
    test_scene_pause(&scene);
    ck_assert_uint_eq(released, 0);
    ck_assert(!wb_call_done(call)); /* a caller that waits has its views in use, too */
    return call;
}

START_TEST(test_released_after_the_time_out)
{
    open_scene();
    make_stubborn(scene.host);
    test_scene_visit(&scene);
    scene.stranger.heard_count = 0;
    struct wb_call *call = time_out_with_a_buffer();
    const struct test_heard *heard = &scene.stranger.heard[0];
    struct wbi_header header = {.kind = WBI_CONTROL, .release_count = 2};
    uint64_t lease = wbi_id_decode(heard->bytes + WBI_REQUEST_BYTES);
    test_forge_header(&forgery, &header);
    test_forge_id(&forgery, lease);
    test_forge_id(&forgery, lease); /* twice in vain */
    test_guest_say(&scene, &forgery);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_uint_eq(released, 1);
    ck_assert_int_eq(finish_gauge(call), WB_ERR_TIMED_OUT);
    test_scene_pause(&scene);
    ck_assert_uint_eq(released, 1);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_never_released)
{
    open_scene();
    make_stubborn(scene.host);
    test_scene_visit(&scene);
    struct wb_call *call = time_out_with_a_buffer();
    test_scene_until(&scene, released > 0);
    /* which the end of the channel brought, at the end of the grace period */
    ck_assert_int_eq(wb_peer_state(scene.guest), WB_PEER_LOST);
    ck_assert_int_eq(finish_gauge(call), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(released, 1);
    test_scene_close(&scene);
}
END_TEST

START_TEST(test_hung_up_with_a_buffer)
{
    open_scene();
    make_stubborn(scene.host);
    test_scene_visit(&scene);
    struct wb_call *call = time_out_with_a_buffer();
    test_stranger_hang_up(&scene.stranger);
    test_scene_until(&scene, wb_call_done(call));
    ck_assert_int_eq(finish_gauge(call), WB_ERR_TIMED_OUT);
    ck_assert_uint_eq(released, 1);
    test_scene_close(&scene);
}
END_TEST

/* One whose time is not over, and one that never went: the engine ends both. */
START_TEST(test_an_engine_that_ends)
{
    struct wb_engine *other;
    struct wb_peer *peers[2];
    struct wb_call *calls[2];
    struct wbi_hello hello = test_stranger_hello();
    open_scene();
    test_stranger_answer(&scene.stranger, TEST_ACCEPT, &hello);
    ck_assert_int_eq(wb_engine_create(NULL, &other), WB_OK);
    released = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct gauge_in in = {0};
        ck_assert_int_eq(wb_buffer_reference(lent, sizeof lent, on_release, NULL, &in.raw), WB_OK);
        ck_assert_int_eq(wb_connect(other, scene.stranger_url, &peers[i]), WB_OK);
        for (unsigned turn = 0; i == 0 && wb_peer_state(peers[i]) != WB_PEER_CONNECTED; turn++) {
            test_check(turn < 1000000, "it never connects");
            test_stranger_turn(&scene.stranger);
            wb_progress(other);
        }
        ck_assert_int_eq(gauge_async(peers[i], &in, NULL, &calls[i]), WB_OK);
        gauge_in_drop(&in);
    }
    wb_progress(other);
    ck_assert_uint_eq(released, 0);
    wb_engine_destroy(other);
    ck_assert_uint_eq(released, 2);
    test_scene_close(&scene);
}
END_TEST

/* ---- what a callback may do ---- */

struct from_inside {
    int progress, call, async;
    struct wb_call *begun;
    wb_buffer another; /* dropped in there */
};

static void call_from_inside(void *context, const void *data, size_t len)
{
    struct from_inside *inside = context;
    struct sum_in in = {.a = 3, .b = 4};
    struct sum_out out;
    (void)data;
    (void)len;
    inside->progress = wb_progress(scene.friend);
    inside->call = sum_call(scene.peer, &in, &out, NULL);
    inside->async = sum_async(scene.peer, &in, NULL, &inside->begun);
    wb_buffer_drop(&inside->another);
}

START_TEST(test_callbacks_are_like_handlers)
{
    struct from_inside inside = {0};
    struct gauge_in in = {0};
    struct wb_call *call;
    struct sum_out sum;
    open_scene();
    released = 0;
    ck_assert_int_eq(wb_buffer_reference(lent, sizeof lent, on_release, NULL, &inside.another),
                     WB_OK);
    ck_assert_int_eq(wb_buffer_reference(lent, sizeof lent, call_from_inside, &inside, &in.raw),
                     WB_OK);
    ck_assert_int_eq(gauge_async(scene.peer, &in, NULL, &call), WB_OK);
    gauge_in_drop(&in);
    ck_assert_ptr_null(inside.begun);
    ck_assert_int_eq(finish_gauge(call), WB_OK);
    ck_assert_int_eq(inside.progress, WB_ERR_DEADLOCK);
    ck_assert_int_eq(inside.call, WB_ERR_DEADLOCK);
    ck_assert_int_eq(inside.async, WB_OK);
    ck_assert_uint_eq(released, 1);
    test_scene_until(&scene, wb_call_done(inside.begun));
    ck_assert_int_eq(sum_finish(inside.begun, &sum), WB_OK);
    ck_assert_uint_eq(sum.sum, 7);
    test_scene_close(&scene);
}
END_TEST

int main(int argc, char **argv)
{
    const TTest *const tests[] = {test_requests_that_lie,
                                  test_chunks_that_lie,
                                  test_a_short_landing,
                                  test_results_that_lie,
                                  test_released_after_the_time_out,
                                  test_never_released,
                                  test_hung_up_with_a_buffer,
                                  test_an_engine_that_ends,
                                  test_callbacks_are_like_handlers};
    Suite *suite = suite_create("handles and a stranger");
    suite_add_tcase(suite, test_program_case("handles", tests, sizeof tests / sizeof tests[0]));
    return test_program_run(suite, argc, argv);
}
